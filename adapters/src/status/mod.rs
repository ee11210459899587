//! The operator's status page and metrics, in clear on loopback: how each source is, what it was
//! asked, how long it took, which brokers are attached, and how far the journal has come. No
//! subscriber, no bank.

mod metrics;
mod page;
#[cfg(test)]
mod tests;

use std::{convert::Infallible, fmt, sync::Arc};

use http::{HeaderValue, Method, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use tokio::{net::TcpListener, sync::Semaphore, time::Duration};

use crate::{runtime::RuntimeWatch, several::Several};

/// Connections at once.
const CONNECTIONS_MAX: usize = 16;
/// For how long a client may take to send its headers.
const HEADER_DEADLINE: Duration = Duration::from_secs(5);
/// For how long a client may take altogether.
const CONNECTION_MAX: Duration = Duration::from_secs(10);
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// What the page shows.
#[derive(Clone)]
pub struct Status {
    sources: Arc<Several>,
    runtime: RuntimeWatch,
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Status").finish_non_exhaustive()
    }
}

impl Status {
    /// The status of a running adapter.
    #[must_use]
    pub const fn new(sources: Arc<Several>, runtime: RuntimeWatch) -> Self {
        Self { sources, runtime }
    }

    /// The metrics, in the OpenMetrics text format.
    #[must_use]
    pub fn metrics(&self) -> String {
        metrics::text(self)
    }

    /// The page, as of `now`.
    #[must_use]
    pub fn page(&self, now: Timestamp) -> String {
        page::html(self, now)
    }

    /// Serves page and metrics until it is dropped.
    pub async fn serve(self, listener: TcpListener) {
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
                return;
            };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "the status port can't accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let status = self.clone();
            tokio::spawn(async move {
                let answer = service_fn(|request: http::Request<Incoming>| {
                    let answer = status.answer(request.method(), request.uri().path());
                    async move { Ok::<_, Infallible>(answer) }
                });
                let serving = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEADER_DEADLINE)
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(stream), answer);
                // One that does not read its answer is of no interest, nor is how one broke.
                tokio::time::timeout(CONNECTION_MAX, serving).await.ok();
                drop(permit);
            });
        }
    }

    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        let (status, kind, body) = match (method, path) {
            (&Method::GET, "/") => (StatusCode::OK, HTML, self.page(self.runtime.now())),
            (&Method::GET, "/metrics") => (StatusCode::OK, OPENMETRICS, self.metrics()),
            (&Method::GET, _) => (
                StatusCode::NOT_FOUND,
                PLAIN,
                "there are / and /metrics\n".to_owned(),
            ),
            (_, _) => (
                StatusCode::METHOD_NOT_ALLOWED,
                PLAIN,
                "GET only\n".to_owned(),
            ),
        };
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }
}
