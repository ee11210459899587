//! Tokens of an authorisation server (RFC 9068), ours or another's.

use std::fmt;

use accord_proto::camara::{ClientId, Requested, Scopes};
use accord_proto::msisdn::Msisdn;
use accord_proto::oauth::PublicJwk;
use accord_proto::parties::{Client, TokenKey};
use accord_proto::party::PartyId;
use accord_proto::purpose::Purpose;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::claims;
use super::error::IdentityError;

/// The claim with the registered keys that a token was asked for with.
const ASKED_WITH_CLAIM: &str = "accord_key";
/// A client authenticates with one assertion, or with two (RFC 7521 section 4.1).
const ASKED_WITH_MAX: usize = 2;
/// Bytes of a SHA-256.
const SHA256_LEN: usize = 32;

/// An authorisation server whose tokens are taken.
pub trait TokenIssuer: fmt::Debug + Send + Sync {
    /// Its name: the tokens' `iss`.
    fn issuer(&self) -> &str;

    /// Changes whenever one of its keys does.
    fn generation(&self) -> u64;

    /// A key that it signs with, and the one algorithm of that key.
    fn key(&self, kid: &str, now: Timestamp) -> Option<(Algorithm, DecodingKey)>;

    /// The number that a token is about, if it is about one: from its claims, which nobody else can
    /// read it from where the server is ours.
    ///
    /// # Errors
    /// If the claims say that there is one, and it can't be read.
    fn subject(&self, claims: &Map<String, Value>) -> Result<Option<Msisdn>, IdentityError>;

    /// The registered keys with which the client asked for a token: it ends with each of them. None
    /// where the server is another's, which knows its clients in its own way.
    ///
    /// # Errors
    /// If the claims should say it, and don't.
    fn asked_with(&self, claims: &Map<String, Value>) -> Result<Vec<AskedWith>, IdentityError>;
}

/// A registered key that signed an assertion, by its name and by what it is: a name may be given to
/// another key later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedWith {
    kid: String,
    /// RFC 7638, base64url.
    jkt: String,
}

impl AskedWith {
    /// Names a registered key.
    #[must_use]
    pub fn of(key: &TokenKey) -> Option<Self> {
        Some(Self {
            kid: key.kid().to_owned(),
            jkt: PublicJwk::of_registered(key)?.thumbprint(),
        })
    }

    /// Reads the claim `accord_key`: an array of one or two such names.
    ///
    /// # Errors
    /// If it is absent or says something else.
    pub fn of_claims(claims: &Map<String, Value>) -> Result<Vec<Self>, IdentityError> {
        claims
            .get(ASKED_WITH_CLAIM)
            .and_then(|claim| Vec::deserialize(claim).ok())
            .filter(|keys| (1..=ASKED_WITH_MAX).contains(&keys.len()))
            .ok_or(IdentityError::TokenClaimMissing(ASKED_WITH_CLAIM))
    }

    /// The key's name in the list of parties.
    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    /// Whether a client may still sign with that very key, which is now registered so.
    pub(super) fn still_signs_for(&self, client: &Client, registered: Option<&TokenKey>) -> bool {
        client.may_sign_with(&self.kid) && registered.and_then(Self::of).as_ref() == Some(self)
    }
}

/// What an issued token grants: less than what its client is registered for, or as much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// What may be called.
    pub scopes: Scopes,
    /// The purpose of the agreement that the stated one is.
    pub purpose: Purpose,
    /// The one number that may be asked about (3-legged); without one, the caller names it.
    pub subject: Option<Msisdn>,
}

/// The claims of an issued token.
#[derive(Debug)]
pub(super) struct IssuedClaims {
    pub(super) client: ClientId,
    pub(super) requested: Requested,
    pub(super) expires: Timestamp,
    pub(super) bound: Bound,
}

/// Whom a token is bound to: a certificate, a key, or both.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bound {
    /// `cnf."x5t#S256"` (RFC 8705 section 3.1).
    pub(super) certificate: Option<Box<str>>,
    /// `cnf.jkt` (RFC 9449 section 6.1).
    pub(super) key: Option<Box<str>>,
}

impl IssuedClaims {
    /// Parses and checks every claim but those of the subject. Issuer and audience were compared.
    pub(super) fn parse(
        claims: &Map<String, Value>,
        audience: &str,
        now: Timestamp,
    ) -> Result<Self, IdentityError> {
        claims::check_audience(claims, audience)?;
        let text = |name| claims.get(name).and_then(Value::as_str);
        let client = client_of(claims).ok_or(IdentityError::TokenClaimMissing("client_id"))?;
        let scope = text("scope").ok_or(IdentityError::TokenClaimMissing("scope"))?;
        Ok(Self {
            client: ClientId::parse(client).map_err(|_| IdentityError::TokenUnknownClient)?,
            requested: Requested::parse(scope)?,
            expires: claims::check_times(claims, now)?,
            bound: Bound::parse(claims)?,
        })
    }

    /// What it grants to a client that is registered so.
    pub(super) fn granted(
        &self,
        client: &Client,
        subject: Option<Msisdn>,
    ) -> Result<Granted, IdentityError> {
        if !self.requested.scopes.is_within(client.scopes) {
            return Err(IdentityError::TokenScopeNotRegistered);
        }
        let purpose = client
            .purpose(&self.requested.purpose)
            .ok_or(IdentityError::TokenPurposeNotRegistered)?;
        Ok(Granted {
            scopes: self.requested.scopes,
            purpose,
            subject,
        })
    }
}

/// Whose token it says it is. `azp` is what servers older than RFC 9068 call it.
pub(crate) fn client_of(claims: &Map<String, Value>) -> Option<&str> {
    let text = |name| claims.get(name).and_then(Value::as_str);
    text("client_id").or_else(|| text("azp"))
}

impl Bound {
    fn parse(claims: &Map<String, Value>) -> Result<Self, IdentityError> {
        let cnf = claims.get("cnf");
        // One that is malformed binds to nothing: it is not passed over beside another.
        let hash = |name| {
            let value = cnf.and_then(|cnf| cnf.get(name));
            value.map(sha256_of).transpose()
        };
        let bound = Self {
            certificate: hash("x5t#S256")?,
            key: hash("jkt")?,
        };
        if bound.certificate.is_none() && bound.key.is_none() {
            return Err(IdentityError::TokenClaimMissing("cnf"));
        }
        Ok(bound)
    }
}

/// A SHA-256 in base64url: 43 characters.
fn sha256_of(value: &Value) -> Result<Box<str>, IdentityError> {
    let decoded = |text: &&str| BASE64_URL_SAFE_NO_PAD.decode(text);
    let whole = |text: &&str| decoded(text).is_ok_and(|hash| hash.len() == SHA256_LEN);
    let hash = value.as_str().filter(whole);
    hash.map(Box::from).ok_or(IdentityError::TokenClaim {
        claim: "cnf",
        rule: "names no SHA-256 in base64url, 43 characters: `x5t#S256` and `jkt` are such",
    })
}

/// A registered client and the bank whose application it is.
#[derive(Clone, Debug)]
pub struct Registered {
    /// The bank.
    pub party: PartyId,
    /// The application.
    pub client: Client,
}
