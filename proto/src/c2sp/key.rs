//! Ed25519 keys of C2SP signed notes, in the text forms of Go's `golang.org/x/mod/sumdb/note`.

mod text;

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::rand;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

pub(super) use text::{SignatureType, checked_name, encode_key, key_bytes, key_id_of};

use super::signature::NoteSignature;
use crate::key_text::Parts;
use crate::secret::Secret;
use crate::subject::Month;

const SEED_LEN: usize = 32;
const PUBLIC_LEN: usize = 32;
const SECRET_PREFIX: &str = "PRIVATE+KEY+";

/// Why a key can't be used. No variant holds key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not `name+hexid+base64`.
    #[error("a verifier key is `name+8 hex digits+base64`")]
    Form,
    /// Not `PRIVATE+KEY+name+hexid+base64`.
    #[error("a signing key is `PRIVATE+KEY+name+8 hex digits+base64`")]
    SecretForm,
    /// The name is empty, too long, or holds a space, a control character or a plus sign.
    #[error("a key name has 1 to 255 bytes without spaces, control characters or `+`")]
    Name,
    /// Another signature type than the one that is needed here.
    #[error("key `{name}` is not {needed}")]
    Type {
        /// The key's name.
        name: String,
        /// The type that is needed, in words.
        needed: &'static str,
    },
    /// The key ID isn't the digest of name and key.
    #[error("key `{name}` has an ID that does not match its name and bytes: was it cut or edited?")]
    Id {
        /// The key's name.
        name: String,
    },
    /// The cryptographic library refused.
    #[error("the cryptographic library could not make or use the key")]
    Crypto,
}

/// A public key with its name: `name+hexid+base64(0x01 || 32 bytes)`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct VerifierKey {
    name: String,
    key_id: u32,
    public: [u8; PUBLIC_LEN],
}

impl VerifierKey {
    /// Parses the text form of C2SP `signed-note`. One trailing newline is allowed, since the text
    /// usually comes from a file.
    ///
    /// # Errors
    /// [`KeyError`] names what is wrong; only Ed25519 keys are known.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let parts = Parts::split(text).ok_or(KeyError::Form)?;
        let name = checked_name(parts.name)?;
        let public = key_bytes(&parts, &name, SignatureType::Ed25519, KeyError::Form)?;
        let key = Self::of(name, public);
        let id_matches = parts.key_id == key.key_id;
        key.checked(id_matches)
    }

    pub(super) fn of(name: String, public: [u8; PUBLIC_LEN]) -> Self {
        Self {
            key_id: key_id_of(&name, SignatureType::Ed25519, &public),
            name,
            public,
        }
    }

    pub(super) fn checked(self, id_matches: bool) -> Result<Self, KeyError> {
        if id_matches {
            Ok(self)
        } else {
            Err(KeyError::Id { name: self.name })
        }
    }

    pub(super) const fn public(&self) -> &[u8; PUBLIC_LEN] {
        &self.public
    }

    /// The key's name; for a log's key this is the log's origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of `SHA-256(name || 0x0A || 0x01 || public key)`, big-endian.
    #[must_use]
    pub const fn key_id(&self) -> u32 {
        self.key_id
    }

    /// The key with which the log `origin` signs, if this is the key of that log: it has the
    /// origin's name, or its name followed by `/` and a month. Each month's log signs with the
    /// same key under its own origin as the name, as C2SP recommends.
    #[must_use]
    pub fn of_log(&self, origin: &str) -> Option<Self> {
        if origin == self.name {
            return Some(self.clone());
        }
        let month = origin.strip_prefix(&self.name)?.strip_prefix('/')?;
        Month::parse(month)?;
        Some(Self::of(origin.to_owned(), self.public))
    }

    /// True if `signature` (64 bytes, without the key ID) is this key's over `text`.
    #[must_use]
    pub fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.public)
            .verify(text, signature)
            .is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = encode_key(SignatureType::Ed25519, &self.public);
        write!(f, "{}+{:08x}+{key}", self.name, self.key_id)
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// A private key with its name. `Debug` redacts it and there is no `Display`.
pub struct SigningKey {
    verifier: VerifierKey,
    pair: Ed25519KeyPair,
    seed: Secret<[u8; SEED_LEN]>,
}

