//! Proofs that the sender of a request holds a key (DPoP, RFC 9449): for whoever tries by hand what an
//! OAuth library does by itself.

use std::{fmt, str::FromStr};

use accord_proto::{oauth::PublicJwk, secret::Secret};
use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{Method, Uri};
use jiff::Timestamp;
use jsonwebtoken::{Header, jwk::Jwk};
use pem::{EncodeConfig, LineEnding, Pem};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde::Serialize;

use super::AssertionKey;
use crate::{identity::IdentityError, random};

/// Why there is no proof. Never repeats the key.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The system has no random bytes, mostly.
    #[error("can't make a key")]
    NoKey,
    /// The library refused.
    #[error("can't sign a proof")]
    Sign(#[source] jsonwebtoken::errors::Error),
}

/// A request that a proof is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenRequest {
    /// Its method.
    pub method: Method,
    /// Its address, without query and fragment (RFC 9449 section 4.2).
    pub url: String,
}

/// Why a text names no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "is a method and an https address, such as \"POST https://broker.example/sim-swap/v2/check\""
)]
pub struct ProvenRequestError;

impl FromStr for ProvenRequest {
    type Err = ProvenRequestError;

    fn from_str(text: &str) -> Result<Self, ProvenRequestError> {
        let (method, url) = text.split_once(' ').ok_or(ProvenRequestError)?;
        // Any other word of a method is one too, but none that somebody means.
        let upper = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
        let method = upper.then(|| Method::from_str(method).ok()).flatten();
        let url = url.split(['?', '#']).next().unwrap_or_default();
        let uri = url.parse::<Uri>().ok();
        let https = uri.is_some_and(|uri| uri.scheme_str() == Some("https"));
        match method {
            Some(method) if https => Ok(Self {
                method,
                url: url.to_owned(),
            }),
            Some(_) | None => Err(ProvenRequestError),
        }
    }
}

/// A key whose possession is proven.
#[derive(Clone)]
pub struct ProofKey {
    key: AssertionKey,
    jwk: Jwk,
}

/// RFC 9449 section 4.2.
#[derive(Serialize)]
struct Claims<'a> {
    jti: String,
    htm: &'a str,
    htu: &'a str,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
}

impl ProofKey {
    /// Makes a key on P-256, and gives it as PKCS #8 PEM too, for whoever keeps it.
    ///
    /// # Errors
    /// [`ProofError::NoKey`].
    pub fn generate() -> Result<(Self, Secret<String>), ProofError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
        let pair = pair.map_err(|_| ProofError::NoKey)?;
        let der = pair.to_pkcs8v1().map_err(|_| ProofError::NoKey)?;
        let pem = Pem::new("PRIVATE KEY", der.as_ref());
        let lines = EncodeConfig::new().set_line_ending(LineEnding::LF);
        let pem = Secret::new(pem::encode_config(&pem, lines));
        let key = Self::from_pem(pem.expose().as_bytes()).map_err(|_| ProofError::NoKey)?;
        Ok((key, pem))
    }

    /// Reads a PKCS #8 key, on P-256 or Ed25519.
    ///
    /// # Errors
    /// If the text holds no such key.
    pub fn from_pem(pem: &[u8]) -> Result<Self, IdentityError> {
        let none = || IdentityError::NoKey {
            what: "the key to be proven",
        };
        let key = AssertionKey::from_pem(pem, None)?;
        let jwk = public_of(pem).ok_or_else(none)?.to_json();
        let jwk = serde_json::from_value(jwk).map_err(|_| none())?;
        Ok(Self { key, jwk })
    }

    /// A proof for one request, of this token where there is one. Good once, for 300 s.
    ///
    /// # Errors
    /// [`ProofError::Sign`].
    pub fn prove(
        &self,
        request: &ProvenRequest,
        token: Option<&str>,
        now: Timestamp,
    ) -> Result<Secret<String>, ProofError> {
        let hash = |token: &str| {
            let hash = digest(&SHA256, token.as_bytes());
            BASE64_URL_SAFE_NO_PAD.encode(hash)
        };
        let claims = Claims {
            jti: random::id(),
            htm: request.method.as_str(),
            htu: &request.url,
            iat: now.as_second(),
            ath: token.map(hash),
        };
        let mut header = Header::new(self.key.alg);
        header.typ = Some("dpop+jwt".to_owned());
        header.jwk = Some(self.jwk.clone());
        let proof = jsonwebtoken::encode(&header, &claims, &self.key.key);
        proof.map(Secret::new).map_err(ProofError::Sign)
    }
}

impl fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofKey([secret])")
    }
}

fn public_of(pem: &[u8]) -> Option<PublicJwk> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem).ok()?;
    let der = der.secret_pkcs8_der();
    if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der) {
        return PublicJwk::of_point(pair.public_key().as_ref());
    }
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok()?;
    let key = pair.public_key().as_ref().try_into().ok()?;
    Some(PublicJwk::Ed25519(key))
}

#[cfg(test)]
mod tests {
    use accord_certs::TokenKey as MadeKey;
    use accord_proto::oauth::{Jws, proof_key};

    use super::*;

    const REQUEST: &str = "POST https://broker.test/sim-swap/v2/check";

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_proof_names_its_request_and_token_and_is_new_each_time() {
        let (made, pem) = ProofKey::generate().unwrap();
        let read = ProofKey::from_pem(pem.expose().as_bytes()).unwrap();
        let ed25519 = MadeKey::ed25519().unwrap().private_pem();
        let ed25519 = ProofKey::from_pem(ed25519.as_bytes()).unwrap();
        let request: ProvenRequest = REQUEST.parse().unwrap();
        for key in [&made, &read, &ed25519] {
            let one = key.prove(&request, Some("a.b.c"), now()).unwrap();
            let other = key.prove(&request, None, now()).unwrap();
            assert_eq!(proof_key(one.expose()), proof_key(other.expose()));
            assert!(proof_key(one.expose()).is_ok());
            let one = Jws::parse(one.expose()).unwrap().claims;
            let other = Jws::parse(other.expose()).unwrap().claims;
            assert_eq!(one["htm"], "POST");
            assert_eq!(one["htu"], "https://broker.test/sim-swap/v2/check");
            assert_eq!(one["iat"], now().as_second());
            assert!(one["ath"].is_string() && !other.contains_key("ath"));
            assert_ne!(one["jti"], other["jti"]);
            assert_eq!(format!("{key:?}"), "ProofKey([secret])");
        }
        let name = |key: &ProofKey| {
            let proof = key.prove(&request, None, now()).unwrap();
            proof_key(proof.expose()).unwrap().thumbprint()
        };
        assert_eq!(name(&made), name(&read));
        assert_ne!(name(&made), name(&ed25519));
    }

    #[test]
    fn a_request_is_a_method_and_an_https_address() {
        let with_query: ProvenRequest = format!("{REQUEST}?a=b#c").parse().unwrap();
        assert_eq!(with_query, REQUEST.parse().unwrap());
        for none in [
            "",
            "POST",
            "https://broker.test/",
            "post https://broker.test/",
            "POST http://broker.test/",
            "POST /sim-swap/v2/check",
            " https://broker.test/",
        ] {
            assert_eq!(
                none.parse::<ProvenRequest>(),
                Err(ProvenRequestError),
                "{none}"
            );
        }
    }
}
