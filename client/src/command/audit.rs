//! `accord audit`.

use std::pin::pin;

use super::{
    args::{Audit, AuditCommand, Stating, Whom},
    desk::{self, Kind},
    exit::{Exit, Failure},
    mirror, proof, stating, subjects,
    terminal::Terminal,
    trusted, verify, whom, witness,
};
use crate::{Auditor, LedgerEntry, entry_view, profile::ProfileRole};

/// Without `--from`, a tail begins so many entries before the end.
const TAIL_BEFORE_END: u64 = 10;
/// Who audits, where `--as` does not say: authorities see more than others.
pub(super) const AUDITORS: [ProfileRole; 3] = [
    ProfileRole::Authority,
    ProfileRole::Operator,
    ProfileRole::Bank,
];

/// Reads the ledger.
pub(super) async fn run(
    whom: &Whom,
    audit: &Audit,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let stating = &audit.stating;
    match &audit.command {
        AuditCommand::Desk(command) => desk::run(whom, stating, command, terminal).await,
        AuditCommand::Verify { dir, keys } => verify::run(whom, dir.as_deref(), keys, terminal),
        AuditCommand::Tail {
            once,
            from,
            log,
            kinds,
        } => {
            let auditor = reader(whom, stating, terminal, "the ledger, as it grows")?;
            tail(&auditor, log, *from, *once, kinds, terminal).await
        }
        AuditCommand::Mirror(args) => mirror::run(whom, stating, args, terminal).await,
        AuditCommand::Prove {
            index,
            output,
            dir: Some(dir),
            log,
        } => {
            let keys = trusted::log_keys(whom, &[])?;
            trusted::announce(
                terminal,
                &format!("reading the mirror {}", dir.display()),
                &keys,
            );
            proof::prove_offline(dir, &keys, log, *index, output, terminal)
        }
        AuditCommand::Prove {
            index,
            output,
            dir: None,
            log,
        } => {
            let auditor = reader(whom, stating, terminal, &format!("entry {index}"))?;
            proof::prove(&auditor, log, *index, output, terminal).await
        }
        AuditCommand::VerifyProof { file, policy, told } => {
            proof::verify(file, policy, told.as_deref(), terminal)
        }
        AuditCommand::Statement { file, ledger, key } => {
            let ledger = ledger.as_deref();
            stating::make(
                whom,
                stating,
                stating::Signing { file, ledger, key },
                terminal,
            )
        }
        AuditCommand::Subjects(command) => subjects::run(whom, stating, command, terminal).await,
        AuditCommand::Witness(args) => witness::run(whom, args, terminal).await,
        AuditCommand::Show { index, log } => {
            let auditor = reader(whom, stating, terminal, &format!("entry {index}"))?;
            show(&auditor, log, *index, terminal).await
        }
    }
}

/// An auditor for the party that the command line names, else the first who may.
pub(super) fn auditor(whom: &Whom, terminal: &Terminal, what: &str) -> Result<Auditor, Failure> {
    let profile = whom::profile(whom)?;
    let party = whom::party(&profile, whom, &AUDITORS)?;
    whom::announce(terminal, party, what);
    Ok(profile.auditor(party)?)
}

/// As [`auditor`], who states what the command line says, else the profile: whoever reads entries
/// must.
pub(super) fn reader(
    whom: &Whom,
    stating: &Stating,
    terminal: &Terminal,
    what: &str,
) -> Result<Auditor, Failure> {
    let profile = whom::profile(whom)?;
    let statement = stating::statement(&profile, stating)?;
    let auditor = auditor(whom, terminal, what)?;
    stating::announce(terminal, &statement);
    Ok(auditor.stating(statement))
}

async fn tail(
    auditor: &Auditor,
    log: &str,
    from: Option<u64>,
    once: bool,
    kinds: &[Kind],
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let from = match from {
        Some(from) => from,
        None => {
            let size = auditor.checkpoint(log).await?.checkpoint.size;
            size.saturating_sub(TAIL_BEFORE_END)
        }
    };
    let mut entries = auditor.tail(log, from, once).await?;
    let mut origin = None;
    // One for all the time: a signal that comes between two of them would be lost.
    let mut stopped = pin!(tokio::signal::ctrl_c());
    loop {
        let next = tokio::select! {
            next = entries.next() => next?,
            _ = &mut stopped => None,
        };
        let Some(entry) = next else {
            return Ok(Exit::Ok);
        };
        let kind = entry_view::kind(&entry);
        if !kinds.is_empty() && !kinds.iter().any(|one| one.0 == kind) {
            continue;
        }
        if terminal.is_json() {
            terminal.json(&entry_view::json(&entry))?;
        } else {
            if origin.is_some_and(|last| last != entry.origin) {
                terminal.line(&format!("log {}", entry.origin))?;
            }
            show_line(&entry, terminal)?;
        }
        origin = Some(entry.origin);
        // Whoever follows a tail sees each entry as it comes.
        terminal.flush()?;
    }
}

/// An entry in a line; what somebody should look at stands out.
pub(super) fn show_line(entry: &LedgerEntry, terminal: &mut Terminal) -> Result<(), Failure> {
    let text = line(entry);
    match entry_view::is_alarming(entry) {
        true => terminal.alarm(&text)?,
        false => terminal.line(&text)?,
    }
    Ok(())
}

fn line(entry: &LedgerEntry) -> String {
    format!(
        "{:>6}  {}  {:<15}  {}",
        entry.index,
        entry_view::time(entry),
        entry_view::kind(entry),
        entry_view::summary(entry)
    )
}

async fn show(
    auditor: &Auditor,
    log: &str,
    index: u64,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let entry = auditor.entry(log, index).await?;
    let (proof, assurance) = auditor
        .prove_inclusion(log, index, &entry.leaf_hash())
        .await?;
    let mut document = entry_view::json(&entry);
    if terminal.is_json() {
        if let Some(object) = document.as_object_mut() {
            object.insert("assurance".to_owned(), assurance.words().into());
            object.insert("proof".to_owned(), proof.into());
        }
        terminal.json(&document)?;
        return Ok(Exit::Ok);
    }
    let mut fields = Vec::new();
    entry_view::lines(&document, "", &mut fields);
    terminal.line(&entry_view::summary(&entry))?;
    let rows: Vec<_> = fields
        .into_iter()
        .map(|(field, value)| vec![field.into(), value.into()])
        .collect();
    terminal.table(&["field", "value"], &rows)?;
    terminal.line("")?;
    terminal.line(&format!("proof, {}:", assurance.words()))?;
    terminal.line(proof.trim_end())?;
    Ok(Exit::Ok)
}
