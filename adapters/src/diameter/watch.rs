//! What the source does beside answering: polls the watched numbers, and what comes of it.

use std::collections::HashSet;
use std::error::Error;

use accord_proto::msisdn::Msisdn;
use accord_proto::signal::Signal;
use futures_util::stream::{self, StreamExt as _};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::answer::Answer;
use super::notified::Subscriptions;
use super::sh::ShError;
use super::{DiameterError, DiameterSh};
use crate::interval_journal::{Outcome, PENDING_FRAMES_MAX};
use crate::source::{SourceChange, WITHDRAWALS_MAX};

/// So many questions one after the other that were not answered, or answered *too busy*, are a server's
/// failure, and not their numbers'. An HSS behind a relay that can't be delivered to is told of at once, and
/// may have nearly all of them.
const FAILED_MAX: usize = 64;

/// What one sweep over the watched numbers found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Asked about.
    pub asked: usize,
    /// Identities seen for the first time.
    pub began: usize,
    /// Identities that are others than before.
    pub changed: usize,
    /// Seen before and not now.
    pub missing: usize,
    /// Answers that could not be used.
    pub unusable: usize,
    /// Numbers newly subscribed to.
    pub subscribed: usize,
    /// Signals of numbers that were taken back, since the identity can't be told now.
    pub withdrawn: usize,
    /// Changes that nobody took, or that were too many to be taken back at once.
    pub dropped: usize,
}

/// What one number's sample found.
#[derive(Default)]
struct Sample {
    found: Sweep,
    /// What is to be taken back, since nobody has the number now.
    gone: Vec<SourceChange>,
    /// Why it was not answered, if that need not be the number's own fault.
    failed: Option<ShError>,
}

/// Tells the failure of a few numbers from that of the server.
#[derive(Default)]
pub(super) struct Failures {
    answered: bool,
    in_a_row: usize,
    last: Option<ShError>,
}

impl Failures {
    pub(super) fn count(&mut self, failed: Option<ShError>) -> Result<(), ShError> {
        let Some(error) = failed else {
            self.answered = true;
            self.in_a_row = 0;
            return Ok(());
        };
        self.last = Some(error);
        self.in_a_row += usize::from(error.is_a_burden());
        if self.in_a_row >= FAILED_MAX {
            return Err(error);
        }
        Ok(())
    }

    /// Nothing but failures, however few, is no sweep.
    fn conclude(&self) -> Result<(), ShError> {
        match self.last {
            Some(error) if !self.answered => Err(error),
            Some(_) | None => Ok(()),
        }
    }
}

impl DiameterSh {
    /// Keeps the connections, polls, and looks at what comes, for ever. Failures are logged once
    /// when they begin and once when they end.
    pub async fn watch(&self) {
        self.peers.start();
        let notified = self.peers.pushes();
        tokio::join!(self.keep_polling(), async {
            if let Some(notified) = notified {
                self.keep_looking(notified).await;
            }
        });
    }

