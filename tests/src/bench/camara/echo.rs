//! The ceiling: a bare axum server with mTLS that answers every request with the same bytes.

use std::{fs, io, net::Ipv4Addr, net::SocketAddr, path::Path, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderName, HeaderValue, header::CONTENT_TYPE},
    routing::post,
    serve::Listener,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::super::{BenchError, child::say_ready, tls::server_config};

/// Where the answer lies that the bare server gives.
pub(super) const BODY_FILE: &str = "echo.json";
/// Accepted connections that wait for the server to take them.
const ACCEPTED_MAX: usize = 16;

/// Serves on a free port of loopback with the broker's certificate, until the benchmark ends.
///
/// # Errors
/// [`BenchError`].
pub async fn serve_http_echo(dir: &Path) -> Result<(), BenchError> {
    let path = dir.join(BODY_FILE);
    let body = Bytes::from(fs::read(&path).map_err(BenchError::io("read", &path))?);
    let protocols = [b"h2".as_slice(), b"http/1.1"];
    let acceptor = TlsAcceptor::from(Arc::new(server_config(&dir.join("pki"), &protocols)?));
    let loopback = Path::new("127.0.0.1:0");
    let failed = || BenchError::io("listen on", loopback);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.map_err(failed())?;
    let address = listener.local_addr().map_err(failed())?;
    let (accepted, connections) = mpsc::channel(ACCEPTED_MAX);
    tokio::spawn(accept(listener, acceptor, accepted));
    say_ready(&address.to_string())?;
    let answer = move |_asked: Bytes| {
        let body = body.clone();
        async move { ([json()], body) }
    };
    let router = Router::new().route("/sim-swap/v2/check", post(answer));
    let listener = Bare {
        connections,
        address,
    };
    let served = axum::serve(listener, router).await;
    served.map_err(BenchError::io("serve on", loopback))
}

const fn json() -> (HeaderName, HeaderValue) {
    (CONTENT_TYPE, HeaderValue::from_static("application/json"))
}

type Accepted = (TlsStream<TcpStream>, SocketAddr);

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, accepted: mpsc::Sender<Accepted>) {
    while let Ok((tcp, remote)) = listener.accept().await {
        let (acceptor, accepted) = (acceptor.clone(), accepted.clone());
        tokio::spawn(async move {
            if tcp.set_nodelay(true).is_ok()
                && let Ok(stream) = acceptor.accept(tcp).await
            {
                // Fails only when the server is gone.
                let _ = accepted.send((stream, remote)).await;
            }
        });
    }
}

/// Connections whose handshake is done.
struct Bare {
    connections: mpsc::Receiver<Accepted>,
    address: SocketAddr,
}

impl Listener for Bare {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.connections.recv().await {
            Some(accepted) => accepted,
            // Nobody accepts any more: the benchmark is over.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}
