//! Keys that sign tokens.

use std::fmt;
use std::path::Path;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SignatureAlgorithm};

use crate::{CertsError, disk};

/// A key pair that signs JSON web tokens (RFC 7518 and RFC 8037).
pub struct TokenKey {
    algorithm: &'static str,
    pair: KeyPair,
}

impl TokenKey {
    /// A new ECDSA P-256 key, `ES256`.
    ///
    /// # Errors
    /// If the system gives no random numbers.
    pub fn es256() -> Result<Self, CertsError> {
        Self::generate("ES256", &PKCS_ECDSA_P256_SHA256)
    }

    /// A new Ed25519 key, `EdDSA`.
    ///
    /// # Errors
    /// If the system gives no random numbers.
    pub fn ed25519() -> Result<Self, CertsError> {
        Self::generate("EdDSA", &PKCS_ED25519)
    }

    fn generate(
        algorithm: &'static str,
        kind: &'static SignatureAlgorithm,
    ) -> Result<Self, CertsError> {
        let pair = KeyPair::generate_for(kind).map_err(CertsError::make("token key"))?;
        Ok(Self { algorithm, pair })
    }

    /// `ES256` or `EdDSA`, as in a token's header.
    #[must_use]
    pub const fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    /// The private key, PKCS#8 PEM. A secret.
    #[must_use]
    pub fn private_pem(&self) -> String {
        self.pair.serialize_pem()
    }

    /// The public key, SPKI PEM: what `parties.toml` registers.
    #[must_use]
    pub fn public_pem(&self) -> String {
        self.pair.public_key_pem()
    }

    /// Writes `<stem>.key` (the private key, mode 0600) and `<stem>.pub` (the public key) into
    /// `dir`, replacing what was there.
    ///
    /// # Errors
    /// Names the file that can't be written.
    pub fn write(&self, dir: &Path, stem: &str) -> Result<(), CertsError> {
        disk::write_private(&dir.join(format!("{stem}.key")), &self.private_pem())?;
        disk::write_public(&dir.join(format!("{stem}.pub")), &self.public_pem())
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKey")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_key() {
        let key = TokenKey::ed25519().unwrap();
        assert_eq!(format!("{key:?}"), "TokenKey { algorithm: \"EdDSA\", .. }");
        assert!(key.public_pem().starts_with("-----BEGIN PUBLIC KEY-----"));
        assert!(key.private_pem().starts_with("-----BEGIN PRIVATE KEY-----"));
    }
}
