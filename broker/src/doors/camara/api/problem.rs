//! Errors, as CAMARA has them: `ErrorInfo{status, code, message}` (API Design Guide section 3.2).

use http::StatusCode;

use crate::path::{Class, Refusal};

/// The most bytes of a message.
pub(super) const MESSAGE_LEN_MAX: usize = 512;

/// Every code that the door answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Code {
    InvalidArgument,
    OutOfRange,
    Unauthenticated,
    PermissionDenied,
    IdentifierNotFound,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    AlreadyExists,
    UnsupportedMediaType,
    MissingIdentifier,
    ServiceNotApplicable,
    UnnecessaryIdentifier,
    UnsupportedIdentifier,
    QuotaExceeded,
    TooManyRequests,
    Internal,
    Unavailable,
}

impl Code {
    /// The word.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::IdentifierNotFound => "IDENTIFIER_NOT_FOUND",
            Self::NotFound => "NOT_FOUND",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::NotAcceptable => "NOT_ACCEPTABLE",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
            Self::MissingIdentifier => "MISSING_IDENTIFIER",
            Self::ServiceNotApplicable => "SERVICE_NOT_APPLICABLE",
            Self::UnnecessaryIdentifier => "UNNECESSARY_IDENTIFIER",
            Self::UnsupportedIdentifier => "UNSUPPORTED_IDENTIFIER",
            Self::QuotaExceeded => "QUOTA_EXCEEDED",
            Self::TooManyRequests => "TOO_MANY_REQUESTS",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
        }
    }

    /// Its status.
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::InvalidArgument | Self::OutOfRange => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::IdentifierNotFound | Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::AlreadyExists => StatusCode::CONFLICT,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::MissingIdentifier
            | Self::ServiceNotApplicable
            | Self::UnnecessaryIdentifier
            | Self::UnsupportedIdentifier => StatusCode::UNPROCESSABLE_ENTITY,
            Self::QuotaExceeded | Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// When it is answered, in words.
    pub(super) const fn meaning(self) -> &'static str {
        match self {
            Self::InvalidArgument => "body or header breaks a rule",
            Self::OutOfRange => {
                "the window or date lies outside what may be asked, or what was watched"
            }
            Self::Unauthenticated => "no token that is in order",
            Self::PermissionDenied => {
                "the token's scopes, or the agreement, do not allow this; or it is suspended"
            }
            Self::IdentifierNotFound => "no subscriber that can be reached has this number",
            Self::NotFound => "no such path",
            Self::MethodNotAllowed => "another method is needed",
            Self::NotAcceptable => "the client does not take JSON",
            Self::AlreadyExists => {
                "`Accord-Request-Id` was used for another question within ten minutes"
            }
            Self::UnsupportedMediaType => "the body is not sent as JSON",
            Self::MissingIdentifier => "neither the body nor the token says of which number",
            Self::ServiceNotApplicable => {
                "the subscriber is there, but what is asked is not known or must not be told"
            }
            Self::UnnecessaryIdentifier => "the token says of which number, and so does the body",
            Self::UnsupportedIdentifier => "only a phone number identifies a device here",
            Self::QuotaExceeded => "a quota of the clause is used up",
            Self::TooManyRequests => "too many questions a second, or too many at once",
            Self::Internal => "a fault of the broker",
            Self::Unavailable => "the broker or the operator can't answer now",
        }
    }
}

/// One error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) code: Code,
    /// For people; never a number, a token or a part of one.
    pub(super) message: String,
    /// Accord's own word for why: a reason of the same name on every door.
    pub(super) reason: Option<&'static str>,
    /// Seconds.
    pub(super) retry_after: Option<u64>,
}

impl Problem {
    /// An error with this message, cut to what CAMARA allows.
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        let mut message = message.into();
        let fits = (0..=MESSAGE_LEN_MAX.min(message.len()))
            .rev()
            .find(|at| message.is_char_boundary(*at));
        message.truncate(fits.unwrap_or(0));
        Self {
            code,
            message,
            reason: None,
            retry_after: None,
        }
    }

    /// The same with Accord's word for it.
    pub(super) fn because(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    /// The same with when to try again.
    pub(super) const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The body.
    pub(super) fn body(&self) -> Vec<u8> {
        let body = serde_json::json!({
            "status": self.code.status().as_u16(),
            "code": self.code.word(),
            "message": self.message,
        });
        body.to_string().into_bytes()
    }
}

