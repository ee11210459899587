//! What a token says, once its signature is known to be good.

use accord_proto::msisdn::could_be_a_number;
use accord_proto::party::OrgName;
use accord_proto::purpose::Purpose;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::error::IdentityError;

/// From `iat` to `exp` (rule R04).
const LIFETIME_MAX: SignedDuration = SignedDuration::from_secs(300);
/// By how much a party's clock may be ahead of ours.
const LEEWAY: SignedDuration = SignedDuration::from_secs(5);
/// Bytes of `sub`.
const SUB_LEN_MAX: usize = 64;
/// Bytes of `jti`.
const JTI_LEN_MAX: usize = 128;
/// Principals of one token.
const PRINCIPALS_MAX: usize = 64;

/// The claims of a token, parsed. Who it is from, for and bound to was compared already.
#[derive(Debug)]
pub(super) struct Claims {
    pub(super) sub: String,
    pub(super) jti: String,
    pub(super) expires: Timestamp,
    pub(super) purposes: Vec<Purpose>,
    pub(super) on_behalf_of: Vec<OrgName>,
}

/// What a token must match.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) audience: &'a str,
    pub(super) thumbprint: &'a str,
}

impl Claims {
    /// Parses and checks every claim.
    ///
    /// # Errors
    /// [`IdentityError`] names the claim.
    pub(super) fn parse(
        claims: &Map<String, Value>,
        expected: Expected<'_>,
        now: Timestamp,
    ) -> Result<Self, IdentityError> {
        if text(claims, "iss")? != expected.issuer {
            return Err(IdentityError::TokenWrongIssuer);
        }
        check_audience(claims, expected.audience)?;
        check_binding(claims, expected.thumbprint)?;
        Ok(Self {
            expires: check_times(claims, now)?,
            sub: application(claims)?,
            jti: short_text(claims, "jti", JTI_LEN_MAX)?,
            purposes: purposes(claims)?,
            on_behalf_of: principals(claims)?,
        })
    }
}

fn text<'a>(claims: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, IdentityError> {
    claims
        .get(name)
        .and_then(Value::as_str)
        .ok_or(IdentityError::TokenClaimMissing(name))
}

fn short_text(
    claims: &Map<String, Value>,
    name: &'static str,
    len_max: usize,
) -> Result<String, IdentityError> {
    let text = text(claims, name)?;
    let rule = if text.is_empty() {
        "is empty"
    } else if text.len() > len_max {
        "is too long"
    } else if text.chars().any(char::is_control) {
        "holds control characters"
    } else {
        return Ok(text.to_owned());
    };
    Err(IdentityError::TokenClaim { claim: name, rule })
}

/// The application that asks, whose name stands in the record for good.
fn application(claims: &Map<String, Value>) -> Result<String, IdentityError> {
    const CLAIM: &str = "sub";
    let name = short_text(claims, CLAIM, SUB_LEN_MAX)?;
    if could_be_a_number(&name) && !is_uuid(&name) {
        let rule = "holds what could be a phone number, which must not stand in the record: seven \
                    digits or more in a row (a UUID may stand)";
        return Err(IdentityError::TokenClaim { claim: CLAIM, rule });
    }
    Ok(name)
}

/// Whether a text has the form of RFC 9562, section 4: 8-4-4-4-12 hexadecimal digits, among which
/// many decimal ones may happen to stand in a row.
fn is_uuid(text: &str) -> bool {
    let lens = [8, 4, 4, 4, 12];
    let parts: Vec<&str> = text.split('-').collect();
    let hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    parts.iter().map(|part| part.len()).eq(lens) && parts.iter().all(|part| hex(part))
}

/// `aud` is this broker and nobody else: a text, or an array of that one text (RFC 7519 section
/// 4.1.3 allows both).
pub(super) fn check_audience(
    claims: &Map<String, Value>,
    audience: &str,
) -> Result<(), IdentityError> {
    let only = match claims.get("aud") {
        Some(Value::String(only)) => Some(only.as_str()),
        Some(Value::Array(several)) => match several.as_slice() {
            [only] => only.as_str(),
            _ => None,
        },
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {
            return Err(IdentityError::TokenClaimMissing("aud"));
        }
    };
    if only == Some(audience) {
        Ok(())
    } else {
        Err(IdentityError::TokenWrongAudience)
    }
}

