//! The keys with which parties sign their tokens.

use std::fmt;

use accord_proto::camara::ClientId;
use accord_proto::oauth::PublicJwk;
use accord_proto::parties::{KeyAlgorithm, TokenKey};
use accord_proto::party::PartyId;
use jsonwebtoken::{Algorithm, DecodingKey};

use super::issued::Registered;

/// Where registered keys are looked up: the signed list of parties, or a test's own.
pub trait KeyDirectory: fmt::Debug + Send + Sync {
    /// Changes whenever any key or licence does. Tokens verified under another generation are
    /// verified anew.
    fn generation(&self) -> u64;

    /// The key that `party` registered under `kid`, if it may be used now.
    fn key(&self, party: &PartyId, kid: &str) -> Option<TokenKey>;

    /// The registration of a client.
    fn client(&self, id: &ClientId) -> Option<Registered>;
}

/// The one algorithm of a key, and the key, as the library for tokens takes them.
pub(crate) fn to_library(key: &TokenKey) -> (Algorithm, DecodingKey) {
    match key.algorithm() {
        KeyAlgorithm::EdDsa => (Algorithm::EdDSA, DecodingKey::from_ed_der(key.bytes())),
        KeyAlgorithm::Es256 => (Algorithm::ES256, DecodingKey::from_ec_der(key.bytes())),
    }
}

/// The same of a key that came as JSON.
#[must_use]
pub fn library_key(key: &PublicJwk) -> (Algorithm, DecodingKey) {
    let bytes = key.to_bytes();
    match key {
        PublicJwk::P256 { .. } => (Algorithm::ES256, DecodingKey::from_ec_der(&bytes)),
        PublicJwk::Ed25519(_) => (Algorithm::EdDSA, DecodingKey::from_ed_der(&bytes)),
    }
}
