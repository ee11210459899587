//! The entries of a ledger that lies here: a broker's directory, or a mirror of it. Either is
//! verified before anything in it is shown.

use std::path::{Path, PathBuf};

use accord_proto::c2sp::VerifierKey;

use crate::{
    LedgerEntry, Verified, VerifyError,
    answer::Mistrust,
    audit::stored::{StoredError, stored_entries},
    mirror::{MirrorFault, VerifiedMirror, is_mirror, mirrored_entries, verify_mirror},
    verify_dir,
};

/// Why a copy can't be read.
#[derive(Debug, thiserror::Error)]
pub enum HeldError {
    /// The broker's directory does not verify.
    #[error("the ledger does not verify")]
    Ledger(#[from] VerifyError),
    /// The mirror does not verify.
    #[error("the mirror does not verify")]
    Mirror(#[from] MirrorFault),
    /// What verified can't be read again.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// A leaf that is no entry.
    #[error("entry {index} of {origin} can't be read")]
    Entry {
        /// The log.
        origin: String,
        /// Which.
        index: u64,
        /// Why not.
        source: Mistrust,
    },
}

/// A copy in which nothing is wrong.
#[derive(Debug)]
pub struct Held {
    dir: PathBuf,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Ledger(Verified),
    Mirror(VerifiedMirror),
}

impl Held {
    /// Verifies a directory. `log_keys` are the keys that the auditor knows; without any, the one
    /// that lies in it is taken, which shows damage but not a log made anew with another key.
    ///
    /// # Errors
    /// [`HeldError`].
    pub fn verify(dir: &Path, log_keys: &[VerifierKey]) -> Result<Self, HeldError> {
        let form = if is_mirror(dir) {
            Form::Mirror(verify_mirror(dir, log_keys)?)
        } else {
            Form::Ledger(verify_dir(dir, log_keys)?)
        };
        let dir = dir.to_owned();
        Ok(Self { dir, form })
    }

    /// The months' logs in it, oldest first.
    #[must_use]
    pub fn origins(&self) -> Vec<&str> {
        match &self.form {
            Form::Ledger(held) => held.logs.iter().map(|log| log.origin.as_str()).collect(),
            Form::Mirror(held) => held.logs.iter().map(|log| log.origin.as_str()).collect(),
        }
    }

    /// Leaves out the logs whose origin is not to be read.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        match &mut self.form {
            Form::Ledger(held) => held.logs.retain(|log| keep(&log.origin)),
            Form::Mirror(held) => held.logs.retain(|log| keep(&log.origin)),
        }
    }

    /// Shows each entry, in order, until `each` refuses one.
    ///
    /// # Errors
    /// What `each` said, or [`HeldError`]: the copy is no longer as it was verified.
    pub fn entries<E: From<HeldError>>(
        &self,
        mut each: impl FnMut(LedgerEntry) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut failed = None;
        let read = match &self.form {
            Form::Ledger(held) => stored_entries(&self.dir, held, |entry| {
                if failed.is_none() {
                    failed = each(entry).err();
                }
            })
            .map_err(HeldError::from),
            Form::Mirror(held) => mirrored_entries(&self.dir, held, |origin, index, bytes| {
                if failed.is_none() {
                    let entry = parsed(origin, index, bytes);
                    failed = entry.map_err(E::from).and_then(&mut each).err();
                }
            })
            .map_err(HeldError::from),
        };
        match failed {
            Some(failed) => Err(failed),
            None => Ok(read?),
        }
    }
}

fn parsed(origin: &str, index: u64, bytes: &[u8]) -> Result<LedgerEntry, HeldError> {
    let entry = LedgerEntry::parse(origin.to_owned(), index, bytes.to_vec());
    entry.map_err(|source| HeldError::Entry {
        origin: origin.to_owned(),
        index,
        source,
    })
}
