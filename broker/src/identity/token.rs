//! Tokens: signed JSON web tokens, bound to the certificate of the connection.

use std::fmt;
use std::sync::Arc;

use accord_proto::oauth::{Jws, TokenHeader};
use jiff::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use quick_cache::sync::Cache;
use serde_json::{Map, Value};

use super::caller::Caller;
use super::claims::{Claims, Expected};
use super::dpop::ProofBook;
use super::error::IdentityError;
use super::issued::{Bound, IssuedClaims, TokenIssuer};
use super::jti::JtiBook;
use super::keys::{self, KeyDirectory};
use super::metrics::IdentityMetrics;
use super::peer::Peer;
use super::presented::Presented;

/// Bytes of a token.
const TOKEN_LEN_MAX: usize = 4096;
/// Verified tokens remembered, of all parties.
const CACHED_MAX: usize = 10_000;

/// Checks tokens. A verified token is remembered until it expires or any registered key changes,
/// because one check of a signature costs as much as a whole call.
pub struct TokenVerifier {
    audience: String,
    keys: Arc<dyn KeyDirectory>,
    issuers: Vec<Arc<dyn TokenIssuer>>,
    /// By the whole token, so that a hit means the same bytes.
    cache: Cache<Box<str>, Arc<Verified>>,
    jtis: JtiBook,
    proofs: ProofBook,
    metrics: IdentityMetrics,
}

struct Verified {
    caller: Arc<Caller>,
    bound: Bound,
    generation: (u64, u64),
}

impl TokenVerifier {
    /// Accepts tokens whose `aud` is `audience`, signed with a key of `keys`. What was shown before
    /// `started` is not known to it.
    #[must_use]
    pub fn new(
        audience: &str,
        keys: Arc<dyn KeyDirectory>,
        metrics: IdentityMetrics,
        started: Timestamp,
    ) -> Self {
        Self {
            audience: audience.to_owned(),
            keys,
            issuers: Vec::new(),
            cache: Cache::new(CACHED_MAX),
            jtis: JtiBook::default(),
            proofs: ProofBook::since(started),
            metrics,
        }
    }

    /// Takes the tokens of an authorisation server too.
    #[must_use]
    pub fn and_of(mut self, issuer: Arc<dyn TokenIssuer>) -> Self {
        self.issuers.push(issuer);
        self
    }

    /// Which proofs were seen, for the authorisation server, which is shown some as well.
    #[must_use]
    pub const fn proofs(&self) -> &ProofBook {
        &self.proofs
    }

    /// Says which application calls over this connection. Check the peer first: this compares the
    /// token with its certificate, and doesn't ask whether that is still trusted. A peer without a
    /// certificate is known by its token alone, which is then bound to a key.
    ///
    /// # Errors
    /// [`IdentityError`] names what is wrong with the token.
    pub fn verify(
        &self,
        peer: &Peer,
        presented: Option<&Presented>,
        now: Timestamp,
    ) -> Result<Arc<Caller>, IdentityError> {
        let outcome = presented
            .ok_or(IdentityError::TokenMissing)
            .and_then(|presented| self.verify_some(peer, presented, now));
        if let Err(error) = &outcome {
            self.metrics.refuse_token(error.reason());
        }
        outcome
    }

    fn verify_some(
        &self,
        peer: &Peer,
        presented: &Presented,
        now: Timestamp,
    ) -> Result<Arc<Caller>, IdentityError> {
        // Before any key is looked up: keys that change meanwhile spoil what is remembered.
        let generation = self.generation();
        let token = presented.token();
        if let Some(verified) = self.cache.get(token)
            && verified.generation == generation
            && now < verified.caller.expires()
            && verified.is_shown_by(peer, presented)
        {
            self.note_proof(&verified, presented, now)?;
            self.metrics.tokens_cached.inc();
            return Ok(Arc::clone(&verified.caller));
        }
        let (caller, bound) = self.verify_anew(peer, presented, now).inspect_err(|_| {
            self.cache.remove(token);
        })?;
        let verified = Verified {
            caller: Arc::new(caller),
            bound,
            generation,
        };
        let caller = Arc::clone(&verified.caller);
        self.note_proof(&verified, presented, now)?;
        self.metrics.tokens_verified.inc();
        self.cache.insert(token.into(), Arc::new(verified));
        Ok(caller)
    }

    fn generation(&self) -> (u64, u64) {
        let issuers = self.issuers.iter().map(|issuer| issuer.generation());
        (self.keys.generation(), issuers.fold(0, u64::wrapping_add))
    }

    /// Last of all, so that only the holder of a good token makes the book longer.
    fn note_proof(
        &self,
        verified: &Verified,
        presented: &Presented,
        now: Timestamp,
    ) -> Result<(), IdentityError> {
        match (&verified.bound.key, presented.proof()) {
            (Some(_), Some(proof)) => self.proofs.note(verified.caller.party(), proof, now),
            (Some(_) | None, _) => Ok(()),
        }
    }

    fn verify_anew(
        &self,
        peer: &Peer,
        presented: &Presented,
        now: Timestamp,
    ) -> Result<(Caller, Bound), IdentityError> {
        let token = presented.token();
        if token.len() > TOKEN_LEN_MAX {
            return Err(IdentityError::TokenMalformed("it is too long"));
        }
        let header = TokenHeader::parse(token)?;
        let named = unverified_issuer(token)?;
        match self
            .issuers
            .iter()
            .find(|issuer| named.as_deref() == Some(issuer.issuer()))
        {
            Some(issuer) => self.verify_issued(issuer.as_ref(), &header, peer, presented, now),
            None => self.verify_own(&header, peer, token, now),
        }
    }

