//! The ledger: an append-only transparency log in files, one log for each calendar month.
//!
//! ```text
//!   append ──▶ queue ──▶ sequencer: drain → frame → sign → pwrite → fdatasync → hash again ──▶ release
//!                            │                                                       (one wake-up)
//!                            ▼ tiles, next segment, publishing
//!                          keeper
//! ```
//!
//! What is guaranteed: an [`append`](Ledger::append) that returns is durable and covered by a
//! signed checkpoint. Times never go back. A failed write or sync ends the process, and is never
//! tried again: the next start believes only what it has synced itself (see `replay`).
//!
//! What is not: the sequencer trusts its machine's disk to keep what it synced. That the log was
//! not rewritten or cut by its own operator is shown by checkpoints that others keep.

mod config;
mod create;
mod error;
mod guard;
mod inclusion;
mod keeper;
mod layout;
mod month;
mod queue;
mod reads;
mod replay;
mod scan;
mod sequencer;
mod settle;
mod tiles;
mod tree;
mod witnessed;

use std::collections::HashMap;
use std::future::Future;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use accord_proto::c2sp::{SigningKey, VerifierKey};
use accord_proto::clock::SharedClock;
use accord_proto::merkle::Hash;
use accord_proto::segment::{ENTRY_BYTES_MAX, STAMP_BYTES};
use accord_proto::subject::Month;
use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::{Notify, oneshot, watch};

pub use config::{LedgerConfig, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
pub use error::LedgerError;
pub use reads::StoredEntry;

use guard::{ClockGuard, SpaceGuard};
use keeper::Keeper;
use month::MonthLog;
use queue::{Pending, Queue, Releaser, Waiter};
use sequencer::{Counters, Guards, Position, Sequencer};

/// An entry that is durable.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The log's origin, such as `accord-sandbox/2026-11`.
    pub origin: Arc<str>,
    /// The entry's index in that log.
    pub index: u64,
    /// `SHA-256(0x00 || entry)`.
    pub leaf_hash: Hash,
    /// When the sequencer stamped it.
    pub time: Timestamp,
    /// Size of the tree with its batch.
    pub tree_size: u64,
    /// The signed checkpoint of that size.
    pub checkpoint: Arc<str>,
}

/// How far a log has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The current log's origin.
    pub origin: Arc<str>,
    /// Number of its entries.
    pub size: u64,
}

/// What start-up found.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The current log's origin.
    pub origin: Arc<str>,
    /// Number of its entries.
    pub size: u64,
    /// Entries that no checkpoint covered and that were kept: nobody had a receipt for them.
    pub recovered: u64,
    /// Time of the last entry.
    pub last_time: Timestamp,
}

/// What the ledger counted since it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerStats {
    /// Batches written.
    pub batches: u64,
    /// Entries written.
    pub entries: u64,
    /// Entries that wait for the sequencer now.
    pub queued: usize,
    /// How long the last `fdatasync` took.
    pub sync_last: Duration,
    /// How long the slowest one took.
    pub sync_max: Duration,
}

/// An open ledger.
#[derive(Debug)]
pub struct Ledger {
    root: PathBuf,
    key: VerifierKey,
    authorities: Arc<[VerifierKey]>,
    queue: Arc<Queue>,
    guards: Arc<Mutex<Guards>>,
    counters: Arc<Counters>,
    current: Arc<ArcSwap<MonthLog>>,
    closed: Mutex<HashMap<String, Arc<MonthLog>>>,
    head: watch::Receiver<Head>,
    unwitnessed: AtomicBool,
    /// Woken each time that a cosigned checkpoint is kept.
    cosigned_kept: Notify,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Held until the ledger is stopped, since readers may hold the ledger for longer.
    lock: Mutex<Option<layout::DirLock>>,
}

