//! Files and folders with the right modes.
//!
//! Each file is written beside its place and renamed into it, so that a program that reads it
//! again when it changes never sees half of it.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use crate::CertsError;

/// Makes a folder that only its owner may enter (mode 0700), and those above it; an existing one
/// gets that mode.
///
/// # Errors
/// Names the folder.
pub fn private_dir(dir: &Path) -> Result<(), CertsError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .and_then(|()| fs::set_permissions(dir, Permissions::from_mode(0o700)))
        .map_err(write_error(dir))
}

/// Writes a file that only its owner may read (mode 0600).
///
/// # Errors
/// Names the file.
pub fn write_private(path: &Path, content: &str) -> Result<(), CertsError> {
    replace(path, content, 0o600).map_err(write_error(path))
}

/// Writes a file that all may read (mode 0644).
///
/// # Errors
/// Names the file.
pub fn write_public(path: &Path, content: &str) -> Result<(), CertsError> {
    replace(path, content, 0o644).map_err(write_error(path))
}

fn replace(path: &Path, content: &str, mode: u32) -> io::Result<()> {
    let mut beside = OsString::from(path);
    beside.push(".new");
    // One left by a crash may have another mode.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> CertsError {
    let path = path.to_owned();
    move |source| CertsError::Write { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn keys_and_their_folders_are_for_the_owner_only() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("pki/keys");
        private_dir(&dir).unwrap();
        assert_eq!(mode(&dir), 0o700);
        let key = dir.join("bank.key");
        write_public(&key, "old").unwrap();
        write_private(&key, "new").unwrap();
        assert_eq!(mode(&key), 0o600);
        assert_eq!(fs::read_to_string(&key).unwrap(), "new");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
    }

    #[test]
    fn an_error_names_the_file() {
        let root = tempfile::tempdir().unwrap();
        let error = write_private(&root.path().join("none/bank.key"), "x").unwrap_err();
        assert!(error.to_string().contains("none/bank.key"));
    }
}
