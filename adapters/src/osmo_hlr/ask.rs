//! Answering one question.

use accord_proto::msisdn::Msisdn;
use accord_proto::observation::{Observation, Observed, SourceClass};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::OsmoHlr;
use super::ctrl::CtrlError;
use super::database::Row;
use super::info::{Info, Looked};
use crate::interval_journal::Track;
use crate::source::{Observations, SourceChange};

/// How far the HLR's clock may be ahead of this one before its times are not believed.
const CLOCK_AHEAD_MAX: SignedDuration = SignedDuration::from_secs(60);

/// What was found of a number that somebody has.
struct Found {
    info: Info,
    /// The row of the file, where the question needs it; or why there is none.
    row: Result<Row, Reason>,
    sent: Timestamp,
    received: Timestamp,
}

/// Why nothing was found.
enum Unfound {
    /// There is no HLR to be asked.
    Unreachable,
    Because(Reason),
}

impl From<CtrlError> for Unfound {
    fn from(error: CtrlError) -> Self {
        match error {
            CtrlError::Down(_) => Self::Unreachable,
            // It may be there, and what it says be wrong; or hang, which the breaker must see.
            CtrlError::Timeout => Self::Because(Reason::Timeout),
            CtrlError::Protocol(_) => Self::Because(Reason::SourceDown),
        }
    }
}

impl OsmoHlr {
    pub(super) async fn ask(
        &self,
        msisdn: Msisdn,
        signals: &[Signal],
        deadline: Instant,
    ) -> Result<Observations, Reason> {
        // The semaphore bounds the asks that wait for a connection.
        let _permit = self.asks.try_acquire().map_err(|_| Reason::Overloaded)?;
        let deadline = deadline.min(Instant::now() + self.request_timeout);
        let found = match self.find(&msisdn, signals, deadline).await {
            Ok(Some(found)) => found,
            Ok(None) => return self.ask_missing(&msisdn, signals),
            Err(Unfound::Unreachable) => return Ok(self.remembered(&msisdn, signals)),
            Err(Unfound::Because(reason)) => return Err(reason),
        };
        let mut told = Vec::with_capacity(signals.len());
        for signal in signals {
            let observed = match signal {
                Signal::SimSwap => self.sim_swap(msisdn, &found).await,
                Signal::DeviceSwap => self.device_swap(msisdn, &found).await,
                Signal::Roaming => self.roaming(msisdn, &found),
                Signal::CallForwarding
                | Signal::NumberRecycling
                | Signal::Tenure
                | Signal::SignallingAnomaly => Err(Reason::NotAvailable),
            };
            told.push((*signal, observed));
        }
        Ok(Observations {
            signals: told,
            ..Observations::default()
        })
    }

    /// Asks the control interface, then the file if need be. `None`: nobody has the number.
    async fn find(
        &self,
        msisdn: &Msisdn,
        signals: &[Signal],
        deadline: Instant,
    ) -> Result<Option<Found>, Unfound> {
        let needs_file = |signal: &Signal| matches!(signal, Signal::DeviceSwap | Signal::Roaming);
        let device = self.device.as_ref();
        let device = device.filter(|_| signals.iter().any(needs_file));
        let mut again = device.is_some();
        loop {
            let sent = self.clock.now();
            let looked = self.look(&[*msisdn], deadline).await?.into_iter().next();
            let info = match looked.ok_or(Unfound::Because(Reason::SourceDown))? {
                Looked::Found(info) => info,
                Looked::Missing => return Ok(None),
                Looked::Unusable(why) => {
                    tracing::warn!(why, "osmo-hlr gave an unusable reply");
                    return Err(Unfound::Because(Reason::SourceDown));
                }
            };
            let row = match device {
                None => Err(Reason::NotAvailable),
                Some(device) => device.row(*msisdn, &info, &*self.clock, deadline).await,
            };
            // Something may have happened between the two looks. That does not last.
            if std::mem::take(&mut again) && row.as_ref().err() == Some(&Reason::Contradicted) {
                continue;
            }
            let received = self.clock.now();
            return Ok(Some(Found {
                info,
                row,
                sent,
                received,
            }));
        }
    }

    async fn sim_swap(&self, msisdn: Msisdn, found: &Found) -> Result<Observation, Reason> {
        let recorded = self
            .sim
            .record(msisdn, &found.info.imsi, found.sent, found.received);
        // A number that there is no room to watch.
        let known = recorded.await?.and_then(|known| known.by(self.clock.now()));
        let known = known.ok_or(Reason::NotWatched)?;
        Ok(Track::observation(&known))
    }

