//! A small server that takes signed webhooks, by the rules of
//! [Standard Webhooks](https://www.standardwebhooks.com): `webhook-id`, `webhook-timestamp` and
//! `webhook-signature: v1,base64(HMAC-SHA256(secret, id.timestamp.body))`.
//!
//! It answers 204 when what came is on the disk, and not before; whoever hears anything else, or
//! nothing, sends again. That a request comes twice changes nothing (see `line.rs`), so no ids are
//! kept; an old one that somebody caught is refused by its timestamp.

mod secrets;

use std::convert::Infallible;
use std::io;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use accord_proto::secret::Secret;
use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use self::secrets::secrets;
use super::config::WebhookSection;
use super::envelope::{self, BATCH_MAX, EVENT_BYTES_MAX};
use super::{EventSource, StoreError, TakeError};
use crate::{
    source::{Condition, words},
    tls_files,
};

/// Where events are posted to.
pub const PATH: &str = "/events";
/// A connection may take so long to shake hands, and a request so long to come whole.
const REQUEST_MAX: Duration = Duration::from_secs(10);
/// A connection ends after so long; whoever has more to say comes again.
const CONNECTION_MAX: Duration = Duration::from_secs(300);
/// How long to wait where the system gives no connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const RETRY: Duration = Duration::from_secs(2);
const HEADER_BYTES_MAX: usize = 16_384;
const SIGNATURES_MAX: usize = 8;

/// Serves for ever.
pub(super) async fn serve(source: &EventSource, section: &WebhookSection) {
    loop {
        let why = match serve_once(source, section).await {
            Ok(()) => "the listener ended".to_owned(),
            Err(why) => why,
        };
        source.ill(Condition::Down, why);
        sleep(RETRY).await;
    }
}

/// Whether it could be served, without listening: its port is the running adapter's.
pub(super) fn try_out(source: &EventSource, section: &WebhookSection) {
    let secrets = secrets(&section.secret_file).map_err(|error| words(&error));
    match tls(section).and(secrets) {
        Ok(_) => source.tried(None),
        Err(why) => source.ill(Condition::Down, why),
    }
}

async fn serve_once(source: &EventSource, section: &WebhookSection) -> Result<(), String> {
    let tls = tls(section)?;
    // Whether there is a secret shows at the start, not with the first request.
    secrets(&section.secret_file).map_err(|error| words(&error))?;
    let listener = TcpListener::bind(section.listen).await;
    let listener = listener
        .map_err(|error| format!("can't listen on `{}`: {}", section.listen, error.kind()))?;
    source.listening.send_replace(listener.local_addr().ok());
    source.well();
    let permits = Arc::new(Semaphore::new(section.connections_max));
    let rate = NonZeroU32::new(section.requests_per_second).unwrap_or(NonZeroU32::MIN);
    let door = Door {
        source,
        section,
        rate: RateLimiter::direct(Quota::per_second(rate)),
    };
    let mut connections = futures_util::stream::FuturesUnordered::new();
    let mut refused = false;
    loop {
        let permit = Arc::clone(&permits).acquire_owned();
        tokio::select! {
            // Beyond `connections_max` they wait in the system's queue, which is short.
            accepted = async { (permit.await, accept(&listener).await) } => {
                let (permit, stream) = match accepted {
                    (Ok(permit), Ok(stream)) => (permit, stream),
                    (_, Err(error)) => {
                        let why = format!("can't take connections: {}", error.kind());
                        source.ill(Condition::Down, why);
                        refused = true;
                        continue;
                    }
                    (Err(_), Ok(_)) => continue,
                };
                if std::mem::take(&mut refused) {
                    source.well();
                }
                let door = &door;
                let tls = tls.clone();
                connections.push(async move {
                    door.connection(stream, tls).await;
                    drop(permit);
                });
            }
            Some(()) = futures_util::StreamExt::next(&mut connections) => {}
        }
    }
}

/// The next connection. Where the system gives none, as to a process that has too many files open, it
/// does not give one at once either.
async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    match listener.accept().await {
        Ok((stream, _)) => Ok(stream),
        Err(error) => {
            sleep(ACCEPT_PAUSE).await;
            Err(error)
        }
    }
}

struct Door<'a> {
    source: &'a EventSource,
    section: &'a WebhookSection,
    rate: DefaultDirectRateLimiter,
}

