//! A broker of its own runtime, so that it can die like a process; and an adapter to attach to it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use accord_adapters::{
    journal::{JournalSettings, SubjectKey},
    runtime::{BrokerEndpoint, RestrictionHandle, Runtime, RuntimeConfig, RuntimeError},
    source::Source,
    virtual_operator::VirtualOperator,
};
use accord_proto::{
    c2sp::SigningKey,
    clock::{Clock as _, SystemClock},
    msisdn::Msisdn,
    party::OrgName,
    reason::Reason,
    signal::Signal,
    v1::{
        self,
        adapter_message::Message as FromAdapter,
        adapter_service_server::{AdapterService, AdapterServiceServer},
        broker_message::Message as ToAdapter,
    },
    wire,
};
use prost::Message as _;
use tempfile::TempDir;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Server, ServerTlsConfig},
};

use crate::port;

pub(crate) const WAIT_MAX: Duration = Duration::from_secs(20);

/// Waits for something that must happen.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(WAIT_MAX, what).await.expect("it happens in time")
}

/// One adapter that attached.
pub(crate) struct Attachment {
    pub(crate) hello: v1::Hello,
    to: mpsc::Sender<Result<v1::BrokerMessage, Status>>,
    from: Streaming<v1::AdapterMessage>,
}

impl Attachment {
    pub(crate) async fn send(&self, message: ToAdapter) {
        let message = v1::BrokerMessage {
            message: Some(message),
        };
        self.to.send(Ok(message)).await.unwrap();
    }

    pub(crate) async fn ask(&self, ask: v1::Ask) {
        self.send(ToAdapter::Ask(ask)).await;
    }

    /// Says that a batch is in a view.
    pub(crate) async fn accept(&self, sequence: u64, view_epoch: u64) {
        let accepted = v1::ChangesAccepted {
            sequence,
            view_epoch,
        };
        self.send(ToAdapter::Accepted(accepted)).await;
    }

    /// The next message, heartbeats included; `None` once the adapter closed its side.
    pub(crate) async fn hear_any(&mut self) -> Option<FromAdapter> {
        let heard = soon(self.from.message()).await.ok().flatten()?;
        Some(heard.message.expect("a message says something"))
    }

    /// The next message that is no heartbeat.
    pub(crate) async fn hear(&mut self) -> Option<FromAdapter> {
        loop {
            let heard = self.hear_any().await?;
            if !matches!(heard, FromAdapter::Heartbeat(_)) {
                return Some(heard);
            }
        }
    }

    pub(crate) async fn reply(&mut self) -> v1::Reply {
        match self.hear().await {
            Some(FromAdapter::Reply(reply)) => reply,
            _ => panic!("a reply was expected"),
        }
    }

    pub(crate) async fn restriction(&mut self) -> v1::Restriction {
        match self.hear().await {
            Some(FromAdapter::Restriction(restriction)) => restriction,
            _ => panic!("a restriction was expected"),
        }
    }

    pub(crate) async fn changes(&mut self) -> v1::ChangeBatch {
        self.sealed_changes().await.0
    }

    /// A batch, and the bytes by which it came.
    pub(crate) async fn sealed_changes(&mut self) -> (v1::ChangeBatch, bytes::Bytes) {
        match self.hear().await {
            Some(FromAdapter::Changes(sent)) => {
                (v1::ChangeBatch::decode(sent.clone()).unwrap(), sent)
            }
            _ => panic!("changes were expected"),
        }
    }
}

struct Service {
    welcome: v1::AttachWelcome,
    attached: mpsc::Sender<Attachment>,
}

#[tonic::async_trait]
impl AdapterService for Service {
    type AttachStream = ReceiverStream<Result<v1::BrokerMessage, Status>>;

    async fn attach(
        &self,
        request: Request<Streaming<v1::AdapterMessage>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let (to, messages) = mpsc::channel(1_024);
        let mut from = request.into_inner();
        let (welcome, attached) = (self.welcome, self.attached.clone());
        tokio::spawn(async move {
            let first = from.message().await.ok().flatten()?;
            let Some(FromAdapter::Hello(hello)) = first.message else {
                panic!("hello comes first");
            };
            let message = Some(ToAdapter::Welcome(welcome));
            to.send(Ok(v1::BrokerMessage { message })).await.ok()?;
            attached.send(Attachment { hello, to, from }).await.ok()
        });
        Ok(Response::new(ReceiverStream::new(messages)))
    }
}

/// A broker as far as an adapter sees it.
pub(crate) struct FakeBroker {
    pub(crate) addr: SocketAddr,
    attached: mpsc::Receiver<Attachment>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl FakeBroker {
    pub(crate) async fn start(welcome: v1::AttachWelcome) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), welcome, None).await
    }

    pub(crate) async fn start_at(
        addr: SocketAddr,
        welcome: v1::AttachWelcome,
        tls: Option<ServerTlsConfig>,
    ) -> Self {
        let (attached, attachments) = mpsc::channel(16);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (bound, is_bound) = oneshot::channel();
        runtime.spawn(async move {
            let listener = port::bind(addr).await;
            bound.send(listener.local_addr().unwrap()).unwrap();
            let mut server = Server::builder();
            if let Some(tls) = tls {
                server = server.tls_config(tls).unwrap();
            }
            let service = AdapterServiceServer::new(Service { welcome, attached });
            let incoming = TcpListenerStream::new(listener);
            server
                .add_service(service)
                .serve_with_incoming(incoming)
                .await
        });
        Self {
            addr: soon(is_bound).await.unwrap(),
            attached: attachments,
            runtime: Some(runtime),
        }
    }

    pub(crate) async fn attachment(&mut self) -> Attachment {
        soon(self.attached.recv()).await.expect("the broker lives")
    }

    pub(crate) fn endpoint(&self) -> BrokerEndpoint {
        BrokerEndpoint {
            uri: format!("http://{}", self.addr),
            tls: None,
        }
    }
}