    async fn device_swap(&self, msisdn: Msisdn, found: &Found) -> Result<Observation, Reason> {
        let device = self.device.as_ref().ok_or(Reason::NotAvailable)?;
        let row = found.row.as_ref().map_err(|reason| *reason)?;
        let Some(imei) = row.imei.known() else {
            // A new card has no device until it is checked in with one. What was seen before is not
            // told meanwhile: it would say "no swap" exactly while one may be under way.
            let known = device.track.missed(&msisdn)?;
            return Err(known.map_or(Reason::NotAvailable, |_| Reason::Undecided));
        };
        let recorded = device
            .track
            .record(msisdn, imei.expose(), found.sent, found.received);
        let known = recorded.await?.and_then(|known| known.by(self.clock.now()));
        let known = known.ok_or(Reason::NotWatched)?;
        Ok(Track::observation(&known))
    }

    /// Where the subscriber is registered. With the file, the HLR vouches for a registration for
    /// some time after the last location update; what is older than that ages.
    fn roaming(&self, msisdn: Msisdn, found: &Found) -> Result<Observation, Reason> {
        let roaming = self.serving.roaming(&found.info)?;
        let mut observed_at = found.sent;
        if let Some(device) = &self.device {
            let row = found.row.as_ref().map_err(|reason| *reason)?;
            let newest = newest_update(&found.info, row, found.received);
            let until = newest.ok_or(Reason::Stale)?.saturating_add(device.vouched);
            observed_at = observed_at.min(until.map_err(|_| Reason::Stale)?);
        }
        // The broker that asked is told now; others may hold what was said before.
        let told = self.told_roaming.of(&msisdn);
        if told.is_some_and(|told| told != roaming) {
            let change = SourceChange::withdrawal(msisdn, Signal::Roaming);
            self.changes.tell_now(change);
        }
        self.told_roaming.note(msisdn, roaming);
        Ok(Observation {
            what: Observed::Roaming(roaming),
            observed_at,
            source: SourceClass::Network,
        })
    }

    /// What was seen at the last look holds as of then, with the HLR gone too: the clause says how old
    /// it may be. Where a subscriber is registered is told live or not at all.
    fn remembered(&self, msisdn: &Msisdn, signals: &[Signal]) -> Observations {
        let now = self.clock.now();
        let of = |signal: &Signal| {
            let said = match signal {
                Signal::SimSwap => self.sim.remembered(msisdn, now),
                Signal::DeviceSwap => match &self.device {
                    Some(device) => device.track.remembered(msisdn, now),
                    None => Err(Reason::NotAvailable),
                },
                Signal::Roaming => Err(Reason::SourceDown),
                Signal::CallForwarding
                | Signal::NumberRecycling
                | Signal::Tenure
                | Signal::SignallingAnomaly => Err(Reason::NotAvailable),
            };
            (*signal, said)
        };
        Observations {
            signals: signals.iter().map(of).collect(),
            ..Observations::default()
        }
    }

    /// Nobody has the number now: a swap is under way, or the line was ceased.
    fn ask_missing(&self, msisdn: &Msisdn, signals: &[Signal]) -> Result<Observations, Reason> {
        let known = self.sim.missed(msisdn)?;
        let device = match &self.device {
            Some(device) => device.track.missed(msisdn)?,
            None => None,
        };
        known.or(device).ok_or(Reason::UnknownNumber)?;
        let reason = |signal: &Signal| match signal {
            Signal::SimSwap => Reason::Undecided,
            Signal::DeviceSwap if self.device.is_some() => Reason::Undecided,
            // The last registration is that of an IMSI which has the number no more.
            Signal::Roaming => Reason::Stale,
            Signal::DeviceSwap
            | Signal::CallForwarding
            | Signal::NumberRecycling
            | Signal::Tenure
            | Signal::SignallingAnomaly => Reason::NotAvailable,
        };
        Ok(Observations {
            signals: signals
                .iter()
                .map(|signal| (*signal, Err(reason(signal))))
                .collect(),
            ..Observations::default()
        })
    }
}

/// The newest location update of the domains in which the subscriber is registered. One from the
/// future is not believed.
fn newest_update(info: &Info, row: &Row, now: Timestamp) -> Option<Timestamp> {
    let domains = [
        info.vlr.is_some().then_some(&row.seen_cs),
        info.sgsn.is_some().then_some(&row.seen_ps),
    ];
    let seen = domains
        .into_iter()
        .flatten()
        .filter_map(|field| field.known());
    let latest = now.saturating_add(CLOCK_AHEAD_MAX).ok()?;
    seen.copied().filter(|at| *at <= latest).max()
}
