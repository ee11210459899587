//! Two guards before each batch: the clock that times it and the space that holds it.

use std::path::PathBuf;
use std::time::Duration;

use accord_proto::clock::SharedClock;
use jiff::Timestamp;
use tokio::time::Instant;

/// The fastest that the kernel slews a clock: 500 parts per million. Slower than that is no step.
const SLEW_PER_MILLION_MAX: i64 = 500;
/// How often the free space is asked for.
const FREE_EVERY: Duration = Duration::from_secs(1);

/// Compares the wall clock with the monotonic one.
#[derive(Debug)]
pub(super) struct ClockGuard {
    clock: SharedClock,
    step_ms_max: i64,
    started: Instant,
    /// Wall minus monotonic time, in milliseconds, as last believed.
    offset_ms: i64,
    believed_ms: i64,
}

impl ClockGuard {
    pub(super) fn new(clock: SharedClock, step_max: Duration) -> Self {
        let offset_ms = clock.now().as_millisecond();
        Self {
            clock,
            step_ms_max: i64::try_from(step_max.as_millis()).unwrap_or(i64::MAX),
            started: Instant::now(),
            offset_ms,
            believed_ms: 0,
        }
    }

    /// The wall clock, unless it stepped.
    pub(super) fn now(&mut self) -> Option<Timestamp> {
        let wall = self.clock.now();
        let elapsed = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        let change = wall.as_millisecond() - elapsed - self.offset_ms;
        if change.abs() > self.step_ms_max {
            return None;
        }
        // Slewing moves what is believed along; a series of small steps does not.
        let slew = (elapsed - self.believed_ms) * SLEW_PER_MILLION_MAX / 1_000_000;
        if slew > 0 {
            self.offset_ms += change.clamp(-slew, slew);
            self.believed_ms = elapsed;
        }
        Some(wall)
    }
}

/// Watches the free space of the ledger's disk.
#[derive(Debug)]
pub(super) struct SpaceGuard {
    dir: PathBuf,
    free_bytes_min: u64,
    asked: Option<Instant>,
    low: bool,
}

impl SpaceGuard {
    pub(super) const fn new(dir: PathBuf, free_bytes_min: u64) -> Self {
        Self {
            dir,
            free_bytes_min,
            asked: None,
            low: false,
        }
    }

    /// True below the mark; asks the system at most once a second.
    pub(super) fn is_low(&mut self) -> bool {
        if self.asked.is_none_or(|asked| asked.elapsed() >= FREE_EVERY) {
            self.asked = Some(Instant::now());
            // A disk that doesn't answer is no disk with space.
            self.low = rustix::fs::statvfs(&self.dir).map_or(true, |stat| {
                stat.f_bavail.saturating_mul(stat.f_frsize) < self.free_bytes_min
            });
        }
        self.low
    }
}

#[cfg(test)]
mod tests {
    use accord_proto::clock::ManualClock;
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_step_beyond_the_limit_is_noticed_until_it_is_taken_back() {
        let clock = ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap());
        let mut guard = ClockGuard::new(clock.clone(), Duration::from_secs(60));
        assert!(guard.now().is_some());
        for step in [3600, -3600] {
            clock.step(SignedDuration::from_secs(step));
            assert!(guard.now().is_none());
            clock.step(SignedDuration::from_secs(-step));
            assert!(guard.now().is_some());
        }
    }

    #[test]
    fn many_small_steps_are_one_large_step() {
        let clock = ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap());
        let mut guard = ClockGuard::new(clock.clone(), Duration::from_secs(60));
        let steps = (0..10).take_while(|_| {
            clock.step(SignedDuration::from_secs(25));
            guard.now().is_some()
        });
        assert_eq!(steps.count(), 2);
    }

    #[test]
    fn the_free_space_mark_is_compared_with_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!SpaceGuard::new(dir.path().into(), 1).is_low());
        assert!(SpaceGuard::new(dir.path().into(), u64::MAX).is_low());
        assert!(SpaceGuard::new(dir.path().join("absent"), 1).is_low());
    }
}
