//! `accord-adapter check`: the conformance kit over every source of a configuration.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use accord_adapters::{
    config::{AdapterConfig, ConfigError},
    conformance::{Asked, Found, Plan, Report, Scratch, ScratchError, TlsFound, examine_source},
    runtime::{RestrictionsFileError, check_restrictions},
    several::Several,
    source::{Source as _, words},
    sources::{self, OpenError, Opened},
};
use accord_proto::{
    clock::{Clock, SystemClock},
    digest::sha256,
    hex,
    msisdn::{Msisdn, MsisdnError},
};
use futures_util::future::join_all;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::timeout,
};

use crate::commands::Beside;

/// The longest time that a source gets for one question.
const DEADLINE_MS_MAX: u64 = 10_000;
/// All questions together, and before them the first data: with a source's last question less than
/// a minute.
const ASKING_MAX: Duration = Duration::from_secs(25);
const PREPARING_MAX: Duration = Duration::from_secs(20);
const TOGETHER_MAX: Duration = Duration::from_secs(5);
const ROUNDS: u32 = 20;
const ROUNDS_MAX: u32 = 1_000;
const NUMBERS_MAX: usize = 1_000;
const NUMBERS_FILE_BYTES_MAX: u64 = 64 << 10;

/// What `check` is told on the command line.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArguments {
    /// A known subscriber to ask about, E.164 with its plus sign; may be given several times.
    #[arg(long = "number", value_name = "MSISDN")]
    numbers: Vec<String>,
    /// A file of known subscribers, one a line. [default: `check.numbers_file` of the configuration]
    #[arg(long = "numbers", value_name = "FILE")]
    numbers_file: Option<PathBuf>,
    /// How often each number is asked about, as far as half a minute allows. [default: 20; 3 of a
    /// CAMARA upstream]
    #[arg(long, value_name = "COUNT")]
    rounds: Option<u32>,
    /// The time that a source has for each question.
    #[arg(long, value_name = "MS", default_value_t = 800)]
    deadline_ms: u64,
    /// Also write the report to a file, as JSON if its name ends in `.json`. It names no subscriber.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Why nothing could be checked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckError {
    #[error("cannot read `{}`: {error}", path.display())]
    NumbersFile { path: PathBuf, error: io::Error },
    #[error("`{}`, line {line}: {error}", path.display())]
    NumbersLine {
        path: PathBuf,
        line: usize,
        error: MsisdnError,
    },
    #[error("number {position}: {error}")]
    Number { position: usize, error: MsisdnError },
    #[error("at most {NUMBERS_MAX} numbers are asked about")]
    TooMany,
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    #[error("cannot write `{}`: {error}", path.display())]
    Report { path: PathBuf, error: io::Error },
    #[error("cannot print: {0}")]
    Print(#[from] io::Error),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Restrictions(#[from] RestrictionsFileError),
    #[error(transparent)]
    Source(#[from] OpenError),
    #[error("interrupted by {name}: nothing was concluded, and what was fetched is removed")]
    Interrupted { name: &'static str, code: u8 },
    #[error("cannot wait for signals: {0}")]
    Signals(io::Error),
    #[error("{0} thing(s) look wrong, see above")]
    Wrong(usize),
}

/// Checks until it is done or told to stop: either way what was fetched of the operator's data goes.
pub(crate) async fn check(path: &Path, arguments: &CheckArguments) -> Result<(), CheckError> {
    let signal = |kind| signal(kind).map_err(CheckError::Signals);
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let config = AdapterConfig::load(path)?;
    let mut scratch = Scratch::new(config.check.scratch_dir.clone());
    // As a shell has it: 128 and the signal's number.
    let interrupted = |name, code| Err(CheckError::Interrupted { name, code });
    let done = tokio::select! {
        done = examine_all(path, config, arguments, &mut scratch) => done,
        _ = hang_up.recv() => interrupted("SIGHUP", 129),
        _ = interrupt.recv() => interrupted("SIGINT", 130),
        _ = terminate.recv() => interrupted("SIGTERM", 143),
    };
    scratch.remove().await?;
    done
}

async fn examine_all(
    path: &Path,
    mut config: AdapterConfig,
    arguments: &CheckArguments,
    scratch: &mut Scratch,
) -> Result<(), CheckError> {
    let numbers = numbers(arguments, &config)?;
    config.check_journal_keys()?;
    if let Some(file) = &config.restrictions.file {
        check_restrictions(file)?;
    }
    let clock = SystemClock::shared();
    let plan = Plan {
        rounds: arguments.rounds.unwrap_or(ROUNDS).clamp(1, ROUNDS_MAX),
        time: Duration::from_millis(arguments.deadline_ms.clamp(1, DEADLINE_MS_MAX)),
        budget: ASKING_MAX,
    };
    let mut report = report(path, &config, numbers.len(), plan, &*clock)?;
    // At once: it is known, and what follows may take most of a minute, or find a source's section wrong.
    print(&report.head())?;
    for section in &mut config.sources {
        section.kind.keep_apart(&section.name, scratch)?;
    }
    let Opened {
        sources,
        background,
        prepare,
    } = sources::open(&config.sources, &clock)?;
    let prepared = prepare.into_iter().map(|(name, prepare)| async move {
        let why = match timeout(PREPARING_MAX, prepare).await {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => words(&error),
            Err(_) => format!(
                "its first data did not come within {} s, which is as long as a check waits",
                PREPARING_MAX.as_secs()
            ),
        };
        Some((name, why))
    });
    let unprepared: Vec<(String, String)> =
        join_all(prepared).await.into_iter().flatten().collect();
    let _background = Beside::start(background);
    let examining = sources.parts().zip(&config.sources).map(|(part, section)| {
        let why = unprepared.iter().find(|(name, _)| name == part.name());
        let why = why.map(|(_, why)| why.clone());
        let asked = Asked {
            name: part.name(),
            kind: part.kind(),
            source: &**part.source(),
            signals: part.believed(),
            asks_per_second: section.asks_per_second,
        };
        let rounds = arguments
            .rounds
            .map_or_else(|| section.kind.check_rounds(), |_| plan.rounds);
        let plan = Plan { rounds, ..plan };
        examine_source(asked, why, &numbers, plan, &*clock)
    });
    let mut found = join_all(examining).await;
    if config.sources.len() > 1 {
        found.push(together(&sources, &config, &numbers, plan, &*clock).await);
    }
    report.sources = found;
    let report = report.concluded();
    print(&report.body())?;
    if let Some(file) = &arguments.report {
        write(file, &report)?;
    }
    match report.wrong() {
        0 => Ok(()),
        wrong => Err(CheckError::Wrong(wrong)),
    }
}

/// What a bank is told: all sources as one, asked once about each number.
async fn together(
    sources: &Several,
    config: &AdapterConfig,
    numbers: &[Msisdn],
    plan: Plan,
    clock: &dyn Clock,
) -> Found {
    let ceilings = config.sources.iter();
    let ceilings = ceilings.filter_map(|section| section.asks_per_second);
    let asked = Asked {
        name: "together",
        kind: "all of them",
        source: sources,
        signals: sources.signals(),
        asks_per_second: ceilings.min(),
    };
    let plan = Plan {
        rounds: 1,
        budget: TOGETHER_MAX,
        ..plan
    };
    examine_source(asked, None, numbers, plan, clock).await
}

fn print(text: &str) -> Result<(), CheckError> {
    let mut out = io::stdout();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Of no source yet.
fn report(
    path: &Path,
    config: &AdapterConfig,
    numbers: usize,
    plan: Plan,
    clock: &dyn Clock,
) -> Result<Report, CheckError> {
    let bytes = fs::read(path).map_err(|error| ConfigError::Read {
        path: path.to_owned(),
        error,
    })?;
    Ok(Report {
        program: concat!("accord-adapter ", env!("CARGO_PKG_VERSION")),
        at: clock.now(),
        operator: config.operator.as_str().to_owned(),
        instance: config.instance.clone(),
        config_sha256: hex::encode(&sha256(&[&bytes])),
        numbers,
        rounds: plan.rounds,
        deadline_ms: u64::try_from(plan.time.as_millis()).unwrap_or(u64::MAX),
        tls: TlsFound::of(&config.tls_files(), &config.operator, clock.now()),
        sources: Vec::new(),
        never: Vec::new(),
        conforms: false,
    })
}

fn write(file: &Path, report: &Report) -> Result<(), CheckError> {
    let json = file.extension().is_some_and(|ending| ending == "json");
    let text = if json {
        report.to_json()
    } else {
        report.to_text()
    };
    fs::write(file, text).map_err(|error| CheckError::Report {
        path: file.to_owned(),
        error,
    })
}

/// Those of the command line, then those of the file.
fn numbers(arguments: &CheckArguments, config: &AdapterConfig) -> Result<Vec<Msisdn>, CheckError> {
    let mut numbers = Vec::new();
    for (position, text) in (1..).zip(&arguments.numbers) {
        let number = Msisdn::parse(text);
        numbers.push(number.map_err(|error| CheckError::Number { position, error })?);
    }
    let configured = config.check.numbers_file.as_ref();
    let configured = configured.filter(|_| arguments.numbers.is_empty());
    if let Some(path) = arguments.numbers_file.as_ref().or(configured) {
        let text = read(path)?;
        // Some editors begin a file with a mark that nobody sees.
        let unmarked = text.strip_prefix('\u{feff}').unwrap_or(&text);
        for (line, text) in (1..).zip(unmarked.lines()) {
            let text = text.split('#').next().unwrap_or_default().trim();
            if text.is_empty() {
                continue;
            }
            let number = Msisdn::parse(text).map_err(|error| CheckError::NumbersLine {
                path: path.clone(),
                line,
                error,
            });
            numbers.push(number?);
        }
    }
    if numbers.len() > NUMBERS_MAX {
        return Err(CheckError::TooMany);
    }
    Ok(numbers)
}

fn read(path: &Path) -> Result<String, CheckError> {
    let mut text = String::new();
    let mut open = || {
        let file = fs::File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        if metadata.len() > NUMBERS_FILE_BYTES_MAX {
            return Err(io::Error::other("larger than 64 KiB"));
        }
        let mut file = file.take(NUMBERS_FILE_BYTES_MAX);
        file.read_to_string(&mut text)
    };
    open().map_err(|error| CheckError::NumbersFile {
        path: path.to_owned(),
        error,
    })?;
    Ok(text)
}
