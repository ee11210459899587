//! A breaker for each adapter: after several failures in a row it is left alone for a while, then
//! one ask tries it again.

use tokio::time::{Duration, Instant};

/// Failures in a row that open the breaker.
const FAILURES_MAX: u32 = 5;
/// For how long it stays open before one ask tries again.
const OPEN_FOR: Duration = Duration::from_secs(2);

/// The state of one adapter.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    open_until: Option<Instant>,
}

impl Breaker {
    /// Whether an ask might be sent now.
    pub(super) fn admits(&self, now: Instant) -> bool {
        self.open_until.is_none_or(|until| now >= until)
    }

    /// Whether this ask is sent now. While open, one ask each [`OPEN_FOR`] goes through, and this
    /// is it: so this is called for an adapter that is really asked.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        let admitted = self.admits(now);
        if admitted && self.open_until.is_some() {
            self.open_until = Some(now + OPEN_FOR);
        }
        admitted
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    pub(super) fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES_MAX {
            self.open_until = Some(now + OPEN_FOR);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn opens_after_failures_in_a_row_and_tries_again_later() {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES_MAX {
            assert!(breaker.begin(Instant::now()));
            breaker.failed(Instant::now());
        }
        assert!(!breaker.admits(Instant::now()));
        tokio::time::advance(OPEN_FOR).await;
        assert!(breaker.admits(Instant::now()), "a look spends nothing");
        assert!(breaker.begin(Instant::now()), "one ask tries");
        assert!(!breaker.begin(Instant::now()), "only one");
        breaker.succeeded();
        assert!(breaker.begin(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn one_success_forgets_failures() {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES_MAX * 3 {
            breaker.failed(Instant::now());
            breaker.succeeded();
        }
        assert!(breaker.admits(Instant::now()));
    }
}
