//! The token: a signed JSON web token in the profile of RFC 9068.

use accord_proto::{
    camara::{ClientId, Requested},
    msisdn::Msisdn,
};
use aws_lc_rs::rand;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Serialize;

use super::{
    keys::{DayKeys, NoKey},
    seal::Pseudonyms,
};
use crate::identity::AskedWith;

/// The claim with the sealed number.
pub(super) const SUBJECT_CLAIM: &str = "accord_subject";
/// Bytes of a `jti`.
const JTI_LEN: usize = 16;

/// What a token is bound to: it is of no use to whoever holds neither (RFC 7800).
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Bound<'a> {
    /// The client's certificate (RFC 8705 section 3.1).
    #[serde(rename = "x5t#S256", skip_serializing_if = "Option::is_none")]
    pub(super) certificate: Option<&'a str>,
    /// The thumbprint of the key that a DPoP proof proved (RFC 9449 section 6.1).
    #[serde(rename = "jkt", skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<&'a str>,
}

impl Bound<'_> {
    /// `token_type`.
    const fn token_type(&self) -> &'static str {
        match self.key {
            Some(_) => "DPoP",
            None => "Bearer",
        }
    }
}

/// Who issues tokens, and for whom.
#[derive(Debug)]
pub(super) struct Issuer {
    /// `iss`.
    pub(super) issuer: String,
    /// `aud`.
    pub(super) audience: String,
    /// From `iat` to `exp`.
    pub(super) token_seconds: u32,
}

/// What a token says.
pub(super) struct Contents<'a> {
    pub(super) client: &'a ClientId,
    pub(super) requested: &'a Requested,
    pub(super) subject: Option<&'a Msisdn>,
    pub(super) bound: Bound<'a>,
    pub(super) asked_with: &'a [AskedWith],
    /// In seconds since 1970.
    pub(super) now: i64,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    client_id: &'a str,
    scope: &'a str,
    iat: i64,
    exp: i64,
    jti: &'a str,
    cnf: Bound<'a>,
    accord_key: &'a [AskedWith],
    #[serde(skip_serializing_if = "Option::is_none")]
    accord_subject: Option<String>,
}

/// RFC 6749 section 5.1.
#[derive(Serialize)]
struct Response<'a> {
    access_token: String,
    token_type: &'static str,
    expires_in: u32,
    scope: &'a str,
}

impl Issuer {
    /// Signs a token, and gives the answer's body.
    pub(super) fn issue(
        &self,
        keys: &DayKeys,
        pseudonyms: &Pseudonyms,
        contents: &Contents<'_>,
    ) -> Result<Vec<u8>, NoKey> {
        let mut random = [0; JTI_LEN];
        rand::fill(&mut random).map_err(|_| NoKey)?;
        let jti = BASE64_URL_SAFE_NO_PAD.encode(random);
        let scope = contents.requested.to_string();
        let client = contents.client.as_str();
        let sealed = contents.subject.map(|number| {
            let sealed = keys.seal().seal(number, &jti)?;
            Ok((sealed, pseudonyms.of(contents.client, number)))
        });
        let (accord_subject, pseudonym) = sealed.transpose()?.unzip();
        let claims = Claims {
            iss: &self.issuer,
            aud: &self.audience,
            sub: pseudonym.as_deref().unwrap_or(client),
            client_id: client,
            scope: &scope,
            iat: contents.now,
            exp: contents.now.saturating_add(i64::from(self.token_seconds)),
            jti: &jti,
            cnf: contents.bound,
            accord_key: contents.asked_with,
            accord_subject,
        };
        let claims = serde_json::to_vec(&claims).map_err(|_| NoKey)?;
        let response = Response {
            access_token: keys.sign(&claims)?,
            token_type: contents.bound.token_type(),
            expires_in: self.token_seconds,
            scope: &scope,
        };
        serde_json::to_vec(&response).map_err(|_| NoKey)
    }
}
