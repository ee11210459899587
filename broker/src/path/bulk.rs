//! Each bank's turns of screenings' lines: all screenings together get what single questions leave
//! (`parts`), and no bank takes all of that.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};

use accord_proto::party::OrgName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The turns of every bank's lines: a quarter of the path's permits for each.
#[derive(Debug)]
pub(super) struct BulkTurns {
    banks: RwLock<HashMap<OrgName, Arc<Semaphore>>>,
    bank_max: usize,
}

impl BulkTurns {
    /// Turns beside this many permits of the path.
    pub(super) fn new(permits: usize) -> Self {
        Self {
            banks: RwLock::default(),
            bank_max: (permits / 4).max(1),
        }
    }

    /// Waits for one of the bank's turns. `None` only if the turns are broken.
    pub(super) async fn turn(&self, bank: &OrgName) -> Option<OwnedSemaphorePermit> {
        self.of_bank(bank)?.acquire_owned().await.ok()
    }

    /// Licensed banks are few, and only a licensed bank's screening gets here.
    fn of_bank(&self, bank: &OrgName) -> Option<Arc<Semaphore>> {
        if let Some(known) = self.banks.read().ok()?.get(bank) {
            return Some(Arc::clone(known));
        }
        let mut banks = self.banks.write().ok()?;
        let fresh = || Arc::new(Semaphore::new(self.bank_max));
        Some(Arc::clone(banks.entry(bank.clone()).or_insert_with(fresh)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_bank_leaves_turns_to_the_others() {
        let turns = BulkTurns::new(16);
        let org = |name| OrgName::parse(name).unwrap();
        let soon = Duration::from_millis(1);
        let mut held = Vec::new();
        while let Ok(Some(turn)) = timeout(soon, turns.turn(&org("a-bank"))).await {
            held.push(turn);
        }
        assert_eq!(held.len(), 4);
        assert!(timeout(soon, turns.turn(&org("b-bank"))).await.is_ok());
        held.clear();
        assert!(timeout(soon, turns.turn(&org("a-bank"))).await.is_ok());
    }
}
