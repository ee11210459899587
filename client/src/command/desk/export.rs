//! `accord audit export`.

use std::{io, path::Path};

use accord_proto::clock::SystemClock;
use serde_json::json;

use super::{
    super::{
        args::{Stating, Whom},
        audit,
        exit::{Exit, Failure},
        terminal::Terminal,
    },
    args,
    source::format_of,
};
use crate::{
    Auditor, LedgerEntry,
    audit::query::PAGE_SIZE_MAX,
    export::{ExportError, Exporter, WholeFile},
    footer::Footer,
    random::hex,
};

/// Writes what matches into a file beside its place, puts the hash on the record, and only then
/// gives the file its name: there is no export that is not on the record.
pub(super) async fn run(
    whom: &Whom,
    stating: &Stating,
    args: &args::Export,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let format = format_of(&args.output, args.format)?;
    let place = args.output.as_path();
    let file = begin(place)?;
    let auditor = audit::reader(whom, stating, terminal, "an export")?;
    let footer = footer(&auditor);
    let mut exporter = Exporter::begin(file, format, footer).map_err(|e| failed(place, &e))?;
    let mut search = auditor.search(args.which.filter(), PAGE_SIZE_MAX);
    let mut newer = 0;
    while let Some(page) = search.next().await? {
        for entry in page.entries {
            newer += u64::from(!write(&auditor, &mut exporter, &entry, place).await?);
        }
    }
    let (file, exported) = exporter.finish().map_err(|e| failed(place, &e))?;
    let (origin, index) = auditor
        .record_export(format.name(), &exported.sha256, exported.entries)
        .await?;
    file.put_into_place()
        .map_err(|error| unwritten(place, &error))?;
    if newer > 0 {
        terminal.note(&format!(
            "{newer} entries are newer than the checkpoint, and were left out"
        ));
    }
    let sha256 = hex(&exported.sha256);
    if terminal.is_json() {
        terminal.json(&json!({
            "file": place.display().to_string(),
            "format": format.name(),
            "entries": exported.entries,
            "bytes": exported.bytes,
            "sha256": sha256,
            "recorded": {"origin": origin, "index": index},
        }))?;
        return Ok(Exit::Ok);
    }
    terminal.line(&format!(
        "{}: {} entries, {} bytes, confidential as its footer says",
        place.display(),
        exported.entries,
        exported.bytes
    ))?;
    terminal.line(&format!("SHA-256 {sha256}"))?;
    terminal.line(&format!("on the record: {origin} entry {index}"))?;
    Ok(Exit::Ok)
}

/// Writes an entry, unless it is newer than the checkpoint of its log: false.
async fn write(
    auditor: &Auditor,
    exporter: &mut Exporter<WholeFile>,
    entry: &LedgerEntry,
    place: &Path,
) -> Result<bool, Failure> {
    let covered = match exporter.covered(&entry.origin) {
        Some(covered) => covered,
        None => {
            let checkpoint = auditor.checkpoint(&entry.origin).await?;
            let note = checkpoint.note.to_string();
            exporter.log(&note).map_err(|e| failed(place, &e))?;
            checkpoint.checkpoint.size
        }
    };
    if entry.index >= covered {
        return Ok(false);
    }
    exporter.entry(entry).map_err(|e| failed(place, &e))?;
    Ok(true)
}

/// The footer of what an auditor takes from the ledger now.
pub(super) fn footer(auditor: &Auditor) -> Footer {
    let statement = auditor.statement().map(|statement| statement.to_wire());
    let now = SystemClock::shared().now();
    Footer::of(auditor.party(), &statement.unwrap_or_default(), now)
}

/// Begins a file that will be there whole or not at all.
pub(super) fn begin(place: &Path) -> Result<WholeFile, Failure> {
    WholeFile::create(place).map_err(|error| unwritten(place, &error))
}

/// Why a file could not be written.
pub(super) fn unwritten(place: &Path, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::AlreadyExists {
        let message = format!("`{}` is there, and is left alone", place.display());
        return Failure::new(Exit::Usage, message).hint("choose another name, or move it away");
    }
    Failure::new(Exit::Failure, format!("can't write `{}`", place.display())).because(error)
}

fn failed(place: &Path, error: &ExportError) -> Failure {
    if let ExportError::Write(source) = error {
        return unwritten(place, source);
    }
    let exit = match error {
        ExportError::NoParquet => Exit::Usage,
        ExportError::Write(_)
        | ExportError::Uncovered { .. }
        | ExportError::Checkpoint
        | ExportError::Parquet(_) => Exit::Failure,
    };
    Failure::new(exit, format!("can't export to `{}`", place.display())).because(error)
}
