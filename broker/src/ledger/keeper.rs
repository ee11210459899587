//! The helper thread: whatever the sequencer must not wait for. It fills the next segment with
//! zeros, writes tiles and sparse indexes, closes segments, and publishes the checkpoint.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use accord_proto::segment::SparseIndex;
use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::error::LedgerError;
use super::layout::{self, index_path};
use super::month::MonthLog;
use super::tree::{self, FullTile};

/// Most jobs that wait; beyond that the sequencer waits.
const JOBS_MAX: usize = 1024;
/// How often the newest checkpoint is published.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// What there is to do.
pub(super) enum Job {
    /// Cut a full segment to its length and write its index.
    Close {
        log: Arc<MonthLog>,
        first: u64,
        file: File,
        len: u64,
        offsets: Arc<SparseIndex>,
    },
    /// Fill the next segment with zeros.
    Prepare,
    /// Write tiles that are full.
    Tiles {
        log: Arc<MonthLog>,
        full: Vec<FullTile>,
    },
}

/// A file full of zeros, synced.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) file: File,
    pub(super) path: PathBuf,
}

#[derive(Debug)]
enum Slot {
    Failed,
    Preparing,
    Ready(Spare),
}

#[derive(Debug)]
struct Shelf {
    slot: Mutex<Slot>,
    changed: Condvar,
    /// A segment was needed and could not be prepared; until one is, nothing is appended.
    missing: Arc<AtomicBool>,
}

impl Shelf {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, slot: Slot) {
        *self.slot() = slot;
        self.changed.notify_all();
    }
}

/// The sequencer's hold on the helper thread.
#[derive(Debug)]
pub(super) struct Keeper {
    jobs: Option<SyncSender<Job>>,
    shelf: Arc<Shelf>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts the thread, which prepares the first spare segment at once. `missing` is true while
    /// a segment is needed and none can be prepared.
    pub(super) fn start(
        root: &Path,
        segment_bytes: u64,
        current: Arc<ArcSwap<MonthLog>>,
        missing: Arc<AtomicBool>,
    ) -> Result<Self, LedgerError> {
        let (jobs, received) = sync_channel(JOBS_MAX);
        let shelf = Arc::new(Shelf {
            slot: Mutex::new(Slot::Preparing),
            changed: Condvar::new(),
            missing,
        });
        let work = Work {
            path: layout::spare_path(root),
            segment_bytes,
            shelf: Arc::clone(&shelf),
            current,
            published: None,
        };
        let thread = std::thread::Builder::new()
            .name("ledger-keeper".into())
            .spawn(move || work.run(&received))
            .map_err(LedgerError::io("start a thread for", root))?;
        Ok(Self {
            jobs: Some(jobs),
            shelf,
            thread: Some(thread),
        })
    }

    /// Hands over a job; waits if the helper is far behind.
    pub(super) fn hand(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // The thread ends after this sender only.
            drop(jobs.send(job));
        }
    }

    /// The next segment, once it is ready; the one after it is begun with [`Job::Prepare`], since
    /// the file has one name until it is renamed. `None`: it could not be made, and is tried again
    /// each second.
    pub(super) fn take_spare(&self) -> Option<Spare> {
        let mut slot = self.shelf.slot();
        while matches!(*slot, Slot::Preparing) {
            slot = self
                .shelf
                .changed
                .wait(slot)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if matches!(*slot, Slot::Failed) {
            self.shelf.missing.store(true, Ordering::Relaxed);
            return None;
        }
        match std::mem::replace(&mut *slot, Slot::Preparing) {
            Slot::Ready(spare) => Some(spare),
            Slot::Failed | Slot::Preparing => None,
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

struct Work {
    path: PathBuf,
    segment_bytes: u64,
    shelf: Arc<Shelf>,
    current: Arc<ArcSwap<MonthLog>>,
    /// What was published last: the log and its size.
    published: Option<(Arc<str>, u64)>,
}

impl Work {
    fn run(mut self, jobs: &Receiver<Job>) {
        let mut publish_at = Instant::now() + PUBLISH_EVERY;
        self.prepare();
        loop {
            let wait = publish_at.saturating_duration_since(Instant::now());
            match jobs.recv_timeout(wait) {
                Ok(job) => self.work(job),
                Err(RecvTimeoutError::Timeout) => {
                    self.publish();
                    // Space may have been freed, and nobody asks a broker that is not ready.
                    if matches!(*self.shelf.slot(), Slot::Failed) {
                        self.prepare();
                    }
                    publish_at = Instant::now() + PUBLISH_EVERY;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn work(&self, job: Job) {
        let (done, what) = match job {
            Job::Prepare => {
                self.prepare();
                return;
            }
            Job::Tiles { log, full } => {
                let mut done = Ok(());
                for (tile, hashes) in full {
                    let written = tree::write_tile(&log, tile, &hashes);
                    done = done.and(written);
                    log.state().pending.remove(&tile);
                }
                (done, "tile")
            }
            Job::Close {
                log,
                first,
                file,
                len,
                offsets,
            } => {
                let cut = file.set_len(len).and_then(|()| file.sync_all());
                let path = index_path(&log.dir, first);
                let done = cut
                    .map_err(LedgerError::io("cut", &path))
                    .and_then(|()| layout::write_derived(&path, &offsets.encode()));
                (done, "closed segment")
            }
        };
        // All of this can be made again from the entries.
        if let Err(error) = done {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, what, "ledger keeper could not write a derived file");
        }
    }

    fn prepare(&self) {
        let made = self.fill().map(|file| Spare {
            file,
            path: self.path.clone(),
        });
        self.shelf.put(match made {
            Ok(spare) => {
                self.shelf.missing.store(false, Ordering::Relaxed);
                Slot::Ready(spare)
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, "ledger keeper could not prepare a segment");
                // Half a segment is of no use, and the space may be what others need.
                drop(std::fs::remove_file(&self.path));
                Slot::Failed
            }
        });
    }

    /// Blocks that were never written would cost a journal commit at each sync, so each is.
    fn fill(&self) -> std::io::Result<File> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&self.path)?;
        let piece_bytes = u64::try_from(ZEROS.len()).unwrap_or(u64::MAX);
        let mut left = self.segment_bytes;
        while left > 0 {
            let len = usize::try_from(left.min(piece_bytes)).unwrap_or(0);
            file.write_all(ZEROS.get(..len).unwrap_or_default())?;
            left -= left.min(piece_bytes);
        }
        file.sync_all()?;
        Ok(file)
    }

    fn publish(&mut self) {
        let log = self.current.load_full();
        let newest = (Arc::clone(&log.origin), log.state().size);
        if self.published.as_ref() == Some(&newest) {
            return;
        }
        match log.publish(false) {
            Ok(size) => self.published = Some((newest.0, size)),
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "ledger keeper could not publish the checkpoint");
            }
        }
    }
}
