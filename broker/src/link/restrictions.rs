//! Opt-outs, swap locks and kill switches that an adapter sent. They apply to the view as to the
//! source.

use std::{
    collections::HashSet,
    hash::Hash,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use accord_proto::{msisdn::Msisdn, party::OrgName, signal::Signal};

/// The most subjects that one operator may restrict, of all its adapters together. A set that is
/// about to replace another counts beside it, so this is a few times what one adapter keeps.
pub const SUBJECTS_MAX: usize = 3_000_000;
/// The most kill switches of one operator, counted in the same way.
pub const KILL_SWITCHES_MAX: usize = 10_000;

/// A number as it is held here: a digest under a key of the process, never the number.
pub type NumberDigest = [u8; 16];

/// What the operator stopped: one bank, one signal, one bank's signal, or all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KillSwitch {
    /// Only for this bank.
    pub bank: Option<OrgName>,
    /// Only for this signal.
    pub signal: Option<Signal>,
}

impl KillSwitch {
    fn stops(&self, bank: &OrgName, signal: Signal) -> bool {
        self.bank.as_ref().is_none_or(|stopped| stopped == bank)
            && self.signal.is_none_or(|stopped| stopped == signal)
    }
}

/// One restriction, parsed.
#[derive(Clone, Copy, Debug)]
pub enum Subject {
    /// The subscriber has opted out.
    OptedOut(Msisdn),
    /// The subscriber has locked the SIM.
    SwapLocked(Msisdn),
}

/// What one adapter restricts.
#[derive(Debug)]
pub struct Restrictions {
    inner: RwLock<Inner>,
    budget: Arc<Budget>,
    overflowed: AtomicBool,
}

/// What one operator restricts, counted.
#[derive(Debug, Default)]
pub(super) struct Budget {
    subjects: AtomicUsize,
    killed: AtomicUsize,
}

#[cfg(test)]
impl Budget {
    pub(super) fn use_up(&self, subjects: usize) {
        self.subjects.fetch_add(subjects, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
struct Inner {
    opted_out: HashSet<NumberDigest>,
    swap_locked: HashSet<NumberDigest>,
    killed: HashSet<KillSwitch>,
}

/// Too many restrictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more restrictions than one operator may set")]
pub struct TooMany;

impl Restrictions {
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        Self {
            inner: RwLock::default(),
            budget,
            overflowed: AtomicBool::new(false),
        }
    }

    /// Sets or lifts a subject's restriction.
    pub(super) fn subject(
        &self,
        subject: Subject,
        digest: NumberDigest,
        lifted: bool,
    ) -> Result<(), TooMany> {
        let used = Used(&self.budget.subjects, SUBJECTS_MAX);
        self.change(lifted, |inner| {
            let set = match subject {
                Subject::OptedOut(_) => &mut inner.opted_out,
                Subject::SwapLocked(_) => &mut inner.swap_locked,
            };
            used.change(set, digest, lifted)
        })
    }

    /// Sets or lifts a kill switch.
    pub(super) fn kill(&self, switch: KillSwitch, lifted: bool) -> Result<(), TooMany> {
        let used = Used(&self.budget.killed, KILL_SWITCHES_MAX);
        self.change(lifted, |inner| {
            used.change(&mut inner.killed, switch, lifted)
        })
    }

    /// Takes over what another set holds.
    pub(super) fn absorb(&self, other: &Self) {
        let taken =
            std::mem::take(&mut *other.inner.write().unwrap_or_else(PoisonError::into_inner));
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        // They are counted already; what is in both was counted twice.
        let [subjects, killed] = [&self.budget.subjects, &self.budget.killed];
        merge(&mut inner.opted_out, taken.opted_out, subjects);
        merge(&mut inner.swap_locked, taken.swap_locked, subjects);
        merge(&mut inner.killed, taken.killed, killed);
        if other.has_overflowed() {
            self.overflowed.store(true, Ordering::Release);
        }
    }

    /// Whether the operator stopped this bank's signal. When in doubt it did.
    pub(super) fn kills(&self, bank: &OrgName, signal: Signal) -> bool {
        self.read()
            .is_none_or(|inner| inner.killed.iter().any(|one| one.stops(bank, signal)))
    }

    /// Whether the subscriber has opted out. When in doubt it has.
    pub(super) fn opted_out(&self, digest: &NumberDigest) -> bool {
        self.read()
            .is_none_or(|inner| inner.opted_out.contains(digest))
    }

    /// Whether the subscriber has locked the SIM.
    pub(super) fn swap_locked(&self, digest: &NumberDigest) -> bool {
        self.read()
            .is_some_and(|inner| inner.swap_locked.contains(digest))
    }

    /// Whether this very switch is set.
    pub(super) fn has_kill(&self, switch: &KillSwitch) -> bool {
        self.read()
            .is_some_and(|inner| inner.killed.contains(switch))
    }

    /// The kill switches set here and not in another set.
    pub(super) fn kills_beyond(&self, other: &Self) -> Vec<KillSwitch> {
        match (self.read(), other.read()) {
            (Some(inner), Some(other)) => inner.killed.difference(&other.killed).cloned().collect(),
            (None, _) | (_, None) => Vec::new(),
        }
    }

    /// Whether there were more than may be held, so that some are not.
    pub(super) fn has_overflowed(&self) -> bool {
        self.overflowed.load(Ordering::Acquire)
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.has_overflowed()
            && self.read().is_some_and(|inner| {
                inner.opted_out.is_empty()
                    && inner.swap_locked.is_empty()
                    && inner.killed.is_empty()
            })
    }

    fn change(
        &self,
        lifted: bool,
        change: impl FnOnce(&mut Inner) -> Result<(), TooMany>,
    ) -> Result<(), TooMany> {
        let changed = match self.inner.write() {
            Ok(mut inner) => change(&mut inner),
            Err(_) => Err(TooMany),
        };
        if changed.is_err() && !lifted {
            self.overflowed.store(true, Ordering::Release);
        }
        changed
    }

    fn read(&self) -> Option<RwLockReadGuard<'_, Inner>> {
        self.inner.read().ok()
    }
}

impl Drop for Restrictions {
    fn drop(&mut self) {
        let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
        let subjects = inner.opted_out.len() + inner.swap_locked.len();
        self.budget.subjects.fetch_sub(subjects, Ordering::Relaxed);
        self.budget
            .killed
            .fetch_sub(inner.killed.len(), Ordering::Relaxed);
    }
}

/// A count that several sets share, and its limit.
struct Used<'a>(&'a AtomicUsize, usize);

