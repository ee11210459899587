//! The command `accord`.
//!
//! ```text
//!   args ──▶ whom (profile, party) ──▶ lookup · screen · audit · agreement · token ──▶ terminal
//! ```

mod agreement;
mod args;
mod audit;
mod desk;
mod exit;
mod granted;
mod json;
mod lookup;
mod mirror;
mod oauth;
mod parties;
mod plain;
mod proof;
mod screen;
mod signals;
mod signing;
mod stale;
mod stating;
mod subjects;
mod terminal;
mod trusted;
mod verify;
mod whom;
mod witness;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use self::{
    args::{Cli, Command},
    exit::{Exit, Failure},
    terminal::Terminal,
};

/// Runs the command with the arguments of the process.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let mut terminal = Terminal::new(cli.json);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(dispatch(&cli, &mut terminal)),
        Err(error) => Err(Failure::new(Exit::Failure, "no runtime can be started").because(&error)),
    };
    let exit = match outcome.and_then(|exit| terminal.flush().map(|()| exit)) {
        Ok(exit) => exit,
        Err(failure) => failure.report(&mut terminal),
    };
    exit.into()
}

async fn dispatch(cli: &Cli, terminal: &mut Terminal) -> Result<Exit, Failure> {
    match &cli.command {
        Command::Lookup(args) => lookup::run(&cli.whom, args, terminal).await,
        Command::Screen(args) => screen::run(&cli.whom, args, terminal).await,
        Command::Audit(args) => audit::run(&cli.whom, args, terminal).await,
        Command::Agreement(args) => agreement::run(&cli.whom, &args.command, terminal).await,
        Command::Parties(args) => parties::run(&args.command, terminal),
        Command::Token(args) => oauth::token(&cli.whom, args, terminal).await,
        Command::Assertion(args) => oauth::assertion(args, terminal),
        Command::NewKey { name, output } => signing::new_key(name, output, terminal),
        Command::NewShareKey { name, output } => signing::new_share_key(name, output, terminal),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "accord", &mut script);
            terminal.raw(&script)?;
            Ok(Exit::Ok)
        }
    }
}
