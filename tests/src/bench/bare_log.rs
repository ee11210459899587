//! A log that only appends and syncs, with the ledger's group commit and nothing else: no hash, no
//! checksum, no signature, no second look.

use std::{
    fs::File,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use tokio::sync::{mpsc, oneshot};

use super::BenchError;

/// Written with zeros beforehand, as the ledger's segments are; at its end the log begins again.
const FILE_BYTES: u64 = 64 << 20;
const CHUNK_BYTES: usize = 1 << 20;

type Waiter = oneshot::Sender<()>;

#[derive(Default)]
struct Queue {
    inner: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Default)]
struct Waiting {
    entries: Vec<(Vec<u8>, Waiter)>,
    asleep: bool,
    closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that waits; empty when the queue is closed.
    fn take(&self) -> Vec<(Vec<u8>, Waiter)> {
        let mut waiting = self.lock();
        while waiting.entries.is_empty() && !waiting.closed {
            waiting.asleep = true;
            waiting = self
                .wake
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
        waiting.asleep = false;
        std::mem::take(&mut waiting.entries)
    }
}

/// The log and its thread.
pub(super) struct BareLog {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

impl BareLog {
    /// Makes the file and starts the thread. Inside a runtime, through which waiters are woken.
    pub(super) fn start(path: &Path) -> Result<Self, BenchError> {
        let file = File::create(path).map_err(BenchError::io("make", path))?;
        let zeros = vec![0; CHUNK_BYTES];
        for at in (0..FILE_BYTES).step_by(CHUNK_BYTES) {
            file.write_all_at(&zeros, at)
                .map_err(BenchError::io("write", path))?;
        }
        file.sync_all().map_err(BenchError::io("sync", path))?;
        let queue = Arc::new(Queue::default());
        // A whole batch goes back into the runtime with one wake-up, as in the ledger.
        let (to, mut from) = mpsc::unbounded_channel::<Vec<Waiter>>();
        tokio::spawn(async move {
            while let Some(waiters) = from.recv().await {
                for waiter in waiters {
                    // Whoever no longer waits need not be told.
                    let _ = waiter.send(());
                }
            }
        });
        let taking = Arc::clone(&queue);
        let thread = thread::spawn(move || write(&taking, &file, &to));
        Ok(Self {
            queue,
            thread: Some(thread),
        })
    }

    /// Appends and waits until it is synced. `None` if that failed.
    pub(super) async fn append(&self, entry: Vec<u8>) -> Option<()> {
        let (tell, told) = oneshot::channel();
        let wake = {
            let mut waiting = self.queue.lock();
            waiting.entries.push((entry, tell));
            std::mem::take(&mut waiting.asleep)
        };
        if wake {
            self.queue.wake.notify_one();
        }
        told.await.ok()
    }
}

impl Drop for BareLog {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            // It holds nothing that could be lost.
            drop(thread.join());
        }
    }
}

fn write(queue: &Queue, file: &File, to: &mpsc::UnboundedSender<Vec<Waiter>>) {
    let mut buffer = Vec::new();
    let mut at = 0;
    loop {
        let batch = queue.take();
        if batch.is_empty() {
            return;
        }
        buffer.clear();
        let mut waiters = Vec::with_capacity(batch.len());
        for (entry, waiter) in batch {
            buffer.extend_from_slice(&entry);
            waiters.push(waiter);
        }
        let bytes = u64::try_from(buffer.len()).unwrap_or(FILE_BYTES);
        if at + bytes > FILE_BYTES {
            at = 0;
        }
        let synced = file
            .write_all_at(&buffer, at)
            .and_then(|()| file.sync_data());
        if synced.is_err() || to.send(waiters).is_err() {
            // The waiters are dropped, which tells them.
            return;
        }
        at += bytes;
    }
}
