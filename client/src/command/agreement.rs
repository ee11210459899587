//! `accord agreement`.

mod act;
pub(super) mod args;
mod diff;
mod history;
pub(super) mod status;

use std::path::Path;

use accord_proto::{
    agreement::{AgreementDocument, Row, explain, mirrors},
    c2sp::SignedNote,
};
use serde_json::{Value as Json, json};

use self::args::AgreementCommand;
use super::{
    args::Whom,
    audit,
    exit::{Exit, Failure},
    signing,
    terminal::Terminal,
};

/// The columns that a person needs first, by their heading.
const FIRST_COLUMNS: [&str; 7] = [
    "bank",
    "operator",
    "purpose",
    "signal",
    "how precisely",
    "looks back",
    "clause",
];

/// Checks, signs or shows an agreement, or acts on the one in force.
pub(super) async fn run(
    whom: &Whom,
    command: &AgreementCommand,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    use AgreementCommand as Command;
    match command {
        Command::Check { file, wide } => check(file, *wide, terminal),
        Command::Sign {
            file: Some(file),
            key,
            output,
            ..
        } => sign(file, key, output.as_deref().unwrap_or(file), terminal),
        Command::Sign {
            file: None,
            hash,
            key,
            ..
        } => {
            let hash = hash.as_deref().unwrap_or_default();
            act::sign(whom, hash, key, terminal).await
        }
        Command::Propose { file, author } => act::propose(whom, file, author, terminal).await,
        Command::Activate { hash, author } => {
            act::activate(whom, hash.as_deref(), author, terminal).await
        }
        Command::Suspend {
            target,
            reason,
            author,
        } => act::suspend(whom, target, reason, author, terminal).await,
        Command::Lift {
            target,
            reason,
            author,
        } => act::lift(whom, target, reason, author, terminal).await,
        Command::End { reason, author } => act::end(whom, reason, author, terminal).await,
        Command::History => {
            let auditor = audit::auditor(whom, terminal, "what the authorities did")?;
            history::run(whom, &auditor, terminal).await
        }
        Command::Diff { old, new } => diff::run(whom, [old, new], terminal).await,
        Command::Status { file: Some(file) } => status::of_file(whom, file, terminal),
        Command::Status { file: None } => {
            let auditor = audit::auditor(whom, terminal, "the agreement in force")?;
            status::of_broker(whom, &auditor, terminal).await
        }
    }
}

fn check(file: &Path, wide: bool, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let text = signing::read(file)?;
    let note = SignedNote::parse(&text).ok();
    let body = note.as_ref().map_or(text.as_str(), SignedNote::text);
    let document = match AgreementDocument::parse(body) {
        Ok(document) => document,
        Err(mistakes) => return signing::report(file, &mistakes, terminal),
    };
    let rows = explain(&document);
    if terminal.is_json() {
        let clauses = rows.iter().map(|row| {
            let pairs = Row::HEADINGS.iter().zip(row.cells());
            let fields = pairs.map(|(heading, cell)| ((*heading).to_owned(), Json::from(cell)));
            Json::Object(fields.collect())
        });
        let permissions: Vec<_> = clauses.collect();
        terminal.json(&json!({
            "id": document.id(),
            "version": document.version(),
            "title": document.title(),
            "clauses": document.clauses().len(),
            "mirrors": document.mirrors().iter().map(ToString::to_string).collect::<Vec<_>>(),
            "signatures": note.as_ref().map_or(0, |note| note.signatures().len()),
            "permissions": permissions,
        }))?;
        return Ok(Exit::Ok);
    }
    terminal.line(&format!(
        "{} version {}: {}",
        document.id(),
        document.version(),
        document.title()
    ))?;
    let shown: Vec<usize> = (0..Row::HEADINGS.len())
        .filter(|at| {
            let heading = Row::HEADINGS.get(*at).copied().unwrap_or_default();
            wide || FIRST_COLUMNS.contains(&heading)
        })
        .collect();
    let pick = |cells: &[String]| {
        shown
            .iter()
            .filter_map(|at| cells.get(*at).cloned())
            .collect::<Vec<_>>()
    };
    let headings = pick(&Row::HEADINGS.map(str::to_owned));
    let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    let table: Vec<Vec<_>> = rows
        .iter()
        .map(|row| pick(&row.cells()).into_iter().map(Into::into).collect())
        .collect();
    terminal.table(&headings, &table)?;
    terminal.line(&format!(
        "{} clauses (numbered permissions), {} permissions; whatever is not listed is refused",
        document.clauses().len(),
        rows.len()
    ))?;
    terminal.line(&format!(
        "whole copies of the ledger (mirrors): {}",
        mirrors(&document)
    ))?;
    Ok(Exit::Ok)
}

fn sign(file: &Path, key: &Path, to: &Path, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let note = signing::note(file)?;
    let document = match AgreementDocument::parse(note.text()) {
        Ok(document) => document,
        Err(mistakes) => return signing::report(file, &mistakes, terminal),
    };
    let key = signing::signing_key(key)?;
    signs(&document, key.verifier().name())?;
    let signers = signing::sign(note, &key, to)?;
    if terminal.is_json() {
        terminal.json(&json!({"file": to.display().to_string(), "signatures": signers}))?;
    } else {
        terminal.line(&format!(
            "{} version {} signed by {}; it takes effect with both authorities' signatures",
            document.id(),
            document.version(),
            signers.join(" and ")
        ))?;
    }
    Ok(Exit::Ok)
}

/// Whether a key of this name signs an agreement.
fn signs(document: &AgreementDocument, name: &str) -> Result<(), Failure> {
    let authorities = [document.telecom_regulator(), document.central_bank()];
    if authorities.iter().any(|party| party.org().as_str() == name) {
        return Ok(());
    }
    let [telecom_regulator, central_bank] = authorities.map(|party| party.org());
    Err(Failure::new(
        Exit::Failure,
        format!(
            "`{name}` is neither of the two authorities that sign this agreement, \
             {telecom_regulator} and {central_bank}"
        ),
    ))
}
