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

use std::path::Path;

use accord_proto::v1;

use super::{
    args::{Stating, Whom},
    exit::{Exit, Failure},
    terminal::Terminal,
};

/// Names the months in which a number was not searched: that nothing was found there says nothing.
fn note_not_held(months: &[String], terminal: &Terminal) {
    if months.is_empty() {
        return;
    }
    terminal.note(&format!(
        "not searched: {}: their keys lie with the authorities; with both halves: accord audit find",
        months.join(", ")
    ));
}

/// Reads the entries of a filter from the broker, or all of a ledger's directory or mirror.
pub(super) async fn entries(
    whom: &Whom,
    stating: &Stating,
    (dir, filter): (Option<&Path>, v1::Filter),
    terminal: &Terminal,
    each: &mut source::Each<'_>,
) -> Result<(), Failure> {
    let source = args::Source {
        dir: dir.map(Path::to_owned),
        input: None,
    };
    let read = source::read(&source, whom, stating, filter, terminal, each);
    read.await.map(drop)
}

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
