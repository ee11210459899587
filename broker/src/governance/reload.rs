//! Replaces documents while the broker runs: each load is an entry of the ledger before it takes
//! effect, and a bad new file keeps what was in force.

use std::{fs, path::Path, sync::Arc, time::SystemTime};

use accord_proto::{agreement::SignedAgreement, clock::SharedClock, parties::Parties, v1};

use super::{
    DocumentFiles, Governance, Governed,
    documents::{DocumentError, read_agreement, read_parties, read_ported},
    routes,
};
use crate::{
    entry::record_entry,
    ledger::{Ledger, LedgerError},
    metrics::Metrics,
};

/// Watches the document files.
#[derive(Debug)]
pub struct Reloader {
    files: DocumentFiles,
    governance: Arc<Governance>,
    ledger: Arc<Ledger>,
    metrics: Arc<Metrics>,
    clock: SharedClock,
    seen: Seen,
    origin: String,
    warned_days: Option<i64>,
}

/// The files as they were last looked at.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
struct Seen {
    agreement: Option<Stamp>,
    parties: Option<Stamp>,
    ported: Option<Stamp>,
}

type Stamp = (u64, SystemTime);

/// What a look at changed files found.
struct Loading {
    /// What is about to be in force, if anything changed.
    governed: Option<Governed>,
    /// What the ledger is told of it first.
    records: Vec<v1::DocumentLoaded>,
}

impl Reloader {
    /// A reloader of files that were just read.
    #[must_use]
    pub fn new(
        files: DocumentFiles,
        governance: Arc<Governance>,
        ledger: Arc<Ledger>,
        metrics: Arc<Metrics>,
        clock: SharedClock,
    ) -> Self {
        let seen = Seen::look(&files);
        let origin = ledger.origin();
        Self {
            files,
            governance,
            ledger,
            metrics,
            clock,
            seen,
            origin,
            warned_days: None,
        }
    }

    /// Puts what is in force at start on the record.
    ///
    /// # Errors
    /// If the ledger takes nothing.
    pub async fn record_start(&self) -> Result<(), LedgerError> {
        let governed = self.governance.current();
        self.record(loaded_agreement(governed.signed())).await?;
        self.record(loaded_parties(governed.parties())).await
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
            self.origin = origin;
            self.record_start().await?;
        }
        let seen = Seen::look(&self.files);
        if seen == self.seen {
            return Ok(());
        }
        let Loading { governed, records } = self.load(&seen);
        for record in records {
            self.record(record).await?;
        }
        if let Some(governed) = governed {
            self.governance.replace(governed);
        }
        // Only now: what could not be put on the record is tried again.
        self.seen = seen;
        Ok(())
    }

    /// Reads the documents that changed, each by itself: a bad one keeps its own predecessor in
    /// force and not the others', so that a suspension acts whatever else is broken.
    fn load(&self, seen: &Seen) -> Loading {
        let old = self.governance.current();
        let authorities = self.governance.authorities();
        let (mut agreement, mut parties) = (Arc::clone(&old.agreement), Arc::clone(&old.parties));
        let mut records = Vec::new();
        let mut changed = self.seen.ported != seen.ported;
        if self.seen.agreement != seen.agreement {
            let last = agreement.loaded();
            match read_agreement(&self.files.agreement, authorities, Some(last)) {
                Ok(new) if new.loaded() == last => {}
                Ok(new) => {
                    changed = true;
                    records.push(in_force(loaded_agreement(&new)));
                    agreement = Arc::new(new);
                }
                Err(error) => records.push(self.refused("agreement", &error)),
            }
        }
        if self.seen.parties != seen.parties {
            let last = parties.loaded();
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
        if !changed {
            let governed = None;
            return Loading { governed, records };
        }
        let ported = read_ported(self.files.ported.as_deref()).map_err(|error| {
            records.push(self.refused("ported", &error));
        });
        let routes = match ported {
            Ok(ported) => routes(&parties, &ported),
            Err(()) => old.routes.clone(),
        };
        let governed = Some(Governed::new(
            agreement,
            parties,
            routes,
            old.generation() + 1,
        ));
        Loading { governed, records }
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

    async fn record(&self, loaded: v1::DocumentLoaded) -> Result<(), LedgerError> {
        record_entry(&self.ledger, v1::entry::Event::DocumentLoaded(loaded))
            .await
            .map(drop)
    }

    /// Says 30, 7 and 1 days before that the agreement expires.
    fn warn(&mut self) {
        let governed = self.governance.current();
        let term = governed.signed().document().term();
        let now = self.clock.now();
        self.metrics.agreement_days_left(term.days_left(now));
        let warning = term.warning_days(now);
        if warning != self.warned_days {
            self.warned_days = warning;
            if let Some(days) = warning {
                tracing::warn!(days, expires = %term.expires(), "the agreement expires soon");
            }
        }
    }
}

impl Seen {
    fn look(files: &DocumentFiles) -> Self {
        Self {
            agreement: stamp(&files.agreement),
            parties: stamp(&files.parties),
            ported: files.ported.as_deref().and_then(stamp),
        }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
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