    /// A token that the bank signed itself.
    fn verify_own(
        &self,
        header: &TokenHeader,
        peer: &Peer,
        token: &str,
        now: Timestamp,
    ) -> Result<(Caller, Bound), IdentityError> {
        let party = peer.identity().as_ref().map_err(Clone::clone)?;
        let key = self
            .keys
            .key(party, &header.kid)
            .ok_or(IdentityError::TokenUnknownKey)?;
        if header.alg != key.algorithm().name() {
            return Err(IdentityError::TokenAlgorithm);
        }
        let issuer = party.to_string();
        let (algorithm, library_key) = keys::to_library(&key);
        let claims = self.check_signature(token, algorithm, &library_key, &issuer)?;
        let expected = Expected {
            issuer: &issuer,
            audience: &self.audience,
            thumbprint: peer.thumbprint(),
        };
        let claims = Claims::parse(&claims, expected, now)?;
        self.jtis
            .note(party, &claims.jti, peer.thumbprint(), claims.expires, now)?;
        let bound = Bound {
            certificate: Some(peer.thumbprint().into()),
            key: None,
        };
        Ok((Caller::new(party.clone(), claims), bound))
    }

    /// A token that an authorisation server signed. Its client is looked up in the list of parties as it
    /// is now: what was taken from it since is not granted any more.
    fn verify_issued(
        &self,
        issuer: &dyn TokenIssuer,
        header: &TokenHeader,
        peer: &Peer,
        presented: &Presented,
        now: Timestamp,
    ) -> Result<(Caller, Bound), IdentityError> {
        let (algorithm, key) = issuer
            .key(&header.kid, now)
            .ok_or(IdentityError::TokenUnknownKey)?;
        if !header.is_of_access_token() {
            let rule = "its `typ` is not `at+jwt`, so it is no access token (RFC 9068)";
            return Err(IdentityError::TokenMalformed(rule));
        }
        let claims = self.check_signature(presented.token(), algorithm, &key, issuer.issuer())?;
        let issued = IssuedClaims::parse(&claims, &self.audience, now)?;
        let registered = self
            .keys
            .client(&issued.client)
            .ok_or(IdentityError::TokenUnknownClient)?;
        check_bound(&issued.bound, peer, presented)?;
        if peer.has_certificate() {
            let party = peer.identity().as_ref().map_err(Clone::clone)?;
            if *party != registered.party {
                return Err(IdentityError::TokenWrongParty);
            }
        }
        for asked_with in issuer.asked_with(&claims)? {
            let key = self.keys.key(&registered.party, asked_with.kid());
            if !asked_with.still_signs_for(&registered.client, key.as_ref()) {
                return Err(IdentityError::TokenKeyRetired);
            }
        }
        let granted = issued.granted(&registered.client, issuer.subject(&claims)?)?;
        let caller = Caller::of_client(registered.party, &issued.client, granted, issued.expires);
        Ok((caller, issued.bound))
    }

    /// The library checks the signature, and that the registered claims are there and ours. It
    /// would compare times with its own clock, so times are left to [`Claims::parse`].
    fn check_signature(
        &self,
        token: &str,
        algorithm: Algorithm,
        key: &DecodingKey,
        issuer: &str,
    ) -> Result<Map<String, Value>, IdentityError> {
        let mut rules = Validation::new(algorithm);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        rules.set_issuer(&[issuer]);
        rules.set_audience(&[&self.audience]);
        rules.validate_exp = false;
        rules.validate_nbf = false;
        jsonwebtoken::decode(token, key, &rules)
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

impl Verified {
    /// Whether whoever shows the token now is whom it is bound to.
    fn is_shown_by(&self, peer: &Peer, presented: &Presented) -> bool {
        let own = !peer.has_certificate() || peer.party() == Some(self.caller.party());
        own && check_bound(&self.bound, peer, presented).is_ok()
    }
}

fn check_bound(bound: &Bound, peer: &Peer, presented: &Presented) -> Result<(), IdentityError> {
    if let Some(certificate) = &bound.certificate
        && !(peer.has_certificate() && **certificate == *peer.thumbprint())
    {
        return Err(IdentityError::TokenWrongCertificate);
    }
    let Some(key) = &bound.key else {
        return Ok(());
    };
    match presented.proof() {
        Some(proof) if proof.key() == &**key => Ok(()),
        Some(_) => Err(IdentityError::TokenWrongKey),
        None => Err(IdentityError::ProofMissing),
    }
}

/// Who a token says made it: only to choose by whose keys it is checked.
fn unverified_issuer(token: &str) -> Result<Option<String>, IdentityError> {
    let jws = Jws::parse(token);
    let jws = jws.map_err(|error| IdentityError::TokenMalformed(error.rule()))?;
    Ok(jws
        .claims
        .get("iss")
        .and_then(Value::as_str)
        .map(str::to_owned))
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

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;

    #[test]
    fn no_token_that_is_bound_to_a_certificate_is_good_without_one() {
        let nobody = Peer::without_certificate(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
        for thumbprint in ["", nobody.thumbprint(), &"A".repeat(43)] {
            let bound = Bound {
                certificate: Some(thumbprint.into()),
                key: None,
            };
            let shown = check_bound(&bound, &nobody, &Presented::bearer("token"));
            assert_eq!(shown, Err(IdentityError::TokenWrongCertificate));
        }
    }
}
