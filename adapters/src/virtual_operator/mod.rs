//! The virtual operator: subscribers known by the last three digits of their numbers.
//!
//! Times are relative to now, so the stories stay true however long it runs. What it says is
//! deterministic; only [`VirtualOperator::swap_sim`] and [`VirtualOperator::attack`] change it.

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
    observation::{
        AttackKind, Change, ChangedIn, Observation, Observed, Roaming, Signalling, SourceClass,
        SwapKind,
    },
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
    swaps: Happened<(Timestamp, SwapKind)>,
    /// Attacks made at run time, likewise.
    attacks: Happened<(Timestamp, AttackKind)>,
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
            attacks: Mutex::default(),
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
        remember(&self.swaps, digits, (now, kind));
        self.push(
            msisdn,
            Signal::SimSwap,
            Observed::Change(swapped_at(now, kind)),
            now,
        )
    }

    /// Lets an attack pass the signalling firewall now, and pushes it. False as for a swap.
    pub fn attack(&self, msisdn: Msisdn, kind: AttackKind) -> bool {
        let Some(digits) = self.digits(&msisdn) else {
            return false;
        };
        let now = self.clock.now();
        remember(&self.attacks, digits, (now, kind));
        let seen = self.told(digits, &life(digits)).signalling();
        self.push(
            msisdn,
            Signal::SignallingAnomaly,
            Observed::Signalling(seen),
            now,
        )
    }

    fn push(&self, msisdn: Msisdn, signal: Signal, what: Observed, observed_at: Timestamp) -> bool {
        let observation = Observation {
            what,
            observed_at,
            source: SourceClass::Virtual,
        };
        let change = SourceChange::told(msisdn, signal, observation);
        self.pushes.try_send(change).is_ok()
    }

    /// The last three digits, if the number is of this operator.
    fn digits(&self, msisdn: &Msisdn) -> Option<u16> {
        let digits = msisdn.expose().strip_prefix(self.prefix.as_str())?;
        (digits.len() == 3).then(|| digits.parse().ok()).flatten()
    }

    fn tell(&self, digits: u16, life: &Life, signals: &[Signal]) -> Observations {
        let told = self.told(digits, life);
        Observations {
            signals: signals
                .iter()
                .map(|signal| (*signal, told.signal(*signal)))
                .collect(),
            customer_lock: life.locked,
            ..Observations::default()
        }
    }

    fn told<'a>(&self, digits: u16, life: &'a Life) -> Told<'a> {
        Told {
            life,
            now: self.clock.now(),
            visited_mcc: self.visited_mcc,
            swap: recall(&self.swaps, digits),
            attack: recall(&self.attacks, digits),
        }
    }
}

/// What happened at run time, by the last three digits.
type Happened<T> = Mutex<HashMap<u16, T>>;

fn remember<T>(happened: &Happened<T>, digits: u16, what: T) {
    let mut happened = happened.lock().unwrap_or_else(PoisonError::into_inner);
    happened.insert(digits, what);
}

fn recall<T: Copy>(happened: &Happened<T>, digits: u16) -> Option<T> {
    let happened = happened.lock().unwrap_or_else(PoisonError::into_inner);
    happened.get(&digits).copied()
}

fn life(digits: u16) -> Life {
    TEST_NUMBERS
        .get(usize::from(digits))
        .map_or_else(|| quiet(digits), |number| number.life)
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
        let life = life(digits);
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
    attack: Option<(Timestamp, AttackKind)>,
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
            Signal::SignallingAnomaly => Observed::Signalling(self.signalling()),
        };
        Ok(Observation {
            what,
            observed_at: self.ago(self.life.observed_ago_s),
            source: SourceClass::Virtual,
        })
    }

    fn signalling(&self) -> Signalling {
        let seen = Signalling {
            passed_in: None,
            kind: None,
            // Nobody can watch until after the last look.
            monitored_since: self.ago(self.life.firewall_watched_s.max(self.life.observed_ago_s)),
        };
        let before = self.life.attacked.and_then(|(after_s, before_s, kind)| {
            Some((ChangedIn::new(self.ago(after_s), self.ago(before_s))?, kind))
        });
        let now = self.attack.map(|(at, kind)| (ChangedIn::at(at), kind));
        let attacks = before.into_iter().chain(now);
        attacks.fold(seen, |seen, (within, kind)| seen.with(within, Some(kind)))
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
