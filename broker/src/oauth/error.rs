//! Why no token is issued: the codes of RFC 6749 section 5.2, and of RFC 9449 section 5.

use std::time::Duration;

use accord_proto::{
    camara::ScopeError,
    oauth::{AssertionError, FormError},
    purpose::Purpose,
};

use crate::{
    identity::IdentityError,
    path::{Class, Refusal},
};

/// Why no token is issued. `Display` is safe for the client: it repeats no assertion, number or key.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TokenRefusal {
    /// The body is no form.
    #[error(transparent)]
    Form(#[from] FormError),
    /// Not `POST` of a form.
    #[error("a token is asked for with a body of type `application/x-www-form-urlencoded`")]
    MediaType,
    /// The body is too long, or took too long.
    #[error("the body {0}")]
    Body(&'static str),
    /// Too many are being read.
    #[error("too many token requests are coming in just now; try again in a second")]
    Bodies,
    /// A parameter is absent.
    #[error("the form has no `{0}`")]
    Missing(&'static str),
    /// A parameter that this grant does not take, or that says something else than the assertion.
    #[error("`{parameter}` {rule}")]
    Parameter {
        /// The parameter.
        parameter: &'static str,
        /// The rule.
        rule: &'static str,
    },
    /// Another `grant_type`.
    #[error(
        "`grant_type` is `client_credentials`, or `urn:ietf:params:oauth:grant-type:jwt-bearer` for \
         a token that is about one number"
    )]
    GrantType,
    /// The token could be used by whoever finds it.
    #[error(
        "the token would be bound to nothing: connect with a client certificate, or send a `DPoP` \
         proof (RFC 9449)"
    )]
    Unbound,
    /// A secret in place of an assertion.
    #[error(
        "clients authenticate with a signed assertion alone (`private_key_jwt`: `client_assertion` \
         and `client_assertion_type`)"
    )]
    NoAssertion {
        /// The client used an `Authorization` header, which the answer then has to name.
        by_header: bool,
    },
    /// No such client, or not for this party: the two look alike. Told to those who showed no
    /// certificate in place of a wrong key too.
    #[error(
        "no such client of this party, or its assertion is not signed with one of its registered \
         keys"
    )]
    UnknownClient,
    /// The assertion that authenticates the client.
    #[error(transparent)]
    Client(AssertionError),
    /// The assertion that is the grant.
    #[error(transparent)]
    Grant(AssertionError),
    /// The scope.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// A purpose that the client's registration does not map.
    #[error("the purpose in the scope is not among those that the client is registered for: {0}")]
    PurposeNotRegistered(String),
    /// Scopes beyond the registration.
    #[error("the client is not registered for {0}")]
    ScopeNotRegistered(String),
    /// The agreement does not allow it.
    #[error("the agreement in force does not allow `{scope}` for the purpose `{purpose}`: {why}")]
    NotAllowed {
        /// The first such scope.
        scope: &'static str,
        /// The agreement's purpose.
        purpose: Purpose,
        /// What its clauses allow instead.
        why: String,
    },
    /// The proof of a key.
    #[error(transparent)]
    Proof(IdentityError),
    /// Certificate, licence, suspension, agreement, rate: what any call is refused for.
    #[error(transparent)]
    Party(Box<Refusal>),
}

impl From<Refusal> for TokenRefusal {
    fn from(refusal: Refusal) -> Self {
        Self::Party(Box::new(refusal))
    }
}

