//! The open connections, and the task that closes those whose certificate is no longer trusted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use accord_proto::party::PartyId;
use futures_util::task::AtomicWaker;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info};

use super::metrics::IdentityMetrics;
use super::peer::Peer;
use super::trust::TrustStore;

/// How often files and connections are looked at. A revocation acts on calls and streams at the
/// next look, and closes the connection at the one after that, so within a second with room to
/// spare.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Every connection whose handshake ended well.
#[derive(Debug)]
pub struct Connections {
    open: Mutex<Open>,
    next_id: AtomicU64,
    per_party_max: usize,
    metrics: IdentityMetrics,
}

#[derive(Debug, Default)]
struct Open {
    by_id: HashMap<u64, Entry>,
    per_party: HashMap<PartyId, usize>,
}

#[derive(Debug)]
struct Entry {
    peer: Arc<Peer>,
    closer: Arc<Closer>,
    failing: bool,
}

impl Connections {
    /// None yet; each party may have `per_party_max`.
    #[must_use]
    pub fn new(per_party_max: usize, metrics: IdentityMetrics) -> Arc<Self> {
        Arc::new(Self {
            open: Mutex::default(),
            next_id: AtomicU64::new(0),
            per_party_max,
            metrics,
        })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up a connection; `None` if its party has too many. Those without an identity count
    /// as one party.
    pub(super) fn admit(self: &Arc<Self>, peer: Arc<Peer>) -> Option<Ticket> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let closer = Arc::new(Closer::default());
        let mut open = self.open();
        match peer.party() {
            Some(party) => {
                let count = open.per_party.entry(party.clone()).or_default();
                if *count >= self.per_party_max {
                    return None;
                }
                *count += 1;
            }
            None => {
                let strangers = open.by_id.len() - open.per_party.values().sum::<usize>();
                if strangers >= self.per_party_max {
                    return None;
                }
            }
        }
        let entry = Entry {
            peer,
            closer: Arc::clone(&closer),
            failing: false,
        };
        open.by_id.insert(id, entry);
        drop(open);
        self.metrics.connections_open.inc();
        Some(Ticket {
            id,
            connections: Arc::clone(self),
            closer,
        })
    }

    fn remove(&self, id: u64) {
        let mut open = self.open();
        let Some(entry) = open.by_id.remove(&id) else {
            return;
        };
        if let Some(party) = entry.peer.party() {
            let left = open.per_party.get_mut(party).map(|count| {
                *count = count.saturating_sub(1);
                *count
            });
            if left == Some(0) {
                open.per_party.remove(party);
            }
        }
        drop(open);
        self.metrics.connections_open.dec();
    }

    /// Closes all of them: the broker has drained, and whoever is still there is left behind.
    pub fn close_all(&self) {
        self.open()
            .by_id
            .values()
            .for_each(|entry| entry.closer.close());
    }

    /// Checks every peer. One that fails for the first time is only marked, so that its running
    /// streams can say why they end; the next time its connection is closed.
    async fn sweep(&self, trust: &TrustStore) {
        let peers: Vec<(u64, Arc<Peer>)> = self
            .open()
            .by_id
            .iter()
            .map(|(id, entry)| (*id, Arc::clone(&entry.peer)))
            .collect();
        let mut newly_failing = false;
        for (id, peer) in peers {
            let Err(error) = trust.still_trusts(&peer) else {
                continue;
            };
            match self.fail(id) {
                Some(Failing::Newly) => newly_failing = true,
                Some(Failing::Again) => {
                    self.metrics.connections_revoked.inc();
                    info!(
                        party = peer.party().map(tracing::field::display),
                        serial = peer.serial(),
                        reason = error.reason(),
                        "closed a connection whose certificate is no longer trusted"
                    );
                }
                None => {}
            }
            // A full check takes a while, so let others run between two of them.
            tokio::task::yield_now().await;
        }
        if newly_failing {
            trust.announce();
        }
    }

    fn fail(&self, id: u64) -> Option<Failing> {
        let mut open = self.open();
        let entry = open.by_id.get_mut(&id)?;
        if entry.failing {
            entry.closer.close();
            return Some(Failing::Again);
        }
        entry.failing = true;
        Some(Failing::Newly)
    }
}

enum Failing {
    Again,
    Newly,
}

/// A connection's place among the open ones; dropped, it is given back.
#[derive(Debug)]
pub(super) struct Ticket {
    id: u64,
    connections: Arc<Connections>,
    closer: Arc<Closer>,
}

impl Ticket {
    pub(super) fn closer(&self) -> &Closer {
        &self.closer
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.connections.remove(self.id);
    }
}

/// Closes a stream from outside.
#[derive(Debug, Default)]
pub(super) struct Closer {
    closed: AtomicBool,
    reader: AtomicWaker,
}

impl Closer {
    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.reader.wake();
    }

    /// Whether it was closed; if not, the task that reads is woken when it is.
    pub(super) fn poll_closed(&self, cx: &std::task::Context<'_>) -> bool {
        if self.is_closed() {
            return true;
        }
        self.reader.register(cx.waker());
        self.is_closed()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// Reloads changed files and closes connections that are no longer trusted, for as long as the
/// broker runs. Spawn it once.
pub async fn keep_current(trust: Arc<TrustStore>, connections: Arc<Connections>) {
    let mut look = interval(LOOK_INTERVAL);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let store = Arc::clone(&trust);
        // The outcome is counted and logged by the store itself.
        if let Err(panic) = tokio::task::spawn_blocking(move || store.reload()).await {
            error!(%panic, "the reload of certificates broke off");
        }
        trust.announce_expiry(trust.now());
        connections.sweep(&trust).await;
    }
}
