//! C2SP `tlog-proof`: one text that proves offline that an entry is in a log.
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! index 5
//! base64 hash, the leaf's sibling first …
//!
//! the signed checkpoint, verbatim
//! ```

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::key::VerifierKey;
use super::note::{NOTE_BYTES_MAX, NoteError, SignedNote};
use super::policy::{Cosigned, Policy, PolicyError};
use crate::merkle::{Hash, PROOF_HASHES_MAX, ProofError, leaf_hash, verify_inclusion};

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Why a proof is none, or doesn't hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogProofError {
    /// A line that should not stand there. Lines count from 1.
    #[error("line {line} of the proof is not {expected}")]
    Form {
        /// The line, from 1.
        line: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// The note in which the checkpoint stands.
    #[error("the proof's checkpoint is not a sound signed note")]
    Note(#[from] NoteError),
    /// The checkpoint isn't believed.
    #[error("the proof's checkpoint is not believed")]
    Checkpoint(#[from] CheckpointError),
    /// The log or its witnesses are not those of the policy.
    #[error("the proof's checkpoint does not satisfy the policy")]
    Policy(#[from] PolicyError),
    /// The hashes don't lead from the entry to the root.
    #[error("the entry is not what the proof proves")]
    Hashes(#[from] ProofError),
}

/// That the entry at `index` is in the tree of `checkpoint`, not yet believed: see
/// [`LogProof::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogProof {
    /// Unauthenticated bytes that travel along, where there are any.
    pub extra: Option<Vec<u8>>,
    /// The entry's index.
    pub index: u64,
    /// The audit path, the leaf's sibling first.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint.
    pub checkpoint: SignedNote,
}

impl LogProof {
    /// Parses the text.
    ///
    /// # Errors
    /// [`LogProofError::Form`] names the line, [`LogProofError::Note`] the checkpoint's fault.
    pub fn parse(text: &str) -> Result<Self, LogProofError> {
        if text.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong.into());
        }
        let wrong = |line, expected| LogProofError::Form { line, expected };
        let (head, note) = text
            .split_once("\n\n")
            .ok_or_else(|| wrong(1, "followed by a blank line and a checkpoint"))?;
        let mut lines = head.split('\n').zip(1..).peekable();
        if lines.next() != Some((HEADER, 1)) {
            return Err(wrong(1, HEADER));
        }
        let extra = match lines.next_if(|(line, _)| line.starts_with("extra ")) {
            Some((line, number)) => Some(
                line.strip_prefix("extra ")
                    .and_then(|blob| STANDARD.decode(blob).ok())
                    .ok_or_else(|| wrong(number, "`extra base64`"))?,
            ),
            None => None,
        };
        let (line, number) = lines.next().ok_or_else(|| wrong(2, "`index n`"))?;
        let index = line
            .strip_prefix("index ")
            .and_then(|n| {
                n.parse()
                    .ok()
                    .filter(|parsed: &u64| parsed.to_string() == n)
            })
            .ok_or_else(|| wrong(number, "`index n`"))?;
        let mut hashes = Vec::new();
        for (line, number) in lines {
            if hashes.len() == PROOF_HASHES_MAX {
                return Err(wrong(number, "the end of the hashes"));
            }
            let hash = STANDARD.decode(line).ok().and_then(|h| h.try_into().ok());
            hashes.push(hash.ok_or_else(|| wrong(number, "a hash in base64"))?);
        }
        Ok(Self {
            extra,
            index,
            hashes,
            checkpoint: SignedNote::parse(note)?,
        })
    }

    /// Checks signature and path for the bytes of an entry, and returns the checkpoint.
    ///
    /// # Errors
    /// [`LogProofError`]: who or what is not believed.
    pub fn verify(
        &self,
        entry: &[u8],
        log_keys: &[VerifierKey],
    ) -> Result<Checkpoint, LogProofError> {
        self.verify_leaf(&leaf_hash(entry), log_keys)
    }

    /// As [`Self::verify`], where only the leaf hash of the entry is known.
    ///
    /// # Errors
    /// [`LogProofError`]: who or what is not believed.
    pub fn verify_leaf(
        &self,
        leaf: &Hash,
        log_keys: &[VerifierKey],
    ) -> Result<Checkpoint, LogProofError> {
        let checkpoint = Checkpoint::open(&self.checkpoint, log_keys)?;
        self.lead_to(leaf, &checkpoint)?;
        Ok(checkpoint)
    }

    /// As [`Self::verify_leaf`], with enough cosignatures of a policy's witnesses, which are
    /// returned as well.
    ///
    /// # Errors
    /// [`LogProofError`]: who or what is not believed.
    pub fn verify_under(
        &self,
        leaf: &Hash,
        policy: &Policy,
    ) -> Result<(Checkpoint, Vec<Cosigned>), LogProofError> {
        let (checkpoint, cosigned) = policy.open(&self.checkpoint)?;
        self.lead_to(leaf, &checkpoint)?;
        Ok((checkpoint, cosigned))
    }

    fn lead_to(&self, leaf: &Hash, checkpoint: &Checkpoint) -> Result<(), ProofError> {
        let Checkpoint { size, root, .. } = checkpoint;
        verify_inclusion(leaf, self.index, *size, &self.hashes, root)
    }
}

impl fmt::Display for LogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.hashes {
            writeln!(f, "{}", STANDARD.encode(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for LogProof {
    type Err = LogProofError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::c2sp::cosignature::Cosigner;
    use crate::c2sp::key::SigningKey;
    use crate::merkle::node_hash;

    fn proof() -> (LogProof, [VerifierKey; 1]) {
        let key = SigningKey::generate("log/2026-11").unwrap();
        let root = node_hash(&leaf_hash(b"left"), &leaf_hash(b"right"));
        let checkpoint = Checkpoint {
            origin: "log/2026-11".into(),
            size: 2,
            root,
        };
        let proof = LogProof {
            extra: None,
            index: 1,
            hashes: vec![leaf_hash(b"left")],
            checkpoint: checkpoint.sign(&key).unwrap(),
        };
        (proof, [key.verifier().clone()])
    }

    #[test]
    fn a_proof_survives_its_text_and_verifies() {
        let (mut proof, keys) = proof();
        for extra in [None, Some(vec![1, 2, 3])] {
            proof.extra = extra;
            let again = LogProof::parse(&proof.to_string()).unwrap();
            assert_eq!(again, proof);
            assert_eq!(again.verify(b"right", &keys).unwrap().size, 2);
        }
    }

    #[test]
    fn under_a_policy_a_proof_needs_its_cosignatures() {
        let (mut proof, keys) = proof();
        let witness = Cosigner::generate("w.example").unwrap();
        let [key] = &keys;
        let policy = format!("log {key}\nwitness w {}\nquorum w\n", witness.key());
        let policy = Policy::parse(&policy).unwrap();
        let leaf = leaf_hash(b"right");
        assert!(matches!(
            proof.verify_under(&leaf, &policy),
            Err(LogProofError::Policy(PolicyError::Quorum { .. }))
        ));
        let line = witness.cosign(proof.checkpoint.text(), 7);
        proof.checkpoint.add_signature(line).unwrap();
        let (checkpoint, cosigned) = proof.verify_under(&leaf, &policy).unwrap();
        assert_eq!((checkpoint.size, cosigned.len()), (2, 1));
        assert!(matches!(
            proof.verify_under(&leaf_hash(b"wrong"), &policy),
            Err(LogProofError::Hashes(ProofError::Root))
        ));
    }

    #[test]
    fn another_entry_index_or_key_does_not_verify() {
        let (mut proof, keys) = proof();
        assert!(matches!(
            proof.verify(b"wrong", &keys),
            Err(LogProofError::Hashes(ProofError::Root))
        ));
        let stranger = SigningKey::generate("log/2026-11").unwrap();
        assert!(matches!(
            proof.verify(b"right", &[stranger.verifier().clone()]),
            Err(LogProofError::Checkpoint(CheckpointError::Unsigned { .. }))
        ));
        proof.index = 0;
        assert!(proof.verify(b"right", &keys).is_err());
    }

    #[test]
    fn each_wrong_line_is_named() {
        let text = proof().0.to_string();
        let line_of = |text: String| {
            let error = LogProof::parse(&text).unwrap_err();
            let LogProofError::Form { line, .. } = error else {
                panic!("{error:?}")
            };
            line
        };
        assert_eq!(line_of(text.replace("@v1", "@v2")), 1);
        assert_eq!(line_of(text.replace("index 1", "index 01")), 2);
        assert_eq!(line_of(text.replace("index 1", "extra !\nindex 1")), 2);
        assert_eq!(line_of(text.replace("index 1\n", "index 1\nAAAA\n")), 3);
        assert_eq!(line_of("c2sp.org/tlog-proof@v1\n".into()), 1);
    }
}
