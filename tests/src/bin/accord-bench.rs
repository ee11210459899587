//! `accord-bench`: how fast the broker answers, beside the fastest that the same stack could.

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use accord_tests::bench::{self, BenchError, Plan};
use clap::{Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

/// Measures the broker against a bare server on the same machine.
///
/// (a) a bare gRPC server with mTLS, (b) `Lookup` answered from the broker's view, (c) `Lookup`
/// answered by an operator's adapter, (d) appends to the ledger beside a bare append-and-sync loop;
/// and the broker's memory. Takes a few minutes. Build it with `--release`, and leave the machine
/// alone meanwhile.
///
/// Exit codes: 0 measured, whatever the figures; 1 something failed; 2 wrong arguments.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// Half a minute, for CI: it shows that all works, the figures are noise.
    #[arg(long)]
    short: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Measure this alone.
    #[arg(long, value_name = "PART")]
    only: Option<Part>,
    /// A directory on the disk that the ledger is to be measured on. [default: beside this program]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(subcommand)]
    server: Option<Server>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Part {
    /// (a), (b) and (c).
    Speed,
    /// (d).
    Ledger,
    /// The broker's resident memory.
    Memory,
}

/// What the benchmark starts as processes of their own.
#[derive(Debug, Subcommand)]
enum Server {
    #[command(hide = true)]
    Serve {
        #[arg(long)]
        config: PathBuf,
    },
    #[command(hide = true)]
    Adapter {
        #[arg(long)]
        config: PathBuf,
    },
    #[command(hide = true)]
    Echo {
        #[arg(long)]
        dir: PathBuf,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.server {
        Some(server) => serve(server).await,
        None => measure(&cli).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If nobody reads standard error, there is nobody left to tell.
            let _ = writeln!(io::stderr(), "accord-bench: {}", error.chain());
            ExitCode::FAILURE
        }
    }
}

async fn serve(server: &Server) -> Result<(), BenchError> {
    // The broker logs as `accord-broker serve` does; of the others a person wants to hear nothing.
    let level = match server {
        Server::Serve { .. } => "info",
        Server::Adapter { .. } | Server::Echo { .. } => "error",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .json()
        .flatten_event(true)
        .init();
    match server {
        Server::Serve { config } => bench::serve_broker(config).await,
        Server::Adapter { config } => bench::serve_adapter(config).await,
        Server::Echo { dir } => bench::serve_echo(dir).await,
    }
}

async fn measure(cli: &Cli) -> Result<(), BenchError> {
    let mut plan = if cli.short {
        Plan::short()
    } else {
        Plan::full()
    };
    if let Some(part) = cli.only {
        plan.speed &= matches!(part, Part::Speed);
        plan.ledger &= matches!(part, Part::Ledger);
        if !matches!(part, Part::Memory) {
            plan.lookups = 0;
        }
    }
    let beside = std::env::current_exe().ok();
    let beside = beside.as_deref().and_then(Path::parent);
    let parent = cli
        .dir
        .as_deref()
        .or(beside)
        .unwrap_or_else(|| Path::new("."));
    let made = tempfile::Builder::new()
        .prefix("accord-bench-")
        .tempdir_in(parent);
    let dir = made.map_err(|source| BenchError::Io {
        act: "make a directory in",
        path: parent.to_owned(),
        source,
    })?;
    let person = io::stderr().is_terminal();
    let progress = |text: &str| {
        if person {
            // Only a person misses it.
            let _ = writeln!(io::stderr(), "{text}");
        }
    };
    let measured = tokio::select! {
        measured = bench::run(&plan, dir.path(), &progress) => measured,
        // The directory goes with this function.
        _ = tokio::signal::ctrl_c() => return Err(BenchError::Interrupted),
    };
    let report = measured.inspect_err(|_| {
        let left = dir.keep();
        let text = format!(
            "accord-bench: logs and ledger are left in {}",
            left.display()
        );
        // The error itself says the rest.
        let _ = writeln!(io::stderr(), "{text}");
    })?;
    let text = if cli.json {
        report.to_json() + "\n"
    } else {
        report.to_table()
    };
    let written = io::stdout().write_all(text.as_bytes());
    written.map_err(|source| BenchError::Io {
        act: "write",
        path: "standard output".into(),
        source,
    })
}
