//! What is read of a token before its signature is checked.

use serde_json::Value;

use super::Jws;
use crate::parties::TokenKey;

/// Why a token's header is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenHeaderError {
    /// Not a JSON web token.
    #[error("{0}")]
    Malformed(&'static str),
    /// Another algorithm than those that registered keys have, `none` included.
    #[error("its `alg` is neither `ES256` nor `EdDSA`")]
    Algorithm,
    /// No `kid`, or one that no key can have.
    #[error("it has no `kid` of a key")]
    NoKey,
}

/// The part of a token's header that is read before its signature is checked. Keys and addresses of
/// keys in it are never used.
#[derive(Debug)]
pub struct TokenHeader {
    /// `ES256` or `EdDSA`.
    pub alg: String,
    /// Which key it says that it is signed with.
    pub kid: String,
    typ: Option<String>,
}

impl TokenHeader {
    /// Reads the header of a token.
    ///
    /// # Errors
    /// [`TokenHeaderError`] says what is wrong with it.
    pub fn parse(token: &str) -> Result<Self, TokenHeaderError> {
        let header = Jws::header_of(token);
        let header = header.map_err(|error| TokenHeaderError::Malformed(error.rule()))?;
        let alg = header
            .get("alg")
            .and_then(Value::as_str)
            .ok_or(TokenHeaderError::Algorithm)?;
        // Said before the key is looked up, so that `none` is called what it is without a `kid`.
        if !["EdDSA", "ES256"].contains(&alg) {
            return Err(TokenHeaderError::Algorithm);
        }
        let kid = header
            .get("kid")
            .and_then(Value::as_str)
            .filter(|kid| kid.len() <= TokenKey::KID_LEN_MAX)
            .ok_or(TokenHeaderError::NoKey)?;
        Ok(Self {
            alg: alg.to_owned(),
            kid: kid.to_owned(),
            typ: header.get("typ").and_then(Value::as_str).map(str::to_owned),
        })
    }

    /// Whether it says that this is an access token (RFC 9068 section 4): what a server signs for
    /// another end, such as an ID token, opens nothing here.
    #[must_use]
    pub fn is_of_access_token(&self) -> bool {
        let typ = self.typ.as_deref().unwrap_or_default();
        ["at+jwt", "application/at+jwt"]
            .iter()
            .any(|known| typ.eq_ignore_ascii_case(known))
    }
}
