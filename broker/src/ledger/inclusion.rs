//! Proofs that an entry is in a log, against one of its checkpoints.

use std::sync::Arc;

use accord_proto::c2sp::{Checkpoint, LogProof, SignedNote};
use accord_proto::merkle::{leaf_hash, prove_inclusion, verify_inclusion};

use super::Ledger;
use super::error::LedgerError;
use super::month::MonthLog;
use super::reads::{parsed, twice};

impl Ledger {
    /// A C2SP `tlog-proof` that an entry is in a log, against its newest checkpoint. The proof was
    /// verified; where it failed, tiles were made anew.
    ///
    /// # Errors
    /// [`LedgerError::Range`] beyond the end, [`LedgerError::Proof`], [`LedgerError::Damaged`].
    pub fn prove_inclusion(&self, origin: Option<&str>, index: u64) -> Result<String, LedgerError> {
        let log = self.log(origin)?;
        let newest = Arc::clone(&log.state().checkpoint);
        let (note, checkpoint) = parsed(&log, &newest)?;
        self.prove_under(&log, index, note, &checkpoint)
    }

    /// The same against any checkpoint of a log.
    pub(super) fn prove_under(
        &self,
        log: &MonthLog,
        index: u64,
        note: SignedNote,
        checkpoint: &Checkpoint,
    ) -> Result<String, LedgerError> {
        let Checkpoint { size, root, .. } = *checkpoint;
        if index >= size {
            return Err(LedgerError::Range { size });
        }
        let leaf = leaf_hash(&self.entry(Some(&log.origin), index)?);
        let hashes = twice(|anew| {
            log.read_tree(anew, |reader, newest, _| {
                if size > newest {
                    return Err(LedgerError::Range { size: newest });
                }
                let hashes = prove_inclusion(reader, index, size)?;
                verify_inclusion(&leaf, index, size, &hashes, &root)?;
                Ok(hashes)
            })
        })?;
        let proof = LogProof {
            extra: None,
            index,
            hashes,
            checkpoint: note,
        };
        Ok(proof.to_string())
    }
}
