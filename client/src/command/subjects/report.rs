//! `accord audit subject`: the report that an authority gives to a subject.

use std::{fs, path::Path};

use accord_proto::{
    c2sp::LogProof,
    msisdn::Msisdn,
    observation::SourceClass,
    purpose::Purpose,
    reason::Reason,
    signal::Signal,
    v1::{self, SubjectReportHead},
    wire,
};
use serde_json::{Value as Json, json};

use crate::{
    Auditor, LedgerEntry, ProvedAccess, SubjectReport,
    command::{
        exit::{Exit, Failure},
        terminal::{Cell, Terminal},
    },
    entry_view,
    receipt::chain,
    unmask::about,
    words::instant_words,
};

/// Above the rows of accesses.
pub(super) const HEADINGS: [&str; 5] = [
    "date",
    "organisation",
    "purpose",
    "signals and outcome",
    "entry",
];

/// Whether the proofs may go there: into a directory that is not there, or is empty.
pub(super) fn check_output(output: Option<&Path>) -> Result<(), Failure> {
    let Some(dir) = output else { return Ok(()) };
    let is_empty = fs::read_dir(dir).map(|mut entries| entries.next().is_none());
    match is_empty {
        Ok(true) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Ok(false) => {
            let message = format!("`{}` is not empty", dir.display());
            Err(Failure::new(Exit::Usage, message).hint("name a new directory for the proofs"))
        }
        Err(error) => {
            let message = format!("`{}` can't be used", dir.display());
            Err(Failure::new(Exit::Usage, message).because(&error))
        }
    }
}

pub(super) async fn run(
    auditor: &Auditor,
    number: &Msisdn,
    output: Option<&Path>,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let SubjectReport { head, accesses } = auditor.subject_report(number).await?;
    let mut files = Vec::new();
    if let Some(dir) = output {
        fs::create_dir_all(dir).map_err(|error| unwritable(dir, &error))?;
        for access in &accesses {
            files.push(write_proof(dir, access)?);
        }
    }
    if terminal.is_json() {
        let files = files.iter().map(Some).chain(std::iter::repeat(None));
        let accesses: Vec<_> = accesses.iter().zip(files).map(access_json).collect();
        terminal.json(&json!({"covers": head_json(&head), "accesses": accesses}))?;
        return Ok(Exit::Ok);
    }
    for line in covers(&head) {
        terminal.line(&line)?;
    }
    let rows = accesses.iter().map(|of| &of.entry);
    let rows = rows.filter_map(|entry| Some(row(entry, about(entry)?)));
    let rows: Vec<_> = rows.collect();
    terminal.table(&HEADINGS, &rows)?;
    if let Some(dir) = output {
        let count = files.len();
        terminal.line(&format!("{count} proofs in {}", dir.display()))?;
    }
    Ok(Exit::Ok)
}

/// What the report covers, and what it does not.
fn covers(head: &SubjectReportHead) -> Vec<String> {
    let instant = |at: &Option<_>| at.as_ref().and_then(wire::parse_timestamp);
    let observed = instant(&head.tenure_observed_at).map(instant_words);
    let operator = &head.operator;
    let source = SourceClass::from_wire(head.source).map_or("unknown", SourceClass::name);
    let mut lines = vec![match instant(&head.tenure_since) {
        Some(since) => format!(
            "accesses since {}: by then at the latest the present holder had the number",
            instant_words(since)
        ),
        None => "accesses since the number exists: it never changed hands".to_owned(),
    }];
    lines.push(format!(
        "so says {operator} (source: {source}), as of {}",
        observed.unwrap_or_default()
    ));
    lines.push(format!("months searched: {}", head.months.join(", ")));
    if !head.months_not_held.is_empty() {
        lines.push(format!(
            "not searched: {}: their keys lie with the authorities; with both halves: \
             accord audit find",
            head.months_not_held.join(", ")
        ));
    }
    if head.more {
        lines.push("there are more accesses than one report holds; these are the oldest".into());
    }
    lines
}

/// One access as a row under [`HEADINGS`].
pub(super) fn row(entry: &LedgerEntry, access: &v1::Access) -> Vec<Cell> {
    vec![
        entry_view::time(entry).into(),
        organisation(access).into(),
        purpose(access).into(),
        outcomes(access).join(", ").into(),
        format!("{} {}", entry.origin, entry.index).into(),
    ]
}

fn organisation(access: &v1::Access) -> String {
    match access.on_behalf_of.as_str() {
        "" => access.bank.clone(),
        principal => format!("{} for {principal}", access.bank),
    }
}

pub(super) fn purpose(access: &v1::Access) -> &'static str {
    Purpose::from_wire(access.purpose).map_or("unknown", Purpose::name)
}

/// Each signal, and whether it was told.
pub(super) fn outcomes(access: &v1::Access) -> Vec<String> {
    let signals = access.signals.iter();
    let signals = signals.map(|said| {
        let signal = Signal::from_wire(said.signal).map_or("unknown", Signal::name);
        match Reason::from_wire(said.reason) {
            Some(reason) => format!("{signal}: {}", reason.name()),
            None => format!("{signal}: answered"),
        }
    });
    signals.collect()
}

fn head_json(head: &SubjectReportHead) -> Json {
    let instant = |at: &Option<_>| {
        let at = at.as_ref().and_then(wire::parse_timestamp);
        at.map(|at| at.to_string())
    };
    json!({
        "tenure_since": instant(&head.tenure_since),
        "tenure_observed_at": instant(&head.tenure_observed_at),
        "operator": head.operator,
        "source": SourceClass::from_wire(head.source).map(SourceClass::name),
        "months": head.months,
        "months_not_held": head.months_not_held,
        "more": head.more,
        "recorded": {"origin": head.origin, "index": head.index},
    })
}

fn access_json((of, file): (&ProvedAccess, Option<&String>)) -> Json {
    let none = v1::Access::default();
    let access = about(&of.entry).unwrap_or(&none);
    json!({
        "date": entry_view::time(&of.entry),
        "organisation": access.bank,
        "on_behalf_of": (!access.on_behalf_of.is_empty()).then_some(&access.on_behalf_of),
        "purpose": purpose(access),
        "signals": outcomes(access),
        "origin": of.entry.origin,
        "index": of.entry.index,
        "proof": file,
        "assurance": of.assurance.words(),
    })
}

/// The proof of an access, with the entry in it, so that nothing else is needed to check it.
fn write_proof(dir: &Path, of: &ProvedAccess) -> Result<String, Failure> {
    let mut proof = LogProof::parse(&of.proof)
        .map_err(|error| Failure::new(Exit::Failure, format!("a proof: {}", chain(&error))))?;
    proof.extra = Some(of.entry.bytes.clone());
    let month = of.entry.origin.rsplit('/').next().unwrap_or_default();
    let file = dir.join(format!("{month}-{}.tlog-proof", of.entry.index));
    fs::write(&file, proof.to_string()).map_err(|error| unwritable(&file, &error))?;
    Ok(file.display().to_string())
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("can't write `{}`", path.display());
    Failure::new(Exit::Failure, message).because(error)
}
