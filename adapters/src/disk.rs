//! Small files that are written whole: a crash leaves the old one or the new one, never a part.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

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
