//! What an attached adapter says: replies, restrictions and changes, each checked before it is
//! believed.

use std::{collections::VecDeque, sync::Arc};

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
use tokio::time::{Duration, Instant, sleep_until};

use super::{AdapterParts, CHANGE_CREDIT};
use crate::{
    entry::record_entry,
    link::{
        Adapter, Arrival, Operator,
        restrictions::{KillSwitch, Subject},
    },
};

/// The most changes of one batch.
const CHANGES_MAX: usize = 1_000;

/// The messages of one adapter.
pub(super) struct Incoming<'a> {
    parts: &'a AdapterParts,
    operator: &'a OrgName,
    links: &'a Operator,
    adapter: &'a Arc<Adapter>,
    /// Batches of changes that came faster than they may be recorded, and when each may be.
    waiting: VecDeque<(Instant, Batch)>,
}

/// One batch of changes, parsed.
struct Batch {
    sequence: u64,
    changes: Vec<(Msisdn, Signal, Observation)>,
}

impl<'a> Incoming<'a> {
    pub(super) const fn new(
        parts: &'a AdapterParts,
        operator: &'a OrgName,
        links: &'a Operator,
        adapter: &'a Arc<Adapter>,
    ) -> Self {
        Self {
            parts,
            operator,
            links,
            adapter,
            waiting: VecDeque::new(),
        }
    }

    /// When the next batch of changes may be recorded, if one waits.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.front().map(|(at, _)| *at)
    }

    /// Takes the batch that has waited longest.
    pub(super) async fn take_due(&mut self) -> Result<(), &'static str> {
        match self.waiting.pop_front() {
            Some((_, batch)) => self.keep(batch).await,
            None => Ok(()),
        }
    }

    /// Takes one message; an error ends the stream.
    pub(super) async fn take(&mut self, message: AdapterMessage) -> Result<(), &'static str> {
        use adapter_message::Message;
        match message.message {
            Some(Message::Reply(reply)) => self.reply(reply),
            Some(Message::Heartbeat(_)) => self.settle().await?,
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
            Arrival::Unneeded => tracing::debug!(operator = %self.operator, "an unneeded reply"),
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
        // Whichever operator serves the number now: what is held is this operator's word only, and
        // it must be in force when the number comes to it.
        let msisdn = Msisdn::parse(number)?;
        let digest = self.parts.views.digest(self.operator, &msisdn);
        let subject = subject(msisdn);
        if matches!(subject, Subject::OptedOut(_)) && !lifted {
            self.parts.views.forget(&digest);
        }
        let set = self.links.restrict(self.adapter, subject, digest, lifted);
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
        // What an adapter says again after it has attached again changes nothing.
        let changes = self.links.has_kill(self.adapter, &switch) == lifted;
        // A stop is in force before it is on the record, a lift only afterwards.
        if lifted && changes {
            self.record_kill(&switch, lifted).await?;
        }
        let set = self.links.kill(self.adapter, &switch, lifted);
        if !lifted && changes && set.is_ok() {
            self.record_kill(&switch, lifted).await?;
        }
        Ok(set.map_err(|error| FieldError::new("restriction", error.to_string())))
    }

    async fn record_kill(&self, switch: &KillSwitch, lifted: bool) -> Result<(), &'static str> {
        let detail = kill_detail(switch, lifted);
        tracing::warn!(operator = %self.operator, detail, "kill switch");
        if let Some(turn) = self.links.pace().turn(1, Duration::MAX) {
            sleep_until(turn).await;
        }
        let link = v1::AdapterLink {
            kind: v1::adapter_link::Kind::Restricted as i32,
            operator: self.operator.to_string(),
            instance: self.adapter.info().instance.clone(),
            detail,
            ..v1::AdapterLink::default()
        };
        record_entry(&self.parts.ledger, v1::entry::Event::AdapterLink(link))
            .await
            .map(drop)
            .map_err(|_| "the broker can't record a kill switch")
    }

    /// Every restriction in force has arrived. What the instance had stopped before and did not
    /// stop again is lifted, on the record.
    async fn settle(&self) -> Result<(), &'static str> {
        if self.adapter.is_settled() {
            return Ok(());
        }
        for switch in self.links.kills_to_lift(self.adapter) {
            self.record_kill(&switch, true).await?;
        }
        self.links.settle(self.adapter);
        Ok(())
    }

    /// Takes a batch at once, or when the operator's pace allows.
    async fn changes(&mut self, batch: v1::ChangeBatch) -> Result<(), &'static str> {
        let changes = match self.parse_changes(&batch) {
            Ok(changes) => changes,
            Err(error) => {
                self.disbelieve(&error.to_string());
                return Err("a batch of changes is not believed");
            }
        };
        if self.waiting.len() >= CHANGE_CREDIT as usize {
            return Err("it sends more batches of changes than it was granted");
        }
        let sequence = batch.sequence;
        let batch = Batch { sequence, changes };
        let now = Instant::now();
        let turn = self.links.pace().turn(1, Duration::MAX).unwrap_or(now);
        if turn <= now && self.waiting.is_empty() {
            return self.keep(batch).await;
        }
        self.waiting.push_back((turn, batch));
        Ok(())
    }

    /// A batch is one entry; it is acknowledged when that is durable and the view holds it.
    async fn keep(&self, batch: Batch) -> Result<(), &'static str> {
        let Batch { sequence, changes } = batch;
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
            sequence,
            subjects: subjects.collect(),
        };
        drop(keys);
        record_entry(&self.parts.ledger, v1::entry::Event::SourceChanges(entry))
            .await
            .map_err(|_| "the broker can't record changes")?;
        for (msisdn, signal, observation) in &changes {
            let digest = self.parts.views.digest(self.operator, msisdn);
            let views = &self.parts.views;
            views.keep(&digest, *signal, observation, None);
        }
        let view_epoch = self.parts.views.epoch();
        let accepted = ChangesAccepted {
            sequence,
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

    /// An operator pushes changes of its own subscribers only.
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

fn kill_detail(switch: &KillSwitch, lifted: bool) -> String {
    let verb = if lifted { "lifts" } else { "stops" };
    let signal = switch.signal.map_or("every signal", Signal::name);
    let bank = switch.bank.as_ref().map_or("every bank", OrgName::as_str);
    format!("{verb} {signal} for {bank}")
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
