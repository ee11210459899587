//! From an answer or an error to a response.

use accord_proto::v1;
use http::{
    HeaderName, HeaderValue, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE},
};

use super::{
    Answered,
    fault::Fault,
    headers::{CORRELATOR, JSON},
    problem::{Code, Problem},
    receipt,
};
use crate::doors::https::{Held, response};

/// The word for programs, beside the reason in words: the same one as on the tiles' door.
const REASON: HeaderName = HeaderName::from_static("accord-reason");

/// What a question was answered with.
pub(super) fn answered(answered: Answered) -> Response<Held> {
    let mut response = never_kept(response(StatusCode::OK, JSON, answered.body));
    if let Some(told) = &answered.response {
        receipt::add(response.headers_mut(), told);
    }
    response
}

/// An error, with the receipt of its entry where there is one.
///
/// Where a body was not read to its end, hyper ends an HTTP/1.1 connection with it: what follows
/// can't be told from the next request.
///
/// `certified`: the client showed a certificate, to which a token of its can be bound.
pub(super) fn refused(
    fault: Fault,
    told: Option<&v1::LookupResponse>,
    certified: bool,
) -> Response<Held> {
    let mut response = problem(&fault.problem);
    let headers = response.headers_mut();
    let code = fault.problem.code;
    let challenge = fault.challenge.and_then(|text| text.try_into().ok());
    match (code, challenge) {
        (Code::MethodNotAllowed, Some(allowed)) => {
            headers.insert(ALLOW, allowed);
        }
        (_, Some(challenge)) => {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        (Code::Unauthenticated, None) => {
            let challenge = challenge_of(fault.problem.reason.unwrap_or_default(), certified);
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        (_, None) => {}
    }
    if let Some(told) = told {
        receipt::add(headers, told);
    }
    response
}

/// What a 401 says that a token needs (RFC 6750 section 3, RFC 9449 section 7.1). Which of a token's
/// faults it was is not told. Without a certificate only a token that is bound to a proven key is of
/// use.
fn challenge_of(reason: &str, certified: bool) -> &'static str {
    match (reason, certified) {
        (reason, _) if reason.starts_with("DPOP_") => {
            "DPoP realm=\"accord\", error=\"invalid_dpop_proof\", algs=\"ES256 EdDSA\""
        }
        ("TOKEN_MISSING", true) => "Bearer realm=\"accord\"",
        ("TOKEN_MISSING", false) => {
            "DPoP realm=\"accord\", algs=\"ES256 EdDSA\", Bearer realm=\"accord\""
        }
        (_, true) => "Bearer realm=\"accord\", error=\"invalid_token\"",
        (_, false) => "DPoP realm=\"accord\", error=\"invalid_token\", algs=\"ES256 EdDSA\"",
    }
}

/// The wrong method, where nobody needs to be known.
pub(super) fn method(allowed: &'static str) -> Response<Held> {
    let message = format!("this path is for {allowed}");
    let mut response = problem(&Problem::new(Code::MethodNotAllowed, message));
    let allowed = HeaderValue::from_static(allowed);
    response.headers_mut().insert(ALLOW, allowed);
    response
}

fn problem(problem: &Problem) -> Response<Held> {
    let mut response = never_kept(response(problem.code.status(), JSON, problem.body()));
    let headers = response.headers_mut();
    // Not with 401: there the word would say what the message must not.
    if let Some(reason) = problem.reason
        && problem.code != Code::Unauthenticated
    {
        headers.insert(REASON, HeaderValue::from_static(reason));
    }
    if let Some(seconds) = problem.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Adds the correlation id.
pub(super) fn correlate(response: &mut Response<Held>, correlator: HeaderValue) {
    response.headers_mut().insert(CORRELATOR, correlator);
}

/// What is told of somebody is kept by nobody on the way.
fn never_kept(mut response: Response<Held>) -> Response<Held> {
    let never = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, never);
    response
}