/// `cnf."x5t#S256"` is the certificate of the connection (RFC 8705 section 3.1).
fn check_binding(claims: &Map<String, Value>, thumbprint: &str) -> Result<(), IdentityError> {
    let bound = claims
        .get("cnf")
        .and_then(|cnf| cnf.get("x5t#S256"))
        .and_then(Value::as_str)
        .ok_or(IdentityError::TokenClaimMissing("cnf.x5t#S256"))?;
    if bound == thumbprint {
        Ok(())
    } else {
        Err(IdentityError::TokenWrongCertificate)
    }
}

pub(super) fn check_times(
    claims: &Map<String, Value>,
    now: Timestamp,
) -> Result<Timestamp, IdentityError> {
    let issued = instant(claims, "iat")?;
    let expires = instant(claims, "exp")?;
    if now >= expires {
        return Err(IdentityError::TokenExpired);
    }
    if issued > now + LEEWAY {
        return Err(IdentityError::TokenNotYetValid("iat"));
    }
    if claims.contains_key("nbf") && instant(claims, "nbf")? > now + LEEWAY {
        return Err(IdentityError::TokenNotYetValid("nbf"));
    }
    if expires.duration_since(issued) > LIFETIME_MAX {
        return Err(IdentityError::TokenLifetime);
    }
    Ok(expires)
}

/// Whole seconds since 1970 (RFC 7519 section 2, `NumericDate`).
fn instant(claims: &Map<String, Value>, name: &'static str) -> Result<Timestamp, IdentityError> {
    claims
        .get(name)
        .and_then(Value::as_i64)
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .ok_or(IdentityError::TokenClaimMissing(name))
}

fn purposes(claims: &Map<String, Value>) -> Result<Vec<Purpose>, IdentityError> {
    const CLAIM: &str = "purposes";
    let wrong = |rule| IdentityError::TokenClaim { claim: CLAIM, rule };
    let words = claims
        .get(CLAIM)
        .and_then(Value::as_array)
        .ok_or(IdentityError::TokenClaimMissing(CLAIM))?;
    if words.is_empty() {
        return Err(wrong("is empty"));
    }
    if words.len() > Purpose::ALL.len() {
        return Err(wrong("names too many purposes"));
    }
    words
        .iter()
        .map(|word| {
            word.as_str()
                .and_then(Purpose::from_name)
                .ok_or_else(|| wrong("names an unknown purpose"))
        })
        .collect()
}

/// Absent means nobody but the bank itself.
fn principals(claims: &Map<String, Value>) -> Result<Vec<OrgName>, IdentityError> {
    const CLAIM: &str = "on_behalf_of";
    let wrong = |rule| IdentityError::TokenClaim { claim: CLAIM, rule };
    let Some(names) = claims.get(CLAIM) else {
        return Ok(Vec::new());
    };
    let names = names
        .as_array()
        .ok_or_else(|| wrong("is not an array of organisations"))?;
    if names.len() > PRINCIPALS_MAX {
        return Err(wrong("names too many organisations"));
    }
    names
        .iter()
        .map(|name| {
            name.as_str()
                .and_then(|name| OrgName::parse(name).ok())
                .ok_or_else(|| wrong("names a malformed organisation"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_is_named_by_no_phone_number() {
        let claims = |name: &str| Map::from_iter([("sub".to_owned(), Value::from(name))]);
        for name in [
            "payments",
            "app-2026-0042",
            "550e8400-e29b-41d4-a716-446655440000",
        ] {
            assert_eq!(application(&claims(name)).unwrap(), name);
        }
        for name in ["447700900001", "app of +44 7700 900001", "4477-0090-0001"] {
            let error = application(&claims(name)).unwrap_err().to_string();
            assert!(
                error.contains("sub") && error.contains("phone number"),
                "{error}"
            );
        }
    }
}
