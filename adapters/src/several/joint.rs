//! Asks all sources at once, and makes one answer of theirs.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use accord_proto::{
    clock::SharedClock, msisdn::Msisdn, observation::Observation, reason::Reason, signal::Signal,
};
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::Instant;

use super::Part;
use crate::{
    merge::{self, Said},
    source::{Observations, signal_bit},
};

/// A contradiction is logged so often for each signal, and counted each time.
const ALARM_EVERY: Duration = Duration::from_secs(60);

/// All parts, and what they do together.
#[derive(Debug)]
pub(super) struct Joint {
    pub(super) parts: Vec<Arc<Part>>,
    pub(super) clock: SharedClock,
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

impl Joint {
    pub(super) fn new(parts: Vec<Part>, signals: &[Signal], clock: SharedClock) -> Self {
        let alarm = |signal: &Signal| Alarm {
            signal: *signal,
            count: 0,
            logged_at: None,
            logged_count: 0,
        };
        Self {
            parts: parts.into_iter().map(Arc::new).collect(),
            clock,
            alarms: Mutex::new(signals.iter().map(alarm).collect()),
        }
    }

    /// How often the sources contradicted each other about each signal, since the start.
    pub(super) fn contradictions(&self) -> Vec<(Signal, u64)> {
        let alarms = self.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        alarms
            .iter()
            .map(|alarm| (alarm.signal, alarm.count))
            .collect()
    }

    /// Asks those that are believed.
    pub(super) async fn ask(
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

    /// What all say of one signal, in the order of the parts.
    pub(super) fn merged(
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
            // It did not say, which means the same.
            let said = said.map_or(Err(Reason::NotAvailable), |(_, said)| said.clone());
            Said {
                trust: part.trust(),
                outcome: match said {
                    Err(Reason::NotOurs) => said,
                    // Nobody waits for what it can't say.
                    Ok(_) | Err(_) if !part.answers(signal) => Err(Reason::NotAvailable),
                    Ok(_) | Err(_) => said,
                },
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