impl Door<'_> {
    async fn connection(&self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        // Requests are small and waited for.
        let _ = stream.set_nodelay(true);
        match tls {
            None => self.requests(stream).await,
            Some(tls) => {
                if let Ok(Ok(stream)) = timeout(REQUEST_MAX, tls.accept(stream)).await {
                    self.requests(stream).await;
                }
            }
        }
    }

    async fn requests<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) {
        let answer = service_fn(|request: Request<Incoming>| async move {
            let (status, text) = self.answer(request).await;
            let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
            *response.status_mut() = status;
            Ok::<_, Infallible>(response)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(REQUEST_MAX)
            .max_buf_size(HEADER_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), answer);
        // Who breaks off, or sends no HTTP, sends again.
        let _ = timeout(CONNECTION_MAX, connection).await;
    }

    async fn answer(&self, request: Request<Incoming>) -> (StatusCode, &'static str) {
        if request.uri().path() != PATH {
            return (StatusCode::NOT_FOUND, "events are posted to /events\n");
        }
        if request.method() != Method::POST {
            return (StatusCode::METHOD_NOT_ALLOWED, "events are posted\n");
        }
        if self.rate.check().is_err() {
            return (StatusCode::TOO_MANY_REQUESTS, "too many requests\n");
        }
        let (head, body) = request.into_parts();
        let whole = Limited::new(body, EVENT_BYTES_MAX * BATCH_MAX).collect();
        let body = match timeout(REQUEST_MAX, whole).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                return (StatusCode::PAYLOAD_TOO_LARGE, "too large\n");
            }
            Ok(Err(_)) => return (StatusCode::BAD_REQUEST, "the body broke off\n"),
            Err(_) => return (StatusCode::REQUEST_TIMEOUT, "the body took too long\n"),
        };
        let now = self.source.clock.now();
        let secrets = match secrets(&self.section.secret_file) {
            Ok(secrets) => secrets,
            Err(error) => {
                self.source.ill(Condition::Down, words(&error));
                return (StatusCode::SERVICE_UNAVAILABLE, "no secret\n");
            }
        };
        let window = i64::from(self.section.replay_window_s);
        if let Err(why) = check(&head.headers, &body, &secrets, now, window) {
            return (StatusCode::UNAUTHORIZED, why);
        }
        let events = match envelope::parse_batch(&body) {
            Ok(events) => events,
            Err(error) => return (StatusCode::BAD_REQUEST, said(error)),
        };
        match self.source.take(events).await {
            Ok(()) => (StatusCode::NO_CONTENT, ""),
            Err(TakeError::Future) => (StatusCode::BAD_REQUEST, "`time` lies in the future\n"),
            Err(TakeError::Past) => (StatusCode::BAD_REQUEST, "`time` lies before `earliest`\n"),
            Err(TakeError::Producer) => {
                (StatusCode::BAD_REQUEST, "`source` is none of `producers`\n")
            }
            Err(error @ (TakeError::Store(_) | TakeError::Stopping)) => {
                if matches!(error, TakeError::Store(StoreError::Full)) {
                    // However often it comes, it is never taken: as good as lost.
                    self.source.lost(words(&error));
                }
                self.source.ill(Condition::Unusable, words(&error));
                (StatusCode::SERVICE_UNAVAILABLE, "not taken; send again\n")
            }
        }
    }
}

const fn said(error: envelope::EnvelopeError) -> &'static str {
    use envelope::EnvelopeError::{Data, Name, Shape, Size, Subject, Time};
    match error {
        Data => "`data` does not fit `type`\n",
        Name => "`id` and `source` have 1 to 128 bytes\n",
        Shape => "no JSON object, or array of objects, with `id`, `source`, `type` and `time`\n",
        Size => "too many events, or too large ones\n",
        Subject => "`subject` is a number in E.164 form\n",
        Time => "`time` is an instant as in RFC 3339\n",
    }
}

