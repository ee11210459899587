//! C2SP `signed-note`: a text, a blank line, and one line for each signature.
//!
//! ```text
//! any text, which ends with a newline
//!
//! — key-name base64(4-byte key ID || signature)
//! ```

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use super::key::{KeyError, SigningKey, VerifierKey};
pub use super::signature::NoteSignature;
use super::signature::SIGNATURE_PREFIX;

/// Longest note in bytes, signatures included.
pub const NOTE_BYTES_MAX: usize = 1 << 20;
/// Most signatures of one note. C2SP asks a verifier to accept at least 16.
pub const SIGNATURES_MAX: usize = 64;

/// Why a note is no note, or is not believed. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Beyond [`NOTE_BYTES_MAX`].
    #[error("the note is longer than {NOTE_BYTES_MAX} bytes")]
    TooLong,
    /// A tab, a carriage return or another control character, which C2SP forbids.
    #[error("line {line} holds a {what}, which a signed note may not hold")]
    Control {
        /// The line, from 1.
        line: usize,
        /// The character in words.
        what: &'static str,
    },
    /// The text is empty or its last line doesn't end.
    #[error("the text of a note ends with a newline")]
    TextEnd,
    /// No blank line with signature lines after it.
    #[error("the note has no signatures")]
    Unsigned,
    /// A line among the signatures that is none.
    #[error("line {line} is not a signature line (`— name base64`)")]
    SignatureLine {
        /// The line, from 1.
        line: usize,
    },
    /// Beyond [`SIGNATURES_MAX`].
    #[error("the note has more than {SIGNATURES_MAX} signatures")]
    TooManySignatures,
    /// A known key's signature that doesn't verify: the text was changed, or the line was.
    #[error("the signature of `{name}` does not match the text")]
    BadSignature {
        /// The key's name.
        name: String,
    },
}

/// A text and its signatures, not yet believed: see [`SignedNote::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl SignedNote {
    /// A note that nobody has signed yet.
    ///
    /// # Errors
    /// [`NoteError::TooLong`], [`NoteError::Control`] or [`NoteError::TextEnd`].
    pub fn unsigned(text: impl Into<String>) -> Result<Self, NoteError> {
        let text = text.into();
        check_characters(&text)?;
        if !text.ends_with('\n') {
            return Err(NoteError::TextEnd);
        }
        Ok(Self {
            text,
            signatures: Vec::new(),
        })
    }

    /// Parses a signed note. The text ends at the last blank line, and only signature lines may
    /// follow it. No signature is checked yet.
    ///
    /// # Errors
    /// Each [`NoteError`] but [`NoteError::BadSignature`].
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        check_characters(note)?;
        if !note.ends_with('\n') {
            return Err(NoteError::TextEnd);
        }
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::Unsigned)?;
        if !lines.starts_with(SIGNATURE_PREFIX) {
            return Err(NoteError::Unsigned);
        }
        let text = format!("{text}\n");
        let first_line = text.lines().count() + 2;
        let mut signatures = Vec::new();
        for (number, line) in lines.lines().enumerate() {
            if signatures.len() == SIGNATURES_MAX {
                return Err(NoteError::TooManySignatures);
            }
            let line_number = first_line + number;
            let signature =
                parse_signature(line).ok_or(NoteError::SignatureLine { line: line_number })?;
            signatures.push(signature);
        }
        Ok(Self { text, signatures })
    }

    /// The signed text, with its last newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines, in order, verified or not.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Checks every signature by a known key. Returns the names of the known keys that signed,
    /// each once, in the order of the lines; the caller decides whether they suffice. Signatures
    /// by unknown keys are ignored, as C2SP demands.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`] if one signature by a known key fails, whatever the others.
    pub fn verify(&self, known: &[VerifierKey]) -> Result<Vec<String>, NoteError> {
        let mut names: Vec<String> = Vec::new();
        for signature in &self.signatures {
            let key = known
                .iter()
                .find(|key| key.name() == signature.name() && key.key_id() == signature.key_id());
            let Some(key) = key else { continue };
            if !key.verify(self.text.as_bytes(), signature.bytes()) {
                return Err(NoteError::BadSignature {
                    name: key.name().to_owned(),
                });
            }
            if !names.iter().any(|name| name == key.name()) {
                names.push(key.name().to_owned());
            }
        }
        Ok(names)
    }

    /// Signs the text; a former signature by the same key is replaced.
    ///
    /// # Errors
    /// [`NoteError::TooManySignatures`].
    pub fn sign(&mut self, key: &SigningKey) -> Result<(), NoteError> {
        self.add_signature(key.sign(self.text.as_bytes()))
    }

    /// Adds a signature made elsewhere; a former one by the same key is replaced.
    ///
    /// # Errors
    /// [`NoteError::TooManySignatures`].
    pub fn add_signature(&mut self, signature: NoteSignature) -> Result<(), NoteError> {
        let same = self.signatures.iter_mut().find(|former| {
            former.name() == signature.name() && former.key_id() == signature.key_id()
        });
        if let Some(same) = same {
            *same = signature;
        } else if self.signatures.len() >= SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures);
        } else {
            self.signatures.push(signature);
        }
        Ok(())
    }
}

/// The note as it stands in a file. A note without signatures does not parse again.
impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        f.write_str("\n")?;
        for signature in &self.signatures {
            writeln!(f, "{signature}")?;
        }
        Ok(())
    }
}

impl FromStr for SignedNote {
    type Err = NoteError;

    fn from_str(note: &str) -> Result<Self, Self::Err> {
        Self::parse(note)
    }
}

