//! Directories for what sources write while they are checked, so that their own journals and spools
//! stay as they are. Each lies beside what it stands in for, on the same disk and as well guarded:
//! what is fetched holds numbers. They go when the check ends; those of a check that was killed go
//! with the next one.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use aws_lc_rs::rand;
use tokio::time::sleep;

/// What the name of each begins with.
const PREFIX: &str = ".accord-check-";
/// The most that is copied of one source's state; with more it is checked as a new one.
const COPY_BYTES_MAX: u64 = 256 << 20;
/// How deep directories are followed.
const DEPTH_MAX: usize = 4;
/// How many names of a directory are looked at for what a killed check left.
const NAMES_MAX: usize = 10_000;
/// How often a name is tried that another check may take or sweep at that moment.
const TRIES_MAX: usize = 8;
/// Work that was stopped may finish a file, so that removing is tried again.
const REMOVALS_MAX: usize = 50;
const REMOVE_EVERY: Duration = Duration::from_millis(20);

/// Why there is no such directory, or why it stays.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// It can't be made.
    #[error(
        "cannot make a directory in `{}` for what sources write meanwhile: {error}; \
         `check.scratch_dir` names another place", directory.display()
    )]
    Make {
        /// Where.
        directory: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// What a source goes on from can't be copied.
    #[error("cannot copy `{}` for the time of the check: {error}", path.display())]
    Copy {
        /// What.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It can't be removed.
    #[error(
        "cannot remove `{}`, which holds subscribers' data: {error}; remove it by hand",
        path.display()
    )]
    Remove {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// The directories of one check. Nobody else can look into them.
#[derive(Debug, Default)]
pub struct Scratch {
    configured: Option<PathBuf>,
    made: Vec<Made>,
}

/// One, locked for as long as its check runs.
#[derive(Debug)]
struct Made {
    parent: PathBuf,
    path: PathBuf,
    _locked: File,
}

impl Scratch {
    /// None yet. They will lie in `configured`, or else each beside what it stands in for.
    #[must_use]
    pub const fn new(configured: Option<PathBuf>) -> Self {
        let made = Vec::new();
        Self { configured, made }
    }

    /// A place for what a source keeps at `own`, as a path that nothing is at yet.
    ///
    /// # Errors
    /// [`ScratchError::Make`].
    pub fn place(&mut self, own: &Path, source: &str, what: &str) -> Result<PathBuf, ScratchError> {
        let parent = match &self.configured {
            Some(configured) => configured.clone(),
            None => beside(own),
        };
        let name = format!("{source}.{what}");
        if let Some(made) = self.made.iter().find(|made| made.parent == parent) {
            return Ok(made.path.join(name));
        }
        sweep(&parent);
        let made = Made::create(&parent, lock).map_err(|error| ScratchError::Make {
            directory: parent,
            error,
        })?;
        let path = made.path.join(name);
        self.made.push(made);
        Ok(path)
    }

    /// Copies a file or a directory of files, if it is there and not too large.
    ///
    /// # Errors
    /// [`ScratchError::Copy`].
    pub fn copy(&self, from: &Path, to: &Path) -> Result<(), ScratchError> {
        let copied = || {
            if !from.exists() || size(from, DEPTH_MAX)? > COPY_BYTES_MAX {
                return Ok(());
            }
            copy(from, to, DEPTH_MAX)
        };
        copied().map_err(|error| ScratchError::Copy {
            path: from.to_owned(),
            error,
        })
    }

    /// Removes all of it.
    ///
    /// # Errors
    /// [`ScratchError::Remove`] names what is left.
    pub async fn remove(&mut self) -> Result<(), ScratchError> {
        while let Some(made) = self.made.pop() {
            let mut tries = 0;
            while let Err(error) = made.remove() {
                tries += 1;
                if tries >= REMOVALS_MAX {
                    let path = made.path.clone();
                    return Err(ScratchError::Remove { path, error });
                }
                sleep(REMOVE_EVERY).await;
            }
        }
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for made in &self.made {
            // What stays behind a failure goes with the next check.
            let _ = made.remove();
        }
    }
}

impl Made {
    fn create(parent: &Path, lock: impl Fn(&Path) -> io::Result<Option<File>>) -> io::Result<Self> {
        for _ in 0..TRIES_MAX {
            let mut random = [0; 8];
            rand::fill(&mut random).map_err(|_| io::Error::other("no randomness"))?;
            let path = parent.join(format!("{PREFIX}{:016x}", u64::from_le_bytes(random)));
            DirBuilder::new().mode(0o700).create(&path)?;
            match lock(&path) {
                // Whoever sweeps may have taken it for a dead check's in between.
                Ok(Some(locked)) if path.exists() => {
                    return Ok(Self {
                        parent: parent.to_owned(),
                        path,
                        _locked: locked,
                    });
                }
                Ok(_) => {
                    // Nothing lies in it, and it may be gone already.
                    let _ = fs::remove_dir(&path);
                }
                Err(error) => {
                    let _ = fs::remove_dir(&path);
                    let said = format!("its lock can't be had: {error}");
                    return Err(io::Error::new(error.kind(), said));
                }
            }
        }
        Err(io::Error::other("another check removes it each time"))
    }

    fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// The directory that a path lies in, as far as it is there: nothing is made that would stay.
fn beside(path: &Path) -> PathBuf {
    let above = path.ancestors().skip(1);
    let named = above.map(|above| match above.as_os_str().is_empty() {
        true => Path::new("."),
        false => above,
    });
    let mut there = named.filter(|above| above.is_dir());
    there.next().unwrap_or_else(|| Path::new(".")).to_owned()
}

/// Removes what checks left that were killed: nobody holds their lock.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.take(NAMES_MAX).flatten() {
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|name| name.starts_with(PREFIX));
        if ours && let Ok(Some(_locked)) = lock(&entry.path()) {
            // Another user's stays that user's.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Locks a directory; `None` if another check has it, or has removed it.
///
/// # Errors
/// It can't be opened, or its file system has no locks.
fn lock(directory: &Path) -> io::Result<Option<File>> {
    let file = match File::open(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn left(dir: &Path) -> usize {
        let names = fs::read_dir(dir).unwrap().flatten();
        let ours = |name: &std::ffi::OsString| name.to_string_lossy().starts_with(PREFIX);
        names.map(|entry| entry.file_name()).filter(ours).count()
    }

    #[tokio::test]
    async fn each_place_is_beside_its_own_shut_to_others_and_gone_in_the_end() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("deep")).unwrap();
        let mut scratch = Scratch::new(None);
        let own = dir.path().join("spool");
        let first = scratch.place(&own, "billing", "spool").unwrap();
        let second = scratch.place(&own, "lists", "spool").unwrap();
        // What is not there yet is not made either.
        let own = dir.path().join("deep/absent/journal");
        let third = scratch.place(&own, "hlr", "journal").unwrap();
        let root = first.parent().unwrap();
        assert_eq!(root.parent(), Some(dir.path()));
        assert_eq!(second.parent(), Some(root));
        let deep = dir.path().join("deep");
        assert_eq!(third.parent().unwrap().parent(), Some(deep.as_path()));
        let mode = fs::metadata(root).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        fs::create_dir_all(&first).unwrap();
        fs::write(first.join("subscribers.csv"), "rows").unwrap();
        scratch.remove().await.unwrap();
        assert_eq!((left(dir.path()), left(&deep)), (0, 0));
    }

    #[test]
    fn what_a_killed_check_left_goes_with_the_next_and_what_runs_stays() {
        let dir = tempfile::tempdir().unwrap();
        let dead = dir.path().join(format!("{PREFIX}00"));
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join("subscribers.csv"), "rows").unwrap();
        let elsewhere = Path::new("/nowhere/spool");
        let mut first = Scratch::new(Some(dir.path().to_owned()));
        let running = first.place(elsewhere, "one", "spool").unwrap();
        assert!(!dead.exists());
        let mut second = Scratch::new(Some(dir.path().to_owned()));
        second.place(elsewhere, "two", "spool").unwrap();
        assert!(running.parent().unwrap().exists());
        assert_eq!(left(dir.path()), 2);
        drop((first, second));
        assert_eq!(left(dir.path()), 0);
    }

    #[test]
    fn where_nothing_can_be_locked_nothing_is_left_and_the_system_s_word_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let without_locks = |_: &Path| Err(io::ErrorKind::Unsupported.into());
        let said = Made::create(dir.path(), without_locks).unwrap_err();
        assert_eq!(said.kind(), io::ErrorKind::Unsupported);
        assert!(
            said.to_string().starts_with("its lock can't be had: "),
            "{said}"
        );
        assert_eq!(left(dir.path()), 0);
        let taken = |_: &Path| Ok(None);
        let said = Made::create(dir.path(), taken).unwrap_err().to_string();
        assert!(said.contains("another check"), "{said}");
        assert_eq!(left(dir.path()), 0);
        // What another one holds is another one's, be it seen or not.
        let mut running = Scratch::new(Some(dir.path().to_owned()));
        let place = running.place(Path::new("spool"), "one", "spool").unwrap();
        assert!(lock(place.parent().unwrap()).unwrap().is_none());
        assert!(lock(&dir.path().join("gone")).unwrap().is_none());
    }

    #[test]
    fn a_place_that_can_not_be_made_is_named_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let mut scratch = Scratch::new(Some(file.clone()));
        let failed = scratch.place(Path::new("spool"), "one", "spool");
        let said = failed.unwrap_err().to_string();
        let named = said.contains(file.to_str().unwrap());
        assert!(named && said.contains("`check.scratch_dir`"), "{said}");
    }
}
