//! sled at run time: damage in an old part of a store shows only when that part is read, as an
//! error or as a panic; and after the first write that failed every other fails too, until the
//! process ends, while reads go on. A store in which either was met serves nothing any more: what
//! lies in it is not known to be what was told. After damage it is marked, so that the next start
//! sets it aside; one that could not be written was not closed either, and is begun anew.

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
    given_up: AtomicBool,
    failures: AtomicU64,
}

impl Guarded {
    pub(super) const fn new(db: sled::Db, dir: PathBuf) -> Self {
        Self {
            db,
            dir,
            given_up: AtomicBool::new(false),
            failures: AtomicU64::new(0),
        }
    }

    /// Reads; `None` if that failed, or if the store was given up.
    pub(super) fn read<T>(&self, deed: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Option<T> {
        self.attempt(deed, Self::read_refused)
    }

    /// Writes; `None` if that failed, or if the store was given up. What should have been written was
    /// told by an operator, and the store would go on to say what was so before.
    pub(super) fn write<T>(&self, deed: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Option<T> {
        self.attempt(deed, Self::write_refused)
    }

    /// `refused` is for what the system, or the store, refused; damage ends its use in any case.
    fn attempt<T>(
        &self,
        deed: impl FnOnce(&sled::Db) -> sled::Result<T>,
        refused: impl FnOnce(&Self, &sled::Error),
    ) -> Option<T> {
        if !self.is_in_use() {
            return None;
        }
        match catch_unwind(AssertUnwindSafe(|| deed(&self.db))) {
            Ok(Ok(done)) => return Some(done),
            Ok(Err(error)) if is_damage(&error) => self.give_up_damaged(&error.to_string()),
            Ok(Err(error)) => refused(self, &error),
            Err(_) => self.give_up_damaged("the store panicked"),
        }
        None
    }

    /// Whether it was not given up.
    pub(super) fn is_in_use(&self) -> bool {
        !self.given_up.load(Ordering::Acquire)
    }

    /// Reads and writes that failed since start.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Writes everything out, then the mark that says so; a store that was given up gets none.
    pub(super) fn close(&self) -> Result<(), CloseError> {
        let closed = self.read(|db| Ok(open::close(db, &self.dir)));
        closed.unwrap_or(Err(CloseError::GivenUp))
    }

    /// True if it was in use until now.
    fn give_up(&self) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed);
        !self.given_up.swap(true, Ordering::AcqRel)
    }

    fn give_up_damaged(&self, damage: &str) {
        if !self.give_up() {
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

    fn write_refused(&self, error: &sled::Error) {
        if self.give_up() {
            tracing::error!(
                %error,
                dir = %self.dir.display(),
                "the view can't be written and is out of use; operators are asked instead, until a \
                 start at which its disk takes writes"
            );
        }
    }

    fn read_refused(&self, error: &sled::Error) {
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
        // What sled would do at its end it would do to a store that it can't read or write, and with locks
        // that a panic may have left taken. So it never ends.
        if !self.is_in_use() {
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
        store.read(|db| db.get(b"a"))
    }

    #[test]
    fn a_panic_of_the_store_is_caught_and_ends_its_use() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        assert!(read(&store).unwrap().is_some());
        let panicked = store.read(|_| -> sled::Result<()> { panic!("for the test") });
        assert!(panicked.is_none());
        assert!(read(&store).is_none(), "it is still used");
        assert!(dir.path().join(DAMAGED_FILE).exists());
        assert!(matches!(store.close(), Err(CloseError::GivenUp)));
        assert_eq!(store.failures(), 1);
    }

    /// Errors, and whether they say that the store is damaged.
    fn errors() -> [(sled::Error, bool); 6] {
        let io_error = |kind| sled::Error::Io(io::Error::from(kind));
        [
            (sled::Error::Corruption { at: None, bt: () }, true),
            (sled::Error::ReportableBug(String::new()), true),
            (io_error(ErrorKind::UnexpectedEof), true),
            (sled::Error::Io(io::Error::from_raw_os_error(EIO)), true),
            (io_error(ErrorKind::StorageFull), false),
            (sled::Error::Unsupported(String::new()), false),
        ]
    }

    #[test]
    fn damage_that_is_read_ends_the_use_of_a_store_and_a_read_that_is_refused_does_not() {
        for (error, damaged) in errors() {
            let dir = tempfile::tempdir().unwrap();
            let store = store(&dir);
            let words = error.to_string();
            assert!(store.read(|_| Err::<(), _>(error)).is_none());
            assert_eq!(read(&store).is_none(), damaged, "{words}");
            assert_eq!(store.failures(), 1, "{words}");
        }
    }

    #[test]
    fn any_write_that_fails_ends_the_use_of_a_store_and_only_damage_sets_it_aside() {
        for (error, damaged) in errors() {
            let dir = tempfile::tempdir().unwrap();
            let store = store(&dir);
            let words = error.to_string();
            assert!(store.write(|_| Err::<(), _>(error)).is_none());
            assert!(read(&store).is_none(), "{words}");
            assert!(store.write(|db| db.insert(b"a", b"c")).is_none(), "{words}");
            assert_eq!(store.failures(), 1, "{words}");
            assert_eq!(dir.path().join(DAMAGED_FILE).exists(), damaged, "{words}");
            assert!(matches!(store.close(), Err(CloseError::GivenUp)));
        }
    }
}
