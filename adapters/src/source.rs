//! What a source of an operator's data implements, and nothing about the broker.

mod changes;
mod sets;
mod state;
mod told;

use std::{future::Future, pin::Pin, sync::Arc};

use accord_proto::{msisdn::Msisdn, observation::Observation, reason::Reason, signal::Signal};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

pub(crate) use changes::{ChangesIn, ChangesOut};
pub(crate) use sets::{SignalSets, signal_bit};
pub use state::{Condition, SourceState, StateCell, words};
pub(crate) use told::{Told, WITHDRAWALS_MAX, Withdrawals};

/// What a source says about one number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observations {
    /// One for each signal asked: an observation, or why there is none.
    pub signals: Vec<(Signal, Result<Observation, Reason>)>,
    /// The subscriber has asked for a lock against swaps (rule R47).
    pub customer_lock: bool,
    /// The subscriber has opted out: of what stands above, the bank is told only what a clause
    /// overrides an opt-out for.
    pub opted_out: bool,
}

impl Observations {
    /// The same reason for every signal asked.
    #[must_use]
    pub fn all(signals: &[Signal], reason: Reason) -> Self {
        let signals = signals
            .iter()
            .map(|signal| (*signal, Err(reason)))
            .collect();
        Self {
            signals,
            ..Self::default()
        }
    }
}

/// A change that a source pushes.
#[derive(Clone, Debug)]
pub struct SourceChange {
    /// Whose.
    pub msisdn: Msisdn,
    /// Of what.
    pub signal: Signal,
    /// The new observation. `None`: what was said before holds no more, and who wants to know asks.
    pub observation: Option<Observation>,
    /// A line began with it, so that what was said before was of another one: where the observation
    /// can't be told, what was said before holds no more all the same.
    pub begins: bool,
}

impl SourceChange {
    /// What is observed now, of the same line as before.
    #[must_use]
    pub const fn told(msisdn: Msisdn, signal: Signal, observation: Observation) -> Self {
        Self {
            msisdn,
            signal,
            observation: Some(observation),
            begins: false,
        }
    }

    /// What was said before of a signal holds no more: of a subscription that ended, of a number that
    /// left, of the holder before this one, or of what the source would say otherwise now.
    #[must_use]
    pub const fn withdrawal(msisdn: Msisdn, signal: Signal) -> Self {
        Self {
            msisdn,
            signal,
            observation: None,
            begins: false,
        }
    }
}

/// Who has opted out, and who has locked the SIM against swaps, as a source knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceRestrictions {
    /// Subscribers who have opted out.
    pub opted_out: Vec<Msisdn>,
    /// Subscribers who have locked the SIM.
    pub swap_locked: Vec<Msisdn>,
}

/// A source's restrictions, whole each time they change; `None` until it knows them.
pub type RestrictionsWatch = watch::Receiver<Option<Arc<SourceRestrictions>>>;

/// A future of a source.
pub type SourceFuture<'a> = Pin<Box<dyn Future<Output = Observations> + Send + 'a>>;

/// One system of an operator that knows something about its subscribers.
pub trait Source: Send + Sync + std::fmt::Debug {
    /// The signals that it can ever answer.
    fn signals(&self) -> &[Signal];

    /// Those of [`signals`](Self::signals) that it can have an observation of. Of the others it knows
    /// only whether the number is the operator's: what it does not say of them is nobody's loss.
    fn answers(&self) -> &[Signal] {
        self.signals()
    }

    /// Answers before `deadline`, with a reason where it can't. The runtime gives it up at the
    /// deadline. It is asked for its own signals only.
    fn observe<'a>(
        &'a self,
        msisdn: Msisdn,
        signals: &'a [Signal],
        deadline: Instant,
    ) -> SourceFuture<'a>;

    /// As [`observe`](Self::observe), for a question of a screening, which gets only what single
    /// questions leave.
    fn observe_bulk<'a>(
        &'a self,
        msisdn: Msisdn,
        signals: &'a [Signal],
        deadline: Instant,
    ) -> SourceFuture<'a> {
        self.observe(msisdn, signals, deadline)
    }

    /// How it is. Cheap: read from memory, without asking the system behind it. Keep it in a
    /// [`StateCell`].
    fn state(&self) -> SourceState {
        SourceState {
            condition: Condition::Up,
            ..SourceState::default()
        }
    }

    /// Changes as they happen, for sources that can push. Asked for once.
    fn changes(&self) -> Option<mpsc::Receiver<SourceChange>> {
        None
    }

    /// Opt-outs and swap locks, for sources that know them. They are told to each broker, so that
    /// they hold for its view too.
    fn restrictions(&self) -> Option<RestrictionsWatch> {
        None
    }
}
