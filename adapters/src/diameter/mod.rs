//! An HSS, or a telephony server's data in it, asked by Diameter Sh (3GPP TS 29.328, TS 29.329) as
//! an application server.
//!
//! ```text
//!   ask ───▶ User-Data-Request ─┬─ IMSI ───▶ interval journal ─▶ sim_swap: (A, B], watched since
//!   poll ──▶      "             ├─ IMEISV ─▶ interval journal ─▶ device_swap
//!   push ──▶      "             ├─ LocationInformation ────────▶ roaming
//!                               └─ RepositoryData ─────────────▶ call_forwarding
//! ```
//!
//! Sh has no dates: a swap is a difference between two samples, and the first ask of a number
//! only begins its watch. A notification of the server is no observation either, since it may
//! have waited on its way: it makes the source ask at once, and the answer is what counts.
//!
//! A number that was seen before and that the server doesn't know now is in the middle of a swap,
//! or was ceased; the answer is *undecided* or *stale* then, never *unknown number*.

mod answer;
pub mod avp;
pub mod codec;
mod config;
pub mod diversion;
mod location;
pub mod node;
mod notified;
pub mod peer;
pub mod peers;
pub mod sh;
pub mod sh_data;
mod state;
pub mod tbcd;
#[cfg(any(test, feature = "test-util"))]
pub mod testing;
pub mod tls;
mod watch;
pub mod watchdog;
pub mod xml;

use std::time::Duration;

use accord_proto::clock::SharedClock;
use accord_proto::msisdn::Msisdn;
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use futures_util::future::join_all;
use jiff::SignedDuration;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use self::answer::Answer;
pub use self::config::{DiameterConfig, DiameterError, PeerConfig};
use self::diversion::DiversionRules;
use self::location::Places;
use self::peers::Peers;
use self::sh::{Domain, Manner, Question, Reference, ShError};
use self::sh_data::ShData;
pub use self::watch::Sweep;
use crate::interval_journal::Track;
use crate::source::{
    ChangesIn, ChangesOut, Observations, Source, SourceChange, SourceFuture, SourceState,
};

/// The source. Make it with [`DiameterSh::open`] and run [`DiameterSh::watch`] beside it.
#[derive(Debug)]
pub struct DiameterSh {
    peers: Peers,
    manner: Manner,
    diffs: Vec<Diff>,
    forwarding: Option<DiversionRules>,
    places: Places,
    domains: Vec<Domain>,
    /// How long after a phone was heard of its registration is vouched for.
    vouched: SignedDuration,
    signals: Vec<Signal>,
    subscribe: Vec<Reference>,
    combine: bool,
    configured: Vec<Msisdn>,
    clock: SharedClock,
    poll_every: Duration,
    poll_in_flight: usize,
    request_timeout: Duration,
    asks: Semaphore,
    changes: ChangesIn,
    changes_out: ChangesOut,
    health: state::Health,
}

/// A signal that is a difference between samples of an identity.
#[derive(Debug)]
struct Diff {
    reference: Reference,
    track: Track,
}

impl DiameterSh {
    /// Opens the journals. No peer need be up.
    ///
    /// # Errors
    /// [`DiameterError`]: a configuration that breaks a rule, or a journal that can't be used.
    pub fn open(config: &DiameterConfig, clock: SharedClock) -> Result<Self, DiameterError> {
        let checked = config.check()?;
        let (changes, changes_out) = ChangesOut::ends();
        // Where the old card was says nothing of the new one.
        let of_old_card: &[Signal] = match checked.places.is_empty() {
            true => &[],
            false => &[Signal::Roaming],
        };
        let mut diffs = Vec::new();
        for (wanted, folder, signal, of_old, reference) in [
            (
                config.sim_swap,
                "sim",
                Signal::SimSwap,
                of_old_card,
                Reference::Imsi,
            ),
            (
                config.device_swap,
                "device",
                Signal::DeviceSwap,
                &[],
                Reference::Imeisv,
            ),
        ] {
            if wanted {
                let track = Track::open(signal, of_old, config.journal(folder), changes.clone())?;
                diffs.push(Diff { reference, track });
            }
        }
        let mut signals: Vec<Signal> = diffs.iter().map(|diff| diff.track.signal).collect();
        signals.extend(
            checked
                .forwarding
                .is_some()
                .then_some(Signal::CallForwarding),
        );
        signals.extend((!checked.places.is_empty()).then_some(Signal::Roaming));
        Ok(Self {
            peers: Peers::new(checked.node, checked.peers, &*clock),
            manner: checked.manner,
            diffs,
            forwarding: checked.forwarding,
            places: checked.places,
            domains: config.location_domains.clone(),
            vouched: checked.vouched,
            signals,
            subscribe: config.subscribe.clone(),
            combine: config.combine,
            configured: checked.watch,
            clock,
            poll_every: checked.poll_every,
            poll_in_flight: config.poll_in_flight,
            request_timeout: checked.request_timeout,
            asks: Semaphore::new(config.asks_max),
            changes,
            changes_out,
            health: state::Health::default(),
        })
    }

