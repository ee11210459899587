//! Small files that are written whole, so that a crash leaves the old one or the new one, never a
//! part; and directories that have one owner.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// A directory that is this process's alone until this is dropped.
#[derive(Debug)]
pub(crate) struct DirLock(File);

impl DirLock {
    /// Takes it by a lock file; `None` where another process has it.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn take(lock_file: &Path) -> io::Result<Option<Self>> {
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(lock_file)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
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

/// Makes a file that is not there yet, durably, with mode 0600.
///
/// # Errors
/// Those of the system; `AlreadyExists` if somebody else made it meanwhile, whose file stays.
pub(crate) fn make(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let partial = write_partial(path, bytes, true)?;
    match fs::hard_link(&partial, path) {
        Ok(()) => fs::remove_file(&partial)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(&partial)?;
            return Err(error);
        }
        // Some file systems have no links.
        Err(_) => fs::rename(&partial, path)?,
    }
    sync_dir_of(path)
}

/// Replaces a file, durably, with mode 0600.
///
/// # Errors
/// Those of the system; the old file stays.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::rename(write_partial(path, bytes, true)?, path)?;
    sync_dir_of(path)
}

/// Replaces a file without waiting for the disk. A power cut may leave the old one, or an empty one.
///
/// # Errors
/// Those of the system; the old file stays.
pub(crate) fn replace_soon(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::rename(write_partial(path, bytes, false)?, path)
}

fn write_partial(path: &Path, bytes: &[u8], durable: bool) -> io::Result<PathBuf> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    // What a crash left there may be open to others.
    if let Err(error) = fs::remove_file(&partial)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&partial)?;
    file.write_all(bytes)?;
    if durable {
        file.sync_all()?;
    }
    Ok(partial)
}

fn sync_dir_of(path: &Path) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    File::open(dir.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_a_crash_left_of_a_file_is_no_obstacle_and_is_gone_afterwards() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("key");
        let partial = dir.path().join("key.partial");
        fs::write(&partial, b"half of an old one, and longer than the new one").unwrap();
        make(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!partial.exists());
    }

    #[test]
    fn a_directory_has_one_owner_until_it_is_given_back() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("lock");
        let first = DirLock::take(&path).unwrap().unwrap();
        assert!(DirLock::take(&path).unwrap().is_none());
        // A copy of the file, as a child that is being started has one.
        let copy = first.0.try_clone().unwrap();
        drop(first);
        assert!(DirLock::take(&path).unwrap().is_some());
        drop(copy);
    }

    #[test]
    fn a_file_that_somebody_else_made_stays() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("key");
        make(&path, b"first").unwrap();
        let error = make(&path, b"second").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_is_replaced_and_only_its_owner_reads_it() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("state");
        replace(&path, b"one").unwrap();
        replace_soon(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
