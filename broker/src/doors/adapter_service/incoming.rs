//! What an attached adapter says: replies, restrictions and changes, each checked before it is
//! believed. A stop is in force at once; what it adds to the ledger waits for its turn (`paced`),
//! and meanwhile the adapter is listened to.

use std::sync::Arc;

use accord_proto::{
    msisdn::Msisdn,
    party::{OrgName, PartyId},
    signal::Signal,
    v1::{
        self, AdapterMessage, ChangesAccepted, Restriction, adapter_message, broker_message,
        restriction,
    },
    wire::{CHANGES_MAX, FieldError, parse_observation},
};
use bytes::Bytes;
use prost::Message as _;
use tokio::time::{Duration, Instant};

use super::{
    AdapterParts,
    batch::{Batch, Change},
    paced::{Paced, Waiting},
};
use crate::{
    entry::record_entry,
    link::{
        Adapter, Arrival, Operator, Said,
        restrictions::{KillSwitch, Subject},
    },
};

/// The messages of one adapter.
pub(super) struct Incoming<'a> {
    parts: &'a AdapterParts,
    party: &'a PartyId,
    links: &'a Operator,
    adapter: &'a Arc<Adapter>,
    waiting: Waiting,
    /// Every restriction in force has arrived; the lifts that follow from that are on their way.
    settling: bool,
}

impl<'a> Incoming<'a> {
    pub(super) fn new(
        parts: &'a AdapterParts,
        party: &'a PartyId,
        links: &'a Operator,
        adapter: &'a Arc<Adapter>,
    ) -> Self {
        Self {
            parts,
            party,
            links,
            adapter,
            waiting: Waiting::default(),
            settling: false,
        }
    }

