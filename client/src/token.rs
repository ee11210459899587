//! Makes the caller's short-lived tokens, and keeps each until half of its life is over.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use accord_proto::{clock::SharedClock, party::PartyId, purpose::Purpose, secret::Secret};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::Header;
use serde::Serialize;
use tonic::metadata::{Ascii, MetadataValue};

use crate::{identity::TokenKey, random};

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
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[token]")
    }
}

/// Makes and keeps tokens.
#[derive(Debug)]
pub(crate) struct TokenMaker {
    key: TokenKey,
    issuer: PartyId,
    thumbprint: String,
    application: String,
    clock: SharedClock,
    kept: Mutex<HashMap<Scope, Token>>,
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
        thumbprint: String,
        application: String,
        clock: SharedClock,
    ) -> Self {
        Self {
            key,
            issuer,
            thumbprint,
            application,
            clock,
            kept: Mutex::default(),
        }
    }

    /// A token for a scope, with at least half of its life before it.
    pub(crate) fn token(&self, scope: &Scope) -> Result<Token, TokenError> {
        let now = self.clock.now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = kept.get(scope) {
            // A clock that went back would otherwise keep a token for too long.
            let fresh_for = token.renew_at.duration_since(now);
            if fresh_for.is_positive() && fresh_for <= SignedDuration::from_secs(RENEW_AFTER_S) {
                return Ok(token.clone());
            }
        }
        let token = self.make(scope, now)?;
        if kept.len() >= SCOPES_MAX {
            kept.clear();
        }
        kept.insert(scope.clone(), token.clone());
        Ok(token)
    }

    /// Forgets a scope's token, after the broker said that it is no longer good.
    pub(crate) fn forget(&self, scope: &Scope) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(scope);
    }

    /// How long a token is good before it should be renewed.
    pub(crate) fn fresh_for(&self, token: &Token) -> Duration {
        let left = token.renew_at.duration_since(self.clock.now());
        Duration::try_from(left).unwrap_or_default()
    }

    fn make(&self, scope: &Scope, now: Timestamp) -> Result<Token, TokenError> {
        let failed = |source| TokenError {
            kid: self.key.kid.clone(),
            source,
        };
        let iat = now.as_second();
        let claims = Claims {
            iss: self.issuer.to_string(),
            sub: &self.application,
            aud: &self.key.audience,
            iat,
            exp: iat.saturating_add(TOKEN_LIFE_S),
            jti: random::id(),
            purposes: scope
                .purposes
                .iter()
                .map(|purpose| purpose.name())
                .collect(),
            on_behalf_of: &scope.on_behalf_of,
            cnf: Confirmation {
                x5t_s256: &self.thumbprint,
            },
        };
        let mut header = Header::new(self.key.alg);
        header.kid = Some(self.key.kid.clone());
        let text = jsonwebtoken::encode(&header, &claims, &self.key.key).map_err(failed)?;
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

    fn maker(alg: TokenAlg, made: &MadeKey, clock: SharedClock) -> TokenMaker {
        let key = TokenKey::from_pem(
            alg,
            made.private_pem().as_bytes(),
            "bank-1",
            "accord-sandbox",
        );
        TokenMaker::new(
            key.unwrap(),
            PartyId::parse("spiffe://accord.test/bank/first-bank").unwrap(),
            "thumb".to_owned(),
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
            let token = maker(alg, made, clock.clone()).token(&scope).unwrap();
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
        let text = |token: Token| token.text.expose().clone();
        let first = text(maker.token(&scope).unwrap());
        clock.step(SignedDuration::from_secs(119));
        assert_eq!(text(maker.token(&scope).unwrap()), first);
        let other = Scope::new([Purpose::Login]);
        assert_ne!(text(maker.token(&other).unwrap()), first);
        clock.step(SignedDuration::from_secs(2));
        let second = text(maker.token(&scope).unwrap());
        assert_ne!(second, first);
        // Back before the token was made: a new one, which the other side can believe.
        clock.step(SignedDuration::from_secs(-3_600));
        assert_ne!(text(maker.token(&scope).unwrap()), second);
    }
}
