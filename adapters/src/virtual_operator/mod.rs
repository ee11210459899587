//! The virtual operator: subscribers known by the last three digits of their numbers.
//!
//! Times are relative to now, so the stories stay true however long it runs. What it says is
//! deterministic; only [`VirtualOperator::swap_sim`] changes it.

mod numbers;

use std::{
    collections::HashMap,
    future::ready,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use accord_proto::{
    clock::SharedClock,
    msisdn::Msisdn,
    observation::{Change, ChangedIn, Observation, Observed, Roaming, SourceClass, SwapKind},
    reason::Reason,
    signal::Signal,
};
use jiff::{SignedDuration, Timestamp};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

pub use numbers::{Known, Life, Manner, Place, TEST_NUMBERS, TestNumber, quiet};

use crate::source::{Observations, Source, SourceChange, SourceFuture};

/// A source that invents its subscribers.
#[derive(Debug)]
pub struct VirtualOperator {
    prefix: String,
    /// Mobile country code of the network where its subscribers roam.
    visited_mcc: u16,
    clock: SharedClock,
    /// SIM swaps made at run time, by the last three digits.
    swaps: Mutex<HashMap<u16, (Timestamp, SwapKind)>>,
    pushes: mpsc::Sender<SourceChange>,
    pushed: Mutex<Option<mpsc::Receiver<SourceChange>>>,
}

/// Why there is no such virtual operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a virtual operator's prefix is `+` and 5 to 12 digits, such as `+447700900`")]
pub struct PrefixError;

impl VirtualOperator {
    /// An operator of the thousand numbers that begin with `prefix`, `+447700900` for example.
    ///
    /// # Errors
    /// If the prefix and three digits make no number.
    pub fn new(prefix: &str, clock: SharedClock) -> Result<Self, PrefixError> {
        Msisdn::parse(&format!("{prefix}000")).map_err(|_| PrefixError)?;
        let (pushes, pushed) = mpsc::channel(PUSHES_MAX);
        Ok(Self {
            prefix: prefix.to_owned(),
            visited_mcc: if prefix.starts_with("+33") {
                MCC_UK
            } else {
                MCC_FRANCE
            },
            clock,
            swaps: Mutex::default(),
            pushes,
            pushed: Mutex::new(Some(pushed)),
        })
    }

    /// Swaps a subscriber's SIM now, whatever the story says, and pushes the change. False if the
    /// number is not of this operator or too many changes wait.
    pub fn swap_sim(&self, msisdn: Msisdn, kind: SwapKind) -> bool {
        let Some(digits) = self.digits(&msisdn) else {
            return false;
        };
        let now = self.clock.now();
        self.swaps
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(digits, (now, kind));
        let change = SourceChange {
            msisdn,
            signal: Signal::SimSwap,
            observation: Observation {
                what: Observed::Change(swapped_at(now, kind)),
                observed_at: now,
                source: SourceClass::Virtual,
            },
        };
        self.pushes.try_send(change).is_ok()
    }

    /// The last three digits, if the number is of this operator.
    fn digits(&self, msisdn: &Msisdn) -> Option<u16> {
        let digits = msisdn.expose().strip_prefix(self.prefix.as_str())?;
        (digits.len() == 3).then(|| digits.parse().ok()).flatten()
    }

    fn tell(&self, digits: u16, life: &Life, signals: &[Signal]) -> Observations {
        let told = Told {
            life,
            now: self.clock.now(),
            visited_mcc: self.visited_mcc,
            swap: self
                .swaps
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(&digits)
                .copied(),
        };
        Observations {
            signals: signals
                .iter()
                .map(|signal| (*signal, told.signal(*signal)))
                .collect(),
            customer_lock: life.locked,
            ..Observations::default()
        }
    }
}

impl Source for VirtualOperator {
    fn signals(&self) -> &[Signal] {
        Signal::ALL
    }

    fn observe<'a>(
        &'a self,
        msisdn: Msisdn,
        signals: &'a [Signal],
        deadline: Instant,
    ) -> SourceFuture<'a> {
        let Some(digits) = self.digits(&msisdn) else {
            return Box::pin(ready(Observations::all(signals, Reason::NotOurs)));
        };
        let life = TEST_NUMBERS
            .get(usize::from(digits))
            .map_or_else(|| quiet(digits), |number| number.life);
        match life.manner {
            Manner::Prompt => Box::pin(ready(self.tell(digits, &life, signals))),
            Manner::Refuses(reason) => Box::pin(ready(Observations::all(signals, reason))),
            Manner::Slow(delay_ms) => Box::pin(async move {
                let answers_at = Instant::now() + Duration::from_millis(delay_ms);
                sleep_until(answers_at.min(deadline)).await;
                if answers_at > deadline {
                    return Observations::all(signals, Reason::Timeout);
                }
                self.tell(digits, &life, signals)
            }),
            Manner::Mute => Box::pin(async move {
                sleep_until(deadline).await;
                Observations::all(signals, Reason::Timeout)
            }),
        }
    }

    fn changes(&self) -> Option<mpsc::Receiver<SourceChange>> {
        self.pushed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// A life, seen at one moment.
struct Told<'a> {
    life: &'a Life,
    now: Timestamp,
    visited_mcc: u16,
    swap: Option<(Timestamp, SwapKind)>,
}

