//! The open connections, and the task that closes those whose certificate is no longer trusted.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use accord_proto::party::PartyId;
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info};

use super::closer::Closer;
use super::metrics::IdentityMetrics;
use super::peer::Peer;
use super::trust::TrustStore;

/// How often files and connections are looked at. A revocation acts on calls and streams at the
/// next look, and closes the connection at the one after that, so within a second with room to
/// spare.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// How many connections there may be at a time.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Of each party, and of all without an identity together.
    pub per_party_max: usize,
    /// Of those without an identity from one address, so that one host can't take the room of all.
    pub per_address_max: usize,
}

/// Every connection whose handshake ended well.
#[derive(Debug)]
pub struct Connections {
    open: Mutex<Open>,
    next_id: AtomicU64,
    limits: ConnectionLimits,
    metrics: IdentityMetrics,
}

#[derive(Debug, Default)]
struct Open {
    by_id: HashMap<u64, Entry>,
    per_party: HashMap<PartyId, usize>,
    /// Of those without an identity.
    per_address: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Entry {
    peer: Arc<Peer>,
    closer: Arc<Closer>,
    failing: bool,
}

impl Open {
    fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.by_id.remove(&id)?;
        match entry.peer.party() {
            Some(party) => give_back(self.per_party.entry(party.clone())),
            None => give_back(self.per_address.entry(network_of(entry.peer.remote().ip()))),
        }
        Some(entry)
    }

    /// Ends the oldest connection of somebody who is not known by anything.
    fn give_way(&mut self) -> bool {
        let unknown = |(id, entry): (&u64, &Entry)| (!entry.peer.is_known()).then_some(*id);
        let oldest = self.by_id.iter().filter_map(unknown).min();
        match oldest.and_then(|id| self.remove(id)) {
            Some(entry) => {
                entry.closer.close();
                true
            }
            None => false,
        }
    }
}

