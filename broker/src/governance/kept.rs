//! The agreement in force, kept in a file of the broker's own: while the next one waits for its day
//! in the configured file, a restart goes on with the one that is in force.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use accord_proto::{
    agreement::SignedAgreement,
    document::{Authorities, Loaded},
};
use jiff::Timestamp;

use super::documents::{DocumentError, read_agreement};

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
    pub agreement: SignedAgreement,
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

    /// The agreement to start with: the one in the configured file, or the one kept, where only
    /// that is in force. `floor` is the newest that was in force before.
    ///
    /// # Errors
    /// If the configured file holds no agreement to believe; the one kept is then no excuse.
    pub fn start(
        &self,
        configured: &Path,
        authorities: &Authorities,
        floor: Option<Loaded>,
        now: Timestamp,
    ) -> Result<Governing, Box<DocumentError>> {
        let agreement = read_agreement(configured, authorities, floor)?;
        let in_force = |one: &SignedAgreement| one.document().term().check_in_force(now).is_ok();
        if in_force(&agreement) {
            let waits = false;
            return Ok(Governing { agreement, waits });
        }
        match self.read(authorities, floor) {
            Some(kept) if in_force(&kept) => {
                let version = kept.document().version();
                tracing::warn!(
                    version,
                    "the agreement in the file is not in force; the last one still is"
                );
                let waits = false;
                Ok(Governing {
                    agreement: kept,
                    waits,
                })
            }
            Some(_) | None => {
                let waits = floor != Some(agreement.loaded());
                Ok(Governing { agreement, waits })
            }
        }
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
        let partial = self.path.with_extension("partial");
        let mut file = fs::File::create(&partial)?;
        file.write_all(note.as_bytes())?;
        file.sync_all()?;
        fs::rename(&partial, &self.path)?;
        self.path
            .parent()
            .map_or(Ok(()), |dir| fs::File::open(dir)?.sync_all())
    }
}
