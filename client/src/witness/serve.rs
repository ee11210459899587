//! The witness's door: HTTP, as C2SP `tlog-witness` has it.
//!
//! ```text
//! POST /add-checkpoint                   200 signature line   400 403 404 409 422 500
//! GET  /<sha256 of origin>/checkpoint    200 the checkpoint seen last   404
//! ```
//!
//! Whoever asks is not asked who it is: the log's signature is what counts, and a checkpoint holds
//! no secret.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use accord_proto::c2sp::witness::{ADD_CHECKPOINT, REQUEST_BYTES_MAX, SIZE_MEDIA_TYPE};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::callers::Callers;
use super::{NotCosigned, Witness};
use crate::receipt::chain;

/// Connections at once.
const CONNECTIONS_MAX: usize = 64;
/// For how long a caller may take to send its headers, and then its body.
const SEND_DEADLINE: Duration = Duration::from_secs(5);
/// For how long a connection may take in all.
const CONNECTION_DEADLINE: Duration = Duration::from_secs(15);
/// After a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const TEXT: &str = "text/plain; charset=utf-8";
/// Digits of a SHA-256 in hexadecimal.
const SHA256_DIGITS: usize = 64;

/// What the witness says of a request, for whoever runs it.
pub type OnAnswer = Arc<dyn Fn(&str) + Send + Sync>;

/// Serves until it is dropped. `on_answer` is told of each checkpoint in one line.
pub async fn serve(listener: TcpListener, witness: Arc<Witness>, on_answer: OnAnswer) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let callers = Arc::new(Callers::default());
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let Ok((stream, from)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Closed without a word: whoever has this many waits for its own.
        let Some(call) = callers.enter(from.ip()) else {
            continue;
        };
        let (witness, on_answer) = (Arc::clone(&witness), Arc::clone(&on_answer));
        tokio::spawn(async move {
            let answer = service_fn(|request| {
                let (witness, on_answer) = (Arc::clone(&witness), Arc::clone(&on_answer));
                async move { Ok::<_, Infallible>(answer(request, witness, &on_answer).await) }
            });
            let serving = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(SEND_DEADLINE)
                // One question a connection: who keeps one open keeps others out.
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), answer);
            let served = timeout(CONNECTION_DEADLINE, serving).await;
            // A connection that broke asked nothing more.
            drop(served);
            drop((call, permit));
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    witness: Arc<Witness>,
    on_answer: &OnAnswer,
) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    match (request.method(), path.as_str()) {
        (&Method::POST, ADD_CHECKPOINT) => {
            let body = Limited::new(request.into_body(), REQUEST_BYTES_MAX).collect();
            let body = match timeout(SEND_DEADLINE, body).await {
                Ok(Ok(body)) => body.to_bytes(),
                Ok(Err(_)) | Err(_) => {
                    let why = "the body is too long, too slow, or broke off\n";
                    return response(StatusCode::BAD_REQUEST, TEXT, why.to_owned());
                }
            };
            // It waits for the disk.
            let added = spawn_blocking(move || add(&witness, &body)).await;
            let (response, said) = added.unwrap_or_else(|_| broke_off());
            on_answer(&said);
            response
        }
        (&Method::GET, path) => seen(path, witness).await,
        (_, _) => response(
            StatusCode::METHOD_NOT_ALLOWED,
            TEXT,
            "POST /add-checkpoint, or GET /<sha256 of origin>/checkpoint\n".to_owned(),
        ),
    }
}

type Answer = (Response<Full<Bytes>>, String);

fn add(witness: &Witness, body: &[u8]) -> Answer {
    let Ok(body) = str::from_utf8(body) else {
        let said = "the request is not UTF-8".to_owned();
        let answer = response(StatusCode::BAD_REQUEST, TEXT, format!("{said}\n"));
        return (answer, said);
    };
    match witness.add_checkpoint(body) {
        Ok(seen) => {
            let answer = response(StatusCode::OK, TEXT, format!("{}\n", seen.cosignature));
            (
                answer,
                format!("{}: cosigned {} entries", seen.origin, seen.size),
            )
        }
        Err(error) => {
            let said = format!("not cosigned: {}", chain(&error));
            let (kind, body) = match error.seen() {
                Some(size) => (SIZE_MEDIA_TYPE, format!("{size}\n")),
                None => (TEXT, format!("{}\n", chain(&error))),
            };
            (response(status(&error), kind, body), said)
        }
    }
}

const fn status(error: &NotCosigned) -> StatusCode {
    match error {
        NotCosigned::Malformed(_) | NotCosigned::Contradiction(_) => StatusCode::BAD_REQUEST,
        NotCosigned::UnknownLog { .. } => StatusCode::NOT_FOUND,
        NotCosigned::Signature(_) => StatusCode::FORBIDDEN,
        NotCosigned::Conflict { .. } => StatusCode::CONFLICT,
        NotCosigned::Inconsistent { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        NotCosigned::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

async fn seen(path: &str, witness: Arc<Witness>) -> Response<Full<Bytes>> {
    let origin = path
        .strip_prefix('/')
        .and_then(|path| path.strip_suffix("/checkpoint"))
        .filter(|name| name.len() == SHA256_DIGITS)
        .filter(|name| {
            name.bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        });
    let Some(origin) = origin.map(str::to_owned) else {
        let why = "there are /add-checkpoint and /<sha256 of origin>/checkpoint\n";
        return response(StatusCode::NOT_FOUND, TEXT, why.to_owned());
    };
    match spawn_blocking(move || witness.seen(&origin)).await {
        Ok(Ok(Some(note))) => response(StatusCode::OK, TEXT, note),
        Ok(Ok(None)) => {
            let why = "this witness has seen no checkpoint of that log\n";
            response(StatusCode::NOT_FOUND, TEXT, why.to_owned())
        }
        Ok(Err(error)) => response(
            StatusCode::INTERNAL_SERVER_ERROR,
            TEXT,
            format!("{}\n", chain(&error)),
        ),
        Err(_) => broke_off().0,
    }
}

fn broke_off() -> Answer {
    let said = "the witness broke off".to_owned();
    let answer = response(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{said}\n"));
    (answer, said)
}

fn response(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