impl Told<'_> {
    fn signal(&self, signal: Signal) -> Result<Observation, Reason> {
        let what = match signal {
            Signal::SimSwap => match self.swap {
                Some((at, kind)) => Observed::Change(swapped_at(at, kind)),
                None => self.change(self.life.sim)?,
            },
            Signal::DeviceSwap => self.change(self.life.device)?,
            Signal::NumberRecycling | Signal::Tenure => self.change(self.life.holder)?,
            Signal::CallForwarding => {
                let active = self.life.forwarding.ok_or(Reason::NotAvailable)?;
                Observed::Forwarding(active.to_vec())
            }
            Signal::Roaming => Observed::Roaming(match self.life.place {
                Place::Home => Roaming {
                    roaming: false,
                    visited_mcc: None,
                },
                Place::Abroad => Roaming {
                    roaming: true,
                    visited_mcc: Some(self.visited_mcc),
                },
                Place::NotKnown => return Err(Reason::NotAvailable),
            }),
        };
        Ok(Observation {
            what,
            observed_at: self.ago(self.life.observed_ago_s),
            source: SourceClass::Virtual,
        })
    }

    fn change(&self, known: Known) -> Result<Observed, Reason> {
        let change = match known {
            Known::At(ago_s, kind) => Change {
                changed_in: Some(ChangedIn::at(self.ago(ago_s))),
                monitored_since: None,
                kind,
            },
            Known::Between(after_s, before_s, kind) => Change {
                changed_in: ChangedIn::new(self.ago(after_s), self.ago(before_s)),
                monitored_since: None,
                kind,
            },
            Known::NoneSince(ago_s) => Change {
                changed_in: None,
                monitored_since: Some(self.ago(ago_s)),
                kind: None,
            },
            Known::Contradicted => return Err(Reason::Contradicted),
        };
        Ok(Observed::Change(change))
    }

    fn ago(&self, seconds: i64) -> Timestamp {
        self.now
            .checked_sub(SignedDuration::from_secs(seconds))
            .unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

const fn swapped_at(at: Timestamp, kind: SwapKind) -> Change {
    Change {
        changed_in: Some(ChangedIn::at(at)),
        monitored_since: None,
        kind: Some(kind),
    }
}

/// Mobile country codes of ITU-T E.212.
const MCC_FRANCE: u16 = 208;
const MCC_UK: u16 = 234;
/// Pushed changes that may wait for the runtime.
const PUSHES_MAX: usize = 1_024;

#[cfg(test)]
mod tests;
