//! How keys stand in text: a name, an ID, and the bytes behind their type.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{KeyError, PUBLIC_LEN};

/// Longest key name in bytes.
const NAME_BYTES_MAX: usize = 255;

/// What a key signs: the byte that stands before the key, and goes into its ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::c2sp) enum SignatureType {
    /// A plain Ed25519 signature over the note's text.
    Ed25519 = 0x01,
    /// A timestamped Ed25519 cosignature (C2SP `tlog-cosignature`).
    Cosignature = 0x04,
}
/// `name+hexid+base64`, taken apart.
pub(in crate::c2sp) struct Parts<'a> {
    pub(in crate::c2sp) name: &'a str,
    pub(in crate::c2sp) key_id: u32,
    base64: &'a str,
}

impl<'a> Parts<'a> {
    pub(in crate::c2sp) fn split(text: &'a str) -> Option<Self> {
        let (name, rest) = text.split_once('+')?;
        let (id, base64) = rest.split_once('+')?;
        if id.len() != 8 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        Some(Self {
            name,
            key_id: u32::from_str_radix(id, 16).ok()?,
            base64,
        })
    }

    /// The key's bytes, if it is one for signatures of this type.
    pub(in crate::c2sp) fn key_bytes(
        &self,
        name: &str,
        of: SignatureType,
        form: KeyError,
    ) -> Result<[u8; 32], KeyError> {
        let bytes = STANDARD.decode(self.base64).map_err(|_| form.clone())?;
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
}

pub(in crate::c2sp) fn checked_name(name: &str) -> Result<String, KeyError> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(bad) {
        return Err(KeyError::Name);
    }
    Ok(name.to_owned())
}

/// The type and the key's bytes, in base64.
pub(in crate::c2sp) fn encode_key(of: SignatureType, key: &[u8; 32]) -> String {
    let mut typed = vec![of as u8];
    typed.extend_from_slice(key);
    STANDARD.encode(typed)
}

/// The first four bytes of `SHA-256(name || 0x0A || type || public key)`, big-endian.
pub(in crate::c2sp) fn key_id_of(name: &str, of: SignatureType, public: &[u8; PUBLIC_LEN]) -> u32 {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(name.as_bytes());
    context.update(&[b'\n', of as u8]);
    context.update(public);
    context
        .finish()
        .as_ref()
        .iter()
        .take(4)
        .fold(0, |id, byte| (id << 8) | u32::from(*byte))
}