impl SigningKey {
    /// A fresh random key.
    ///
    /// # Errors
    /// [`KeyError::Name`], or [`KeyError::Crypto`] when there is no randomness.
    pub fn generate(name: &str) -> Result<Self, KeyError> {
        let mut seed = [0; SEED_LEN];
        rand::fill(&mut seed).map_err(|_| KeyError::Crypto)?;
        Self::from_seed(name, seed)
    }

    /// Parses `PRIVATE+KEY+name+hexid+base64(0x01 || 32-byte seed)`, as Go's note package writes
    /// it. One trailing newline is allowed, since the text usually comes from a file.
    ///
    /// # Errors
    /// [`KeyError`], which never holds key material.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (key, id) = Self::parse_typed(text, SignatureType::Ed25519)?;
        if key.verifier.key_id != id {
            return Err(KeyError::Id {
                name: key.verifier.name,
            });
        }
        Ok(key)
    }

    /// The key of a text for signatures of some type, and the ID that the text gives.
    pub(super) fn parse_typed(text: &str, of: SignatureType) -> Result<(Self, u32), KeyError> {
        let rest = text
            .strip_prefix(SECRET_PREFIX)
            .ok_or(KeyError::SecretForm)?;
        let parts = Parts::split(rest).ok_or(KeyError::SecretForm)?;
        let name = checked_name(parts.name)?;
        let seed = key_bytes(&parts, &name, of, KeyError::SecretForm)?;
        Ok((Self::from_seed(&name, seed)?, parts.key_id))
    }

    pub(super) fn from_seed(name: &str, seed: [u8; SEED_LEN]) -> Result<Self, KeyError> {
        let name = checked_name(name)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| KeyError::Crypto)?;
        let public = pair
            .public_key()
            .as_ref()
            .try_into()
            .map_err(|_| KeyError::Crypto)?;
        Ok(Self {
            verifier: VerifierKey::of(name, public),
            pair,
            seed: Secret::new(seed),
        })
    }

    /// The same key under another name. A ledger signs each month's log with one key whose name is
    /// that log's origin.
    ///
    /// # Errors
    /// [`KeyError::Name`].
    pub fn renamed(&self, name: &str) -> Result<Self, KeyError> {
        Self::from_seed(name, *self.seed.expose())
    }

    /// The text form that [`Self::parse`] reads, for a file of mode 0600.
    #[must_use]
    pub fn to_secret_text(&self) -> Secret<String> {
        self.to_typed_text(SignatureType::Ed25519, self.verifier.key_id)
    }

    pub(super) fn to_typed_text(&self, of: SignatureType, key_id: u32) -> Secret<String> {
        let name = &self.verifier.name;
        let seed = encode_key(of, self.seed.expose());
        Secret::new(format!("{SECRET_PREFIX}{name}+{key_id:08x}+{seed}"))
    }

    /// The public half.
    #[must_use]
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs a note's text, which ends with a newline.
    #[must_use]
    pub fn sign(&self, text: &[u8]) -> NoteSignature {
        let VerifierKey { name, key_id, .. } = &self.verifier;
        NoteSignature::by(name.clone(), *key_id, self.sign_bytes(text))
    }

    /// The 64 bytes of a signature.
    pub(super) fn sign_bytes(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, [secret])", self.verifier.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the documentation of `golang.org/x/mod/sumdb/note`.
    const GO_PUBLIC: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const GO_SECRET: &str =
        "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";

    #[test]
    fn keys_of_the_go_package_are_read_and_written_alike() {
        let secret = SigningKey::parse(GO_SECRET).unwrap();
        assert_eq!(secret.verifier().to_string(), GO_PUBLIC);
        assert_eq!(secret.to_secret_text().expose(), GO_SECRET);
        assert_eq!(
            VerifierKey::parse(GO_PUBLIC).unwrap().to_string(),
            GO_PUBLIC
        );
        assert_eq!(secret.verifier().key_id(), 0xc74f_20a3);
    }

    #[test]
    fn the_one_newline_at_the_end_of_a_file_is_no_part_of_a_key() {
        let public = VerifierKey::parse(&format!("{GO_PUBLIC}\n")).unwrap();
        assert_eq!(public.to_string(), GO_PUBLIC);
        let secret = SigningKey::parse(&format!("{GO_SECRET}\n")).unwrap();
        assert_eq!(secret.verifier(), &public);
        for other in ["\n\n", " ", "\n "] {
            let public = VerifierKey::parse(&format!("{GO_PUBLIC}{other}"));
            assert_eq!(public.unwrap_err(), KeyError::Form, "{other:?}");
            let secret = SigningKey::parse(&format!("{GO_SECRET}{other}"));
            assert_eq!(secret.unwrap_err(), KeyError::SecretForm, "{other:?}");
        }
    }

    #[test]
    fn a_generated_key_survives_its_text_and_signs() {
        let key = SigningKey::generate("first-bank/2026-11").unwrap();
        let again = SigningKey::parse(key.to_secret_text().expose()).unwrap();
        let public = VerifierKey::parse(&key.verifier().to_string()).unwrap();
        let signature = again.sign(b"text\n");
        assert!(public.verify(b"text\n", signature.bytes()));
        assert!(!public.verify(b"texd\n", signature.bytes()));
        assert!(!public.verify(b"text\n", &signature.bytes()[1..]));
    }

    #[test]
    fn a_renamed_key_has_another_id_and_the_same_signature() {
        let key = SigningKey::generate("a/2026-11").unwrap();
        let next = key.renamed("a/2026-12").unwrap();
        assert_ne!(key.verifier().key_id(), next.verifier().key_id());
        assert_eq!(key.sign(b"x\n").bytes(), next.sign(b"x\n").bytes());
    }

    #[test]
    fn a_signing_key_prints_its_name_only() {
        let key = SigningKey::parse(GO_SECRET).unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey(PeterNeumann, [secret])");
    }

    #[test]
    fn each_kind_of_broken_key_is_named() {
        let wrong = |text: &str| VerifierKey::parse(text).unwrap_err();
        assert_eq!(wrong("PeterNeumann"), KeyError::Form);
        assert_eq!(wrong("PeterNeumann+c74f20a+ARpc"), KeyError::Form);
        assert_eq!(wrong("PeterNeumann+c74f20a3+A"), KeyError::Form);
        let capitals = GO_PUBLIC.replace("c74f20a3", "C74F20A3");
        assert_eq!(wrong(&capitals), KeyError::Form, "a key has one spelling");
        assert_eq!(wrong("+c74f20a3+ARpc"), KeyError::Name);
        assert_eq!(wrong("Peter Neumann+c74f20a3+ARpc"), KeyError::Name);
        let id = GO_PUBLIC.replace("c74f20a3", "c74f20a4");
        assert!(matches!(wrong(&id), KeyError::Id { .. }));
        let kind = GO_PUBLIC.replace("+AR", "+BR");
        assert!(matches!(wrong(&kind), KeyError::Type { .. }));
        assert_eq!(
            SigningKey::parse(GO_PUBLIC).unwrap_err(),
            KeyError::SecretForm
        );
        let id = GO_SECRET.replace("c74f20a3", "c74f20a4");
        assert!(matches!(
            SigningKey::parse(&id).unwrap_err(),
            KeyError::Id { .. }
        ));
        assert_eq!(SigningKey::generate("a+b").unwrap_err(), KeyError::Name);
    }
}
