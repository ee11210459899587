//! The authorisation server: tokens for the applications of banks that speak CAMARA.
//!
//! ```text
//!   body ─ form ─▶ request ─ assertion ─▶ client ─ grant ─▶ purpose, scopes ─ issue ─▶ token
//!                     │                     │         │                          │
//!              RFC 7523 2.1, 2.2      signed list      agreement in force   keys · seal
//! ```
//!
//! A client proves itself with an assertion that it signs (`private_key_jwt`); no secret is shared.
//! What it may ask for stands in the signed list of parties, and what its bank may be told in the
//! agreement: both are looked at here, and again with each question. A token is bound to the
//! client's certificate (RFC 8705) or to a key of its own (DPoP, RFC 9449). A token about one number
//! carries it sealed, so that nobody who holds the token reads it.

#[cfg(test)]
mod assertions;
mod discovery;
mod error;
mod external;
mod grant;
mod issue;
mod keys;
mod metrics;
mod request;
mod seal;
mod spent;

use std::sync::Arc;

use accord_proto::{
    camara::{ClientId, Requested},
    msisdn::Msisdn,
    oauth::{Assertion, AssertionError, Expected, Form},
    parties::{Client, Party},
    party::PartyId,
};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

use self::{
    issue::{Bound, Contents, Issuer},
    keys::Keys,
    request::TokenRequest,
    seal::Pseudonyms,
    spent::{NotFresh, Spent},
};
use crate::{
    governance::{Governance, Governed},
    identity::{AskedWith, IdentityError, Proof, ProofBook, TokenIssuer},
    path::{Rates, Refusal},
};

pub use discovery::resource_document;
pub use error::TokenRefusal;
pub use external::{ExternalServer, JwksError, JwksWatch};
pub use keys::NoKey;
pub use metrics::OauthMetrics;

/// Where tokens are asked for.
pub const TOKEN_PATH: &str = "/oauth2/token";
/// Where the public keys are.
pub const JWKS_PATH: &str = "/oauth2/jwks";
/// Where the discovery document is (RFC 8414 section 3).
pub const DISCOVERY_PATH: &str = "/.well-known/oauth-authorization-server";
/// The same document, where OpenID Connect Discovery has it (section 4).
pub const OPENID_PATH: &str = "/.well-known/openid-configuration";
/// Where it says whose tokens are taken (RFC 9728 section 3).
pub const RESOURCE_PATH: &str = "/.well-known/oauth-protected-resource";

/// Who the server is.
#[derive(Clone, Debug)]
pub struct OauthSettings {
    /// Its address as clients reach it, without a slash at its end: `iss`.
    pub url: String,
    /// For whom tokens are: `aud`.
    pub audience: String,
    /// How long a token lives.
    pub token_seconds: u32,
}

/// The authorisation server.
pub struct AuthorisationServer {
    issuer: Issuer,
    token_endpoint: String,
    discovery: String,
    keys: Keys,
    pseudonyms: Pseudonyms,
    spent: Spent,
    governance: Arc<Governance>,
    rates: Rates,
    metrics: OauthMetrics,
    started: Timestamp,
}

/// Who asks for a token, as far as the connection says.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'a> {
    /// The party in the client's certificate, checked by whoever has the connection.
    pub party: Option<&'a PartyId>,
    /// The thumbprint of that certificate: the token is bound to it (RFC 8705).
    pub certificate: Option<&'a str>,
    /// The proof of a key, checked: the token is bound to that key too (RFC 9449).
    pub proof: Option<&'a Proof>,
    /// Which proofs were seen.
    pub proofs: &'a ProofBook,
}

/// No token.
#[derive(Debug)]
pub struct Denied {
    /// Why.
    pub refusal: TokenRefusal,
    /// Whose client asked, where that is proved.
    pub party: Option<PartyId>,
}

impl std::fmt::Debug for AuthorisationServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthorisationServer")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

