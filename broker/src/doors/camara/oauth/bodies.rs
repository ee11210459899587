//! How many bodies of token requests are read at a time: a body comes before its client is proved.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use accord_proto::party::PartyId;

use crate::oauth::TokenRefusal;

/// Bodies of one party that are read at a time, and of all together who show no certificate: 4 MiB.
const PER_PARTY_MAX: usize = 256;

/// The bodies that are being read, by the party in the certificate. Bounded: an entry is gone with its
/// last body, and certificates are of parties of one trust domain.
#[derive(Debug, Default)]
pub struct Bodies {
    reading: Mutex<HashMap<Option<PartyId>, usize>>,
}

/// Room for one body, until it is dropped.
#[derive(Debug)]
pub(super) struct Room<'a> {
    bodies: &'a Bodies,
    party: Option<PartyId>,
}

impl Bodies {
    /// Makes room for one more body of a party.
    ///
    /// # Errors
    /// [`TokenRefusal::Bodies`] if it has too many.
    pub(super) fn admit(&self, party: Option<&PartyId>) -> Result<Room<'_>, TokenRefusal> {
        let party = party.cloned();
        let mut reading = self.reading();
        let count = reading.entry(party.clone()).or_default();
        if *count >= PER_PARTY_MAX {
            return Err(TokenRefusal::Bodies);
        }
        *count += 1;
        drop(reading);
        Ok(Room {
            bodies: self,
            party,
        })
    }

    fn reading(&self) -> MutexGuard<'_, HashMap<Option<PartyId>, usize>> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        let mut reading = self.bodies.reading();
        let left = reading.get_mut(&self.party).map(|count| {
            *count = count.saturating_sub(1);
            *count
        });
        if left == Some(0) {
            reading.remove(&self.party);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_share_their_room_and_take_none_of_a_party() {
        let bodies = Bodies::default();
        let bank = PartyId::parse("spiffe://accord.test/bank/first-bank").unwrap();
        let mut strangers: Vec<_> = (0..PER_PARTY_MAX)
            .map(|_| bodies.admit(None).unwrap())
            .collect();
        let refused = bodies.admit(None).unwrap_err();
        assert_eq!(
            (refused.code(), refused.status()),
            ("temporarily_unavailable", 503)
        );
        let of_bank = bodies.admit(Some(&bank)).unwrap();
        drop(strangers.pop());
        strangers.push(bodies.admit(None).unwrap());
        assert!(bodies.admit(None).is_err());
        drop((strangers, of_bank));
        assert!(bodies.reading().is_empty());
    }
}
