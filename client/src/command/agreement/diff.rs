//! `accord agreement diff`: what one agreement changes of another.

use std::path::Path;

use accord_proto::{
    agreement::{AgreementDocument, Change, Turn, changes},
    c2sp::SignedNote,
    document::text_sha256,
};
use serde_json::json;

use super::super::{
    args::Whom,
    audit,
    exit::{Exit, Failure},
    signing,
    terminal::{Cell, Terminal},
};
use crate::{Auditor, random::hex, words::Mood};

/// The fewest digits of a SHA-256 that name a document.
const HASH_DIGITS_MIN: usize = 8;

/// Shows what the second changes of the first.
pub(super) async fn run(
    whom: &Whom,
    named: [&String; 2],
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let [old, new] = named;
    // Files are compared without asking anybody.
    let mut auditor = None;
    if named.iter().any(|one| !Path::new(one).exists()) {
        auditor = Some(audit::auditor(whom, terminal, "two agreements")?);
    }
    let old = find(old, auditor.as_ref()).await?;
    let new = find(new, auditor.as_ref()).await?;
    show(&old, &new, terminal)?;
    Ok(Exit::Ok)
}

/// Before an authority proposes or signs, it sees what that changes.
pub(super) async fn against_current(
    auditor: &Auditor,
    new: &AgreementDocument,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    if terminal.is_json() {
        return Ok(());
    }
    let old = parse(&auditor.agreement().await?.note, "the agreement in force")?;
    show(&old, new, terminal)
}

fn show(
    old: &AgreementDocument,
    new: &AgreementDocument,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let found = changes(old, new);
    let name = |one: &AgreementDocument| format!("{} version {}", one.id(), one.version());
    if terminal.is_json() {
        let list = found.iter().map(|change| {
            json!({
                "change": change.turn.sign(),
                "what": change.what,
                "was": change.was,
                "is": change.is,
            })
        });
        terminal.json(&json!({
            "old": name(old),
            "new": name(new),
            "changes": list.collect::<Vec<_>>(),
        }))?;
        return Ok(());
    }
    terminal.line(&format!(
        "from {} to {}: {} changes (+ more is allowed, - less, ~ otherwise)",
        name(old),
        name(new),
        found.len()
    ))?;
    if !found.is_empty() {
        let rows: Vec<_> = found.iter().map(row).collect();
        terminal.table(&["", "what", "was", "is"], &rows)?;
    }
    Ok(())
}

fn row(change: &Change) -> Vec<Cell> {
    let mood = match change.turn {
        Turn::Added => Mood::Alarm,
        Turn::Removed => Mood::Withheld,
        Turn::Changed => Mood::Unknown,
    };
    // A table has one line for each row.
    let flat = |text: &str| text.replace('\n', " ");
    vec![
        Cell::of_mood(change.turn.sign().to_owned(), mood),
        change.what.as_str().into(),
        flat(&change.was).into(),
        flat(&change.is).into(),
    ]
}

/// A file; else the broker knows it by its version or by its SHA-256.
async fn find(named: &str, auditor: Option<&Auditor>) -> Result<AgreementDocument, Failure> {
    let file = Path::new(named);
    if let Some(auditor) = auditor
        && !file.exists()
    {
        return known(named, auditor).await;
    }
    let text = signing::read(file)?;
    let note = SignedNote::parse(&text).ok();
    let body = note.as_ref().map_or(text.as_str(), SignedNote::text);
    AgreementDocument::parse(body).map_err(|error| {
        Failure::new(Exit::Failure, format!("`{named}` has mistakes")).because(&error)
    })
}

async fn known(named: &str, auditor: &Auditor) -> Result<AgreementDocument, Failure> {
    let current = auditor.agreement().await?.note;
    let document = parse(&current, "the agreement in force")?;
    let version = named.parse::<u64>().ok();
    let is_hash = named.len() >= HASH_DIGITS_MIN;
    let named_so = |sha256: &[u8]| is_hash && hex(sha256).starts_with(&named.to_lowercase());
    let own = SignedNote::parse(&current).map(|note| text_sha256(note.text()));
    if version == Some(document.version()) || own.is_ok_and(|own| named_so(&own)) {
        return Ok(document);
    }
    let history = auditor.agreement_history().await?;
    let acts = history.acts.iter().filter_map(|past| past.act.as_ref());
    // The newest of a version is the one that is meant: it was proposed last.
    let found = acts.rev().find(|act| {
        !act.sha256.is_empty() && (version == Some(act.agreement_version) || named_so(&act.sha256))
    });
    let act = found.ok_or_else(|| unknown(named))?;
    parse(&auditor.agreement_document(&act.sha256).await?, named)
}

fn unknown(named: &str) -> Failure {
    let named: String = named.chars().take(80).collect();
    Failure::new(
        Exit::Failure,
        format!("`{named}` is no file, and no version or SHA-256 that the broker has on record"),
    )
    .hint("what it has: accord agreement history")
}

pub(super) fn parse(note: &str, what: &str) -> Result<AgreementDocument, Failure> {
    let failed = |error: &dyn std::error::Error| {
        Failure::new(Exit::Failure, format!("{what} can't be read")).because(error)
    };
    let note = SignedNote::parse(note).map_err(|error| failed(&error))?;
    AgreementDocument::parse(note.text()).map_err(|error| failed(&error))
}
