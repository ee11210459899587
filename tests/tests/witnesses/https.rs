//! A witness behind TLS: whom the configured roots name is asked, and nobody else.

use std::{net::SocketAddr, path::Path, sync::Arc};

use accord_certs::Pki;
use accord_proto::clock::{Clock as _, SystemClock};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::{lookup, rig::Rig};

/// What stands before a witness: ends TLS and passes on what is said.
async fn proxy(certificate: &Path, key: &Path, to: SocketAddr) -> u16 {
    let chain = CertificateDer::pem_file_iter(certificate).unwrap();
    let chain = chain.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut witness = TcpStream::connect(to).await.unwrap();
                // Either end may hang up.
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut witness).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn a_witness_behind_tls_is_asked_by_its_name() {
    let mut rig = Rig::new(&[], "").await;
    rig.run_witness("one").await;
    let (certificate, key) = (rig.path("pki/broker.pem"), rig.path("pki/broker.key"));
    let port = proxy(&certificate, &key, rig.address("one")).await;
    rig.add_at("one", &format!("https://localhost:{port}"));
    rig.finish_policy("quorum one\n");
    rig.section = "roots = \"pki/ca.pem\"\n".to_owned();
    let world = rig.start().await.unwrap();
    let client = world.client("first-bank").unwrap();
    let answered = client.lookup(lookup()).await.unwrap();
    rig.cosigned_beyond(&world, answered.receipt.index).await;
    world.stop().await.unwrap();
}

#[tokio::test]
async fn whoever_has_no_certificate_from_the_configured_roots_is_no_witness() {
    let mut rig = Rig::new(&[], "").await;
    rig.run_witness("one").await;
    let (certificate, key) = (rig.path("pki/broker.pem"), rig.path("pki/broker.key"));
    let port = proxy(&certificate, &key, rig.address("one")).await;
    rig.add_at("one", &format!("https://localhost:{port}"));
    rig.finish_policy("quorum one\n");
    // Without roots the URL itself is refused, and under others nobody is believed.
    let refused = rig.start().await.unwrap_err().to_string();
    assert!(refused.contains("`https` needs the roots"), "{refused}");
    let stranger = Pki::new("accord.test", SystemClock.now()).unwrap();
    std::fs::write(rig.path("others.pem"), stranger.certificate_pem()).unwrap();
    rig.section = "roots = \"others.pem\"\n".to_owned();
    let refused = rig.start().await.unwrap_err().to_string();
    assert!(refused.contains("no quorum has said"), "{refused}");
}
