//! Where the ledger's files lie, and how they come into being.
//!
//! ```text
//! ledger/lock                                 held while the ledger is open
//!        log.vkey                             the log's public key
//!        spare.segment                        the next segment, full of zeros
//!        2026-11/00000000000000000000.segment entries and checkpoints, named for the first index
//!                00000000000000000000.index   offset of each 256th entry (derived)
//!                tile/0/000 …                 full hash tiles (derived)
//!                checkpoint                   what was last published
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use accord_proto::subject::Month;
use rustix::fs::FlockOperation;

use super::error::LedgerError;

pub(super) const VKEY_FILE: &str = "log.vkey";
pub(super) const CHECKPOINT_FILE: &str = "checkpoint";
const LOCK_FILE: &str = "lock";
const SPARE_FILE: &str = "spare.segment";
/// A month's directory that isn't complete yet.
const NEW_SUFFIX: &str = ".new";
const SEGMENT_SUFFIX: &str = ".segment";

/// The file of a segment.
pub(super) fn segment_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}{SEGMENT_SUFFIX}"))
}

/// The file of a segment's sparse index.
pub(super) fn index_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.index"))
}

/// The segment that is being filled with zeros.
pub(super) fn spare_path(root: &Path) -> PathBuf {
    root.join(SPARE_FILE)
}

/// A month's directory while its first segment is being written.
pub(super) fn new_month_path(root: &Path, month: Month) -> PathBuf {
    root.join(format!("{month}{NEW_SUFFIX}"))
}

/// A segment's name in messages: month and file.
pub(super) fn segment_label(path: &Path) -> String {
    let name = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().display().to_string();
    format!(
        "{}/{}",
        name(path.parent().and_then(Path::file_name)),
        name(path.file_name())
    )
}

/// First indexes of the segments of a month, ascending.
pub(super) fn list_segments(dir: &Path) -> Result<Vec<u64>, LedgerError> {
    let mut firsts = Vec::new();
    for name in names(dir)? {
        let digits = name.strip_suffix(SEGMENT_SUFFIX).filter(|d| d.len() == 20);
        firsts.extend(digits.and_then(|digits| digits.parse::<u64>().ok()));
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// The months that have a log, ascending.
pub(super) fn list_months(root: &Path) -> Result<Vec<Month>, LedgerError> {
    let mut months: Vec<_> = names(root)?
        .iter()
        .filter_map(|name| Month::parse(name))
        .collect();
    months.sort_unstable();
    Ok(months)
}

fn names(dir: &Path) -> Result<Vec<String>, LedgerError> {
    let listing = |source| LedgerError::io("list", dir)(source);
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(listing)? {
        let name = entry.map_err(LedgerError::io("list", dir))?.file_name();
        names.extend(name.into_string().ok());
    }
    Ok(names)
}

/// A directory that is this process's alone until this is dropped.
#[derive(Debug)]
pub(super) struct DirLock(File);

impl Drop for DirLock {
    /// A child that another thread is just starting holds the file too, until it runs its own
    /// program; so the lock is given back, not only let go.
    fn drop(&mut self) {
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

/// Takes the directory for this process.
pub(super) fn lock(root: &Path) -> Result<DirLock, LedgerError> {
    let path = root.join(LOCK_FILE);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(LedgerError::io("open", &path))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(DirLock(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(LedgerError::Locked {
            dir: root.to_owned(),
        }),
        Err(errno) => Err(LedgerError::io("lock", &path)(errno.into())),
    }
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), LedgerError> {
    File::open(dir)
        .and_then(|file| file.sync_all())
        .map_err(LedgerError::io("sync", dir))
}

/// Replaces a file so that after a crash it is the old or the new one, and the new one is durable.
pub(super) fn write_durable(path: &Path, bytes: &[u8]) -> Result<(), LedgerError> {
    write_whole(path, bytes)?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Replaces a file so that after a crash it is the old or the new one, whole.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), LedgerError> {
    replace(path, bytes, true)
}

/// Replaces a derived file; a crash may lose it.
pub(super) fn write_derived(path: &Path, bytes: &[u8]) -> Result<(), LedgerError> {
    replace(path, bytes, false)
}

fn replace(path: &Path, bytes: &[u8], synced: bool) -> Result<(), LedgerError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let write = || -> io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        if synced {
            file.sync_all()?;
        }
        fs::rename(&temporary, path)
    };
    match write() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = path.parent().unwrap_or(path);
            fs::create_dir_all(parent).map_err(LedgerError::io("make", parent))?;
            write()
        }
        other => other,
    }
    .map_err(LedgerError::io("write", path))
}

/// Reads a small file; `None` if there is none.
pub(super) fn read_if_present(path: &Path) -> Result<Option<Vec<u8>>, LedgerError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LedgerError::io("read", path)(error)),
    }
}