    async fn keep_polling(&self) {
        let mut ticks = interval(self.poll_every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut failing, mut subscriptions) = (false, Subscriptions::default());
        self.tell_again().await;
        loop {
            ticks.tick().await;
            match self.poll(&mut subscriptions).await {
                Ok(sweep) => {
                    if failing {
                        tracing::info!("the server answers again");
                    }
                    failing = false;
                    if sweep.changed + sweep.unusable + sweep.withdrawn + sweep.dropped > 0 {
                        let (asked, changed, unusable) =
                            (sweep.asked, sweep.changed, sweep.unusable);
                        let (withdrawn, dropped) = (sweep.withdrawn, sweep.dropped);
                        tracing::info!(
                            asked,
                            changed,
                            unusable,
                            withdrawn,
                            dropped,
                            "polled by Sh"
                        );
                    }
                }
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(error = &error as &dyn Error, "can't poll by Sh");
                }
                Err(_) => {}
            }
        }
    }

    /// Asks about each watched number once, and makes what was found durable.
    ///
    /// # Errors
    /// [`DiameterError`] if there is no connection, or nothing but failures. What was found until
    /// then counts; the rest was not looked at.
    pub async fn poll_once(&self) -> Result<Sweep, DiameterError> {
        self.poll(&mut Subscriptions::default()).await
    }

    async fn poll(&self, subscriptions: &mut Subscriptions) -> Result<Sweep, DiameterError> {
        let mut numbers: HashSet<Msisdn> = self.configured.iter().copied().collect();
        for diff in &self.diffs {
            numbers.extend(diff.track.journal.watched());
        }
        let subscribing = self.subscribe_to(&numbers, subscriptions);
        let (subscribed, swept) = tokio::join!(subscribing, self.sweep(&numbers));
        if swept.is_ok() {
            self.tell_again().await;
        } else {
            // What was found before it failed may be on its way to nobody.
            self.diffs
                .iter()
                .for_each(|diff| diff.track.journal.doubt_told());
        }
        let (subscribed, mut sweep) = (subscribed?, swept?);
        sweep.subscribed = subscribed.subscribed;
        sweep.unusable += subscribed.unusable;
        Ok(sweep)
    }

    /// Tells what was found and may have been told to nobody, since the program ended or a sweep failed.
    async fn tell_again(&self) {
        for diff in &self.diffs {
            diff.track.tell_again().await;
        }
    }

    async fn sweep(&self, numbers: &HashSet<Msisdn>) -> Result<Sweep, DiameterError> {
        let mut sweep = Sweep::default();
        if self.diffs.is_empty() {
            return Ok(sweep);
        }
        let mut failures = Failures::default();
        let began = self.clock.now();
        let samples = stream::iter(numbers.iter().copied().map(|msisdn| self.sample(msisdn)));
        let mut samples = samples.buffer_unordered(self.poll_in_flight);
        while let Some(one) = samples.next().await {
            let one = one?;
            failures.count(one.failed)?;
            for change in one.gone {
                let may = sweep.withdrawn < WITHDRAWALS_MAX;
                let told = may && self.changes.tell(change).await;
                let count = if told {
                    &mut sweep.withdrawn
                } else {
                    &mut sweep.dropped
                };
                *count += 1;
            }
            let one = one.found;
            sweep.asked += 1;
            sweep.began += one.began;
            sweep.changed += one.changed;
            sweep.missing += one.missing;
            sweep.unusable += one.unusable;
            sweep.dropped += one.dropped;
        }
        failures.conclude()?;
        // After a step of the clock `began` can't be compared with what was journalled since.
        let comparable = began <= self.clock.now();
        if comparable {
            self.health.swept(began);
        }
        for diff in &self.diffs {
            if comparable {
                diff.track.journal.swept(began);
            }
            diff.track.flush().await?;
        }
        Ok(sweep)
    }

    /// One number of a sweep. One that can't be told of, by its own HSS behind a relay for example,
    /// is missed, and takes nothing from the others.
    async fn sample(&self, msisdn: Msisdn) -> Result<Sample, DiameterError> {
        let signals: Vec<Signal> = self.diffs.iter().map(|diff| diff.track.signal).collect();
        let mut sample = Sample::default();
        for question in self.questions(&signals) {
            let deadline = Instant::now() + self.request_timeout;
            let sent = self.clock.now();
            let answer = self.pull(&msisdn, question, deadline).await;
            if let Err(error) = answer.data {
                if error.is_of_the_link() {
                    return Err(error.into());
                }
                if error.is_of_the_server() {
                    sample.failed = Some(error);
                }
            }
            for place in 0..self.diffs.len() {
                self.take(place, msisdn, &answer, sent, &mut sample).await?;
            }
        }
        Ok(sample)
    }

    /// Journals what an answer says of one identity.
    async fn take(
        &self,
        place: usize,
        msisdn: Msisdn,
        answer: &Answer,
        sent: jiff::Timestamp,
        sample: &mut Sample,
    ) -> Result<(), DiameterError> {
        let found = &mut sample.found;
        let Some(diff) = self.diffs.get(place) else {
            return Ok(());
        };
        if !answer.question.references.contains(&diff.reference) {
            return Ok(());
        }
        let unusable = answer
            .data
            .as_ref()
            .is_err_and(|error| *error != ShError::UserUnknown);
        found.unusable += usize::from(unusable);
        let data = answer.data.as_ref().ok().and_then(Option::as_ref);
        let Some(identity) = diff.identity(data) else {
            if let Some(missed) = diff.track.journal.missed(&msisdn)? {
                found.missing += 1;
                if missed.newly {
                    sample.gone.extend(diff.track.missing(msisdn));
                }
            }
            return Ok(());
        };
        match diff
            .track
            .journal
            .seen(msisdn, identity, sent, answer.received)?
        {
            Some((Outcome::Changed, known)) => {
                found.changed += 1;
                diff.track.flush().await?;
                for change in diff.track.changed(msisdn, &known) {
                    found.dropped += usize::from(!self.changes.tell(change).await);
                }
            }
            Some((Outcome::Began, _)) => found.began += 1,
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
        if diff.track.journal.pending_count() > PENDING_FRAMES_MAX {
            diff.track.flush().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diameter::peer::RequestError;

    #[test]
    fn what_can_not_be_delivered_is_no_reason_to_spare_the_others_and_silence_is() {
        let undelivered = Some(ShError::Refused(3_002));
        let mut failures = Failures::default();
        for _ in 0..100 * FAILED_MAX {
            failures.count(undelivered).unwrap();
        }
        assert!(
            failures.conclude().is_err(),
            "nothing but failures is no sweep"
        );
        failures.count(None).unwrap();
        failures.conclude().unwrap();
        for burden in [ShError::Busy, ShError::Request(RequestError::Timeout)] {
            let mut failures = Failures::default();
            failures.count(None).unwrap();
            for _ in 1..FAILED_MAX {
                failures.count(Some(burden)).unwrap();
                failures.count(undelivered).unwrap();
            }
            assert_eq!(failures.count(Some(burden)), Err(burden));
        }
    }
}
