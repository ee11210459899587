//! What the authorities did, as a broker finds it in its ledger at start.

use std::{collections::HashMap, path::Path, sync::Arc};

use accord_proto::{
    agreement::{Act, Life, SignedAgreement, Standing},
    document::{Authorities, text_sha256},
};

use super::{
    choose::Candidates,
    recorded::{At, LifeError, RecordedAct, acts_file, recall},
    store::DocumentStore,
};
use crate::{acts_file::ActsFile, ledger::Ledger};

/// What the ledger says the authorities did.
#[derive(Debug)]
pub struct RecalledLife {
    pub(super) inner: Inner,
    pub(super) file: ActsFile,
    pub(super) store: DocumentStore,
    activated: Candidates,
}

/// The state, and which acts led to it.
#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) life: Life,
    /// Each act, oldest first.
    pub(super) acts: Vec<At>,
    /// By the digest of its text: no act happens twice.
    pub(super) seen: HashMap<[u8; 32], usize>,
    /// Up to where the file beside the keys says that there is no other act.
    pub(super) written: Option<String>,
}

impl Inner {
    pub(super) fn remember(&mut self, note_text: &str, at: At) {
        self.seen.insert(text_sha256(note_text), self.acts.len());
        self.acts.push(at);
    }
}

impl RecalledLife {
    /// Lets every act on the record happen again.
    ///
    /// # Errors
    /// [`LifeError`] names the entry that no authority signed, or that can't have happened.
    pub fn open(
        keys: &Path,
        ledger: &Ledger,
        authorities: &Authorities,
    ) -> Result<Self, LifeError> {
        let file = acts_file(keys);
        let store = DocumentStore::beside_keys(keys);
        let mut inner = Inner::default();
        for recorded in recall(&file, ledger)? {
            again(&mut inner, recorded, authorities)?;
        }
        let activated = activated(&inner.life, &store, authorities);
        Ok(Self {
            inner,
            file,
            store,
            activated,
        })
    }

    /// What stands suspended or ended.
    #[must_use]
    pub const fn standing(&self) -> &Arc<Standing> {
        self.inner.life.standing()
    }

    /// What was activated, oldest version first.
    #[must_use]
    pub fn activated(&self) -> &[Arc<SignedAgreement>] {
        &self.activated
    }
}

fn again(
    inner: &mut Inner,
    recorded: RecordedAct,
    authorities: &Authorities,
) -> Result<(), LifeError> {
    let At { origin, index } = recorded.at.clone();
    let opened = Act::open(&recorded.act.note, authorities).map_err(|error| LifeError::Act {
        origin: origin.clone(),
        index,
        error,
    })?;
    inner
        .life
        .replay(&opened.act, opened.by, recorded.act.kind())
        .map_err(|error| LifeError::Order {
            origin,
            index,
            error,
        })?;
    inner.remember(&opened.act.to_text(), recorded.at);
    Ok(())
}

/// The activated documents that are there. One that is gone is missed only if no other governs.
pub(super) fn activated(
    life: &Life,
    store: &DocumentStore,
    authorities: &Authorities,
) -> Candidates {
    let open = |sha256: &[u8; 32]| {
        let note = store.find(sha256)?.to_string();
        SignedAgreement::open(&note, authorities, None).ok()
    };
    let mut found = Candidates::new();
    for one in life.activated() {
        match open(&one.sha256) {
            Some(agreement) => found.push(Arc::new(agreement)),
            None => {
                let path = store.path(&one.sha256);
                let (path, version) = (path.display(), one.version);
                tracing::error!(%path, version, "an activated agreement is not where it was put");
            }
        }
    }
    found
}
