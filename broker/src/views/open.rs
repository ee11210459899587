//! Opening sled, with what its version 0.34 needs.
//!
//! * A snapshot that a crash left half written (`snap.*.generating`) is taken for the newest one
//!   and makes the store unreadable, so it is removed first.
//! * Opening a damaged store may panic instead of failing, so a panic is caught.
//! * Neither `conf` nor the directory is synced by sled, so they are after the first opening.
//! * A store whose end, or whose whole content, is lost opens without a word. So closing it writes
//!   random bytes, last, into the store and into the file `closed` beside it, and opening compares
//!   and removes that file.
//! * It tells a store that another process has open as it tells damage, and its threads keep a store
//!   open for some moments after it was dropped. So its lock is looked at first, and waited for.

use std::{
    fmt,
    fs::{self, File, TryLockError},
    io::Write as _,
    os::unix::fs::DirBuilderExt as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use aws_lc_rs::{hmac, rand};

use super::guarded::DAMAGED_FILE;
use crate::durable;

/// The key under which the epoch lies. It is shorter than any key of an observation.
const EPOCH: &[u8] = b"epoch";
/// The key of the last record before the store was closed. It is shorter, too.
const CLOSED: &[u8] = b"closed";
/// The file with the same bytes as that record.
const CLOSED_FILE: &str = "closed";
/// The most damaged stores that are kept for whoever looks into them.
const ASIDE_MAX: usize = 2;
/// How often the lock of a store that is open elsewhere is tried, and how long it is left between.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Why a store was begun anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rebuilt {
    /// It was damaged, and lies here now.
    Damaged(PathBuf),
    /// It was gone.
    Missing,
    /// It was not closed, so it may have lost changes.
    NotClosed,
}

impl fmt::Display for Rebuilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Damaged(_) => "a damaged view was set aside and begun anew",
            Self::Missing => "the view was gone and is begun anew",
            Self::NotClosed => "a view that was not closed was begun anew",
        })
    }
}

/// Why the view can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The operating system said no.
    #[error("can't {act} `{path}`")]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// What it said.
        #[source]
        source: std::io::Error,
    },
    /// The view's key can't be kept.
    #[error(transparent)]
    File(#[from] durable::Failed),
    /// Not 32 bytes.
    #[error("`{0}` is not a view key: it must hold exactly 32 bytes")]
    Key(PathBuf),
    /// It is open already.
    #[error("the view in `{0}` is in use by another process: two brokers can't share one")]
    InUse(PathBuf),
    /// No randomness.
    #[error("the system gave no random bytes")]
    Random,
    /// Even an empty store does not open.
    #[error("a new view can't be made in `{0}`: {1}")]
    Store(PathBuf, String),
}

/// The key of the view's digests: 32 random bytes in a file of their own. True if it was made now.
pub(super) fn key(path: &Path) -> Result<(hmac::Key, bool), ViewError> {
    let bytes = read_if_present(path).map_err(io("read", path))?;
    let made = bytes.is_none();
    let bytes = bytes.map_or_else(|| make_key(path), Ok)?;
    if bytes.len() == 32 {
        Ok((hmac::Key::new(hmac::HMAC_SHA256, &bytes), made))
    } else {
        Err(ViewError::Key(path.to_owned()))
    }
}

/// Whole and durable, or not at all: a part of a key would keep the broker from starting ever again.
fn make_key(path: &Path) -> Result<Vec<u8>, ViewError> {
    let mut key = vec![0; 32];
    rand::fill(&mut key).map_err(|_| ViewError::Random)?;
    durable::replace(path, &key)?;
    Ok(key)
}

fn io(act: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> ViewError {
    move |source| ViewError::Io {
        act,
        path: path.to_owned(),
        source,
    }
}

/// The store, its epoch, and why it was begun anew, if it was.
pub(super) fn store(
    dir: &Path,
    cache_bytes: u64,
) -> Result<(sled::Db, u64, Option<Rebuilt>), ViewError> {
    await_lock(dir)?;
    let closed = read_if_present(&dir.join(CLOSED_FILE)).map_err(io("read", dir))?;
    let mut rebuilt = None;
    if dir.join(DAMAGED_FILE).exists() {
        rebuilt = Some(set_aside(dir, "damage was met when it was used")?);
    } else if closed.is_none() && dir.join("db").exists() {
        tracing::warn!("the view was not closed, so it may have lost changes, and is begun anew");
        fs::remove_dir_all(dir).map_err(io("empty", dir))?;
        rebuilt = Some(Rebuilt::NotClosed);
    } else if closed.is_none() {
        rebuilt = Some(Rebuilt::Missing);
    }
    let closed = closed.filter(|_| rebuilt.is_none());
    let (db, epoch) = match try_open(dir, cache_bytes, closed.as_deref()) {
        Ok(opened) => opened,
        Err(damage) => {
            rebuilt = Some(set_aside(dir, &damage)?);
            try_open(dir, cache_bytes, None)
                .map_err(|error| ViewError::Store(dir.to_owned(), error))?
        }
    };
    Ok((db, epoch, rebuilt))
}

/// Waits until nobody has a store open: what would be set aside or emptied otherwise is in use. sled takes the
/// lock for itself afterwards.
fn await_lock(dir: &Path) -> Result<(), ViewError> {
    // Some file systems of the network lock only what may be written.
    let db = match File::options().read(true).write(true).open(dir.join("db")) {
        Ok(db) => db,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io("open", dir)(error)),
    };
    for _ in 0..LOCK_TRIES {
        match db.try_lock() {
            // Not only by closing it: a child that is forked just now has it open for some moments.
            Ok(()) => return db.unlock().map_err(io("unlock", dir)),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(io("lock", dir)(error)),
        }
    }
    Err(ViewError::InUse(dir.to_owned()))
}

