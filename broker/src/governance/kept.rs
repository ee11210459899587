//! The agreement in force, kept in a file of the broker's own: while the next one waits for its day
//! in the configured file, a restart goes on with the one that is in force.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use accord_proto::{
    agreement::SignedAgreement,
    document::{Authorities, Loaded},
};
use jiff::Timestamp;

use super::{
    choose::{Candidates, configured, may_follow, newest_in_force},
    documents::{DocumentError, read_agreement},
};
use crate::durable;

/// Its name, beside the broker's keys.
const NAME: &str = "agreement-in-force.toml";

/// Where the agreement in force is kept.
#[derive(Clone, Debug)]
pub struct KeptAgreement {
    path: PathBuf,
}

/// What governs when the broker starts.
#[derive(Debug)]
pub struct Governing {
    /// The agreement.
    pub agreement: Arc<SignedAgreement>,
    /// It was never in force here and is not now: until it is on the record as such it allows
    /// nothing, and another one may take its place, even an older one.
    pub waits: bool,
}

impl KeptAgreement {
    /// In the directory of the broker's keys, which outlives a restart as they do.
    #[must_use]
    pub fn beside_keys(dir: &Path) -> Self {
        let path = dir.join(NAME);
        Self { path }
    }

    /// The agreement to start with: of those in the configured file, activated by the authorities and
    /// kept, the newest that is in force. `floor` is the newest that was in force before.
    ///
    /// # Errors
    /// If the configured file holds no agreement to believe; the one kept is then no excuse.
    pub fn start(
        &self,
        file: &Path,
        authorities: &Authorities,
        floor: Option<Loaded>,
        activated: &[Arc<SignedAgreement>],
        now: Timestamp,
    ) -> Result<Governing, Box<DocumentError>> {
        let in_file = configured(file, authorities, floor, activated)?;
        let by_act = activated.iter().filter(|one| may_follow(one, floor));
        let mut candidates: Candidates = in_file.into_iter().chain(by_act.cloned()).collect();
        if let Some(agreement) = newest_in_force(&candidates, now) {
            let waits = false;
            return Ok(Governing { agreement, waits });
        }
        let newest = candidates
            .iter()
            .max_by_key(|one| one.document().version())
            .cloned();
        candidates = self
            .read(authorities, floor)
            .map(Arc::new)
            .into_iter()
            .collect();
        if let Some(kept) = newest_in_force(&candidates, now) {
            let version = kept.document().version();
            tracing::warn!(
                version,
                "the agreement in the file is not in force; the last one still is"
            );
            let waits = false;
            return Ok(Governing {
                agreement: kept,
                waits,
            });
        }
        let Some(agreement) = newest else {
            // The file was replaced by an act, so that one is a candidate.
            return read_agreement(file, authorities, floor).map(|agreement| Governing {
                agreement: Arc::new(agreement),
                waits: true,
            });
        };
        let waits = floor != Some(agreement.loaded());
        Ok(Governing { agreement, waits })
    }

    /// Signatures and version are checked as those of any other.
    fn read(&self, authorities: &Authorities, floor: Option<Loaded>) -> Option<SignedAgreement> {
        if !self.path.exists() {
            return None;
        }
        read_agreement(&self.path, authorities, floor)
            .inspect_err(
                |error| tracing::error!(%error, "the agreement that was kept is of no use"),
            )
            .ok()
    }

    /// Keeps the agreement that is in force now; all of it is there, or what was there before.
    ///
    /// # Errors
    /// What the system said.
    pub fn keep(&self, agreement: &SignedAgreement) -> io::Result<()> {
        let note = agreement.note();
        if fs::read_to_string(&self.path).is_ok_and(|kept| kept == note) {
            return Ok(());
        }
        durable::replace(&self.path, note.as_bytes()).map_err(|failed| failed.source)
    }
}
