//! What the tiles' door answers, and the one header that it reads.

use accord_proto::{
    statement::{Statement, missing},
    v1,
    wire::FieldError,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, HeaderName, RETRY_AFTER},
};
use hyper::body::Incoming as Body;
use jiff::civil::Date;
use prost::Message as _;

use crate::{
    doors::https::{Held, response},
    path::{Class, Refusal},
};

const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";
/// Full tiles and bundles never change. `private`: they are for whoever showed a certificate.
const FOREVER: &str = "private, max-age=31536000, immutable";
/// Parts never change either, but they may vanish once the whole is there.
const A_WHILE: &str = "private, max-age=60";
/// Only the newest checkpoint is of use.
const NEVER: &str = "no-store";
/// The word for programs, beside the reason in words.
const REASON: HeaderName = HeaderName::from_static("accord-reason");
/// What a reader of entries states of its request (rule R37): a serialised `ReadStatement` in
/// base64, since HTTP headers are ASCII.
const STATEMENT: HeaderName = HeaderName::from_static("accord-read-statement");

pub(super) fn text(body: String) -> Response<Held> {
    cached(response(StatusCode::OK, TEXT, body), NEVER)
}

pub(super) fn hashes(bytes: Vec<u8>, full: bool) -> Response<Held> {
    let life = if full { FOREVER } else { A_WHILE };
    cached(response(StatusCode::OK, BYTES, bytes), life)
}

pub(super) fn entries(held: Held, full: bool) -> Response<Held> {
    let life = if full { FOREVER } else { A_WHILE };
    let empty = response(StatusCode::OK, BYTES, "");
    cached(empty.map(|_| held), life)
}

pub(super) fn not_get() -> Response<Held> {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let mut response = response(status, TEXT, "GET only\n");
    let get = HeaderValue::from_static("GET");
    response.headers_mut().insert(ALLOW, get);
    response
}

pub(super) fn refused(refusal: &Refusal) -> Response<Held> {
    let status = match refusal.class() {
        // There is nothing to log in with: the certificate is all there is.
        Class::Unauthenticated | Class::PermissionDenied | Class::FailedPrecondition => {
            StatusCode::FORBIDDEN
        }
        Class::InvalidArgument | Class::AlreadyExists => StatusCode::BAD_REQUEST,
        Class::NotFound => StatusCode::NOT_FOUND,
        Class::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Class::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = cached(response(status, TEXT, format!("{refusal}\n")), NEVER);
    let headers = response.headers_mut();
    headers.insert(REASON, HeaderValue::from_static(refusal.reason()));
    if let Some(wait) = refusal.retry_after() {
        // In whole seconds, and never at once.
        headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    response
}

fn cached(mut response: Response<Held>, life: &'static str) -> Response<Held> {
    let life = HeaderValue::from_static(life);
    response.headers_mut().insert(CACHE_CONTROL, life);
    response
}

/// The header in which a reader of entries states what it reads them for.
pub(super) fn statement_header(request: &Request<Body>) -> Result<&[u8], Refusal> {
    let header = request.headers().get(STATEMENT);
    let header = header.ok_or_else(missing)?;
    Ok(header.as_bytes())
}

/// What the header says.
pub(super) fn statement(header: &[u8], today: Date) -> Result<Statement, Refusal> {
    let bytes = BASE64_STANDARD.decode(header);
    let bytes = bytes.map_err(|_| wrong("is base64"))?;
    let statement = v1::ReadStatement::decode(bytes.as_slice());
    let statement = statement.map_err(|_| wrong("is an encoded `ReadStatement`"))?;
    Ok(Statement::parse(&statement, today)?)
}

fn wrong(rule: &str) -> Refusal {
    FieldError::new(STATEMENT.as_str(), rule).into()
}