fn check_characters(note: &str) -> Result<(), NoteError> {
    if note.len() > NOTE_BYTES_MAX {
        return Err(NoteError::TooLong);
    }
    let mut line = 1;
    for byte in note.bytes() {
        let what = match byte {
            b'\n' => {
                line += 1;
                continue;
            }
            b'\t' => "tab",
            b'\r' => "carriage return",
            0..=0x1f | 0x7f => "control character",
            _ => continue,
        };
        return Err(NoteError::Control { line, what });
    }
    Ok(())
}

pub(super) fn parse_signature(line: &str) -> Option<NoteSignature> {
    let (name, blob) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
    let blob = STANDARD.decode(blob).ok()?;
    let (id, signature) = blob.split_first_chunk::<4>()?;
    if signature.is_empty() {
        return None;
    }
    NoteSignature::new(name, u32::from_be_bytes(*id), signature.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the documentation of `golang.org/x/mod/sumdb/note`.
    const GO_PUBLIC: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const GO_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    fn key(name: &str) -> SigningKey {
        SigningKey::generate(name).unwrap()
    }

    #[test]
    fn a_note_of_the_go_package_verifies_and_survives_its_text() {
        let note = SignedNote::parse(GO_NOTE).unwrap();
        let key = VerifierKey::parse(GO_PUBLIC).unwrap();
        assert_eq!(note.verify(&[key]).unwrap(), ["PeterNeumann"]);
        assert_eq!(note.to_string(), GO_NOTE);
    }

    #[test]
    fn a_changed_text_fails_and_an_unknown_key_is_ignored() {
        let note = SignedNote::parse(&GO_NOTE.replace("answer", "anshwer")).unwrap();
        let known = VerifierKey::parse(GO_PUBLIC).unwrap();
        assert_eq!(
            note.verify(&[known]).unwrap_err(),
            NoteError::BadSignature {
                name: "PeterNeumann".into()
            }
        );
        let stranger = key("stranger").verifier().clone();
        assert!(note.verify(&[stranger]).unwrap().is_empty());
        let same_name = key("PeterNeumann").verifier().clone();
        assert!(note.verify(&[same_name]).unwrap().is_empty());
    }

    #[test]
    fn one_bad_signature_of_a_known_key_rejects_a_note_with_good_ones() {
        let (one, two) = (key("telecom-regulator"), key("central-bank"));
        let known = [one.verifier().clone(), two.verifier().clone()];
        let mut note = SignedNote::unsigned("text\n").unwrap();
        note.sign(&one).unwrap();
        note.add_signature(two.sign(b"another text\n")).unwrap();
        assert!(matches!(
            note.verify(&known),
            Err(NoteError::BadSignature { name }) if name == "central-bank"
        ));
        note.sign(&two).unwrap();
        note.sign(&two).unwrap();
        assert_eq!(note.signatures().len(), 2);
        assert_eq!(
            note.verify(&known).unwrap(),
            ["telecom-regulator", "central-bank"]
        );
    }

    #[test]
    fn a_text_with_blank_lines_and_dashes_splits_at_the_last_blank_line() {
        let text = "# one\n\n— not a signature\n\ntwo = \"é\"\n";
        let mut note = SignedNote::unsigned(text).unwrap();
        note.sign(&key("a")).unwrap();
        let again = SignedNote::parse(&note.to_string()).unwrap();
        assert_eq!(again, note);
        assert_eq!(again.text(), text);
    }

    #[test]
    fn control_characters_are_named_with_their_line() {
        let wrong = |text: &str| SignedNote::unsigned(text).unwrap_err();
        let control = |line, what| NoteError::Control { line, what };
        assert_eq!(wrong("a\nb\tc\n"), control(2, "tab"));
        assert_eq!(wrong("a\r\nb\n"), control(1, "carriage return"));
        assert_eq!(wrong("a\n\n\u{1b}[31m\n"), control(3, "control character"));
        assert_eq!(wrong("a\u{7f}\n"), control(1, "control character"));
        assert_eq!(
            SignedNote::parse(&GO_NOTE.replace('\n', "\r\n")).unwrap_err(),
            control(1, "carriage return")
        );
    }

    #[test]
    fn what_is_no_signed_note_is_refused() {
        let wrong = |note: &str| SignedNote::parse(note).unwrap_err();
        assert_eq!(wrong(""), NoteError::TextEnd);
        assert_eq!(wrong("text"), NoteError::TextEnd);
        assert_eq!(wrong("text\n"), NoteError::Unsigned);
        assert_eq!(wrong("text\n\nmore text\n"), NoteError::Unsigned);
        assert_eq!(wrong(&format!("{GO_NOTE}\n")), NoteError::Unsigned);
        assert_eq!(
            wrong(&format!("{GO_NOTE}junk\n")),
            NoteError::SignatureLine { line: 5 }
        );
        assert_eq!(
            wrong("text\n\n— a AAAAAA==\n"),
            NoteError::SignatureLine { line: 3 }
        );
        assert_eq!(
            wrong("text\n\n— a b x08go/ZJ\n"),
            NoteError::SignatureLine { line: 3 }
        );
    }

    #[test]
    fn notes_and_their_signatures_are_limited() {
        let long = format!("{}\n", "x".repeat(NOTE_BYTES_MAX));
        assert_eq!(SignedNote::unsigned(long), Err(NoteError::TooLong));
        let mut note = SignedNote::unsigned("text\n").unwrap();
        for number in 0..SIGNATURES_MAX {
            note.sign(&key(&format!("key{number}"))).unwrap();
        }
        assert_eq!(note.sign(&key("last")), Err(NoteError::TooManySignatures));
        let crowded = format!("{note}— last x08go/ZJ\n");
        assert_eq!(
            SignedNote::parse(&crowded),
            Err(NoteError::TooManySignatures)
        );
    }
}
