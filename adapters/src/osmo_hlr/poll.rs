//! Watching: each number again and again.

use std::collections::HashSet;

use accord_proto::msisdn::Msisdn;
use tokio::time::Instant;

use super::ctrl::PIPELINE_MAX;
use super::info::{self, Looked};
use super::{OsmoHlr, OsmoHlrError};
use crate::interval_journal::{Outcome, PENDING_FRAMES_MAX};

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
    /// Seen with another device.
    pub devices_changed: usize,
    /// Devices that could not be looked at, because the HLR's file can't be read.
    pub devices_unread: usize,
    /// What stands in the file where an IMEI should and is none.
    pub devices_unusable: usize,
}

impl OsmoHlr {
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
                    tell(&sweep);
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
        let numbers = self.watched();
        let began = self.clock.now();
        let mut sweep = Sweep::default();
        let mut all_devices = true;
        for chunk in numbers.chunks(PIPELINE_MAX) {
            all_devices &= self.poll_some(chunk, &mut sweep).await?;
        }
        // After a step of the clock `began` can't be compared with what was journalled since.
        let comparable = began <= self.clock.now();
        if comparable {
            self.sim.journal.swept(began);
        }
        self.sim.flush().await?;
        self.state.observed_to(began);
        if let Some(device) = &self.device {
            if comparable && all_devices {
                device.track.journal.swept(began);
            }
            device.track.flush().await?;
        }
        Ok(sweep)
    }

    /// A sweep vouches for all that either journal has, so all of that must be asked about.
    fn watched(&self) -> Vec<Msisdn> {
        let mut numbers: HashSet<Msisdn> = self.configured.iter().copied().collect();
        numbers.extend(self.sim.journal.watched());
        if let Some(device) = &self.device {
            numbers.extend(device.track.journal.watched());
        }
        numbers.into_iter().collect()
    }

    /// Gives `false` if the devices of these could not all be looked at.
    async fn poll_some(&self, numbers: &[Msisdn], sweep: &mut Sweep) -> Result<bool, OsmoHlrError> {
        let variables: Vec<String> = numbers.iter().map(info::variable).collect();
        let sent = self.clock.now();
        let deadline = Instant::now() + self.request_timeout;
        let replies = self.get(&variables, deadline).await?;
        let received = self.clock.now();
        sweep.asked += numbers.len();
        let mut changed = Vec::new();
        let mut found = Vec::with_capacity(numbers.len());
        for (msisdn, reply) in numbers.iter().zip(&replies) {
            let info = match info::read(reply, msisdn) {
                Looked::Found(info) => info,
                looked @ (Looked::Missing | Looked::Unusable(_)) => {
                    sweep.unusable += usize::from(matches!(looked, Looked::Unusable(_)));
                    match self.sim.journal.missed(msisdn)? {
                        Some(_) => sweep.missing += 1,
                        None => sweep.unknown += 1,
                    }
                    found.push((*msisdn, None));
                    continue;
                }
            };
            match self.sim.journal.seen(*msisdn, &info.imsi, sent, received)? {
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
            found.push((*msisdn, Some(info)));
        }
        if !changed.is_empty() || self.sim.journal.pending_count() > PENDING_FRAMES_MAX {
            self.sim.flush().await?;
        }
        sweep.changed += changed.len();
        sweep.dropped += changed
            .into_iter()
            .filter(|(msisdn, known)| !self.sim.push(*msisdn, known))
            .count();
        match &self.device {
            Some(device) => device.poll(found, &*self.clock, deadline, sweep).await,
            None => Ok(true),
        }
    }
}

fn tell(sweep: &Sweep) {
    let worth = sweep.changed
        + sweep.unusable
        + sweep.dropped
        + sweep.devices_changed
        + sweep.devices_unusable;
    if worth > 0 {
        tracing::info!(
            asked = sweep.asked,
            changed = sweep.changed,
            unusable = sweep.unusable,
            dropped = sweep.dropped,
            devices_changed = sweep.devices_changed,
            devices_unusable = sweep.devices_unusable,
            "polled osmo-hlr"
        );
    }
}
