//! From what the server said to what the source says: each signal from its own answer.

use accord_proto::msisdn::Msisdn;
use accord_proto::observation::{Forwarding, Observation, Observed, SourceClass};
use accord_proto::reason::Reason;
use jiff::{SignedDuration, Timestamp};

use super::diversion::{self, DiversionError, DiversionRules};
use super::sh::{Domain, Question, Reference, ShError};
use super::sh_data::{Location, Repository, ShData};
use super::{DiameterSh, Diff};
use crate::interval_journal::Track;

/// What came of one question.
pub(super) struct Answer {
    pub(super) question: Question,
    pub(super) data: Result<Option<ShData>, ShError>,
    pub(super) received: Timestamp,
}

impl DiameterSh {
    pub(super) async fn swap(
        &self,
        diff: &Diff,
        msisdn: Msisdn,
        answers: &[Answer],
        sent: Timestamp,
    ) -> Result<Observation, Reason> {
        let answer = answer_of(answers, diff.reference, None)?;
        let data = answer.data.as_ref().map_err(|error| error.reason())?;
        let Some(identity) = diff.identity(data.as_ref()) else {
            // Seen before and not now: not "no change". Never seen: this HSS doesn't tell.
            return Err(match diff.track.missed(&msisdn)? {
                Some(_) => Reason::Undecided,
                None => Reason::NotAvailable,
            });
        };
        let recorded = diff.track.record(msisdn, identity, sent, answer.received);
        // A number that there is no room to watch.
        let known = recorded.await?.and_then(|known| known.by(self.clock.now()));
        let known = known.ok_or(Reason::NotWatched)?;
        Ok(Track::observation(&known))
    }

    pub(super) fn call_forwarding(
        &self,
        answers: &[Answer],
        sent: Timestamp,
    ) -> Result<Observation, Reason> {
        let rules = self.forwarding.as_ref().ok_or(Reason::NotAvailable)?;
        let answer = answer_of(answers, Reference::RepositoryData, None)?;
        let data = answer.data.as_ref().map_err(|error| error.reason())?;
        let stored = data.as_ref().map_or(&[][..], |data| &data.repositories);
        let active = read_repositories(stored, rules).map_err(|error| match error {
            DiversionError::Absent => Reason::NotAvailable,
            DiversionError::Conditional => Reason::Undecided,
            DiversionError::NotUnderstood(_) => {
                tracing::warn!(%error, "call diversion of a subscriber");
                Reason::NotAvailable
            }
        })?;
        Ok(Observation {
            what: Observed::Forwarding(active),
            observed_at: sent,
            source: SourceClass::Network,
        })
    }

    pub(super) fn roaming(
        &self,
        answers: &[Answer],
        sent: Timestamp,
    ) -> Result<Observation, Reason> {
        let mut locations: Vec<&Location> = Vec::new();
        for domain in &self.domains {
            let answer = answer_of(answers, Reference::LocationInformation, Some(*domain))?;
            let data = match &answer.data {
                Ok(data) => data.as_ref(),
                // Not registered in this domain, as a phone of one domain never is in the other.
                Err(ShError::NotNow) => None,
                Err(error) => return Err(error.reason()),
            };
            locations.extend(data.and_then(|data| match domain {
                Domain::Cs => data.cs.as_ref(),
                Domain::Ps => data.ps.as_ref(),
            }));
        }
        // The network that heard of the phone last says where it is.
        let age = locations.iter().filter_map(|location| location.age_minutes);
        let age = SignedDuration::from_mins(age.min().unwrap_or(0).into());
        let roaming = self.places.roaming(locations.into_iter())?;
        // What is older than it is vouched for ages.
        let until = sent - age + self.vouched;
        Ok(Observation {
            what: Observed::Roaming(roaming),
            observed_at: sent.min(until),
            source: SourceClass::Network,
        })
    }
}

/// The answer to the question that asked for something.
fn answer_of(
    answers: &[Answer],
    reference: Reference,
    domain: Option<Domain>,
) -> Result<&Answer, Reason> {
    let asked = |answer: &&Answer| {
        answer.question.domain == domain && answer.question.references.contains(&reference)
    };
    answers.iter().find(asked).ok_or(Reason::NotAvailable)
}

/// The active forwardings of all documents under the configured indications.
fn read_repositories(
    stored: &[Repository],
    rules: &DiversionRules,
) -> Result<Vec<Forwarding>, DiversionError> {
    let (mut active, mut any) = (Vec::new(), false);
    for indication in &rules.service_indications {
        let mut documents = stored.iter().filter(|data| data.indication == *indication);
        let (first, second) = (documents.next(), documents.next());
        if second.is_some() {
            return Err(DiversionError::NotUnderstood(
                "two documents of one service",
            ));
        }
        let Some(service) = first.and_then(|data| data.service.as_ref()) else {
            continue;
        };
        match diversion::read(service, rules) {
            Ok(some) => active.extend(some),
            Err(DiversionError::Absent) => continue,
            Err(error) => return Err(error),
        }
        any = true;
    }
    if any {
        return Ok(diversion::merge(active));
    }
    diversion::absent(rules)
}
