//! An upstream whose answers the tests write: HTTPS on a free loopback port, tokens and all.

use std::{
    collections::VecDeque,
    convert::Infallible,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use accord_certs::{Leaf, LeafOptions, Pki, TokenKey};
use accord_proto::clock::{Clock as _, SystemClock};
use futures_util::stream;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response,
    body::{Bytes, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

/// How one answer comes.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Status, `Retry-After`, body.
    Say(u16, Option<u32>, Bytes),
    /// One byte a tick, for ever.
    Trickle,
    /// So many bytes.
    Flood(usize),
    /// The connection breaks in the middle.
    Break,
    /// The connection ends after it; in chunks, or of a known length.
    Last(Bytes, bool),
}

pub(crate) fn say(status: u16, body: &(impl AsRef<[u8]> + ?Sized)) -> Answer {
    Answer::Say(status, None, Bytes::copy_from_slice(body.as_ref()))
}

/// What came in.
#[derive(Clone, Debug)]
pub(crate) struct Came {
    pub(crate) path: String,
    pub(crate) authorization: String,
    pub(crate) body: String,
}

#[derive(Default)]
pub(crate) struct Script {
    /// Answers of the token endpoint, then good ones.
    pub(crate) tokens: Mutex<VecDeque<Answer>>,
    /// Answers of the APIs, the last of which stays.
    pub(crate) answers: Mutex<VecDeque<Answer>>,
    pub(crate) came: Mutex<Vec<Came>>,
    pub(crate) connections: Mutex<usize>,
    /// Held while the token endpoint thinks.
    pub(crate) token_gate: tokio::sync::Mutex<()>,
}

impl Script {
    /// Requests whose path ends so.
    pub(crate) fn asked(&self, ending: &str) -> Vec<Came> {
        let came = self.came.lock().unwrap();
        let ends = came.iter().filter(|came| came.path.ends_with(ending));
        ends.cloned().collect()
    }
}

/// A running upstream, which ends with the test.
pub(crate) struct Upstream {
    pub(crate) script: Arc<Script>,
    pub(crate) port: u16,
    pub(crate) dir: tempfile::TempDir,
    connections: Connections,
    serving: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        Self::with(false).await
    }

    /// `strict`: it wants a client's certificate.
    pub(crate) async fn with(strict: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemClock.now();
        let pki = Pki::new("accord.test", now).unwrap();
        let options = LeafOptions::at(now);
        let server = pki.issue("broker", "upstream", &options).unwrap();
        let client = pki.issue("operator", "north-mobile", &options).unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("roots.pem"), pki.certificate_pem()).unwrap();
        client.write(dir.path(), "client").unwrap();
        let key = TokenKey::es256().unwrap();
        std::fs::write(path("assertion.key"), key.private_pem()).unwrap();
        std::fs::write(path("secret"), "s3cr&t\n").unwrap();
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = Arc::new(Script::default());
        let tls = TlsAcceptor::from(Arc::new(tls(&pki, &server, strict)));
        let connections = Connections::default();
        let serving = serve(listener, tls, Arc::clone(&script), Arc::clone(&connections));
        Self {
            script,
            port,
            dir,
            connections,
            serving: tokio::spawn(serving),
        }
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// Closes every connection.
    pub(crate) async fn hang_up(&self) {
        self.connections.lock().await.shutdown().await;
    }

    /// What its APIs answer from now on.
    pub(crate) fn answers(&self, answers: impl IntoIterator<Item = Answer>) {
        *self.script.answers.lock().unwrap() = answers.into_iter().collect();
    }
}

fn tls(pki: &Pki, leaf: &Leaf, strict: bool) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(pki.certificate_pem().as_bytes()).unwrap();
    roots.add(root).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if strict {
        builder.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let certificate = CertificateDer::from_pem_slice(leaf.certificate_pem().as_bytes()).unwrap();
    builder
        .with_single_cert(vec![certificate], leaf.key_der())
        .unwrap()
}

/// They end with who has them last.
type Connections = Arc<tokio::sync::Mutex<JoinSet<()>>>;

async fn serve(
    listener: TcpListener,
    tls: TlsAcceptor,
    script: Arc<Script>,
    connections: Connections,
) {
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        let (tls, script) = (tls.clone(), Arc::clone(&script));
        connections.lock().await.spawn(async move {
            let Ok(stream) = tls.accept(tcp).await else {
                return;
            };
            *script.connections.lock().unwrap() += 1;
            let service = service_fn(|request| answer(request, Arc::clone(&script)));
            // It ends with an error where an answer breaks, as the tests want it.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

async fn answer(
    request: Request<Incoming>,
    script: Arc<Script>,
) -> Result<Response<Body>, std::io::Error> {
    let path = request.uri().path().to_owned();
    let authorization = request.headers().get("authorization");
    let authorization = authorization.map_or("", |value| value.to_str().unwrap());
    let authorization = authorization.to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let is_token = path.ends_with("/token");
    script.came.lock().unwrap().push(Came {
        path,
        authorization,
        body,
    });
    let next = if is_token {
        let _gate = script.token_gate.lock().await;
        let next = script.tokens.lock().unwrap().pop_front();
        let count = script.asked("/token").len();
        let good =
            format!(r#"{{"access_token":"token-{count}","token_type":"Bearer","expires_in":300}}"#);
        next.unwrap_or_else(|| say(200, &good))
    } else {
        let mut answers = script.answers.lock().unwrap();
        if answers.len() > 1 {
            answers.pop_front().unwrap()
        } else {
            answers.front().cloned().unwrap_or_else(|| say(500, "{}"))
        }
    };
    let is_last = matches!(next, Answer::Last(..));
    let (status, retry_after, body) = match next {
        Answer::Say(status, retry_after, body) => (status, retry_after, whole(body)),
        Answer::Flood(len) => (200, None, whole("x".repeat(len).into())),
        Answer::Trickle => (200, None, trickle()),
        Answer::Break => (200, None, broken()),
        Answer::Last(body, true) => (200, None, whole(body)),
        Answer::Last(body, false) => (200, None, Full::new(body).map_err(never).boxed_unsync()),
    };
    let mut response = Response::builder().status(status);
    if is_last {
        response = response.header("connection", "close");
    }
    if let Some(seconds) = retry_after {
        response = response.header("retry-after", seconds);
    }
    Ok(response.body(body).unwrap())
}

fn never(never: Infallible) -> std::io::Error {
    match never {}
}

/// In chunks, of which there is one.
fn whole(body: Bytes) -> Body {
    let one = stream::iter([Ok(Frame::data(body))]);
    StreamBody::new(one).boxed_unsync()
}

fn trickle() -> Body {
    let bytes = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Some((Ok(Frame::data(Bytes::from_static(b" "))), ()))
    });
    StreamBody::new(bytes).boxed_unsync()
}

fn broken() -> Body {
    let halves = [
        Ok(Frame::data(Bytes::from_static(b"{\"latest"))),
        Err(std::io::Error::other("as the test wants it")),
    ];
    StreamBody::new(stream::iter(halves)).boxed_unsync()
}

/// Where a file of a directory lies, for a configuration.
pub(crate) fn in_dir(dir: &Path, name: &str) -> String {
    dir.join(name).display().to_string()
}
