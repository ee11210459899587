//! The bounded queue before the sequencer, and the way back to those who wait.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use accord_proto::merkle::Hash;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use super::error::LedgerError;
use super::{Committed, Head};

/// Why a batch was not written. The ledger is as before.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refused {
    ClockStepped,
    DiskLow,
}

impl From<Refused> for LedgerError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::ClockStepped => Self::ClockStepped,
            Refused::DiskLow => Self::DiskLow,
        }
    }
}

type Outcome = Result<Committed, LedgerError>;

/// Who waits for an entry.
#[derive(Debug)]
pub(super) enum Waiter {
    Task(oneshot::Sender<Outcome>),
    Thread(std::sync::mpsc::SyncSender<Outcome>),
}

/// An entry on its way to the sequencer.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) prefix: Vec<u8>,
    pub(super) waiter: Waiter,
}

/// Entries that wait for the sequencer.
#[derive(Debug)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    wake: Condvar,
    entries_max: usize,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: Vec<Pending>,
    bytes: usize,
    /// The sequencer sleeps: whoever pushes next wakes it. Otherwise a push costs no system call.
    asleep: bool,
    closed: bool,
}

impl Queue {
    pub(super) fn new(entries_max: usize, bytes_max: usize) -> Self {
        Self {
            inner: Mutex::default(),
            wake: Condvar::new(),
            entries_max,
            bytes_max,
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an entry, or says at once why not.
    pub(super) fn push(&self, pending: Pending) -> Result<(), LedgerError> {
        let wake = {
            let mut inner = self.inner();
            if inner.closed {
                return Err(LedgerError::Stopped);
            }
            let bytes = inner.bytes + pending.prefix.len();
            if inner.waiting.len() >= self.entries_max || bytes > self.bytes_max {
                return Err(LedgerError::Full);
            }
            inner.bytes = bytes;
            inner.waiting.push(pending);
            std::mem::take(&mut inner.asleep)
        };
        if wake {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Waits for entries and moves them to `batch`, which is empty: all, or as many as fit.
    /// False: the queue is closed and empty.
    pub(super) fn take(
        &self,
        batch: &mut Vec<Pending>,
        entries_max: usize,
        bytes_max: usize,
    ) -> bool {
        let mut inner = self.inner();
        while inner.waiting.is_empty() {
            if inner.closed {
                return false;
            }
            inner.asleep = true;
            inner = self
                .wake
                .wait(inner)
                .unwrap_or_else(PoisonError::into_inner);
        }
        inner.asleep = false;
        if inner.waiting.len() <= entries_max && inner.bytes <= bytes_max {
            std::mem::swap(&mut inner.waiting, batch);
            inner.bytes = 0;
            return true;
        }
        let mut bytes = 0;
        let mut fits = 0;
        for pending in inner.waiting.iter().take(entries_max) {
            bytes += pending.prefix.len();
            if bytes > bytes_max && fits > 0 {
                bytes -= pending.prefix.len();
                break;
            }
            fits += 1;
        }
        inner.bytes -= bytes;
        batch.extend(inner.waiting.drain(..fits));
        true
    }

    /// No more entries; those that wait are still written.
    pub(super) fn close(&self) {
        self.inner().closed = true;
        self.wake.notify_all();
    }

    /// Number of entries that wait.
    pub(super) fn len(&self) -> usize {
        self.inner().waiting.len()
    }
}

/// A batch whose fate is known.
#[derive(Debug)]
pub(super) struct Released {
    pub(super) waiters: Vec<Waiter>,
    pub(super) result: Result<Durable, Refused>,
}

/// A batch that is durable.
#[derive(Debug)]
pub(super) struct Durable {
    pub(super) origin: Arc<str>,
    pub(super) first_index: u64,
    pub(super) leaf_hashes: Vec<Hash>,
    pub(super) time: Timestamp,
    pub(super) tree_size: u64,
    pub(super) checkpoint: Arc<str>,
}

/// Tells those who wait. A whole batch crosses from the sequencer's thread into the runtime with
/// one wake-up; there each waiter is woken by a task, which costs no system call.
#[derive(Debug)]
pub(super) struct Releaser {
    runtime: Option<mpsc::UnboundedSender<Released>>,
    head: Arc<watch::Sender<Head>>,
}

impl Releaser {
    /// Inside a runtime this starts the task; elsewhere the sequencer itself tells the waiters.
    pub(super) fn new(head: Arc<watch::Sender<Head>>) -> Self {
        let runtime = tokio::runtime::Handle::try_current().ok().map(|runtime| {
            // Bounded by the queue: whoever waits for an answer isn't in the queue again.
            let (to, mut from) = mpsc::unbounded_channel::<Released>();
            let head = Arc::clone(&head);
            runtime.spawn(async move {
                while let Some(released) = from.recv().await {
                    tell(released, &head);
                }
            });
            to
        });
        Self { runtime, head }
    }

    pub(super) fn release(&self, mut released: Released) {
        let mut waiters = released.waiters.iter();
        let threads = waiters.any(|waiter| matches!(waiter, Waiter::Thread(_)));
        match &self.runtime {
            // A blocked thread may be the runtime's only one, so it isn't told through it.
            Some(runtime) if !threads => {
                if let Err(unsent) = runtime.send(released) {
                    released = unsent.0;
                    tell(released, &self.head);
                }
            }
            Some(_) | None => tell(released, &self.head),
        }
    }
}

fn tell(released: Released, head: &watch::Sender<Head>) {
    if let Ok(durable) = &released.result {
        let newest = Head {
            origin: Arc::clone(&durable.origin),
            size: durable.tree_size,
        };
        // Batches may be told from two threads, so the later one may come first.
        head.send_if_modified(|head| {
            let newer = (&newest.origin, newest.size) > (&head.origin, head.size);
            if newer {
                *head = newest;
            }
            newer
        });
    }
    for (position, waiter) in released.waiters.into_iter().enumerate() {
        let outcome = match &released.result {
            Ok(durable) => durable.committed(position).ok_or(LedgerError::Stopped),
            Err(refused) => Err((*refused).into()),
        };
        // Whoever no longer waits has its entry all the same.
        match waiter {
            Waiter::Task(task) => drop(task.send(outcome)),
            Waiter::Thread(thread) => drop(thread.try_send(outcome)),
        }
    }
}

impl Durable {
    fn committed(&self, position: usize) -> Option<Committed> {
        Some(Committed {
            origin: Arc::clone(&self.origin),
            index: self.first_index + u64::try_from(position).ok()?,
            leaf_hash: *self.leaf_hashes.get(position)?,
            time: self.time,
            tree_size: self.tree_size,
            checkpoint: Arc::clone(&self.checkpoint),
        })
    }
}
