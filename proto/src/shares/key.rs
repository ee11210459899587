//! The authorities' keys to their halves: X25519, named, in text.
//!
//! ```text
//! telecom-regulator+1f0c5d22+base64(0x00 0x20 || 32 bytes)     public, in the agreement
//! PRIVATE+SHARE+KEY+telecom-regulator+1f0c5d22+base64(…)       secret, in a file of mode 0600
//! ```
//!
//! The two bytes are the number of DHKEM(X25519, HKDF-SHA256) in RFC 9180 (table 2), so that no
//! signing key passes for a share key, nor a share key for a signing key.

use std::{fmt, str::FromStr};

use aws_lc_rs::{agreement, rand};

use crate::key_text::{self, KEY_LEN as LEN, Parts};
use crate::secret::Secret;

/// DHKEM(X25519, HKDF-SHA256), RFC 9180 table 2.
const KEM: [u8; 2] = [0x00, 0x20];
const SECRET_PREFIX: &str = "PRIVATE+SHARE+KEY+";

/// Why a share key can't be used. No variant holds key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShareKeyError {
    /// Not `name+hexid+base64`.
    #[error("a share key is `name+8 hex digits+base64`; `accord new-share-key` makes one")]
    Form,
    /// Not `PRIVATE+SHARE+KEY+name+hexid+base64`.
    #[error("a secret share key is `PRIVATE+SHARE+KEY+name+8 hex digits+base64`")]
    SecretForm,
    /// The name is empty, too long, or holds a space, a control character or a plus sign.
    #[error("a key name has 1 to 255 bytes without spaces, control characters or `+`")]
    Name,
    /// Another kind of key, such as one that signs.
    #[error("key `{name}` is not a share key (X25519, 0x0020): was a signing key named?")]
    Kind {
        /// The key's name.
        name: String,
    },
    /// The ID isn't the digest of name and key.
    #[error("key `{name}` has an ID that does not match its name and bytes: was it cut or edited?")]
    Id {
        /// The key's name.
        name: String,
    },
    /// The cryptographic library refused.
    #[error("the cryptographic library could not make or use the key")]
    Crypto,
}

/// To whom a half is sealed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ShareKey {
    name: String,
    public: [u8; LEN],
}

impl ShareKey {
    /// Parses `name+hexid+base64`. One trailing newline is allowed, since the text may come from a
    /// file.
    ///
    /// # Errors
    /// [`ShareKeyError`] names what is wrong.
    pub fn parse(text: &str) -> Result<Self, ShareKeyError> {
        let (name, id, public) = parts(text, &ShareKeyError::Form)?;
        let key = Self { name, public };
        key.checked(id)
    }

    fn checked(self, id: u32) -> Result<Self, ShareKeyError> {
        if id == self.key_id() {
            Ok(self)
        } else {
            Err(ShareKeyError::Id { name: self.name })
        }
    }

    /// The authority's organisation.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of `SHA-256(name || 0x0A || 0x0020 || public key)`, big-endian.
    #[must_use]
    pub fn key_id(&self) -> u32 {
        key_text::key_id(&self.name, &KEM, &self.public)
    }

    /// Whether one secret opens what is sealed to either, whatever they are named.
    pub(crate) fn is_pair_of(&self, other: &Self) -> bool {
        self.public == other.public
    }

    pub(super) const fn public(&self) -> &[u8; LEN] {
        &self.public
    }
}

impl fmt::Display for ShareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = key_text::encode(&KEM, &self.public);
        write!(f, "{}+{:08x}+{key}", self.name, self.key_id())
    }
}

impl fmt::Debug for ShareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShareKey({self})")
    }
}

impl FromStr for ShareKey {
    type Err = ShareKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// What opens a half. `Debug` redacts it and there is no `Display`.
pub struct ShareSecret {
    key: ShareKey,
    secret: Secret<[u8; LEN]>,
}

impl ShareSecret {
    /// A fresh random key.
    ///
    /// # Errors
    /// [`ShareKeyError::Name`], or [`ShareKeyError::Crypto`] when there is no randomness.
    pub fn generate(name: &str) -> Result<Self, ShareKeyError> {
        let mut secret = [0; LEN];
        rand::fill(&mut secret).map_err(|_| ShareKeyError::Crypto)?;
        Self::of(checked_name(name)?, secret)
    }

    /// Parses the secret text. One trailing newline is allowed, since the text usually comes from a
    /// file.
    ///
    /// # Errors
    /// [`ShareKeyError`], which never holds key material.
    pub fn parse(text: &str) -> Result<Self, ShareKeyError> {
        let rest = text.strip_prefix(SECRET_PREFIX);
        let rest = rest.ok_or(ShareKeyError::SecretForm)?;
        let (name, id, secret) = parts(rest, &ShareKeyError::SecretForm)?;
        let Self { key, secret } = Self::of(name, secret)?;
        let key = key.checked(id)?;
        Ok(Self { key, secret })
    }

