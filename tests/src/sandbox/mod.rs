//! The sandbox: the whole of Accord on loopback, shown to a person.
//!
//! ```text
//!   home (directory, lock, ports, log) ──▶ world ──▶ ask (every number, two banks)
//!                                                     └──▶ page (tables, ledger, commands)
//! ```

mod ask;
mod closed;
mod commands;
mod flip;
mod home;
mod page;
mod paste;
mod table;
mod told;

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use accord_client::VerifyError;
use accord_proto::clock::SystemClock;
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use self::{ask::Asked, closed::ClosedMonth, home::Home, page::Page, table::Screen};
use crate::world::{World, WorldError, WorldFiles, WorldSpec};

/// A whole Accord on this machine, with three banks, two mobile operators and two authorities, all
/// made up.
///
/// It makes certificates and keys, signs an agreement, starts broker, ledger and both operators,
/// asks every test number as two of the banks, shows what each was told, and serves until Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "cargo sandbox", version)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Ends when all is shown, and does not go on serving
    #[arg(long)]
    once: bool,
    /// Goes on with the ledger of the last run, and so with its quotas; else a run begins with an
    /// empty one
    #[arg(long)]
    keep: bool,
    /// Begins the ledger two months ago, so that there is a month that is closed: its key is split
    /// between the authorities, and what they can do with it is shown
    #[arg(long, conflicts_with = "keep")]
    closed_month: bool,
    /// Where everything is made
    #[arg(long, global = true, value_name = "DIR", default_value = ".accord")]
    dir: PathBuf,
    /// Port of the broker, on loopback; 0 for a free one
    #[arg(long, value_name = "PORT", default_value_t = 7443)]
    grpc_port: u16,
    /// Port of metrics, health and readiness, on loopback; 0 for a free one
    #[arg(long, value_name = "PORT", default_value_t = 7490)]
    admin_port: u16,
    /// Port of checkpoints, hash tiles and entries over HTTPS, on loopback; 0 for a free one
    #[arg(long, value_name = "PORT", default_value_t = 7444)]
    tiles_port: u16,
    /// Port of the CAMARA APIs and the authorisation server, on loopback; 0 for a free one
    #[arg(long, value_name = "PORT", default_value_t = 7445)]
    camara_port: u16,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Copies the ledger, changes one bit in the copy, and shows that the verifier names the entry
    FlipAByte,
}

/// Why the sandbox did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The directory is somebody else's.
    #[error("`{dir}` was not made by the sandbox, and holds files: choose another one with --dir")]
    ForeignDir {
        /// Which.
        dir: PathBuf,
    },
    /// Another sandbox is at work in the directory.
    #[error("another sandbox runs in `{dir}`: stop it, or choose another directory with --dir")]
    Locked {
        /// Which.
        dir: PathBuf,
    },
    /// There is no ledger to flip a byte of.
    #[error("there is no ledger in `{dir}`: start `cargo sandbox` first")]
    NoLedger {
        /// Where it was looked for.
        dir: PathBuf,
    },
    /// A damaged copy passed for whole.
    #[error("the damaged copy was not found out: this is a fault of the verifier")]
    NotFoundOut,
    /// A port is taken.
    #[error("port {port} is in use on this machine: choose another one with {flag}, such as {flag} {}", port.saturating_add(1))]
    PortInUse {
        /// Which.
        port: u16,
        /// What chooses another one.
        flag: &'static str,
    },
    /// A port can't be listened on for another reason.
    #[error("can't listen on port {port} (chosen by {flag}): {source}")]
    Port {
        /// Which.
        port: u16,
        /// What chooses another one.
        flag: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody reads.
    #[error("can't print: {0}")]
    Print(#[from] io::Error),
    /// The ledger does not verify.
    #[error("the ledger is damaged: {0}")]
    Verify(#[from] VerifyError),
    /// A part of the world.
    #[error("{}", .0.chain())]
    World(#[from] WorldError),
}

/// Runs the sandbox with the arguments of the process.
#[must_use]
pub fn run() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(dispatch(&args)),
        Err(error) => Err(SandboxError::Print(error)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever stopped reading does not want to hear of it.
        Err(SandboxError::Print(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::FAILURE
        }
        Err(error) => {
            // If nobody reads standard error, the exit code says it.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(args: &Args) -> Result<(), SandboxError> {
    let mut screen = Screen::of_stdout();
    match args.command {
        Some(Command::FlipAByte) => flip::run(&args.dir, &mut screen),
        None => sandbox(args, &mut screen).await,
    }
}

async fn sandbox(args: &Args, screen: &mut Screen) -> Result<(), SandboxError> {
    let home = Home::open(&args.dir)?;
    home::check_port(args.grpc_port, "--grpc-port")?;
    home::check_port(args.admin_port, "--admin-port")?;
    home::check_port(args.tiles_port, "--tiles-port")?;
    home::check_port(args.camara_port, "--camara-port")?;
    if !args.keep {
        home.forget_last_run()?;
    }
    home.log_to_file()?;
    let spec = WorldSpec {
        grpc_port: args.grpc_port,
        admin_port: args.admin_port,
        tiles_port: args.tiles_port,
        camara_port: Some(args.camara_port),
        witnessed: true,
        ..WorldSpec::default()
    }
    .limit("drain_seconds_max", 5);
    let clock = SystemClock::shared();
    let files = WorldFiles::write(&args.dir, &spec)?;
    let closed = match args.closed_month {
        true => ClosedMonth::begin(&files)?,
        false => None,
    };
    let numbers = home.write_numbers(&spec)?;
    let world = World::start(files, clock.clone()).await?;
    let asked = Asked::everything(&world, clock.now()).await?;
    let witnessed = world.witnessed().await?;
    let page = Page {
        world: &world,
        witnessed: &witnessed,
        asked: &asked,
        numbers: &numbers,
        closed,
        now: clock.now(),
        serves: !args.once,
    };
    page.print(screen)?;
    if !args.once {
        wait_for_end().await;
        screen.line("draining …")?;
        screen.flush()?;
    }
    drop(asked);
    // A second Ctrl-C does not wait for clients that keep their connection.
    tokio::select! {
        stopped = world.stop() => stopped.map(drop)?,
        () = wait_for_end() => {}
    }
    if !args.once {
        screen.line("stopped; the ledger stays, until the next start without --keep")?;
    }
    screen.flush()?;
    Ok(())
}

/// Returns with Ctrl-C or SIGTERM.
async fn wait_for_end() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        // Without signals there is Ctrl-C alone.
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
