//! How often one operator's links may add to the ledger.

use std::sync::Mutex;

use tokio::time::{Duration, Instant};

use crate::unpoisoned;

/// One entry in this time, over long.
const ENTRY_EVERY: Duration = Duration::from_millis(100);
/// Entries that may come at once, after a silence.
const BURST_MAX: u32 = 256;

/// Turns of one operator: a loop in an adapter can't fill the ledger.
#[derive(Debug, Default)]
pub struct Pace {
    /// When all turns given so far are paid for.
    paid: Mutex<Option<Instant>>,
}

impl Pace {
    /// Takes turns for so many entries, and says when they may be made. `None`, and nothing taken,
    /// if that is later than in `wait_max`.
    #[must_use]
    pub fn turn(&self, entries: u32, wait_max: Duration) -> Option<Instant> {
        let now = Instant::now();
        let mut paid = unpoisoned::lock(&self.paid);
        let after = paid.map_or(now, |paid| paid.max(now)) + ENTRY_EVERY * entries;
        let at = after
            .checked_sub(ENTRY_EVERY * BURST_MAX)
            .map_or(now, |at| at.max(now));
        if at.duration_since(now) > wait_max {
            return None;
        }
        *paid = Some(after);
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_a_loop_waits_or_is_refused() {
        let pace = Pace::default();
        let now = Instant::now();
        for _ in 0..BURST_MAX {
            assert_eq!(pace.turn(1, Duration::ZERO), Some(now));
        }
        assert_eq!(pace.turn(1, Duration::ZERO), None);
        let next = pace.turn(1, Duration::from_secs(1)).unwrap();
        assert_eq!(next, now + ENTRY_EVERY);
        tokio::time::advance(ENTRY_EVERY * 2).await;
        assert_eq!(pace.turn(1, Duration::ZERO), Some(Instant::now()));
    }
}
