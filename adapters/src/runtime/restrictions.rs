//! Opt-outs, swap locks and kill switches: in force here at once, and told to every broker.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use accord_proto::{msisdn::Msisdn, party::OrgName, signal::Signal, v1};
use tokio::sync::broadcast;

use super::Shared;
use crate::journal::{Event, Journal, JournalError};

/// The most restrictions that an adapter keeps, lifted ones included.
pub const RESTRICTIONS_MAX: usize = 1_000_000;
/// Restrictions that a link may lag behind before it is told all of them again.
const LAG_MAX: usize = 1_024;

/// A limit that the operator or the subscriber sets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Restriction {
    /// The operator stops answering a bank, a signal, or a bank's signal. `None`: all.
    Kill {
        /// Which bank.
        bank: Option<OrgName>,
        /// Which signal.
        signal: Option<Signal>,
    },
    /// The subscriber has opted out.
    OptedOut(Msisdn),
    /// The subscriber has locked the SIM against swaps.
    SwapLocked(Msisdn),
}

impl Restriction {
    pub(super) fn to_wire(&self, lifted: bool) -> v1::AdapterMessage {
        use v1::{adapter_message::Message, restriction::Scope};
        let scope = match self {
            Self::OptedOut(msisdn) => Scope::OptedOutMsisdn(msisdn.expose().to_owned()),
            Self::SwapLocked(msisdn) => Scope::SwapLockedMsisdn(msisdn.expose().to_owned()),
            Self::Kill { bank, signal } => Scope::Kill(v1::KillSwitch {
                bank: bank.as_ref().map(ToString::to_string).unwrap_or_default(),
                signal: signal.map_or(v1::Signal::Unspecified, Signal::to_wire) as i32,
            }),
        };
        v1::AdapterMessage {
            message: Some(Message::Restriction(v1::Restriction {
                scope: Some(scope),
                lifted,
            })),
        }
    }

    fn record(&self, journal: &Journal, lifted: bool) -> Result<(), JournalError> {
        let (kind, msisdn, bank, signal) = match self {
            Self::Kill { bank, signal } => ("kill_switch", None, bank.as_ref(), *signal),
            Self::OptedOut(msisdn) => ("opted_out", Some(msisdn), None, None),
            Self::SwapLocked(msisdn) => ("swap_locked", Some(msisdn), None, None),
        };
        journal.append(&Event::Restriction {
            kind,
            subject: msisdn.map(|msisdn| journal.subject(msisdn)),
            bank: bank.map(OrgName::as_str),
            signal: signal.map(Signal::name),
            lifted,
        })?;
        journal.write_out()
    }
}

/// Why a restriction was not imposed or lifted.
#[derive(Debug, thiserror::Error)]
pub enum RestrictionsError {
    /// Too many.
    #[error("an adapter keeps at most {RESTRICTIONS_MAX} restrictions")]
    TooMany,
    /// It can't be recorded.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Imposes and lifts restrictions.
#[derive(Clone)]
pub struct RestrictionHandle(Arc<Shared>);

impl RestrictionHandle {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// Puts a restriction in force, here at once and at each broker as soon as it is attached.
    ///
    /// # Errors
    /// [`RestrictionsError`]; an opt-out that can't be recorded is in force all the same.
    pub fn impose(&self, restriction: Restriction) -> Result<(), RestrictionsError> {
        self.0.restrictions.set(restriction, false)
    }

    /// Ends a restriction. One that was not in force is told to the brokers all the same.
    ///
    /// # Errors
    /// [`RestrictionsError`].
    pub fn lift(&self, restriction: Restriction) -> Result<(), RestrictionsError> {
        self.0.restrictions.set(restriction, true)
    }
}

impl std::fmt::Debug for RestrictionHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RestrictionHandle")
    }
}

/// The restrictions of one adapter.
pub(super) struct Restrictions {
    journal: Arc<Journal>,
    /// True once there ever was one: most adapters never take the lock.
    any: AtomicBool,
    known: RwLock<Known>,
    news: broadcast::Sender<(Restriction, bool)>,
}

#[derive(Default)]
struct Known {
    /// Each with whether it was lifted: a broker that was away must hear of the lifting too.
    all: HashMap<Restriction, bool>,
    /// The kill switches in force.
    kills: Vec<(Option<OrgName>, Option<Signal>)>,
}

/// The signals that one bank may not ask now.
pub(super) struct Killed(Vec<Option<Signal>>);

impl Killed {
    pub(super) fn contains(&self, signal: Signal) -> bool {
        self.0
            .iter()
            .any(|killed| killed.is_none_or(|killed| killed == signal))
    }
}

impl Restrictions {
    pub(super) fn new(journal: Arc<Journal>) -> Self {
        Self {
            journal,
            any: AtomicBool::new(false),
            known: RwLock::default(),
            news: broadcast::Sender::new(LAG_MAX),
        }
    }

    fn set(&self, restriction: Restriction, lifted: bool) -> Result<(), RestrictionsError> {
        {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            if known.all.len() >= RESTRICTIONS_MAX && !known.all.contains_key(&restriction) {
                return Err(RestrictionsError::TooMany);
            }
            known.all.insert(restriction.clone(), lifted);
            if let Restriction::Kill { bank, signal } = &restriction {
                let kill = (bank.clone(), *signal);
                known.kills.retain(|other| *other != kill);
                if !lifted {
                    known.kills.push(kill);
                }
            }
            self.any.store(true, Ordering::Release);
            // Under the lock, so that links hear of changes in the order in which they were made.
            // Nobody listens while no link is attached.
            self.news.send((restriction.clone(), lifted)).ok();
        }
        Ok(restriction.record(&self.journal, lifted)?)
    }

    /// `None` if there never was a restriction.
    fn known(&self) -> Option<RwLockReadGuard<'_, Known>> {
        self.any
            .load(Ordering::Acquire)
            .then(|| self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn in_force(&self, restriction: &Restriction) -> bool {
        self.known()
            .is_some_and(|known| known.all.get(restriction).is_some_and(|lifted| !lifted))
    }

    pub(super) fn opted_out(&self, msisdn: &Msisdn) -> bool {
        self.in_force(&Restriction::OptedOut(*msisdn))
    }

    pub(super) fn swap_locked(&self, msisdn: &Msisdn) -> bool {
        self.in_force(&Restriction::SwapLocked(*msisdn))
    }

    /// What a bank may not ask; `None`: it may ask all.
    pub(super) fn killed(&self, bank: &str) -> Option<Killed> {
        let known = self.known()?;
        let killed = known
            .kills
            .iter()
            .filter(|(of, _)| of.as_ref().is_none_or(|of| of.as_str() == bank))
            .map(|(_, signal)| *signal)
            .collect::<Vec<_>>();
        (!killed.is_empty()).then_some(Killed(killed))
    }

    /// All restrictions, lifted ones too, and whatever changes afterwards.
    pub(super) fn follow(
        &self,
    ) -> (
        Vec<v1::AdapterMessage>,
        broadcast::Receiver<(Restriction, bool)>,
    ) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let news = self.news.subscribe();
        let all = known
            .all
            .iter()
            .map(|(restriction, lifted)| restriction.to_wire(*lifted));
        (all.collect(), news)
    }
}
