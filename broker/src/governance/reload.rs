//! Replaces documents while the broker runs: each load is an entry of the ledger before it takes
//! effect, and a bad new file keeps what was in force. So does an agreement whose day has not come.

use std::sync::Arc;

use accord_proto::{clock::SharedClock, v1};
use jiff::Timestamp;

use super::{
    DocumentFiles, Governance, KeptAgreement,
    load::{Loader, loaded_agreement, loaded_parties},
};
use crate::{
    entry::record_entry,
    ledger::{Ledger, LedgerError},
    metrics::Metrics,
    stamp::Stamp,
};

/// Watches the document files.
#[derive(Debug)]
pub struct Reloader {
    loader: Loader,
    kept: KeptAgreement,
    ledger: Arc<Ledger>,
    clock: SharedClock,
    at: At,
    origin: String,
    warned_days: Option<i64>,
}

/// The files as they were last looked at.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub struct Seen {
    pub(super) agreement: Option<Stamp>,
    pub(super) parties: Option<Stamp>,
    pub(super) ported: Option<Stamp>,
}

/// How far the reloader has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) seen: Seen,
    /// The newest version that the authorities activated.
    pub(super) activated: Option<u64>,
    /// When the next agreement takes effect, where that is not yet.
    pub(super) pending: Option<Timestamp>,
}

impl Reloader {
    /// A reloader of files that were read after `seen` was looked at. It reads the agreement's once
    /// more: what is in force may be the one kept, while the file's waits for its day.
    #[must_use]
    pub fn new(
        files: DocumentFiles,
        kept: KeptAgreement,
        seen: Seen,
        governance: Arc<Governance>,
        ledger: Arc<Ledger>,
        metrics: Arc<Metrics>,
        clock: SharedClock,
    ) -> Self {
        let origin = ledger.origin();
        let seen = Seen {
            agreement: None,
            ..seen
        };
        Self {
            kept,
            loader: Loader {
                files,
                governance,
                metrics,
            },
            ledger,
            clock,
            at: At {
                seen,
                activated: None,
                pending: None,
            },
            origin,
            warned_days: None,
        }
    }

    /// Puts what is in force at start on the record.
    ///
    /// # Errors
    /// If the ledger takes nothing.
    pub async fn record_start(&self) -> Result<(), LedgerError> {
        let governed = self.loader.governance.current();
        if !governed.waits {
            self.record(loaded_agreement(governed.signed())).await?;
        }
        self.record(loaded_parties(governed.parties())).await?;
        self.keep().await;
        Ok(())
    }

    /// Keeps the agreement in force, for a restart while the next one waits. It is in force all the
    /// same if that fails.
    async fn keep(&self) {
        let (kept, governed) = (self.kept.clone(), self.loader.governance.current());
        if governed.waits {
            return;
        }
        let keep = move || kept.keep(governed.signed());
        match tokio::task::spawn_blocking(keep).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the agreement in force is not kept"),
            Err(panic) => tracing::error!(%panic, "the keeping of the agreement broke off"),
        }
    }

    /// Looks at the files once, and at the calendar. Called about twice a second.
    ///
    /// # Errors
    /// If the ledger takes nothing; then nothing changed.
    pub async fn tick(&mut self) -> Result<(), LedgerError> {
        self.warn();
        let origin = self.ledger.origin();
        if origin != self.origin {
            // A new month's log must by itself say what was in force.
            self.record_start().await?;
            self.origin = origin;
        }
        let now = self.clock.now();
        let new = At {
            seen: Seen::look(&self.loader.files),
            activated: self.loader.activated(),
            pending: None,
        };
        let due = self.at.is_due(now);
        if new.seen == self.at.seen && new.activated == self.at.activated && !due {
            return Ok(());
        }
        let (loader, at) = (self.loader.clone(), self.at);
        let ledger = Arc::clone(&self.ledger);
        // Ported numbers may be many, and the record of what changes is waited for.
        let load = move || loader.load(at, new, now).and_take_effect(&loader, &ledger);
        let (changed, pending) = match tokio::task::spawn_blocking(load).await {
            Ok(done) => done?,
            Err(panic) => {
                tracing::error!(%panic, "the reading of changed documents broke off");
                return Ok(());
            }
        };
        if changed {
            self.keep().await;
        }
        // Only now: what could not be put on the record is tried again.
        self.at = At { pending, ..new };
        Ok(())
    }

    async fn record(&self, loaded: v1::DocumentLoaded) -> Result<(), LedgerError> {
        record_entry(&self.ledger, v1::entry::Event::DocumentLoaded(loaded))
            .await
            .map(drop)
    }

    /// Says 30, 7 and 1 days before that the agreement expires.
    fn warn(&mut self) {
        let governed = self.loader.governance.current();
        let term = governed.signed().document().term();
        let now = self.clock.now();
        self.loader.metrics.agreement_days_left(term.days_left(now));
        let warning = term.warning_days(now);
        if warning != self.warned_days {
            self.warned_days = warning;
            if let Some(days) = warning {
                tracing::warn!(days, expires = %term.expires(), "the agreement expires soon");
            }
        }
    }
}

impl At {
    /// Whether the day of the agreement that waits has come.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.pending.is_some_and(|effective| effective <= now)
    }
}

impl Seen {
    /// Looks at the files, without reading them. What changes between this look and the reading is
    /// read again.
    #[must_use]
    pub fn look(files: &DocumentFiles) -> Self {
        Self {
            agreement: Some(Stamp::of(&files.agreement)),
            parties: Some(Stamp::of(&files.parties)),
            ported: files.ported.as_deref().map(Stamp::of),
        }
    }
}

#[cfg(test)]
mod tests;
