//! TLS 1.3 with both certificates, for the load generator and for the bare server; both ends as the
//! client library and the broker set them.

use std::{
    fs, io,
    net::SocketAddr,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use accord_proto::v1::signal_service_client::SignalServiceClient;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::Resumption,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client, server::TlsStream};
use tonic::transport::{Channel, Endpoint, Uri, server::Connected};
use tower::service_fn;

use super::BenchError;
use crate::world::client_tls;

/// The DNS name in the certificates of broker and bare server.
const SERVER_NAME: &str = "localhost";
const H2: &[u8] = b"h2";
/// As in the client library.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const HEADER_LIST_BYTES_MAX: u32 = 16 * 1_024;

/// Connections as one party.
pub(super) struct Dialler {
    config: ClientConfig,
}

impl Dialler {
    /// With the certificate `<party>.pem` of a folder.
    pub(super) fn new(pki: &Path, party: &str) -> Result<Self, BenchError> {
        let mut config = client_tls(pki, Some(party), &[])?;
        config.resumption = Resumption::disabled();
        Ok(Self { config })
    }

    fn tls(&self, protocol: &[u8]) -> TlsConnector {
        let mut config = self.config.clone();
        config.alpn_protocols = vec![protocol.to_vec()];
        TlsConnector::from(Arc::new(config))
    }

    /// One connection for a protocol by its name in TLS (RFC 7301), made now.
    pub(super) async fn stream(
        &self,
        to: SocketAddr,
        protocol: &[u8],
    ) -> Result<client::TlsStream<TcpStream>, BenchError> {
        let failed = BenchError::io("connect to", Path::new("a server of the benchmark"));
        dial(self.tls(protocol), to).await.map_err(failed)
    }

    /// One connection for gRPC, made now.
    pub(super) async fn connect(
        &self,
        to: SocketAddr,
    ) -> Result<SignalServiceClient<Channel>, BenchError> {
        let tls = self.tls(H2);
        let connector = service_fn(move |_: Uri| {
            let tls = tls.clone();
            async move { dial(tls, to).await.map(TokioIo::new) }
        });
        // TLS is the connector's, hence the scheme.
        let channel = Endpoint::from_shared(format!("http://{SERVER_NAME}:{}", to.port()))?
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_while_idle(true)
            .http2_max_header_list_size(HEADER_LIST_BYTES_MAX)
            .connect_with_connector(connector)
            .await?;
        Ok(SignalServiceClient::new(channel))
    }
}

async fn dial(tls: TlsConnector, to: SocketAddr) -> io::Result<client::TlsStream<TcpStream>> {
    let name = ServerName::try_from(SERVER_NAME).map_err(io::Error::other)?;
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    tls.connect(name, stream).await
}

/// A bare server's side for some protocols: as the broker's, without its bookkeeping.
pub(super) fn server_config(pki: &Path, protocols: &[&[u8]]) -> Result<ServerConfig, BenchError> {
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots(pki)?), provider()).build()?;
    let (chain, key) = pair(pki, "broker")?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// The first certificate of a PEM file.
pub(super) fn certificate(path: &Path) -> Result<CertificateDer<'static>, BenchError> {
    let text = fs::read(path).map_err(BenchError::io("read", path))?;
    let path = path.to_owned();
    CertificateDer::from_pem_slice(&text).map_err(|_| BenchError::Pem { path })
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn pair(pki: &Path, name: &str) -> Result<Pair, BenchError> {
    let chain = vec![certificate(&pki.join(format!("{name}.pem")))?];
    let path = pki.join(format!("{name}.key"));
    let text = fs::read(&path).map_err(BenchError::io("read", &path))?;
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|_| BenchError::Pem { path })?;
    Ok((chain, key))
}

fn roots(pki: &Path) -> Result<RootCertStore, BenchError> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(&pki.join("ca.pem"))?)?;
    Ok(roots)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// A connection of the bare server.
pub(super) struct BareStream(pub(super) TlsStream<TcpStream>);

impl Connected for BareStream {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for BareStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for BareStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}