impl AuthorisationServer {
    /// A server with fresh keys.
    ///
    /// # Errors
    /// [`NoKey`].
    pub fn new(
        settings: OauthSettings,
        governance: Arc<Governance>,
        rates: Rates,
        metrics: OauthMetrics,
        now: Timestamp,
    ) -> Result<Self, NoKey> {
        let token_endpoint = format!("{}{TOKEN_PATH}", settings.url);
        Ok(Self {
            discovery: discovery::document(&settings.url, &token_endpoint),
            issuer: Issuer {
                issuer: settings.url,
                audience: settings.audience,
                token_seconds: settings.token_seconds,
            },
            token_endpoint,
            keys: Keys::make(now)?,
            pseudonyms: Pseudonyms::make()?,
            spent: Spent::default(),
            governance,
            rates,
            metrics,
            started: now,
        })
    }

    /// The address at which tokens are asked for: what a DPoP proof names (`htu`).
    #[must_use]
    pub fn token_endpoint(&self) -> &str {
        &self.token_endpoint
    }

    /// The discovery document.
    #[must_use]
    pub fn discovery(&self) -> &str {
        &self.discovery
    }

    /// The public keys, as a JSON web key set.
    #[must_use]
    pub fn jwks(&self, now: Timestamp) -> String {
        self.keys.jwks(now)
    }

    /// Forgets what no longer has to be remembered. Called now and then.
    pub fn sweep(&self, now: Timestamp) {
        self.spent.sweep(now.as_second());
    }

    /// Counts a refusal, of whoever is known to have asked.
    pub fn denied(&self, refusal: TokenRefusal, party: Option<PartyId>) -> Denied {
        self.metrics.refused(refusal.code());
        Denied { refusal, party }
    }

