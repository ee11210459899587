//! Refusals and errors, typed.

use std::{error::Error, fmt, time::Duration};

use accord_proto::{v1, wire::FieldError};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{answer::Mistrust, token::TokenError};

/// The broker's considered no to a whole question. Asking the same again does not help, unless
/// `retry_after` says when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The gRPC status code.
    pub code: Code,
    /// The `ErrorInfo.reason`, for programs, such as `MALFORMED_FIELD`. Empty where none was given.
    pub reason: String,
    /// For people; without personal data.
    pub message: String,
    /// The field at fault, where there is one.
    pub field: Option<String>,
    /// When the same question may be asked again.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// Reads a status and its `google.rpc` details.
    #[must_use]
    pub fn from_status(status: &Status) -> Self {
        let details = status.get_error_details();
        let field = details
            .bad_request()
            .and_then(|bad| bad.field_violations.first())
            .map(|violation| violation.field.clone());
        Self {
            code: status.code(),
            reason: details
                .error_info()
                .map(|info| info.reason.clone())
                .unwrap_or_default(),
            message: status.message().to_owned(),
            field,
            retry_after: retry_after(status),
        }
    }

    /// One line of a stream.
    pub(crate) fn from_line(line: v1::ScreenRefusal) -> Self {
        Self {
            code: Code::from(line.code),
            reason: line.reason,
            message: line.message,
            field: (!line.field.is_empty()).then_some(line.field),
            retry_after: (line.retry_after_ms > 0)
                .then(|| Duration::from_millis(line.retry_after_ms)),
        }
    }

    /// A question that was not even sent.
    pub(crate) fn from_field(error: &FieldError) -> Self {
        Self {
            code: Code::InvalidArgument,
            reason: "MALFORMED_FIELD".to_owned(),
            message: error.to_string(),
            field: Some(error.field.clone()),
            retry_after: None,
        }
    }
}

/// How long the broker asks to wait, where it does.
pub(crate) fn retry_after(status: &Status) -> Option<Duration> {
    status
        .get_details_retry_info()
        .and_then(|info| info.retry_delay)
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.is_empty() {
            write!(f, "{:?}", self.code)?;
        } else {
            f.write_str(&self.message)?;
        }
        if !self.reason.is_empty() {
            write!(f, " ({})", self.reason)?;
        }
        if let Some(wait) = self.retry_after {
            write!(f, ", again in {} ms", wait.as_millis())?;
        }
        Ok(())
    }
}

impl Error for Refusal {}

/// Why a call brought no answer. No text repeats a number, a token or a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The question breaks a rule and was not sent.
    #[error(transparent)]
    Malformed(#[from] FieldError),
    /// The broker refused the whole question.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// No broker could be reached, or each broke off.
    #[error("no broker could be reached, tried {attempts} times, the last time {endpoint}")]
    Unreachable {
        /// The endpoint that was tried last.
        endpoint: String,
        /// How often.
        attempts: u32,
        /// What the last attempt met.
        #[source]
        source: Box<Status>,
    },
    /// The caller's deadline passed.
    #[error("no answer within {} ms, tried {attempts} times", deadline.as_millis())]
    Deadline {
        /// The caller's deadline.
        deadline: Duration,
        /// How often.
        attempts: u32,
    },
    /// What came back is not what was asked for, or its receipt does not hold.
    #[error("the broker's answer can't be believed")]
    Mistrusted(#[from] Mistrust),
    /// No token could be made.
    #[error(transparent)]
    Token(#[from] TokenError),
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn a_status_with_details_becomes_a_typed_refusal() {
        let mut details = ErrorDetails::new();
        details
            .set_error_info("MALFORMED_FIELD", "accord", [])
            .add_bad_request_violation("signals[0].tenure.since", "not in the future")
            .set_retry_info(Some(Duration::from_millis(250)));
        let status = Status::with_error_details(Code::InvalidArgument, "signals[0]: no", details);
        let refusal = Refusal::from_status(&status);
        assert_eq!(refusal.code, Code::InvalidArgument);
        assert_eq!(refusal.reason, "MALFORMED_FIELD");
        assert_eq!(refusal.field.as_deref(), Some("signals[0].tenure.since"));
        assert_eq!(refusal.retry_after, Some(Duration::from_millis(250)));
        assert_eq!(
            refusal.to_string(),
            "signals[0]: no (MALFORMED_FIELD), again in 250 ms"
        );
    }

    #[test]
    fn a_bare_status_is_a_refusal_too() {
        let refusal = Refusal::from_status(&Status::new(Code::PermissionDenied, ""));
        assert_eq!((refusal.field, refusal.retry_after), (None, None));
        assert_eq!(
            Refusal::from_status(&Status::new(Code::PermissionDenied, "")).to_string(),
            "PermissionDenied"
        );
    }
}
