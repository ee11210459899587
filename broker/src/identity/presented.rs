//! What a request shows beside its certificate.

use std::sync::Arc;

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName};
use jiff::Timestamp;

use super::dpop::{Proof, Target};
use super::error::IdentityError;

/// The header of a proof (RFC 9449 section 4.1).
const DPOP: HeaderName = HeaderName::from_static("dpop");

/// A token, and the proof that its sender holds a key, where there is one.
#[derive(Clone, Debug)]
pub struct Presented {
    token: Arc<str>,
    proof: Option<Arc<Proof>>,
}

impl Presented {
    /// A bearer token, or one that is bound to a certificate.
    #[must_use]
    pub fn bearer(token: &str) -> Self {
        Self {
            token: token.into(),
            proof: None,
        }
    }

    /// A fresh token of the same sender, on the stream that it proved its key for.
    #[must_use]
    pub fn refreshed(&self, token: &str) -> Self {
        Self {
            token: token.into(),
            proof: self.proof.clone(),
        }
    }

    /// The token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    pub(super) fn proof(&self) -> Option<&Proof> {
        self.proof.as_deref()
    }
}

/// What the headers of a request show: `authorization` (RFC 6750 section 2.1, RFC 9449 section 7.1)
/// and `dpop`. `None` if there is no token.
///
/// # Errors
/// If there are two of either, the token comes in another way, or the proof is wrong.
pub fn present(
    headers: &HeaderMap,
    method: &str,
    target: Target<'_>,
    now: Timestamp,
) -> Result<Option<Presented>, IdentityError> {
    let Some((scheme, token)) = authorization(headers)? else {
        return Ok(None);
    };
    let mut presented = Presented::bearer(token);
    let proof = only(
        headers,
        &DPOP,
        IdentityError::Proof("there are two of them"),
    )?;
    match (proof, scheme.eq_ignore_ascii_case("dpop")) {
        (Some(proof), _) => {
            let proof = Proof::check(proof, method, target, Some(token), now)?;
            presented.proof = Some(Arc::new(proof));
        }
        (None, true) => return Err(IdentityError::ProofMissing),
        (None, false) => {}
    }
    Ok(Some(presented))
}

/// The proof among the headers of a request that has no token yet.
///
/// # Errors
/// If there are two, or the proof is wrong.
pub fn proof(
    headers: &HeaderMap,
    method: &str,
    url: &str,
    now: Timestamp,
) -> Result<Option<Proof>, IdentityError> {
    only(
        headers,
        &DPOP,
        IdentityError::Proof("there are two of them"),
    )?
    .map(|proof| Proof::check(proof, method, Target::Url(url), None, now))
    .transpose()
}

/// Scheme and token.
fn authorization(headers: &HeaderMap) -> Result<Option<(&str, &str)>, IdentityError> {
    let two = IdentityError::TokenMalformed("there are two `authorization` headers");
    let Some(text) = only(headers, &AUTHORIZATION, two)? else {
        return Ok(None);
    };
    let known = |scheme: &str| ["bearer", "dpop"].contains(&scheme.to_ascii_lowercase().as_str());
    match text.split_once(' ') {
        Some((scheme, token)) if known(scheme) && !token.is_empty() => Ok(Some((scheme, token))),
        Some(_) | None => Err(IdentityError::TokenMalformed(
            "`authorization` is not `Bearer <token>`",
        )),
    }
}

/// The only header of a name; one that is no text is empty, which no header here may be.
fn only<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    two: IdentityError,
) -> Result<Option<&'a str>, IdentityError> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(two);
    }
    Ok(first.map(|value| value.to_str().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn token(headers: &HeaderMap) -> Result<Option<String>, IdentityError> {
        let url = Target::Url("https://broker.test/check");
        let presented = present(headers, "POST", url, Timestamp::UNIX_EPOCH)?;
        Ok(presented.map(|presented| presented.token().to_owned()))
    }

    #[test]
    fn finds_the_one_token() {
        let mut headers = HeaderMap::new();
        assert_eq!(token(&headers), Ok(None));
        headers.insert(AUTHORIZATION, HeaderValue::from_static("bearer a.b.c"));
        assert_eq!(token(&headers), Ok(Some("a.b.c".to_owned())));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer d.e.f"));
        assert!(token(&headers).is_err());
        for odd in ["Basic abc", "Bearer", "Bearer ", "\u{e9}"] {
            let odd = HeaderValue::from_bytes(odd.as_bytes()).unwrap();
            headers.insert(AUTHORIZATION, odd);
            assert!(token(&headers).is_err());
        }
    }

    #[test]
    fn a_token_that_is_bound_to_a_key_comes_with_a_proof() {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("DPoP a.b.c"));
        assert_eq!(token(&headers), Err(IdentityError::ProofMissing));
        headers.insert(DPOP, HeaderValue::from_static("no proof"));
        assert!(matches!(token(&headers), Err(IdentityError::Proof(_))));
        headers.append(DPOP, HeaderValue::from_static("no proof"));
        let two = Err(IdentityError::Proof("there are two of them"));
        assert_eq!(token(&headers), two);
    }
}
