//! The command line.

use std::{
    fs,
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use accord_broker::{config::Config, ledger::Ledger, serve};
use accord_proto::{
    c2sp::SigningKey,
    clock::{SharedClock, SystemClock},
};
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// What must not be heard, whatever the environment asks for.
const SILENT: [&str; 3] = [
    "hickory_net=off",
    "hickory_proto=off",
    "hickory_resolver=off",
];

/// A configuration that can't be used (`EX_USAGE` of sysexits).
const EXIT_CONFIG: u8 = 64;

/// The broker between banks and mobile operators.
///
/// Exit codes: 0 done, 1 failed, 2 wrong arguments, 64 the configuration can't be used.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves until SIGINT or SIGTERM, then drains.
    Serve(ConfigArg),
    /// Reads the configuration and every file that it names, and says what it found.
    CheckConfig(ConfigArg),
    /// The ledger: the tamper-evident record of every access.
    #[command(subcommand)]
    Ledger(LedgerCommand),
}

#[derive(Debug, Subcommand)]
enum LedgerCommand {
    /// Makes a new, empty ledger. Nothing else does, and never over an existing one.
    Init(ConfigArg),
}

#[derive(Debug, Args)]
struct ConfigArg {
    /// The configuration file; `broker.full.toml` shows every key.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// What ends a command other than well.
enum Failed {
    Config(String),
    Other(String),
}

pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Serve(arg) => serve(&arg.config),
        Command::CheckConfig(arg) => check_config(&arg.config),
        Command::Ledger(LedgerCommand::Init(arg)) => init(&arg.config),
    };
    let (code, message) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failed::Config(message)) => (EXIT_CONFIG, message),
        Err(Failed::Other(message)) => (1, message),
    };
    // If nobody reads standard error, there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "accord-broker: {message}");
    ExitCode::from(code)
}

fn read(path: &Path) -> Result<Config, Failed> {
    Config::read(path).map_err(|error| Failed::Config(error.to_string()))
}

fn serve(path: &Path) -> Result<(), Failed> {
    let config = read(path)?;
    log_to_stderr();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), config = %path.display(),
        config_sha256 = accord_proto::hex::encode(&config.sha256), "starting");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failed::Other(format!("no runtime: {error}")))?;
    runtime.block_on(async {
        let failed = |error: std::io::Error| Failed::Other(format!("no signals: {error}"));
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let clock: SharedClock = Arc::new(SystemClock);
        let running = serve::start(config, clock)
            .await
            .map_err(|error| Failed::Other(with_sources(&error)))?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        running.drain().await;
        Ok(())
    })
}

fn check_config(path: &Path) -> Result<(), Failed> {
    let config = read(path)?;
    signing_key(&config)?;
    let checked = serve::check(&config, SystemClock::shared())
        .map_err(|error| Failed::Config(with_sources(&error)))?;
    let (agreement, parties) = (&checked.agreement, &checked.parties);
    let document = agreement.document();
    let portability = checked
        .portability
        .as_ref()
        .map_or_else(String::new, |database| {
            let (rows, as_of) = (database.rows(), database.as_of());
            format!("portability database: {rows} rows, as of {as_of}\n")
        });
    say(&format!(
        "{}: good\nagreement {} version {}: {} clauses, in force from {} until {}, signed by {}\n\
         parties {}: {} parties, signed by {}\nported numbers: {}\n{portability}\
         certificate valid until {}, revocation lists until {}",
        path.display(),
        document.id(),
        document.version(),
        document.clauses().len(),
        document.term().effective(),
        document.term().expires(),
        agreement.signers().join(" and "),
        parties.id(),
        parties.all().len(),
        parties.signers().join(" and "),
        checked.ported,
        checked.trust.certificate_expires,
        checked.trust.lists_expire,
    ))
}

fn init(path: &Path) -> Result<(), Failed> {
    let config = read(path)?;
    let authorities = config
        .authorities()
        .map_err(|(key, rule)| Failed::Config(format!("{key}: {rule}")))?;
    let key = signing_key(&config)?;
    let vkeys = [
        authorities.telecom_regulator().clone(),
        authorities.central_bank().clone(),
    ];
    let verifier = key.verifier();
    Ledger::init(&config.ledger.dir, &key, &vkeys, &SystemClock::shared())
        .map_err(|error| Failed::Other(with_sources(&error)))?;
    say(&format!(
        "made an empty ledger in {}\nverifier key: {verifier}",
        config.ledger.dir.display()
    ))
}

fn signing_key(config: &Config) -> Result<SigningKey, Failed> {
    let path = &config.ledger.signing_key;
    let text = fs::read_to_string(path)
        .map_err(|error| Failed::Config(format!("can't read `{}`: {error}", path.display())))?;
    let key = SigningKey::parse(text.trim())
        .map_err(|error| Failed::Config(format!("`{}`: {error}", path.display())))?;
    if key.verifier().name() == config.ledger.name {
        Ok(key)
    } else {
        let rule = format!("`{}` is the key of another log", path.display());
        Err(Failed::Config(format!("ledger.signing_key: {rule}")))
    }
}

/// Text for a person at a terminal, JSON lines for everybody else.
fn log_to_stderr() {
    let mut filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // What the resolver asks for is a number, so it says nothing at any level.
    let silent = SILENT.iter().filter_map(|directive| directive.parse().ok());
    for directive in silent {
        filter = filter.add_directive(directive);
    }
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        log.init();
    } else {
        log.json().flatten_event(true).init();
    }
}

fn say(text: &str) -> Result<(), Failed> {
    writeln!(std::io::stdout(), "{text}").map_err(|error| Failed::Other(error.to_string()))
}

/// An error with all that caused it, on one line.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let source_text = source.to_string();
        if !text.contains(&source_text) {
            text.push_str(": ");
            text.push_str(&source_text);
        }
        cause = source.source();
    }
    text
}
