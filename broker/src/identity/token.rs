//! Tokens: signed JSON web tokens, bound to the certificate of the connection.

use std::fmt;
use std::sync::Arc;

use accord_proto::parties::TokenKey;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use jsonwebtoken::Validation;
use jsonwebtoken::errors::ErrorKind;
use quick_cache::sync::Cache;
use serde_json::{Map, Value};

use super::caller::Caller;
use super::claims::{Claims, Expected};
use super::error::IdentityError;
use super::jti::JtiBook;
use super::keys::{self, KeyDirectory};
use super::metrics::IdentityMetrics;
use super::peer::Peer;

/// Bytes of a token.
const TOKEN_LEN_MAX: usize = 4096;
/// Verified tokens remembered, of all parties.
const CACHED_MAX: usize = 10_000;

/// Checks tokens. A verified token is remembered until it expires or any registered key changes,
/// because one check of a signature costs as much as a whole call.
pub struct TokenVerifier {
    audience: String,
    keys: Arc<dyn KeyDirectory>,
    /// By the whole token, so that a hit means the same bytes.
    cache: Cache<Box<str>, Arc<Verified>>,
    jtis: JtiBook,
    metrics: IdentityMetrics,
}

struct Verified {
    caller: Arc<Caller>,
    thumbprint: Box<str>,
    generation: u64,
}

impl TokenVerifier {
    /// Accepts tokens whose `aud` is `audience`, signed with a key of `keys`.
    #[must_use]
    pub fn new(audience: &str, keys: Arc<dyn KeyDirectory>, metrics: IdentityMetrics) -> Self {
        Self {
            audience: audience.to_owned(),
            keys,
            cache: Cache::new(CACHED_MAX),
            jtis: JtiBook::default(),
            metrics,
        }
    }

    /// Says which application calls over this connection. Check the peer first: this compares the
    /// token with its certificate, and doesn't ask whether that is still trusted.
    ///
    /// # Errors
    /// [`IdentityError`] names what is wrong with the token.
    pub fn verify(
        &self,
        peer: &Peer,
        token: Option<&str>,
        now: Timestamp,
    ) -> Result<Arc<Caller>, IdentityError> {
        let outcome = token
            .ok_or(IdentityError::TokenMissing)
            .and_then(|token| self.verify_some(peer, token, now));
        if let Err(error) = &outcome {
            self.metrics.refuse_token(error.reason());
        }
        outcome
    }

    fn verify_some(
        &self,
        peer: &Peer,
        token: &str,
        now: Timestamp,
    ) -> Result<Arc<Caller>, IdentityError> {
        // Before any key is looked up: keys that change meanwhile spoil what is remembered.
        let generation = self.keys.generation();
        if let Some(verified) = self.cache.get(token) {
            let good = verified.generation == generation
                && *verified.thumbprint == *peer.thumbprint()
                && now < verified.caller.expires();
            if good {
                self.metrics.tokens_cached.inc();
                return Ok(Arc::clone(&verified.caller));
            }
        }
        let caller = self.verify_anew(peer, token, now).inspect_err(|_| {
            self.cache.remove(token);
        })?;
        let caller = Arc::new(caller);
        self.metrics.tokens_verified.inc();
        let verified = Verified {
            caller: Arc::clone(&caller),
            thumbprint: peer.thumbprint().into(),
            generation,
        };
        self.cache.insert(token.into(), Arc::new(verified));
        Ok(caller)
    }

    fn verify_anew(
        &self,
        peer: &Peer,
        token: &str,
        now: Timestamp,
    ) -> Result<Caller, IdentityError> {
        let party = peer.identity().as_ref().map_err(Clone::clone)?;
        if token.len() > TOKEN_LEN_MAX {
            return Err(IdentityError::TokenMalformed("it is too long"));
        }
        let header = Header::parse(token)?;
        let key = self
            .keys
            .key(party, &header.kid)
            .ok_or(IdentityError::TokenUnknownKey)?;
        if header.alg != key.algorithm().name() {
            return Err(IdentityError::TokenAlgorithm);
        }
        let issuer = party.to_string();
        let claims = self.check_signature(token, &key, &issuer)?;
        let expected = Expected {
            issuer: &issuer,
            audience: &self.audience,
            thumbprint: peer.thumbprint(),
        };
        let claims = Claims::parse(&claims, expected, now)?;
        self.jtis
            .note(party, &claims.jti, peer.thumbprint(), claims.expires, now)?;
        Ok(Caller::new(party.clone(), claims))
    }