    /// Answers a token request: the body of the answer, or why there is no token.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn token(
        &self,
        body: &[u8],
        holder: Holder<'_>,
        now: Timestamp,
    ) -> Result<Vec<u8>, Denied> {
        let mut party = holder.party.cloned();
        let outcome = self.decide(body, holder, now, &mut party);
        outcome.map_err(|refusal| self.denied(refusal, party))
    }

    /// `proved`: the party, as soon as it is known whose client asks.
    fn decide(
        &self,
        body: &[u8],
        holder: Holder<'_>,
        now: Timestamp,
        proved: &mut Option<PartyId>,
    ) -> Result<Vec<u8>, TokenRefusal> {
        let governed = self.governance.current();
        // Whoever is known by a certificate pays before the work of checking a signature is done.
        if let Some(party) = holder.party {
            self.may_ask(&governed, party, now)?;
        }
        let bound = Bound {
            certificate: holder.certificate,
            key: holder.proof.map(Proof::key),
        };
        if bound.certificate.is_none() && bound.key.is_none() {
            return Err(TokenRefusal::Unbound);
        }
        let form = Form::parse(body)?;
        let request = TokenRequest::read(&form)?;
        let id = request.client()?;
        let (party, client) = registered(&governed, &id, holder.party)?;
        let asked_with =
            self.authenticate(&request, (party, client), holder.party.is_some(), now)?;
        *proved = Some(party.id.clone());
        if let Some(proof) = holder.proof {
            let noted = holder.proofs.note(&party.id, proof, now);
            noted.map_err(TokenRefusal::Proof)?;
        }
        if holder.party.is_none() {
            self.may_ask(&governed, &party.id, now)?;
        }
        governed.check_bank(party.id.org())?;
        let requested = Requested::parse(request.scope()?)?;
        grant::check(&governed, party, client, &requested, now)?;
        let subject = request.subject()?;
        let contents = Contents {
            client: &id,
            requested: &requested,
            subject: subject.as_ref(),
            bound,
            asked_with: &asked_with,
            now: now.as_second(),
        };
        let issued = self
            .keys
            .signing(now)
            .and_then(|keys| self.issuer.issue(&keys, &self.pseudonyms, &contents));
        let issued = issued.map_err(|NoKey| Refusal::NotReady("it has no random bytes"))?;
        self.metrics.issued(subject.is_some());
        Ok(issued)
    }

    /// Registered, licensed, and within its rate.
    fn may_ask(
        &self,
        governed: &Governed,
        party: &PartyId,
        now: Timestamp,
    ) -> Result<(), TokenRefusal> {
        governed.check_licence(party, now)?;
        let rate = self.rates.party(party.org());
        Ok(rate.map_err(|retry_after| Refusal::RateLimited { retry_after })?)
    }

    /// The assertions are the client's, for us, and new: gives the keys that signed them. `known`: the
    /// client showed a certificate of its party, so it may be told what exactly is wrong with its key.
    fn authenticate(
        &self,
        request: &TokenRequest<'_>,
        (party, client): (&Party, &Client),
        known: bool,
        now: Timestamp,
    ) -> Result<Vec<AskedWith>, TokenRefusal> {
        let mut asked_with = Vec::new();
        let of_key = |refusal| match known {
            true => refusal,
            false => TokenRefusal::UnknownClient,
        };
        let keys = || {
            let keys = party.keys.iter();
            keys.filter(|key| client.may_sign_with(key.kid()))
        };
        let both = [Some(&request.assertion), request.beside.as_ref()];
        for (at, assertion) in both.into_iter().enumerate() {
            let Some(assertion) = assertion else { continue };
            let fault = |error| match at {
                0 => request.fault(error),
                _ => TokenRefusal::Client(error),
            };
            let signed = assertion.check_signature(keys());
            let signed =
                signed.and_then(|key| AskedWith::of(key).ok_or(AssertionError::UnknownKey));
            let signed = signed.map_err(|error| of_key(fault(error)))?;
            self.spend(assertion, &client.id, now).map_err(fault)?;
            if !asked_with.contains(&signed) {
                asked_with.push(signed);
            }
        }
        Ok(asked_with)
    }

    fn spend(
        &self,
        assertion: &Assertion<'_>,
        client: &ClientId,
        now: Timestamp,
    ) -> Result<(), AssertionError> {
        let now = now.as_second();
        let checked = assertion.check(Expected {
            audiences: [&self.token_endpoint, &self.issuer.issuer],
            now,
            started: self.started.as_second(),
        })?;
        let spent = self.spent.spend(client, checked.jti, checked.expires, now);
        spent.map_err(|not_fresh| match not_fresh {
            NotFresh::Used => AssertionError::Used,
            NotFresh::TooMany => AssertionError::TooMany,
        })
    }
}

impl TokenIssuer for AuthorisationServer {
    fn issuer(&self) -> &str {
        &self.issuer.issuer
    }

    fn generation(&self) -> u64 {
        self.keys.generation()
    }

    fn key(&self, kid: &str, now: Timestamp) -> Option<(Algorithm, DecodingKey)> {
        self.keys.verifying(kid, now)
    }

    fn subject(&self, claims: &Map<String, Value>) -> Result<Option<Msisdn>, IdentityError> {
        let text = |name| claims.get(name).and_then(Value::as_str);
        let Some(sealed) = text(issue::SUBJECT_CLAIM) else {
            return Ok(None);
        };
        let jti = text("jti").unwrap_or_default();
        let opened = self.keys.open(sealed, jti);
        // It was sealed with a key that is gone, as the one that signed such a token is too.
        opened.map(Some).ok_or(IdentityError::TokenUnknownKey)
    }

    fn asked_with(&self, claims: &Map<String, Value>) -> Result<Vec<AskedWith>, IdentityError> {
        AskedWith::of_claims(claims)
    }
}

/// A client of the list of parties; of the party in the certificate, where one was shown.
fn registered<'g>(
    governed: &'g Governed,
    id: &ClientId,
    shown: Option<&PartyId>,
) -> Result<(&'g Party, &'g Client), TokenRefusal> {
    let found = governed.parties().client(id);
    found
        .filter(|(party, _)| shown.is_none_or(|shown| *shown == party.id))
        .ok_or(TokenRefusal::UnknownClient)
}