/// `closed` is what the store must hold as its last record, if it was closed.
fn try_open(
    dir: &Path,
    cache_bytes: u64,
    closed: Option<&[u8]>,
) -> Result<(sled::Db, u64), String> {
    prepare(dir).map_err(|error| error.to_string())?;
    let open = || {
        let db = sled::Config::default()
            .path(dir)
            .cache_capacity(cache_bytes)
            // The flusher is also what cleans segments; it must run.
            .flush_every_ms(Some(500))
            .mode(sled::Mode::HighThroughput)
            .open()?;
        let last = db.get(CLOSED)?;
        let epoch = epoch(&db)?;
        Ok::<_, sled::Error>((db, epoch, last))
    };
    let (db, epoch, last) = catch_unwind(AssertUnwindSafe(open))
        .map_err(|_| "the store panicked while it was opened".to_owned())?
        .map_err(|error| error.to_string())?;
    if let Some(closed) = closed {
        if last.is_none_or(|last| *last != *closed) {
            return Err("the store does not hold what it held when it was closed".to_owned());
        }
        fs::remove_file(dir.join(CLOSED_FILE)).map_err(|error| error.to_string())?;
    }
    sync(dir).map_err(|error| error.to_string())?;
    Ok((db, epoch))
}

/// Why a store can't be closed so that it may be kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum CloseError {
    #[error("the view can't be written out")]
    Store(#[from] sled::Error),
    #[error("the view's files can't be synced")]
    Sync(#[from] std::io::Error),
    #[error("the system gave no random bytes")]
    Random,
    #[error("the view was given up before")]
    GivenUp,
}

/// Writes everything out, then the mark that says so.
pub(super) fn close(db: &sled::Db, dir: &Path) -> Result<(), CloseError> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| CloseError::Random)?;
    // Everything before is written out first, so that this record is the last one.
    db.flush()?;
    db.insert(CLOSED, &bytes)?;
    db.flush()?;
    // On Linux, sled's own flush does not sync.
    File::open(dir.join("db"))?.sync_all()?;
    let mut file = File::create(dir.join(CLOSED_FILE))?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    sync(dir)?;
    Ok(())
}

fn read_if_present(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn prepare(dir: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)?;
    for file in fs::read_dir(dir)? {
        let path = file?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "generating")
        {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn epoch(db: &sled::Db) -> Result<u64, sled::Error> {
    if let Some(bytes) = db.get(EPOCH)?
        && let Ok(bytes) = <[u8; 8]>::try_from(bytes.as_ref())
    {
        return Ok(u64::from_be_bytes(bytes));
    }
    let mut bytes = [0; 8];
    rand::fill(&mut bytes)
        .map_err(|_| sled::Error::Unsupported("the system gave no random bytes".to_owned()))?;
    db.insert(EPOCH, &bytes)?;
    Ok(u64::from_be_bytes(bytes))
}

fn sync(dir: &Path) -> std::io::Result<()> {
    File::open(dir.join("conf"))?.sync_all()?;
    File::open(dir)?.sync_all()?;
    sync_parent(dir)
}

fn sync_parent(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}

/// Moves the store to a name of its own beside it, and removes all but the newest of such.
fn set_aside(dir: &Path, damage: &str) -> Result<Rebuilt, ViewError> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!("{name}.damaged-");
    let mut numbers = asides(dir, &prefix).map_err(io("list what lies beside", dir))?;
    let path = |number: u64| dir.with_file_name(format!("{prefix}{number}"));
    let number = numbers.iter().max().map_or(1, |newest| newest + 1);
    let aside = path(number);
    fs::rename(dir, &aside).map_err(io("set aside", dir))?;
    tracing::error!(damage, aside = %aside.display(), "the view is damaged and begun anew");
    numbers.sort_unstable();
    let too_many = (numbers.len() + 1).saturating_sub(ASIDE_MAX);
    for number in numbers.into_iter().take(too_many) {
        let old = path(number);
        if let Err(error) = fs::remove_dir_all(&old) {
            tracing::warn!(%error, aside = %old.display(), "an old damaged view can't be removed");
        }
    }
    Ok(Rebuilt::Damaged(aside))
}

/// The numbers of the stores that were set aside before.
fn asides(dir: &Path, prefix: &str) -> std::io::Result<Vec<u64>> {
    let parent = dir
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."));
    let mut numbers = Vec::new();
    for entry in fs::read_dir(parent)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(prefix));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    Ok(numbers)
}
