//! The one place that makes a gRPC status.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::path::{Class, Refusal};

/// The `ErrorInfo.domain` of every refusal.
pub(super) const DOMAIN: &str = "accord.v1";

/// The status code of a class of refusals.
#[must_use]
pub(super) const fn code(class: Class) -> Code {
    match class {
        Class::AlreadyExists => Code::AlreadyExists,
        Class::FailedPrecondition => Code::FailedPrecondition,
        Class::InvalidArgument => Code::InvalidArgument,
        Class::NotFound => Code::NotFound,
        Class::PermissionDenied => Code::PermissionDenied,
        Class::ResourceExhausted => Code::ResourceExhausted,
        Class::Unauthenticated => Code::Unauthenticated,
        Class::Unavailable => Code::Unavailable,
    }
}

/// A refusal as a status, with `google.rpc` details: `ErrorInfo` always, `BadRequest` where a field
/// is at fault, `RetryInfo` where waiting helps.
#[must_use]
pub fn status(refusal: &Refusal) -> Status {
    let message = refusal.to_string();
    let mut details = ErrorDetails::new();
    details.set_error_info(refusal.reason(), DOMAIN, HashMap::new());
    if let Some(field) = refusal.field() {
        details.add_bad_request_violation(field, message.clone());
    }
    if let Some(retry_after) = refusal.retry_after() {
        details.set_retry_info(Some(retry_after));
    }
    Status::with_error_details(code(refusal.class()), message, details)
}

/// The server's own fault: a request without its connection's peer.
pub(super) fn no_peer() -> Status {
    Status::new(Code::Internal, "the connection has no peer")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use accord_proto::wire::FieldError;

    use super::*;

    #[test]
    fn a_malformed_field_is_named_in_bad_request() {
        let refusal = Refusal::Field(FieldError::new("msisdn", "a number has 8 to 15 digits"));
        let status = status(&refusal);
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        let violations = &details.bad_request().unwrap().field_violations;
        assert_eq!(violations.first().unwrap().field, "msisdn");
        assert_eq!(details.error_info().unwrap().reason, "MALFORMED_FIELD");
    }

    #[test]
    fn a_rate_says_when_to_come_back() {
        let retry_after = Duration::from_millis(250);
        let status = status(&Refusal::RateLimited { retry_after });
        assert_eq!(status.code(), Code::ResourceExhausted);
        let details = status.get_error_details();
        assert_eq!(details.retry_info().unwrap().retry_delay, Some(retry_after));
    }
}
