//! C2SP `tlog-checkpoint`: origin, size and root of a tree, as a signed note.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::key::{SigningKey, VerifierKey};
use super::note::{NoteError, SignedNote};
use crate::merkle::Hash;

/// Why a checkpoint is none, or is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note itself.
    #[error("the checkpoint is not a sound signed note")]
    Note(#[from] NoteError),
    /// Not the three lines of a checkpoint.
    #[error("a checkpoint has three lines: origin, size in decimal, root in base64")]
    Form,
    /// Another key than the origin's was to sign.
    #[error("the key `{key}` is not the key of `{origin}`")]
    Key {
        /// The key's name.
        key: String,
        /// The checkpoint's origin.
        origin: String,
    },
    /// No known key of this log signed.
    #[error("no known key of the log `{origin}` signed the checkpoint")]
    Unsigned {
        /// The checkpoint's origin.
        origin: String,
    },
}

/// How large a log's tree is and what its root is.
#[derive(Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's unique name, such as `accord-sandbox/2026-11`.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// The RFC 6962 root.
    pub root: Hash,
}

impl Checkpoint {
    /// Parses a checkpoint's text. Extension lines are refused: nobody could audit them.
    ///
    /// # Errors
    /// [`CheckpointError::Form`].
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        Self::parse_lines(text).ok_or(CheckpointError::Form)
    }

    fn parse_lines(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        if origin.is_empty() || lines.next().is_some() {
            return None;
        }
        let number: u64 = size.parse().ok()?;
        // No sign and no leading zero: one spelling for each size.
        if number.to_string() != size {
            return None;
        }
        Some(Self {
            origin: origin.to_owned(),
            size: number,
            root: STANDARD.decode(root).ok()?.try_into().ok()?,
        })
    }

    /// Reads the checkpoint of a note that a key of its log signed. A key named `accord-sandbox`
    /// is the key of `accord-sandbox` and of each month's log `accord-sandbox/yyyy-mm`.
    ///
    /// # Errors
    /// [`CheckpointError`]: no checkpoint, a bad signature, or none by a known key of this log.
    pub fn open(note: &SignedNote, log_keys: &[VerifierKey]) -> Result<Self, CheckpointError> {
        let checkpoint = Self::parse(note.text())?;
        let origin = &checkpoint.origin;
        let keys: Vec<_> = log_keys
            .iter()
            .filter_map(|key| key.of_log(origin))
            .collect();
        if note.verify(&keys)?.is_empty() {
            return Err(CheckpointError::Unsigned {
                origin: origin.clone(),
            });
        }
        Ok(checkpoint)
    }

    /// Signs the checkpoint with the key of its log, whose name is the origin.
    ///
    /// # Errors
    /// [`CheckpointError::Key`] for a key of another name.
    pub fn sign(&self, key: &SigningKey) -> Result<SignedNote, CheckpointError> {
        if key.verifier().name() != self.origin {
            return Err(CheckpointError::Key {
                key: key.verifier().name().to_owned(),
                origin: self.origin.clone(),
            });
        }
        let mut note = SignedNote::unsigned(self.to_string())?;
        note.sign(key)?;
        Ok(note)
    }
}

/// The three lines that are signed.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = STANDARD.encode(self.root);
        writeln!(f, "{}\n{}\n{root}", self.origin, self.size)
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = STANDARD.encode(self.root);
        write!(f, "Checkpoint({} {} {root})", self.origin, self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(origin: &str) -> Checkpoint {
        Checkpoint {
            origin: origin.into(),
            size: 7,
            root: [9; 32],
        }
    }

    #[test]
    fn the_text_has_three_lines() {
        let text = "a/2026-11\n7\nCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=\n";
        assert_eq!(checkpoint("a/2026-11").to_string(), text);
        assert_eq!(Checkpoint::parse(text).unwrap(), checkpoint("a/2026-11"));
        for wrong in [
            text.replace("7\n", "07\n"),
            text.replace("7\n", "+7\n"),
            text.replace("a/2026-11", ""),
            format!("{text}extension\n"),
            text.replace("CQk=", "CQ=="),
            text.trim_end().to_owned(),
        ] {
            assert_eq!(Checkpoint::parse(&wrong), Err(CheckpointError::Form));
        }
    }

    #[test]
    fn the_key_of_a_log_opens_each_month_and_nothing_else() {
        let base = SigningKey::generate("accord-sandbox").unwrap();
        let known = [base.verifier().clone()];
        let signed = |origin: &str| {
            let key = base.renamed(origin).unwrap();
            checkpoint(origin).sign(&key).unwrap()
        };
        let note = signed("accord-sandbox/2026-11");
        let opened = Checkpoint::open(&note, &known).unwrap();
        assert_eq!(opened, checkpoint("accord-sandbox/2026-11"));
        assert!(Checkpoint::open(&signed("accord-sandbox"), &known).is_ok());
        for stranger in ["accord-sandbox/other", "accord-sandboxes/2026-11", "b"] {
            assert!(matches!(
                Checkpoint::open(&signed(stranger), &known),
                Err(CheckpointError::Unsigned { .. })
            ));
        }
        let changed = note.to_string().replace("\n7\n", "\n8\n");
        let changed = SignedNote::parse(&changed).unwrap();
        assert!(matches!(
            Checkpoint::open(&changed, &known),
            Err(CheckpointError::Note(NoteError::BadSignature { .. }))
        ));
    }

    #[test]
    fn a_key_of_another_name_does_not_sign() {
        let key = SigningKey::generate("accord-sandbox").unwrap();
        assert!(matches!(
            checkpoint("accord-sandbox/2026-11").sign(&key),
            Err(CheckpointError::Key { .. })
        ));
    }
}
