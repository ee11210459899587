//! The index over the ledger: which entries have what, so that a question of an auditor about ten
//! million entries is answered at once.
//!
//! ```text
//!   ledger ──▶ follow (a thread of its own) ──▶ builder ──▶ rows in SQLite
//!                                                              │
//!   Query: filter ──▶ terms, tags, time ──▶ search ◀───────────┘
//!                                            └──▶ places ──▶ entries, read from the ledger
//! ```
//!
//! It is a view: the ledger is the truth, and each entry that was found is read there and held
//! against the filter and the reader's remit again. An index that is missing, damaged, of another
//! version or of another ledger is made anew while the broker serves on. It holds tags and no
//! number, and nothing that the ledger does not hold.
//!
//! Entries are taken in blocks of 8,192. Of each term (`bank:first-bank`, `outcome:answered`) a
//! block has one row: which of its entries have it, as a list or as bits. Terms are combined block by
//! block, so that it does not matter how many entries have one and not the other.

mod bits;
mod builder;
mod error;
mod filter;
mod follow;
mod metrics;
mod page;
mod search;
mod state;
mod store;
mod subjects;
mod terms;
mod times;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use tokio::{sync::watch, time::timeout};

pub use error::IndexError;
pub use filter::Search;
pub use metrics::IndexMetrics;
pub use page::{FoundEntry, Page};

use crate::{ledger::Ledger, remit::Sight};
use follow::Follower;
use search::{Found, Wanted};
use state::Place;
use store::Store;

/// How long a question waits for the index to come to the ledger's present end.
const CATCH_UP_MAX: Duration = Duration::from_secs(1);

/// How far the index has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// It can be asked. False while it is looked through at start.
    pub ready: bool,
    /// The newest log that it knows, and how many of its entries.
    pub origin: String,
    /// See `origin`.
    pub size: u64,
}

/// An index, and the thread that keeps it up.
#[derive(Debug)]
pub struct Index {
    dir: PathBuf,
    ledger: Arc<Ledger>,
    extent: watch::Receiver<Extent>,
    /// Wakes the thread; dropped, it ends.
    wake: Mutex<Option<SyncSender<()>>>,
    damaged: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Where a page begins: a log's origin and an index.
pub type Begin = (String, u64);

/// What the index has for one page.
#[derive(Debug)]
struct Places {
    places: Vec<Begin>,
    next: Option<Begin>,
    indexed: (String, u64),
}

impl Index {
    /// Starts the thread that opens the index, or makes it, and keeps it up.
    ///
    /// # Errors
    /// [`IndexError::Io`] if there can be no thread.
    pub fn start(
        dir: PathBuf,
        ledger: Arc<Ledger>,
        metrics: IndexMetrics,
    ) -> Result<Self, IndexError> {
        let (told, extent) = watch::channel(Extent::default());
        let (wake, woken) = sync_channel(1);
        let damaged = Arc::new(AtomicBool::new(false));
        let follower = Follower {
            dir: dir.clone(),
            ledger: Arc::clone(&ledger),
            metrics,
            told,
            woken,
            damaged: Arc::clone(&damaged),
        };
        let thread = std::thread::Builder::new()
            .name("index".into())
            .spawn(move || follower.run())
            .map_err(|source| IndexError::Io {
                act: "start a thread for",
                path: dir.clone(),
                source,
            })?;
        Ok(Self {
            dir,
            ledger,
            extent,
            wake: Mutex::new(Some(wake)),
            damaged,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// How far it has come.
    #[must_use]
    pub fn extent(&self) -> Extent {
        self.extent.borrow().clone()
    }

    /// Waits until the index has come to the ledger's end of this moment, but not for long.
    pub(crate) async fn catch_up(&self) {
        let (origin, size) = (self.ledger.origin(), self.ledger.size());
        self.wake();
        let mut extent = self.extent.clone();
        // What is not there yet is told with the page.
        let _ = timeout(
            CATCH_UP_MAX,
            extent.wait_for(|extent| {
                let there = extent.origin == origin && extent.size >= size;
                extent.ready && (there || extent.origin > origin)
            }),
        )
        .await;
    }

    fn wake(&self) {
        let wake = self.wake.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wake) = &*wake {
            // A full channel wakes it as well.
            let _ = wake.try_send(());
        }
    }

    /// One page of a search, within a reader's sight. It reads files: call it where that may block.
    ///
    /// # Errors
    /// [`IndexError`]: what is damaged is made anew from then on.
    pub fn find(
        &self,
        search: &Search,
        sight: &Sight,
        begin: Option<&Begin>,
        count_max: usize,
    ) -> Result<Page, IndexError> {
        let found = self.places(&search.wanted(sight), begin, count_max)?;
        let (entries, cut) = page::read(&self.ledger, &found.places, |entry| {
            entry.event.as_ref().is_some_and(|event| {
                sight.sees_event(event) && search.matches(entry.time_unix_ms, event)
            })
        })?;
        Ok(Page {
            entries,
            next: cut.or(found.next),
            indexed: found.indexed,
        })
    }

    fn places(
        &self,
        wanted: &Wanted,
        from: Option<&Begin>,
        count_max: usize,
    ) -> Result<Places, IndexError> {
        if !self.extent.borrow().ready {
            return Err(IndexError::NotReady);
        }
        let looked = self.look(wanted, from, count_max);
        if let Err(error) = &looked
            && !matches!(error, IndexError::NotReady)
        {
            tracing::error!(%error, "the index is damaged, and is made anew");
            self.damaged.store(true, Ordering::Release);
            self.wake();
        }
        looked
    }

    fn look(
        &self,
        wanted: &Wanted,
        from: Option<&Begin>,
        count_max: usize,
    ) -> Result<Places, IndexError> {
        Store::reader(&self.dir)?.at_once(|store| {
            let none = IndexError::Damaged("its state is missing");
            let state = store.state()?.ok_or(none)?;
            let from = match from {
                None => Place { log: 0, index: 0 },
                Some((origin, index)) => match state.log(origin) {
                    Some(log) => Place { log, index: *index },
                    // It is being made anew, and has not come there yet.
                    None => return Err(IndexError::NotReady),
                },
            };
            let Found { places, next } = search::search(store, &state, wanted, from, count_max)?;
            let named = |place: Place| {
                let log = state.logs.get(place.log as usize)?;
                Some((log.origin.clone(), place.index))
            };
            Ok(Places {
                places: places.into_iter().filter_map(named).collect(),
                next: next.and_then(named),
                indexed: state.extent().unwrap_or_default(),
            })
        })
    }

    /// Ends the thread, and waits for it.
    pub fn stop(&self) {
        drop(
            self.wake
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the index's thread broke off");
        }
    }
}

#[cfg(test)]
mod tests;