/// Dies as a killed process does: every connection breaks.
impl Drop for FakeBroker {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub(crate) fn welcome(credit: u32, view_epoch: u64, heartbeat_ms: u32) -> v1::AttachWelcome {
    v1::AttachWelcome {
        credit,
        view_epoch,
        heartbeat_ms,
    }
}

/// A running adapter of `north-mobile`.
pub(crate) struct Adapter {
    pub(crate) dir: Arc<TempDir>,
    pub(crate) operator: Arc<VirtualOperator>,
    pub(crate) restrictions: RestrictionHandle,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Result<(), RuntimeError>>,
}

pub(crate) fn checkpoint_key() -> SigningKey {
    SigningKey::parse(
        "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz",
    )
    .unwrap()
}

pub(crate) fn runtime_config(
    dir: &Path,
    brokers: Vec<BrokerEndpoint>,
    credit: u32,
) -> RuntimeConfig {
    let restrictions_file = dir.join("restrictions.toml");
    std::fs::write(&restrictions_file, "").unwrap();
    RuntimeConfig {
        operator: OrgName::parse("north-mobile").unwrap(),
        instance: "a".to_owned(),
        credit,
        brokers,
        journal: JournalSettings {
            dir: dir.join("journal"),
            subject_key: SubjectKey::new(&[7; 32]),
            checkpoint_key: checkpoint_key(),
            file_bytes_max: 1 << 20,
            files_max: 10,
        },
        restrictions_file: Some(restrictions_file),
    }
}

impl Adapter {
    pub(crate) fn start(brokers: Vec<BrokerEndpoint>, credit: u32) -> Self {
        Self::start_in(Arc::new(TempDir::new().unwrap()), brokers, credit)
    }

    /// In the folder of one that stopped.
    pub(crate) fn start_in(dir: Arc<TempDir>, brokers: Vec<BrokerEndpoint>, credit: u32) -> Self {
        let clock = SystemClock::shared();
        let operator = Arc::new(VirtualOperator::new("+447700900", clock.clone()).unwrap());
        let config = runtime_config(dir.path(), brokers, credit);
        let source: Arc<dyn Source> = operator.clone();
        let runtime = Runtime::new(config, source, clock).unwrap();
        let restrictions = runtime.restrictions();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(runtime.run(async {
            stopped.await.ok();
        }));
        Self {
            dir,
            operator,
            restrictions,
            stop: Some(stop),
            running,
        }
    }

    pub(crate) fn begin_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    pub(crate) async fn stopped(self) -> Arc<TempDir> {
        soon(self.running).await.unwrap().unwrap();
        self.dir
    }

    pub(crate) async fn stop(mut self) -> Arc<TempDir> {
        self.begin_stop();
        self.stopped().await
    }
}

pub(crate) fn number(text: &str) -> Msisdn {
    Msisdn::parse(text).unwrap()
}

pub(crate) fn ask(id: u64, msisdn: &str, signals: &[Signal], deadline_ms: u32) -> v1::Ask {
    v1::Ask {
        id,
        msisdn: msisdn.to_owned(),
        signals: signals
            .iter()
            .map(|signal| signal.to_wire() as i32)
            .collect(),
        deadline_ms,
        bank: "first-bank".to_owned(),
        purpose: v1::Purpose::Payment as i32,
        bases: signals
            .iter()
            .map(|_| v1::Basis {
                clause: "3.1".to_owned(),
                legal_basis: "Act 7".to_owned(),
                overrides_opt_out: false,
            })
            .collect(),
        ..v1::Ask::default()
    }
}

pub(crate) fn body(reply: &v1::Reply) -> v1::ReplyBody {
    assert_eq!(reply.nonce.len(), 32);
    v1::ReplyBody::decode(reply.body.clone()).unwrap()
}

/// Each signal's reason, or `value` where there is an observation that a broker would believe.
pub(crate) fn outcomes(reply: &v1::Reply) -> Vec<String> {
    let one = |signal: &v1::SignalReply| match signal.outcome.as_ref().unwrap() {
        v1::signal_reply::Outcome::Reason(reason) => {
            Reason::from_wire(*reason).unwrap().name().to_owned()
        }
        v1::signal_reply::Outcome::Observation(observation) => {
            let of = Signal::from_wire(signal.signal).unwrap();
            match wire::parse_observation(observation, of, SystemClock.now()) {
                Ok(_) => "value".to_owned(),
                Err(error) => error.to_string(),
            }
        }
    };
    body(reply).signals.iter().map(one).collect()
}

/// The journal's records, parsed.
pub(crate) fn records(dir: &Path) -> Vec<serde_json::Value> {
    let mut files = std::fs::read_dir(dir.join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "jsonl")
        })
        .collect::<Vec<_>>();
    files.sort();
    let text = |path: &PathBuf| std::fs::read_to_string(path).unwrap();
    files
        .iter()
        .flat_map(|path| {
            text(path)
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect::<Vec<_>>()
        })
        .collect()
}
