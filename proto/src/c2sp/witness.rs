//! C2SP `tlog-witness`: what a log sends to a witness, and what comes back.
//!
//! ```text
//! POST <prefix>/add-checkpoint
//!
//! old 20852014
//! base64 hash of the consistency proof, up to 63 of them …
//!
//! the signed checkpoint, verbatim
//! ```
//!
//! 200 brings one or more signature lines; 409 the size that the witness saw last, as
//! `text/x.tlog.size`.

use std::fmt;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::note::{NOTE_BYTES_MAX, NoteError, SignedNote, parse_signature};
use super::signature::NoteSignature;
use crate::merkle::Hash;

/// Most hashes of a consistency proof (C2SP `tlog-witness`).
pub const CONSISTENCY_HASHES_MAX: usize = 63;
/// Longest request in bytes; a checkpoint with 64 signatures is far shorter.
pub const REQUEST_BYTES_MAX: usize = 64 * 1_024;
/// Most lines of a response.
const RESPONSE_LINES_MAX: usize = 64;
/// The media type of a size, in a response 409.
pub const SIZE_MEDIA_TYPE: &str = "text/x.tlog.size";

/// Where a witness takes checkpoints, below its prefix.
pub const ADD_CHECKPOINT: &str = "/add-checkpoint";

/// Where a witness shows the checkpoint that it saw last of a log, below its prefix:
/// `/<SHA-256 of the origin in hexadecimal>/checkpoint`.
#[must_use]
pub fn seen_path(origin: &str) -> String {
    let name = origin_sha256(origin);
    format!("/{name}/checkpoint")
}

/// SHA-256 of a log's origin, in hexadecimal.
#[must_use]
pub fn origin_sha256(origin: &str) -> String {
    let hash = digest::digest(&digest::SHA256, origin.as_bytes());
    crate::hex::encode(hash.as_ref())
}

/// Why a request or a response is none. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError {
    /// Beyond [`REQUEST_BYTES_MAX`].
    #[error("a message to or from a witness has at most {REQUEST_BYTES_MAX} bytes")]
    TooLong,
    /// A line that should not stand there.
    #[error("line {line} is not {expected}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// The note in which the checkpoint stands.
    #[error("the checkpoint is not a sound signed note")]
    Note(#[from] NoteError),
}

/// A log asks a witness to cosign a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size that the log believes the witness to have seen last.
    pub old: u64,
    /// That the checkpoint continues the tree of that size.
    pub proof: Vec<Hash>,
    /// The checkpoint, signed by the log.
    pub checkpoint: SignedNote,
}

