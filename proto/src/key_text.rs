//! How a named key stands in text: `name+hexid+base64(type || 32 bytes)`.
//!
//! C2SP `signed-note` defines the form for keys that sign; keys to the authorities' halves have the
//! same form with a type of their own. A key has one spelling: a key ID in capitals is refused, or
//! two texts would name one key.

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Longest key name in bytes.
const NAME_BYTES_MAX: usize = 255;

/// A key's bytes.
pub(crate) const KEY_LEN: usize = 32;

/// The text, taken apart; the name is not checked yet.
pub(crate) struct Parts<'a> {
    pub(crate) name: &'a str,
    pub(crate) key_id: u32,
    base64: &'a str,
}

impl<'a> Parts<'a> {
    /// One trailing newline is allowed, since the text usually comes from a file.
    pub(crate) fn split(text: &'a str) -> Option<Self> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let (name, rest) = text.split_once('+')?;
        let (id, base64) = rest.split_once('+')?;
        if id.len() != 8
            || !id
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        {
            return None;
        }
        Some(Self {
            name,
            key_id: u32::from_str_radix(id, 16).ok()?,
            base64,
        })
    }

    /// Type and key, not parted; `None` if it isn't base64.
    pub(crate) fn typed(&self) -> Option<Vec<u8>> {
        STANDARD.decode(self.base64).ok()
    }
}

/// The name has 1 to 255 bytes without spaces, control characters or `+`.
pub(crate) fn is_name(name: &str) -> bool {
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.contains(bad)
}

/// `base64(type || key)`.
pub(crate) fn encode(of: &[u8], key: &[u8; KEY_LEN]) -> String {
    STANDARD.encode([of, key].concat())
}

/// The first four bytes of `SHA-256(name || 0x0A || type || public key)`, big-endian.
pub(crate) fn key_id(name: &str, of: &[u8], public: &[u8; KEY_LEN]) -> u32 {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(name.as_bytes());
    context.update(b"\n");
    context.update(of);
    context.update(public);
    let digest = context.finish();
    let id = digest.as_ref().iter().take(4);
    id.fold(0, |id, byte| (id << 8) | u32::from(*byte))
}
