//! HTTPS to the upstream: connections that are kept, and a limit on everything.

use std::{
    collections::HashMap,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::{Either, select};
use http::{
    Method, Request, StatusCode, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER},
};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    body::Bytes,
    client::conn::http1::{self, Connection, SendRequest},
};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::{
    net::TcpStream,
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::config::{CamaraConfig, CamaraError};
use crate::{
    tls_files,
    unreached::{Unreached, has_good_port, tls_trouble},
};

/// The header of another Accord's door, a byte sequence (RFC 8941).
const ACCORD_ANSWER: &str = "accord-answer";
/// The longest answer. Those of the APIs have a few hundred bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// The longest wait that an upstream is granted with `Retry-After`.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// A connection that nobody used for so long is closed by the upstream too, or soon.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// Why there is no answer; `Fault` has the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HttpError {
    /// Too many exchanges at once.
    Busy,
    Timeout,
    Connect(Unreached),
    Tls(&'static str),
    /// The connection broke.
    Broken,
    TooLong,
}

/// Where an API or the token endpoint is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    host: String,
    port: u16,
    /// Without a slash at its end.
    path: String,
}

impl Place {
    pub(super) fn parse(url: &str) -> Result<Self, &'static str> {
        let uri: Uri = url.parse().map_err(|_| "is no URL")?;
        if uri.scheme_str() != Some("https") {
            return Err("begins with `https://`");
        }
        if uri.query().is_some() {
            return Err("has no query");
        }
        let authority = uri.authority().ok_or("names no host")?;
        if authority.as_str().contains('@') {
            return Err("holds no credentials");
        }
        if !has_good_port(authority) {
            return Err("has a port that is none");
        }
        Ok(Self {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(443),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

/// What is sent.
pub(super) struct Post<'a> {
    pub(super) place: &'a Place,
    /// Below the place; may be empty.
    pub(super) operation: &'a str,
    pub(super) content_type: &'static str,
    /// The whole header, which is never logged.
    pub(super) authorization: Option<String>,
    pub(super) body: Bytes,
}

/// What came.
pub(super) struct Said {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    /// What an Accord says beside the body. Of several there is an empty one, which can't be read: nobody can say which is true.
    pub(super) accord_answer: Option<Bytes>,
    pub(super) body: Bytes,
}

type Driven = Connection<TokioIo<TlsStream<TcpStream>>, Full<Bytes>>;

/// A connection, driven by whoever uses it: so a question passes through no other task, and a
/// connection goes with the exchange that was given up on it.
struct Line {
    sender: SendRequest<Full<Bytes>>,
    connection: Pin<Box<Driven>>,
    ended: bool,
    used: Instant,
}

/// Connections to the upstream.
pub(super) struct Http {
    tls: TlsConnector,
    timeout: Duration,
    in_flight: Semaphore,
    /// By host and port. Never more than were in flight at once.
    idle: Mutex<HashMap<(String, u16), Vec<Line>>>,
}

impl Http {
    pub(super) fn new(config: &CamaraConfig) -> Result<Self, CamaraError> {
        Ok(Self {
            tls: TlsConnector::from(Arc::new(client_config(config)?)),
            timeout: Duration::from_millis(config.request_timeout_ms),
            in_flight: Semaphore::new(config.requests_max),
            idle: Mutex::default(),
        })
    }

    /// The time for one exchange.
    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// One exchange, within the deadline and the time for one exchange, however slowly it comes.
    pub(super) async fn post(&self, post: &Post<'_>, deadline: Instant) -> Result<Said, HttpError> {
        let _permit = self.in_flight.try_acquire().map_err(|_| HttpError::Busy)?;
        let deadline = deadline.min(Instant::now() + self.timeout);
        let exchanged = timeout_at(deadline, self.exchange(post)).await;
        exchanged.map_err(|_| HttpError::Timeout)?
    }

    async fn exchange(&self, post: &Post<'_>) -> Result<Said, HttpError> {
        // A connection that was kept may have been closed meanwhile. To ask again is safe: these
        // are questions.
        if let Some(mut line) = self.kept(post.place)
            && let Ok(said) = line.exchange(post).await
        {
            self.keep(post.place, line);
            return Ok(said);
        }
        // Rare and large: in a box, it is not carried along by each question.
        let mut line = Box::pin(self.connect(post.place)).await?;
        let said = line.exchange(post).await?;
        self.keep(post.place, line);
        Ok(said)
    }

    async fn connect(&self, place: &Place) -> Result<Line, HttpError> {
        let tcp = TcpStream::connect((place.host.as_str(), place.port));
        let tcp = tcp
            .await
            .map_err(|error| HttpError::Connect(Unreached::from(&error)))?;
        let name = ServerName::try_from(place.host.clone())
            .map_err(|_| HttpError::Tls("its name can stand in no certificate"))?;
        let stream = self
            .tls
            .connect(name, tcp)
            .await
            .map_err(|error| HttpError::Tls(tls_trouble(&error)))?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|_| HttpError::Broken)?;
        Ok(Line {
            sender,
            connection: Box::pin(connection),
            ended: false,
            used: Instant::now(),
        })
    }

    fn kept(&self, place: &Place) -> Option<Line> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.get_mut(&(place.host.clone(), place.port))?.pop()
    }