impl TokenRefusal {
    /// `error`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Form(_)
            | Self::MediaType
            | Self::Body(_)
            | Self::Missing(_)
            | Self::Parameter { .. } => "invalid_request",
            Self::GrantType => "unsupported_grant_type",
            Self::NoAssertion { .. } | Self::UnknownClient => "invalid_client",
            Self::Bodies
            | Self::Client(AssertionError::TooMany)
            | Self::Grant(AssertionError::TooMany) => BUSY,
            Self::Client(_) => "invalid_client",
            Self::Grant(_) => "invalid_grant",
            Self::Scope(_)
            | Self::PurposeNotRegistered(_)
            | Self::ScopeNotRegistered(_)
            | Self::NotAllowed { .. } => "invalid_scope",
            // CAMARA Security and Interoperability, "DPoP": required, and none was sent.
            Self::Unbound | Self::Proof(_) => "invalid_dpop_proof",
            Self::Party(refusal) => match refusal.class() {
                Class::Unauthenticated => "invalid_client",
                Class::ResourceExhausted | Class::Unavailable => BUSY,
                Class::AlreadyExists
                | Class::FailedPrecondition
                | Class::InvalidArgument
                | Class::NotFound
                | Class::PermissionDenied => "unauthorized_client",
            },
        }
    }

    /// The HTTP status: 400 but where RFC 6749 or HTTP itself has a better one.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::NoAssertion { by_header: true } => 401,
            Self::MediaType => 415,
            Self::Bodies => 503,
            Self::Client(AssertionError::TooMany) | Self::Grant(AssertionError::TooMany) => 429,
            Self::Party(refusal) => match refusal.class() {
                Class::ResourceExhausted => 429,
                Class::Unavailable => 503,
                Class::Unauthenticated
                | Class::AlreadyExists
                | Class::FailedPrecondition
                | Class::InvalidArgument
                | Class::NotFound
                | Class::PermissionDenied => 400,
            },
            Self::Form(_)
            | Self::Body(_)
            | Self::Missing(_)
            | Self::Parameter { .. }
            | Self::GrantType
            | Self::Unbound
            | Self::NoAssertion { by_header: false }
            | Self::UnknownClient
            | Self::Client(_)
            | Self::Grant(_)
            | Self::Scope(_)
            | Self::PurposeNotRegistered(_)
            | Self::ScopeNotRegistered(_)
            | Self::NotAllowed { .. }
            | Self::Proof(_) => 400,
        }
    }

    /// The stable word, for the record.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Form(_) | Self::MediaType | Self::Body(_) => "TOKEN_REQUEST_MALFORMED",
            Self::Bodies => "TOKEN_REQUESTS_TOO_MANY",
            Self::Missing(_) | Self::Parameter { .. } => "TOKEN_REQUEST_PARAMETER",
            Self::GrantType => "TOKEN_REQUEST_GRANT_TYPE",
            Self::Unbound => "TOKEN_REQUEST_UNBOUND",
            Self::NoAssertion { .. } => "ASSERTION_MISSING",
            Self::UnknownClient => "CLIENT_UNKNOWN",
            Self::Client(error) | Self::Grant(error) => error.reason(),
            Self::Scope(_) => "SCOPE_MALFORMED",
            Self::PurposeNotRegistered(_) => "PURPOSE_NOT_REGISTERED",
            Self::ScopeNotRegistered(_) => "SCOPE_NOT_REGISTERED",
            Self::NotAllowed { .. } => "SCOPE_NOT_IN_AGREEMENT",
            Self::Proof(error) => error.reason(),
            Self::Party(refusal) => refusal.reason(),
        }
    }

    /// The parameter at fault, for the record.
    #[must_use]
    pub const fn parameter(&self) -> &'static str {
        match self {
            Self::Missing(parameter) | Self::Parameter { parameter, .. } => parameter,
            Self::GrantType => "grant_type",
            Self::Client(_) | Self::NoAssertion { .. } => "client_assertion",
            Self::Grant(_) => "assertion",
            Self::Scope(_)
            | Self::PurposeNotRegistered(_)
            | Self::ScopeNotRegistered(_)
            | Self::NotAllowed { .. } => "scope",
            Self::Form(_)
            | Self::MediaType
            | Self::Body(_)
            | Self::Bodies
            | Self::Unbound
            | Self::UnknownClient
            | Self::Proof(_)
            | Self::Party(_) => "",
        }
    }

    /// `error_description`: the words in the characters that RFC 6749 section 5.2 allows.
    #[must_use]
    pub fn description(&self) -> String {
        let words = self.to_string();
        let plain = words.chars().take(DESCRIPTION_CHARS_MAX);
        plain
            .map(|character| match character {
                '"' | '\\' => '\'',
                ' '..='~' => character,
                _ => '?',
            })
            .collect()
    }

    /// When to try again; `None` where that does not help.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Party(refusal) => refusal.retry_after(),
            Self::Bodies
            | Self::Client(AssertionError::TooMany)
            | Self::Grant(AssertionError::TooMany) => Some(Duration::from_secs(1)),
            Self::Form(_)
            | Self::MediaType
            | Self::Body(_)
            | Self::Missing(_)
            | Self::Parameter { .. }
            | Self::GrantType
            | Self::Unbound
            | Self::NoAssertion { .. }
            | Self::UnknownClient
            | Self::Client(_)
            | Self::Grant(_)
            | Self::Scope(_)
            | Self::PurposeNotRegistered(_)
            | Self::ScopeNotRegistered(_)
            | Self::NotAllowed { .. }
            | Self::Proof(_) => None,
        }
    }
}

