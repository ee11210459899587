//! What is journalled of one signal that is the difference of a value (of the IMSI for `sim_swap`, of the
//! device's identity for `device_swap`), and what brokers are told of it.

use std::sync::Arc;

use accord_proto::msisdn::Msisdn;
use accord_proto::observation::{Observation, Observed, SourceClass};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use jiff::Timestamp;

use super::{IntervalJournal, JournalError, Known, Missed, Outcome, PENDING_FRAMES_MAX, Settings};
use crate::source::{ChangesIn, SourceChange, WITHDRAWALS_MAX};

/// Why what is pending was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FlushError {
    /// The journal.
    #[error("the interval journal can't be used")]
    Journal(#[from] JournalError),
    /// The program is stopping.
    #[error("the program is stopping")]
    Interrupted,
}

/// The journal of a signal, and the way to tell the runtime of changes.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) signal: Signal,
    /// What was said of another card, and so holds no more with a new one.
    of_old: &'static [Signal],
    pub(crate) journal: Arc<IntervalJournal>,
    changes: ChangesIn,
}

impl Track {
    pub(crate) fn open(
        signal: Signal,
        of_old: &'static [Signal],
        settings: Settings,
        changes: ChangesIn,
    ) -> Result<Self, JournalError> {
        let journal = Arc::new(IntervalJournal::open(settings)?);
        let opened = journal.opened();
        if opened.damaged {
            tracing::error!(
                signal = signal.name(),
                watched = opened.watched,
                "interval journal damaged; every watch restarts"
            );
        } else if opened.torn_bytes > 0 {
            tracing::warn!(bytes = opened.torn_bytes, "dropped an unfinished record");
        }
        Ok(Self {
            signal,
            of_old,
            journal,
            changes,
        })
    }

    pub(crate) const fn observation(known: &Known) -> Observation {
        Observation {
            what: Observed::Change(known.change()),
            observed_at: known.observed_at,
            source: SourceClass::Network,
        }
    }

    /// Tells the runtime of a change where a question waits; what it has no room for is left out.
    fn push(&self, msisdn: Msisdn, known: &Known) {
        for change in self.changed(msisdn, known) {
            self.changes.tell_now(change);
        }
    }

    /// Tells the runtime of a change; `false` if nobody takes it.
    pub(crate) async fn tell(&self, msisdn: Msisdn, known: &Known) -> bool {
        let mut told = true;
        for change in self.changed(msisdn, known) {
            told &= self.changes.tell(change).await;
        }
        told
    }

    /// That it changed, and what holds no more since then.
    pub(crate) fn changed(
        &self,
        msisdn: Msisdn,
        known: &Known,
    ) -> impl Iterator<Item = SourceChange> {
        let change = SourceChange::told(msisdn, self.signal, Self::observation(known));
        let of_old = self.of_old.iter();
        let of_old = of_old.map(move |signal| SourceChange::withdrawal(msisdn, *signal));
        std::iter::once(change).chain(of_old)
    }

    /// Takes back what was said of a number that nobody has now: a swap may be under way, and a broker
    /// would go on to say that there was none.
    pub(crate) async fn withdraw(&self, msisdn: Msisdn) -> bool {
        let mut told = true;
        for change in self.missing(msisdn) {
            told &= self.changes.tell(change).await;
        }
        told
    }

    /// Tells once more what may have been told to nobody. Call it when the journal is flushed.
    pub(crate) async fn tell_again(&self) {
        for (msisdn, known) in self.journal.untold().into_iter().take(WITHDRAWALS_MAX) {
            if known.missing {
                self.withdraw(msisdn).await;
            } else {
                self.tell(msisdn, &known).await;
            }
        }
    }

    /// What is taken back while the identity of a number can't be told: all that is known by it.
    pub(crate) fn missing(&self, msisdn: Msisdn) -> impl Iterator<Item = SourceChange> {
        let signals = std::iter::once(self.signal).chain(self.of_old.iter().copied());
        signals.map(move |signal| SourceChange::withdrawal(msisdn, signal))
    }

    pub(crate) async fn flush(&self) -> Result<(), FlushError> {
        let journal = Arc::clone(&self.journal);
        let flushed = tokio::task::spawn_blocking(move || journal.flush()).await;
        Ok(flushed.map_err(|_| FlushError::Interrupted)??)
    }

    /// Journals a sample. A change is durable before anybody is told.
    pub(crate) async fn record(
        &self,
        msisdn: Msisdn,
        identity: &str,
        sent: Timestamp,
        received: Timestamp,
    ) -> Result<Option<Known>, Reason> {
        let seen = self.journal.seen(msisdn, identity, sent, received);
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
                self.push(msisdn, &known);
            }
            known
        }))
    }

    /// What was last seen of a number, without a look now. Of one that was missing then it is not told:
    /// it would say *no swap* exactly while one may be under way.
    pub(crate) fn remembered(
        &self,
        msisdn: &Msisdn,
        now: Timestamp,
    ) -> Result<Observation, Reason> {
        let known = self.journal.known(msisdn);
        let seen = known.filter(|known| !known.missing);
        let seen = seen.and_then(|known| known.by(now));
        seen.map_or(Err(Reason::SourceDown), |known| {
            Ok(Self::observation(&known))
        })
    }

    /// Journals that the identity of a number can't be told now, and takes back what was told of it;
    /// `None`: the number was never seen.
    pub(crate) fn missed(&self, msisdn: &Msisdn) -> Result<Option<Missed>, Reason> {
        let missed = self.journal.missed(msisdn);
        let missed = missed.map_err(|_| Reason::SourceDown)?;
        if missed.is_some_and(|missed| missed.newly) {
            for change in self.missing(*msisdn) {
                self.changes.tell_now(change);
            }
        }
        Ok(missed)
    }
}
