//! From where entries come: the broker, a ledger's directory, or an export.

use std::path::Path;

use accord_proto::{c2sp::VerifierKey, v1};

use super::{
    super::{
        args::{Stating, Whom},
        audit,
        exit::{Exit, Failure},
        terminal::Terminal,
        verify, whom,
    },
    args,
};
use crate::{
    Auditor, LedgerEntry,
    audit::query::PAGE_SIZE_MAX,
    export::{self, Checked, Format},
    mirror::{MirrorFault, is_mirror, mirrored_entries, verify_mirror},
    receipt::chain,
    stored_entries, verify_dir,
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
    if let Some(dir) = &source.dir {
        directory(dir, whom, terminal, each)?;
        return Ok(None);
    }
    if let Some(input) = &source.input {
        let format = format_of(input, None)?;
        terminal.note(&format!("reading {}", input.display()));
        read_export(input, format, each)?;
        return Ok(None);
    }
    let auditor = audit::reader(whom, stating, terminal, "entries")?;
    let mut search = auditor.search(filter, PAGE_SIZE_MAX);
    while let Some(page) = search.next().await? {
        page.entries.into_iter().try_for_each(&mut *each)?;
    }
    Ok(Some(auditor))
}

/// The entries of a ledger's directory, which is verified first.
pub(super) fn directory(
    dir: &Path,
    whom: &Whom,
    terminal: &Terminal,
    each: &mut Each<'_>,
) -> Result<(), Failure> {
    let keys = log_keys(whom)?;
    terminal.note(&format!("verifying {}, then reading it", dir.display()));
    if is_mirror(dir) {
        return mirror(dir, &keys, each);
    }
    let verified =
        verify_dir(dir, &keys).map_err(|error| Failure::new(Exit::Failure, chain(&error)))?;
    let mut failed = None;
    let read = stored_entries(dir, &verified, |entry| {
        if failed.is_none() {
            failed = each(entry).err();
        }
    });
    read.map_err(|error| Failure::new(Exit::Failure, chain(&error)))?;
    failed.map_or(Ok(()), Err)
}

/// The entries of a mirror, which is verified first.
fn mirror(dir: &Path, keys: &[VerifierKey], each: &mut Each<'_>) -> Result<(), Failure> {
    let failure = |error: &MirrorFault| Failure::new(Exit::Failure, chain(error));
    let verified = verify_mirror(dir, keys).map_err(|error| failure(&error))?;
    let mut failed = None;
    let read = mirrored_entries(dir, &verified, |origin, index, bytes| {
        if failed.is_some() {
            return;
        }
        let entry = LedgerEntry::parse(origin.to_owned(), index, bytes.to_vec());
        failed = match entry {
            Ok(entry) => each(entry).err(),
            Err(error) => {
                let message = format!("entry {index} of {origin}");
                Some(Failure::new(Exit::Failure, message).because(&error))
            }
        };
    });
    read.map_err(|error| failure(&error))?;
    failed.map_or(Ok(()), Err)
}

/// The log's keys that the profile knows; none without a profile.
pub(super) fn log_keys(whom: &Whom) -> Result<Vec<VerifierKey>, Failure> {
    let profile = match whom.profile {
        Some(_) => Some(whom::profile(whom)?),
        None => whom::profile(whom).ok(),
    };
    verify::known_keys(&[], profile.as_ref())
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