    fn of(name: String, secret: [u8; LEN]) -> Result<Self, ShareKeyError> {
        let private = agreement::PrivateKey::from_private_key(&agreement::X25519, &secret);
        let private = private.map_err(|_| ShareKeyError::Crypto)?;
        let public = private
            .compute_public_key()
            .ok()
            .and_then(|public| public.as_ref().try_into().ok())
            .ok_or(ShareKeyError::Crypto)?;
        Ok(Self {
            key: ShareKey { name, public },
            secret: Secret::new(secret),
        })
    }

    /// The text form that [`Self::parse`] reads, for a file of mode 0600.
    #[must_use]
    pub fn to_secret_text(&self) -> Secret<String> {
        let ShareKey { name, .. } = &self.key;
        let (id, secret) = (
            self.key.key_id(),
            key_text::encode(&KEM, self.secret.expose()),
        );
        Secret::new(format!("{SECRET_PREFIX}{name}+{id:08x}+{secret}"))
    }

    /// The public half of the pair.
    #[must_use]
    pub const fn key(&self) -> &ShareKey {
        &self.key
    }

    pub(super) const fn secret(&self) -> &[u8; LEN] {
        self.secret.expose()
    }
}

impl fmt::Debug for ShareSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShareSecret({}, [secret])", self.key.name)
    }
}

/// Name, ID and key of a text.
fn parts(text: &str, form: &ShareKeyError) -> Result<(String, u32, [u8; LEN]), ShareKeyError> {
    let parts = Parts::split(text).ok_or_else(|| form.clone())?;
    let name = checked_name(parts.name)?;
    let bytes = parts.typed().ok_or_else(|| form.clone())?;
    let key = bytes.strip_prefix(&KEM);
    let key = key.ok_or_else(|| ShareKeyError::Kind { name: name.clone() })?;
    let key = key.try_into().map_err(|_| form.clone())?;
    Ok((name, parts.key_id, key))
}

fn checked_name(name: &str) -> Result<String, ShareKeyError> {
    if key_text::is_name(name) {
        Ok(name.to_owned())
    } else {
        Err(ShareKeyError::Name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::c2sp::{SigningKey, VerifierKey};

    #[test]
    fn a_generated_key_survives_its_text() {
        let secret = ShareSecret::generate("central-bank").unwrap();
        let again = ShareSecret::parse(secret.to_secret_text().expose()).unwrap();
        assert_eq!(again.key(), secret.key());
        let public = ShareKey::parse(&secret.key().to_string()).unwrap();
        assert_eq!(&public, secret.key());
        assert_eq!(public.name(), "central-bank");
        let line = |text: &str| format!("{text}\n");
        let again = ShareSecret::parse(&line(secret.to_secret_text().expose())).unwrap();
        assert_eq!(again.key(), secret.key());
        assert_eq!(ShareKey::parse(&line(&public.to_string())), Ok(public));
    }

    /// RFC 9180 appendix A.2.1: the recipient's pair.
    #[test]
    fn the_public_key_is_that_of_the_rfc() {
        let secret = "8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb";
        let public = "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a";
        let hex = |text: &str| -> [u8; 32] {
            let nibble = |at| text.chars().nth(at).unwrap().to_digit(16).unwrap() as u8;
            std::array::from_fn(|at| (nibble(2 * at) << 4) | nibble(2 * at + 1))
        };
        let pair = ShareSecret::of("rfc".to_owned(), hex(secret)).unwrap();
        assert_eq!(pair.key().public(), &hex(public));
    }

    #[test]
    fn a_secret_prints_its_name_only() {
        let secret = ShareSecret::generate("central-bank").unwrap();
        assert_eq!(format!("{secret:?}"), "ShareSecret(central-bank, [secret])");
    }

    #[test]
    fn a_signing_key_is_no_share_key_and_the_other_way_round() {
        let signing = SigningKey::generate("central-bank").unwrap();
        assert!(matches!(
            ShareKey::parse(&signing.verifier().to_string()),
            Err(ShareKeyError::Kind { name }) if name == "central-bank"
        ));
        let secret = ShareSecret::generate("central-bank").unwrap();
        assert!(VerifierKey::parse(&secret.key().to_string()).is_err());
        assert!(SigningKey::parse(secret.to_secret_text().expose()).is_err());
        assert_eq!(
            ShareSecret::parse(signing.to_secret_text().expose()).unwrap_err(),
            ShareKeyError::SecretForm
        );
    }

    #[test]
    fn each_kind_of_broken_key_is_named() {
        let good = ShareSecret::generate("central-bank").unwrap();
        let text = good.key().to_string();
        let wrong = |text: &str| ShareKey::parse(text).unwrap_err();
        assert_eq!(wrong("central-bank"), ShareKeyError::Form);
        assert_eq!(wrong("central-bank+zz+AA"), ShareKeyError::Form);
        assert_eq!(wrong("central bank+00000000+AA"), ShareKeyError::Name);
        let renamed = text.replace("central-bank", "centralbank");
        assert!(matches!(wrong(&renamed), ShareKeyError::Id { .. }));
        let cut: String = text.chars().take(text.len() - 4).collect();
        assert_eq!(wrong(&cut), ShareKeyError::Form);
        let secret = good.to_secret_text();
        let renamed = secret.expose().replace("central-bank", "centralbank");
        assert!(matches!(
            ShareSecret::parse(&renamed).unwrap_err(),
            ShareKeyError::Id { .. }
        ));
    }
}
