//! A broker that shows the files of a directory, whatever they say: for logs that lie.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use accord_proto::subject::Month;
use http_body_util::Full;
use hyper::{Request, Response, body::Bytes, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ServerConfig, version::TLS13};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

/// Serves until it is dropped.
pub(crate) struct StaticTiles {
    pub(crate) url: String,
    serving: JoinHandle<()>,
}

impl StaticTiles {
    /// Shows the logs of a mirror's directory, with the certificate of a world's broker.
    pub(crate) async fn serve(world: &Path, mirror: &Path) -> Self {
        let pki = world.join("pki");
        let chain = CertificateDer::pem_file_iter(pki.join("broker.pem")).unwrap();
        let chain: Vec<_> = chain.map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(pki.join("broker.key")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let mirror = mirror.to_owned();
        let serving = tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let (acceptor, mirror) = (acceptor.clone(), mirror.clone());
                tokio::spawn(async move {
                    let Ok(tls) = acceptor.accept(tcp).await else {
                        return;
                    };
                    let service = service_fn(move |request| answer(request, mirror.clone()));
                    // A client that hangs up is none of its business.
                    let _ = http2::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(tls), service)
                        .await;
                });
            }
        });
        Self { url, serving }
    }
}

impl Drop for StaticTiles {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(
    request: Request<hyper::body::Incoming>,
    mirror: PathBuf,
) -> io::Result<Response<Full<Bytes>>> {
    let path = request.uri().path().trim_start_matches('/');
    let read = match path {
        "logs" => Ok(logs(&mirror).into_bytes()),
        _ => fs::read(mirror.join(path)),
    };
    let (status, bytes) = match read {
        Ok(bytes) => (200, bytes),
        Err(error) => (404, error.to_string().into_bytes()),
    };
    let response = Response::builder().status(status).body(Full::from(bytes));
    Ok(response.unwrap())
}

fn logs(mirror: &Path) -> String {
    let vkey = fs::read_to_string(mirror.join("log.vkey")).unwrap();
    let ledger = vkey.split('+').next().unwrap();
    let months = fs::read_dir(mirror.join(ledger)).unwrap();
    let mut months: Vec<_> = months
        .filter_map(|entry| Month::parse(entry.unwrap().file_name().to_str()?))
        .collect();
    months.sort_unstable();
    months
        .iter()
        .map(|month| format!("{ledger}/{month}\n"))
        .collect()
}
