//! osmo-hlr, a real HLR, as a source of `sim_swap` and `roaming`.
//!
//! ```text
//!   ask ───▶ live GET by number ─┬─▶ interval journal ─▶ sim_swap: (A, B], watched since
//!   poll ──▶ GETs, pipelined ────┘─▶ serving table ────▶ roaming
//! ```
//!
//! The control interface can't list subscribers and pushes nothing, so the source watches the
//! configured numbers and each number once asked. The first ask of a number tells only that the
//! watch began: any window is then *not watched*.
//!
//! A SIM swap passes through a state in which nobody has the number (`old.msisdn none`, then
//! `new.msisdn N`). A number seen before is therefore never called unknown; but while nobody has
//! it, what was last seen of it is not told either: it would say *no swap* exactly while one
//! happens. The signal is *undecided* until the number is back, and then tells the whole gap.
//!
//! It gives no forwarding (osmo-hlr has no supplementary services), no tenure, no history; the
//! IMEI is not on this interface.

mod config;
pub mod ctrl;
mod info;
mod serving;
#[cfg(any(test, feature = "test-util"))]
pub mod testing;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use accord_proto::clock::SharedClock;
use accord_proto::msisdn::Msisdn;
use accord_proto::observation::{Observation, Observed, SourceClass};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

pub use self::config::{OsmoHlrConfig, OsmoHlrError};
use self::ctrl::{CtrlClient, CtrlError, PIPELINE_MAX};
use self::info::{Info, Looked};
use self::serving::Serving;
pub use self::serving::ServingNetwork;
use crate::interval_journal::{IntervalJournal, Known, Outcome, PENDING_FRAMES_MAX};
use crate::source::{Observations, Source, SourceChange, SourceFuture};

/// Changes that wait for the runtime; more are dropped and counted.
const CHANGES_MAX: usize = 1024;

/// The source. Make it with [`OsmoHlr::open`] and run [`OsmoHlr::watch`] beside it.
#[derive(Debug)]
pub struct OsmoHlr {
    ctrl: CtrlClient,
    journal: Arc<IntervalJournal>,
    serving: Serving,
    signals: Vec<Signal>,
    configured: Vec<Msisdn>,
    clock: SharedClock,
    poll_every: Duration,
    request_timeout: Duration,
    asks: Semaphore,
    changes: mpsc::Sender<SourceChange>,
    changes_out: Mutex<Option<mpsc::Receiver<SourceChange>>>,
}

/// What one sweep over the watched numbers found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Asked about.
    pub asked: usize,
    /// Seen for the first time.
    pub began: usize,
    /// Seen with another IMSI.
    pub changed: usize,
    /// Seen before and not now.
    pub missing: usize,
    /// Replies that could not be used; the number counts as missing too if it was seen before.
    pub unusable: usize,
    /// Configured, and never seen.
    pub unknown: usize,
    /// Changes that the runtime had no room for.
    pub dropped: usize,
}

impl OsmoHlr {
    /// Opens the journal. The HLR need not be up.
    ///
    /// # Errors
    /// [`OsmoHlrError`]: a configuration that breaks a rule, or a journal that can't be used.
    pub fn open(config: &OsmoHlrConfig, clock: SharedClock) -> Result<Self, OsmoHlrError> {
        let checked = config.check()?;
        let journal = Arc::new(IntervalJournal::open(checked.journal)?);
        let opened = journal.opened();
        if opened.damaged {
            tracing::error!(
                watched = opened.watched,
                "interval journal damaged; every watch restarts"
            );
        } else if opened.torn_bytes > 0 {
            tracing::warn!(bytes = opened.torn_bytes, "dropped an unfinished record");
        }
        let mut signals = vec![Signal::SimSwap];
        if !checked.serving.is_empty() {
            signals.push(Signal::Roaming);
        }
        let (changes, changes_out) = mpsc::channel(CHANGES_MAX);
        Ok(Self {
            ctrl: CtrlClient::new(config.address.clone()),
            journal,
            serving: checked.serving,
            signals,
            configured: checked.watch,
            clock,
            poll_every: checked.poll_every,
            request_timeout: checked.request_timeout,
            asks: Semaphore::new(config.asks_max),
            changes,
            changes_out: Mutex::new(Some(changes_out)),
        })
    }

