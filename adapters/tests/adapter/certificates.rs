//! Certificates for a link over mutual TLS.

use std::path::PathBuf;

use accord_adapters::runtime::TlsFiles;
use accord_certs::{LeafOptions, Pki};
use accord_proto::clock::{Clock as _, SystemClock};
use tempfile::TempDir;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

/// Certificates of a broker and an adapter, under one CA.
pub(crate) struct Certificates {
    pub(crate) dir: TempDir,
    pub(crate) server: ServerTlsConfig,
}

impl Certificates {
    pub(crate) fn make() -> Self {
        let now = SystemClock.now();
        let pki = Pki::new("accord.test", now).unwrap();
        let dir = TempDir::new().unwrap();
        let broker = pki
            .issue("broker", "accord", &LeafOptions::at(now))
            .unwrap();
        let adapter = pki
            .issue("operator", "north-mobile", &LeafOptions::at(now))
            .unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("ca.pem", pki.certificate_pem());
        write("adapter.pem", adapter.certificate_pem());
        write("adapter.key", adapter.key_pem());
        let identity = Identity::from_pem(broker.certificate_pem(), broker.key_pem());
        let server = ServerTlsConfig::new()
            .identity(identity)
            .client_ca_root(Certificate::from_pem(pki.certificate_pem()));
        Self { dir, server }
    }

    pub(crate) fn files(&self) -> TlsFiles {
        let path = |name: &str| -> PathBuf { self.dir.path().join(name) };
        TlsFiles {
            roots: path("ca.pem"),
            certificate: path("adapter.pem"),
            key: path("adapter.key"),
            domain: Some("localhost".to_owned()),
        }
    }
}
