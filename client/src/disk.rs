//! What a directory that must survive a crash needs: one writer, files that are replaced whole, and
//! names that are durable.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The file that says whose a directory is.
pub(crate) const LOCK_FILE: &str = "lock";

/// What is appended to a file's name while it is written.
const BESIDE: &str = ".new";

/// The operating system said no.
#[derive(Debug, thiserror::Error)]
#[error("can't {act} `{}`", .path.display())]
pub struct DiskError {
    act: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl DiskError {
    /// For `map_err`: what was tried, and on what.
    pub(crate) fn new(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { act, path, source }
    }
}

/// A directory that is this process's alone until this is dropped.
#[derive(Debug)]
pub(crate) struct DirLock(File);

impl DirLock {
    /// Takes the directory for this process; `None` where another has it.
    pub(crate) fn take(dir: &Path) -> Result<Option<Self>, DiskError> {
        let path = dir.join(LOCK_FILE);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(DiskError::new("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(DiskError::new("lock", &path)(error)),
        }
    }
}

impl Drop for DirLock {
    /// A child that another thread is just starting holds the file too, until it runs its own
    /// program; so the lock is given back, not only let go of.
    fn drop(&mut self) {
        // What can't be given back goes with the file.
        let _ = self.0.unlock();
    }
}

/// Replaces a file whole: its bytes are durable before it gets its name, the name is not yet.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), DiskError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(BESIDE);
    let beside = PathBuf::from(beside);
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&beside)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&beside, path))
        .map_err(DiskError::new("write", path))
}

/// Makes the names in a directory durable. One that is gone has none.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), DiskError> {
    match File::open(dir).and_then(|dir| dir.sync_all()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(DiskError::new("sync", dir)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_owner_until_it_is_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let first = DirLock::take(dir.path()).unwrap().unwrap();
        assert!(DirLock::take(dir.path()).unwrap().is_none());
        // A copy of the file, as a child that is being started has one.
        let copy = first.0.try_clone().unwrap();
        drop(first);
        assert!(DirLock::take(dir.path()).unwrap().is_some());
        drop(copy);
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_stays_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.key");
        replace(&path, b"old", 0o600).unwrap();
        replace(&path, b"new", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
