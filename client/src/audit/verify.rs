//! Re-hashes a ledger's directory offline: everything, from the bytes of the segments.
//!
//! Checked are frames, checksums, order and times of the entries, the signature and the root of
//! each checkpoint, the chain from month to month, the published checkpoint, and all that is
//! derived (hash tiles and sparse indexes), where it is there. Memory does not grow with the
//! ledger.

mod month;
mod segment;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use accord_proto::c2sp::{CheckpointError, KeyError, VerifierKey};
use accord_proto::merkle::Hash;
use accord_proto::subject::Month;

use month::{Before, MonthCheck};

/// The file in which a ledger keeps its own public key.
const VKEY_FILE: &str = "log.vkey";

/// A ledger in which nothing is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Each month's log, oldest first.
    pub logs: Vec<VerifiedLog>,
}

/// One month's log in which nothing is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedLog {
    /// The log's origin, such as `accord-sandbox/2026-11`.
    pub origin: String,
    /// Number of entries that a checkpoint covers.
    pub entries: u64,
    /// The RFC 6962 root over them.
    pub root: Hash,
    /// Number of signed checkpoints.
    pub checkpoints: u64,
    /// Number of segment files.
    pub segments: usize,
    /// Full hash tiles that were compared.
    pub tiles: u64,
    /// Full hash tiles that are not there. They are derived, and made again when needed.
    pub tiles_missing: u64,
    /// What stands behind the last checkpoint, as a process leaves it that was killed; nobody has
    /// a receipt for it.
    pub unsigned: Option<UnsignedTail>,
}

/// Bytes behind the last checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsignedTail {
    /// The segment's file, with its month.
    pub segment: String,
    /// Where the tail begins.
    pub offset: u64,
    /// Whole entries in it.
    pub entries: u64,
}

/// What is wrong with a ledger, the first thing that was found.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A file could not be read.
    #[error("could not read `{}`", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no ledger in the directory.
    #[error("`{}` holds no ledger", .dir.display())]
    NoLedger {
        /// The directory.
        dir: PathBuf,
    },
    /// The log's public key, given or found, is none.
    #[error("the log's key in `{}` can not be used", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
    /// Bytes of a segment that are not as they were written.
    #[error("segment `{segment}` is damaged at offset {offset}, entry {entry}: {what}")]
    Damaged {
        /// The segment's file, with its month.
        segment: String,
        /// Where in the file the damaged frame begins.
        offset: u64,
        /// Index of the entry that stands there, or of the next one.
        entry: u64,
        /// What is wrong.
        what: String,
    },
    /// A derived file that differs from the entries.
    #[error("`{}` differs from the entries: {what}", .path.display())]
    Derived {
        /// The file.
        path: PathBuf,
        /// In what.
        what: &'static str,
    },
    /// The published checkpoint is not believed.
    #[error("the published checkpoint `{}` is not believed", .path.display())]
    Published {
        /// The file.
        path: PathBuf,
        /// Why.
        source: CheckpointError,
    },
    /// The published checkpoint, which a log always has, is gone.
    #[error(
        "`{}` is missing or empty, and a log is never without it: without it nobody can tell \
         whether entries were cut off", .path.display()
    )]
    Unpublished {
        /// The file.
        path: PathBuf,
    },
    /// The published checkpoint has another root than the entries, or belongs to another log.
    #[error("the published checkpoint `{}` is not of this history", .path.display())]
    Forked {
        /// The file.
        path: PathBuf,
    },
    /// Entries that were published are not there.
    #[error("`{origin}` has {found} entries, but a checkpoint of {published} was published")]
    Shorter {
        /// The log.
        origin: String,
        /// Size of the published checkpoint.
        published: u64,
        /// Entries found.
        found: u64,
    },
}

impl VerifyError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

/// Verifies a ledger's directory, while no broker writes to it. `log_keys` are the keys that the
/// auditor knows; without any, the one in the directory's `log.vkey` is taken, which shows damage
/// but not a ledger that was made anew with another key.
///
/// # Errors
/// [`VerifyError`] names the first thing that is wrong.
pub fn verify_dir(dir: &Path, log_keys: &[VerifierKey]) -> Result<Verified, VerifyError> {
    let own = own_key(dir)?;
    let keys = if log_keys.is_empty() {
        vec![own.clone()]
    } else {
        log_keys.to_vec()
    };
    let mut months: Vec<Month> = names(dir)?
        .iter()
        .filter_map(|name| Month::parse(name))
        .collect();
    months.sort_unstable();
    if months.is_empty() {
        return Err(VerifyError::NoLedger {
            dir: dir.to_owned(),
        });
    }
    let mut logs = Vec::new();
    let mut before = Before::default();
    let count = months.len();
    for (position, month) in (1..).zip(months) {
        let origin = format!("{}/{month}", own.name());
        let mut check = MonthCheck::new(&dir.join(month.to_string()), origin, &keys, before);
        logs.push(check.run(position < count)?);
        before = check.end();
    }
    Ok(Verified { logs })
}

fn own_key(dir: &Path) -> Result<VerifierKey, VerifyError> {
    let path = dir.join(VKEY_FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(VerifyError::NoLedger {
                dir: dir.to_owned(),
            });
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => String::new(),
        Err(error) => return Err(VerifyError::io(&path)(error)),
    };
    VerifierKey::parse(&text).map_err(|source| VerifyError::Key { path, source })
}

fn names(dir: &Path) -> Result<Vec<String>, VerifyError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(VerifyError::io(dir))? {
        let name = entry.map_err(VerifyError::io(dir))?.file_name();
        names.extend(name.into_string().ok());
    }
    Ok(names)
}

/// Reads a file that need not be there.
fn read_if_present(path: &Path) -> Result<Option<Vec<u8>>, VerifyError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(VerifyError::io(path)(error)),
    }
}
