//! `accord-bench`: how fast the broker answers, beside the fastest that the same stack could.

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use accord_tests::{
    bench::{self, BenchError, Plan, SourcesPlan, System},
    soak,
};
use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

/// Measures the broker against a bare server on the same machine.
///
/// (a) a bare gRPC server with mTLS, (b) `Lookup` answered from the broker's view, (c) `Lookup`
/// answered by an operator's adapter, (d) appends to the ledger beside a bare append-and-sync loop;
/// the CAMARA door beside a bare axum server with mTLS; and the broker's memory. Takes a few minutes. Build it with `--release`, and leave the machine
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
    command: Option<Command>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Part {
    /// (a), (b) and (c).
    Speed,
    /// (d).
    Ledger,
    /// The CAMARA door, its tokens, and their check.
    Camara,
    /// The broker's resident memory.
    Memory,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Harms a ledger in every way that it must survive, and prints the table of what became of it.
    ///
    /// System calls fail, processes are killed, the power is cut, bits flip, tails are torn. Takes a
    /// quarter of an hour. It needs `strace`, and for the power cuts root and loop devices; what can't
    /// be tried here is said.
    ///
    /// Exit codes: 0 every fault ended as it must; 1 one did not, or could not be tried; 2 wrong
    /// arguments.
    Soak(Soak),
    /// A mirror of a large log: how fast it is verified and in how much memory, how fast an entry
    /// is proved, and how fast a mirror catches up.
    ///
    /// Needs about a kilobyte of disk for each entry, and takes a few minutes for ten million.
    Mirror(MirrorOf),
    #[command(hide = true)]
    MirrorVerifier(MirrorVerifier),
    /// How long a page of an auditor's search takes, over a ledger of many entries. It is made
    /// first, which takes minutes, and 500 bytes of the disk for each entry.
    Index {
        /// Entries of the ledger.
        #[arg(long, default_value_t = 10_000_000, value_name = "COUNT")]
        entries: u64,
    },
    /// A database of ported numbers: how long it takes to load, how much memory, and how fast a
    /// number is looked up. Needs 45 bytes of the disk for each row.
    Portability {
        /// Rows of the database.
        #[arg(long, default_value_t = 10_000_000, value_name = "COUNT",
              value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
        rows: u64,
    },
    /// How long it takes to try a national numbering plan of 10^8 numbers for one tag, which both
    /// authorities together may do. A minute or so.
    Unmask,
    /// Each source beside the fastest client of the same system, and beside one that hangs.
    ///
    /// It starts the systems that are installed here, each in the directory of the run, and says what
    /// it left out. Takes four minutes. Leave the machine alone meanwhile.
    Sources {
        /// Measure this alone.
        #[arg(long, value_name = "SYSTEM")]
        only: Option<System>,
        /// A few seconds, for CI: it shows that all works, the figures are noise.
        #[arg(long)]
        short: bool,
    },
    #[command(hide = true)]
    SoakWriter(soak::Order),
    #[command(flatten)]
    Server(Server),
}

