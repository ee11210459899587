//! A broker's door, a PKI and clients for it.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use accord_broker::identity::{
    AcceptLimits, ConnectionLimits, Connections, IdentityMetrics, Incoming, Peer, PeerStream,
    RefusedConnection, Speaks, TlsFiles, TrustError, TrustStore, keep_current,
};
use accord_certs::{Leaf, LeafOptions, Pki, disk};
use accord_proto::clock::{Clock as _, ManualClock};
use accord_proto::v1;
use accord_proto::v1::audit_service_client::AuditServiceClient;
use accord_proto::v1::audit_service_server::{AuditService, AuditServiceServer};
use futures_util::{Stream, StreamExt as _};
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};

pub(crate) const DOMAIN: &str = "accord.test";
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn start_of_tests() -> Timestamp {
    "2026-11-03T10:00:00Z".parse().unwrap()
}

/// The files of a broker, and the CA behind them.
pub(crate) struct Bench {
    pub(crate) pki: Pki,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) broker: Leaf,
    pub(crate) metrics: IdentityMetrics,
    dir: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let now = start_of_tests();
        let pki = Pki::new(DOMAIN, now).unwrap();
        let broker = pki
            .issue("broker", "broker", &LeafOptions::at(now))
            .unwrap();
        let bench = Self {
            clock: ManualClock::at(now),
            broker,
            metrics: IdentityMetrics::default(),
            dir: tempfile::tempdir().unwrap(),
            pki,
        };
        bench.broker.write(bench.dir.path(), "broker").unwrap();
        bench.write("roots.pem", bench.pki.certificate_pem());
        bench.revoke(&[]);
        bench
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        disk::write_public(&self.dir.path().join(name), content).unwrap();
    }

    /// Replaces the revocation list.
    pub(crate) fn revoke(&self, leaves: &[&Leaf]) {
        let serials: Vec<_> = leaves.iter().map(|leaf| leaf.serial()).collect();
        let now = self.clock.now();
        let list = self
            .pki
            .crl(&serials, now, now + SignedDuration::from_hours(24))
            .unwrap();
        self.write("crl.pem", &list);
    }

    pub(crate) fn replace_broker(&self, leaf: &Leaf) {
        leaf.write(self.dir.path(), "broker").unwrap();
    }

    pub(crate) fn files(&self) -> TlsFiles {
        let at = |name: &str| self.dir.path().join(name);
        TlsFiles {
            certificate: at("broker.pem"),
            key: at("broker.key"),
            client_roots: at("roots.pem"),
            revocation_lists: vec![at("crl.pem")],
        }
    }

    pub(crate) fn bank(&self, org: &str) -> Leaf {
        self.pki
            .issue("bank", org, &LeafOptions::at(self.clock.now()))
            .unwrap()
    }

    pub(crate) fn trust(&self) -> Arc<TrustStore> {
        self.open(self.files()).unwrap()
    }

    pub(crate) fn open(&self, files: TlsFiles) -> Result<Arc<TrustStore>, TrustError> {
        let clock: Arc<ManualClock> = Arc::clone(&self.clock);
        TrustStore::open(files, DOMAIN, clock, self.metrics.clone())
    }

    pub(crate) async fn door(self) -> Door {
        self.door_with(AcceptLimits::default(), 64).await
    }

    /// Listens, and serves the stub.
    pub(crate) async fn door_with(self, limits: AcceptLimits, per_party_max: usize) -> Door {
        let trust = self.trust();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let open = ConnectionLimits {
            per_party_max,
            per_address_max: per_party_max,
        };
        let connections = Connections::new(open, self.metrics.clone());
        let refused = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&refused);
        let incoming = Incoming::listen(
            listener,
            Speaks::Grpc,
            Arc::clone(&trust),
            Arc::clone(&connections),
            limits,
            move |connection| seen.lock().unwrap().push(connection),
        );
        tokio::spawn(keep_current(Arc::clone(&trust), connections));
        let peers = Arc::new(Mutex::new(Vec::new()));
        let accepted = Arc::clone(&peers);
        let incoming = incoming.inspect(move |stream: &std::io::Result<PeerStream>| {
            let peer = Arc::clone(stream.as_ref().unwrap().peer());
            accepted.lock().unwrap().push(peer);
        });
        let stub = Stub {
            trust: Arc::clone(&trust),
            clock: Arc::clone(&self.clock),
        };
        tokio::spawn(
            Server::builder()
                .add_service(AuditServiceServer::new(stub))
                .serve_with_incoming(incoming),
        );
        Door {
            bench: self,
            trust,
            address,
            refused,
            peers,
        }
    }
}

/// A door that listens.
pub(crate) struct Door {
    pub(crate) bench: Bench,
    pub(crate) trust: Arc<TrustStore>,
    pub(crate) address: SocketAddr,
    refused: Arc<Mutex<Vec<RefusedConnection>>>,
    peers: Arc<Mutex<Vec<Arc<Peer>>>>,
}

impl Door {
    pub(crate) fn client(&self, leaf: Option<&Leaf>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.bench.pki.certificate_pem().as_bytes());
        roots.add(root.unwrap()).unwrap();
        let builder = ClientConfig::builder_with_details(
            Arc::new(aws_lc_rs::default_provider()),
            Arc::new(TestTime(Arc::clone(&self.bench.clock))),
        )
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
        let mut config = match leaf {
            Some(leaf) => builder
                .with_client_auth_cert(vec![leaf.certificate_der().clone()], leaf.key_der())
                .unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        config.resumption = Resumption::in_memory_sessions(16);
        config
    }

