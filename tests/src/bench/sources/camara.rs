//! A CAMARA upstream: the source beside a bare client of HTTP as one writes it, which keeps its connections,
//! posts the same bytes and looks for the same field. The upstream is a small server in a thread of its own, as
//! another program would be, which always gives the same answer: there is no other to be had.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use accord_adapters::{
    camara_upstream::{CamaraConfig, CamaraUpstream},
    csv_export::fixture::number,
    source::Source as _,
};
use accord_certs::{LeafOptions, Pki};
use accord_proto::{
    clock::{Clock as _, SystemClock},
    msisdn::Msisdn,
    signal::Signal,
};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    client::conn::http1::{SendRequest, handshake},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Builder,
    sync::oneshot,
    task::JoinSet,
    time::Instant,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{
    IN_FLIGHT, SourceLine, SourcesPlan,
    hlr::{answered, wrong},
    load::{Asked, asked, compare},
};
use crate::bench::BenchError;

const SUBSCRIBERS: u64 = 1_000;
const DEADLINE: Duration = Duration::from_secs(5);
const SIGNALS: [Signal; 1] = [Signal::SimSwap];
const TOKEN: &str = r#"{"access_token":"token","token_type":"Bearer","expires_in":3600}"#;
const SWAPPED: &str = r#"{"latestSimChange":"2026-01-02T03:04:05Z"}"#;
const FIELD: &[u8] = b"latestSimChange";

pub(super) async fn measure(plan: SourcesPlan, dir: &Path) -> Result<Vec<SourceLine>, BenchError> {
    fs::create_dir_all(dir).map_err(BenchError::io("make", dir))?;
    let pki = Pki::new("accord.test", SystemClock.now());
    let pki = pki.map_err(|error| wrong("certificates", &error))?;
    let (roots, secret) = (dir.join("roots.pem"), dir.join("secret"));
    fs::write(&roots, pki.certificate_pem()).map_err(BenchError::io("write", &roots))?;
    fs::write(&secret, "secret of a benchmark").map_err(BenchError::io("write", &secret))?;
    let upstream = Upstream::start(Arc::new(of_server(&pki)?))?;
    let port = upstream.port;
    let source = Arc::new(source(port, &roots, &secret)?);
    let of_source = asked(source, |source, number| async move {
        let told = source.observe(subscriber(number)?, &SIGNALS, Instant::now() + DEADLINE);
        answered("the CAMARA source", &told.await.signals)
    });
    let bare = bare(port, &pki)?;
    let mut lines = Vec::new();
    for in_flight in IN_FLIGHT {
        let names = ("CAMARA upstream, SIM swap", "bare HTTP client");
        lines.push(compare(plan, names, in_flight, (&of_source, &bare), true).await?);
    }
    Ok(lines)
}

fn source(port: u16, roots: &Path, secret: &Path) -> Result<CamaraUpstream, BenchError> {
    let base = format!("https://localhost:{port}");
    let config = format!(
        "roots_file = {roots:?}\nsim_swap = \"{base}/sim-swap/v2\"\nrequests_max = 64\nknows_within_s = 0\n\
         [token]\nurl = \"{base}/token\"\nclient_id = \"accord\"\nscope = \"sim-swap\"\n\
         client_secret_file = {secret:?}\n"
    );
    let config: Result<CamaraConfig, _> = toml::from_str(&config);
    let config = config.map_err(|error| wrong("the CAMARA source", &error))?;
    let source = CamaraUpstream::open(&config, SystemClock::shared());
    source.map_err(|error| wrong("the CAMARA source", &error))
}

/// The server; it ends when this is dropped.
struct Upstream {
    port: u16,
    _running: oneshot::Sender<()>,
}

impl Upstream {
    fn start(tls: Arc<ServerConfig>) -> Result<Self, BenchError> {
        let io = |error| BenchError::io("listen on", Path::new("localhost:0"))(error);
        let listener = std::net::TcpListener::bind("localhost:0").map_err(io)?;
        listener.set_nonblocking(true).map_err(io)?;
        let port = listener.local_addr().map_err(io)?.port();
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(io)?;
        let (running, ended) = oneshot::channel();
        thread::spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = serve(listener, TlsAcceptor::from(tls)) => {}
                    _ = ended => {}
                }
            });
        });
        Ok(Self {
            port,
            _running: running,
        })
    }
}

