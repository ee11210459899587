//! Writing a mirror: each file whole and durable, the checkpoint last.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use accord_proto::c2sp::{Bundle, Tile, VerifierKey};
use accord_proto::merkle::Hash;
use tokio::task::spawn_blocking;

use super::error::MirrorError;
use super::layout::{CHECKPOINT_FILE, Holds, Layout, LayoutError, MARK_FILE, VKEY_FILE};
use crate::disk::{DirLock, DiskError, LOCK_FILE, replace, sync_dir};

/// Of every file: a mirror is read by others too.
const FILE_MODE: u32 = 0o644;
const REFUSED_FILE: &str = "checkpoint.refused";

/// Why a mirror can't be written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system said no.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A directory of something else.
    #[error("`{}` holds files and is no mirror: choose another directory", .0.display())]
    Foreign(PathBuf),
    /// It was begun with other contents in mind.
    #[error(
        "`{}` is a mirror of {}, and can't become one of {}: choose another directory",
        .dir.display(), .is.words(), .wanted.words()
    )]
    OtherKind {
        /// The directory.
        dir: PathBuf,
        /// What it holds.
        is: Holds,
        /// What was asked for.
        wanted: Holds,
    },
    /// It belongs to another ledger.
    #[error("`{}` is a mirror of the ledger `{is}`, not of `{wanted}`", .dir.display())]
    OtherLedger {
        /// The directory.
        dir: PathBuf,
        /// Whose it is.
        is: String,
        /// What was asked for.
        wanted: String,
    },
    /// Another process writes it.
    #[error("another process writes the mirror in `{}`", .0.display())]
    Locked(PathBuf),
    /// What is there can't be read.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

/// A mirror's directory, to be written.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) layout: Layout,
    /// Directories in which files got names that are not durable yet.
    unsynced: Mutex<BTreeSet<PathBuf>>,
    /// Held for as long as the mirror is written.
    _lock: DirLock,
}

impl Store {
    /// Opens a mirror, or begins one in a directory that is empty or not there.
    pub(super) fn open(dir: &Path, holds: Holds, key: &VerifierKey) -> Result<Self, StoreError> {
        fs::create_dir_all(dir).map_err(DiskError::new("make", dir))?;
        if !dir.join(MARK_FILE).exists() {
            let foreign = fs::read_dir(dir)
                .map_err(DiskError::new("list", dir))?
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                // What a beginning that broke off leaves behind.
                .any(|name| {
                    ![LOCK_FILE, VKEY_FILE, "log.vkey.new", "mirror.new"].contains(&&*name)
                });
            if foreign {
                return Err(StoreError::Foreign(dir.to_owned()));
            }
        }
        let lock = DirLock::take(dir)?.ok_or_else(|| StoreError::Locked(dir.to_owned()))?;
        if !dir.join(MARK_FILE).exists() {
            replace(
                &dir.join(VKEY_FILE),
                format!("{key}\n").as_bytes(),
                FILE_MODE,
            )?;
            replace(&dir.join(MARK_FILE), holds.mark().as_bytes(), FILE_MODE)?;
            sync_dir(dir)?;
        }
        let layout = Layout::open(dir)?;
        if layout.holds != holds {
            return Err(StoreError::OtherKind {
                dir: dir.to_owned(),
                is: layout.holds,
                wanted: holds,
            });
        }
        if layout.key.name() != key.name() {
            return Err(StoreError::OtherLedger {
                dir: dir.to_owned(),
                is: layout.key.name().to_owned(),
                wanted: key.name().to_owned(),
            });
        }
        Ok(Self {
            layout,
            unsynced: Mutex::default(),
            _lock: lock,
        })
    }

    /// Writes a hash tile. It survives a crash after the next [`Self::sync`].
    pub(super) fn put_tile(
        &self,
        origin: &str,
        tile: Tile,
        hashes: &[Hash],
    ) -> Result<(), StoreError> {
        self.put(origin, &tile.path(), hashes.as_flattened())
    }

    /// Writes an entry bundle. It survives a crash after the next [`Self::sync`].
    pub(super) fn put_bundle(
        &self,
        origin: &str,
        bundle: Bundle,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        self.put(origin, &bundle.path(), bytes)
    }

    fn put(&self, origin: &str, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.layout.log(origin).dir.join(path);
        if let Some(parent) = path.parent().filter(|parent| !parent.is_dir()) {
            fs::create_dir_all(parent).map_err(DiskError::new("make", parent))?;
            // A directory's own name lies in the one above it.
            let above = parent.ancestors().take_while(|dir| *dir != self.layout.dir);
            self.unsynced().extend(above.map(Path::to_owned));
            self.unsynced().insert(self.layout.dir.clone());
        }
        replace(&path, bytes, FILE_MODE)?;
        let parent = path.parent().map(Path::to_owned);
        self.unsynced().extend(parent);
        Ok(())
    }

    /// Makes the names of all that was written durable; the bytes are already.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        let dirs = std::mem::take(&mut *self.unsynced());
        dirs.iter().try_for_each(|dir| sync_dir(dir))?;
        Ok(())
    }

    /// Says that all up to this checkpoint is here and verified.
    pub(super) fn commit(&self, origin: &str, note: &str) -> Result<(), StoreError> {
        self.sync()?;
        self.put(origin, CHECKPOINT_FILE, note.as_bytes())?;
        self.sync()
    }

    /// Keeps a signed checkpoint that contradicts what is here: it proves what the log did.
    pub(super) fn keep_refused(&self, origin: &str, note: &str) -> Result<PathBuf, StoreError> {
        self.put(origin, REFUSED_FILE, note.as_bytes())?;
        self.sync()?;
        Ok(self.layout.log(origin).dir.join(REFUSED_FILE))
    }

    /// Removes a part that a larger part or the whole has replaced.
    pub(super) fn remove_part(&self, origin: &str, path: &str) -> Result<(), StoreError> {
        let path = self.layout.log(origin).dir.join(path);
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(DiskError::new("remove", &path)(error).into()),
        }
        // Its directory goes with the last of them.
        match path.parent().map(fs::remove_dir) {
            Some(Err(_) | Ok(())) | None => Ok(()),
        }
    }

    fn unsynced(&self) -> std::sync::MutexGuard<'_, BTreeSet<PathBuf>> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The disk is waited for where that may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MirrorError> + Send + 'static,
) -> Result<T, MirrorError> {
    spawn_blocking(work)
        .await
        .map_err(|_| MirrorError::BrokeOff)?
}
