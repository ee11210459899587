//! The adapter's journal: what it was asked and told, so that the operator can show what it said.
//!
//! ```text
//!   journal/
//!     journal-00000000000000000000.jsonl   one record a line; the name is the first index
//!     journal-00000000000000081920.jsonl   the next file, once the first is full
//!     checkpoint                           the newest signed head, a C2SP signed note
//!     lock                                 held by the running adapter
//! ```
//!
//! Each line holds `prev`, the SHA-256 of the line before it, its newline included; so a shell can
//! check a step (`sed -n 7p FILE | sha256sum` is the `prev` of line 8) and `jq` can read it all.
//! It never holds a number: `subject` is an HMAC under the adapter's own key.
//!
//! # What is durable when
//! A reply leaves after its record was *written* (it survives the death of the process), and is
//! *synced* within [`SYNC_EVERY_MAX`] (it survives the loss of power). The broker's ledger is what
//! must be synced before an answer is released; it holds the digest of the same reply.

mod event;
mod keys;
mod read;
mod sync;

#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use accord_proto::{c2sp::SigningKey, clock::SharedClock, digest::sha256};

pub use event::{Asked, Event, Hex, Told};
pub use keys::{KeyFileError, SubjectKey, load_or_make_checkpoint_key};
pub(crate) use read::is_begun;
pub use read::{Verified, verify, verify_each};

use event::Line;

use crate::disk::DirLock;

/// A written record is synced at most this much later.
pub const SYNC_EVERY_MAX: Duration = Duration::from_millis(50);
/// A signed checkpoint is made this often while records are added, and at stop.
pub const CHECKPOINT_EVERY: Duration = Duration::from_secs(10);

/// Where the journal lives, and its limits.
#[derive(Debug)]
pub struct JournalSettings {
    /// The folder; made if absent.
    pub dir: PathBuf,
    /// Makes pseudonyms of numbers.
    pub subject_key: SubjectKey,
    /// Signs the checkpoints; its name is their origin.
    pub checkpoint_key: SigningKey,
    /// A file that would grow beyond this is closed and a new one begun.
    pub file_bytes_max: u64,
    /// With more files than this the oldest is removed.
    pub files_max: usize,
}

/// Size of the journal and the hash of its last record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Records.
    pub size: u64,
    /// SHA-256 of the last line; zeros before the first.
    pub hash: [u8; 32],
}

impl Head {
    const EMPTY: Self = Self {
        size: 0,
        hash: [0; 32],
    };

    /// The head after one more line, its newline included.
    fn after(self, line: &[u8]) -> Self {
        Self {
            size: self.size + 1,
            hash: sha256(&[line]),
        }
    }
}

/// Why the journal can't be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A file operation failed.
    #[error("cannot {deed} `{}`", path.display())]
    Io {
        /// What was tried.
        deed: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        #[source]
        error: std::io::Error,
    },
    /// Another process holds it.
    #[error("journal `{}` is in use by another process", .0.display())]
    Locked(PathBuf),
    /// A record is not what its successor or a checkpoint says that it was.
    #[error("journal is damaged: `{}`, line {line}, {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The checkpoint is not a note signed by our key.
    #[error("checkpoint `{}` is not one of ours: {what}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// Records that a checkpoint vouches for are gone.
    #[error("journal has {found} records, and a signed checkpoint says {signed}")]
    Shorter {
        /// Records found.
        found: u64,
        /// Records signed.
        signed: u64,
    },
    /// A write or a sync failed before; it is never tried again.
    #[error("the journal failed before and takes no more records")]
    Failed,
}

impl JournalError {
    fn io(deed: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { deed, path, error }
    }
}

/// The open journal. Dropping it syncs and signs it.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    syncer: Option<JoinHandle<()>>,
    /// Locked for as long as the journal is open.
    _lock: DirLock,
}

#[derive(Debug)]
struct Shared {
    settings: JournalSettings,
    clock: SharedClock,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug)]
struct State {
    file: Arc<File>,
    path: PathBuf,
    file_len: u64,
    /// Records appended and not yet written.
    buffer: Vec<u8>,
    head: Head,
    /// Records that the newest checkpoint covers.
    signed: u64,
    unsynced: bool,
    stopping: bool,
    failed: bool,
}

impl Journal {
    /// Opens the journal: takes its lock, checks the chain of the newest file and what the last
    /// checkpoint vouches for, and cuts a torn last record.
    ///
    /// # Errors
    /// [`JournalError`]; damage before the torn tail is never repaired.
    pub fn open(settings: JournalSettings, clock: SharedClock) -> Result<Self, JournalError> {
        let dir = &settings.dir;
        fs::create_dir_all(dir).map_err(JournalError::io("make folder", dir))?;
        let lock_path = dir.join("lock");
        let lock = DirLock::take(&lock_path)
            .map_err(JournalError::io("lock", &lock_path))?
            .ok_or_else(|| JournalError::Locked(dir.clone()))?;
        let tail = read::recover(dir, settings.checkpoint_key.verifier())?;
        let path = tail
            .path
            .unwrap_or_else(|| dir.join(file_name(tail.head.size)));
        let file = open_to_append(&path)?;
        sync_dir(dir)?;
        let state = State {
            file: Arc::new(file),
            path,
            file_len: tail.file_len,
            buffer: Vec::with_capacity(BUFFER_BYTES),
            head: tail.head,
            signed: tail.signed,
            unsynced: false,
            stopping: false,
            failed: false,
        };
        let shared = Arc::new(Shared {
            settings,
            clock,
            state: Mutex::new(state),
            wake: Condvar::new(),
        });
        let syncing = Arc::clone(&shared);
        let syncer = std::thread::Builder::new()
            .name("journal-sync".to_owned())
            .spawn(move || sync::run(&syncing))
            .map_err(JournalError::io("start the thread of", &lock_path))?;
        Ok(Self {
            shared,
            syncer: Some(syncer),
            _lock: lock,
        })
    }

