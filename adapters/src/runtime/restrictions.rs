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

use super::{Shared, seen::RestrictionCounts};
use crate::journal::{Event, Journal, JournalError};

/// The most restrictions that an adapter keeps. Lifted ones are kept beside, as long as there is room.
pub const RESTRICTIONS_MAX: usize = 1_000_000;
/// Restrictions that a link may lag behind before it is told all of them again.
const LAG_MAX: usize = 1_024;
/// Restrictions that are imposed under one lock.
const SET_MAX: usize = 512;

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
        Ok(())
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
        let imposed = [restriction];
        self.0.restrictions.set(&imposed, By::Operator, false)
    }

    /// Ends a restriction, unless the source imposes it too. One that was not in force is told to
    /// the brokers all the same.
    ///
    /// # Errors
    /// [`RestrictionsError`].
    pub fn lift(&self, restriction: Restriction) -> Result<(), RestrictionsError> {
        let lifted = [restriction];
        self.0.restrictions.set(&lifted, By::Operator, true)
    }
}

impl std::fmt::Debug for RestrictionHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RestrictionHandle")
    }
}

/// Who imposes a restriction. It is in force as long as one of them does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The restrictions file, or the program around the library.
    Operator,
    /// The source.
    Source,
}

/// Who imposes a restriction now.
#[derive(Clone, Copy, Default)]
struct Imposed {
    by_operator: bool,
    by_source: bool,
}

impl Imposed {
    const fn is_in_force(self) -> bool {
        self.by_operator || self.by_source
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

struct Known {
    room: usize,
    /// Lifted ones too: a broker that was away must hear of the lifting.
    all: HashMap<Restriction, Imposed>,
    /// How many of them are lifted.
    lifted: usize,
    /// The kill switches in force.
    kills: Vec<(Option<OrgName>, Option<Signal>)>,
}

impl Known {
    fn with_room(room: usize) -> Self {
        Self {
            room,
            all: HashMap::new(),
            lifted: 0,
            kills: Vec::new(),
        }
    }

    /// Notes what one of the two says; whether the brokers must hear of it.
    fn set(
        &mut self,
        restriction: &Restriction,
        by: By,
        lifted: bool,
    ) -> Result<bool, RestrictionsError> {
        if self.all.len() >= self.room && !self.all.contains_key(restriction) {
            if lifted {
                // There is nothing to end here, and the brokers may hear of it all the same.
                return Ok(by == By::Operator);
            }
            // A broker that was away since one of them was lifted hears of it at its next restart:
            // better than not to hear of a new one.
            if self.lifted == 0 {
                return Err(RestrictionsError::TooMany);
            }
            self.all.retain(|_, imposed| imposed.is_in_force());
            self.lifted = 0;
        }
        let was_lifted = self.all.get(restriction).map(|it| !it.is_in_force());
        self.lifted -= usize::from(was_lifted == Some(true));
        let imposed = self.all.entry(restriction.clone()).or_default();
        let before = imposed.is_in_force();
        match by {
            By::Operator => imposed.by_operator = !lifted,
            By::Source => imposed.by_source = !lifted,
        }
        let now = imposed.is_in_force();
        self.lifted += usize::from(!now);
        if let Restriction::Kill { bank, signal } = restriction {
            let kill = (bank.clone(), *signal);
            self.kills.retain(|other| *other != kill);
            if now {
                self.kills.push(kill);
            }
        }
        // What the operator says again is told again.
        Ok(now != before || (by == By::Operator && now != lifted))
    }
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
            known: RwLock::new(Known::with_room(RESTRICTIONS_MAX)),
            news: broadcast::Sender::new(LAG_MAX),
        }
    }

    /// Imposes or lifts restrictions, some at a time, so that no answer waits for all of them.
    pub(super) fn set(
        &self,
        restrictions: &[Restriction],
        by: By,
        lifted: bool,
    ) -> Result<(), RestrictionsError> {
        let mut done = Ok(());
        for some in restrictions.chunks(SET_MAX) {
            let (told, set) = self.set_some(some, by, lifted);
            for restriction in told {
                restriction.record(&self.journal, lifted)?;
            }
            self.journal.write_out()?;
            done = done.and(set);
        }
        done
    }

    /// Whether one of the two imposes it.
    pub(super) fn is_imposed(&self, restriction: &Restriction, by: By) -> bool {
        self.known().is_some_and(|known| {
            let imposed = known.all.get(restriction);
            imposed.is_some_and(|imposed| match by {
                By::Operator => imposed.by_operator,
                By::Source => imposed.by_source,
            })
        })
    }

    /// Those that the brokers hear of, and whether there was room for all.
    fn set_some<'a>(
        &self,
        restrictions: &'a [Restriction],
        by: By,
        lifted: bool,
    ) -> (Vec<&'a Restriction>, Result<(), RestrictionsError>) {
        let (mut told, mut done) = (Vec::new(), Ok(()));
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        self.any.store(true, Ordering::Release);
        for restriction in restrictions {
            match known.set(restriction, by, lifted) {
                Ok(true) => {
                    told.push(restriction);
                    // Under the lock, so that links hear of changes in the order in which they were
                    // made. Nobody listens while no link is attached.
                    self.news.send((restriction.clone(), lifted)).ok();
                }
                Ok(false) => {}
                // Another one may be known already, and need no room.
                Err(error) => done = done.and(Err(error)),
            }
        }
        (told, done)
    }

    /// `None` if there never was a restriction.
    fn known(&self) -> Option<RwLockReadGuard<'_, Known>> {
        self.any
            .load(Ordering::Acquire)
            .then(|| self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn in_force(&self, restriction: &Restriction) -> bool {
        self.known().is_some_and(|known| {
            known
                .all
                .get(restriction)
                .is_some_and(|it| it.is_in_force())
        })
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

    /// How many are in force.
    pub(super) fn count(&self) -> RestrictionCounts {
        let mut counts = RestrictionCounts::default();
        let Some(known) = self.known() else {
            return counts;
        };
        let in_force = known
            .all
            .iter()
            .filter(|(_, imposed)| imposed.is_in_force());
        for (restriction, _) in in_force {
            match restriction {
                Restriction::OptedOut(_) => counts.opted_out += 1,
                Restriction::SwapLocked(_) => counts.swap_locked += 1,
                Restriction::Kill { .. } => counts.kill_switches += 1,
            }
        }
        counts
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
            .map(|(restriction, imposed)| restriction.to_wire(!imposed.is_in_force()));
        (all.collect(), news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opted_out(last: u16) -> Restriction {
        Restriction::OptedOut(Msisdn::parse(&format!("+447700900{last:03}")).unwrap())
    }

    #[test]
    fn only_what_is_in_force_takes_room_and_a_lift_takes_none() {
        let mut known = Known::with_room(2);
        let mut set = |last, lifted| known.set(&opted_out(last), By::Source, lifted);
        // As exports come and go.
        for last in 0..100 {
            assert!(set(last, false).unwrap(), "{last}");
            assert!(set(last, true).unwrap(), "{last}");
        }
        set(100, false).unwrap();
        set(101, false).unwrap();
        assert!(matches!(set(102, false), Err(RestrictionsError::TooMany)));
        assert!(!set(102, true).unwrap(), "it never came in");
        assert!(set(100, true).unwrap());
        assert!(set(102, false).unwrap(), "there is room again");
        assert!(set(101, true).unwrap(), "and it was not forgotten");
    }
}
