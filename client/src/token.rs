//! Makes the caller's short-lived tokens, and keeps each until half of its life is over.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use accord_proto::{clock::SharedClock, party::PartyId, purpose::Purpose, secret::Secret};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::Header;
use serde::Serialize;
use tonic::metadata::{Ascii, MetadataValue};

use crate::{random, token_key::TokenKey};

/// How long a token lives. The broker accepts at most 300 s.
pub const TOKEN_LIFE_S: i64 = 240;
/// A token is renewed when this much of its life is over.
const RENEW_AFTER_S: i64 = TOKEN_LIFE_S / 2;
/// The most tokens kept at once, one for each scope.
const SCOPES_MAX: usize = 256;

/// What a token allows: these purposes, and these principals beside the caller itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scope {
    purposes: BTreeSet<Purpose>,
    on_behalf_of: BTreeSet<String>,
}

impl Scope {
    /// For these purposes, for the caller itself.
    #[must_use]
    pub fn new(purposes: impl IntoIterator<Item = Purpose>) -> Self {
        Self {
            purposes: purposes.into_iter().collect(),
            on_behalf_of: BTreeSet::new(),
        }
    }

    /// Also for this principal.
    #[must_use]
    pub fn on_behalf_of(mut self, principal: &str) -> Self {
        self.on_behalf_of.insert(principal.to_owned());
        self
    }

    /// The field of a question in which another scope goes beyond this one.
    pub(crate) fn lacks(&self, other: &Self) -> Option<&'static str> {
        if !other.purposes.is_subset(&self.purposes) {
            return Some("purpose");
        }
        let within = other.on_behalf_of.is_subset(&self.on_behalf_of);
        (!within).then_some("on_behalf_of")
    }
}

/// Why no token could be made. Never repeats the token or the key.
#[derive(Debug, thiserror::Error)]
#[error("can't sign a token with the key `{kid}`")]
pub struct TokenError {
    kid: String,
    #[source]
    source: jsonwebtoken::errors::Error,
}

/// A token that is ready to send.
#[derive(Clone)]
pub(crate) struct Token {
    /// `Bearer …`, marked sensitive.
    pub(crate) header: MetadataValue<Ascii>,
    /// The token alone.
    pub(crate) text: Arc<Secret<String>>,
    /// When to make the next one.
    pub(crate) renew_at: Timestamp,
    /// The thumbprint of the certificate with which it is good.
    bound_to: Arc<str>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[token]")
    }
}

/// Makes and keeps tokens.
#[derive(Debug)]
pub(crate) struct TokenMaker {
    issuer: PartyId,
    application: String,
    clock: SharedClock,
    kept: Mutex<Kept>,
}

/// The key, and what it has signed.
#[derive(Debug)]
struct Kept {
    key: TokenKey,
    tokens: HashMap<Scope, Token>,
}

/// The claims, as `signals.proto` documents them.
#[derive(Serialize)]
struct Claims<'a> {
    iss: String,
    sub: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: String,
    purposes: Vec<&'static str>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    on_behalf_of: &'a BTreeSet<String>,
    cnf: Confirmation<'a>,
}

/// RFC 8705 section 3.1: the token is bound to the certificate.
#[derive(Serialize)]
struct Confirmation<'a> {
    #[serde(rename = "x5t#S256")]
    x5t_s256: &'a str,
}

impl TokenMaker {
    pub(crate) fn new(
        key: TokenKey,
        issuer: PartyId,
        application: String,
        clock: SharedClock,
    ) -> Self {
        let tokens = HashMap::new();
        Self {
            issuer,
            application,
            clock,
            kept: Mutex::new(Kept { key, tokens }),
        }
    }

    /// Signs with another key from now on.
    pub(crate) fn renew(&self, key: TokenKey) {
        let tokens = HashMap::new();
        *self.kept() = Kept { key, tokens };
    }

    /// A token for a scope, with at least half of its life before it, that is good on connections
    /// with the certificate of this thumbprint.
    pub(crate) fn token(&self, scope: &Scope, bound_to: &Arc<str>) -> Result<Token, TokenError> {
        let now = self.clock.now();
        let mut kept = self.kept();
        let token = kept.tokens.get(scope);
        if let Some(token) = token.filter(|token| token.bound_to == *bound_to) {
            // A clock that went back would otherwise keep a token for too long.
            let fresh_for = token.renew_at.duration_since(now);
            if fresh_for.is_positive() && fresh_for <= SignedDuration::from_secs(RENEW_AFTER_S) {
                return Ok(token.clone());
            }
        }
        let token = self.make(&kept.key, scope, bound_to, now)?;
        if kept.tokens.len() >= SCOPES_MAX {
            kept.tokens.clear();
        }
        kept.tokens.insert(scope.clone(), token.clone());
        Ok(token)
    }

