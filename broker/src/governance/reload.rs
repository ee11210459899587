//! Replaces documents while the broker runs: each load is an entry of the ledger before it takes
//! effect, and a bad new file keeps what was in force. So does an agreement whose day has not come.

use std::sync::Arc;

use accord_proto::{
    agreement::{NotInForce, SignedAgreement},
    clock::SharedClock,
    parties::Parties,
    v1,
};
use jiff::Timestamp;

use super::{
    DocumentFiles, Governance, Governed, KeptAgreement,
    documents::{DocumentError, read_agreement, read_parties, read_ported},
    routes,
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
    agreement: Option<Stamp>,
    parties: Option<Stamp>,
    ported: Option<Stamp>,
}

/// How far the reloader has come.
#[derive(Debug, Clone, Copy)]
struct At {
    seen: Seen,
    /// When the agreement in the file takes effect, where that is not yet.
    pending: Option<Timestamp>,
}

/// What a look at changed files found.
struct Loading {
    /// What is about to be in force, if anything changed.
    governed: Option<Governed>,
    /// What the ledger is told of it first.
    records: Vec<v1::DocumentLoaded>,
    /// When the agreement in the file takes effect, where that is not yet.
    pending: Option<Timestamp>,
}

/// Reads the files.
#[derive(Clone, Debug)]
struct Loader {
    files: DocumentFiles,
    governance: Arc<Governance>,
    metrics: Arc<Metrics>,
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
        let (seen, now) = (Seen::look(&self.loader.files), self.clock.now());
        let due = self.at.pending.is_some_and(|effective| effective <= now);
        if seen == self.at.seen && !due {
            return Ok(());
        }
        let (loader, at) = (self.loader.clone(), self.at);
        // Ported numbers may be many.
        let load = move || loader.load(at, seen, now);
        let Loading {
            governed,
            records,
            pending,
        } = match tokio::task::spawn_blocking(load).await {
            Ok(loading) => loading,
            Err(panic) => {
                tracing::error!(%panic, "the reading of changed documents broke off");
                return Ok(());
            }
        };
        for record in records {
            self.record(record).await?;
        }
        if let Some(governed) = governed {
            self.loader.governance.replace(governed);
            self.keep().await;
        }
        // Only now: what could not be put on the record is tried again.
        self.at = At { seen, pending };
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

impl Loader {
    /// Reads the documents that changed, each by itself: a bad one keeps its own predecessor in
    /// force and not the others', so that a suspension acts whatever else is broken.
    fn load(&self, at: At, seen: Seen, now: Timestamp) -> Loading {
        let old = self.governance.current();
        let (mut agreement, mut parties) = (Arc::clone(&old.agreement), Arc::clone(&old.parties));
        let (mut records, mut waits) = (Vec::new(), old.waits);
        let mut changed = at.seen.ported != seen.ported;
        let mut pending = at.pending;
        if at.seen.agreement != seen.agreement || pending.is_some_and(|effective| effective <= now)
        {
            match self.agreement(&old, now) {
                Ok(Next::Same) => pending = None,
                Ok(Next::Later(new)) => {
                    pending = Some(new.document().term().effective_at());
                    // Where none is in force, this is the one that is waited for.
                    if waits && new.loaded() != agreement.loaded() {
                        (changed, agreement) = (true, new);
                    }
                }
                Ok(Next::Now(new)) => {
                    (changed, waits, pending) = (true, false, None);
                    records.push(in_force(loaded_agreement(&new)));
                    agreement = new;
                }
                Err(error) => {
                    pending = None;
                    records.push(self.refused("agreement", &error));
                }
            }
        }
        if at.seen.parties != seen.parties {
            let last = parties.loaded();
            let authorities = self.governance.authorities();
            match read_parties(&self.files.parties, authorities, Some(last)) {
                Ok(new) if new.loaded() == last => {}
                Ok(new) => {
                    changed = true;
                    records.push(in_force(loaded_parties(&new)));
                    parties = Arc::new(new);
                }
                Err(error) => records.push(self.refused("parties", &error)),
            }
        }
        let governed = changed.then(|| {
            let ported = read_ported(self.files.ported.as_deref()).map_err(|error| {
                records.push(self.refused("ported", &error));
            });
            let routes = match ported {
                Ok(ported) => routes(&parties, &ported),
                Err(()) => old.routes.clone(),
            };
            Governed::new(agreement, parties, routes, old.generation() + 1, waits)
        });
        Loading {
            governed,
            records,
            pending,
        }
    }

    /// Reads the agreement, and looks whether its term has begun.
    fn agreement(&self, old: &Governed, now: Timestamp) -> Result<Next, Box<DocumentError>> {
        let (path, floor) = (&self.files.agreement, self.governance.floor(old));
        let new = Arc::new(read_agreement(path, self.governance.authorities(), floor)?);
        if !old.waits && new.loaded() == old.agreement.loaded() {
            return Ok(Next::Same);
        }
        let term = new.document().term();
        match term.check_in_force(now) {
            Ok(()) => Ok(Next::Now(new)),
            Err(NotInForce::NotYet { effective }) => {
                let version = new.document().version();
                tracing::info!(version, %effective, "a new agreement waits for its first day");
                Ok(Next::Later(new))
            }
            Err(state @ NotInForce::Expired { .. }) => Err(Box::new(DocumentError::Expired {
                path: path.clone(),
                state,
            })),
        }
    }

    /// Counts and logs a document that is not taken.
    fn refused(&self, kind: &'static str, error: &DocumentError) -> v1::DocumentLoaded {
        self.metrics.document_refused(kind);
        tracing::error!(kind, %error, "a new document is refused; the old one stays in force");
        v1::DocumentLoaded {
            kind: kind.to_owned(),
            refused: error.to_string(),
            ..v1::DocumentLoaded::default()
        }
    }
}

/// What becomes of the agreement in the file.
enum Next {
    /// It waits for its day.
    Later(Arc<SignedAgreement>),
    /// It takes effect.
    Now(Arc<SignedAgreement>),
    /// It is in force already.
    Same,
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

fn in_force(loaded: v1::DocumentLoaded) -> v1::DocumentLoaded {
    let v1::DocumentLoaded {
        kind, id, version, ..
    } = &loaded;
    tracing::info!(kind, id, version, "a signed document is in force");
    loaded
}

fn loaded_agreement(signed: &SignedAgreement) -> v1::DocumentLoaded {
    v1::DocumentLoaded {
        kind: "agreement".to_owned(),
        id: signed.document().id().to_owned(),
        version: signed.document().version(),
        sha256: signed.sha256().to_vec(),
        signers: signed.signers().to_vec(),
        refused: String::new(),
    }
}

fn loaded_parties(parties: &Parties) -> v1::DocumentLoaded {
    v1::DocumentLoaded {
        kind: "parties".to_owned(),
        id: parties.id().to_owned(),
        version: parties.version(),
        sha256: parties.sha256().to_vec(),
        signers: parties.signers().to_vec(),
        refused: String::new(),
    }
}

#[cfg(test)]
mod tests;
