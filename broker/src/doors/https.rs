//! Serving HTTPS: HTTP/1.1 and HTTP/2 over connections whose other end is known, every limit set.
//!
//! What is served is another's concern: a door of this kind makes a [`Handler`] for each connection
//! and answers request by request.

mod taking;
mod unused;

use std::{convert::Infallible, future::Future, sync::Arc};

use http::{HeaderValue, Request, Response, StatusCode, header::CONTENT_TYPE};
use hyper::{
    body::{Bytes, Incoming as Body},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::watch,
    time::{Duration, sleep},
};
use tokio_stream::StreamExt as _;

pub(super) use self::taking::Held;
use self::{
    taking::{Taken, Takings},
    unused::unused,
};
use crate::{
    identity::{AcceptLimits, Connections, Incoming, Peer, RefusedConnection, Speaks, TrustStore},
    refusals::RefusalBook,
};

/// For how long a client may take to send its headers; on HTTP/1.1 also how long it may be idle.
const HEADER_DEADLINE: Duration = Duration::from_secs(30);
/// A client that takes no response whole for so long, while there are some for it, is left.
const TAKE_DEADLINE: Duration = Duration::from_secs(30);
/// A ping after so long on HTTP/2, and how long its answer may take.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// The least that HTTP/1.1 keeps for headers.
const HTTP1_BUFFER_BYTES_MIN: usize = 8 << 10;
/// After a connection could not be taken.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Answers the requests of one connection.
pub(super) trait Handler: Send + Sync + 'static {
    /// Answers one.
    fn answer(
        self: Arc<Self>,
        request: Request<Body>,
    ) -> impl Future<Output = Response<Held>> + Send;
}

/// Takes the connections of a listener. Who is refused before any request is told to the record.
pub(super) fn listen(
    listener: TcpListener,
    trust: &Arc<TrustStore>,
    connections: Arc<Connections>,
    accept: AcceptLimits,
    refusals: &Arc<RefusalBook>,
) -> Incoming {
    let (trust, refusals) = (Arc::clone(trust), Arc::clone(refusals));
    let refused = move |refused: RefusedConnection| refusals.not_connected(refused);
    Incoming::listen(listener, Speaks::Https, trust, connections, accept, refused)
}

/// What one connection may ask for.
#[derive(Clone, Copy, Debug)]
pub(super) struct HttpLimits {
    /// Bytes of a request's headers.
    pub(super) header_bytes_max: usize,
    /// Requests in flight on one connection.
    pub(super) streams_max: u32,
}

/// Serves until the broker stops. `connected` makes the handler of a connection.
pub(super) async fn serve<H: Handler>(
    mut incoming: Incoming,
    limits: HttpLimits,
    mut stopping: watch::Receiver<bool>,
    connected: impl Fn(Arc<Peer>) -> H,
) {
    let stop = stopping.clone();
    loop {
        let next = tokio::select! {
            next = incoming.next() => next,
            // An error means that the broker itself is gone.
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        match next {
            Some(Ok(stream)) => {
                let handler = Arc::new(connected(Arc::clone(stream.peer())));
                let end = OtherEnd {
                    http2: stream.speaks_http2(),
                    certified: stream.peer().has_certificate(),
                };
                tokio::spawn(connection(stream, end, limits, stop.clone(), handler));
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "can't take an HTTPS connection");
                sleep(ACCEPT_PAUSE).await;
            }
            None => return,
        }
    }
}

/// What is known of a client before its first request.
#[derive(Clone, Copy, Debug)]
struct OtherEnd {
    http2: bool,
    certified: bool,
}

async fn connection<H: Handler>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    end: OtherEnd,
    limits: HttpLimits,
    mut stopping: watch::Receiver<bool>,
    handler: Arc<H>,
) {
    let takings = Arc::new(Takings::default());
    let begun = Arc::clone(&takings);
    let service = service_fn(move |request: Request<Body>| {
        let taking = begun.begin();
        let handler = Arc::clone(&handler);
        async move {
            let response = handler.answer(request).await;
            Ok::<_, Infallible>(response.map(|held| Taken::new(held, taking)))
        }
    });
    let io = TokioIo::new(stream);
    let serving = async {
        if end.http2 {
            http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(limits.streams_max)
                .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX))
                .keep_alive_interval(PING_INTERVAL)
                .keep_alive_timeout(PING_TIMEOUT)
                .serve_connection(io, service)
                .await
        } else {
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_DEADLINE)
                .max_buf_size(limits.header_bytes_max.max(HTTP1_BUFFER_BYTES_MIN))
                .serve_connection(io, service)
                .await
        }
    };
    let stopped = async {
        // An error means that the broker itself is gone.
        let _ = stopping.wait_for(|stop| *stop).await;
        takings.idle().await;
    };
    tokio::select! {
        served = serving => if let Err(error) = served {
            tracing::debug!(%error, "an HTTPS connection broke");
        },
        () = takings.stalled(TAKE_DEADLINE) => {
            tracing::info!("left an HTTPS client that does not take what it asked for");
        }
        () = unused(&takings, end.certified) => {
            tracing::debug!("left an HTTPS client without a certificate that asks nothing");
        }
        () = stopped => {}
    }
}

/// A response with a body of this type.
pub(super) fn response(
    status: StatusCode,
    kind: &'static str,
    body: impl Into<Bytes>,
) -> Response<Held> {
    let mut response = Response::new(Held::new(body.into()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