    /// The peers and their states.
    #[must_use]
    pub const fn peers(&self) -> &Peers {
        &self.peers
    }

    /// Waits until a peer is open.
    ///
    /// # Errors
    /// [`DiameterError::NoPeer`] with the state of one that isn't.
    pub async fn ready(&self, time: Duration) -> Result<(), DiameterError> {
        let ready = self.peers.ready(Instant::now() + time).await;
        ready.map_err(DiameterError::NoPeer)
    }

    /// The questions whose answers these signals need, each once.
    fn questions(&self, signals: &[Signal]) -> Vec<Question> {
        let mut references = Vec::new();
        for signal in signals {
            if *signal == Signal::CallForwarding {
                references.push(Reference::RepositoryData);
            }
            references.extend(self.diff(*signal).map(|diff| diff.reference));
        }
        let question = |references| Question {
            references,
            domain: None,
        };
        let mut questions: Vec<Question> = if self.combine && !references.is_empty() {
            vec![question(references)]
        } else {
            references
                .into_iter()
                .map(|it| question(vec![it]))
                .collect()
        };
        if signals.contains(&Signal::Roaming) {
            questions.extend(self.domains.iter().map(|domain| Question {
                references: vec![Reference::LocationInformation],
                domain: Some(*domain),
            }));
        }
        questions
    }

    async fn pull(&self, msisdn: &Msisdn, question: Question, deadline: Instant) -> Answer {
        let data = sh::pull(&self.peers, &self.manner, msisdn, &question, deadline).await;
        if let Err(error) = &data
            && *error != ShError::UserUnknown
        {
            tracing::debug!(%error, "no data of a subscriber");
        }
        self.health.answered(data.as_ref().err().copied());
        Answer {
            question,
            data,
            received: self.clock.now(),
        }
    }

    async fn ask(
        &self,
        msisdn: Msisdn,
        signals: &[Signal],
        deadline: Instant,
    ) -> Result<Observations, Reason> {
        let _permit = self.asks.try_acquire().map_err(|_| Reason::Overloaded)?;
        let deadline = deadline.min(Instant::now() + self.request_timeout);
        let sent = self.clock.now();
        let questions = self.questions(signals).into_iter();
        let pulls = questions.map(|question| self.pull(&msisdn, question, deadline));
        let answers = join_all(pulls).await;
        if answers
            .iter()
            .any(|answer| answer.data == Err(ShError::UserUnknown))
        {
            return self.ask_missing(&msisdn, signals);
        }
        let mut observed = Observations::default();
        for signal in signals {
            let said = if let Some(diff) = self.diff(*signal) {
                self.swap(diff, msisdn, &answers, sent).await
            } else if *signal == Signal::CallForwarding {
                self.call_forwarding(&answers, sent)
            } else if *signal == Signal::Roaming {
                self.roaming(&answers, sent)
            } else {
                Err(Reason::NotAvailable)
            };
            observed.signals.push((*signal, said));
        }
        Ok(observed)
    }

    /// Nobody has the number now: a swap is under way, or the line was ceased.
    fn ask_missing(&self, msisdn: &Msisdn, signals: &[Signal]) -> Result<Observations, Reason> {
        let mut known = false;
        for diff in &self.diffs {
            known |= diff.track.missed(msisdn)?.is_some();
        }
        if !known {
            return Err(Reason::UnknownNumber);
        }
        let say = |signal: &Signal| match self.diff(*signal) {
            Some(_) => (*signal, Err(Reason::Undecided)),
            // What was last seen is of a subscription that has the number no more.
            None => (*signal, Err(Reason::Stale)),
        };
        Ok(Observations {
            signals: signals.iter().map(say).collect(),
            ..Observations::default()
        })
    }

    fn diff(&self, signal: Signal) -> Option<&Diff> {
        self.diffs.iter().find(|diff| diff.track.signal == signal)
    }
}

impl Diff {
    fn identity<'a>(&self, data: Option<&'a ShData>) -> Option<&'a str> {
        let data = data?;
        match self.reference {
            Reference::Imeisv => data.imei.as_deref(),
            Reference::Imsi => data.imsi.as_deref(),
            Reference::LocationInformation | Reference::RepositoryData => None,
        }
    }
}

impl Source for DiameterSh {
    fn signals(&self) -> &[Signal] {
        &self.signals
    }

    fn observe<'a>(
        &'a self,
        msisdn: Msisdn,
        signals: &'a [Signal],
        deadline: Instant,
    ) -> SourceFuture<'a> {
        Box::pin(async move {
            let asked = self.ask(msisdn, signals, deadline).await;
            asked.unwrap_or_else(|reason| Observations::all(signals, reason))
        })
    }

    fn state(&self) -> SourceState {
        self.health.state(&self.peers, self.clock.now())
    }

    fn changes(&self) -> Option<mpsc::Receiver<SourceChange>> {
        self.changes_out.take()
    }
}
