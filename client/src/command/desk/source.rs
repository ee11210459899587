//! From where entries come: the broker, a ledger's directory, or an export.

use std::path::Path;

use accord_proto::{
    c2sp::{Checkpoint, SignedNote},
    v1,
};

use super::{
    super::{
        args::{Stating, Whom},
        audit,
        exit::{Exit, Failure},
        terminal::Terminal,
        trusted,
    },
    args, note_not_held,
};
use crate::{
    Auditor, LedgerEntry,
    audit::query::PAGE_SIZE_MAX,
    export::{self, Checked, Format},
    held::{Held, HeldError},
    receipt::chain,
};

/// What is done with each entry.
pub(super) type Each<'a> = dyn FnMut(LedgerEntry) -> Result<(), Failure> + 'a;

/// Reads entries, in their order, from wherever the command line says. Gives back who read them, if
/// they came from the broker.
pub(super) async fn read(
    source: &args::Source,
    whom: &Whom,
    stating: &Stating,
    filter: v1::Filter,
    terminal: &Terminal,
    each: &mut Each<'_>,
) -> Result<Option<Auditor>, Failure> {
    let offline = source.dir.is_some() || source.input.is_some();
    if let Some(party) = whom.party.as_ref().filter(|_| offline) {
        let message = format!("--as {party} says who asks the broker, and a copy is not asked for");
        return Err(Failure::new(Exit::Usage, message).hint("leave it out"));
    }
    if let Some(dir) = &source.dir {
        directory(dir, whom, terminal, each)?;
        return Ok(None);
    }
    if let Some(input) = &source.input {
        let format = format_of(input, None)?;
        terminal.note(&format!("reading {}", input.display()));
        let checked = read_export(input, format, each)?;
        if !signed_by(&checked, whom)? {
            terminal
                .note("no key of the log is known here: its checkpoints' signatures are unchecked");
        }
        return Ok(None);
    }
    let auditor = audit::reader(whom, stating, terminal, "entries")?;
    let mut search = auditor.search(filter, PAGE_SIZE_MAX);
    let mut not_held = Vec::new();
    while let Some(page) = search.next().await? {
        not_held = page.months_not_held;
        page.entries.into_iter().try_for_each(&mut *each)?;
    }
    note_not_held(&not_held, terminal);
    Ok(Some(auditor))
}

/// The entries of a ledger's directory or of a mirror, which is verified first.
pub(super) fn directory(
    dir: &Path,
    whom: &Whom,
    terminal: &Terminal,
    each: &mut Each<'_>,
) -> Result<(), Failure> {
    if !dir.is_dir() {
        let message = format!("`{}` is no directory", dir.display());
        return Err(Failure::new(Exit::Usage, message));
    }
    let keys = trusted::log_keys(whom, &[])?;
    let what = format!("verifying {}, then reading it,", dir.display());
    trusted::announce(terminal, &what, &keys);
    Held::verify(dir, &keys)?.entries(each)
}

impl From<HeldError> for Failure {
    fn from(error: HeldError) -> Self {
        Self::new(Exit::Failure, chain(&error))
    }
}

/// Whether an export's checkpoints were checked against a key of the log. One that does not verify is
/// no checkpoint.
pub(super) fn signed_by(checked: &Checked, whom: &Whom) -> Result<bool, Failure> {
    let keys = trusted::log_keys(whom, &[])?;
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

/// Reads an export, each line held against its entry.
pub(super) fn read_export(
    path: &Path,
    format: Format,
    each: &mut Each<'_>,
) -> Result<Checked, Failure> {
    let mut failed = None;
    let checked = export::read(path, format, |entry| {
        if failed.is_none() {
            failed = each(entry).err();
        }
    });
    let checked = checked.map_err(|error| {
        let message = format!("`{}` is not believed", path.display());
        Failure::new(Exit::Failure, message).because(&error)
    })?;
    failed.map_or(Ok(checked), Err)
}

/// The format that was named, else the one that the file's name ends in.
pub(super) fn format_of(path: &Path, named: Option<Format>) -> Result<Format, Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    named
        .or_else(|| Format::of_file_name(&name))
        .ok_or_else(|| {
            let message = format!("the name of `{}` does not say its format", path.display());
            Failure::new(Exit::Usage, message)
                .hint("name it .jsonl, .csv, .parquet or .ocsf.jsonl, or say --format")
        })
}
