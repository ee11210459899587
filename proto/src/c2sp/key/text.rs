//! What the keys of notes add to a key's text: their types.

use super::{KeyError, PUBLIC_LEN};
use crate::key_text::{self, Parts};

/// What a key signs: the byte that stands before the key, and goes into its ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::c2sp) enum SignatureType {
    /// A plain Ed25519 signature over the note's text.
    Ed25519 = 0x01,
    /// A timestamped Ed25519 cosignature (C2SP `tlog-cosignature`).
    Cosignature = 0x04,
}

/// The key's bytes, if it is one for signatures of this type.
pub(in crate::c2sp) fn key_bytes(
    parts: &Parts<'_>,
    name: &str,
    of: SignatureType,
    form: KeyError,
) -> Result<[u8; PUBLIC_LEN], KeyError> {
    let bytes = parts.typed().ok_or_else(|| form.clone())?;
    match bytes.split_first() {
        Some((byte, key)) if *byte == of as u8 => key.try_into().map_err(|_| form),
        Some(_) => Err(KeyError::Type {
            name: name.to_owned(),
            needed: match of {
                SignatureType::Ed25519 => "of type Ed25519 (0x01)",
                SignatureType::Cosignature => "a cosigner's, of type 0x04",
            },
        }),
        None => Err(form),
    }
}

pub(in crate::c2sp) fn checked_name(name: &str) -> Result<String, KeyError> {
    if key_text::is_name(name) {
        Ok(name.to_owned())
    } else {
        Err(KeyError::Name)
    }
}

/// The type and the key's bytes, in base64.
pub(in crate::c2sp) fn encode_key(of: SignatureType, key: &[u8; PUBLIC_LEN]) -> String {
    key_text::encode(&[of as u8], key)
}

/// The key's ID, which its type is part of.
pub(in crate::c2sp) fn key_id_of(name: &str, of: SignatureType, public: &[u8; PUBLIC_LEN]) -> u32 {
    key_text::key_id(name, &[of as u8], public)
}
