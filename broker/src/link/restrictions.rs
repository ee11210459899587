//! Opt-outs, swap locks and kill switches that an adapter sent. They apply to the view as to the
//! source.

use std::{
    collections::HashSet,
    sync::{RwLock, RwLockReadGuard},
};

use accord_proto::{msisdn::Msisdn, party::OrgName, signal::Signal};

/// The most subjects of one kind that one adapter may restrict.
pub const SUBJECTS_MAX: usize = 2_000_000;
/// The most kill switches of one adapter.
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
#[derive(Debug, Default)]
pub struct Restrictions {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    opted_out: HashSet<NumberDigest>,
    swap_locked: HashSet<NumberDigest>,
    killed: HashSet<KillSwitch>,
}

/// Too many restrictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more restrictions than one adapter may set")]
pub struct TooMany;

impl Restrictions {
    /// Sets or lifts a subject's restriction.
    ///
    /// # Errors
    /// If there would be too many.
    pub fn subject(
        &self,
        subject: Subject,
        digest: NumberDigest,
        lifted: bool,
    ) -> Result<(), TooMany> {
        let Ok(mut inner) = self.inner.write() else {
            return Err(TooMany);
        };
        let set = match subject {
            Subject::OptedOut(_) => &mut inner.opted_out,
            Subject::SwapLocked(_) => &mut inner.swap_locked,
        };
        change(set, digest, lifted, SUBJECTS_MAX)
    }

    /// Sets or lifts a kill switch.
    ///
    /// # Errors
    /// If there would be too many.
    pub fn kill(&self, switch: KillSwitch, lifted: bool) -> Result<(), TooMany> {
        let Ok(mut inner) = self.inner.write() else {
            return Err(TooMany);
        };
        change(&mut inner.killed, switch, lifted, KILL_SWITCHES_MAX)
    }

    /// Whether the operator stopped this bank's signal. When in doubt it did.
    #[must_use]
    pub fn kills(&self, bank: &OrgName, signal: Signal) -> bool {
        self.read()
            .is_none_or(|inner| inner.killed.iter().any(|one| one.stops(bank, signal)))
    }

    /// Whether the subscriber has opted out. When in doubt it has.
    #[must_use]
    pub fn opted_out(&self, digest: &NumberDigest) -> bool {
        self.read()
            .is_none_or(|inner| inner.opted_out.contains(digest))
    }

    /// Whether the subscriber has locked the SIM.
    #[must_use]
    pub fn swap_locked(&self, digest: &NumberDigest) -> bool {
        self.read()
            .is_some_and(|inner| inner.swap_locked.contains(digest))
    }

    fn read(&self) -> Option<RwLockReadGuard<'_, Inner>> {
        self.inner.read().ok()
    }
}

fn change<T: Eq + std::hash::Hash>(
    set: &mut HashSet<T>,
    item: T,
    lifted: bool,
    len_max: usize,
) -> Result<(), TooMany> {
    if lifted {
        set.remove(&item);
    } else if set.len() < len_max {
        set.insert(item);
    } else {
        return Err(TooMany);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bank(name: &str) -> OrgName {
        OrgName::parse(name).unwrap()
    }

    #[test]
    fn a_kill_switch_stops_what_it_names() {
        let restrictions = Restrictions::default();
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
        let restrictions = Restrictions::default();
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
        let restrictions = Restrictions::default();
        let subject = Subject::OptedOut(Msisdn::parse("+447700900013").unwrap());
        restrictions.subject(subject, [1; 16], false).unwrap();
        assert!(restrictions.opted_out(&[1; 16]) && !restrictions.opted_out(&[2; 16]));
        restrictions.subject(subject, [1; 16], true).unwrap();
        assert!(!restrictions.opted_out(&[1; 16]));
    }
}
