//! `accord audit export`.

use std::{collections::BTreeMap, io, path::Path};

use accord_proto::{c2sp::Checkpoint, clock::SystemClock};
use serde_json::json;

use super::{
    super::{
        args::{Stating, Whom},
        audit,
        exit::{Exit, Failure},
        mirror,
        terminal::Terminal,
        whom,
    },
    args,
    source::format_of,
};
use crate::{
    Auditor, LedgerEntry,
    audit::query::PAGE_SIZE_MAX,
    export::{ExportError, Exporter, WholeFile},
    footer::Footer,
    mirror::TileProofs,
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
    if args.with_proofs && !format.holds_proofs() {
        return Err(failed(place, &ExportError::NoProofs));
    }
    let file = begin(place)?;
    let auditor = audit::reader(whom, stating, terminal, "an export")?;
    let proofs = args.with_proofs.then(|| proofs(whom)).transpose()?;
    let footer = footer(&auditor);
    let exporter = Exporter::begin(file, format, footer).map_err(|e| failed(place, &e))?;
    let mut writing = Writing {
        auditor: &auditor,
        exporter,
        proofs,
        under: BTreeMap::new(),
        place,
    };
    let mut search = auditor.search(args.which.filter(), PAGE_SIZE_MAX);
    let mut newer = 0;
    while let Some(page) = search.next().await? {
        for entry in page.entries {
            newer += u64::from(!writing.entry(&entry).await?);
        }
    }
    let exporter = writing.exporter;
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

/// An export on its way.
struct Writing<'a> {
    auditor: &'a Auditor,
    exporter: Exporter<WholeFile>,
    proofs: Option<TileProofs>,
    /// The checkpoint of each log.
    under: BTreeMap<String, Checkpoint>,
    place: &'a Path,
}

impl Writing<'_> {
    /// Writes an entry, unless it is newer than the checkpoint of its log: false.
    async fn entry(&mut self, entry: &LedgerEntry) -> Result<bool, Failure> {
        let place = self.place;
        if !self.under.contains_key(&entry.origin) {
            self.log(&entry.origin).await?;
        }
        let under = self.under.get(&entry.origin);
        let Some(under) = under.filter(|under| entry.index < under.size) else {
            return Ok(false);
        };
        let written = match &mut self.proofs {
            None => self.exporter.entry(entry),
            Some(proofs) => {
                let path = proofs.prove(under, entry.index).await;
                let path = path.map_err(|error| mirror::failure(error, place))?;
                self.exporter.proved_entry(entry, &path)
            }
        };
        written.map_err(|e| failed(place, &e))?;
        Ok(true)
    }

    /// A log's checkpoint, for its first entry.
    async fn log(&mut self, origin: &str) -> Result<(), Failure> {
        let place = self.place;
        let checkpoint = self.auditor.checkpoint(origin).await?;
        let note = checkpoint.note.to_string();
        self.exporter.log(&note).map_err(|e| failed(place, &e))?;
        let checkpoint = checkpoint.checkpoint;
        if let Some(proofs) = &mut self.proofs {
            let under = proofs.under(&checkpoint).await;
            under.map_err(|error| mirror::failure(error, place))?;
        }
        self.under.insert(origin.to_owned(), checkpoint);
        Ok(())
    }
}

/// Where proofs come from, for whom the command line names.
fn proofs(whom: &Whom) -> Result<TileProofs, Failure> {
    let profile = whom::profile(whom)?;
    let party = whom::party(&profile, whom, &audit::AUDITORS)?;
    Ok(TileProofs::new(&profile, party)?)
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
        ExportError::NoParquet | ExportError::NoProofs => Exit::Usage,
        ExportError::Write(_)
        | ExportError::Uncovered { .. }
        | ExportError::Proof { .. }
        | ExportError::Checkpoint
        | ExportError::Parquet(_) => Exit::Failure,
    };
    Failure::new(exit, format!("can't export to `{}`", place.display())).because(error)
}
