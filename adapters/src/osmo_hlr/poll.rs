//! Watching: each number again and again.

use std::collections::HashSet;

use accord_proto::msisdn::Msisdn;
use accord_proto::signal::Signal;
use tokio::time::Instant;

use super::ctrl::PIPELINE_MAX;
use super::info::Looked;
use super::{OsmoHlr, OsmoHlrError};
use crate::interval_journal::{Known, Outcome, PENDING_FRAMES_MAX};
use crate::source::{SourceChange, WITHDRAWALS_MAX};

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
    /// Numbers of which something was taken back, since nobody has them now or they are elsewhere.
    pub withdrawn: usize,
    /// Changes that nobody took, or that were too many to be taken back at once.
    pub dropped: usize,
    /// Seen with another device.
    pub devices_changed: usize,
    /// Devices that could not be looked at, because the HLR's file can't be read.
    pub devices_unread: usize,
    /// What stands in the file where an IMEI should and is none.
    pub devices_unusable: usize,
}

impl Sweep {
    /// Whether what was told of one more number may be taken back.
    pub(super) const fn may_withdraw(&self) -> bool {
        self.withdrawn < WITHDRAWALS_MAX
    }

    pub(super) const fn count_withdrawn(&mut self, told: bool) {
        if told {
            self.withdrawn += 1;
        } else {
            self.dropped += 1;
        }
    }
}

impl OsmoHlr {
    /// Polls for ever. Failures are logged once when they begin and once when they end.
    pub async fn watch(&self) {
        let mut ticks = tokio::time::interval(self.poll_every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut failing = false;
        self.tell_again().await;
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
        self.tell_again().await;
        Ok(sweep)
    }

    /// Tells what was found and may have been told to nobody, since the program ended or a write failed.
    async fn tell_again(&self) {
        self.sim.tell_again().await;
        if let Some(device) = &self.device {
            device.track.tell_again().await;
        }
    }

    /// A sweep vouches for all that either journal has, so all of that must be asked about; and who was
    /// told to be somewhere may have moved.
    fn watched(&self) -> Vec<Msisdn> {
        let mut numbers: HashSet<Msisdn> = self.configured.iter().copied().collect();
        numbers.extend(self.sim.journal.watched());
        numbers.extend(self.told_roaming.numbers(self.clock.now()));
        if let Some(device) = &self.device {
            numbers.extend(device.track.journal.watched());
        }
        numbers.into_iter().collect()
    }

    /// Gives `false` if the devices of these could not all be looked at.
    async fn poll_some(&self, numbers: &[Msisdn], sweep: &mut Sweep) -> Result<bool, OsmoHlrError> {
        let sent = self.clock.now();
        let deadline = Instant::now() + self.request_timeout;
        let looked = self.look(numbers, deadline).await?;
        let received = self.clock.now();
        sweep.asked += numbers.len();
        let (mut changed, mut gone, mut moved) = (Vec::new(), Vec::new(), Vec::new());
        let mut found = Vec::with_capacity(numbers.len());
        for (msisdn, looked) in numbers.iter().zip(looked) {
            let info = match looked {
                Looked::Found(info) => info,
                looked @ (Looked::Missing | Looked::Unusable(_)) => {
                    sweep.unusable += usize::from(matches!(looked, Looked::Unusable(_)));
                    match self.sim.journal.missed(msisdn)? {
                        Some(missed) => {
                            sweep.missing += 1;
                            gone.extend(missed.newly.then_some(*msisdn));
                        }
                        None => {
                            sweep.unknown += 1;
                            let told = self.told_roaming.of(msisdn);
                            moved.extend(told.map(|_| *msisdn));
                        }
                    }
                    found.push((*msisdn, None));
                    continue;
                }
            };
            match self.sim.journal.seen(*msisdn, &info.imsi, sent, received)? {
                Some((Outcome::Changed, known)) => {
                    // It is taken back with the old card.
                    self.told_roaming.forget(msisdn);
                    changed.push((*msisdn, known));
                }
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
            if let Some(told) = self.told_roaming.of(msisdn)
                && self.serving.roaming(&info) != Ok(told)
            {
                moved.push(*msisdn);
            }
            found.push((*msisdn, Some(info)));
        }
        if !changed.is_empty() || self.sim.journal.pending_count() > PENDING_FRAMES_MAX {
            self.sim.flush().await?;
        }
        self.tell(changed, gone, moved, sweep).await;
        match &self.device {
            Some(device) => device.poll(found, &*self.clock, deadline, sweep).await,
            None => Ok(true),
        }
    }

    /// Tells of other cards, and takes back what was said of numbers that nobody has now and of subscribers
    /// who are elsewhere.
    async fn tell(
        &self,
        changed: Vec<(Msisdn, Known)>,
        gone: Vec<Msisdn>,
        moved: Vec<Msisdn>,
        sweep: &mut Sweep,
    ) {
        sweep.changed += changed.len();
        for (msisdn, known) in changed {
            sweep.dropped += usize::from(!self.sim.tell(msisdn, &known).await);
        }
        for msisdn in gone {
            let told = sweep.may_withdraw() && self.sim.withdraw(msisdn).await;
            sweep.count_withdrawn(told);
            self.told_roaming.forget(&msisdn);
        }
        for msisdn in moved {
            let change = SourceChange::withdrawal(msisdn, Signal::Roaming);
            let told = sweep.may_withdraw() && self.changes.tell(change).await;
            sweep.count_withdrawn(told);
            if told {
                self.told_roaming.forget(&msisdn);
            }
        }
    }
}

fn tell(sweep: &Sweep) {
    let worth = sweep.changed
        + sweep.unusable
        + sweep.withdrawn
        + sweep.dropped
        + sweep.devices_changed
        + sweep.devices_unusable;
    if worth > 0 {
        tracing::info!(
            asked = sweep.asked,
            changed = sweep.changed,
            unusable = sweep.unusable,
            withdrawn = sweep.withdrawn,
            dropped = sweep.dropped,
            devices_changed = sweep.devices_changed,
            devices_unusable = sweep.devices_unusable,
            "polled osmo-hlr"
        );
    }
}