    pub(crate) async fn connect(&self, config: &Arc<ClientConfig>) -> TlsStream<TcpStream> {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        TlsConnector::from(Arc::clone(config))
            .connect(ServerName::try_from("localhost").unwrap(), tcp)
            .await
            .unwrap()
    }

    /// What a client is told that the door refuses: in TLS 1.3 it learns so with its first read.
    pub(crate) async fn refusal(&self, leaf: Option<&Leaf>) -> String {
        let config = Arc::new(self.client(leaf));
        let mut tls = self.connect(&config).await;
        let mut first = [0; 1];
        match within(tls.read(&mut first)).await {
            Ok(read) => panic!("not refused: read {read} bytes"),
            Err(error) => error.to_string(),
        }
    }

    /// A channel of one connection.
    pub(crate) fn channel(&self, leaf: &Leaf) -> Channel {
        let config = Arc::new(self.client(Some(leaf)));
        let address = self.address;
        let connector = tower::service_fn(move |_| {
            let config = Arc::clone(&config);
            async move {
                let tcp = TcpStream::connect(address).await?;
                let name = ServerName::try_from("localhost").unwrap();
                let tls = TlsConnector::from(config).connect(name, tcp).await?;
                Ok::<_, std::io::Error>(TokioIo::new(tls))
            }
        });
        Endpoint::from_static("http://localhost").connect_with_connector_lazy(connector)
    }

    pub(crate) fn audit(&self, leaf: &Leaf) -> AuditServiceClient<Channel> {
        AuditServiceClient::new(self.channel(leaf))
    }

    /// Connects, and returns what the broker knows of the other end.
    pub(crate) async fn peer(&self, leaf: &Leaf) -> (Arc<Peer>, TlsStream<TcpStream>) {
        let before = self.peers.lock().unwrap().len();
        let tls = self.connect(&Arc::new(self.client(Some(leaf)))).await;
        until(|| self.peers.lock().unwrap().len() > before).await;
        let peer = Arc::clone(self.peers.lock().unwrap().last().unwrap());
        (peer, tls)
    }

    pub(crate) async fn last_refused(&self) -> RefusedConnection {
        until(|| !self.refused.lock().unwrap().is_empty()).await;
        self.refused.lock().unwrap().pop().unwrap()
    }
}

/// One call that says who called.
pub(crate) async fn who(client: &mut AuditServiceClient<Channel>) -> Result<String, Status> {
    let call = client.get_checkpoint(v1::GetCheckpointRequest::default());
    within(call)
        .await
        .map(|response| response.into_inner().checkpoint)
}

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("nothing happened for ten seconds")
}

/// Waits for a condition.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    within(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[derive(Debug)]
struct TestTime(Arc<ManualClock>);

impl TimeProvider for TestTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = self.0.now().as_second().try_into().unwrap();
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// Says who calls, and streams until it no longer trusts who listens.
struct Stub {
    trust: Arc<TrustStore>,
    clock: Arc<ManualClock>,
}

impl Stub {
    fn who<T>(&self, request: &Request<T>) -> Result<String, Status> {
        let peer = request.extensions().get::<Arc<Peer>>().unwrap();
        check(peer, &self.trust, &self.clock)
    }
}

fn check(peer: &Peer, trust: &TrustStore, clock: &ManualClock) -> Result<String, Status> {
    peer.check(trust, clock.now())
        .map(ToString::to_string)
        .map_err(|error| Status::unauthenticated(error.reason()))
}

#[tonic::async_trait]
impl AuditService for Stub {
    async fn get_checkpoint(
        &self,
        request: Request<v1::GetCheckpointRequest>,
    ) -> Result<Response<v1::GetCheckpointResponse>, Status> {
        let checkpoint = self.who(&request)?;
        Ok(Response::new(v1::GetCheckpointResponse { checkpoint }))
    }

    async fn get_entry(
        &self,
        _request: Request<v1::GetEntryRequest>,
    ) -> Result<Response<v1::GetEntryResponse>, Status> {
        Err(Status::unimplemented("stub"))
    }

    async fn query(
        &self,
        _request: Request<v1::QueryRequest>,
    ) -> Result<Response<v1::QueryResponse>, Status> {
        Err(Status::unimplemented("stub"))
    }

    async fn record_export(
        &self,
        _request: Request<v1::RecordExportRequest>,
    ) -> Result<Response<v1::RecordExportResponse>, Status> {
        Err(Status::unimplemented("stub"))
    }

    async fn prove_inclusion(
        &self,
        _request: Request<v1::ProveInclusionRequest>,
    ) -> Result<Response<v1::ProveInclusionResponse>, Status> {
        Err(Status::unimplemented("stub"))
    }

    async fn prove_consistency(
        &self,
        _request: Request<v1::ProveConsistencyRequest>,
    ) -> Result<Response<v1::ProveConsistencyResponse>, Status> {
        Err(Status::unimplemented("stub"))
    }

    type TailStream = Pin<Box<dyn Stream<Item = Result<v1::TailResponse, Status>> + Send>>;

    async fn tail(
        &self,
        request: Request<v1::TailRequest>,
    ) -> Result<Response<Self::TailStream>, Status> {
        self.who(&request)?;
        let peer = Arc::clone(request.extensions().get::<Arc<Peer>>().unwrap());
        let trust = Arc::clone(&self.trust);
        let clock = Arc::clone(&self.clock);
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            let mut changed = trust.changed();
            loop {
                let line = check(&peer, &trust, &clock).map(|_| v1::TailResponse::default());
                let over = line.is_err();
                if sender.send(line).await.is_err() || over || changed.changed().await.is_err() {
                    return;
                }
            }
        });
        let lines = tokio_stream::wrappers::ReceiverStream::new(receiver);
        Ok(Response::new(Box::pin(lines)))
    }
}