    /// Polls for ever. Failures are logged once when they begin and once when they end.
    pub async fn watch(&self) {
        let mut ticks = tokio::time::interval(self.poll_every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            ticks.tick().await;
            match self.poll_once().await {
                Ok(sweep) => {
                    if failing {
                        tracing::info!("osmo-hlr answers again");
                    }
                    failing = false;
                    if sweep.changed + sweep.unusable + sweep.dropped > 0 {
                        tracing::info!(
                            asked = sweep.asked,
                            changed = sweep.changed,
                            unusable = sweep.unusable,
                            dropped = sweep.dropped,
                            "polled osmo-hlr"
                        );
                    }
                }
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "can't poll osmo-hlr"
                    );
                }
                Err(_) => {}
            }
        }
    }

    /// Asks about each watched number once, and makes what was found durable.
    ///
    /// # Errors
    /// [`OsmoHlrError`]. What was found until then counts; the rest was not looked at.
    pub async fn poll_once(&self) -> Result<Sweep, OsmoHlrError> {
        let mut numbers = self.journal.watched();
        let known: std::collections::HashSet<Msisdn> = numbers.iter().copied().collect();
        numbers.extend(
            self.configured
                .iter()
                .filter(|number| !known.contains(number)),
        );
        let began = self.clock.now();
        let mut sweep = Sweep::default();
        for chunk in numbers.chunks(PIPELINE_MAX) {
            self.poll_some(chunk, &mut sweep).await?;
        }
        // After a step of the clock `began` can't be compared with what was journalled since.
        if began <= self.clock.now() {
            self.journal.swept(began);
        }
        self.flush().await?;
        Ok(sweep)
    }

    async fn poll_some(&self, numbers: &[Msisdn], sweep: &mut Sweep) -> Result<(), OsmoHlrError> {
        let variables: Vec<String> = numbers.iter().map(info::variable).collect();
        let sent = self.clock.now();
        let deadline = Instant::now() + self.request_timeout;
        let replies = self.ctrl.get(&variables, deadline).await?;
        let received = self.clock.now();
        sweep.asked += numbers.len();
        let mut changed = Vec::new();
        for (msisdn, reply) in numbers.iter().zip(&replies) {
            let seen = match info::read(reply, msisdn) {
                Looked::Found(info) => self.journal.seen(*msisdn, &info.imsi, sent, received)?,
                looked @ (Looked::Missing | Looked::Unusable(_)) => {
                    sweep.unusable += usize::from(matches!(looked, Looked::Unusable(_)));
                    match self.journal.missed(msisdn)? {
                        Some(_) => sweep.missing += 1,
                        None => sweep.unknown += 1,
                    }
                    continue;
                }
            };
            match seen {
                Some((Outcome::Changed, known)) => changed.push((*msisdn, known)),
                Some((Outcome::Began, _)) => sweep.began += 1,
                Some((
                    Outcome::Same
                    | Outcome::Restarted
                    | Outcome::Returned
                    | Outcome::Overtaken
                    | Outcome::ClockWentBack,
                    _,
                ))
                | None => {}
            }
        }
        if !changed.is_empty() || self.journal.pending_count() > PENDING_FRAMES_MAX {
            self.flush().await?;
        }
        sweep.changed += changed.len();
        sweep.dropped += changed
            .into_iter()
            .filter(|(msisdn, known)| !self.push(*msisdn, known))
            .count();
        Ok(())
    }

    /// Tells the runtime of a change; `false` if it has no room.
    fn push(&self, msisdn: Msisdn, known: &Known) -> bool {
        let change = SourceChange {
            msisdn,
            signal: Signal::SimSwap,
            observation: sim_swap(known),
        };
        self.changes.try_send(change).is_ok()
    }

    async fn flush(&self) -> Result<(), OsmoHlrError> {
        let journal = Arc::clone(&self.journal);
        let flushed = tokio::task::spawn_blocking(move || journal.flush()).await;
        Ok(flushed.map_err(|_| OsmoHlrError::Interrupted)??)
    }

    async fn ask(
        &self,
        msisdn: Msisdn,
        signals: &[Signal],
        deadline: Instant,
    ) -> Result<Observations, Reason> {
        // The semaphore bounds the asks that wait for the one connection.
        let _permit = self.asks.try_acquire().map_err(|_| Reason::Overloaded)?;
        let deadline = deadline.min(Instant::now() + self.request_timeout);
        let sent = self.clock.now();
        let variables = [info::variable(&msisdn)];
        let replies = self.ctrl.get(&variables, deadline).await.map_err(reason)?;
        let received = self.clock.now();
        let reply = replies.first().ok_or(Reason::SourceDown)?;
        let info = match info::read(reply, &msisdn) {
            Looked::Found(info) => info,
            Looked::Missing => return self.ask_missing(&msisdn, signals),
            Looked::Unusable(why) => {
                tracing::warn!(why, "osmo-hlr gave an unusable reply");
                return Err(Reason::SourceDown);
            }
        };
        let known = self.record(msisdn, &info, sent, received).await?;
        let of = |signal| match signal {
            // A number that there is no room to watch.
            Signal::SimSwap => known.as_ref().map(sim_swap).ok_or(Reason::NotWatched),
            Signal::Roaming => {
                let roaming = self.serving.roaming(&info)?;
                Ok(Observation {
                    what: Observed::Roaming(roaming),
                    observed_at: sent,
                    source: SourceClass::Network,
                })
            }
            Signal::DeviceSwap
            | Signal::CallForwarding
            | Signal::NumberRecycling
            | Signal::Tenure => Err(Reason::NotAvailable),
        };
        Ok(answer(signals, of))
    }

    /// Journals a sample. A change is durable before anybody is told.
    async fn record(
        &self,
        msisdn: Msisdn,
        info: &Info,
        sent: jiff::Timestamp,
        received: jiff::Timestamp,
    ) -> Result<Option<Known>, Reason> {
        let seen = self.journal.seen(msisdn, &info.imsi, sent, received);
        let seen = seen.map_err(|_| Reason::SourceDown)?;
        let changed = matches!(seen, Some((Outcome::Changed, _)));
        if changed || self.journal.pending_count() > PENDING_FRAMES_MAX {
            self.flush().await.map_err(|error| {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "can't write the interval journal"
                );
                Reason::SourceDown
            })?;
        }
        Ok(seen.map(|(_, known)| {
            if changed {
                let _ = self.push(msisdn, &known);
            }
            known
        }))
    }

    /// Nobody has the number now: a swap is under way, or the line was ceased.
    fn ask_missing(&self, msisdn: &Msisdn, signals: &[Signal]) -> Result<Observations, Reason> {
        let known = self
            .journal
            .missed(msisdn)
            .map_err(|_| Reason::SourceDown)?;
        known.ok_or(Reason::UnknownNumber)?;
        Ok(answer(signals, |signal| match signal {
            Signal::SimSwap => Err(Reason::Undecided),
            // The last registration is that of an IMSI which has the number no more.
            Signal::Roaming => Err(Reason::Stale),
            Signal::DeviceSwap
            | Signal::CallForwarding
            | Signal::NumberRecycling
            | Signal::Tenure => Err(Reason::NotAvailable),
        }))
    }
}

