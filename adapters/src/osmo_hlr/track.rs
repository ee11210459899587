//! What is journalled of one signal that is the difference of a value: of the IMSI for `sim_swap`,
//! of the IMEI for `device_swap`.

use std::sync::Arc;

use accord_proto::msisdn::Msisdn;
use accord_proto::observation::{Observation, Observed, SourceClass};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::OsmoHlrError;
use crate::interval_journal::{
    IntervalJournal, JournalError, Known, Outcome, PENDING_FRAMES_MAX, Settings,
};
use crate::source::SourceChange;

/// The journal of a signal, and the way to tell the runtime of changes.
#[derive(Debug)]
pub(super) struct Track {
    signal: Signal,
    pub(super) journal: Arc<IntervalJournal>,
    changes: mpsc::Sender<SourceChange>,
}

impl Track {
    pub(super) fn open(
        signal: Signal,
        settings: Settings,
        changes: mpsc::Sender<SourceChange>,
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
            journal,
            changes,
        })
    }

    pub(super) const fn observation(known: &Known) -> Observation {
        Observation {
            what: Observed::Change(known.change()),
            observed_at: known.observed_at,
            source: SourceClass::Network,
        }
    }

    /// Tells the runtime of a change; `false` if it has no room.
    pub(super) fn push(&self, msisdn: Msisdn, known: &Known) -> bool {
        let change = SourceChange::told(msisdn, self.signal, Self::observation(known));
        self.changes.try_send(change).is_ok()
    }

    pub(super) async fn flush(&self) -> Result<(), OsmoHlrError> {
        let journal = Arc::clone(&self.journal);
        let flushed = tokio::task::spawn_blocking(move || journal.flush()).await;
        Ok(flushed.map_err(|_| OsmoHlrError::Interrupted)??)
    }

    /// Journals a sample. A change is durable before anybody is told.
    pub(super) async fn record(
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
                let _ = self.push(msisdn, &known);
            }
            known
        }))
    }

    /// What was last seen of a number, without a look now. Of one that was missing then it is not told:
    /// it would say *no swap* exactly while one may be under way.
    pub(super) fn remembered(&self, msisdn: &Msisdn) -> Result<Observation, Reason> {
        let known = self.journal.known(msisdn);
        let seen = known.filter(|known| !known.missing);
        seen.map_or(Err(Reason::SourceDown), |known| {
            Ok(Self::observation(&known))
        })
    }

    /// Journals that the identity of a number can't be told now, and gives what was known of it;
    /// `None`: the number was never seen.
    pub(super) fn missed(&self, msisdn: &Msisdn) -> Result<Option<Known>, Reason> {
        self.journal.missed(msisdn).map_err(|_| Reason::SourceDown)
    }
}
