//! How many bodies of token requests are read at a time: a body comes before its client is proved.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use accord_proto::party::PartyId;

use crate::{
    identity::{Peer, network_of},
    oauth::TokenRefusal,
};

/// Bodies of one party that are read at a time, and of all together who show no certificate: 4 MiB.
const PER_PARTY_MAX: usize = 256;
/// Of those without a certificate from one address, so that one host can't take the room of all.
const PER_ADDRESS_MAX: usize = 16;

/// The bodies that are being read. Bounded: an entry is gone with its last body, certificates are of
/// parties of one trust domain, and strangers have few together.
#[derive(Debug, Default)]
pub struct Bodies {
    reading: Mutex<Reading>,
}

#[derive(Debug, Default)]
struct Reading {
    by_sender: HashMap<Sender, usize>,
    of_strangers: usize,
}

/// Whose a body is, as far as it is known before it is read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Sender {
    /// The party in the certificate.
    Party(PartyId),
    /// Without one.
    Stranger(IpAddr),
}

/// Room for one body, until it is dropped.
#[derive(Debug)]
pub(super) struct Room<'a> {
    bodies: &'a Bodies,
    sender: Sender,
}

impl Bodies {
    /// Makes room for one more body.
    ///
    /// # Errors
    /// [`TokenRefusal::Bodies`] if its sender has too many, or all strangers together.
    pub(super) fn admit(&self, peer: &Peer) -> Result<Room<'_>, TokenRefusal> {
        let sender = match peer.party() {
            Some(party) => Sender::Party(party.clone()),
            None => Sender::Stranger(network_of(peer.remote().ip())),
        };
        self.make_room(sender)
    }

    fn make_room(&self, sender: Sender) -> Result<Room<'_>, TokenRefusal> {
        let mut reading = self.reading();
        let (max, full) = match sender {
            Sender::Party(_) => (PER_PARTY_MAX, false),
            Sender::Stranger(_) => (PER_ADDRESS_MAX, reading.of_strangers >= PER_PARTY_MAX),
        };
        let count = reading.by_sender.get(&sender).copied().unwrap_or(0);
        if full || count >= max {
            return Err(TokenRefusal::Bodies);
        }
        reading.by_sender.insert(sender.clone(), count + 1);
        reading.of_strangers += usize::from(sender.is_stranger());
        drop(reading);
        Ok(Room {
            bodies: self,
            sender,
        })
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sender {
    const fn is_stranger(&self) -> bool {
        matches!(self, Self::Stranger(_))
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        let mut reading = self.bodies.reading();
        let left = reading.by_sender.get_mut(&self.sender).map(|count| {
            *count = count.saturating_sub(1);
            *count
        });
        if left == Some(0) {
            reading.by_sender.remove(&self.sender);
        }
        let one = usize::from(self.sender.is_stranger());
        reading.of_strangers = reading.of_strangers.saturating_sub(one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stranger(host: u8) -> Sender {
        Sender::Stranger(IpAddr::from([192, 0, 2, host]))
    }

    #[test]
    fn strangers_share_their_room_and_take_none_of_a_party() {
        let bodies = Bodies::default();
        let bank = PartyId::parse("spiffe://accord.test/bank/first-bank").unwrap();
        let hosts = (0..16).flat_map(|host| [host; PER_ADDRESS_MAX]);
        let mut strangers: Vec<_> = hosts
            .map(|host| bodies.make_room(stranger(host)).unwrap())
            .collect();
        assert_eq!(strangers.len(), PER_PARTY_MAX);
        let refused = bodies.make_room(stranger(16)).unwrap_err();
        assert_eq!(
            (refused.code(), refused.status()),
            ("temporarily_unavailable", 503)
        );
        let of_bank = bodies.make_room(Sender::Party(bank)).unwrap();
        drop(strangers.pop());
        strangers.push(bodies.make_room(stranger(16)).unwrap());
        assert!(bodies.make_room(stranger(17)).is_err());
        drop((strangers, of_bank));
        let reading = bodies.reading();
        assert!(reading.by_sender.is_empty() && reading.of_strangers == 0);
    }

    #[test]
    fn one_address_leaves_room_for_others() {
        let bodies = Bodies::default();
        let one: Vec<_> = (0..PER_ADDRESS_MAX)
            .map(|_| bodies.make_room(stranger(1)).unwrap())
            .collect();
        assert!(bodies.make_room(stranger(1)).is_err());
        assert!(bodies.make_room(stranger(2)).is_ok());
        drop(one);
        assert!(bodies.make_room(stranger(1)).is_ok());
    }
}