    /// Appends a record and returns its index. It is written by the next [`Self::write_out`].
    ///
    /// # Errors
    /// [`JournalError::Failed`] after an earlier failure.
    pub fn append(&self, event: &Event<'_>) -> Result<u64, JournalError> {
        self.append_as(|_| *event)
    }

    /// Appends a record that depends on its own index, which is what is told to a broker of it.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn append_as<'a>(&self, event: impl FnOnce(u64) -> Event<'a>) -> Result<u64, JournalError> {
        let mut state = self.shared.lock();
        let event = event(state.head.size);
        let index = self.shared.append(&mut state, &event)?;
        if state.buffer.len() >= BUFFER_BYTES {
            self.shared.write_out(&mut state)?;
        }
        Ok(index)
    }

    /// Writes all appended records to the file. After it returned, replies may leave.
    ///
    /// # Errors
    /// If the file can't be written; then, and for ever after, nothing may be answered.
    pub fn write_out(&self) -> Result<(), JournalError> {
        let mut state = self.shared.lock();
        self.shared.write_out(&mut state)
    }

    /// The size and the hash of the last record.
    #[must_use]
    pub fn head(&self) -> Head {
        self.shared.lock().head
    }

    /// The keyed pseudonym of a number.
    #[must_use]
    pub fn subject(&self, msisdn: &accord_proto::msisdn::Msisdn) -> Hex<16> {
        self.shared.settings.subject_key.subject(msisdn)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.wake.notify_all();
        if let Some(syncer) = self.syncer.take()
            && syncer.join().is_err()
        {
            tracing::error!("the journal's thread died");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, state: &mut State, event: &Event<'_>) -> Result<u64, JournalError> {
        if state.failed {
            return Err(JournalError::Failed);
        }
        let begin = state.buffer.len();
        let line = Line {
            index: state.head.size,
            at: self.clock.now(),
            event,
            prev: Hex(state.head.hash),
        };
        if serde_json::to_writer(&mut state.buffer, &line).is_err() {
            state.buffer.truncate(begin);
            state.failed = true;
            return Err(JournalError::Failed);
        }
        state.buffer.push(b'\n');
        let index = state.head.size;
        state.head = state
            .head
            .after(state.buffer.get(begin..).unwrap_or_default());
        Ok(index)
    }

    fn write_out(&self, state: &mut State) -> Result<(), JournalError> {
        if state.failed {
            return Err(JournalError::Failed);
        }
        if state.buffer.is_empty() {
            return Ok(());
        }
        let written = self.write_buffer(state);
        if let Err(error) = &written {
            tracing::error!(error = error as &dyn std::error::Error, "journal failed");
            state.failed = true;
        }
        written
    }

    fn write_buffer(&self, state: &mut State) -> Result<(), JournalError> {
        let bytes = u64::try_from(state.buffer.len()).unwrap_or(u64::MAX);
        if state.file_len > 0 && state.file_len.saturating_add(bytes) > self.settings.file_bytes_max
        {
            self.rotate(state)?;
        }
        (&*state.file)
            .write_all(&state.buffer)
            .map_err(JournalError::io("write", &state.path))?;
        state.file_len += bytes;
        state.buffer.clear();
        if !state.unsynced {
            state.unsynced = true;
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Closes the full file and begins the next one, named after the first unwritten record.
    fn rotate(&self, state: &mut State) -> Result<(), JournalError> {
        state
            .file
            .sync_data()
            .map_err(JournalError::io("sync", &state.path))?;
        let unwritten = state.buffer.iter().filter(|byte| **byte == b'\n').count();
        let first = state
            .head
            .size
            .saturating_sub(u64::try_from(unwritten).unwrap_or_default());
        state.path = self.settings.dir.join(file_name(first));
        state.file = Arc::new(open_to_append(&state.path)?);
        state.file_len = 0;
        let files = read::files(&self.settings.dir)?;
        let surplus = files.len().saturating_sub(self.settings.files_max.max(2));
        for (_, path) in files.iter().take(surplus) {
            fs::remove_file(path).map_err(JournalError::io("remove", path))?;
            tracing::warn!(file = %path.display(), "oldest journal file removed");
        }
        sync_dir(&self.settings.dir)
    }
}

fn open_to_append(path: &Path) -> Result<File, JournalError> {
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .map_err(JournalError::io("open", path))
}

fn sync_dir(dir: &Path) -> Result<(), JournalError> {
    File::open(dir)
        .and_then(|opened| opened.sync_all())
        .map_err(JournalError::io("sync folder", dir))
}

fn file_name(first_index: u64) -> String {
    format!("journal-{first_index:020}.jsonl")
}

/// Appended records are written at the latest when they fill this.
const BUFFER_BYTES: usize = 64 * 1_024;
