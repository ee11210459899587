//! The authority's desk: searching, exporting, reporting and counting.
//!
//! ```text
//!   broker (Query) · ledger's directory · export ──▶ source ──▶ query · export · report · usage
//! ```

mod args;
mod check;
mod export;
mod query;
mod report;
mod source;
mod usage;
mod words;

pub(super) use args::DeskCommand;
pub(super) use words::Kind;

use super::{
    args::{Stating, Whom},
    exit::{Exit, Failure},
    terminal::Terminal,
};

/// Runs a command of the desk.
pub(super) async fn run(
    whom: &Whom,
    stating: &Stating,
    command: &DeskCommand,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    match command {
        DeskCommand::Query(args) => query::run(whom, stating, args, terminal).await,
        DeskCommand::Export(args) => export::run(whom, stating, args, terminal).await,
        DeskCommand::CheckExport(args) => check::run(whom, args, terminal),
        DeskCommand::Report(args) => report::run(whom, stating, args, terminal).await,
        DeskCommand::Usage(args) => usage::run(whom, stating, args, terminal).await,
    }
}
