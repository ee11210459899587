//! Tokens from the authorisation server (OAuth 2.0, as CAMARA profiles it): the assertions that a
//! client signs, and the request for a token.
//!
//! ```text
//!   key ─▶ AssertionMaker ─ client_assertion ─▶ token for any number (client credentials)
//!                         └ grant_assertion ──▶ token for one number (JWT bearer, RFC 7523)
//! ```
//!
//! Any OAuth library with `private_key_jwt` does the same; this one is for programs that have no
//! other, and for the command `accord token`.

#[cfg(feature = "command")]
mod dpop;
#[cfg(feature = "command")]
mod fetch;

use std::fmt;

use accord_proto::{
    camara::{ClientId, Requested},
    clock::SharedClock,
    msisdn::Msisdn,
    secret::Secret,
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use crate::{identity::IdentityError, random, token_key::signing_key};

#[cfg(feature = "command")]
pub use dpop::{ProofError, ProofKey, ProvenRequest, ProvenRequestError};
#[cfg(feature = "command")]
pub(crate) use fetch::{Asked, TokenServer};
#[cfg(feature = "command")]
pub use fetch::{FetchError, IssuedToken};

/// How long an assertion is good, in seconds: it is used once, at once. The server takes at most 300.
const ASSERTION_LIFE_S: i64 = 60;

/// The key that signs a client's assertions.
#[derive(Clone)]
pub struct AssertionKey {
    key: EncodingKey,
    alg: Algorithm,
    kid: Option<String>,
}

impl AssertionKey {
    /// Reads a PKCS #8 key, on P-256 or Ed25519. `kid` is the id under which its public half is
    /// registered; a client with one key needs none.
    ///
    /// # Errors
    /// If the text holds no key, one in another form, or one of another kind or curve.
    pub fn from_pem(pem: &[u8], kid: Option<&str>) -> Result<Self, IdentityError> {
        let algs = [Algorithm::ES256, Algorithm::EdDSA];
        let needed = "a key on P-256 or Ed25519";
        let (key, alg) = signing_key("the client's key", needed, pem, &algs)?;
        Ok(Self {
            key,
            alg,
            kid: kid.map(str::to_owned),
        })
    }
}

impl fmt::Debug for AssertionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssertionKey")
            .field("kid", &self.kid)
            .field("key", &"[secret]")
            .finish_non_exhaustive()
    }
}

/// Why no assertion could be made. Never repeats the assertion or the key.
#[derive(Debug, thiserror::Error)]
#[error("can't sign an assertion: is the key on P-256 or Ed25519?")]
pub struct AssertionError(#[source] jsonwebtoken::errors::Error);

/// Makes the assertions of a client.
#[derive(Debug)]
pub struct AssertionMaker {
    client: ClientId,
    key: AssertionKey,
    clock: SharedClock,
}

/// RFC 7523 section 3.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

impl AssertionMaker {
    /// For a client with this key.
    #[must_use]
    pub const fn new(client: ClientId, key: AssertionKey, clock: SharedClock) -> Self {
        Self { client, key, clock }
    }

    /// Says who asks (`private_key_jwt`). `audience` is the address of the token endpoint, or the
    /// server's issuer. Good once, for a minute.
    ///
    /// # Errors
    /// [`AssertionError`].
    pub fn client_assertion(&self, audience: &str) -> Result<Secret<String>, AssertionError> {
        self.sign(self.client.as_str(), audience, None)
    }

    /// Says who asks, and for a token about which number (the JWT bearer grant).
    ///
    /// # Errors
    /// [`AssertionError`].
    pub fn grant_assertion(
        &self,
        audience: &str,
        number: &Msisdn,
        requested: &Requested,
    ) -> Result<Secret<String>, AssertionError> {
        let subject = format!("tel:{}", number.expose());
        self.sign(&subject, audience, Some(requested.to_string()))
    }

    fn sign(
        &self,
        sub: &str,
        aud: &str,
        scope: Option<String>,
    ) -> Result<Secret<String>, AssertionError> {
        let iat = self.clock.now().as_second();
        let claims = Claims {
            iss: self.client.as_str(),
            sub,
            aud,
            iat,
            exp: iat.saturating_add(ASSERTION_LIFE_S),
            jti: random::id(),
            scope,
        };
        let mut header = Header::new(self.key.alg);
        header.kid.clone_from(&self.key.kid);
        let text = jsonwebtoken::encode(&header, &claims, &self.key.key);
        text.map(Secret::new).map_err(AssertionError)
    }
}

#[cfg(test)]
mod tests {
    use accord_certs::TokenKey as MadeKey;
    use accord_proto::clock::ManualClock;
    use jsonwebtoken::{DecodingKey, Validation};
    use serde_json::Value;

    use super::*;

    const AUDIENCE: &str = "https://broker.test/oauth2/token";

    #[test]
    fn an_assertion_says_who_asks_and_about_which_number_under_both_algorithms() {
        let clock = ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap());
        let (es, ed) = (MadeKey::es256().unwrap(), MadeKey::ed25519().unwrap());
        let ec = DecodingKey::from_ec_pem(es.public_pem().as_bytes()).unwrap();
        let eddsa = DecodingKey::from_ed_pem(ed.public_pem().as_bytes()).unwrap();
        for (made, key, alg) in [(es, ec, Algorithm::ES256), (ed, eddsa, Algorithm::EdDSA)] {
            let pem = made.private_pem();
            let signs = AssertionKey::from_pem(pem.as_bytes(), Some("k-1")).unwrap();
            assert!(!format!("{signs:?}").contains(pem.lines().nth(1).unwrap()));
            let client = ClientId::parse("first-app").unwrap();
            let maker = AssertionMaker::new(client, signs, clock.clone());
            let number = Msisdn::parse("+447700900001").unwrap();
            let requested = Requested::parse("dpv:Fraud sim-swap:check").unwrap();
            let mut rules = Validation::new(alg);
            rules.set_audience(&[AUDIENCE]);
            rules.validate_exp = false;
            let read = |text: &Secret<String>| {
                let text = text.expose();
                let header = jsonwebtoken::decode_header(text).unwrap();
                assert_eq!(header.kid.as_deref(), Some("k-1"));
                jsonwebtoken::decode::<Value>(text, &key, &rules)
                    .unwrap()
                    .claims
            };
            let one = read(&maker.client_assertion(AUDIENCE).unwrap());
            assert_eq!(
                (&one["iss"], &one["sub"]),
                (&one["sub"], &"first-app".into())
            );
            assert_eq!(
                one["exp"].as_i64().unwrap() - one["iat"].as_i64().unwrap(),
                60
            );
            assert!(one.get("scope").is_none());
            let other = maker.grant_assertion(AUDIENCE, &number, &requested);
            let other = read(&other.unwrap());
            assert_eq!(other["iss"], "first-app");
            assert_eq!(other["sub"], "tel:+447700900001");
            assert_eq!(other["scope"], "dpv:Fraud sim-swap:check");
            assert_ne!(one["jti"], other["jti"]);
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in [
            "",
            "nothing",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            let error = AssertionKey::from_pem(text.as_bytes(), None).unwrap_err();
            assert!(
                error.to_string().starts_with("the client's key:"),
                "{error}"
            );
        }
    }
}
