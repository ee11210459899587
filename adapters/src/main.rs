//! `accord-adapter`: runs an operator's adapter, and checks its configuration and its journal.

mod check;
mod commands;
mod reconciling;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};

/// Attaches an operator's data to Accord brokers.
///
/// Exit codes: 0 done, 1 failed, 64 bad usage or configuration, 129, 130, 143 a check that was
/// interrupted.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Asks every source about known subscribers, and prints what each can answer, how fresh, how
    /// fast, what is missing and what looks wrong. It takes less than a minute and changes nothing.
    Check {
        #[command(flatten)]
        config: ConfigArgument,
        #[command(flatten)]
        arguments: check::CheckArguments,
    },
    /// Compares the journal with an export of the ledger, and names each difference: what was asked
    /// and is not on the record, what is on the record and was never asked, what was told otherwise.
    /// Exit code 1 on any.
    Reconcile {
        #[command(flatten)]
        config: ConfigArgument,
        /// The entries about this operator, as JSON lines: `accord audit export --operator NAME -o
        /// F.jsonl`, the broker's operator's or an authority's.
        #[arg(long, value_name = "FILE")]
        ledger_export: PathBuf,
        /// The endpoint of the broker whose ledger it is, as the configuration has it; needed where
        /// it has several.
        #[arg(long, value_name = "URL")]
        broker: Option<String>,
        /// Only from this instant on, such as `2026-11-01T00:00:00Z`. Otherwise from the export's
        /// first entry.
        #[arg(long, value_name = "TIME")]
        from: Option<jiff::Timestamp>,
        /// Only until this instant. Otherwise until the export's last entry.
        #[arg(long, value_name = "TIME")]
        until: Option<jiff::Timestamp>,
    },
    /// Checks the journal: every record, its chain and its signed checkpoint.
    VerifyJournal {
        #[command(flatten)]
        config: ConfigArgument,
    },
    /// Attaches to every broker and answers until it is told to stop (SIGINT, SIGTERM).
    Run {
        #[command(flatten)]
        config: ConfigArgument,
    },
}

#[derive(clap::Args)]
struct ConfigArgument {
    /// The configuration file.
    #[arg(long = "config", value_name = "FILE")]
    path: PathBuf,
}

/// How long a file is waited for that a thread reads when a command ends: nothing hangs on it.
const LINGER_MAX: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            commands::complain(&commands::Failure::Start(error));
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(command());
    runtime.shutdown_timeout(LINGER_MAX);
    code
}

async fn command() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Where even that can't be printed, the exit code says it.
            error.print().ok();
            return if error.use_stderr() {
                ExitCode::from(commands::EXIT_USAGE)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let done = match cli.command {
        Command::Check { config, arguments } => check::check(&config.path, &arguments)
            .await
            .map_err(Into::into),
        Command::Reconcile {
            config,
            ledger_export,
            broker,
            from,
            until,
        } => reconciling::reconcile(&config.path, &ledger_export, broker.as_deref(), from, until),
        Command::VerifyJournal { config } => commands::verify_journal(&config.path),
        Command::Run { config } => commands::run(&config.path).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            commands::complain(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}
