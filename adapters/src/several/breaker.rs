//! A breaker: a source that hangs is left alone for a while, so that it costs the others nothing.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// So many asks in a row without an answer in time, and it is left alone.
const FAILURES_MAX: u32 = 5;
/// For so long at first, and twice as long after each failed try.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    pause: Duration,
    left_alone_until: Option<Instant>,
    /// One ask finds out whether it answers again.
    trying: bool,
}

/// What a breaker says to an ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admits {
    /// It answers, as far as anybody knows.
    Ask,
    /// This ask finds out whether it answers again.
    Try,
    /// It is left alone.
    Nobody,
}

impl Breaker {
    /// Whether the source may be asked now. After a pause one ask may, and until it is answered no
    /// other.
    pub(super) fn admits(&self, now: Instant) -> Admits {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.left_alone_until {
            Some(until) if now < until => Admits::Nobody,
            Some(_) => {
                // Should the one that tries come to no end, the next pause ends too.
                state.left_alone_until = Some(now + state.pause);
                state.trying = true;
                Admits::Try
            }
            None => Admits::Ask,
        }
    }

    /// Whether it is left alone.
    pub(super) fn is_open(&self) -> bool {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.left_alone_until.is_some()
    }

    /// It answered in time. True if it had been left alone.
    pub(super) fn answered(&self) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let was_open = state.left_alone_until.is_some();
        *state = State::default();
        was_open
    }

    /// It did not answer in time. True if it is left alone from now on.
    pub(super) fn hung(&self, now: Instant) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures = state.failures.saturating_add(1);
        if state.failures < FAILURES_MAX {
            return false;
        }
        let newly = state.left_alone_until.is_none();
        // What began before the pause and ends in it says nothing new.
        if newly || state.trying {
            state.trying = false;
            state.pause = (state.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
            state.left_alone_until = Some(now + state.pause);
        }
        newly
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_five_in_a_row_it_is_left_alone_then_one_ask_tries() {
        let breaker = Breaker::default();
        for failed in 1..=FAILURES_MAX {
            assert_eq!(breaker.admits(Instant::now()), Admits::Ask);
            assert_eq!(breaker.hung(Instant::now()), failed == FAILURES_MAX);
        }
        assert_eq!(breaker.admits(Instant::now()), Admits::Nobody);
        assert!(breaker.is_open());
        tokio::time::advance(PAUSE_MIN).await;
        assert_eq!(breaker.admits(Instant::now()), Admits::Try);
        assert_eq!(
            breaker.admits(Instant::now()),
            Admits::Nobody,
            "one tries, not two"
        );
        assert!(breaker.answered());
        assert_eq!(breaker.admits(Instant::now()), Admits::Ask);
        assert!(!breaker.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn the_pause_grows_to_its_limit() {
        let breaker = Breaker::default();
        for _ in 0..FAILURES_MAX {
            breaker.hung(Instant::now());
        }
        for _ in 0..10 {
            tokio::time::advance(PAUSE_MAX).await;
            assert_eq!(breaker.admits(Instant::now()), Admits::Try);
            tokio::time::advance(Duration::from_millis(500)).await;
            breaker.hung(Instant::now());
        }
        tokio::time::advance(PAUSE_MAX - Duration::from_millis(1)).await;
        assert_eq!(breaker.admits(Instant::now()), Admits::Nobody);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(breaker.admits(Instant::now()), Admits::Try);
    }

    #[test]
    fn an_answer_between_failures_begins_the_count_anew() {
        let breaker = Breaker::default();
        let now = Instant::now();
        for _ in 0..20 {
            assert!(!breaker.hung(now));
            assert!(!breaker.answered());
        }
    }
}
