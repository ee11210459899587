//! The handshakes under way at one door: how many there may be, and who gives way when there is no
//! room for one more.
//!
//! Anybody can open a connection and say nothing, or stop in the middle, so places are not first
//! come, first served until somebody's time is up:
//!
//! * Who has sent no byte yet gives way to a newcomer, the oldest first.
//! * Beyond its share of a full door, a network (see [`network_of`]) is hung up on at once, and gives way
//!   to one that has less than its share.
//! * Where all speak and each has its share at most, the next waits in the system's queue.
//!
//! While there is room nobody's share matters: a whole site behind one address may come at once.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::connections::network_of;

/// A network's share of a full door is one in so many places.
const SHARES: usize = 8;

/// The word for a handshake that gave way to another.
pub(super) const GAVE_WAY: &str = "HANDSHAKE_GAVE_WAY";
/// The word for a network that has its share of a full door.
pub(super) const ADDRESS_MAX: &str = "ADDRESS_HANDSHAKES_MAX";

/// The places of one door.
#[derive(Debug)]
pub(super) struct Handshakes {
    places: Mutex<Places>,
    max: usize,
    /// Wakes the accept loop, which alone waits, when one has ended.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Places {
    next_id: u64,
    /// In the order in which they came.
    by_id: BTreeMap<u64, UnderWay>,
    per_network: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct UnderWay {
    network: IpAddr,
    /// A byte of it has come.
    spoke: bool,
    gives_way: Arc<Notify>,
}

impl Handshakes {
    /// None yet, and at most so many; one at least.
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            places: Mutex::default(),
            max: max.max(1),
            ended: Notify::new(),
        })
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more, for which another may have to give way. Waits while all who are there
    /// may stay; only one task may wait at a time.
    ///
    /// # Errors
    /// The word for why not: [`ADDRESS_MAX`].
    pub(super) async fn enter(self: &Arc<Self>, remote: IpAddr) -> Result<Place, &'static str> {
        let network = network_of(remote);
        loop {
            if let Some(place) = self.try_enter(network)? {
                return Ok(place);
            }
            // One that ended meanwhile has left its permit, so nothing is missed.
            self.ended.notified().await;
        }
    }

    /// None while all who are there may stay.
    fn try_enter(self: &Arc<Self>, network: IpAddr) -> Result<Option<Place>, &'static str> {
        let mut places = self.places();
        if places.by_id.len() >= self.max
            && !places.make_room(network, (self.max / SHARES).max(1))?
        {
            return Ok(None);
        }
        let gives_way = Arc::new(Notify::new());
        let id = places.add(UnderWay {
            network,
            spoke: false,
            gives_way: Arc::clone(&gives_way),
        });
        drop(places);
        let handshakes = Arc::clone(self);
        Ok(Some(Place {
            id,
            handshakes,
            gives_way,
        }))
    }
}

impl Places {
    fn add(&mut self, one: UnderWay) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        *self.per_network.entry(one.network).or_default() += 1;
        self.by_id.insert(id, one);
        id
    }

    fn remove(&mut self, id: u64) -> Option<UnderWay> {
        let one = self.by_id.remove(&id)?;
        match self.of(one.network) {
            0 | 1 => self.per_network.remove(&one.network),
            more => self.per_network.insert(one.network, more - 1),
        };
        Some(one)
    }

    /// How many a network has.
    fn of(&self, network: IpAddr) -> usize {
        self.per_network.get(&network).copied().unwrap_or(0)
    }

    /// Lets one give way to a newcomer of this network; false where all may stay.
    fn make_room(&mut self, network: IpAddr, share: usize) -> Result<bool, &'static str> {
        let has = self.of(network);
        // Nobody gives way to a network that has more places than its own.
        let silent = self.oldest(|one, of_its_network| !one.spoke && of_its_network >= has);
        let leaves = match silent {
            Some(id) => Some(id),
            None if has >= share => return Err(ADDRESS_MAX),
            None => self.oldest(|_, of_its_network| of_its_network > share),
        };
        let Some(one) = leaves.and_then(|id| self.remove(id)) else {
            return Ok(false);
        };
        one.gives_way.notify_one();
        Ok(true)
    }

    /// The oldest of those that `may` leave, in the network that has the most.
    fn oldest(&self, may: impl Fn(&UnderWay, usize) -> bool) -> Option<u64> {
        self.by_id
            .iter()
            .map(|(id, one)| (id, one, self.of(one.network)))
            .filter(|(_, one, count)| may(one, *count))
            .max_by_key(|(id, _, count)| (*count, Reverse(**id)))
            .map(|(id, _, _)| *id)
    }
}