/// What a refusal of the whole question is on this door.
impl From<&Refusal> for Problem {
    fn from(refusal: &Refusal) -> Self {
        let code = match refusal.class() {
            Class::Unauthenticated => Code::Unauthenticated,
            // The agreement, the list of parties or an authority says no: the bank can do nothing about it
            // by asking otherwise, which is what CAMARA's 403 tells.
            Class::PermissionDenied | Class::FailedPrecondition => Code::PermissionDenied,
            Class::InvalidArgument => Code::InvalidArgument,
            Class::NotFound => Code::NotFound,
            Class::AlreadyExists => Code::AlreadyExists,
            // There is no 413 in CAMARA's catalogue.
            Class::ResourceExhausted if matches!(refusal, Refusal::MessageTooLong) => {
                Code::InvalidArgument
            }
            Class::ResourceExhausted => Code::TooManyRequests,
            Class::Unavailable => Code::Unavailable,
        };
        // Always the same text with 401: what is wrong with a token is for its holder's log, which
        // has the reason's word.
        let message = match code == Code::Unauthenticated {
            true => UNAUTHENTICATED.to_owned(),
            false => refusal.to_string(),
        };
        let mut problem = Self::new(code, message).because(refusal.reason());
        // In whole seconds, and never at once.
        problem.retry_after = refusal.retry_after().map(|wait| {
            let begun = u64::from(wait.subsec_nanos() > 0);
            wait.as_secs().saturating_add(begun).max(1)
        });
        problem
    }
}

const UNAUTHENTICATED: &str = "the request has no credentials that are in order: get a new token, and send it with this \
     certificate";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use accord_proto::wire::FieldError;

    use super::*;
    use crate::identity::IdentityError;

    const ALL: [Code; 18] = [
        Code::InvalidArgument,
        Code::OutOfRange,
        Code::Unauthenticated,
        Code::PermissionDenied,
        Code::IdentifierNotFound,
        Code::NotFound,
        Code::MethodNotAllowed,
        Code::NotAcceptable,
        Code::AlreadyExists,
        Code::UnsupportedMediaType,
        Code::MissingIdentifier,
        Code::ServiceNotApplicable,
        Code::UnnecessaryIdentifier,
        Code::UnsupportedIdentifier,
        Code::QuotaExceeded,
        Code::TooManyRequests,
        Code::Internal,
        Code::Unavailable,
    ];

    #[test]
    fn every_code_stands_once_in_screaming_snake() {
        let mut words: Vec<_> = ALL.iter().map(|code| code.word()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), ALL.len());
        for word in words {
            assert!(word.len() <= 96 && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
        }
    }

    #[test]
    fn a_401_always_says_the_same() {
        let refusals = [
            IdentityError::TokenMissing,
            IdentityError::TokenExpired,
            IdentityError::TokenSignature,
            IdentityError::CertificateRevoked,
        ];
        for refusal in refusals.map(Refusal::Identity) {
            let problem = Problem::from(&refusal);
            assert_eq!(problem.code, Code::Unauthenticated);
            assert_eq!(problem.message, UNAUTHENTICATED);
        }
    }

    #[test]
    fn a_refusal_keeps_its_words_and_its_wait() {
        let field = Refusal::Field(FieldError::new("consent_ref", "at most 128 bytes"));
        let problem = Problem::from(&field);
        assert_eq!(problem.code, Code::InvalidArgument);
        assert_eq!(
            problem.message,
            "consent_ref breaks a rule: at most 128 bytes"
        );
        assert_eq!(problem.reason, Some("MALFORMED_FIELD"));
        let rate = |millis| {
            let retry_after = Duration::from_millis(millis);
            Problem::from(&Refusal::RateLimited { retry_after })
        };
        assert_eq!(rate(1).code, Code::TooManyRequests);
        assert_eq!(rate(1).retry_after, Some(1));
        assert_eq!(rate(1_001).retry_after, Some(2));
        assert_eq!(
            Problem::from(&Refusal::MessageTooLong).code,
            Code::InvalidArgument
        );
        let not_ready = Problem::from(&Refusal::NotReady("it is shutting down"));
        assert_eq!(not_ready.code, Code::Unavailable);
        assert_eq!(not_ready.retry_after, Some(1));
        let suspended = Refusal::Suspended("this bank".to_owned());
        assert_eq!(Problem::from(&suspended).code, Code::PermissionDenied);
    }

    #[test]
    fn a_message_is_cut_between_characters() {
        let problem = Problem::new(Code::Internal, "é".repeat(400));
        assert_eq!(problem.message.len(), MESSAGE_LEN_MAX);
        let problem = Problem::new(Code::Internal, format!("x{}", "é".repeat(400)));
        assert_eq!(problem.message.len(), MESSAGE_LEN_MAX - 1);
        let body: serde_json::Value = serde_json::from_slice(&problem.body()).unwrap();
        assert_eq!(body["status"], 500);
        assert_eq!(body["code"], "INTERNAL");
        assert_eq!(body.as_object().unwrap().len(), 3);
    }
}
