//! HTTPS to the upstream: connections that are kept, and a limit on everything.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::{
    HeaderValue, Method, Request, StatusCode, Uri,
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
    task::unconstrained,
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

/// Where an API's operation or the token endpoint is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// As it is resolved, and as it stands in certificates.
    host: Arc<str>,
    port: u16,
    /// Both, as the `Host` header has them.
    authority: HeaderValue,
    /// The path alone.
    uri: Uri,
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
        let (host, port) = (authority.host(), authority.port_u16().unwrap_or(443));
        let header = HeaderValue::try_from(format!("{host}:{port}"));
        Ok(Self {
            host: host.trim_matches(['[', ']']).into(),
            port,
            authority: header.map_err(|_| "names a host that is none")?,
            uri: path(uri.path().trim_end_matches('/')).ok_or("has a path that is none")?,
        })
    }

    /// An operation of what is here. Its name is of the unreserved characters of RFC 3986.
    pub(super) fn below(self, operation: &'static str) -> Self {
        let uri = path(&format!(
            "{}/{operation}",
            self.uri.path().trim_end_matches('/')
        ));
        Self {
            uri: uri.unwrap_or_default(),
            ..self
        }
    }

    fn is_at(&self, other: &Self) -> bool {
        self.port == other.port && self.host == other.host
    }
}

fn path(path: &str) -> Option<Uri> {
    let path = if path.is_empty() { "/" } else { path };
    path.parse().ok()
}

/// What is sent.
pub(super) struct Post<'a> {
    pub(super) place: &'a Place,
    pub(super) content_type: &'static str,
    pub(super) authorization: Option<HeaderValue>,
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
    place: Place,
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
    /// Never more than were in flight at once; the one that was used last is at the end.
    idle: Mutex<Vec<Line>>,
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
            self.keep(line);
            return Ok(said);
        }
        // Rare and large: in a box, it is not carried along by each question.
        let mut line = Box::pin(self.connect(post.place)).await?;
        let said = line.exchange(post).await?;
        self.keep(line);
        Ok(said)
    }

    async fn connect(&self, place: &Place) -> Result<Line, HttpError> {
        let tcp = TcpStream::connect((&*place.host, place.port));
        let tcp = tcp
            .await
            .map_err(|error| HttpError::Connect(Unreached::from(&error)))?;
        let name = ServerName::try_from(place.host.to_string())
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
            place: place.clone(),
            sender,
            connection: Box::pin(connection),
            ended: false,
            used: Instant::now(),
        })
    }

    fn kept(&self, place: &Place) -> Option<Line> {
        let mut idle = self.idle();
        let at = idle.iter().rposition(|line| line.place.is_at(place))?;
        Some(idle.remove(at))
    }

    fn keep(&self, mut line: Line) {
        line.rest();
        if !line.ended {
            let now = Instant::now();
            line.used = now;
            let mut idle = self.idle();
            idle.retain(|line| now.duration_since(line.used) < IDLE_MAX);
            idle.push(line);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Line>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
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
        // All that it waits for comes from the connection, after which it is looked at: so nobody is to
        // be woken for it, and what was sent or read goes through in one go. A budget of tokio's that is
        // used up would be another thing to wait for; the connection is bound by it.
        let mut exchange = pin!(unconstrained(send(sender, post)));
        poll_fn(|cx| {
            let mut nobody = Context::from_waker(Waker::noop());
            if let Poll::Ready(said) = exchange.as_mut().poll(&mut nobody) {
                return Poll::Ready(said);
            }
            *ended = connection.as_mut().poll(cx).is_ready();
            let said = exchange.as_mut().poll(&mut nobody);
            if said.is_pending() && *ended {
                return Poll::Ready(Err(HttpError::Broken));
            }
            said
        })
        .await
    }

    /// Ends what the last exchange began, so that the next one can be sent at once; and forgets who is to be
    /// woken for it, who has other things to do by then.
    fn rest(&mut self) {
        if !self.ended {
            let mut nobody = Context::from_waker(Waker::noop());
            self.ended = self.connection.as_mut().poll(&mut nobody).is_ready();
        }
    }
}

async fn send(sender: &mut SendRequest<Full<Bytes>>, post: &Post<'_>) -> Result<Said, HttpError> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(post.place.uri.clone())
        .header(HOST, post.place.authority.clone())
        .header(ACCEPT, HeaderValue::from_static("application/json"))
        .header(CONTENT_TYPE, HeaderValue::from_static(post.content_type));
    if let Some(authorization) = &post.authorization {
        request = request.header(AUTHORIZATION, authorization.clone());
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
        assert_eq!((&*place.host, place.port), ("api.example", 443));
        assert_eq!(place.uri, "/sim-swap/v2");
        assert_eq!(place.below("check").uri, "/sim-swap/v2/check");
        // The root is a path too, and an address of IPv6 stands in brackets.
        let place = Place::parse("https://[::1]:8443").unwrap();
        assert_eq!((&*place.host, &place.uri), ("::1", &Uri::from_static("/")));
        assert_eq!(place.authority, "[::1]:8443");
        assert_eq!(place.below("check").uri, "/check");
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