/// Not of RFC 6749 section 5.2, which has none for it: of section 4.1.2.1, for the same case.
const BUSY: &str = "temporarily_unavailable";

/// The longest `error_description`.
const DESCRIPTION_CHARS_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_has_the_characters_of_rfc_6749_alone() {
        let words = "it said \"no\" \\ \u{201c}never\u{201d}\n";
        let refusal = TokenRefusal::from(Refusal::Suspended(words.repeat(100)));
        let told = refusal.description();
        assert!(told.contains("it said 'no' ' ?never??it"), "{told}");
        assert_eq!(told.len(), DESCRIPTION_CHARS_MAX);
        let allowed = |b: &u8| matches!(b, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        assert!(told.as_bytes().iter().all(allowed));
    }

    #[test]
    fn codes_and_statuses_are_those_of_the_rfcs() {
        let busy = Refusal::RateLimited {
            retry_after: Duration::from_millis(1),
        };
        for (refusal, code, status) in [
            (FormError::Twice.into(), "invalid_request", 400),
            (TokenRefusal::MediaType, "invalid_request", 415),
            (TokenRefusal::GrantType, "unsupported_grant_type", 400),
            (TokenRefusal::Unbound, "invalid_dpop_proof", 400),
            (TokenRefusal::UnknownClient, "invalid_client", 400),
            (
                TokenRefusal::NoAssertion { by_header: true },
                "invalid_client",
                401,
            ),
            (
                TokenRefusal::Client(AssertionError::Used),
                "invalid_client",
                400,
            ),
            (
                TokenRefusal::Grant(AssertionError::Used),
                "invalid_grant",
                400,
            ),
            (TokenRefusal::Grant(AssertionError::TooMany), BUSY, 429),
            (TokenRefusal::Bodies, BUSY, 503),
            (ScopeError::NoPurpose.into(), "invalid_scope", 400),
            (
                TokenRefusal::Proof(IdentityError::TokenMissing),
                "invalid_dpop_proof",
                400,
            ),
            (busy.into(), BUSY, 429),
            (Refusal::NotReady("x").into(), BUSY, 503),
            (
                Refusal::Licence("x".to_owned()).into(),
                "unauthorized_client",
                400,
            ),
            (
                Refusal::Suspended("x".to_owned()).into(),
                "unauthorized_client",
                400,
            ),
            (
                Refusal::Identity(IdentityError::CertificateRevoked).into(),
                "invalid_client",
                400,
            ),
        ] {
            assert_eq!(
                (refusal.code(), refusal.status()),
                (code, status),
                "{refusal}"
            );
            assert_eq!(refusal.retry_after().is_some(), code == BUSY, "{refusal}");
        }
    }
}
