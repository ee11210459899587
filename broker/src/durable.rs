//! Small files that are whole and durable, or as they were: keys, sealed shares, and what the broker
//! keeps beside them.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// What the system refused.
#[derive(Debug, thiserror::Error)]
#[error("can't {act} `{path}`")]
pub struct Failed {
    /// What was tried.
    pub act: &'static str,
    /// On which file.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

fn failed(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Failed {
    move |source| Failed {
        act,
        path: path.to_owned(),
        source,
    }
}

/// Makes a directory that nobody else may read, unless it is there.
///
/// # Errors
/// [`Failed`].
pub(crate) fn private_dir(dir: &Path) -> Result<(), Failed> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(failed("make", dir))
}

/// Writes a file of mode 0600: beside it first, synced, then in its place, and the directory synced.
/// After a crash at any moment the file is the old one or the new one, whole.
///
/// # Errors
/// [`Failed`]; the old file stays.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failed> {
    let partial = path.with_extension("partial");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)
        .map_err(failed("make", &partial))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(failed("write", &partial))?;
    fs::rename(&partial, path).map_err(failed("rename", &partial))?;
    sync_dir_of(path)
}

/// Removes a file durably; true if it was there.
///
/// # Errors
/// [`Failed`].
pub(crate) fn remove(path: &Path) -> Result<bool, Failed> {
    match fs::remove_file(path) {
        Ok(()) => sync_dir_of(path).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(failed("remove", path)(source)),
    }
}

/// The content of a file; `None` if there is none.
///
/// # Errors
/// [`Failed`].
pub(crate) fn read_if_present(path: &Path) -> Result<Option<Vec<u8>>, Failed> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed("read", path)(source)),
    }
}

/// The names in a directory.
///
/// # Errors
/// [`Failed`].
pub(crate) fn names(dir: &Path) -> Result<Vec<String>, Failed> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed("read", dir))? {
        let name = entry.map_err(failed("read", dir))?.file_name();
        names.extend(name.into_string().ok());
    }
    Ok(names)
}

fn sync_dir_of(path: &Path) -> Result<(), Failed> {
    let Some(dir) = path.parent() else {
        return Ok(());
    };
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(failed("sync", dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_read_by_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("one.key");
        assert_eq!(read_if_present(&path).unwrap(), None);
        // What a crash left beside it is overwritten.
        fs::write(
            dir.path().join("one.partial"),
            b"a longer rest of another time",
        )
        .unwrap();
        replace(&path, b"first").unwrap();
        replace(&path, b"second").unwrap();
        assert_eq!(read_if_present(&path).unwrap().unwrap(), b"second");
        assert_eq!(names(dir.path()).unwrap(), ["one.key"]);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(remove(&path).unwrap());
        assert!(!remove(&path).unwrap());
    }

    #[test]
    fn a_directory_that_is_gone_is_named() {
        let error = replace(Path::new("/nowhere/one.key"), b"x").unwrap_err();
        assert!(
            error.to_string().contains("/nowhere/one.partial"),
            "{error}"
        );
    }
}
