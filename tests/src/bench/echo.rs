//! The ceiling: a bare tonic server with mTLS that answers every question with the same bytes.
//!
//! It speaks the same service with the same messages, so that the load generator's work is the same
//! to the byte: what differs is the server alone. It checks no token, keeps no record, and spawns
//! nothing.

use std::{fs, net::Ipv4Addr, path::Path, sync::Arc, time::Duration};

use accord_proto::v1::{
    LookupRequest, LookupResponse, ScreenRequest, ScreenResponse,
    signal_service_server::{SignalService, SignalServiceServer},
};
use prost::Message as _;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming, transport::Server};

use super::{
    BenchError,
    child::say_ready,
    tls::{BareStream, server_config},
};

/// Where the answer lies that the bare server gives.
pub(super) const RESPONSE_FILE: &str = "echo.response";
/// Accepted connections that wait for the server to take them.
const ACCEPTED_MAX: usize = 16;

struct Echo {
    response: LookupResponse,
}

#[tonic::async_trait]
impl SignalService for Echo {
    async fn lookup(&self, _: Request<LookupRequest>) -> Result<Response<LookupResponse>, Status> {
        Ok(Response::new(self.response.clone()))
    }

    type ScreenStream = tokio_stream::Empty<Result<ScreenResponse, Status>>;

    async fn screen(
        &self,
        _: Request<Streaming<ScreenRequest>>,
    ) -> Result<Response<Self::ScreenStream>, Status> {
        Err(Status::unimplemented(
            "the bare server answers `Lookup` alone",
        ))
    }
}

/// Serves on a free port of loopback with the broker's certificate and its limits, until the
/// benchmark ends.
///
/// # Errors
/// [`BenchError`].
pub async fn serve_echo(dir: &Path) -> Result<(), BenchError> {
    let path = dir.join(RESPONSE_FILE);
    let bytes = fs::read(&path).map_err(BenchError::io("read", &path))?;
    let response = LookupResponse::decode(bytes.as_slice())
        .map_err(|error| BenchError::io("decode", &path)(error.into()))?;
    let acceptor = TlsAcceptor::from(Arc::new(server_config(&dir.join("pki"), &[b"h2"])?));
    let loopback = Path::new("127.0.0.1:0");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.map_err(BenchError::io("listen on", loopback))?;
    let address = listener.local_addr();
    let address = address.map_err(BenchError::io("listen on", loopback))?;
    let (accepted, connections) = mpsc::channel(ACCEPTED_MAX);
    tokio::spawn(accept(listener, acceptor, accepted));
    say_ready(&address.to_string())?;
    // Every setting as in `broker/src/serve/server.rs` with the default limits.
    Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .max_concurrent_streams(1_024)
        .http2_max_header_list_size(16 * 1_024)
        .initial_stream_window_size(256 * 1_024)
        .initial_connection_window_size(1_024 * 1_024)
        .add_service(SignalServiceServer::new(Echo { response }))
        .serve_with_incoming(ReceiverStream::new(connections))
        .await?;
    Ok(())
}

type Accepted = mpsc::Sender<Result<BareStream, std::io::Error>>;

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, accepted: Accepted) {
    while let Ok((tcp, _)) = listener.accept().await {
        let (acceptor, accepted) = (acceptor.clone(), accepted.clone());
        tokio::spawn(async move {
            if let Ok(stream) = handshake(tcp, acceptor).await {
                // Fails only when the server is gone.
                let _ = accepted.send(Ok(stream)).await;
            }
        });
    }
}

async fn handshake(tcp: TcpStream, acceptor: TlsAcceptor) -> std::io::Result<BareStream> {
    tcp.set_nodelay(true)?;
    acceptor.accept(tcp).await.map(BareStream)
}
