//! sled at run time: damage in an old part of a store shows only when that part is read, as an
//! error or as a panic. A store in which some was met serves nothing any more, and is marked, so
//! that the next start sets it aside.

use std::{
    fs::File,
    io::ErrorKind,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::open::{self, CloseError};

/// The file that says that damage was met.
pub(super) const DAMAGED_FILE: &str = "damaged";
/// What the system says when a disk can't read what lies on it.
const EIO: i32 = 5;

/// A store that is trusted until it fails.
#[derive(Debug)]
pub(super) struct Guarded {
    db: sled::Db,
    dir: PathBuf,
    damaged: AtomicBool,
    failures: AtomicU64,
}

impl Guarded {
    pub(super) const fn new(db: sled::Db, dir: PathBuf) -> Self {
        Self {
            db,
            dir,
            damaged: AtomicBool::new(false),
            failures: AtomicU64::new(0),
        }
    }

    /// Does something with the store; `None` if that failed, or if the store is damaged.
    pub(super) fn attempt<T>(&self, deed: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Option<T> {
        if self.damaged.load(Ordering::Acquire) {
            return None;
        }
        match catch_unwind(AssertUnwindSafe(|| deed(&self.db))) {
            Ok(Ok(done)) => return Some(done),
            Ok(Err(error)) if is_damage(&error) => self.give_up(&error.to_string()),
            Ok(Err(error)) => self.failed(&error),
            Err(_) => self.give_up("the store panicked"),
        }
        None
    }

    /// Reads and writes that failed since start.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Writes everything out, then the mark that says so; a damaged store gets none.
    pub(super) fn close(&self) -> Result<(), CloseError> {
        let closed = self.attempt(|db| Ok(open::close(db, &self.dir)));
        closed.unwrap_or(Err(CloseError::Damaged))
    }

    fn give_up(&self, damage: &str) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        if self.damaged.swap(true, Ordering::AcqRel) {
            return;
        }
        tracing::error!(
            damage,
            dir = %self.dir.display(),
            "the view is damaged and out of use; operators are asked instead, and the next start \
             sets it aside"
        );
        // Without it the next start finds a store that was not closed, and begins anew all the same.
        let marked = File::create(self.dir.join(DAMAGED_FILE)).and_then(|file| file.sync_all());
        if let Err(error) = marked {
            tracing::warn!(%error, "the damaged view can't be marked");
        }
    }

    fn failed(&self, error: &sled::Error) {
        // A failing store fails at each call; the log gets one line in a thousand.
        if self
            .failures
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(1_000)
        {
            tracing::error!(%error, "the view fails; operators are asked instead");
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // What sled would do at its end it would do to a store that it can't read, and with locks
        // that a panic may have left taken. So it never ends.
        if self.damaged.load(Ordering::Acquire) {
            std::mem::forget(self.db.clone());
        }
    }
}

/// Whether the store holds what it should not, rather than that the system has no room, say.
fn is_damage(error: &sled::Error) -> bool {
    match error {
        sled::Error::Corruption { .. } | sled::Error::ReportableBug(_) => true,
        sled::Error::Io(error) => {
            let unreadable = matches!(
                error.kind(),
                ErrorKind::InvalidData | ErrorKind::UnexpectedEof
            );
            unreadable || error.raw_os_error() == Some(EIO)
        }
        sled::Error::CollectionNotFound(_) | sled::Error::Unsupported(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn store(dir: &tempfile::TempDir) -> Guarded {
        let db = sled::open(dir.path()).unwrap();
        db.insert(b"a", b"b").unwrap();
        Guarded::new(db, dir.path().to_owned())
    }

    fn read(store: &Guarded) -> Option<Option<sled::IVec>> {
        store.attempt(|db| db.get(b"a"))
    }

    #[test]
    fn a_panic_of_the_store_is_caught_and_ends_its_use() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        assert!(read(&store).unwrap().is_some());
        let panicked = store.attempt(|_| -> sled::Result<()> { panic!("for the test") });
        assert!(panicked.is_none());
        assert!(read(&store).is_none(), "it is still used");
        assert!(dir.path().join(DAMAGED_FILE).exists());
        assert!(matches!(store.close(), Err(CloseError::Damaged)));
        assert_eq!(store.failures(), 1);
    }

    #[test]
    fn damage_ends_the_use_of_a_store_and_a_full_disk_does_not() {
        let io_error = |kind| sled::Error::Io(io::Error::from(kind));
        for (error, ends) in [
            (sled::Error::Corruption { at: None, bt: () }, true),
            (sled::Error::ReportableBug(String::new()), true),
            (io_error(ErrorKind::UnexpectedEof), true),
            (sled::Error::Io(io::Error::from_raw_os_error(EIO)), true),
            (io_error(ErrorKind::StorageFull), false),
            (sled::Error::Unsupported(String::new()), false),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let store = store(&dir);
            let words = error.to_string();
            assert!(store.attempt(|_| Err::<(), _>(error)).is_none());
            assert_eq!(read(&store).is_none(), ends, "{words}");
            assert_eq!(store.failures(), 1, "{words}");
        }
    }
}
