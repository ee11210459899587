//! What goes wrong with an upstream: the reason that a bank is told, and how the source is then.

use std::io::ErrorKind;

use accord_proto::reason::Reason;
use http::StatusCode;
use serde_json::Value;

use super::http::HttpError;
use crate::{source::Condition, unreached::Unreached};

/// One fault. `condition` is `None` where the upstream is well and only this answer has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) reason: Reason,
    pub(super) condition: Option<Condition>,
    pub(super) why: &'static str,
    /// It is the token endpoint's, not an API's.
    pub(super) is_of_token: bool,
}

impl Fault {
    pub(super) const TIMEOUT: Self = Self::down(Reason::Timeout, "no answer in time");
    pub(super) const KEY: Self = Self::refused("the key signs no assertion");
    pub(super) const UNUSABLE_TOKEN: Self = Self::unusable("the token can't be used");
    pub(super) const CEILING: Self = Self::told(Reason::Overloaded, "at `requests_per_second`");
    pub(super) const QUOTA: Self = Self::told(Reason::Overloaded, "a quota is used up");
    pub(super) const HELD: Self = Self::told(Reason::Overloaded, "the upstream said: later");

    /// The upstream answered, and this is its answer.
    pub(super) const fn told(reason: Reason, why: &'static str) -> Self {
        Self {
            reason,
            condition: None,
            why,
            is_of_token: false,
        }
    }

    pub(super) const fn unusable(why: &'static str) -> Self {
        Self {
            reason: Reason::SourceDown,
            condition: Some(Condition::Unusable),
            why,
            is_of_token: false,
        }
    }

    const fn down(reason: Reason, why: &'static str) -> Self {
        Self {
            reason,
            condition: Some(Condition::Down),
            why,
            is_of_token: false,
        }
    }

    const fn refused(why: &'static str) -> Self {
        Self {
            reason: Reason::SourceDown,
            condition: Some(Condition::Refused),
            why,
            is_of_token: false,
        }
    }

    /// The same, where it is the token endpoint that was asked.
    pub(super) const fn at_token(self) -> Self {
        Self {
            is_of_token: true,
            ..self
        }
    }

    pub(super) fn of_http(error: HttpError) -> Self {
        match error {
            HttpError::Busy => Self::told(Reason::Overloaded, "too many exchanges at once"),
            HttpError::Timeout => Self::TIMEOUT,
            HttpError::Connect(Unreached::Name) => {
                Self::down(Reason::SourceDown, "its host's name is not known here")
            }
            HttpError::Connect(Unreached::Io(ErrorKind::ConnectionRefused)) => {
                Self::down(Reason::SourceDown, "nothing listens at its host and port")
            }
            HttpError::Connect(Unreached::Io(_)) => {
                Self::down(Reason::SourceDown, "its host can't be reached")
            }
            HttpError::Tls(why) => Self::down(Reason::SourceDown, why),
            HttpError::Broken => Self::down(Reason::SourceDown, "the connection broke"),
            HttpError::TooLong => Self::unusable("the answer is too long"),
        }
    }

    /// Of the token endpoint.
    pub(super) fn of_token(status: StatusCode) -> Self {
        match status.as_u16() {
            429 => Self::told(Reason::Overloaded, "it said: later"),
            400..=499 => Self::refused("it refuses our credentials"),
            _ => Self::down(Reason::SourceDown, "it fails"),
        }
    }

    /// Of an API: status and code are normative, the message is free (CAMARA Commonalities).
    pub(super) fn of_api(status: StatusCode, body: &[u8]) -> Self {
        let body: Option<Value> = serde_json::from_slice(body).ok();
        let code = body.as_ref().and_then(|body| body.get("code")?.as_str());
        match (status.as_u16(), code) {
            (400, Some("OUT_OF_RANGE")) => Self::told(Reason::NotWatched, "beyond its window"),
            (401, _) => Self::refused("the upstream does not take our token"),
            (403, _) => Self::told(Reason::NotAvailable, "not permitted for this number"),
            // Of a wrong address 404 is NOT_FOUND: that is no unknown subscriber.
            (404, Some("IDENTIFIER_NOT_FOUND")) => {
                Self::told(Reason::UnknownNumber, "no such subscriber")
            }
            (404, _) => Self::unusable("there is no such API"),
            (422, Some("SERVICE_NOT_APPLICABLE")) => {
                Self::told(Reason::NotAvailable, "not applicable to this number")
            }
            (429, Some("QUOTA_EXCEEDED")) => Self::QUOTA,
            (429, _) => Self::told(Reason::Overloaded, "the upstream is at its limit"),
            (501, _) => Self::told(Reason::NotAvailable, "not implemented"),
            (504, _) => Self::TIMEOUT,
            (400..=499, _) => Self::unusable("the upstream does not take the question"),
            _ => Self::down(Reason::SourceDown, "the upstream fails"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_of_commonalities_has_its_reason() {
        let of = |status: u16, code: &str| {
            let body = format!(r#"{{"status":{status},"code":"{code}","message":"m"}}"#);
            Fault::of_api(StatusCode::from_u16(status).unwrap(), body.as_bytes()).reason
        };
        for (status, code, reason) in [
            (400, "INVALID_ARGUMENT", Reason::SourceDown),
            (400, "OUT_OF_RANGE", Reason::NotWatched),
            (401, "UNAUTHENTICATED", Reason::SourceDown),
            (403, "PERMISSION_DENIED", Reason::NotAvailable),
            (404, "IDENTIFIER_NOT_FOUND", Reason::UnknownNumber),
            (404, "NOT_FOUND", Reason::SourceDown),
            (422, "SERVICE_NOT_APPLICABLE", Reason::NotAvailable),
            (422, "UNNECESSARY_IDENTIFIER", Reason::SourceDown),
            (429, "TOO_MANY_REQUESTS", Reason::Overloaded),
            (500, "INTERNAL", Reason::SourceDown),
            (501, "NOT_IMPLEMENTED", Reason::NotAvailable),
            (504, "TIMEOUT", Reason::Timeout),
        ] {
            assert_eq!(of(status, code), reason, "{status} {code}");
        }
        let html = Fault::of_api(StatusCode::NOT_FOUND, b"<html>");
        assert_eq!(html.reason, Reason::SourceDown);
    }
}
