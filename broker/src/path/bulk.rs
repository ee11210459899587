//! The turns of screenings' lines: all screenings together leave a quarter of the path's permits to
//! single questions, and no bank takes more than its share of the rest.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};

use accord_proto::party::OrgName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::unpoisoned;

/// The turns of every bank's lines: a quarter of the path's permits for each bank, and three
/// quarters for all of them.
#[derive(Debug)]
pub(super) struct BulkTurns {
    all: Arc<Semaphore>,
    banks: RwLock<HashMap<OrgName, Arc<Semaphore>>>,
    bank_max: usize,
}

/// One line's turn, held until its entry is durable.
#[derive(Debug)]
pub(super) struct Turn {
    _all: OwnedSemaphorePermit,
    _bank: OwnedSemaphorePermit,
}

impl BulkTurns {
    /// Turns beside this many permits of the path.
    pub(super) fn new(permits: usize) -> Self {
        // Rounded up: what is left is at least a quarter.
        let all_max = permits - permits.div_ceil(4);
        Self {
            all: Arc::new(Semaphore::new(all_max.max(1))),
            banks: RwLock::default(),
            bank_max: (permits / 4).max(1),
        }
    }

    /// Waits for one of the bank's turns, then for one of all: a bank that has used up its share
    /// holds no place in the others' queue. `None` only if the turns are broken.
    pub(super) async fn turn(&self, bank: &OrgName) -> Option<Turn> {
        let of_bank = self.of_bank(bank).acquire_owned().await.ok()?;
        let of_all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Turn {
            _all: of_all,
            _bank: of_bank,
        })
    }

    /// Licensed banks are few, and only a licensed bank's screening gets here.
    fn of_bank(&self, bank: &OrgName) -> Arc<Semaphore> {
        if let Some(known) = unpoisoned::read(&self.banks).get(bank) {
            return Arc::clone(known);
        }
        let mut banks = unpoisoned::write(&self.banks);
        let fresh = || Arc::new(Semaphore::new(self.bank_max));
        Arc::clone(banks.entry(bank.clone()).or_insert_with(fresh))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_millis(1);

    fn org(name: &str) -> OrgName {
        OrgName::parse(name).unwrap()
    }

    /// All the turns that a bank gets now.
    async fn take_all(turns: &BulkTurns, bank: &str) -> Vec<Turn> {
        let mut held = Vec::new();
        while let Ok(Some(turn)) = timeout(SOON, turns.turn(&org(bank))).await {
            held.push(turn);
        }
        held
    }

    #[tokio::test(start_paused = true)]
    async fn one_bank_leaves_turns_to_the_others() {
        let turns = BulkTurns::new(16);
        let mut held = take_all(&turns, "a-bank").await;
        assert_eq!(held.len(), 4);
        assert!(timeout(SOON, turns.turn(&org("b-bank"))).await.is_ok());
        held.clear();
        assert!(timeout(SOON, turns.turn(&org("a-bank"))).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn all_banks_together_leave_a_quarter_to_single_questions() {
        for (permits, left) in [(4, 1), (16, 4), (18, 5), (4_096, 1_024)] {
            let turns = BulkTurns::new(permits);
            let mut held = Vec::new();
            for bank in ["a-bank", "b-bank", "c-bank", "d-bank", "e-bank"] {
                held.extend(take_all(&turns, bank).await);
            }
            assert_eq!(permits - held.len(), left, "of {permits}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_bank_beyond_its_share_stands_in_nobodys_way() {
        let turns = BulkTurns::new(16);
        let held = take_all(&turns, "a-bank").await;
        let (bank, other) = (org("a-bank"), org("b-bank"));
        let mut waiting: Vec<_> = (0..100).map(|_| Box::pin(turns.turn(&bank))).collect();
        for one in &mut waiting {
            assert!(futures_util::poll!(one.as_mut()).is_pending());
        }
        assert!(timeout(SOON, turns.turn(&other)).await.is_ok());
        drop((waiting, held));
    }
}