#[derive(Clone, Debug, Args)]
struct Soak {
    /// Each fault a few times, for a minute or two.
    #[arg(long)]
    short: bool,
    /// Rounds of `kill -9`. [default: 1000]
    #[arg(long, value_name = "ROUNDS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rounds: Option<u32>,
    /// A directory on the disk that is to be used. [default: beside this program]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
struct MirrorOf {
    /// How many entries the log has.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000_000)]
    entries: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// A directory on the disk that is to be used. [default: beside this program]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
struct MirrorVerifier {
    /// A ledger's directory, and not a mirror's.
    #[arg(long)]
    ledger: bool,
    dir: PathBuf,
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
    #[command(hide = true)]
    HttpEcho {
        #[arg(long)]
        dir: PathBuf,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.command {
        // Without a runtime, whose own calls would be taken for the ledger's.
        Some(Command::SoakWriter(order)) => soak::write(order).map_err(|error| error.chain()),
        Some(Command::MirrorVerifier(verifier)) => {
            let figures = bench::verify_here(!verifier.ledger, &verifier.dir);
            figures.map_err(|error| error.chain()).and_then(|figures| {
                let text = serde_json::to_string(&figures).map_err(|error| error.to_string())?;
                print(&text).map_err(|error| error.chain())
            })
        }
        Some(Command::Unmask) => unmask(&cli).map_err(|error| error.chain()),
        Some(
            Command::Server(_)
            | Command::Soak(_)
            | Command::Mirror(_)
            | Command::Index { .. }
            | Command::Sources { .. }
            | Command::Portability { .. },
        )
        | None => with_runtime(&cli),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If nobody reads standard error, there is nobody left to tell.
            let _ = writeln!(io::stderr(), "accord-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn with_runtime(cli: &Cli) -> Result<(), String> {
    let chained = |error: BenchError| error.chain();
    match &cli.command {
        Some(Command::Server(server)) => serve(server).await.map_err(chained),
        Some(Command::Soak(soak)) => harm(soak).await,
        Some(Command::Mirror(of)) => mirror(of).await.map_err(chained),
        Some(Command::MirrorVerifier(_) | Command::SoakWriter(_) | Command::Unmask) => Ok(()),
        Some(Command::Index { entries }) => index(cli, *entries).await.map_err(chained),
        Some(Command::Portability { rows }) => portability(cli, *rows).map_err(chained),
        Some(Command::Sources { only, short }) => {
            sources(cli, *only, *short).await.map_err(chained)
        }
        None => measure(cli).await.map_err(chained),
    }
}

/// Runs every fault and prints the table.
async fn harm(soak: &Soak) -> Result<(), String> {
    let writer = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut plan = match soak.short {
        // `serve` of this program is what `accord-broker serve` is.
        true => soak::Plan::short(writer.clone(), writer.clone()),
        false => soak::Plan::full(writer.clone(), writer.clone()),
    };
    if let Some(rounds) = soak.rounds {
        plan.ledger_kills = rounds;
        plan.broker_kills = rounds;
    }
    let dir =
        temporary(&parent(soak.dir.as_deref()), "accord-soak-").map_err(|error| error.chain())?;
    let mut table = soak::rows();
    let done = tokio::select! {
        done = soak::run(&plan, dir.path(), &mut table, &progress) => done.map_err(|error| error.chain()),
        // The directory goes with this function.
        _ = tokio::signal::ctrl_c() => Err("interrupted".to_owned()),
    };
    // What was tried is printed, also where the rest could not be.
    let head = format!("{}\n\n", bench::Machine::look(dir.path()));
    print(&(head + &table.to_markdown())).map_err(|error| error.chain())?;
    done?;
    let text = table.wrong().join("\n");
    match text.is_empty() {
        true => Ok(()),
        false => Err(format!("not every fault ended as it must:\n{text}")),
    }
}

async fn mirror(of: &MirrorOf) -> Result<(), BenchError> {
    let dir = temporary(&parent(of.dir.as_deref()), "accord-bench-")?;
    let measured = tokio::select! {
        measured = bench::run_mirror(of.entries.max(1), dir.path(), &progress) => measured,
        // The directory goes with this function.
        _ = tokio::signal::ctrl_c() => return Err(BenchError::Interrupted),
    }?;
    print(&match of.json {
        true => measured.to_json() + "\n",
        false => measured.to_string(),
    })
}

/// Where files go: what was named, else beside this program.
fn parent(named: Option<&Path>) -> PathBuf {
    let program = std::env::current_exe().ok();
    let beside = program.as_deref().and_then(Path::parent);
    named
        .or(beside)
        .unwrap_or_else(|| Path::new("."))
        .to_owned()
}

fn print(text: &str) -> Result<(), BenchError> {
    let written = io::stdout().write_all(text.as_bytes());
    written.map_err(|source| BenchError::Io {
        act: "write",
        path: "standard output".into(),
        source,
    })
}

/// What goes on, for a person who waits.
fn progress(text: &str) {
    if io::stderr().is_terminal() {
        // Only a person misses it.
        let _ = writeln!(io::stderr(), "{text}");
    }
}

fn temporary(parent: &Path, prefix: &str) -> Result<tempfile::TempDir, BenchError> {
    let made = tempfile::Builder::new().prefix(prefix).tempdir_in(parent);
    made.map_err(|source| BenchError::Io {
        act: "make a directory in",
        path: parent.to_owned(),
        source,
    })
}

async fn serve(server: &Server) -> Result<(), BenchError> {
    // The broker logs as `accord-broker serve` does; of the others a person wants to hear nothing.
    let level = match server {
        Server::Serve { .. } => "info",
        Server::Adapter { .. } | Server::Echo { .. } | Server::HttpEcho { .. } => "error",
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
        Server::HttpEcho { dir } => bench::serve_http_echo(dir).await,
    }
}

async fn measure(cli: &Cli) -> Result<(), BenchError> {
    let mut plan = match cli.short {
        true => Plan::short(),
        false => Plan::full(),
    };
    if let Some(part) = cli.only {
        plan.speed &= matches!(part, Part::Speed);
        plan.ledger &= matches!(part, Part::Ledger);
        plan.camara &= matches!(part, Part::Camara);
        if !matches!(part, Part::Memory) {
            plan.lookups = 0;
        }
    }
    let dir = temporary(&parent(cli.dir.as_deref()), "accord-bench-")?;
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
    print(&match cli.json {
        true => report.to_json() + "\n",
        false => report.to_table(),
    })
}

fn unmask(cli: &Cli) -> Result<(), BenchError> {
    let machine = bench::Machine::look(&parent(cli.dir.as_deref()));
    let measured = bench::measure_unmask(machine)?;
    print(&match cli.json {
        true => serde_json::to_string(&measured).unwrap_or_default() + "\n",
        false => measured.to_string(),
    })
}

async fn sources(cli: &Cli, only: Option<System>, short: bool) -> Result<(), BenchError> {
    let plan = match short || cli.short {
        true => SourcesPlan::short(),
        false => SourcesPlan::full(),
    };
    let dir = temporary(&parent(cli.dir.as_deref()), "accord-bench-")?;
    let measured = tokio::select! {
        measured = bench::measure_sources(plan, only, dir.path(), &progress) => measured?,
        // The directory goes with this function.
        _ = tokio::signal::ctrl_c() => return Err(BenchError::Interrupted),
    };
    print(&match cli.json {
        true => measured.to_json() + "\n",
        false => measured.to_table(),
    })
}

async fn index(cli: &Cli, entries: u64) -> Result<(), BenchError> {
    let dir = temporary(&parent(cli.dir.as_deref()), "accord-bench-")?;
    let measured = tokio::select! {
        measured = bench::measure_index(entries, dir.path(), &progress) => measured?,
        // The directory goes with this function.
        _ = tokio::signal::ctrl_c() => return Err(BenchError::Interrupted),
    };
    print(&match cli.json {
        true => serde_json::to_string(&measured).unwrap_or_default() + "\n",
        false => measured.to_table(),
    })
}

fn portability(cli: &Cli, rows: u64) -> Result<(), BenchError> {
    let dir = temporary(&parent(cli.dir.as_deref()), "accord-bench-")?;
    let measured = bench::measure_portability(rows, dir.path(), &progress)?;
    print(&match cli.json {
        true => serde_json::to_string(&measured).unwrap_or_default() + "\n",
        false => measured.to_table(),
    })
}
