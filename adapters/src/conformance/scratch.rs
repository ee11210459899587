//! A directory for what a source writes while it is checked, so that its own journals stay as they
//! are. It goes when the check ends.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use aws_lc_rs::rand;

/// The most that is copied of one source's state; with more it is checked as a new one.
const COPY_BYTES_MAX: u64 = 256 << 20;
/// How deep directories are followed.
const DEPTH_MAX: usize = 4;

/// The directory. Nobody else can look into it.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes one among the system's temporary files.
    ///
    /// # Errors
    /// Those of the system.
    pub fn make() -> io::Result<Self> {
        let mut random = [0; 8];
        rand::fill(&mut random).map_err(|_| io::Error::other("no randomness"))?;
        let name = format!("accord-check-{:016x}", u64::from_le_bytes(random));
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    /// A place in it for this source, as a path that nothing is at yet.
    #[must_use]
    pub fn place(&self, source: &str, what: &str) -> PathBuf {
        self.0.join(format!("{source}.{what}"))
    }

    /// Copies a file or a directory of files, if it is there and not too large.
    ///
    /// # Errors
    /// Those of the system.
    pub fn copy(&self, from: &Path, to: &Path) -> io::Result<()> {
        if !from.exists() || size(from, DEPTH_MAX)? > COPY_BYTES_MAX {
            return Ok(());
        }
        copy(from, to, DEPTH_MAX)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What can't be removed is a copy among temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn size(path: &Path, depth: usize) -> io::Result<u64> {
    if !path.is_dir() {
        return Ok(fs::metadata(path)?.len());
    }
    let mut bytes = 0;
    if depth > 0 {
        for entry in fs::read_dir(path)? {
            bytes += size(&entry?.path(), depth - 1)?;
        }
    }
    Ok(bytes)
}

fn copy(from: &Path, to: &Path, depth: usize) -> io::Result<()> {
    if !from.is_dir() {
        return fs::copy(from, to).map(drop);
    }
    DirBuilder::new().mode(0o700).create(to)?;
    if depth > 0 {
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()), depth - 1)?;
        }
    }
    Ok(())
}
