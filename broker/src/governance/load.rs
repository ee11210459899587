//! Reads the documents that changed, and puts what they say in force.

use std::sync::Arc;

use accord_proto::{
    agreement::{NotInForce, SignedAgreement},
    parties::Parties,
    v1,
};
use jiff::Timestamp;

use super::{
    DocumentFiles, Governance, Governed,
    choose::{Candidates, configured, may_follow, newest_in_force, next_to_come},
    documents::{DocumentError, read_parties, read_ported},
    reload::At,
    routes,
};
use crate::{
    entry::encode,
    ledger::{Ledger, LedgerError},
    metrics::Metrics,
};

/// What a look at changed files found.
pub(super) struct Loading {
    /// What is about to be in force, if anything changed.
    governed: Option<Governed>,
    /// What the ledger is told of it first.
    records: Vec<v1::DocumentLoaded>,
    /// When the next agreement takes effect, where that is not yet.
    pending: Option<Timestamp>,
}

/// Reads the files.
#[derive(Clone, Debug)]
pub(super) struct Loader {
    pub(super) files: DocumentFiles,
    pub(super) governance: Arc<Governance>,
    pub(super) metrics: Arc<Metrics>,
}

/// What becomes of the agreements that may govern.
struct Next {
    /// It takes effect.
    now: Option<Arc<SignedAgreement>>,
    /// It waits for its day.
    later: Option<Arc<SignedAgreement>>,
}

impl Loading {
    /// Puts what was found on the record, and then in force; says whether anything is new there, and
    /// what waits.
    pub(super) fn and_take_effect(
        self,
        loader: &Loader,
        ledger: &Ledger,
    ) -> Result<(bool, Option<Timestamp>), LedgerError> {
        let events = self.records.into_iter();
        let events: Vec<_> = events.map(v1::entry::Event::DocumentLoaded).collect();
        let changed = self.governed.is_some();
        if let Some(governed) = self.governed {
            loader.governance.replace(ledger, events, governed)?;
        } else {
            for event in events {
                ledger.append_blocking(encode(event)?)?;
            }
        }
        Ok((changed, self.pending))
    }
}

impl Loader {
    /// The newest version that the authorities activated.
    pub(super) fn activated(&self) -> Option<u64> {
        let activated = self.governance.activated();
        activated.last().map(|one| one.document().version())
    }

    /// Reads the documents that changed, each by itself: a bad one keeps its own predecessor in
    /// force and not the others', so that a suspension acts whatever else is broken.
    pub(super) fn load(&self, at: At, new: At, now: Timestamp) -> Loading {
        let old = self.governance.current();
        let (mut agreement, mut parties) = (Arc::clone(&old.agreement), Arc::clone(&old.parties));
        let (mut records, mut waits) = (Vec::new(), old.waits);
        let mut changed = at.seen.ported != new.seen.ported;
        let mut pending = at.pending;
        let in_file = at.seen.agreement != new.seen.agreement || at.is_due(now);
        if in_file || at.activated != new.activated {
            let next = self.agreement(&old, now, in_file, &mut records);
            pending = next
                .later
                .as_ref()
                .map(|later| later.document().term().effective_at());
            if let Some(taken) = next.now {
                (changed, waits) = (true, false);
                records.push(in_force(loaded_agreement(&taken)));
                agreement = taken;
            } else if let Some(later) = next.later
                && waits
                && later.loaded() != agreement.loaded()
            {
                // Where none is in force, this is the one that is waited for.
                (changed, agreement) = (true, later);
            }
        }
        if at.seen.parties != new.seen.parties {
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
                Ok(ported) => Arc::new(routes(&parties, &ported)),
                Err(()) => Arc::clone(&old.routes),
            };
            // What stands suspended at that moment stands on: see `Governance::replace`.
            let standing = Arc::clone(&old.standing);
            Governed::new(agreement, parties, routes, waits, standing)
        });
        Loading {
            governed,
            records,
            pending,
        }
    }

    /// Looks at the agreement in the file and at those that the authorities activated. A mistake in
    /// the file is told where the file is what changed.
    fn agreement(
        &self,
        old: &Governed,
        now: Timestamp,
        in_file: bool,
        records: &mut Vec<v1::DocumentLoaded>,
    ) -> Next {
        let (path, floor) = (&self.files.agreement, self.governance.floor(old));
        let activated = self.governance.activated();
        let authorities = self.governance.authorities();
        let by_act = activated.iter().filter(|one| may_follow(one, floor));
        let mut candidates: Candidates = by_act.cloned().collect();
        match configured(path, authorities, floor, &activated) {
            Ok(found) => candidates.extend(found),
            Err(error) if in_file => records.push(self.refused("agreement", &error)),
            Err(_) => {}
        }
        let is_old =
            |one: &Arc<SignedAgreement>| !old.waits && one.loaded() == old.agreement.loaded();
        let in_force = newest_in_force(&candidates, now).filter(|one| !is_old(one));
        let above = match (&in_force, old.waits) {
            (Some(taken), _) => taken.document().version(),
            (None, true) => 0,
            (None, false) => old.agreement.document().version(),
        };
        let later = next_to_come(&candidates, above, now);
        if let Some(later) = &later {
            let document = later.document();
            let (version, effective) = (document.version(), document.term().effective());
            tracing::info!(version, %effective, "a new agreement waits for its first day");
        }
        for one in candidates.iter().filter(|one| in_file && !is_old(one)) {
            let by_act = activated.iter().any(|other| Arc::ptr_eq(one, other));
            if let (Err(state @ NotInForce::Expired { .. }), false) =
                (one.document().term().check_in_force(now), by_act)
            {
                let path = path.clone();
                let error = DocumentError::Expired { path, state };
                records.push(self.refused("agreement", &error));
            }
        }
        Next {
            now: in_force,
            later,
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

fn in_force(loaded: v1::DocumentLoaded) -> v1::DocumentLoaded {
    let v1::DocumentLoaded {
        kind, id, version, ..
    } = &loaded;
    tracing::info!(kind, id, version, "a signed document is in force");
    loaded
}

pub(super) fn loaded_agreement(signed: &SignedAgreement) -> v1::DocumentLoaded {
    v1::DocumentLoaded {
        kind: "agreement".to_owned(),
        id: signed.document().id().to_owned(),
        version: signed.document().version(),
        sha256: signed.sha256().to_vec(),
        signers: signed.signers().to_vec(),
        refused: String::new(),
    }
}

pub(super) fn loaded_parties(parties: &Parties) -> v1::DocumentLoaded {
    v1::DocumentLoaded {
        kind: "parties".to_owned(),
        id: parties.id().to_owned(),
        version: parties.version(),
        sha256: parties.sha256().to_vec(),
        signers: parties.signers().to_vec(),
        refused: String::new(),
    }
}