impl AddCheckpoint {
    /// Parses the body of a request.
    ///
    /// # Errors
    /// [`WitnessError`] names the line or the checkpoint's fault.
    pub fn parse(text: &str) -> Result<Self, WitnessError> {
        if text.len() > REQUEST_BYTES_MAX {
            return Err(WitnessError::TooLong);
        }
        let wrong = |line, expected| WitnessError::Line { line, expected };
        let (head, note) = text
            .split_once("\n\n")
            .ok_or_else(|| wrong(1, "followed by a blank line and a checkpoint"))?;
        let mut lines = head.split('\n').zip(1..);
        let old = lines
            .next()
            .and_then(|(line, _)| line.strip_prefix("old "))
            .and_then(parse_size)
            .ok_or_else(|| wrong(1, "`old n`"))?;
        let mut proof = Vec::new();
        for (line, number) in lines {
            if proof.len() == CONSISTENCY_HASHES_MAX {
                return Err(wrong(number, "the end of the hashes"));
            }
            let hash = STANDARD.decode(line).ok().and_then(|h| h.try_into().ok());
            proof.push(hash.ok_or_else(|| wrong(number, "a hash in base64"))?);
        }
        let checkpoint = SignedNote::parse(note)?;
        Ok(Self {
            old,
            proof,
            checkpoint,
        })
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        for hash in &self.proof {
            writeln!(f, "{}", STANDARD.encode(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

/// A size without sign and leading zeros: one spelling for each. The body of a 409 has a newline
/// behind it.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let size: u64 = text.parse().ok()?;
    (size.to_string() == text).then_some(size)
}

/// The signature lines of a response 200.
///
/// # Errors
/// [`WitnessError::Line`] for a line that is none, or if there is none.
pub fn parse_cosignatures(text: &str) -> Result<Vec<NoteSignature>, WitnessError> {
    if text.len() > NOTE_BYTES_MAX.min(REQUEST_BYTES_MAX) {
        return Err(WitnessError::TooLong);
    }
    let wrong = |line| WitnessError::Line {
        line,
        expected: "a signature line (`— name base64`)",
    };
    let lines = text.strip_suffix('\n').ok_or_else(|| wrong(1))?.split('\n');
    let mut signatures = Vec::new();
    for (line, number) in lines.zip(1..) {
        if signatures.len() == RESPONSE_LINES_MAX {
            let expected = "the end of the signatures";
            return Err(WitnessError::Line {
                line: number,
                expected,
            });
        }
        signatures.push(parse_signature(line).ok_or_else(|| wrong(number))?);
    }
    Ok(signatures)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::c2sp::{Checkpoint, Cosigner, SigningKey};

    fn request() -> AddCheckpoint {
        let key = SigningKey::generate("log").unwrap();
        let checkpoint = Checkpoint {
            origin: "log".into(),
            size: 9,
            root: [3; 32],
        };
        AddCheckpoint {
            old: 4,
            proof: vec![[1; 32], [2; 32]],
            checkpoint: checkpoint.sign(&key).unwrap(),
        }
    }

    #[test]
    fn a_request_survives_its_text() {
        let mut request = request();
        let text = request.to_string();
        assert!(text.starts_with("old 4\nAQEBAQEB"), "{text}");
        assert_eq!(AddCheckpoint::parse(&text).unwrap(), request);
        request.old = 0;
        request.proof.clear();
        let again = AddCheckpoint::parse(&request.to_string()).unwrap();
        assert_eq!(again, request);
    }

    #[test]
    fn each_mistake_of_a_request_is_named() {
        let text = request().to_string();
        let wrong = |text: &str| AddCheckpoint::parse(text).unwrap_err().to_string();
        let hash = STANDARD.encode([1; 32]);
        for (from, to, said) in [
            ("old 4\n", "", "line 1 is not `old n`"),
            ("old 4\n", "old 04\n", "line 1 is not `old n`"),
            ("old 4\n", "old -4\n", "line 1 is not `old n`"),
            (hash.as_str(), "AQEB", "line 2 is not a hash in base64"),
            ("\n\n", "\n", "is not a hash in base64"),
            ("— log", "- log", "not a sound signed note"),
        ] {
            let text = wrong(&text.replacen(from, to, 1));
            assert!(text.contains(said), "{from} → {to}: {text}");
        }
        let many = format!("old 4\n{}", format!("{hash}\n").repeat(64));
        assert!(wrong(&(many + "\nx\n\n— a b\n")).contains("line 65 is not the end"));
        assert!(wrong(&"x".repeat(REQUEST_BYTES_MAX + 1)).contains("at most"));
    }

    #[test]
    fn cosignatures_come_back_as_lines() {
        let witness = Cosigner::generate("w").unwrap();
        let mut note = SignedNote::unsigned("log\n9\nx\n").unwrap();
        let line = witness.cosign(note.text(), 7);
        note.add_signature(line.clone()).unwrap();
        let text = note.to_string();
        let (_, lines) = text.rsplit_once("\n\n").unwrap();
        assert_eq!(parse_cosignatures(lines).unwrap(), [line]);
        for wrong in ["", "\n", "- w abc\n", lines.trim_end()] {
            assert!(parse_cosignatures(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(parse_cosignatures(&lines.repeat(64)).unwrap().len(), 64);
        let many = parse_cosignatures(&lines.repeat(65)).unwrap_err();
        assert!(
            many.to_string().contains("line 65 is not the end"),
            "{many}"
        );
    }
}
