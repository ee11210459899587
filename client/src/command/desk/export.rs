//! `accord audit export` and `accord audit check-export`.

use std::{collections::BTreeMap, io, path::Path};

use accord_proto::{
    c2sp::{Checkpoint, SignedNote},
    clock::SystemClock,
    merkle::Hash,
};
use serde_json::json;

use super::{
    super::{
        args::{Stating, Whom},
        audit,
        exit::{Exit, Failure},
        terminal::Terminal,
    },
    args,
    source::{directory, format_of, log_keys, read_export},
};
use crate::{
    Auditor, LedgerEntry,
    audit::query::PAGE_SIZE_MAX,
    export::{Checked, ExportError, Exporter, WholeFile},
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

/// Checks an export with nobody's help.
pub(super) fn check(
    whom: &Whom,
    args: &args::CheckExport,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let format = format_of(&args.file, args.format)?;
    let mut leaves: BTreeMap<(String, u64), Hash> = BTreeMap::new();
    let checked = read_export(&args.file, format, &mut |entry| {
        let leaf = entry.leaf_hash();
        leaves.insert((entry.origin, entry.index), leaf);
        Ok(())
    })?;
    let signed = signed_by(&checked, whom)?;
    let in_ledger = match &args.dir {
        Some(dir) => {
            find_all(&mut leaves, dir, whom, terminal)?;
            true
        }
        None => false,
    };
    let sha256 = hex(&checked.sha256);
    if terminal.is_json() {
        let footer: serde_json::Map<_, _> = checked
            .footer
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect();
        terminal.json(&json!({
            "ok": true,
            "entries": checked.entries,
            "sha256": sha256,
            "checkpoints_signed": signed,
            "in_ledger": in_ledger,
            "footer": footer,
        }))?;
        return Ok(Exit::Ok);
    }
    for (name, value) in &checked.footer {
        terminal.line(&format!("{name}: {value}"))?;
    }
    terminal.line(&format!(
        "{} entries; each line says what its entry says; {}; {}",
        checked.entries,
        match signed {
            true => "the checkpoints are signed by the log",
            false =>
                "no key of the log is known here, so the checkpoints' signatures are unchecked",
        },
        match in_ledger {
            true => "every entry is in the ledger",
            false => "whether they are in the ledger is not checked: --dir",
        }
    ))?;
    terminal.line(&format!(
        "SHA-256 {sha256}: must be the one on the record (accord audit query --kind export)"
    ))?;
    Ok(Exit::Ok)
}

/// Whether the checkpoints were checked against a key of the log. One that does not verify is no
/// checkpoint.
fn signed_by(checked: &Checked, whom: &Whom) -> Result<bool, Failure> {
    let keys = log_keys(whom)?;
    if keys.is_empty() {
        return Ok(false);
    }
    for (origin, note) in &checked.checkpoints {
        let opened = SignedNote::parse(note)
            .ok()
            .and_then(|note| Checkpoint::open(&note, &keys).ok());
        if opened.is_none() {
            let message = format!("the checkpoint of {origin} is not signed by the log's key");
            return Err(Failure::new(Exit::Failure, message));
        }
    }
    Ok(true)
}

/// Finds each leaf at its place in a ledger's directory.
fn find_all(
    leaves: &mut BTreeMap<(String, u64), Hash>,
    dir: &Path,
    whom: &Whom,
    terminal: &Terminal,
) -> Result<(), Failure> {
    directory(dir, whom, terminal, &mut |entry| {
        let leaf = entry.leaf_hash();
        let (origin, index) = (entry.origin, entry.index);
        match leaves.remove(&(origin.clone(), index)) {
            Some(exported) if exported != leaf => {
                let message = format!("entry {index} of {origin} is another one in the ledger");
                Err(Failure::new(Exit::Failure, message))
            }
            Some(_) | None => Ok(()),
        }
    })?;
    match leaves.first_key_value() {
        Some(((origin, index), _)) => {
            let message = format!("entry {index} of {origin} is not in `{}`", dir.display());
            Err(Failure::new(Exit::Failure, message))
        }
        None => Ok(()),
    }
}
