//! A witness: an authority's own process, with its own key and its own memory. It cosigns a log's
//! checkpoint only where that continues all that it has seen of the log, so that whoever holds a
//! cosigned checkpoint knows that nothing before it was changed or removed.
//!
//! It speaks C2SP `tlog-witness`, and is thus a witness of any log that does.

mod callers;
mod serve;
mod store;

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use accord_proto::c2sp::note::NoteError;
use accord_proto::c2sp::witness::WitnessError;
use accord_proto::c2sp::{
    AddCheckpoint, Checkpoint, CheckpointError, Cosigner, NoteSignature, SignedNote, VerifierKey,
};
use accord_proto::clock::SharedClock;
use accord_proto::merkle::{ProofError, empty_root, verify_consistency};
use jiff::{SignedDuration, Timestamp};

pub use serve::{OnAnswer, serve};
pub use store::StoreError;

use store::Store;

/// Why a checkpoint was not cosigned. Nothing that the witness remembers has changed.
#[derive(Debug, thiserror::Error)]
pub enum NotCosigned {
    /// What was sent is no request.
    #[error("the request can't be read")]
    Malformed(#[from] WitnessError),
    /// A request whose parts don't fit each other.
    #[error("the request contradicts itself: {0}")]
    Contradiction(&'static str),
    /// Not one of the logs that this witness watches.
    #[error("this witness does not watch the log `{origin}`")]
    UnknownLog {
        /// The log's origin.
        origin: String,
    },
    /// The log's signature.
    #[error("the checkpoint is not believed")]
    Signature(#[source] CheckpointError),
    /// The log's view of what was seen last differs from the witness's: a log that has lost
    /// entries, or another answer that got lost.
    #[error("this witness saw the log at {size} entries")]
    Conflict {
        /// How many entries the checkpoint had that was cosigned last.
        size: u64,
    },
    /// The checkpoint does not continue the one that was cosigned last.
    #[error("the checkpoint does not continue the one of {size} entries")]
    Inconsistent {
        /// How many entries that one had.
        size: u64,
        /// In what way the proof fails.
        #[source]
        source: ProofError,
    },
    /// What was seen can't be read or kept, so nothing is cosigned.
    #[error("the witness's memory fails")]
    Store(#[from] StoreError),
}

impl NotCosigned {
    /// How far the witness has seen the log, where the caller was wrong about it.
    #[must_use]
    pub const fn seen(&self) -> Option<u64> {
        match self {
            Self::Conflict { size } => Some(*size),
            Self::Malformed(_)
            | Self::Contradiction(_)
            | Self::UnknownLog { .. }
            | Self::Signature(_)
            | Self::Inconsistent { .. }
            | Self::Store(_) => None,
        }
    }
}

/// A checkpoint that was cosigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The log's origin.
    pub origin: String,
    /// How many entries it has.
    pub size: u64,
    /// The cosignature.
    pub cosignature: NoteSignature,
}

/// A witness of some logs.
#[derive(Debug)]
pub struct Witness {
    cosigner: Cosigner,
    logs: Vec<VerifierKey>,
    clock: SharedClock,
    /// Held from the look at what was seen last to the durable note of what is seen now.
    store: Mutex<Store>,
    /// When each of `logs` showed a checkpoint last; before that, when this witness was opened.
    heard: Mutex<Vec<Timestamp>>,
}

impl Witness {
    /// Makes a witness's directory with a fresh key, and returns it.
    ///
    /// # Errors
    /// [`StoreError`]: there is one already, or the directory can't be written.
    pub fn init(dir: &Path, name: &str) -> Result<Cosigner, StoreError> {
        Store::init(dir, name)
    }

    /// Opens a witness's directory. A log's key named `accord-sandbox` stands for each month's log
    /// below that name.
    ///
    /// # Errors
    /// [`StoreError`]: none is there, its key is damaged, or another process has it.
    pub fn open(
        dir: &Path,
        logs: Vec<VerifierKey>,
        clock: SharedClock,
    ) -> Result<Self, StoreError> {
        let (store, cosigner) = Store::open(dir)?;
        let heard = vec![clock.now(); logs.len()];
        Ok(Self {
            cosigner,
            logs,
            clock,
            store: Mutex::new(store),
            heard: Mutex::new(heard),
        })
    }

    /// The witness's key.
    #[must_use]
    pub const fn cosigner(&self) -> &Cosigner {
        &self.cosigner
    }

    /// Cosigns the checkpoint of a request (the body of `add-checkpoint`) if it continues what was
    /// seen before. What was seen is durable by then.
    ///
    /// # Errors
    /// [`NotCosigned`].
    pub fn add_checkpoint(&self, body: &str) -> Result<Seen, NotCosigned> {
        let AddCheckpoint {
            old,
            proof,
            checkpoint: note,
        } = AddCheckpoint::parse(body)?;
        let checkpoint = self.believed(&note)?;
        if old > checkpoint.size {
            return Err(NotCosigned::Contradiction(
                "`old` is beyond the checkpoint's size",
            ));
        }
        // A panic leaves the store as it was: its files are replaced whole.
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let last = store.last(&checkpoint.origin)?;
        let (size, root) = last.map_or_else(|| (0, empty_root()), |last| (last.size, last.root));
        let same_size_other_root = checkpoint.size == size && checkpoint.root != root;
        if old != size || same_size_other_root {
            return Err(NotCosigned::Conflict { size });
        }
        verify_consistency((size, &root), (checkpoint.size, &checkpoint.root), &proof)
            .map_err(|source| NotCosigned::Inconsistent { size, source })?;
        let now = u64::try_from(self.clock.now().as_second()).unwrap_or(0);
        let cosignature = self.cosigner.cosign(note.text(), now);
        let kept = self.with_what_holds(&note, &checkpoint.origin, cosignature.clone())?;
        store.keep(&checkpoint.origin, &kept)?;
        self.hear(&checkpoint.origin);
        Ok(Seen {
            origin: checkpoint.origin,
            size: checkpoint.size,
            cosignature,
        })
    }

    /// The logs, by the names of their keys, of which no checkpoint was cosigned for longer than
    /// this, and since when. A broker shows its newest checkpoint each minute, changed or not.
    #[must_use]
    pub fn silent_for(&self, bound: SignedDuration) -> Vec<(&str, Timestamp)> {
        let now = self.clock.now();
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let names = self.logs.iter().map(VerifierKey::name);
        let each = names.zip(heard.iter().copied());
        each.filter(|(_, heard)| now.duration_since(*heard) > bound)
            .collect()
    }

    fn hear(&self, origin: &str) {
        let now = self.clock.now();
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, heard) in self.logs.iter().zip(heard.iter_mut()) {
            if key.of_log(origin).is_some() {
                *heard = now;
            }
        }
    }

    /// The cosigned checkpoint that was seen last of the log whose origin has this SHA-256, in
    /// hexadecimal.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn seen(&self, origin_sha256: &str) -> Result<Option<String>, StoreError> {
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.text(origin_sha256)
    }

    /// The note with the log's own signature and ours. What else its sender put there may be
    /// anybody's, and would be shown as if this witness had seen it.
    fn with_what_holds(
        &self,
        note: &SignedNote,
        origin: &str,
        cosignature: NoteSignature,
    ) -> Result<SignedNote, NotCosigned> {
        let keys: Vec<_> = self
            .logs
            .iter()
            .filter_map(|key| key.of_log(origin))
            .collect();
        let of_log = |line: &&NoteSignature| {
            let mut keys = keys.iter();
            keys.any(|key| key.name() == line.name() && key.key_id() == line.key_id())
        };
        let malformed = |error: NoteError| NotCosigned::Malformed(error.into());
        let mut kept = SignedNote::unsigned(note.text()).map_err(malformed)?;
        for line in note.signatures().iter().filter(of_log) {
            kept.add_signature(line.clone()).map_err(malformed)?;
        }
        kept.add_signature(cosignature).map_err(malformed)?;
        Ok(kept)
    }

    fn believed(&self, note: &SignedNote) -> Result<Checkpoint, NotCosigned> {
        let claimed = Checkpoint::parse(note.text()).map_err(NotCosigned::Signature)?;
        let origin = claimed.origin;
        if self.logs.iter().all(|key| key.of_log(&origin).is_none()) {
            return Err(NotCosigned::UnknownLog { origin });
        }
        Checkpoint::open(note, &self.logs).map_err(NotCosigned::Signature)
    }
}

#[cfg(test)]
mod tests;
