//! Several sources, asked at once, each with its own time, ceiling and breaker, and made one by
//! `crate::merge`.
//!
//! ```text
//!            ┌─ part: believed signals · ceiling · in flight · breaker · timeout ─▶ source
//!   ask ─────┤                                                                        │
//!            └─ part: …                                            ◀── observations ──┘
//!              └──────────▶ merge, a signal at a time ──▶ observations
//! ```
//!
//! An adapter of one source is one of several that has a single part.

mod breaker;
mod ceiling;
mod joined;
mod part;
mod stats;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use accord_proto::{
    clock::SharedClock, msisdn::Msisdn, observation::Observation, reason::Reason, signal::Signal,
};
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::{sync::mpsc, time::Instant};

pub use ceiling::Use;
pub use part::Part;
pub use stats::{Snapshot, Timing};

use crate::{
    merge::{self, Said},
    source::{Observations, RestrictionsWatch, Source, SourceChange, SourceFuture, signal_bit},
};

/// A contradiction is logged so often for each signal, and counted each time.
const ALARM_EVERY: Duration = Duration::from_secs(60);

/// All sources of one adapter, as one source.
#[derive(Debug)]
pub struct Several {
    parts: Vec<Arc<Part>>,
    signals: Vec<Signal>,
    clock: SharedClock,
    alarms: Mutex<Vec<Alarm>>,
}

/// Contradictions about one signal.
#[derive(Clone, Copy, Debug)]
struct Alarm {
    signal: Signal,
    count: u64,
    logged_at: Option<Instant>,
    logged_count: u64,
}

impl Several {
    /// Joins sources. Of one signal that several know, all are asked.
    #[must_use]
    pub fn new(parts: Vec<Part>, clock: SharedClock) -> Self {
        let known = |signal: &&Signal| parts.iter().any(|part| part.believed().contains(*signal));
        let signals: Vec<Signal> = Signal::ALL.iter().filter(known).copied().collect();
        let alarm = |signal: &Signal| Alarm {
            signal: *signal,
            count: 0,
            logged_at: None,
            logged_count: 0,
        };
        let alarms = Mutex::new(signals.iter().map(alarm).collect());
        Self {
            parts: parts.into_iter().map(Arc::new).collect(),
            signals,
            clock,
            alarms,
        }
    }

    /// The sources, in the order of the configuration.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().map(|part| &**part)
    }

    /// How often the sources contradicted each other about each signal, since the start.
    #[must_use]
    pub fn contradictions(&self) -> Vec<(Signal, u64)> {
        let alarms = self.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        alarms
            .iter()
            .map(|alarm| (alarm.signal, alarm.count))
            .collect()
    }

    async fn ask(
        &self,
        msisdn: Msisdn,
        signals: &[Signal],
        deadline: Instant,
        bulk: bool,
    ) -> Observations {
        let bits = signals.iter().fold(0, |bits, one| bits | signal_bit(*one));
        let asking = self
            .parts
            .iter()
            .map(|part| part.ask(msisdn, bits, deadline, bulk));
        let told = join_all(asking).await;
        let now = self.clock.now();
        let merged = |signal: &Signal| (*signal, self.merged(*signal, &told, now));
        Observations {
            signals: signals.iter().map(merged).collect(),
            customer_lock: told.iter().any(|told| told.customer_lock),
            opted_out: told.iter().any(|told| told.opted_out),
        }
    }

    fn merged(
        &self,
        signal: Signal,
        told: &[Observations],
        now: Timestamp,
    ) -> Result<Observation, Reason> {
        let believed = self
            .parts
            .iter()
            .zip(told)
            .filter(|(part, _)| part.believed().contains(&signal));
        let said = believed.map(|(part, told)| {
            let said = told.signals.iter().find(|(of, _)| *of == signal);
            Said {
                trust: part.trust(),
                // It did not say, which means the same.
                outcome: said.map_or(Err(Reason::NotAvailable), |(_, said)| said.clone()),
            }
        });
        let said = said.collect::<Vec<_>>();
        let merged = merge::merge(signal, &said, now);
        if merged == Err(Reason::Contradicted) && said.len() > 1 {
            self.alarm(signal);
        }
        merged
    }

    fn alarm(&self, signal: Signal) {
        let mut alarms = self.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(alarm) = alarms.iter_mut().find(|alarm| alarm.signal == signal) else {
            return;
        };
        alarm.count += 1;
        let now = Instant::now();
        let due = alarm
            .logged_at
            .is_none_or(|at| now.duration_since(at) >= ALARM_EVERY);
        if due {
            tracing::error!(
                %signal,
                times = alarm.count - alarm.logged_count,
                "the sources contradict each other; banks are told `contradicted`"
            );
            alarm.logged_at = Some(now);
            alarm.logged_count = alarm.count;
        }
    }
}

impl Source for Several {
    fn signals(&self) -> &[Signal] {
        &self.signals
    }

    fn observe<'a>(
        &'a self,
        msisdn: Msisdn,
        signals: &'a [Signal],
        deadline: Instant,
    ) -> SourceFuture<'a> {
        Box::pin(self.ask(msisdn, signals, deadline, false))
    }

    fn observe_bulk<'a>(
        &'a self,
        msisdn: Msisdn,
        signals: &'a [Signal],
        deadline: Instant,
    ) -> SourceFuture<'a> {
        Box::pin(self.ask(msisdn, signals, deadline, true))
    }

    fn changes(&self) -> Option<mpsc::Receiver<SourceChange>> {
        joined::changes(&self.parts, &self.clock)
    }

    fn restrictions(&self) -> Option<RestrictionsWatch> {
        joined::restrictions(&self.parts)
    }
}