impl Ledger {
    /// Makes a ledger: the only way that one begins. The key's name is the prefix of each month's
    /// origin; `authorities` are pinned by entry 0.
    ///
    /// # Errors
    /// [`LedgerError::Exists`] where one is already; [`LedgerError::Io`].
    pub fn init(
        dir: &Path,
        key: &SigningKey,
        authorities: &[VerifierKey],
        clock: &SharedClock,
    ) -> Result<(), LedgerError> {
        std::fs::create_dir_all(dir).map_err(LedgerError::io("make", dir))?;
        // Entries are for those who may read them; others have doors.
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))
            .map_err(LedgerError::io("close to others", dir))?;
        if let Some(parent) = dir.parent().filter(|parent| parent.is_dir()) {
            layout::sync_dir(parent)?;
        }
        let _lock = layout::lock(dir)?;
        let vkey = dir.join(layout::VKEY_FILE);
        if vkey.exists() || !layout::list_months(dir)?.is_empty() {
            return Err(LedgerError::Exists {
                dir: dir.to_owned(),
            });
        }
        let now = clock.now();
        let opening = create::Opening {
            key,
            month: Month::of(now),
            time_unix_ms: u64::try_from(now.as_millisecond()).unwrap_or(0),
            authorities,
            previous_checkpoint: "",
        };
        create::create_month(dir, &opening)?;
        layout::write_durable(&vkey, format!("{}\n", key.verifier()).as_bytes())
    }

    /// Opens a ledger and starts its sequencer. Inside a tokio runtime, waiters are woken through
    /// that runtime.
    ///
    /// # Errors
    /// [`LedgerError`]: none is there, another process has it, the key is another one, or what is
    /// there is not what was signed.
    pub fn open(config: LedgerConfig, clock: SharedClock) -> Result<(Self, Replayed), LedgerError> {
        config.check()?;
        let root = config.dir;
        let lock = open_dir(&root, config.key.verifier())?;
        let months = layout::list_months(&root)?;
        let month = months.last().copied();
        let month = month.ok_or_else(|| LedgerError::Missing { dir: root.clone() })?;
        witnessed::check_months(&months, &config.witnessed)?;
        let (log, resume) = replay::open_month(&root, &config.key, month, &config.witnessed)?;
        let log = Arc::new(log);
        let authorities = reads::chain(&root, config.key.verifier(), &log)?;
        let step_max = config.clock_step_max;
        let last_time = not_ahead(&clock, resume.last_ms, step_max)?;
        let size = log.state().size;
        let replayed = Replayed {
            origin: Arc::clone(&log.origin),
            size,
            recovered: resume.recovered,
            last_time,
        };
        let current = Arc::new(ArcSwap::new(Arc::clone(&log)));
        let no_spare = Arc::new(AtomicBool::new(false));
        let missing = Arc::clone(&no_spare);
        let keeper = Keeper::start(&root, config.segment_bytes, Arc::clone(&current), missing)?;
        let (head_to, head) = watch::channel(Head {
            origin: Arc::clone(&log.origin),
            size,
        });
        let guards = Arc::new(Mutex::new(Guards {
            clock: ClockGuard::new(clock, step_max),
            space: SpaceGuard::new(root.clone(), config.free_bytes_min),
            no_spare,
        }));
        let queue = Arc::new(Queue::new(config.queue_entries_max, config.queue_bytes_max));
        let counters = Arc::new(Counters::default());
        let key = config.key.verifier().clone();
        let sequencer = Sequencer {
            root: root.clone(),
            segment_bytes: config.segment_bytes,
            at: Position::new(log, &config.key, resume)?,
            key: config.key,
            authorities: Arc::clone(&authorities),
            queue: Arc::clone(&queue),
            guards: Arc::clone(&guards),
            counters: Arc::clone(&counters),
            current: Arc::clone(&current),
            keeper,
            releaser: Releaser::new(Arc::new(head_to)),
        };
        let thread = std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || sequencer.run())
            .map_err(LedgerError::io("start a thread for", &root))?;
        let ledger = Self {
            root,
            key,
            authorities,
            queue,
            guards,
            counters,
            current,
            closed: Mutex::default(),
            head,
            unwitnessed: AtomicBool::new(false),
            cosigned_kept: Notify::new(),
            thread: Mutex::new(Some(thread)),
            lock: Mutex::new(Some(lock)),
        };
        Ok((ledger, replayed))
    }

    /// Appends an entry and waits until it is durable. `entry` is an encoded `v1::Entry` without
    /// `time_unix_ms`, which the sequencer adds as the last field.
    ///
    /// The entry is queued by the call itself: a future that is dropped leaves it all the same.
    ///
    /// # Errors
    /// [`LedgerError::Full`], [`LedgerError::EntryTooLong`], [`LedgerError::ClockStepped`],
    /// [`LedgerError::DiskLow`] or [`LedgerError::Stopped`]; the entry is not in the ledger then.
    pub fn append(
        &self,
        entry: Vec<u8>,
    ) -> impl Future<Output = Result<Committed, LedgerError>> + Send + use<> {
        let (to, from) = oneshot::channel();
        let queued = self.push(entry, Waiter::Task(to));
        async move {
            queued?;
            from.await.map_err(|_| LedgerError::Stopped)?
        }
    }

    /// As [`Self::append`], blocking the thread: for start-up and stop.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn append_blocking(&self, entry: Vec<u8>) -> Result<Committed, LedgerError> {
        let (to, from) = std::sync::mpsc::sync_channel(1);
        self.push(entry, Waiter::Thread(to))?;
        from.recv().map_err(|_| LedgerError::Stopped)?
    }

    fn push(&self, prefix: Vec<u8>, waiter: Waiter) -> Result<(), LedgerError> {
        if prefix.is_empty() || prefix.len() > ENTRY_BYTES_MAX - STAMP_BYTES {
            return Err(LedgerError::EntryTooLong);
        }
        self.queue.push(Pending { prefix, waiter })
    }

    /// Whether questions can be put on the record: space is free, the clock didn't step, and a
    /// quorum of witnesses has cosigned lately enough. Without that quorum appends succeed all the same.
    ///
    /// # Errors
    /// [`LedgerError::DiskLow`], [`LedgerError::ClockStepped`] or [`LedgerError::Unwitnessed`].
    pub fn check_ready(&self) -> Result<(), LedgerError> {
        let mut guards = self.guards.lock().unwrap_or_else(PoisonError::into_inner);
        if guards.space.is_low() || guards.no_spare.load(Ordering::Relaxed) {
            return Err(LedgerError::DiskLow);
        }
        guards.clock.now().ok_or(LedgerError::ClockStepped)?;
        if self.unwitnessed.load(Ordering::Relaxed) {
            return Err(LedgerError::Unwitnessed);
        }
        Ok(())
    }

    /// As [`Self::check_ready`], without the reason.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.check_ready().is_ok()
    }

    /// The log's public key; its name is the prefix of each month's origin.
    #[must_use]
    pub const fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// The authorities' keys that entry 0 pins.
    #[must_use]
    pub fn authorities(&self) -> &[VerifierKey] {
        &self.authorities
    }

    /// What was counted since the ledger was opened.
    #[must_use]
    pub fn stats(&self) -> LedgerStats {
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        LedgerStats {
            batches: read(&self.counters.batches),
            entries: read(&self.counters.entries),
            queued: self.queue.len(),
            sync_last: Duration::from_micros(read(&self.counters.sync_us_last)),
            sync_max: Duration::from_micros(read(&self.counters.sync_us_max)),
        }
    }

    /// Writes what is queued, publishes the last checkpoint durably, ends the threads and gives
    /// the directory free. Blocks for as long; later appends fail with [`LedgerError::Stopped`].
    pub fn stop(&self) {
        self.queue.close();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            drop(thread.join());
        }
        // Nothing is written from here on.
        drop(
            self.lock
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Locks a ledger's directory, after a look whether there is one with this key.
fn open_dir(root: &Path, key: &VerifierKey) -> Result<layout::DirLock, LedgerError> {
    let missing = || LedgerError::Missing {
        dir: root.to_owned(),
    };
    let path = root.join(layout::VKEY_FILE);
    let text = layout::read_if_present(&path)?.ok_or_else(missing)?;
    if String::from_utf8_lossy(&text).trim_end() != key.to_string() {
        return Err(LedgerError::WrongKey {
            dir: root.to_owned(),
        });
    }
    layout::lock(root)
}

/// The last entry's time, which the clock isn't behind by more than a step.
fn not_ahead(
    clock: &SharedClock,
    last_ms: u64,
    step_max: Duration,
) -> Result<Timestamp, LedgerError> {
    let (last, now) = (time_at(last_ms), clock.now());
    match now.saturating_add(step_max) {
        Ok(latest) if latest < last => Err(LedgerError::ClockBehind { last, now }),
        Ok(_) | Err(_) => Ok(last),
    }
}

/// An instant of an entry.
fn time_at(unix_ms: u64) -> Timestamp {
    i64::try_from(unix_ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .unwrap_or(Timestamp::MAX)
}
