//! Assertions: what a client signs to say who it is (RFC 7523 section 2.2, `private_key_jwt`), and
//! whose number it asks about (section 2.1).

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey, VerificationAlgorithm,
};
use serde_json::{Map, Value};

use super::Jws;
use crate::parties::{KeyAlgorithm, TokenKey};

/// From `iat` to `exp`, in seconds (CAMARA Security and Interoperability Profile, "Client
/// Authentication").
const LIFETIME_S_MAX: i64 = 300;
/// By how much a client's clock may be ahead of ours, in seconds.
const LEEWAY_S: i64 = 5;
/// Bytes of `jti`.
const JTI_LEN_MAX: usize = 128;

/// What an assertion is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It authenticates the client.
    Client,
    /// It is the grant, and authenticates the client too.
    Grant,
}

impl Use {
    /// The `typ` that says so. Others are for other ends: an access token or a proof of a key is no
    /// assertion. `JWT` and none are what most libraries write.
    const fn typ(self) -> &'static str {
        match self {
            Self::Client => "client-authentication+jwt",
            Self::Grant => "authorization-grant+jwt",
        }
    }
}

/// Why an assertion is refused. Nothing of it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// Not a JSON web token.
    #[error("the assertion is malformed: {0}")]
    Malformed(&'static str),
    /// Its `typ` is that of something else.
    #[error("the assertion's `typ` is that of another kind of token; leave it out, or write `JWT`")]
    Typ,
    /// Another algorithm than the registered key's, `none` included.
    #[error("the assertion's `alg` is not that of the registered key, `ES256` or `EdDSA`")]
    Algorithm,
    /// A client with several keys must say which.
    #[error("the assertion has no `kid`, and the client has several keys")]
    NoKid,
    /// No such key for this client.
    #[error("the assertion's `kid` is no registered key of this client")]
    UnknownKey,
    /// The signature isn't that of the registered key.
    #[error("the assertion's signature is not that of the registered key")]
    Signature,
    /// A claim is absent.
    #[error("the assertion's claim `{0}` is missing or of the wrong type")]
    Missing(&'static str),
    /// A claim breaks a rule.
    #[error("the assertion's claim `{claim}` {rule}")]
    Claim {
        /// The claim.
        claim: &'static str,
        /// The rule.
        rule: &'static str,
    },
    /// Meant for somebody else.
    #[error(
        "the assertion's `aud` is neither the token endpoint nor the issuer of this server, and \
         nothing else beside it"
    )]
    Audience,
    /// Past its `exp`.
    #[error("the assertion has expired")]
    Expired,
    /// `iat` or `nbf` lies in the future.
    #[error("the assertion's claim `{0}` lies in the future: is the client's clock right?")]
    NotYet(&'static str),
    /// `exp` is too far from `iat`.
    #[error("the assertion lives longer than {LIFETIME_S_MAX} s from `iat` to `exp`")]
    Lifetime,
    /// It was made before this server started, which does not know what was used before.
    #[error("the assertion is older than this server, which has just started: make a new one")]
    BeforeStart,
    /// It was used before.
    #[error("the assertion's `jti` was used before: each assertion is good once")]
    Used,
    /// Too many assertions that were used and have not expired.
    #[error("the client has too many live assertions: give them shorter lives")]
    TooMany,
}

impl AssertionError {
    /// The stable word, for the record and for metrics.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Malformed(_) => "ASSERTION_MALFORMED",
            Self::Typ => "ASSERTION_TYPE",
            Self::Algorithm => "ASSERTION_ALGORITHM",
            Self::NoKid | Self::UnknownKey => "ASSERTION_UNKNOWN_KEY",
            Self::Signature => "ASSERTION_SIGNATURE",
            Self::Missing(_) => "ASSERTION_CLAIM_MISSING",
            Self::Claim { .. } => "ASSERTION_CLAIM",
            Self::Audience => "ASSERTION_WRONG_AUDIENCE",
            Self::Expired => "ASSERTION_EXPIRED",
            Self::NotYet(_) => "ASSERTION_NOT_YET_VALID",
            Self::Lifetime => "ASSERTION_LIFETIME",
            Self::BeforeStart => "ASSERTION_BEFORE_START",
            Self::Used => "ASSERTION_REPLAYED",
            Self::TooMany => "ASSERTION_TOO_MANY",
        }
    }
}

/// An assertion that is read and not yet believed.
pub struct Assertion<'a> {
    alg: String,
    kid: Option<String>,
    claims: Map<String, Value>,
    signed: &'a str,
    signature: Vec<u8>,
}

/// Not what is in it: a number, mostly.
impl fmt::Debug for Assertion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[assertion]")
    }
}

/// What an assertion must match, and when.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Any one of these is our name.
    pub audiences: [&'a str; 2],
    /// In seconds since 1970, as all times here.
    pub now: i64,
    /// Since when used assertions are remembered.
    pub started: i64,
}

/// What every assertion says beside who it is from.
#[derive(Debug)]
pub struct Checked<'a> {
    /// Its name, which is good once.
    pub jti: &'a str,
    /// Until when it is good, in seconds since 1970.
    pub expires: i64,
}

impl<'a> Assertion<'a> {
    /// The most bytes of one.
    pub const LEN_MAX: usize = 4_096;

