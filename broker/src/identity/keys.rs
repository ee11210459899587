//! The keys with which parties sign their tokens.

use std::fmt;

use accord_proto::party::PartyId;
use jsonwebtoken::{Algorithm, DecodingKey};

/// How a token may be signed (RFC 7518 section 3.4, RFC 8037 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenAlgorithm {
    /// Ed25519.
    EdDsa,
    /// ECDSA with P-256 and SHA-256.
    Es256,
}

impl TokenAlgorithm {
    /// As in a token's header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }

    pub(super) const fn to_library(self) -> Algorithm {
        match self {
            Self::EdDsa => Algorithm::EdDSA,
            Self::Es256 => Algorithm::ES256,
        }
    }

    /// Bytes of a raw public key: an uncompressed P-256 point, or an Ed25519 key.
    const fn key_len(self) -> usize {
        match self {
            Self::EdDsa => 32,
            Self::Es256 => 65,
        }
    }
}

/// A registered public key and the one algorithm that it is for.
#[derive(Clone)]
pub struct KeyMaterial {
    pub(super) algorithm: TokenAlgorithm,
    pub(super) key: DecodingKey,
}

/// Why a text is no token key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a public key in PEM (`BEGIN PUBLIC KEY`) for `{0}`")]
pub struct KeyError(&'static str);

impl KeyMaterial {
    /// Parses a public key: SPKI, PEM.
    ///
    /// # Errors
    /// If it is no public key for this algorithm.
    pub fn from_spki_pem(algorithm: TokenAlgorithm, pem: &str) -> Result<Self, KeyError> {
        let error = || KeyError(algorithm.name());
        let parse = match algorithm {
            TokenAlgorithm::EdDsa => DecodingKey::from_ed_pem,
            TokenAlgorithm::Es256 => DecodingKey::from_ec_pem,
        };
        if !pem.contains("BEGIN PUBLIC KEY") {
            return Err(error());
        }
        let key = parse(pem.as_bytes()).map_err(|_| error())?;
        let raw = key.try_get_as_bytes().map_err(|_| error())?;
        if raw.len() != algorithm.key_len() {
            return Err(error());
        }
        Ok(Self { algorithm, key })
    }
}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyMaterial")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// Where registered keys are looked up: the signed register of parties, or a test's own.
pub trait KeyDirectory: fmt::Debug + Send + Sync {
    /// Changes whenever any key or licence does. Tokens verified under another generation are
    /// verified anew.
    fn generation(&self) -> u64;

    /// The key that `party` registered under `kid`, if it may be used now.
    fn key(&self, party: &PartyId, kid: &str) -> Option<KeyMaterial>;
}

#[cfg(test)]
mod tests {
    use accord_certs::TokenKey;

    use super::*;

    #[test]
    fn a_key_is_taken_for_its_own_algorithm_only() {
        let es256 = TokenKey::es256().unwrap();
        let ed25519 = TokenKey::ed25519().unwrap();
        for (algorithm, good, bad) in [
            (TokenAlgorithm::Es256, &es256, &ed25519),
            (TokenAlgorithm::EdDsa, &ed25519, &es256),
        ] {
            KeyMaterial::from_spki_pem(algorithm, &good.public_pem()).unwrap();
            KeyMaterial::from_spki_pem(algorithm, &bad.public_pem()).unwrap_err();
            KeyMaterial::from_spki_pem(algorithm, &good.private_pem()).unwrap_err();
            assert_eq!(algorithm.name(), good.algorithm());
        }
    }
}