/// A handshake's place; dropped, it is given back.
#[derive(Debug)]
pub(super) struct Place {
    id: u64,
    handshakes: Arc<Handshakes>,
    gives_way: Arc<Notify>,
}

impl Place {
    /// Notes that a byte has come.
    pub(super) fn spoke(&self) {
        if let Some(one) = self.handshakes.places().by_id.get_mut(&self.id) {
            one.spoke = true;
        }
    }

    /// Waits until it has to give way to another.
    pub(super) async fn gave_way(&self) {
        self.gives_way.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // One that gave way is gone already.
        let _ = self.handshakes.places().remove(self.id);
        self.handshakes.ended.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// What becomes at once of a newcomer: a place, a refusal, or nothing yet.
    fn come(door: &Arc<Handshakes>, address: &str) -> Option<Result<Place, &'static str>> {
        door.enter(address.parse().unwrap()).now_or_never()
    }

    fn enter(door: &Arc<Handshakes>, address: &str) -> Place {
        come(door, address).unwrap().unwrap()
    }

    fn speaking(door: &Arc<Handshakes>, address: &str) -> Place {
        let place = enter(door, address);
        place.spoke();
        place
    }

    fn left(place: &Place) -> bool {
        place.gave_way().now_or_never().is_some()
    }

    #[test]
    fn the_oldest_that_said_nothing_gives_way_and_who_spoke_stays() {
        let door = Handshakes::new(3);
        let spoke = speaking(&door, "192.0.2.1");
        let silent = [enter(&door, "192.0.2.2"), enter(&door, "192.0.2.3")];
        let _next = enter(&door, "192.0.2.4");
        assert!(left(&silent[0]) && !left(&silent[1]) && !left(&spoke));
        let _next = enter(&door, "192.0.2.5");
        assert!(left(&silent[1]) && !left(&spoke));
        assert_eq!(door.places().by_id.len(), 3);
    }

    #[test]
    fn one_address_alone_may_fill_the_door_and_then_keeps_nobody_else_out() {
        let door = Handshakes::new(16);
        let stalled: Vec<_> = (0..16).map(|_| speaking(&door, "192.0.2.1")).collect();
        let refused = |address| come(&door, address).unwrap().unwrap_err();
        assert_eq!(refused("192.0.2.1"), ADDRESS_MAX);
        assert_eq!(refused("::ffff:192.0.2.1"), ADDRESS_MAX);
        let _other = speaking(&door, "192.0.2.2");
        assert!(left(&stalled[0]) && stalled.iter().skip(1).all(|one| !left(one)));
        let _second = speaking(&door, "192.0.2.2");
        assert_eq!(refused("192.0.2.2"), ADDRESS_MAX);
    }

    #[test]
    fn who_comes_in_numbers_drives_out_nobody_who_has_fewer_places() {
        let door = Handshakes::new(16);
        let _stalled: Vec<_> = (0..15).map(|_| speaking(&door, "192.0.2.1")).collect();
        let slow = enter(&door, "192.0.2.2");
        assert_eq!(come(&door, "192.0.2.1").unwrap().unwrap_err(), ADDRESS_MAX);
        assert!(!left(&slow));
    }

    #[test]
    fn where_all_speak_and_have_their_share_the_next_one_waits_for_an_end() {
        let door = Handshakes::new(2);
        let first = speaking(&door, "2001:db8:1::1");
        let _second = speaking(&door, "2001:db8:2::1");
        assert!(come(&door, "2001:db8:3::1").is_none());
        let mut waiting = Box::pin(door.enter("2001:db8:3::1".parse().unwrap()));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(first);
        let third = waiting.now_or_never().unwrap().unwrap();
        third.spoke();
        // From another address of a site that has its share.
        let same_site = come(&door, "2001:db8:2:7::1").unwrap();
        assert_eq!(same_site.unwrap_err(), "ADDRESS_HANDSHAKES_MAX");
    }

    #[test]
    fn nothing_is_kept_of_who_has_gone() {
        let door = Handshakes::new(2);
        let all: Vec<_> = ["192.0.2.1", "192.0.2.1", "2001:db8::1"]
            .into_iter()
            .map(|address| enter(&door, address))
            .collect();
        drop(all);
        assert!(door.places().by_id.is_empty() && door.places().per_network.is_empty());
    }
}