    fn keep(&self, place: &Place, mut line: Line) {
        if !line.ended {
            let now = Instant::now();
            line.used = now;
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let lines = idle.entry((place.host.clone(), place.port)).or_default();
            lines.retain(|line| now.duration_since(line.used) < IDLE_MAX);
            lines.push(line);
        }
    }
}

impl Line {
    async fn exchange(&mut self, post: &Post<'_>) -> Result<Said, HttpError> {
        let Self {
            sender,
            connection,
            ended,
            ..
        } = self;
        let exchange = pin!(send(sender, post));
        match select(exchange, connection).await {
            Either::Left((said, _)) => said,
            // What it had read by then is there to be taken.
            Either::Right((_, exchange)) => {
                *ended = true;
                exchange.await
            }
        }
    }
}

async fn send(sender: &mut SendRequest<Full<Bytes>>, post: &Post<'_>) -> Result<Said, HttpError> {
    let Place { host, port, path } = post.place;
    let slash = if post.operation.is_empty() { "" } else { "/" };
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(format!("{path}{slash}{}", post.operation))
        .header(HOST, format!("{host}:{port}"))
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, post.content_type);
    if let Some(authorization) = &post.authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    let request = request
        .body(Full::new(post.body.clone()))
        .map_err(|_| HttpError::Broken)?;
    sender.ready().await.map_err(|_| HttpError::Broken)?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|_| HttpError::Broken)?;
    let status = response.status();
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
    let mut answers = response.headers().get_all(ACCORD_ANSWER).into_iter();
    let accord_answer = match (answers.next(), answers.next()) {
        (Some(one), None) => Some(Bytes::copy_from_slice(one.as_bytes())),
        (Some(_), Some(_)) => Some(Bytes::new()),
        (None, _) => None,
    };
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await;
    let body =
        body.map_err(
            |error| match error.downcast::<http_body_util::LengthLimitError>() {
                Ok(_) => HttpError::TooLong,
                Err(_) => HttpError::Broken,
            },
        )?;
    Ok(Said {
        status,
        retry_after,
        accord_answer,
        body: body.to_bytes(),
    })
}

fn client_config(config: &CamaraConfig) -> Result<ClientConfig, CamaraError> {
    let (certificate, key) = (&config.certificate_file, &config.key_file);
    let identity = certificate.as_deref().zip(key.as_deref());
    Ok(tls_files::client_config(&config.roots_file, identity)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart_and_odd_ones_refused() {
        let place = Place::parse("https://api.example/sim-swap/v2/").unwrap();
        assert_eq!((place.host.as_str(), place.port), ("api.example", 443));
        assert_eq!(place.path, "/sim-swap/v2");
        for (odd, rule) in [
            ("http://api.example", "https"),
            ("api.example/x", "URL"),
            ("https://api.example/?x=y", "query"),
            ("https://me:secret@api.example/", "credentials"),
            ("https://api.example:port/", "port"),
            ("https://api.example:65536/", "port"),
        ] {
            assert!(Place::parse(odd).unwrap_err().contains(rule), "{odd}");
        }
    }
}