impl Used<'_> {
    fn change<T: Eq + Hash>(
        &self,
        set: &mut HashSet<T>,
        item: T,
        lifted: bool,
    ) -> Result<(), TooMany> {
        let Self(used, max) = *self;
        if lifted {
            used.fetch_sub(usize::from(set.remove(&item)), Ordering::Relaxed);
            return Ok(());
        }
        if set.contains(&item) {
            return Ok(());
        }
        let more = |used: usize| (used < max).then_some(used + 1);
        used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .map_err(|_| TooMany)?;
        set.insert(item);
        Ok(())
    }
}

fn merge<T: Eq + Hash>(into: &mut HashSet<T>, from: HashSet<T>, used: &AtomicUsize) {
    for item in from {
        if !into.insert(item) {
            used.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bank(name: &str) -> OrgName {
        OrgName::parse(name).unwrap()
    }

    #[test]
    fn a_kill_switch_stops_what_it_names() {
        let restrictions = Restrictions::new(Arc::default());
        let switch = KillSwitch {
            bank: Some(bank("first-bank")),
            signal: Some(Signal::SimSwap),
        };
        restrictions.kill(switch.clone(), false).unwrap();
        assert!(restrictions.kills(&bank("first-bank"), Signal::SimSwap));
        assert!(!restrictions.kills(&bank("first-bank"), Signal::Roaming));
        assert!(!restrictions.kills(&bank("second-bank"), Signal::SimSwap));
        restrictions.kill(switch, true).unwrap();
        assert!(!restrictions.kills(&bank("first-bank"), Signal::SimSwap));
    }

    #[test]
    fn an_empty_kill_switch_stops_all() {
        let restrictions = Restrictions::new(Arc::default());
        restrictions
            .kill(
                KillSwitch {
                    bank: None,
                    signal: None,
                },
                false,
            )
            .unwrap();
        assert!(restrictions.kills(&bank("second-bank"), Signal::Tenure));
    }

    #[test]
    fn an_opt_out_holds_until_lifted() {
        let restrictions = Restrictions::new(Arc::default());
        let subject = Subject::OptedOut(Msisdn::parse("+447700900013").unwrap());
        restrictions.subject(subject, [1; 16], false).unwrap();
        assert!(restrictions.opted_out(&[1; 16]) && !restrictions.opted_out(&[2; 16]));
        restrictions.subject(subject, [1; 16], true).unwrap();
        assert!(!restrictions.opted_out(&[1; 16]));
    }

    #[test]
    fn the_sets_of_one_operator_share_its_budget() {
        let budget = Arc::new(Budget::default());
        let [one, other] = [(); 2].map(|()| Restrictions::new(Arc::clone(&budget)));
        let subject = Subject::SwapLocked(Msisdn::parse("+447700900013").unwrap());
        budget.subjects.store(SUBJECTS_MAX - 2, Ordering::Relaxed);
        one.subject(subject, [1; 16], false).unwrap();
        one.subject(subject, [1; 16], false).unwrap();
        other.subject(subject, [1; 16], false).unwrap();
        assert_eq!(other.subject(subject, [2; 16], false), Err(TooMany));
        assert!(other.has_overflowed() && !one.has_overflowed());
        one.absorb(&other);
        one.subject(subject, [2; 16], false).unwrap();
        drop((one, other));
        assert_eq!(budget.subjects.load(Ordering::Relaxed), SUBJECTS_MAX - 2);
    }
}
