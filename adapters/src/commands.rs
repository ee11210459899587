//! The commands of `accord-adapter`.

use std::{
    io::{self, IsTerminal as _, Write as _},
    net::SocketAddr,
    path::Path,
    sync::Arc,
};

use crate::check::CheckError;
use accord_adapters::{
    config::{AdapterConfig, ConfigError, LogFormat},
    conformance::TlsFound,
    diameter::DiameterError,
    journal::{self, JournalError},
    reconcile::ReconcileError,
    runtime::{Runtime, RuntimeError},
    source::words,
    sources::{self, Background, OpenError, SourceError},
    status::Status,
};
use accord_proto::{clock::SystemClock, hex};
use jiff::Timestamp;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
};
/// `EX_USAGE` of sysexits.
pub(crate) const EXIT_USAGE: u8 = 64;
const EXIT_FAILURE: u8 = 1;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Check(#[from] CheckError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("cannot print")]
    Print(#[from] io::Error),
    #[error("the journal and the ledger differ in {0} place(s), see above")]
    Differences(usize),
    #[error(transparent)]
    Reconcile(#[from] ReconcileError),
    #[error("--broker: {0}")]
    Broker(&'static str),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error("cannot wait for signals")]
    Signals(#[source] io::Error),
    #[error(transparent)]
    Source(#[from] OpenError),
    #[error("cannot start threads")]
    Start(#[source] io::Error),
    #[error("status.listen: cannot listen on {listen}")]
    Status {
        listen: SocketAddr,
        #[source]
        error: io::Error,
    },
}

impl Failure {
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::Broker(_)
            | Self::Config(_)
            | Self::Runtime(RuntimeError::Setting { .. } | RuntimeError::Restrictions(_)) => {
                EXIT_USAGE
            }
            Self::Check(
                CheckError::Number { .. }
                | CheckError::NumbersFile { .. }
                | CheckError::NumbersLine { .. }
                | CheckError::TooMany
                | CheckError::Config(_)
                | CheckError::Restrictions(_),
            ) => EXIT_USAGE,
            Self::Check(CheckError::Interrupted { code, .. }) => *code,
            Self::Check(CheckError::Source(failed)) | Self::Source(failed) => not_opened(failed),
            Self::Check(
                CheckError::Print(_)
                | CheckError::Report { .. }
                | CheckError::Scratch(_)
                | CheckError::Signals(_)
                | CheckError::Wrong(_),
            ) => EXIT_FAILURE,
            Self::Differences(_)
            | Self::Reconcile(_)
            | Self::Journal(_)
            | Self::Print(_)
            | Self::Status { .. }
            | Self::Runtime(RuntimeError::Journal(_) | RuntimeError::Task)
            | Self::Signals(_)
            | Self::Start(_) => EXIT_FAILURE,
        }
    }
}

const fn not_opened(failed: &OpenError) -> u8 {
    match failed.error {
        SourceError::CamaraUpstream(_)
        | SourceError::Csv(_)
        | SourceError::Events(_)
        | SourceError::Diameter(
            DiameterError::Config { .. } | DiameterError::Journal(_) | DiameterError::Tls(_),
        )
        | SourceError::Files(_)
        | SourceError::OsmoHlr(_)
        | SourceError::Sql(_)
        | SourceError::Virtual(_) => EXIT_USAGE,
        SourceError::Diameter(
            DiameterError::Interrupted | DiameterError::NoPeer(_) | DiameterError::Sh(_),
        )
        | SourceError::Database(_)
        | SourceError::Export(_)
        | SourceError::Fetch(_)
        | SourceError::List(_)
        | SourceError::SqlFault(_) => EXIT_FAILURE,
    }
}

/// Prints a failure with its causes.
pub(crate) fn complain(failure: &Failure) {
    // Nobody is left to hear of a failure to complain.
    writeln!(io::stderr(), "accord-adapter: {}", words(failure)).ok();
}

pub(crate) async fn run(path: &Path) -> Result<(), Failure> {
    let config = AdapterConfig::load(path)?;
    start_log(&config)?;
    tracing::info!(config = %path.display(), "accord-adapter {}", env!("CARGO_PKG_VERSION"));
    let clock = SystemClock::shared();
    // Before a source is opened, which may take a while.
    let attached_as = config.runtime()?;
    warn_of_certificate(&config, clock.now());
    let opened = sources::open(&config.sources, &clock)?;
    let mut beside = Beside::start(opened.background);
    let sources = opened.sources;
    let runtime = Runtime::new(attached_as, Arc::clone(&sources) as _, clock)?;
    if let Some(section) = config.status {
        let listener = TcpListener::bind(section.listen).await;
        let listener = listener.map_err(|error| Failure::Status {
            listen: section.listen,
            error,
        })?;
        let status = Status::new(sources, runtime.watch());
        beside.add(Box::pin(status.serve(listener)));
    }
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::Signals)?;
    let ended = runtime
        .run(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
        .await;
    Ok(ended?)
}

/// What doesn't keep it from running, since the files can be replaced meanwhile: above all a
/// certificate that expired, with which no broker lets it in.
fn warn_of_certificate(config: &AdapterConfig, now: Timestamp) {
    let found = TlsFound::of(&config.tls_files(), &config.operator, now);
    for what in &found.wrong {
        tracing::warn!(what, "the adapter's certificate needs attention");
    }
}

/// What runs beside a command, until it ends.
pub(crate) struct Beside(Vec<JoinHandle<()>>);

impl Beside {
    pub(crate) fn start(work: Vec<Background>) -> Self {
        Self(work.into_iter().map(tokio::spawn).collect())
    }

    fn add(&mut self, work: Background) {
        self.0.push(tokio::spawn(work));
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

pub(crate) fn verify_journal(path: &Path) -> Result<(), Failure> {
    let config = AdapterConfig::load(path)?;
    let verified = journal::verify(&config.journal.dir, &config.checkpoint_verifier()?)?;
    writeln!(
        io::stdout(),
        "records {} to {}, signed up to {}, torn bytes {}, head {}\nok",
        verified.first,
        verified.head.size,
        verified.signed,
        verified.torn_bytes,
        hex::encode(&verified.head.hash),
    )?;
    Ok(())
}

fn start_log(config: &AdapterConfig) -> Result<(), Failure> {
    let filter = config.log_filter()?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        // A file or a journal of the system shows the colours as signs.
        .with_ansi(io::stderr().is_terminal());
    match config.log.format {
        LogFormat::Json => lines.json().init(),
        LogFormat::Text => lines.init(),
    }
    Ok(())
}
