//! The servers that are measured, each in a process of its own: broker, adapter and bare server.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use accord_broker::{config::Config, serve};
use accord_client::TokenAlg;
use accord_proto::{clock::SystemClock, purpose::Purpose};
use prost::Message as _;
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::signal::unix::{SignalKind, signal};

use super::{
    BenchError,
    child::{Child, this_program},
    echo::RESPONSE_FILE,
    load::Target,
    questions::{BANK, PREFIX, Tokens},
    tls::Dialler,
};
use crate::world::{
    BankSpec, ChildBroker, ClientSpec, OperatorSpec, WorldFiles, WorldSpec, admin_page, wait_until,
};

/// The operator that knows any number.
const OPERATOR: &str = "bench-mobile";
/// The bank's application that calls CAMARA APIs.
pub(super) const CLIENT: &str = "bench-bank-app";
const AGREEMENT: &str = include_str!("agreement.toml");
/// No rate is met before the machine's own.
const BANK_PER_SECOND: u32 = 1_000_000;
/// On a machine that is busy with other things figures are bad, and nothing else.
const OPERATOR_DEADLINE_MS: u32 = 4_000;

/// Answers from the view, which a clause with caching grants.
pub(super) const FROM_VIEW: Purpose = Purpose::Payment;
/// Answers from the operator, each time.
pub(super) const FROM_OPERATOR: Purpose = Purpose::Login;

/// A broker and an adapter, attached to each other.
pub(super) struct Rig {
    files: WorldFiles,
    broker: ChildBroker,
    adapter: Child,
    pub(super) dialler: Dialler,
    pub(super) tokens: Tokens,
}

impl Rig {
    /// Starts both in a directory that is empty or new.
    pub(super) async fn start(dir: &Path) -> Result<Self, BenchError> {
        let mut files = WorldFiles::write(dir, &spec())?;
        let broker = ChildBroker::spawn(&this_program()?, &mut files).await?;
        let config = files.adapter_config_path(OPERATOR);
        let adapter = Child::spawn("adapter", &["adapter", "--config"], &config).await?;
        let pki = files.dir().join("pki");
        let WorldSpec {
            trust_domain,
            ledger_name,
            ..
        } = files.spec();
        let rig = Self {
            dialler: Dialler::new(&pki, BANK)?,
            tokens: Tokens::new(&pki, trust_domain, ledger_name)?,
            files,
            broker,
            adapter,
        };
        wait_until("the broker to notice the adapter", || async {
            rig.metric("accord_adapters_attached")
                .await
                .is_ok_and(|attached| attached > 0)
        })
        .await?;
        Ok(rig)
    }

    /// The broker under load of questions for one purpose.
    pub(super) async fn target(
        &self,
        what: &'static str,
        purpose: Purpose,
        numbers: u64,
    ) -> Result<Arc<Target>, BenchError> {
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, self.files.grpc_port()));
        let pids = [self.broker.pid(), self.adapter.pid()];
        Target::connect(what, &self.dialler, to, purpose, numbers, pids).await
    }

    /// The bare server, which gives this answer, and the load on it.
    pub(super) async fn echo(
        &self,
        what: &'static str,
        response: &accord_proto::v1::LookupResponse,
        numbers: u64,
    ) -> Result<(Child, Arc<Target>), BenchError> {
        let dir = self.files.dir();
        let path = dir.join(RESPONSE_FILE);
        let written = fs::write(&path, response.encode_to_vec());
        written.map_err(BenchError::io("write", &path))?;
        let echo = Child::spawn("bare server", &["echo", "--dir"], dir).await?;
        let to = echo.said.parse().map_err(|_| BenchError::Child {
            what: "bare server",
        })?;
        let pids = [echo.pid(), None];
        let target = Target::connect(what, &self.dialler, to, FROM_VIEW, numbers, pids).await?;
        Ok((echo, target))
    }

    /// Where the files of both lie.
    pub(super) fn dir(&self) -> &Path {
        self.files.dir()
    }

    /// Where the broker serves the CAMARA APIs.
    pub(super) fn camara(&self) -> SocketAddr {
        let port = self.files.camara_port().unwrap_or_default();
        SocketAddr::from((Ipv4Addr::LOCALHOST, port))
    }

    /// Under which URL.
    pub(super) fn camara_url(&self) -> String {
        self.files.camara_url().unwrap_or_default()
    }

    /// The broker's process.
    pub(super) fn broker_pid(&self) -> Option<u32> {
        self.broker.pid()
    }

    /// The sum of a metric of the broker over its labels.
    pub(super) async fn metric(&self, name: &str) -> Result<u64, BenchError> {
        let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, self.files.admin_port()));
        let text = admin_page(admin, "/metrics").await;
        let text = text.map_err(BenchError::io("read", Path::new("the broker's /metrics")))?;
        let lines = text.lines().filter_map(|line| line.strip_prefix(name));
        let values = lines.filter_map(|rest| match rest.chars().next() {
            Some(' ' | '{') => rest.rsplit(' ').next()?.parse::<u64>().ok(),
            Some(_) | None => None,
        });
        Ok(values.sum())
    }

    /// Ends both.
    pub(super) async fn stop(self) -> Result<(), BenchError> {
        drop(self.adapter);
        self.broker.kill().await?;
        Ok(())
    }
}

fn spec() -> WorldSpec {
    let spec = WorldSpec {
        ledger_name: "accord-bench".to_owned(),
        camara_port: Some(0),
        agreement: AGREEMENT.to_owned(),
        banks: vec![BankSpec {
            name: BANK.to_owned(),
            title: "Bench Bank".to_owned(),
            alg: TokenAlg::Es256,
            purpose: FROM_VIEW,
            clients: vec![ClientSpec {
                scopes: vec!["sim-swap:check".to_owned()],
                ..ClientSpec::against_fraud(CLIENT)
            }],
        }],
        operators: vec![OperatorSpec {
            name: OPERATOR.to_owned(),
            title: "Bench Mobile".to_owned(),
            ranges: vec![PREFIX.to_owned()],
            // Its adapter has a source of its own, see `operator.rs`; this one is not opened.
            source: format!("kind = \"virtual\"\nprefix = \"{PREFIX}0000\"\n"),
        }],
        // The default of `broker.toml`.
        segment_mib: 64,
        ..WorldSpec::default()
    };
    spec.limit("bank_per_second", BANK_PER_SECOND)
        .limit("operator_deadline_ms", OPERATOR_DEADLINE_MS)
}

/// What `accord-broker serve` does, until SIGTERM: this program stands in for it, so that a build
/// of the benchmark is all that a measurement needs.
///
/// # Errors
/// [`BenchError`].
pub async fn serve_broker(config: &Path) -> Result<(), BenchError> {
    let config = Config::read(config)?;
    // A benchmark that is killed leaves no broker behind.
    set_parent_process_death_signal(Some(Signal::TERM))
        .map_err(|error| BenchError::io("watch", Path::new("the parent process"))(error.into()))?;
    let failed = || BenchError::io("wait for", Path::new("signals"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed())?;
    let running = serve::start(config, SystemClock::shared()).await?;
    terminate.recv().await;
    running.drain().await;
    Ok(())
}