impl Connections {
    /// None yet.
    #[must_use]
    pub fn new(limits: ConnectionLimits, metrics: IdentityMetrics) -> Arc<Self> {
        Arc::new(Self {
            open: Mutex::default(),
            next_id: AtomicU64::new(0),
            limits,
            metrics,
        })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up a connection. Those without an identity count as one party, and by their addresses
    /// too. Where there is no room for another of them, the oldest one that has not shown by anything
    /// good who it is gives way: who only holds connections keeps nobody out.
    ///
    /// # Errors
    /// The word for why not: `PARTY_CONNECTIONS_MAX` or `ADDRESS_CONNECTIONS_MAX`.
    pub(super) fn admit(self: &Arc<Self>, peer: Arc<Peer>) -> Result<Ticket, &'static str> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let closer = Arc::new(Closer::default());
        let ConnectionLimits {
            per_party_max,
            per_address_max,
        } = self.limits;
        let mut open = self.open();
        match peer.party() {
            Some(party) => {
                let party = open.per_party.entry(party.clone());
                take(party, per_party_max).ok_or("PARTY_CONNECTIONS_MAX")?;
            }
            None => {
                let network = network_of(peer.remote().ip());
                // First, or somebody would give way to one that is not taken.
                if open.per_address.get(&network).copied().unwrap_or(0) >= per_address_max {
                    return Err("ADDRESS_CONNECTIONS_MAX");
                }
                let unknown = open.per_address.values().sum::<usize>();
                if unknown >= per_party_max && !open.give_way() {
                    return Err("PARTY_CONNECTIONS_MAX");
                }
                *open.per_address.entry(network).or_default() += 1;
            }
        }
        // By itself, since the entry is gone before the connection where it gave way.
        let counted = self.metrics.open(&peer).clone();
        let entry = Entry {
            peer,
            closer: Arc::clone(&closer),
            failing: false,
        };
        open.by_id.insert(id, entry);
        drop(open);
        counted.inc();
        Ok(Ticket {
            id,
            counted,
            connections: Arc::clone(self),
            closer,
        })
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

/// One more, if there may be.
fn take<K>(slot: Slot<'_, K, usize>, max: usize) -> Option<()> {
    match slot {
        Slot::Occupied(mut count) if *count.get() < max => *count.get_mut() += 1,
        Slot::Vacant(none) if max > 0 => {
            none.insert(1);
        }
        Slot::Occupied(_) | Slot::Vacant(_) => return None,
    }
    Some(())
}

/// One less, and nothing is kept of nobody.
fn give_back<K>(slot: Slot<'_, K, usize>) {
    let Slot::Occupied(mut count) = slot else {
        return;
    };
    match *count.get() {
        0 | 1 => {
            count.remove();
        }
        more => *count.get_mut() = more - 1,
    }
}

/// What one site may choose its addresses from: in IPv6 it has a /48 to itself, or a part of one (RFC
/// 6177 section 2).
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 80 << 80;
            IpAddr::V6(Ipv6Addr::from(network))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// A connection's place among the open ones; dropped, it is given back.
#[derive(Debug)]
pub(super) struct Ticket {
    id: u64,
    counted: Gauge,
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
        // One that gave way is gone already.
        let _ = self.connections.open().remove(self.id);
        self.counted.dec();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn stranger(address: &str) -> Arc<Peer> {
        let remote = (address.parse::<IpAddr>().unwrap(), 40_000).into();
        Arc::new(Peer::without_certificate(remote))
    }

    #[test]
    fn one_host_without_a_certificate_leaves_room_for_others() {
        let limits = ConnectionLimits {
            per_party_max: 4,
            per_address_max: 2,
        };
        let connections = Connections::new(limits, IdentityMetrics::default());
        let admit = |address: &str| connections.admit(stranger(address));
        let first = admit("192.0.2.1").unwrap();
        // However it is written.
        let _second = admit("::ffff:192.0.2.1").unwrap();
        let full = |address| admit(address).unwrap_err();
        assert_eq!(full("192.0.2.1"), "ADDRESS_CONNECTIONS_MAX");
        // From two addresses of one site.
        let _third = admit("2001:db8::1").unwrap();
        assert_eq!(full("192.0.2.1"), "ADDRESS_CONNECTIONS_MAX");
        drop(first);
        let _fourth = admit("2001:db8:0:1::1").unwrap();
        assert_eq!(full("2001:db8:0:2::1"), "ADDRESS_CONNECTIONS_MAX");
        let open = connections.open();
        assert_eq!(open.per_address.values().sum::<usize>(), open.by_id.len());
    }

    #[test]
    fn the_oldest_that_is_not_known_gives_way_and_nobody_who_is() {
        let limits = ConnectionLimits {
            per_party_max: 3,
            per_address_max: 3,
        };
        let connections = Connections::new(limits, IdentityMetrics::default());
        let bank = stranger("192.0.2.1");
        bank.note_known();
        let bank = connections.admit(bank).unwrap();
        let admit = |address: &str| connections.admit(stranger(address));
        let idle = [admit("192.0.2.2").unwrap(), admit("192.0.2.3").unwrap()];
        let another = stranger("192.0.2.4");
        let of_another = connections.admit(Arc::clone(&another)).unwrap();
        let closed = |ticket: &Ticket| ticket.closer().is_closed();
        assert!(closed(&idle[0]) && !closed(&idle[1]) && !closed(&bank));
        another.note_known();
        let _third = admit("192.0.2.5").unwrap();
        assert!(closed(&idle[1]) && !closed(&of_another));
        drop(idle);
        assert_eq!(connections.open().by_id.len(), 3);
        let metrics = &connections.metrics;
        assert_eq!(metrics.connections_open_without_certificate.get(), 3);
        assert_eq!(metrics.open_connections(), 0, "nobody showed a certificate");
        // Those who are known stay, whoever comes.
        let third = stranger("192.0.2.6");
        third.note_known();
        let _third = connections.admit(third).unwrap();
        assert_eq!(admit("192.0.2.7").unwrap_err(), "PARTY_CONNECTIONS_MAX");
    }

    #[test]
    fn nobody_gives_way_to_one_that_has_its_share() {
        let limits = ConnectionLimits {
            per_party_max: 2,
            per_address_max: 1,
        };
        let connections = Connections::new(limits, IdentityMetrics::default());
        let admit = |address: &str| connections.admit(stranger(address));
        let (one, other) = (admit("192.0.2.1").unwrap(), admit("192.0.2.2").unwrap());
        assert_eq!(admit("192.0.2.2").unwrap_err(), "ADDRESS_CONNECTIONS_MAX");
        assert!(!one.closer().is_closed() && !other.closer().is_closed());
    }

    #[test]
    fn nothing_is_kept_of_who_has_gone() {
        let limits = ConnectionLimits {
            per_party_max: 4,
            per_address_max: 4,
        };
        let connections = Connections::new(limits, IdentityMetrics::default());
        let tickets: Vec<_> = ["192.0.2.1", "192.0.2.1", "2001:db8::1"]
            .into_iter()
            .map(|address| connections.admit(stranger(address)).unwrap())
            .collect();
        drop(tickets);
        assert!(connections.open().per_address.is_empty());
    }
}
