//! How many asks a second a source is given, and what of them a screening may take.
//!
//! A bucket of tokens, which fills at the ceiling's rate. A single question takes a token wherever
//! there is one; a screening's only where more than half of the bucket would be left. So screenings
//! get what single questions leave, down to nothing, and a burst of single questions never finds the
//! bucket emptied by a screening. (A `governor` can't be asked how much it has left, so this is not
//! one.)

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The bucket holds what comes in this time, and at least two tokens.
const BURST: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(crate) struct Ceiling {
    per_second: u32,
    capacity: f64,
    bucket: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled_at: Instant,
    /// The second that is counted, and the one before it.
    second_began: Instant,
    this_second: u32,
    last_second: u32,
}

/// How much of a ceiling is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// The ceiling.
    pub per_second: u32,
    /// Asks in the last whole second.
    pub last_second: u32,
}

impl Ceiling {
    pub(crate) fn new(per_second: u32) -> Self {
        let capacity = (f64::from(per_second) * BURST.as_secs_f64()).max(2.0);
        let now = Instant::now();
        let bucket = Bucket {
            tokens: capacity,
            filled_at: now,
            second_began: now,
            this_second: 0,
            last_second: 0,
        };
        Self {
            per_second,
            capacity,
            bucket: Mutex::new(bucket),
        }
    }

    /// Takes a token, if this kind of question may have one.
    pub(crate) fn admits(&self, bulk: bool, now: Instant) -> bool {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = now.saturating_duration_since(bucket.filled_at);
        let more = elapsed.as_secs_f64() * f64::from(self.per_second);
        bucket.tokens = (bucket.tokens + more).min(self.capacity);
        bucket.filled_at = now;
        bucket.turn(now);
        let reserved = if bulk { self.capacity / 2.0 } else { 0.0 };
        if bucket.tokens < 1.0 + reserved {
            return false;
        }
        bucket.tokens -= 1.0;
        bucket.this_second = bucket.this_second.saturating_add(1);
        true
    }

    pub(super) fn usage(&self, now: Instant) -> Use {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.turn(now);
        Use {
            per_second: self.per_second,
            last_second: bucket.last_second,
        }
    }
}

impl Bucket {
    fn turn(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.second_began).as_secs();
        if elapsed == 0 {
            return;
        }
        self.last_second = if elapsed == 1 { self.this_second } else { 0 };
        self.this_second = 0;
        self.second_began += Duration::from_secs(elapsed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks at a steady pace for ten seconds; how many of each kind were admitted in a second.
    async fn run(ceiling: &Ceiling, lookups: u32, bulk: u32) -> (u32, u32) {
        const SECONDS: u32 = 10;
        let mut admitted = (0, 0);
        for tick in 0..SECONDS * 1_000 {
            let due = |each: u32| (tick + 1) * each / 1_000 - tick * each / 1_000;
            for _ in 0..due(lookups) {
                admitted.0 += u32::from(ceiling.admits(false, Instant::now()));
            }
            for _ in 0..due(bulk) {
                admitted.1 += u32::from(ceiling.admits(true, Instant::now()));
            }
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        (admitted.0 / SECONDS, admitted.1 / SECONDS)
    }

    #[tokio::test(start_paused = true)]
    async fn a_screening_gets_what_lookups_leave_and_no_more() {
        // A bucket that is full at the start adds its burst to the first second.
        let (lookups, bulk) = run(&Ceiling::new(100), 60, 1_000).await;
        assert_eq!(lookups, 60, "no lookup was refused");
        assert!((38..=43).contains(&bulk), "{bulk}");
        let (lookups, bulk) = run(&Ceiling::new(100), 0, 1_000).await;
        assert_eq!(lookups, 0);
        assert!((98..=103).contains(&bulk), "{bulk}");
        let (lookups, bulk) = run(&Ceiling::new(100), 500, 1_000).await;
        assert!((99..=105).contains(&lookups), "{lookups}");
        assert!(bulk <= 3, "{bulk}");
    }

    #[tokio::test(start_paused = true)]
    async fn lookups_are_refused_beyond_the_ceiling_and_come_back() {
        let ceiling = Ceiling::new(10);
        let admitted = (0..100).filter(|_| ceiling.admits(false, Instant::now()));
        assert_eq!(admitted.count(), 5, "the burst of half a second");
        tokio::time::advance(Duration::from_millis(100)).await;
        assert!(ceiling.admits(false, Instant::now()));
        assert!(!ceiling.admits(false, Instant::now()));
        tokio::time::advance(Duration::from_millis(900)).await;
        assert_eq!(ceiling.usage(Instant::now()).last_second, 6);
    }
}