impl Source for OsmoHlr {
    fn signals(&self) -> &[Signal] {
        &self.signals
    }

    fn observe<'a>(
        &'a self,
        msisdn: Msisdn,
        signals: &'a [Signal],
        deadline: Instant,
    ) -> SourceFuture<'a> {
        Box::pin(async move {
            let asked = self.ask(msisdn, signals, deadline).await;
            asked.unwrap_or_else(|reason| Observations::all(signals, reason))
        })
    }

    fn changes(&self) -> Option<mpsc::Receiver<SourceChange>> {
        let mut out = self
            .changes_out
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        out.take()
    }
}

fn answer(signals: &[Signal], of: impl Fn(Signal) -> Result<Observation, Reason>) -> Observations {
    Observations {
        signals: signals
            .iter()
            .map(|signal| (*signal, of(*signal)))
            .collect(),
        ..Observations::default()
    }
}

fn sim_swap(known: &Known) -> Observation {
    Observation {
        what: Observed::Change(known.change()),
        observed_at: known.observed_at,
        source: SourceClass::Network,
    }
}

const fn reason(error: CtrlError) -> Reason {
    match error {
        CtrlError::Timeout => Reason::Timeout,
        CtrlError::Down(_) | CtrlError::Protocol(_) => Reason::SourceDown,
    }
}