async fn serve(listener: std::net::TcpListener, tls: TlsAcceptor) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    // Its connections end with it.
    let mut connections = JoinSet::new();
    while let Ok((tcp, _)) = listener.accept().await {
        let tls = tls.clone();
        connections.spawn(async move {
            if let Ok(stream) = tls.accept(tcp).await {
                let connection = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service_fn(answer));
                // It ends with the client.
                let _ = connection.await;
            }
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let text = if request.uri().path() == "/token" {
        TOKEN
    } else {
        SWAPPED
    };
    request.into_body().collect().await?;
    Ok(Response::new(Full::new(Bytes::from_static(
        text.as_bytes(),
    ))))
}

type Sender = SendRequest<Full<Bytes>>;

/// Connections, as many as are used at once.
struct Bare {
    tls: TlsConnector,
    port: u16,
    idle: Mutex<Vec<Sender>>,
}

fn bare(port: u16, pki: &Pki) -> Result<Asked, BenchError> {
    let bare = Bare {
        tls: TlsConnector::from(Arc::new(of_client(pki)?)),
        port,
        idle: Mutex::default(),
    };
    Ok(asked(Arc::new(bare), |bare, number| async move {
        bare.ask(&subscriber(number)?).await
    }))
}

fn gone() -> BenchError {
    BenchError::Child {
        what: "bare client of HTTP",
    }
}

impl Bare {
    async fn ask(&self, msisdn: &Msisdn) -> Result<(), BenchError> {
        let failed = |error: hyper::Error| wrong("a bare client of HTTP", &error);
        let kept = self.idle().pop();
        let mut sender = match kept {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let body = format!(r#"{{"phoneNumber":"{}"}}"#, msisdn.expose());
        let request = Request::post("/sim-swap/v2/retrieve-date")
            .header("host", format!("localhost:{}", self.port))
            .header("authorization", "Bearer token")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| wrong("a bare client of HTTP", &error))?;
        sender.ready().await.map_err(failed)?;
        let response = sender.send_request(request).await.map_err(failed)?;
        let body = response.into_body().collect().await.map_err(failed)?;
        self.idle().push(sender);
        match body.to_bytes().windows(FIELD.len()).any(|at| at == FIELD) {
            true => Ok(()),
            false => Err(gone()),
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Sender>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> Result<Sender, BenchError> {
        let tcp = TcpStream::connect(("localhost", self.port)).await;
        let tcp = tcp.map_err(BenchError::io("connect to", Path::new("localhost")))?;
        let name = ServerName::try_from("localhost").map_err(|error| wrong("a name", &error))?;
        let stream = self.tls.connect(name, tcp).await;
        let stream = stream.map_err(BenchError::io("connect to", Path::new("localhost")))?;
        let shaken = handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(|error| wrong("HTTP", &error))?;
        // It ends when the sender is dropped.
        tokio::spawn(connection);
        Ok(sender)
    }
}

fn root(pki: &Pki) -> Result<CertificateDer<'static>, BenchError> {
    let read = CertificateDer::from_pem_slice(pki.certificate_pem().as_bytes());
    read.map_err(|error| wrong("certificates", &error))
}

fn of_client(pki: &Pki) -> Result<ClientConfig, BenchError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(root(pki)?)?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    Ok(config.with_no_client_auth())
}

fn of_server(pki: &Pki) -> Result<ServerConfig, BenchError> {
    let leaf = pki.issue("broker", "upstream", &LeafOptions::at(SystemClock.now()));
    let leaf = leaf.map_err(|error| wrong("certificates", &error))?;
    let chain = CertificateDer::from_pem_slice(leaf.certificate_pem().as_bytes());
    let chain = vec![chain.map_err(|error| wrong("certificates", &error))?];
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth();
    Ok(config.with_single_cert(chain, leaf.key_der())?)
}

fn subscriber(row: u64) -> Result<Msisdn, BenchError> {
    number(row % SUBSCRIBERS).map_err(|error| wrong("a number", &error))
}
