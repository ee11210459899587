//! Rates, by governor: the same for every bank (rule R22: no difference between banks), and each
//! clause's own.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, RwLock},
    time::Duration,
};

use accord_proto::{agreement::Clause, party::OrgName};
use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};

use crate::unpoisoned;

/// The rates of all banks. Keys are licensed banks and signed clauses, so the maps are small; there
/// is a limit all the same.
pub struct Rates {
    clock: DefaultClock,
    per_party: NonZeroU32,
    parties: RwLock<HashMap<OrgName, Arc<DefaultDirectRateLimiter>>>,
    clauses: RwLock<HashMap<(OrgName, String, u32), Arc<DefaultDirectRateLimiter>>>,
}

/// The most limiters of one kind; beyond it the map is begun anew.
const LIMITERS_MAX: usize = 100_000;

impl std::fmt::Debug for Rates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rates")
            .field("per_party", &self.per_party)
            .finish_non_exhaustive()
    }
}

impl Rates {
    /// Rates with this many questions a second for each party.
    #[must_use]
    pub fn new(per_party_per_second: NonZeroU32) -> Self {
        Self {
            clock: DefaultClock::default(),
            per_party: per_party_per_second,
            parties: RwLock::default(),
            clauses: RwLock::default(),
        }
    }

    /// Takes one call of a party's rate, or says how long to wait.
    pub(crate) fn party(&self, party: &OrgName) -> Result<(), Duration> {
        check(
            &self.clock,
            &limiter(&self.parties, party, || party.clone(), self.per_party),
        )
    }

    /// Takes one question of a clause's rate.
    pub(super) fn clause(&self, bank: &OrgName, clause: &Clause) -> Result<(), Duration> {
        let Some(per_second) = NonZeroU32::new(clause.per_second) else {
            return Ok(());
        };
        let key = (
            bank.clone(),
            clause.id.as_str().to_owned(),
            clause.per_second,
        );
        check(
            &self.clock,
            &limiter(&self.clauses, &key, || key.clone(), per_second),
        )
    }
}

/// The clock is made once: making one asks the CPU for its features, which a virtual machine has to
/// leave for, and that costs more than the rest of the question.
fn check(clock: &DefaultClock, limiter: &DefaultDirectRateLimiter) -> Result<(), Duration> {
    limiter
        .check()
        .map_err(|until| until.wait_time_from(clock.now()))
}

fn limiter<K: Eq + std::hash::Hash>(
    limiters: &RwLock<HashMap<K, Arc<DefaultDirectRateLimiter>>>,
    key: &K,
    owned: impl FnOnce() -> K,
    per_second: NonZeroU32,
) -> Arc<DefaultDirectRateLimiter> {
    if let Some(limiter) = unpoisoned::read(limiters).get(key) {
        return Arc::clone(limiter);
    }
    let mut known = unpoisoned::write(limiters);
    if known.len() >= LIMITERS_MAX {
        known.clear();
    }
    let fresh = || Arc::new(RateLimiter::direct(Quota::per_second(per_second)));
    Arc::clone(known.entry(owned()).or_insert_with(fresh))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_under_the_lock_lifts_no_rate() {
        let rates = Arc::new(Rates::new(NonZeroU32::new(1).unwrap()));
        let bank = OrgName::parse("first-bank").unwrap();
        assert!(rates.party(&bank).is_ok());
        let held = Arc::clone(&rates);
        let panicked = std::thread::spawn(move || {
            let _banks = held.parties.write().unwrap();
            panic!("under the lock");
        });
        assert!(panicked.join().is_err() && rates.parties.is_poisoned());
        assert!(rates.party(&bank).is_err());
    }

    #[test]
    fn each_bank_has_its_own_rate_and_the_same() {
        let rates = Rates::new(NonZeroU32::new(2).unwrap());
        for name in ["first-bank", "second-bank"] {
            let bank = OrgName::parse(name).unwrap();
            assert!(rates.party(&bank).is_ok());
            assert!(rates.party(&bank).is_ok());
            let wait = rates.party(&bank).unwrap_err();
            assert!(
                wait > Duration::ZERO && wait <= Duration::from_secs(1),
                "{wait:?}"
            );
        }
    }
}