/// Whether a request was signed under one of the secrets, a short while ago.
fn check(
    headers: &HeaderMap,
    body: &[u8],
    secrets: &[Secret<Vec<u8>>],
    now: Timestamp,
    window: i64,
) -> Result<(), &'static str> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let id = header("webhook-id").ok_or("no `webhook-id`\n")?;
    let at = header("webhook-timestamp").ok_or("no `webhook-timestamp`\n")?;
    let signatures = header("webhook-signature").ok_or("no `webhook-signature`\n")?;
    let seconds: i64 = at
        .parse()
        .map_err(|_| "`webhook-timestamp` is no number\n")?;
    let signed = [id.as_bytes(), b".", at.as_bytes(), b".", body].concat();
    let good = signatures
        .split(' ')
        .take(SIGNATURES_MAX)
        .filter_map(|one| BASE64_STANDARD.decode(one.strip_prefix("v1,")?).ok())
        .any(|signature| {
            secrets.iter().any(|secret| {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
                hmac::verify(&key, &signed, &signature).is_ok()
            })
        });
    if !good {
        return Err("no signature is good\n");
    }
    if now.as_second().saturating_sub(seconds).saturating_abs() > window {
        return Err("`webhook-timestamp` is too old, or lies ahead\n");
    }
    Ok(())
}

/// Whether `webhook-id`, `webhook-timestamp` and `webhook-signature` sign a body under a secret, five
/// minutes ago at most: for fuzz targets.
#[cfg(any(test, feature = "test-util"))]
#[must_use]
pub fn is_signed(headers: [&[u8]; 3], body: &[u8], secret: &[u8], now: Timestamp) -> bool {
    let mut map = HeaderMap::new();
    for (name, value) in ["webhook-id", "webhook-timestamp", "webhook-signature"]
        .into_iter()
        .zip(headers)
    {
        let Ok(value) = http::HeaderValue::from_bytes(value) else {
            return false;
        };
        map.insert(name, value);
    }
    check(&map, body, &[Secret::new(secret.to_vec())], now, 300).is_ok()
}

/// What a producer sends beside a body: for tests, and for who writes one in Rust.
///
/// # Errors
/// If the secret is none.
pub fn sign(
    secret: &str,
    id: &str,
    at: Timestamp,
    body: &[u8],
) -> Result<[(&'static str, String); 3], &'static str> {
    let base64 = secret.strip_prefix("whsec_").ok_or("no `whsec_` secret")?;
    let bytes = BASE64_STANDARD.decode(base64).map_err(|_| "no base64")?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
    let seconds = at.as_second().to_string();
    let signed = [id.as_bytes(), b".", seconds.as_bytes(), b".", body].concat();
    let signature = BASE64_STANDARD.encode(hmac::sign(&key, &signed));
    Ok([
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", seconds),
        ("webhook-signature", format!("v1,{signature}")),
    ])
}

fn tls(section: &WebhookSection) -> Result<Option<TlsAcceptor>, String> {
    let (Some(certificate), Some(key)) = (&section.certificate, &section.key) else {
        return Ok(None);
    };
    let config = tls_files::server_config(certificate, key).map_err(|error| words(&error))?;
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification.
    #[test]
    fn the_example_of_the_specification_is_good_and_nothing_else_is() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let (id, seconds) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330);
        let body = br#"{"test": 2432232314}"#;
        let at = Timestamp::from_second(seconds).unwrap();
        let headers = sign(secret, id, at, body).unwrap();
        assert_eq!(
            headers[2].1,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
        let map = |headers: &[(&'static str, String)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().unwrap());
            }
            map
        };
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        let old = format!("whsec_{}", BASE64_STANDARD.encode([7; 32]));
        std::fs::write(&file, format!("{old}\n{secret}\n")).unwrap();
        let secrets = secrets(&file).unwrap();
        let good = map(&headers);
        assert_eq!(check(&good, body, &secrets, at, 300), Ok(()));
        assert!(check(&good, b"{}", &secrets, at, 300).is_err());
        let later = Timestamp::from_second(seconds + 301).unwrap();
        assert!(
            check(&good, body, &secrets, later, 300)
                .unwrap_err()
                .contains("too old")
        );
        let [first, ..] = secrets.as_slice() else {
            panic!("two secrets");
        };
        assert!(check(&good, body, std::slice::from_ref(first), at, 300).is_err());
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            let mut less = good.clone();
            less.remove(name);
            assert!(
                check(&less, body, &secrets, at, 300)
                    .unwrap_err()
                    .contains(name)
            );
        }
    }
}