    /// Reads an assertion. Its signature is checked by [`check_signature`](Self::check_signature).
    pub fn read(text: &'a str, used_as: Use) -> Result<Self, AssertionError> {
        let malformed = AssertionError::Malformed;
        if text.len() > Self::LEN_MAX {
            return Err(malformed("it is too long"));
        }
        let Jws {
            header,
            claims,
            signed,
            signature,
        } = Jws::parse(text).map_err(|error| malformed(error.rule()))?;
        let typ = header.get("typ").map(Value::as_str);
        let known = |typ: &str| {
            ["JWT", used_as.typ()]
                .iter()
                .any(|k| typ.eq_ignore_ascii_case(k))
        };
        if typ.is_some_and(|typ| !typ.is_some_and(known)) {
            return Err(AssertionError::Typ);
        }
        let word = |name: &str| header.get(name).and_then(Value::as_str).map(str::to_owned);
        let kid = word("kid").filter(|kid| kid.len() <= TokenKey::KID_LEN_MAX);
        if header.contains_key("kid") && kid.is_none() {
            return Err(AssertionError::UnknownKey);
        }
        Ok(Self {
            // Said before the key is looked up, so that `none` is called what it is.
            alg: word("alg")
                .filter(|alg| ["EdDSA", "ES256"].contains(&alg.as_str()))
                .ok_or(AssertionError::Algorithm)?,
            kid,
            claims,
            signed,
            signature,
        })
    }

    /// Who says that it made this.
    pub fn issuer(&self) -> Result<&str, AssertionError> {
        self.text("iss")
    }

    /// Checks the signature with one of a client's keys, and gives that key.
    pub fn check_signature<'k>(
        &self,
        mut keys: impl Iterator<Item = &'k TokenKey>,
    ) -> Result<&'k TokenKey, AssertionError> {
        let key = match &self.kid {
            Some(kid) => keys.find(|key| key.kid() == kid),
            None => {
                let only = keys.next();
                if keys.next().is_some() {
                    return Err(AssertionError::NoKid);
                }
                only
            }
        };
        let key = key.ok_or(AssertionError::UnknownKey)?;
        if self.alg != key.algorithm().name() {
            return Err(AssertionError::Algorithm);
        }
        let algorithm: &'static dyn VerificationAlgorithm = match key.algorithm() {
            KeyAlgorithm::EdDsa => &ED25519,
            KeyAlgorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
        };
        UnparsedPublicKey::new(algorithm, key.bytes())
            .verify(self.signed.as_bytes(), &self.signature)
            .map_err(|_| AssertionError::Signature)?;
        Ok(key)
    }

    /// Checks audience, times and name.
    pub fn check(&self, expected: Expected<'_>) -> Result<Checked<'_>, AssertionError> {
        self.check_audience(expected.audiences)?;
        let expires = self.check_times(expected)?;
        let jti = self.text("jti")?;
        if jti.is_empty() || jti.len() > JTI_LEN_MAX {
            let rule = "has 1 to 128 bytes";
            return Err(AssertionError::Claim { claim: "jti", rule });
        }
        Ok(Checked { jti, expires })
    }

    /// A claim that is a text.
    pub fn text(&self, name: &'static str) -> Result<&str, AssertionError> {
        self.claims
            .get(name)
            .and_then(Value::as_str)
            .ok_or(AssertionError::Missing(name))
    }

    /// Exactly one of our names: a text, or an array of that one text (RFC 7519 section 4.1.3). An
    /// assertion that is good elsewhere too could be carried there.
    fn check_audience(&self, ours: [&str; 2]) -> Result<(), AssertionError> {
        let only = match self.claims.get("aud") {
            Some(Value::String(only)) => Some(only.as_str()),
            Some(Value::Array(several)) => match several.as_slice() {
                [only] => only.as_str(),
                _ => None,
            },
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {
                return Err(AssertionError::Missing("aud"));
            }
        };
        match only {
            Some(only) if ours.contains(&only) => Ok(()),
            Some(_) | None => Err(AssertionError::Audience),
        }
    }

    fn check_times(&self, expected: Expected<'_>) -> Result<i64, AssertionError> {
        let Expected { now, started, .. } = expected;
        let (issued, expires) = (self.instant("iat")?, self.instant("exp")?);
        if now >= expires {
            return Err(AssertionError::Expired);
        }
        if issued > now.saturating_add(LEEWAY_S) {
            return Err(AssertionError::NotYet("iat"));
        }
        let not_before = self.claims.contains_key("nbf");
        if not_before && self.instant("nbf")? > now.saturating_add(LEEWAY_S) {
            return Err(AssertionError::NotYet("nbf"));
        }
        if expires.saturating_sub(issued) > LIFETIME_S_MAX {
            return Err(AssertionError::Lifetime);
        }
        if issued < started {
            return Err(AssertionError::BeforeStart);
        }
        Ok(expires)
    }

    /// Whole seconds since 1970 (RFC 7519 section 2, `NumericDate`), or with a fraction, which some
    /// libraries write.
    fn instant(&self, name: &'static str) -> Result<i64, AssertionError> {
        let missing = AssertionError::Missing(name);
        let value = self.claims.get(name).ok_or(missing)?;
        if let Some(seconds) = value.as_i64() {
            return Ok(seconds);
        }
        let seconds = value.as_f64().filter(|seconds| seconds.abs() < 1e12);
        let whole = seconds.map(|seconds| seconds.floor()).ok_or(missing)?;
        format!("{whole:.0}").parse().map_err(|_| missing)
    }
}
