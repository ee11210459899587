//! What is counted of one source: asks, answers by reason, and how long it took. No subscriber.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use accord_proto::reason::Reason;

use crate::source::Observations;

/// Times are told of so many asks, the newest ones.
const TIMES_MAX: usize = 1_024;

#[derive(Debug)]
pub(super) struct Stats {
    asks: AtomicU64,
    answered: AtomicU64,
    /// In the order of `Reason::ALL`.
    reasons: Vec<AtomicU64>,
    times: Mutex<Times>,
}

#[derive(Debug, Default)]
struct Times {
    micros: Vec<u32>,
    next: usize,
}

/// What was counted since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Questions that the source was to answer.
    pub asks: u64,
    /// Signals answered with an observation.
    pub answered: u64,
    /// Signals without one, by reason; reasons that never came are left out.
    pub reasons: Vec<(Reason, u64)>,
    /// How long the newest asks took; `None`: none yet.
    pub took: Option<Timing>,
}

/// How long asks took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Half of them took no longer.
    pub p50: Duration,
    /// 95 of a hundred took no longer.
    pub p95: Duration,
}

impl Stats {
    pub(super) fn new() -> Self {
        Self {
            asks: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            reasons: Reason::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
            times: Mutex::default(),
        }
    }

    /// Counts what was said; `took` is `None` where the source was not asked.
    pub(super) fn count(&self, told: &Observations, took: Option<Duration>) {
        self.asks.fetch_add(1, Ordering::Relaxed);
        for (_, said) in &told.signals {
            match said {
                Ok(_) => self.answered.fetch_add(1, Ordering::Relaxed),
                Err(reason) => self.count_reason(*reason),
            };
        }
        if let Some(took) = took {
            let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
            let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
            let next = times.next;
            if let Some(slot) = times.micros.get_mut(next) {
                *slot = micros;
            } else {
                times.micros.push(micros);
            }
            times.next = (next + 1) % TIMES_MAX;
        }
    }

    fn count_reason(&self, reason: Reason) -> u64 {
        let mut all = Reason::ALL.iter().zip(&self.reasons);
        let counter = all.find_map(|(of, counter)| (*of == reason).then_some(counter));
        counter.map_or(0, |counter| counter.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let counted = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let reasons = Reason::ALL.iter().zip(&self.reasons);
        Snapshot {
            asks: counted(&self.asks),
            answered: counted(&self.answered),
            reasons: reasons
                .map(|(reason, counter)| (*reason, counted(counter)))
                .filter(|(_, count)| *count > 0)
                .collect(),
            took: self.timing(),
        }
    }

    fn timing(&self) -> Option<Timing> {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let mut micros = times.micros.clone();
        drop(times);
        micros.sort_unstable();
        // The smallest time that so many of a hundred do not exceed.
        let quantile = |hundredths: usize| {
            let rank = (micros.len() * hundredths).div_ceil(100);
            let micros = micros.get(rank.checked_sub(1)?)?;
            Some(Duration::from_micros(u64::from(*micros)))
        };
        Some(Timing {
            p50: quantile(50)?,
            p95: quantile(95)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use accord_proto::signal::Signal;

    use super::*;

    #[test]
    fn answers_are_counted_by_reason_and_times_by_rank() {
        let stats = Stats::new();
        assert_eq!(stats.snapshot().took, None);
        for millis in 1..=100 {
            let told = Observations::all(&[Signal::SimSwap, Signal::Roaming], Reason::Timeout);
            stats.count(&told, Some(Duration::from_millis(millis)));
        }
        let overloaded = Observations::all(&[Signal::SimSwap], Reason::Overloaded);
        stats.count(&overloaded, None);
        let counted = stats.snapshot();
        assert_eq!((counted.asks, counted.answered), (101, 0));
        let reasons = [(Reason::Timeout, 200), (Reason::Overloaded, 1)];
        assert_eq!(counted.reasons, reasons);
        let expected = Timing {
            p50: Duration::from_millis(50),
            p95: Duration::from_millis(95),
        };
        assert_eq!(counted.took, Some(expected));
    }

    #[test]
    fn only_the_newest_times_are_kept() {
        let stats = Stats::new();
        for millis in 0..3 * TIMES_MAX as u64 {
            stats.count(
                &Observations::default(),
                Some(Duration::from_millis(millis)),
            );
        }
        assert_eq!(stats.times.lock().unwrap().micros.len(), TIMES_MAX);
        let p50 = stats.snapshot().took.unwrap().p50;
        assert!(
            p50 >= Duration::from_millis(2 * TIMES_MAX as u64),
            "{p50:?}"
        );
    }
}
