//! Fetching over HTTP/2 and TLS 1.3, with the caller's certificate: one connection, several
//! requests in flight, every answer with a limit.

use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use super::error::MirrorError;
use crate::connect::connect;
use crate::identity::{Endpoints, Identity, Roots};
use crate::unreached;

/// How long a connection may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// How long an answer may take, whole.
const ANSWER_DEADLINE: Duration = Duration::from_secs(60);
/// The most bytes of a refusal's words.
const WORDS_BYTES_MAX: usize = 4 << 10;
/// How often a request is sent again that came too early.
const TOO_EARLY_MAX: u32 = 20;
/// The longest wait for that which the broker may ask for.
const TOO_EARLY_WAIT_MAX: Duration = Duration::from_secs(5);
const PING_INTERVAL: Duration = Duration::from_secs(10);
const REASON: HeaderName = HeaderName::from_static("accord-reason");
const STATEMENT: HeaderName = HeaderName::from_static("accord-read-statement");

/// Where the tiles are.
pub(super) struct Https {
    uri: Uri,
    server_name: rustls_pki_types::ServerName<'static>,
    tls: TlsConnector,
    /// What the entries are read for; none: no entries are asked for.
    statement: Option<HeaderValue>,
    connection: Mutex<Option<SendRequest<Empty<Bytes>>>>,
}

impl std::fmt::Debug for Https {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Https")
            .field("uri", &self.uri)
            .finish_non_exhaustive()
    }
}

impl Https {
    /// Nothing is sent yet. Only the first of the endpoints is asked.
    pub(super) fn new(
        endpoints: Endpoints,
        roots: Roots,
        identity: Identity,
        statement: Option<HeaderValue>,
    ) -> Result<Self, rustls::Error> {
        let config = crate::connect::tls_config(roots, Some(identity))?;
        Ok(Self {
            uri: endpoints.uris.into_iter().next().unwrap_or_default(),
            server_name: endpoints.server_name,
            tls: TlsConnector::from(std::sync::Arc::new(config)),
            statement,
            connection: Mutex::default(),
        })
    }

    fn endpoint(&self) -> String {
        let authority = self.uri.authority();
        authority.map(ToString::to_string).unwrap_or_default()
    }

    /// Fetches what lies under a path, up to `bytes_max`. A request that came too early is sent
    /// again.
    pub(super) async fn get(&self, path: &str, bytes_max: usize) -> Result<Bytes, MirrorError> {
        let mut tried = 0;
        loop {
            let response = self.send(path).await?;
            let status = response.status().as_u16();
            if status == 429 && tried < TOO_EARLY_MAX {
                tried += 1;
                sleep(wait_of(&response)).await;
                continue;
            }
            if status != 200 {
                return Err(self.refused(path, response).await);
            }
            return self.body(path, response, bytes_max).await;
        }
    }

    async fn send(&self, path: &str) -> Result<Response<Incoming>, MirrorError> {
        let uri = Uri::builder()
            .scheme("https")
            .authority(self.endpoint())
            .path_and_query(path);
        let mut request = uri
            .build()
            .ok()
            .and_then(|uri| Request::get(uri).body(Empty::new()).ok())
            .ok_or_else(|| MirrorError::Answer {
                path: path.to_owned(),
                what: "can't be asked for: the path is none",
            })?;
        if let Some(statement) = &self.statement {
            let headers = request.headers_mut();
            headers.insert(STATEMENT, statement.clone());
        }
        let mut sender = self.connected().await?;
        match timeout(ANSWER_DEADLINE, sender.send_request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(self.broken(&error).await),
            Err(_) => Err(self.late().await),
        }
    }

    /// The connection, made when there is none.
    async fn connected(&self) -> Result<SendRequest<Empty<Bytes>>, MirrorError> {
        let mut connection = self.connection.lock().await;
        if let Some(sender) = connection.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let connecting = connect(self.uri.clone(), self.tls.clone(), self.server_name.clone());
        let stream = match timeout(CONNECT_DEADLINE, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                let endpoint = self.endpoint();
                let words = unreached::of_io(&endpoint, &error);
                return Err(self.unreachable(words));
            }
            Err(_) => return Err(self.unreachable("no connection in time".to_owned())),
        };
        let handshake = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(stream))
            .await;
        let (sender, driving) = handshake.map_err(|error| self.unreachable(error.to_string()))?;
        // How it ends, its requests say.
        tokio::spawn(async move { drop(driving.await) });
        *connection = Some(sender.clone());
        Ok(sender)
    }

    async fn body(
        &self,
        path: &str,
        response: Response<Incoming>,
        bytes_max: usize,
    ) -> Result<Bytes, MirrorError> {
        let body = Limited::new(response.into_body(), bytes_max).collect();
        match timeout(ANSWER_DEADLINE, body).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                Err(MirrorError::Answer {
                    path: path.to_owned(),
                    what: "is longer than what lies there can be",
                })
            }
            Ok(Err(error)) => Err(self.broken(&*error).await),
            Err(_) => Err(self.late().await),
        }
    }

    async fn refused(&self, path: &str, response: Response<Incoming>) -> MirrorError {
        let status = response.status();
        let reason = response.headers().get(REASON).cloned();
        let reason = reason.as_ref().and_then(|reason| reason.to_str().ok());
        let reason = reason.map_or_else(|| status.to_string(), str::to_owned);
        let body = Limited::new(response.into_body(), WORDS_BYTES_MAX).collect();
        let words = match timeout(ANSWER_DEADLINE, body).await {
            Ok(Ok(words)) => String::from_utf8_lossy(&words.to_bytes()).into_owned(),
            Ok(Err(_)) | Err(_) => String::new(),
        };
        // Only one line, and nothing that moves a person's cursor.
        let message: String = words.trim().chars().filter(|c| !c.is_control()).collect();
        MirrorError::Refused {
            path: path.to_owned(),
            status: status.as_u16(),
            reason,
            message,
        }
    }

    async fn broken(&self, error: &(dyn std::error::Error + 'static)) -> MirrorError {
        *self.connection.lock().await = None;
        self.unreachable(format!("the connection broke: {error}"))
    }

    async fn late(&self) -> MirrorError {
        *self.connection.lock().await = None;
        self.unreachable("no answer in time".to_owned())
    }

    fn unreachable(&self, why: String) -> MirrorError {
        MirrorError::Unreachable {
            endpoint: self.endpoint(),
            why,
        }
    }
}

fn wait_of(response: &Response<Incoming>) -> Duration {
    let seconds = response.headers().get(RETRY_AFTER);
    let seconds = seconds.and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(1)).min(TOO_EARLY_WAIT_MAX)
}
