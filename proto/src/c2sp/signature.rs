//! One signature of a note.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::key::{KeyError, checked_name};

/// How a signature line begins: an em dash and a space.
pub(super) const SIGNATURE_PREFIX: &str = "— ";

/// One signature line of a note: who, and the bytes after the key ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    name: String,
    key_id: u32,
    bytes: Vec<u8>,
}

impl NoteSignature {
    /// Puts a signature together from what stands on its line.
    ///
    /// # Errors
    /// [`KeyError::Name`] for a name that no key may have.
    pub fn new(name: &str, key_id: u32, bytes: Vec<u8>) -> Result<Self, KeyError> {
        let name = checked_name(name)?;
        Ok(Self {
            name,
            key_id,
            bytes,
        })
    }

    /// A signature by a key, whose name is known to be one.
    pub(super) const fn by(name: String, key_id: u32, bytes: Vec<u8>) -> Self {
        Self {
            name,
            key_id,
            bytes,
        }
    }

    /// The name of the key that signed, as the line claims.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The ID of the key that signed, as the line claims.
    #[must_use]
    pub const fn key_id(&self) -> u32 {
        self.key_id
    }

    /// The signature without the key ID.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The signature line, without its newline.
impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut blob = self.key_id.to_be_bytes().to_vec();
        blob.extend_from_slice(&self.bytes);
        write!(
            f,
            "{SIGNATURE_PREFIX}{} {}",
            self.name,
            STANDARD.encode(blob)
        )
    }
}