    /// When the next entry may be made, if one waits.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.due()
    }

    /// Makes the entry that has waited longest.
    pub(super) async fn take_due(&mut self) -> Result<(), &'static str> {
        match self.waiting.pop() {
            Some(paced) => self.perform(paced).await,
            None => Ok(()),
        }
    }

    /// The stream has ended. What was stopped or lifted goes on the record at once: its turns are
    /// taken, so whoever attaches in a loop waits for them. Changes are sent again.
    pub(super) async fn finish(mut self) {
        // Whoever took this adapter's place says by itself what stays.
        let replaced = !self.links.holds(self.adapter);
        while let Some(paced) = self.waiting.pop() {
            let done = match paced {
                Paced::Changes(_) | Paced::Settle => continue,
                Paced::Lift(_) if replaced => continue,
                Paced::Lift(_) | Paced::Stop(_) => self.perform(paced).await,
            };
            if let Err(why) = done {
                tracing::error!(operator = %self.operator(), why, "kill switches are not recorded");
                return;
            }
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
            Some(Message::Changes(sent)) => self.changes(&sent).await?,
            Some(Message::Hello(_)) => return Err("it said hello twice"),
            // A message of a newer version: it is not for us.
            None => {}
        }
        Ok(())
    }

    fn reply(&self, reply: v1::Reply) {
        match self.adapter.replied(reply) {
            Arrival::Expected => {}
            Arrival::Unneeded => {
                tracing::debug!(operator = %self.operator(), "an unneeded reply");
            }
            Arrival::Late => self.disbelieve("a reply that came too late"),
            Arrival::Unasked => self.disbelieve("a reply to what was not asked, or a second one"),
        }
    }

    async fn restrict(&mut self, restriction: Restriction) -> Result<(), &'static str> {
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
        let digest = self.parts.views.digest(self.operator(), &msisdn);
        let subject = subject(msisdn);
        let set = self.links.restrict(self.adapter, subject, digest, lifted);
        // Only now: what comes in between finds the opt-out in force, and is not kept.
        if matches!(subject, Subject::OptedOut(_)) && !lifted {
            self.parts
                .views
                .withdraw_all(&digest, self.parts.clock.now());
        }
        set.map_err(|error| FieldError::new("restriction", error.to_string()))
    }

    /// A stop is in force before it is on the record, a lift only afterwards. What an adapter says
    /// again after it has attached again changes nothing.
    async fn kill(
        &mut self,
        kill: v1::KillSwitch,
        lifted: bool,
    ) -> Result<Result<(), FieldError>, &'static str> {
        let switch = match parse_kill(&kill) {
            Ok(switch) => switch,
            Err(error) => return Ok(Err(error)),
        };
        let known = self.links.has_kill(self.adapter, &switch);
        if lifted {
            if known && !self.waiting.lifts(&switch) {
                self.in_turn(Paced::Lift(switch)).await?;
            }
            return Ok(Ok(()));
        }
        self.waiting.take_back(&switch);
        if let Err(error) = self.links.kill(self.adapter, &switch, false) {
            return Ok(Err(FieldError::new("restriction", error.to_string())));
        }
        if !known {
            self.in_turn(Paced::Stop(switch)).await?;
        }
        Ok(Ok(()))
    }

    /// Every restriction in force has arrived. What the instance had stopped before and did not
    /// stop again is lifted, on the record.
    async fn settle(&mut self) -> Result<(), &'static str> {
        if self.settling || self.adapter.is_settled() {
            return Ok(());
        }
        self.settling = true;
        for switch in self.links.kills_to_lift(self.adapter) {
            if !self.waiting.lifts(&switch) {
                self.in_turn(Paced::Lift(switch)).await?;
            }
        }
        self.in_turn(Paced::Settle).await
    }

    /// Takes a batch. A change that is not believed does not keep the others from the view.
    async fn changes(&mut self, sent: &Bytes) -> Result<(), &'static str> {
        let Ok(batch) = v1::ChangeBatch::decode(sent.clone()) else {
            self.disbelieve("changes: does not decode");
            return Err("a batch of changes does not decode");
        };
        if batch.changes.len() > CHANGES_MAX {
            self.disbelieve(&format!("changes: at most {CHANGES_MAX} in a batch"));
            return Err("a batch of changes is too long");
        }
        let mut changes = Vec::with_capacity(batch.changes.len());
        for change in &batch.changes {
            match self.parse_change(change) {
                Ok(change) => changes.push(change),
                Err(error) => self.disbelieve(&error.to_string()),
            }
        }
        let batch = Batch {
            sequence: batch.sequence,
            said: Said::of_batch(&self.adapter.info().instance, &batch, sent),
            changes,
        };
        self.in_turn(Paced::Changes(batch)).await
    }

    /// Makes an entry at once, or when the operator's pace allows.
    async fn in_turn(&mut self, paced: Paced) -> Result<(), &'static str> {
        let now = Instant::now();
        let turn = match paced {
            Paced::Changes(_) | Paced::Lift(_) | Paced::Stop(_) => {
                self.links.pace().turn(1, Duration::MAX).unwrap_or(now)
            }
            // It makes no entry; it only comes after those before it.
            Paced::Settle => now,
        };
        if turn <= now && self.waiting.is_empty() {
            return self.perform(paced).await;
        }
        self.waiting.push(turn, paced)
    }

    async fn perform(&self, paced: Paced) -> Result<(), &'static str> {
        match paced {
            Paced::Changes(batch) => self.keep(batch).await,
            Paced::Lift(switch) => {
                self.record_kill(&switch, true).await?;
                // There is always room for one less.
                let _ = self.links.kill(self.adapter, &switch, true);
                Ok(())
            }
            Paced::Settle => {
                self.links.settle(self.adapter);
                Ok(())
            }
            Paced::Stop(switch) => self.record_kill(&switch, false).await,
        }
    }

    async fn record_kill(&self, switch: &KillSwitch, lifted: bool) -> Result<(), &'static str> {
        let detail = kill_detail(switch, lifted);
        tracing::warn!(operator = %self.operator(), detail, "kill switch");
        let link = v1::AdapterLink {
            kind: v1::adapter_link::Kind::Restricted as i32,
            operator: self.operator().to_string(),
            instance: self.adapter.info().instance.clone(),
            detail,
            ..v1::AdapterLink::default()
        };
        record_entry(&self.parts.ledger, v1::entry::Event::AdapterLink(link))
            .await
            .map(drop)
            .map_err(|_| "the broker can't record a kill switch")
    }

    /// A batch is one entry; it is acknowledged when that is durable and the view holds it.
    async fn keep(&self, batch: Batch) -> Result<(), &'static str> {
        let keys = self.parts.tag_keys.pair();
        let instance = &self.adapter.info().instance;
        let entry = batch.entry(self.operator(), instance, &keys.this_month);
        drop(keys);
        record_entry(&self.parts.ledger, v1::entry::Event::SourceChanges(entry))
            .await
            .map_err(|_| "the broker can't record changes")?;
        let (views, clock) = (&self.parts.views, &self.parts.clock);
        let now = clock.now();
        for change in batch.changes.iter().filter(|change| change.known_to_it) {
            let (digest, signal) = (views.digest(self.operator(), &change.msisdn), change.signal);
            // What is bound to nothing that the operator said is not served, and is asked for instead.
            match change.observation.as_ref().zip(batch.said.as_ref()) {
                Some((observation, said)) => {
                    views.unless_opted_out(self.links, &digest, clock, || {
                        views.push(&digest, signal, observation, said, now);
                    });
                }
                None => views.withdraw(&digest, signal, now),
            }
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

    /// An operator pushes changes of its own subscribers only. It may take back what it said of a number
    /// that is another one's by now.
    fn parse_change(&self, change: &v1::Change) -> Result<Change, FieldError> {
        let msisdn = Msisdn::parse(&change.msisdn)?;
        let own = self.may_serve(&msisdn);
        if !own && !change.withdrawn {
            return Err(FieldError::new("msisdn", "not a number of this operator"));
        }
        let signal = Signal::from_wire(change.signal)
            .ok_or_else(|| FieldError::new("changes.signal", "a known signal is required"))?;
        let observation = match (&change.observation, change.withdrawn) {
            (Some(wire), false) => Some(parse_observation(wire, signal, self.parts.clock.now())?),
            (None, true) => None,
            (None, false) | (Some(_), true) => {
                let rule = "an observation, or `withdrawn`, is required, and not both";
                return Err(FieldError::new("changes.observation", rule));
            }
        };
        let views = &self.parts.views;
        let held = || views.find(&views.digest(self.operator(), &msisdn), signal);
        let known_to_it = own || held().is_some();
        Ok(Change {
            msisdn,
            signal,
            observation,
            known_to_it,
        })
    }

    fn may_serve(&self, msisdn: &Msisdn) -> bool {
        let governed = self.parts.governance.current();
        let (routing, now) = (&self.parts.routing, self.parts.clock.now());
        routing.may_serve(&governed, self.operator(), msisdn, now)
    }

    fn disbelieve(&self, why: &str) {
        let instance = self.adapter.info().instance.clone();
        let refusals = &self.parts.refusals;
        refusals.not_believed(self.party, instance, why.to_owned());
    }

    const fn operator(&self) -> &OrgName {
        self.party.org()
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
