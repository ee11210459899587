//! Assertions that were used: none opens the door twice.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use accord_proto::camara::ClientId;
use aws_lc_rs::digest::{SHA256, digest};

/// Assertions of one client that were used and have not expired: over 300 a second where each is
/// good for the longest time, and more where they are good for less.
const LIVE_MAX: usize = 100_000;

/// What is kept of a `jti`.
type Mark = [u8; 16];

/// The `jti`s that each client has used and that have not expired. Bounded: clients are those of
/// the signed list of parties.
#[derive(Debug, Default)]
pub(super) struct Spent {
    clients: Mutex<HashMap<ClientId, Arc<Mutex<Book>>>>,
}

#[derive(Debug, Default)]
struct Book {
    seen: HashSet<Mark>,
    /// By the second of 1970 at whose end they are forgotten.
    by_expiry: BTreeMap<i64, Vec<Mark>>,
}

/// Why an assertion is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotFresh {
    /// It was used before.
    Used,
    /// The client has too many.
    TooMany,
}

impl Spent {
    /// Notes that a client used a `jti` which is good until `expires`.
    ///
    /// # Errors
    /// [`NotFresh`].
    pub(super) fn spend(
        &self,
        client: &ClientId,
        jti: &str,
        expires: i64,
        now: i64,
    ) -> Result<(), NotFresh> {
        let mark = mark(jti);
        let book = {
            let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
            match clients.get(client) {
                Some(book) => Arc::clone(book),
                None => Arc::clone(clients.entry(client.clone()).or_default()),
            }
        };
        let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
        book.forget(now);
        if book.seen.len() >= LIVE_MAX && !book.seen.contains(&mark) {
            return Err(NotFresh::TooMany);
        }
        if !book.seen.insert(mark) {
            return Err(NotFresh::Used);
        }
        book.by_expiry.entry(expires).or_default().push(mark);
        Ok(())
    }

    /// Forgets clients with nothing to remember: whoever left the list is among them.
    pub(super) fn sweep(&self, now: i64) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|_, book| {
            let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
            book.forget(now);
            !book.seen.is_empty()
        });
    }
}

impl Book {
    /// What expired is refused for that alone.
    fn forget(&mut self, now: i64) {
        while let Some(oldest) = self.by_expiry.first_entry() {
            if *oldest.key() > now {
                break;
            }
            for mark in oldest.remove() {
                self.seen.remove(&mark);
            }
        }
    }
}

/// A client chooses its own `jti`s, so half of a digest tells them apart.
fn mark(jti: &str) -> Mark {
    let mut mark = Mark::default();
    for (to, from) in mark
        .iter_mut()
        .zip(digest(&SHA256, jti.as_bytes()).as_ref())
    {
        *to = *from;
    }
    mark
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(name: &str) -> ClientId {
        ClientId::parse(name).unwrap()
    }

    #[test]
    fn a_jti_is_good_once_for_each_client_until_it_expires() {
        let spent = Spent::default();
        let (one, other) = (client("one"), client("other"));
        spent.spend(&one, "a", 300, 0).unwrap();
        assert_eq!(spent.spend(&one, "a", 300, 299), Err(NotFresh::Used));
        spent.spend(&other, "a", 300, 299).unwrap();
        spent.spend(&one, "b", 300, 299).unwrap();
        // Forgotten once the assertion itself is refused as expired.
        spent.spend(&one, "a", 600, 300).unwrap();
        assert_eq!(spent.spend(&one, "a", 600, 300), Err(NotFresh::Used));
    }

    #[test]
    fn a_client_has_room_for_so_many_and_others_do_not_pay_for_it() {
        let spent = Spent::default();
        let (one, other) = (client("one"), client("other"));
        for n in 0..LIVE_MAX {
            spent.spend(&one, &n.to_string(), 300, 0).unwrap();
        }
        assert_eq!(spent.spend(&one, "more", 300, 0), Err(NotFresh::TooMany));
        assert_eq!(spent.spend(&one, "0", 300, 0), Err(NotFresh::Used));
        spent.spend(&other, "more", 300, 0).unwrap();
        spent.spend(&one, "more", 600, 300).unwrap();
        spent.sweep(300);
        assert_eq!(spent.clients.lock().unwrap().len(), 1);
    }
}
