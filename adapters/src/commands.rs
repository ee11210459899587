//! The commands of `accord-adapter`.

use std::{
    error::Error,
    io::{self, Write as _},
    path::Path,
    time::Duration,
};

use accord_adapters::{
    config::{AdapterConfig, ConfigError, LogFormat, LogSection},
    conformance::{self, Examined},
    journal::{self, JournalError},
    runtime::{Runtime, RuntimeError},
    source::Source,
    sources::{self, Background, OpenError, Opened, SourceError},
};
use accord_proto::{
    clock::{SharedClock, SystemClock},
    msisdn::{Msisdn, MsisdnError},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
};
use tracing_subscriber::EnvFilter;

/// `EX_USAGE` of sysexits.
pub(crate) const EXIT_USAGE: u8 = 64;
const EXIT_FAILURE: u8 = 1;
/// The longest time that `check` gives a source.
const CHECK_MS_MAX: u64 = 60_000;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the source breaks {0} rule(s), see above")]
    Faults(usize),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("log.filter: {0}")]
    LogFilter(#[from] tracing_subscriber::filter::ParseError),
    #[error("number {position}: {error}")]
    Number { position: usize, error: MsisdnError },
    #[error("cannot print")]
    Print(#[from] io::Error),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error("cannot wait for signals")]
    Signals(#[source] io::Error),
    #[error(transparent)]
    Source(#[from] OpenError),
}

impl Failure {
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::LogFilter(_)
            | Self::Number { .. }
            | Self::Runtime(RuntimeError::Setting { .. } | RuntimeError::Restrictions(_)) => {
                EXIT_USAGE
            }
            Self::Source(failed) => match failed.error {
                SourceError::Csv(_) | SourceError::OsmoHlr(_) | SourceError::Virtual(_) => {
                    EXIT_USAGE
                }
                SourceError::Export(_) => EXIT_FAILURE,
            },
            Self::Faults(_)
            | Self::Journal(_)
            | Self::Print(_)
            | Self::Runtime(RuntimeError::Journal(_) | RuntimeError::Task)
            | Self::Signals(_) => EXIT_FAILURE,
        }
    }
}

/// Prints a failure with its causes.
pub(crate) fn complain(failure: &Failure) {
    let mut text = format!("accord-adapter: {failure}");
    let mut cause = failure.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    // Nobody is left to hear of a failure to complain.
    writeln!(io::stderr(), "{text}").ok();
}

pub(crate) async fn run(path: &Path) -> Result<(), Failure> {
    let config = AdapterConfig::load(path)?;
    start_log(&config.log)?;
    tracing::info!(config = %path.display(), "accord-adapter {}", env!("CARGO_PKG_VERSION"));
    let clock = SystemClock::shared();
    let opened = sources::open(&config.sources, &clock)?;
    let _background = Beside::start(opened.background);
    let runtime = Runtime::new(config.runtime()?, opened.sources, clock)?;
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

/// What runs beside a command, until it ends.
struct Beside(Vec<JoinHandle<()>>);

impl Beside {
    fn start(work: Vec<Background>) -> Self {
        Self(work.into_iter().map(tokio::spawn).collect())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

pub(crate) async fn check(
    path: &Path,
    numbers: &[String],
    deadline_ms: u64,
) -> Result<(), Failure> {
    let config = AdapterConfig::load(path)?;
    let parse = |(at, text): (usize, &String)| {
        Msisdn::parse(text).map_err(|error| Failure::Number {
            position: at + 1,
            error,
        })
    };
    let numbers = numbers
        .iter()
        .enumerate()
        .map(parse)
        .collect::<Result<Vec<_>, _>>()?;
    let clock = SystemClock::shared();
    let mut opened = sources::open(&config.sources, &clock)?;
    opened.prepare().await?;
    let Opened {
        sources,
        background,
        ..
    } = opened;
    let _background = Beside::start(background);
    let mut out = io::stdout().lock();
    let can = sources.signals().iter().map(|signal| signal.name());
    writeln!(out, "can answer: {}", can.collect::<Vec<_>>().join(", "))?;
    let time = Duration::from_millis(deadline_ms.clamp(1, CHECK_MS_MAX));
    let faults = examine_all(&mut out, &*sources, &numbers, time, &clock).await?;
    match faults {
        0 => Ok(()),
        faults => Err(Failure::Faults(faults)),
    }
}

/// Prints the table and returns how many rules were broken.
async fn examine_all(
    out: &mut io::StdoutLock<'_>,
    source: &dyn Source,
    numbers: &[Msisdn],
    time: Duration,
    clock: &SharedClock,
) -> io::Result<usize> {
    let mut table = vec![header(source)];
    let mut faults = Vec::new();
    for msisdn in numbers {
        let examined = conformance::examine(source, *msisdn, time, &**clock).await;
        let name = ending(msisdn);
        table.push(row(source, &name, &examined, clock));
        faults.extend(
            examined
                .faults
                .iter()
                .map(|fault| format!("{name}  {fault}")),
        );
    }
    if !numbers.is_empty() {
        print_table(out, &table)?;
    }
    for fault in &faults {
        writeln!(out, "fault: {fault}")?;
    }
    Ok(faults.len())
}

fn header(source: &dyn Source) -> Vec<String> {
    let mut row = vec!["number".to_owned(), "took".to_owned()];
    row.extend(source.signals().iter().map(ToString::to_string));
    row.push("locked".to_owned());
    row
}

fn row(source: &dyn Source, name: &str, examined: &Examined, clock: &SharedClock) -> Vec<String> {
    let mut row = vec![name.to_owned(), format!("{:.1?}", examined.took)];
    for signal in source.signals() {
        let said = examined.signals.iter().find(|(of, _)| of == signal);
        row.push(said.map_or_else(
            || "-".to_owned(),
            |(_, said)| conformance::words(said, &**clock),
        ));
    }
    row.push(if examined.customer_lock { "yes" } else { "no" }.to_owned());
    row
}

/// The last three digits: a terminal's scrollback is no place for numbers.
fn ending(msisdn: &Msisdn) -> String {
    let digits = msisdn.expose_digits();
    let last = digits.get(digits.len().saturating_sub(3)..);
    format!("…{}", last.unwrap_or_default())
}

fn print_table(out: &mut io::StdoutLock<'_>, table: &[Vec<String>]) -> io::Result<()> {
    let columns = table.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = table.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths = (0..columns).map(width).collect::<Vec<_>>();
    for row in table {
        let cells = row.iter().zip(&widths);
        let line = cells.fold(String::new(), |line, (cell, width)| {
            format!("{line}{cell:<width$}  ")
        });
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

pub(crate) fn verify_journal(path: &Path) -> Result<(), Failure> {
    let config = AdapterConfig::load(path)?;
    let verified = journal::verify(&config.journal.dir, &config.checkpoint_verifier()?)?;
    let head = verified.head.hash.iter().map(|byte| format!("{byte:02x}"));
    writeln!(
        io::stdout(),
        "records {} to {}, signed up to {}, torn bytes {}, head {}\nok",
        verified.first,
        verified.head.size,
        verified.signed,
        verified.torn_bytes,
        head.collect::<String>(),
    )?;
    Ok(())
}

fn start_log(log: &LogSection) -> Result<(), Failure> {
    let filter = EnvFilter::builder().parse(&log.filter)?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    match log.format {
        LogFormat::Json => lines.json().init(),
        LogFormat::Text => lines.init(),
    }
    Ok(())
}
