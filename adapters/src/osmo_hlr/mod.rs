//! osmo-hlr, a real HLR, as a source of `sim_swap`, `device_swap` and `roaming`.
//!
//! ```text
//!   ask ───▶ live GET by number ─┬─▶ interval journal ─▶ sim_swap: (A, B], watched since
//!   poll ──▶ GETs, pipelined ────┤
//!                                ├─▶ serving table ────▶ roaming ◀── last location update ─┐
//!   its SQLite file, read only ──┴─▶ interval journal ─▶ device_swap          (same file) ─┘
//! ```
//!
//! The control interface can't list subscribers and pushes nothing, so the source watches the
//! configured numbers and each number once asked. The first ask of a number tells only that the
//! watch began: any window is then *not watched*.
//!
//! A SIM swap passes through a state in which nobody has the number (`old.msisdn none`, then
//! `new.msisdn N`). A number seen before is therefore never called unknown; but while nobody has
//! it, what was last seen of it is not told either: it would say *no swap* exactly while one
//! happens. The signal is *undecided* until the number is back, and then tells the whole gap. The
//! same holds of the device until the new card is checked in with one.
//!
//! The control interface is the truth about who has a number and where; the file (`database`) adds
//! the IMEI and the last location update, and is believed only where it tells of the same card and
//! the same registration.
//!
//! It gives no forwarding (osmo-hlr has no supplementary services), no tenure, no history.

mod ask;
mod config;
pub mod ctrl;
mod database;
mod device;
pub mod info;
mod poll;
mod serving;
#[cfg(any(test, feature = "test-util"))]
pub mod testing;

use std::borrow::Cow;
use std::time::Duration;

use accord_proto::clock::SharedClock;
use accord_proto::msisdn::Msisdn;
use accord_proto::observation::Roaming;
use accord_proto::signal::Signal;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

pub use self::config::{OsmoHlrConfig, OsmoHlrError};
use self::ctrl::{CtrlClient, CtrlError};
use self::database::Database;
pub use self::database::DatabaseError;
use self::device::Device;
use self::info::Looked;
pub use self::poll::Sweep;
pub use self::serving::ServingNetwork;
pub(crate) use self::serving::{Serving, default_registration_ms, vouched};
use crate::interval_journal::Track;
use crate::source::{
    ChangesIn, ChangesOut, Condition, Observations, Source, SourceChange, SourceFuture,
    SourceState, StateCell, Told,
};

/// The source. Make it with [`OsmoHlr::open`] and run [`OsmoHlr::watch`] beside it.
#[derive(Debug)]
pub struct OsmoHlr {
    ctrl: CtrlClient,
    sim: Track,
    device: Option<Device>,
    serving: Serving,
    /// Where numbers were told to be.
    told_roaming: Told<Roaming>,
    signals: Vec<Signal>,
    configured: Vec<Msisdn>,
    clock: SharedClock,
    poll_every: Duration,
    request_timeout: Duration,
    asks: Semaphore,
    /// Of the control interface.
    state: StateCell,
    changes: ChangesIn,
    changes_out: ChangesOut,
}

impl OsmoHlr {
    /// Opens the journals. The HLR need not be up.
    ///
    /// # Errors
    /// [`OsmoHlrError`]: a configuration that breaks a rule, or a journal that can't be used.
    pub fn open(config: &OsmoHlrConfig, clock: SharedClock) -> Result<Self, OsmoHlrError> {
        let checked = config.check()?;
        let (changes, changes_out) = ChangesOut::ends();
        let mut signals = vec![Signal::SimSwap];
        // Where the old card was says nothing of the new one.
        let of_old: &[Signal] = match checked.serving.is_empty() {
            true => &[],
            false => &[Signal::Roaming],
        };
        let (kept, tell) = (checked.journal, changes.clone());
        let sim = Track::open(Signal::SimSwap, of_old, kept, tell)?;
        let device = match checked.file {
            None => None,
            Some(file) => {
                signals.push(Signal::DeviceSwap);
                let (kept, tell) = (file.journal, changes.clone());
                let track = Track::open(Signal::DeviceSwap, &[], kept, tell)?;
                let database = Database::new(&file.path)?;
                Some(Device::new(database, track, file.vouched))
            }
        };
        if !checked.serving.is_empty() {
            signals.push(Signal::Roaming);
        }
        Ok(Self {
            ctrl: CtrlClient::new(config.address.clone()),
            sim,
            device,
            serving: checked.serving,
            signals,
            configured: checked.watch,
            clock,
            poll_every: checked.poll_every,
            request_timeout: checked.request_timeout,
            asks: Semaphore::new(config.asks_max),
            state: StateCell::default(),
            told_roaming: Told::default(),
            changes,
            changes_out,
        })
    }

    /// Asks the control interface who has some numbers, and remembers how that went.
    async fn look(&self, numbers: &[Msisdn], deadline: Instant) -> Result<Vec<Looked>, CtrlError> {
        let variables: Vec<String> = numbers.iter().map(info::variable).collect();
        let looked = self.ctrl.get(&variables, deadline).await.map(|replies| {
            let read = numbers.iter().zip(&replies);
            read.map(|(msisdn, reply)| info::read(reply, msisdn))
                .collect::<Vec<_>>()
        });
        let (condition, why) = match &looked {
            Ok(looked) => match looked.iter().find_map(Looked::unusable) {
                None => (Condition::Up, Cow::Borrowed("")),
                Some(why) => (Condition::Unusable, why.into()),
            },
            Err(error @ CtrlError::Protocol(_)) => (Condition::Unusable, error.to_string().into()),
            Err(error @ (CtrlError::Down(_) | CtrlError::Timeout)) => {
                (Condition::Down, error.to_string().into())
            }
        };
        self.state.set(condition, why, self.clock.now());
        looked
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

    /// Of the control interface; while that is up, of the file.
    fn state(&self) -> SourceState {
        let state = self.state.get();
        let file = self.device.as_ref().map(|device| device.state.get());
        match file {
            Some(file)
                if state.condition == Condition::Up
                    && !matches!(file.condition, Condition::Up | Condition::Starting) =>
            {
                SourceState {
                    observed_to: state.observed_to,
                    ..file
                }
            }
            Some(_) | None => state,
        }
    }

    fn changes(&self) -> Option<mpsc::Receiver<SourceChange>> {
        self.changes_out.take()
    }
}