    /// The library checks the signature, and that the registered claims are there and ours. It
    /// would compare times with its own clock, so times are left to [`Claims::parse`].
    fn check_signature(
        &self,
        token: &str,
        key: &TokenKey,
        issuer: &str,
    ) -> Result<Map<String, Value>, IdentityError> {
        let (algorithm, key) = keys::to_library(key);
        let mut rules = Validation::new(algorithm);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        rules.set_issuer(&[issuer]);
        rules.set_audience(&[&self.audience]);
        rules.validate_exp = false;
        rules.validate_nbf = false;
        jsonwebtoken::decode(token, &key, &rules)
            .map(|checked| checked.claims)
            .map_err(|error| of_library(error.kind()))
    }
}

impl fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenVerifier")
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

fn of_library(kind: &ErrorKind) -> IdentityError {
    if let ErrorKind::MissingRequiredClaim(missing) = kind {
        let claim = ["aud", "exp", "iss", "sub"]
            .into_iter()
            .find(|claim| claim == missing);
        return claim.map_or(
            IdentityError::TokenMalformed("a claim is missing"),
            IdentityError::TokenClaimMissing,
        );
    }
    if matches!(kind, ErrorKind::InvalidSignature) {
        IdentityError::TokenSignature
    } else if matches!(kind, ErrorKind::InvalidIssuer) {
        IdentityError::TokenWrongIssuer
    } else if matches!(kind, ErrorKind::InvalidAudience) {
        IdentityError::TokenWrongAudience
    } else if matches!(kind, ErrorKind::InvalidAlgorithm) {
        IdentityError::TokenAlgorithm
    } else {
        IdentityError::TokenMalformed("its claims are not a JSON object in base64url")
    }
}

/// The part of a token's header that is read before its signature is checked. Keys and addresses of
/// keys in it are never used.
struct Header {
    alg: String,
    kid: String,
}

impl Header {
    fn parse(token: &str) -> Result<Self, IdentityError> {
        let malformed = IdentityError::TokenMalformed;
        let mut parts = token.split('.');
        let (Some(header), Some(_claims), Some(_signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed("it is not three parts with dots between"));
        };
        let header: Map<String, Value> = BASE64_URL_SAFE_NO_PAD
            .decode(header)
            .ok()
            .and_then(|json| serde_json::from_slice(&json).ok())
            .ok_or_else(|| malformed("its header is not a JSON object in base64url"))?;
        // Whoever marks a header as critical wants it refused where it isn't understood (RFC 7515
        // section 4.1.11).
        if header.contains_key("crit") {
            return Err(malformed("its header has `crit`"));
        }
        let alg = header
            .get("alg")
            .and_then(Value::as_str)
            .ok_or(IdentityError::TokenAlgorithm)?;
        // Said before the key is looked up, so that `none` is called what it is without a `kid`.
        if !["EdDSA", "ES256"].contains(&alg) {
            return Err(IdentityError::TokenAlgorithm);
        }
        let kid = header
            .get("kid")
            .and_then(Value::as_str)
            .filter(|kid| kid.len() <= TokenKey::KID_LEN_MAX)
            .ok_or(IdentityError::TokenUnknownKey)?;
        Ok(Self {
            alg: alg.to_owned(),
            kid: kid.to_owned(),
        })
    }
}

/// The bearer token among the headers of a call (RFC 6750 section 2.1), if there is one.
///
/// # Errors
/// If there are two, or it is no bearer token.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, IdentityError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(IdentityError::TokenMalformed(
            "there are two `authorization` headers",
        ));
    }
    let not_bearer = IdentityError::TokenMalformed("`authorization` is not `Bearer <token>`");
    let Some((scheme, token)) = value.to_str().ok().and_then(|text| text.split_once(' ')) else {
        return Err(not_bearer);
    };
    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() {
        Ok(Some(token))
    } else {
        Err(not_bearer)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn finds_the_one_bearer_token() {
        let mut headers = HeaderMap::new();
        assert_eq!(bearer(&headers), Ok(None));
        headers.insert(AUTHORIZATION, HeaderValue::from_static("bearer a.b.c"));
        assert_eq!(bearer(&headers), Ok(Some("a.b.c")));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer d.e.f"));
        assert!(bearer(&headers).is_err());
        for odd in ["Basic abc", "Bearer", "Bearer "] {
            headers.insert(AUTHORIZATION, HeaderValue::from_static(odd));
            assert!(bearer(&headers).is_err(), "{odd}");
        }
    }
}
