//! A file that is there whole or not at all, and never in the place of another.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::random;

/// A file in the making, under another name beside its place. Dropped before it was put into place,
/// it is gone.
#[derive(Debug)]
pub struct WholeFile {
    file: File,
    beside: PathBuf,
    place: PathBuf,
}

impl WholeFile {
    /// Begins a file that will lie at `place`.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if something lies there; else what the system says.
    pub fn create(place: &Path) -> io::Result<Self> {
        if place.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let name = place.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let mut beside = std::ffi::OsString::from(".");
        beside.push(name);
        beside.push(format!(".{}", random::id()));
        let beside = place.with_file_name(beside);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        // For the recipients named in its footer alone.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&beside)?;
        Ok(Self {
            file,
            beside,
            place: place.to_owned(),
        })
    }

    /// Makes its bytes durable, then gives it its name; and that too is durable.
    ///
    /// # Errors
    /// As [`create`](Self::create): something may have come to lie there meanwhile, and stays.
    pub fn put_into_place(self) -> io::Result<()> {
        self.file.sync_all()?;
        // A link takes no other's place, which a rename would.
        match fs::hard_link(&self.beside, &self.place) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
            // A file system without links.
            Err(_) if self.place.symlink_metadata().is_ok() => {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            Err(_) => fs::rename(&self.beside, &self.place)?,
        }
        let parent = self
            .place
            .parent()
            .filter(|dir| !dir.as_os_str().is_empty());
        File::open(parent.unwrap_or_else(|| Path::new(".")))?.sync_all()
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        // After a rename it is not there, and nobody is left to be told.
        let _ = fs::remove_file(&self.beside);
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn names(dir: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(dir.path()).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let dir = TempDir::new().unwrap();
        let place = dir.path().join("export.csv");
        let mut file = WholeFile::create(&place).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!place.exists());
        drop(file);
        assert!(names(&dir).is_empty());
        let mut file = WholeFile::create(&place).unwrap();
        file.write_all(b"whole").unwrap();
        file.put_into_place().unwrap();
        assert_eq!(names(&dir), ["export.csv"]);
        assert_eq!(fs::read(&place).unwrap(), b"whole");
    }

    #[test]
    fn it_takes_no_other_files_place() {
        let dir = TempDir::new().unwrap();
        let place = dir.path().join("export.csv");
        let mut file = WholeFile::create(&place).unwrap();
        file.write_all(b"ours").unwrap();
        fs::write(&place, "theirs").unwrap();
        let refused = WholeFile::create(&place).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        let refused = file.put_into_place().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&place).unwrap(), b"theirs");
        assert_eq!(names(&dir), ["export.csv"]);
    }
}
