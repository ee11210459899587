//! The thread that keeps the index up with the ledger. Nobody waits for it, and it waits for
//! nobody: it reads what is durable already.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    },
    time::Duration,
};

use accord_proto::merkle::leaf_hash;
use tokio::sync::watch;

use super::{
    Extent, builder::Builder, error::IndexError, metrics::IndexMetrics, state::State, store::Store,
};
use crate::ledger::Ledger;

/// Entries that are read at once.
const READ_ENTRIES_MAX: u64 = 1_024;
/// Entries that are written at once.
const BATCH_ENTRIES_MAX: u64 = 128 * READ_ENTRIES_MAX;
/// How often it looks whether the ledger has grown, where nobody asks.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long it waits after a failure.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// How much less it matters than the answering of questions, as `nice` has it.
const NICENESS: i32 = 10;

/// What the thread works with.
pub(super) struct Follower {
    pub(super) dir: PathBuf,
    pub(super) ledger: Arc<Ledger>,
    pub(super) metrics: IndexMetrics,
    pub(super) told: watch::Sender<Extent>,
    pub(super) woken: Receiver<()>,
    /// A reader met damage.
    pub(super) damaged: Arc<AtomicBool>,
}

/// The broker stops.
struct Stopping;

impl Follower {
    pub(super) fn run(self) {
        // On Linux this is about the calling thread alone; where it is not allowed, all goes on.
        let _ = rustix::process::setpriority_process(None, NICENESS);
        loop {
            let ended = match self.open() {
                Ok((store, builder)) => self.follow(store, builder),
                Err(error) => Err(error),
            };
            let Err(error) = ended else {
                return;
            };
            tracing::error!(%error, source = ?std::error::Error::source(&error), "the index stopped");
            self.metrics.failed();
            self.told.send_replace(Extent::default());
            // What the ledger refuses is no fault of the rows.
            if !matches!(error, IndexError::Ledger(_) | IndexError::Io { .. }) {
                self.damaged.store(true, Ordering::Release);
            }
            if self.wait(RETRY_INTERVAL).is_err() {
                return;
            }
        }
    }

    /// Opens the index that is there, if it is whole and of this ledger; else begins anew.
    fn open(&self) -> Result<(Store, Builder), IndexError> {
        if !self.damaged.swap(false, Ordering::AcqRel) {
            match self.open_kept() {
                Ok(opened) => return Ok(opened),
                Err(error @ (IndexError::Ledger(_) | IndexError::Io { .. })) => return Err(error),
                Err(error) => {
                    let source = std::error::Error::source(&error);
                    tracing::warn!(%error, ?source, "the index can't be used, and is made anew");
                }
            }
        }
        self.metrics.rebuilt();
        Store::remove(&self.dir)?;
        let store = Store::open(&self.dir)?;
        let builder = Builder::resume(State::new(), &store)?;
        Ok((store, builder))
    }

    fn open_kept(&self) -> Result<(Store, Builder), IndexError> {
        let store = Store::open(&self.dir)?;
        let state = match store.state()? {
            Some(state) => state,
            None => State::new(),
        };
        self.check_ledger(&state)?;
        store.verify(&state)?;
        let builder = Builder::resume(state, &store)?;
        Ok((store, builder))
    }

    /// Whether the entries that were taken are those of this ledger.
    fn check_ledger(&self, state: &State) -> Result<(), IndexError> {
        let origins = self.ledger.origins()?;
        if !state
            .logs
            .iter()
            .map(|log| &log.origin)
            .eq(origins.iter().take(state.logs.len()))
        {
            return Err(IndexError::Foreign("it knows other logs"));
        }
        for log in &state.logs {
            let Some(last) = log.entries.checked_sub(1) else {
                continue;
            };
            if self.ledger.size_of(Some(&log.origin))? <= last {
                return Err(IndexError::Foreign("it knows more entries"));
            }
            let entry = self.ledger.entry(Some(&log.origin), last)?;
            if leaf_hash(&entry) != log.last_leaf {
                return Err(IndexError::Foreign("it knows another entry"));
            }
        }
        Ok(())
    }

    /// Takes what comes until the broker stops.
    fn follow(&self, mut store: Store, mut builder: Builder) -> Result<(), IndexError> {
        // An index that was just made has a state too, so that it can be asked.
        store.commit(&builder.rows(), builder.state())?;
        self.tell(&builder);
        loop {
            if self.damaged.load(Ordering::Acquire) {
                return Err(IndexError::Damaged("a reader met damage"));
            }
            let took = self.batch(&mut builder)?;
            if took > 0 {
                store.commit(&builder.rows(), builder.state())?;
                self.metrics.took(took);
            }
            self.tell(&builder);
            let waited = if took == 0 {
                self.wait(LOOK_INTERVAL)
            } else {
                self.go_on()
            };
            if waited.is_err() {
                return Ok(());
            }
        }
    }

    /// Takes entries up to a batch's limit, from one log into the next; gives how many.
    fn batch(&self, builder: &mut Builder) -> Result<u64, IndexError> {
        let mut took = 0;
        while took < BATCH_ENTRIES_MAX {
            // Looked at first: a log that had ended before it was read has no more.
            let current = self.ledger.origin();
            let logs = &builder.state().logs;
            let count = logs.len();
            let known = logs.last().map(|log| (log.origin.clone(), log.entries));
            let read = match &known {
                Some((origin, entries)) => {
                    self.ledger
                        .entries(Some(origin), *entries, READ_ENTRIES_MAX)?
                }
                None => Vec::new(),
            };
            for entry in &read {
                builder.add(entry)?;
            }
            if let Some(last) = read.last() {
                builder.last_leaf(leaf_hash(last));
                took += u64::try_from(read.len()).unwrap_or(0);
                if self.go_on().is_err() {
                    break;
                }
                continue;
            }
            if known.as_ref().is_some_and(|(origin, _)| *origin == current) {
                break;
            }
            let origins = self.ledger.origins()?;
            let after = origins
                .get(count)
                .ok_or(IndexError::Foreign("it knows other logs"))?;
            builder.begin_log(after);
        }
        Ok(took)
    }

    fn tell(&self, builder: &Builder) {
        let (origin, size) = builder.state().extent().unwrap_or_default();
        let (current, end) = (self.ledger.origin(), self.ledger.size());
        // Of older logs, nobody counts what is left of them.
        let lag = if origin == current {
            end.saturating_sub(size)
        } else {
            end
        };
        self.metrics.lags(lag);
        self.told.send_replace(Extent {
            ready: true,
            origin,
            size,
        });
    }

    /// Waits until it is woken, or for a while.
    fn wait(&self, at_most: Duration) -> Result<(), Stopping> {
        match self.woken.recv_timeout(at_most) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => Err(Stopping),
        }
    }

    /// Goes on at once, unless the broker stops.
    fn go_on(&self) -> Result<(), Stopping> {
        match self.woken.try_recv() {
            Ok(()) | Err(TryRecvError::Empty) => Ok(()),
            Err(TryRecvError::Disconnected) => Err(Stopping),
        }
    }
}
