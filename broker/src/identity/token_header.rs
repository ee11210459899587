//! What is read of a token before its signature is checked.

use accord_proto::parties::TokenKey;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::error::IdentityError;

/// The part of a token's header that is read before its signature is checked. Keys and addresses of
/// keys in it are never used.
pub(crate) struct TokenHeader {
    pub(crate) alg: String,
    pub(crate) kid: String,
    typ: Option<String>,
}

impl TokenHeader {
    /// Reads the header of a token.
    ///
    /// # Errors
    /// [`IdentityError`] says what is wrong with it.
    pub(crate) fn parse(token: &str) -> Result<Self, IdentityError> {
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
            typ: header.get("typ").and_then(Value::as_str).map(str::to_owned),
        })
    }

    /// Whether it says that this is an access token (RFC 9068 section 4): what a server signs for
    /// another end, such as an ID token, opens nothing here.
    pub(crate) fn is_of_access_token(&self) -> bool {
        let typ = self.typ.as_deref().unwrap_or_default();
        ["at+jwt", "application/at+jwt"]
            .iter()
            .any(|known| typ.eq_ignore_ascii_case(known))
    }
}
