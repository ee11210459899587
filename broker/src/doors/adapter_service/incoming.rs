//! What an attached adapter says: replies, restrictions and changes, each checked before it is
//! believed.

use accord_proto::{
    msisdn::Msisdn,
    observation::Observation,
    party::OrgName,
    signal::Signal,
    v1::{
        self, AdapterMessage, ChangesAccepted, Restriction, adapter_message, broker_message,
        restriction,
    },
    wire::{FieldError, parse_observation},
};

use super::AdapterParts;
use crate::{
    entry::record_entry,
    link::{
        Adapter, Arrival,
        restrictions::{KillSwitch, Subject},
    },
};

/// The most changes of one batch.
const CHANGES_MAX: usize = 1_000;

/// The messages of one adapter.
pub(super) struct Incoming<'a> {
    parts: &'a AdapterParts,
    operator: &'a OrgName,
    adapter: &'a Adapter,
}

impl<'a> Incoming<'a> {
    pub(super) const fn new(
        parts: &'a AdapterParts,
        operator: &'a OrgName,
        adapter: &'a Adapter,
    ) -> Self {
        Self {
            parts,
            operator,
            adapter,
        }
    }

    /// Takes one message; an error ends the stream.
    pub(super) async fn take(&mut self, message: AdapterMessage) -> Result<(), &'static str> {
        use adapter_message::Message;
        match message.message {
            Some(Message::Reply(reply)) => self.reply(reply),
            Some(Message::Heartbeat(_)) => self.adapter.settle(),
            Some(Message::Credit(credit)) => self.adapter.grant(credit.more),
            Some(Message::Restriction(restriction)) => self.restrict(restriction).await?,
            Some(Message::Changes(batch)) => self.changes(batch).await?,
            Some(Message::Hello(_)) => return Err("it said hello twice"),
            // A message of a newer version: it is not for us.
            None => {}
        }
        Ok(())
    }

    fn reply(&self, reply: v1::Reply) {
        match self.adapter.replied(reply) {
            Arrival::Expected => {}
            Arrival::Late => self.disbelieve("a reply that came too late"),
            Arrival::Unasked => self.disbelieve("a reply to what was not asked, or a second one"),
        }
    }

    async fn restrict(&self, restriction: Restriction) -> Result<(), &'static str> {
        let lifted = restriction.lifted;
        let set = match restriction.scope {
            Some(restriction::Scope::OptedOutMsisdn(number)) => {
                self.subject(&number, Subject::OptedOut, lifted)
            }
            Some(restriction::Scope::SwapLockedMsisdn(number)) => {
                self.subject(&number, Subject::SwapLocked, lifted)
            }
            Some(restriction::Scope::Kill(kill)) => self.kill(kill, lifted).await?,
            None => Err(FieldError::new(
                "restriction.scope",
                "a known scope is required",
            )),
        };
        if let Err(error) = set {
            self.disbelieve(&error.to_string());
        }
        Ok(())
    }

    fn subject(
        &self,
        number: &str,
        subject: impl Fn(Msisdn) -> Subject,
        lifted: bool,
    ) -> Result<(), FieldError> {
        let msisdn = self.own_number(number)?;
        let digest = self.parts.views.digest(&msisdn);
        let subject = subject(msisdn);
        if matches!(subject, Subject::OptedOut(_)) && !lifted {
            self.parts.views.forget(&digest);
        }
        let set = self.adapter.restrictions.subject(subject, digest, lifted);
        set.map_err(|error| FieldError::new("restriction", error.to_string()))
    }

    async fn kill(
        &self,
        kill: v1::KillSwitch,
        lifted: bool,
    ) -> Result<Result<(), FieldError>, &'static str> {
        let switch = match parse_kill(&kill) {
            Ok(switch) => switch,
            Err(error) => return Ok(Err(error)),
        };
        let set = self.adapter.restrictions.kill(switch, lifted);
        let verb = if lifted { "lifts" } else { "stops" };
        let signal = Signal::from_wire(kill.signal).map_or("every signal", Signal::name);
        let bank = if kill.bank.is_empty() {
            "every bank"
        } else {
            &kill.bank
        };
        let detail = format!("{verb} {signal} for {bank}");
        tracing::warn!(operator = %self.operator, detail, "kill switch");
        let link = v1::AdapterLink {
            kind: v1::adapter_link::Kind::Restricted as i32,
            operator: self.operator.to_string(),
            instance: self.adapter.info().instance.clone(),
            detail,
            ..v1::AdapterLink::default()
        };
        record_entry(&self.parts.ledger, v1::entry::Event::AdapterLink(link))
            .await
            .map_err(|_| "the broker can't record a kill switch")?;
        Ok(set.map_err(|error| FieldError::new("restriction", error.to_string())))
    }

    /// A batch is one entry; it is acknowledged when that is durable and the view holds it.
    async fn changes(&self, batch: v1::ChangeBatch) -> Result<(), &'static str> {
        let changes = match self.parse_changes(&batch) {
            Ok(changes) => changes,
            Err(error) => {
                self.disbelieve(&error.to_string());
                return Err("a batch of changes is not believed");
            }
        };
        let keys = self.parts.tag_keys.pair();
        let subjects = changes
            .iter()
            .map(|(msisdn, signal, _)| v1::ChangedSubject {
                subject_tag: keys.this_month.subject(msisdn).0.to_vec(),
                signal: signal.to_wire() as i32,
            });
        let entry = v1::SourceChanges {
            operator: self.operator.to_string(),
            instance: self.adapter.info().instance.clone(),
            sequence: batch.sequence,
            subjects: subjects.collect(),
        };
        drop(keys);
        record_entry(&self.parts.ledger, v1::entry::Event::SourceChanges(entry))
            .await
            .map_err(|_| "the broker can't record changes")?;
        for (msisdn, signal, observation) in &changes {
            self.parts
                .views
                .keep(&self.parts.views.digest(msisdn), *signal, observation);
        }
        let view_epoch = self.parts.views.epoch();
        let accepted = ChangesAccepted {
            sequence: batch.sequence,
            view_epoch,
        };
        if self
            .adapter
            .control(broker_message::Message::Accepted(accepted))
        {
            Ok(())
        } else {
            Err("it takes no acknowledgements")
        }
    }

    fn parse_changes(
        &self,
        batch: &v1::ChangeBatch,
    ) -> Result<Vec<(Msisdn, Signal, Observation)>, FieldError> {
        if batch.changes.len() > CHANGES_MAX {
            return Err(FieldError::new(
                "changes",
                format!("at most {CHANGES_MAX} in a batch"),
            ));
        }
        let now = self.parts.clock.now();
        let parse = |change: &v1::Change| {
            let msisdn = self.own_number(&change.msisdn)?;
            let signal = Signal::from_wire(change.signal)
                .ok_or_else(|| FieldError::new("changes.signal", "a known signal is required"))?;
            let wire = change.observation.as_ref().ok_or_else(|| {
                FieldError::new("changes.observation", "an observation is required")
            })?;
            Ok((msisdn, signal, parse_observation(wire, signal, now)?))
        };
        batch.changes.iter().map(parse).collect()
    }

    /// An operator speaks of its own subscribers only.
    fn own_number(&self, number: &str) -> Result<Msisdn, FieldError> {
        let msisdn = Msisdn::parse(number)?;
        let governed = self.parts.governance.current();
        match governed.routes().route(&msisdn) {
            Some((operator, _)) if operator == self.operator => Ok(msisdn),
            Some(_) | None => Err(FieldError::new("msisdn", "not a number of this operator")),
        }
    }

    fn disbelieve(&self, why: &str) {
        let instance = self.adapter.info().instance.clone();
        self.parts
            .refusals
            .not_believed(self.operator, instance, why.to_owned());
    }
}

fn parse_kill(kill: &v1::KillSwitch) -> Result<KillSwitch, FieldError> {
    let bank = (!kill.bank.is_empty())
        .then(|| OrgName::parse(&kill.bank))
        .transpose()
        .map_err(|error| FieldError::new("restriction.kill.bank", error.to_string()))?;
    let signal = match kill.signal {
        0 => None,
        number => Some(Signal::from_wire(number).ok_or_else(|| {
            FieldError::new("restriction.kill.signal", "a known signal is required")
        })?),
    };
    Ok(KillSwitch { bank, signal })
}
