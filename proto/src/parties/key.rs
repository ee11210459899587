//! The keys with which a party signs its tokens.

use std::fmt;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::named::UnknownWord;

/// The signature algorithms of tokens (RFC 7518 section 3.4, RFC 8037 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyAlgorithm {
    /// Ed25519.
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

impl KeyAlgorithm {
    const ALL: [Self; 2] = [Self::EdDsa, Self::Es256];

    /// The name in documents and token headers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }

    pub(super) fn parse(name: &str) -> Result<Self, UnknownWord> {
        let known = Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name);
        known.ok_or_else(|| {
            UnknownWord::new("algorithm", name, Self::ALL.into_iter().map(Self::name))
        })
    }

    /// What comes before the key in its DER SubjectPublicKeyInfo (RFC 5480 section 2, RFC 8410
    /// section 4). Both kinds of key have one length, so the prefix is fixed.
    const fn spki_prefix(self) -> &'static [u8] {
        match self {
            Self::EdDsa => &[
                0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0,
            ],
            Self::Es256 => &[
                0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0,
            ],
        }
    }

    const fn key_len(self) -> usize {
        match self {
            Self::EdDsa => 32,
            Self::Es256 => 65,
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A public key for tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenKey {
    kid: String,
    algorithm: KeyAlgorithm,
    spki_der: Vec<u8>,
}

/// Why a text is no token key. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenKeyError {
    /// Not PEM.
    #[error("is PEM, from `-----BEGIN PUBLIC KEY-----` to `-----END PUBLIC KEY-----`")]
    Pem,
    /// A private key stands in a document that is published.
    #[error(
        "is a private key: it is no longer secret, make a new one and give the public half here"
    )]
    Private,
    /// A key of another kind.
    #[error("is no public key of this algorithm (P-256 uncompressed for ES256, Ed25519 for EdDSA)")]
    OtherKind,
}

impl TokenKey {
    /// The most bytes of a `kid`.
    pub const KID_LEN_MAX: usize = 64;

    pub(super) fn new(
        kid: &str,
        algorithm: KeyAlgorithm,
        pem: &str,
    ) -> Result<Self, TokenKeyError> {
        let spki_der = decode_pem(pem)?;
        let key = spki_der
            .strip_prefix(algorithm.spki_prefix())
            .filter(|key| key.len() == algorithm.key_len())
            .ok_or(TokenKeyError::OtherKind)?;
        // Also refuses a point that does not lie on the curve.
        match algorithm {
            KeyAlgorithm::EdDsa => ParsedPublicKey::new(&ED25519, key),
            KeyAlgorithm::Es256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key),
        }
        .map_err(|_| TokenKeyError::OtherKind)?;
        Ok(Self {
            kid: kid.to_owned(),
            algorithm,
            spki_der,
        })
    }

    /// Its name in the token's header.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The one algorithm that it may be used with.
    #[must_use]
    pub const fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The key as a DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// The bare key: 32 bytes for EdDSA, 65 bytes (uncompressed point) for ES256.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.spki_der
            .get(self.algorithm.spki_prefix().len()..)
            .unwrap_or_default()
    }

    /// The key as PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        let body = STANDARD.encode(&self.spki_der);
        let lines = body.as_bytes().chunks(64).map(String::from_utf8_lossy);
        let mut pem = format!("{BEGIN}\n");
        for line in lines {
            pem.push_str(&line);
            pem.push('\n');
        }
        pem + END + "\n"
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenKey({}, {})", self.kid, self.algorithm)
    }
}

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

fn decode_pem(pem: &str) -> Result<Vec<u8>, TokenKeyError> {
    if pem.contains("PRIVATE KEY") {
        return Err(TokenKeyError::Private);
    }
    let body = pem
        .trim()
        .strip_prefix(BEGIN)
        .and_then(|rest| rest.strip_suffix(END))
        .ok_or(TokenKeyError::Pem)?;
    let body: String = body.split_whitespace().collect();
    STANDARD.decode(body).map_err(|_| TokenKeyError::Pem)
}
