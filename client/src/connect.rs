//! Connections: TLS 1.3 with the caller's certificate, every limit set.

use std::{io, sync::Arc, time::Duration};

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, client::Resumption, crypto::aws_lc_rs, version::TLS13};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use crate::identity::{Endpoints, Identity, Roots};

/// How long TCP and TLS may take together.
const CONNECT_MS_MAX: u64 = 3_000;
/// A ping after this much silence, so that a dead connection is noticed.
const KEEPALIVE_INTERVAL_S: u64 = 10;
/// How long the ping's answer may take.
const KEEPALIVE_TIMEOUT_S: u64 = 5;
/// Calls in flight on one connection.
const CONCURRENCY_MAX: usize = 1_024;
/// Bytes of a response's headers, which carry `google.rpc` details.
const HEADER_LIST_BYTES_MAX: u32 = 16 * 1024;
/// Bytes of a message received: an entry (64 KiB) or a proof, with room.
pub(crate) const RECEIVE_BYTES_MAX: usize = 256 * 1024;
/// Bytes of a message sent: a question is far smaller.
pub(crate) const SEND_BYTES_MAX: usize = 16 * 1024;

/// One broker endpoint and the connection to it, made when it is first used.
#[derive(Clone, Debug)]
pub(crate) struct Broker {
    pub(crate) endpoint: String,
    pub(crate) channel: Channel,
}

/// One connection for each endpoint. Nothing is sent yet.
pub(crate) fn brokers(
    endpoints: Endpoints,
    roots: Roots,
    identity: Identity,
) -> Result<Vec<Broker>, rustls::Error> {
    let tls = TlsConnector::from(Arc::new(tls_config(roots, Some(identity))?));
    let server_name = endpoints.server_name;
    let brokers = endpoints.uris.into_iter().map(|uri| Broker {
        endpoint: uri.authority().map(ToString::to_string).unwrap_or_default(),
        channel: channel(uri, tls.clone(), server_name.clone()),
    });
    Ok(brokers.collect())
}

/// TLS 1.3 alone (tonic's own TLS would also offer 1.2), and no resumption: a resumed session
/// would keep a certificate in use that was replaced meanwhile.
///
/// Without an identity no certificate is shown.
pub(crate) fn tls_config(
    roots: Roots,
    identity: Option<Identity>,
) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots.0);
    let mut config = match identity {
        Some(identity) => config.with_client_auth_cert(identity.chain, identity.key)?,
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn channel(uri: Uri, tls: TlsConnector, server_name: ServerName<'static>) -> Channel {
    let connector = service_fn(move |to: Uri| {
        let (tls, server_name) = (tls.clone(), server_name.clone());
        async move { connect(to, tls, server_name).await.map(TokioIo::new) }
    });
    // The scheme tells tonic not to wrap TLS around ours; `origin` is what the broker sees.
    let origin = uri.clone();
    let mut plain = uri.into_parts();
    plain.scheme = Some(http::uri::Scheme::HTTP);
    plain.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
    let target = Uri::from_parts(plain).unwrap_or_else(|_| origin.clone());
    Endpoint::from(target)
        .origin(origin)
        .connect_timeout(Duration::from_millis(CONNECT_MS_MAX))
        .http2_keep_alive_interval(Duration::from_secs(KEEPALIVE_INTERVAL_S))
        .keep_alive_timeout(Duration::from_secs(KEEPALIVE_TIMEOUT_S))
        .keep_alive_while_idle(true)
        .concurrency_limit(CONCURRENCY_MAX)
        .http2_max_header_list_size(HEADER_LIST_BYTES_MAX)
        .connect_with_connector_lazy(connector)
}

pub(crate) async fn connect(
    to: Uri,
    tls: TlsConnector,
    server_name: ServerName<'static>,
) -> io::Result<TlsStream<TcpStream>> {
    let host = to.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, to.port_u16().unwrap_or(443))).await?;
    stream.set_nodelay(true)?;
    tls.connect(server_name, stream).await
}
