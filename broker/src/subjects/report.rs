//! What is reported to a subject (rule R45): since when the number has been the present holder's,
//! and who asked about it since.

use accord_proto::{
    observation::{Change, Observation, Observed, SourceClass},
    subject::{Month, SubjectTag},
    v1::{Access, entry::Event},
};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use prost::Message as _;

use super::tag_keys::Pair;
use crate::{
    entry::{ACCESS_TAG, is_event},
    ledger::{Ledger, LedgerError},
};

/// The most accesses of one report.
pub const REPORT_ACCESSES_MAX: usize = 5_000;
/// How old the operator's word on the tenure may be: a nightly export, and its delay. A number that
/// changed hands since would show its new holder the old one's accesses; operators keep a number out
/// of use for longer than this before they give it to somebody else.
pub const TENURE_AGE_MAX: SignedDuration = SignedDuration::from_hours(36);

/// Since when the number has been the present holder's, as far as somebody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tenure {
    /// The latest moment at which it can have begun; `None`: the source knows the number's whole
    /// life, and it never changed hands.
    pub since: Option<Timestamp>,
    /// Until when the source vouches for it.
    pub observed_at: Timestamp,
    /// What kind of system says so.
    pub source: SourceClass,
}

/// Why an observation does not say since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTenure {
    /// Too old.
    #[error("the operator's word on its holder is older than {} hours", TENURE_AGE_MAX.as_hours())]
    Stale,
    /// Something else was observed.
    #[error("the operator's word is not about the holder")]
    Other,
}

impl Tenure {
    /// What an observation of the tenure says. Where the beginning is only known to lie in an
    /// interval, or before the source began to watch, the latest possible moment counts: an access
    /// before it may have been about somebody else.
    ///
    /// # Errors
    /// [`NoTenure`].
    pub fn of(observation: &Observation, now: Timestamp) -> Result<Self, NoTenure> {
        let Observed::Change(Change {
            changed_in,
            monitored_since,
            ..
        }) = observation.what
        else {
            return Err(NoTenure::Other);
        };
        if now.duration_since(observation.observed_at) > TENURE_AGE_MAX {
            return Err(NoTenure::Stale);
        }
        Ok(Self {
            since: changed_in.map(|at| at.before()).or(monitored_since),
            observed_at: observation.observed_at,
            source: observation.source,
        })
    }
}

/// One access, where it stands.
#[derive(Clone, Debug)]
pub struct Found {
    /// The log's origin.
    pub origin: String,
    /// The entry's index in it.
    pub index: u64,
    /// Its exact bytes.
    pub entry: Vec<u8>,
}

/// What a search found.
#[derive(Clone, Debug, Default)]
pub struct Accesses {
    /// Oldest first, at most [`REPORT_ACCESSES_MAX`].
    pub found: Vec<Found>,
    /// There are more.
    pub more: bool,
    /// The months searched, oldest first.
    pub months: Vec<Month>,
    /// The months since the tenure began that can't be searched: the broker has no key of theirs.
    pub not_held: Vec<Month>,
}

/// A number's tags, each with its key's month.
pub type Tags = Vec<(Month, SubjectTag)>;

/// The tags of a number under the keys held.
#[must_use]
pub fn tags_of(pair: &Pair, msisdn: &accord_proto::msisdn::Msisdn) -> Tags {
    let tags = pair.keys().map(|key| (key.month(), key.subject(msisdn)));
    tags.collect()
}

/// Looks for the accesses about a subject since a moment. Reads the logs of the months whose keys
/// are held, so call it from a thread that may block.
///
/// # Errors
/// What is wrong with the ledger.
pub fn accesses(
    ledger: &Ledger,
    tags: &Tags,
    since: Option<Timestamp>,
) -> Result<Accesses, LedgerError> {
    let mut accesses = Accesses::default();
    let since = since.unwrap_or(Timestamp::MIN);
    let origins = ledger.origins()?;
    let logs = origins.iter().filter_map(|origin| month_of(origin));
    for month in logs.filter(|month| *month >= Month::of(since)) {
        match tags.iter().any(|(held, _)| *held == month) {
            true => accesses.months.push(month),
            false => accesses.not_held.push(month),
        }
    }
    let Some(first) = accesses.months.first().and_then(|month| begins(*month)) else {
        return Ok(accesses);
    };
    ledger.scan_since(first.max(since), |stored| {
        if stored.time < since || !is_access_about(stored.bytes, tags) {
            return;
        }
        if accesses.found.len() == REPORT_ACCESSES_MAX {
            accesses.more = true;
            return;
        }
        accesses.found.push(Found {
            origin: stored.origin.to_owned(),
            index: stored.index,
            entry: stored.bytes.to_vec(),
        });
    })?;
    Ok(accesses)
}

/// Most entries are about others; they are told apart by their bytes, without decoding them.
fn is_access_about(entry: &[u8], tags: &Tags) -> bool {
    let holds = |tag: &SubjectTag| entry.windows(tag.0.len()).any(|bytes| bytes == tag.0);
    if !is_event(entry, ACCESS_TAG) || !tags.iter().any(|(_, tag)| holds(tag)) {
        return false;
    }
    let decoded = accord_proto::v1::Entry::decode(entry);
    let Some(Event::Access(access)) = decoded.ok().and_then(|entry| entry.event) else {
        return false;
    };
    tags.iter()
        .any(|(month, tag)| is_about(&access, *month, tag))
}

fn is_about(access: &Access, month: Month, tag: &SubjectTag) -> bool {
    access.subject_tag == tag.0 && access.tag_month == month.to_string()
}

fn month_of(origin: &str) -> Option<Month> {
    Month::parse(origin.rsplit('/').next()?)
}

fn begins(month: Month) -> Option<Timestamp> {
    let day: Date = format!("{month}-01").parse().ok()?;
    Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use accord_proto::observation::ChangedIn;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn observed(changed_in: Option<ChangedIn>, monitored_since: Option<Timestamp>) -> Observation {
        Observation {
            what: Observed::Change(Change {
                changed_in,
                monitored_since,
                kind: None,
            }),
            observed_at: at("2026-11-26T00:00:00Z"),
            source: SourceClass::Export,
        }
    }

    fn since(observation: &Observation) -> Option<Timestamp> {
        Tenure::of(observation, at("2026-11-26T12:00:00Z"))
            .unwrap()
            .since
    }

    #[test]
    fn an_interval_counts_from_its_end() {
        let (after, before) = (at("2026-10-01T00:00:00Z"), at("2026-10-08T00:00:00Z"));
        let interval = ChangedIn::new(after, before);
        assert_eq!(since(&observed(interval, None)), Some(before));
        assert_eq!(since(&observed(interval, Some(after))), Some(before));
    }

    #[test]
    fn a_source_that_saw_no_change_vouches_from_when_it_began_to_watch() {
        let watched = at("2026-03-01T00:00:00Z");
        assert_eq!(since(&observed(None, Some(watched))), Some(watched));
    }

    #[test]
    fn a_number_that_never_changed_hands_has_its_whole_life() {
        assert_eq!(since(&observed(None, None)), None);
    }

    #[test]
    fn an_old_word_is_not_believed() {
        let observation = observed(None, None);
        let then = observation.observed_at + TENURE_AGE_MAX;
        assert!(Tenure::of(&observation, then).is_ok());
        let later = then + SignedDuration::from_secs(1);
        assert_eq!(Tenure::of(&observation, later), Err(NoTenure::Stale));
        let other = Observation {
            what: Observed::Forwarding(Vec::new()),
            ..observation
        };
        assert_eq!(Tenure::of(&other, then), Err(NoTenure::Other));
    }
}