    /// Forgets a scope's token, after the broker said that it is no longer good.
    pub(crate) fn forget(&self, scope: &Scope) {
        self.kept().tokens.remove(scope);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a token is good before it should be renewed.
    pub(crate) fn fresh_for(&self, token: &Token) -> Duration {
        let left = token.renew_at.duration_since(self.clock.now());
        Duration::try_from(left).unwrap_or_default()
    }

    fn make(
        &self,
        key: &TokenKey,
        scope: &Scope,
        bound_to: &Arc<str>,
        now: Timestamp,
    ) -> Result<Token, TokenError> {
        let failed = |source| TokenError {
            kid: key.kid.clone(),
            source,
        };
        let iat = now.as_second();
        let claims = Claims {
            iss: self.issuer.to_string(),
            sub: &self.application,
            aud: &key.audience,
            iat,
            exp: iat.saturating_add(TOKEN_LIFE_S),
            jti: random::id(),
            purposes: scope
                .purposes
                .iter()
                .map(|purpose| purpose.name())
                .collect(),
            on_behalf_of: &scope.on_behalf_of,
            cnf: Confirmation { x5t_s256: bound_to },
        };
        let mut header = Header::new(key.alg);
        header.kid = Some(key.kid.clone());
        let text = jsonwebtoken::encode(&header, &claims, &key.key).map_err(failed)?;
        let bearer = format!("Bearer {text}");
        let mut header: MetadataValue<Ascii> = bearer
            .try_into()
            .map_err(|_| failed(jsonwebtoken::errors::ErrorKind::InvalidToken.into()))?;
        header.set_sensitive(true);
        let renew_at = now
            .checked_add(SignedDuration::from_secs(RENEW_AFTER_S))
            .unwrap_or(now);
        Ok(Token {
            header,
            text: Arc::new(Secret::new(text)),
            renew_at,
            bound_to: Arc::clone(bound_to),
        })
    }
}

#[cfg(test)]
mod tests {
    use accord_certs::TokenKey as MadeKey;
    use accord_proto::clock::ManualClock;
    use jsonwebtoken::{Algorithm, DecodingKey, Validation};
    use serde_json::Value;

    use super::*;
    use crate::profile::TokenAlg;

    fn key(alg: TokenAlg, made: &MadeKey) -> TokenKey {
        let pem = made.private_pem();
        TokenKey::from_pem(alg, pem.as_bytes(), "bank-1", "accord-sandbox").unwrap()
    }

    fn maker(alg: TokenAlg, made: &MadeKey, clock: SharedClock) -> TokenMaker {
        TokenMaker::new(
            key(alg, made),
            PartyId::parse("spiffe://accord.test/bank/first-bank").unwrap(),
            "payments".to_owned(),
            clock,
        )
    }

    fn claims(token: &Token, key: &DecodingKey, alg: Algorithm) -> Value {
        let mut validation = Validation::new(alg);
        validation.set_audience(&["accord-sandbox"]);
        validation.validate_exp = false;
        jsonwebtoken::decode::<Value>(token.text.expose(), key, &validation)
            .unwrap()
            .claims
    }

    #[test]
    fn a_token_has_the_documented_claims_under_both_algorithms() {
        let clock = ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap());
        let scope = Scope::new([Purpose::Payment, Purpose::Login]).on_behalf_of("agent-co");
        let es256 = MadeKey::es256().unwrap();
        let ed25519 = MadeKey::ed25519().unwrap();
        let ec = DecodingKey::from_ec_pem(es256.public_pem().as_bytes()).unwrap();
        let ed = DecodingKey::from_ed_pem(ed25519.public_pem().as_bytes()).unwrap();
        for (alg, made, key, jwt_alg) in [
            (TokenAlg::Es256, &es256, ec, Algorithm::ES256),
            (TokenAlg::EdDsa, &ed25519, ed, Algorithm::EdDSA),
        ] {
            let maker = maker(alg, made, clock.clone());
            let token = maker.token(&scope, &"thumb".into()).unwrap();
            let claims = claims(&token, &key, jwt_alg);
            assert_eq!(claims["iss"], "spiffe://accord.test/bank/first-bank");
            assert_eq!(claims["sub"], "payments");
            assert_eq!(claims["purposes"], serde_json::json!(["login", "payment"]));
            assert_eq!(claims["on_behalf_of"], serde_json::json!(["agent-co"]));
            assert_eq!(claims["cnf"]["x5t#S256"], "thumb");
            assert_eq!(
                claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
                TOKEN_LIFE_S
            );
            assert!(token.header.is_sensitive());
            assert_eq!(format!("{token:?}"), "[token]");
        }
    }

    #[test]
    fn a_token_is_kept_for_half_of_its_life_and_for_its_scope_alone() {
        let clock = ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap());
        let made = MadeKey::es256().unwrap();
        let maker = maker(TokenAlg::Es256, &made, clock.clone());
        let scope = Scope::new([Purpose::Payment]);
        let thumb: Arc<str> = "thumb".into();
        let text = |scope: &Scope| {
            let token = maker.token(scope, &thumb).unwrap();
            token.text.expose().clone()
        };
        let first = text(&scope);
        clock.step(SignedDuration::from_secs(119));
        assert_eq!(text(&scope), first);
        let other = Scope::new([Purpose::Login]);
        assert_ne!(text(&other), first);
        clock.step(SignedDuration::from_secs(2));
        let second = text(&scope);
        assert_ne!(second, first);
        // Back before the token was made: a new one, which the other side can believe.
        clock.step(SignedDuration::from_secs(-3_600));
        assert_ne!(text(&scope), second);
    }

    #[test]
    fn a_token_is_bound_to_the_certificate_and_signed_with_the_key_of_its_time() {
        let clock = ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap());
        let [old, new] = [(), ()].map(|()| MadeKey::es256().unwrap());
        let public = |made: &MadeKey| DecodingKey::from_ec_pem(made.public_pem().as_bytes());
        let maker = maker(TokenAlg::Es256, &old, clock);
        let scope = Scope::new([Purpose::Payment]);
        let bound = |to: &str, made| {
            let token = maker.token(&scope, &to.into()).unwrap();
            let claims = claims(&token, &public(made).unwrap(), Algorithm::ES256);
            claims["cnf"]["x5t#S256"].as_str().unwrap().to_owned()
        };
        for thumbprint in ["old", "new", "old"] {
            assert_eq!(bound(thumbprint, &old), thumbprint);
        }
        maker.renew(key(TokenAlg::Es256, &new));
        // A stream that began before goes on with its certificate, and with the new key.
        for thumbprint in ["old", "new"] {
            assert_eq!(bound(thumbprint, &new), thumbprint);
        }
    }
}
