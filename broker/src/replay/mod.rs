//! Repeated questions: the same request id with the same content within ten minutes gets the same
//! answer and receipt, without a second entry or quota.
//!
//! In memory there are 32 bytes for each answered question; the answers themselves lie encrypted
//! in a spool of one file a minute. The spool's key lives in the process alone, so what it holds
//! can't be read by anybody else, nor after a restart. Ids from before a restart are forgotten.

mod spool;

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, RandomState},
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use accord_proto::{party::OrgName, wire::Lookup};
use jiff::Timestamp;
use tokio::sync::Notify;

pub use spool::SpoolError;
use spool::{Place, Spool};

use crate::unpoisoned;

/// For how long a repeat finds its answer, in minutes.
pub const WINDOW_MINUTES: u32 = 10;
const SHARDS: usize = 64;

/// The answers of the last ten minutes. Trees and no hash tables, as in `subjects::state`.
#[derive(Debug)]
pub struct Replays {
    shards: Vec<Mutex<BTreeMap<u64, Slot>>>,
    hasher: RandomState,
    spool: Spool,
    swept_minute: Mutex<u32>,
    /// Wakes repeats that wait for the first one's answer.
    finished: Notify,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    content: u64,
    /// `None` while the question is on its way.
    place: Option<Place>,
}

/// What a request id turned out to be.
#[derive(Debug)]
pub enum Claim {
    /// New: answer it and complete the ticket.
    Fresh(Ticket),
    /// A repeat of an answered question: its answer.
    Repeat(Vec<u8>),
    /// The first one is still on its way.
    InFlight,
    /// The id belongs to another question.
    Reused,
}

/// The right to answer a request id. Dropped unused, it frees the id.
#[derive(Debug)]
pub struct Ticket {
    replays: Arc<Replays>,
    key: u64,
    content: u64,
    done: bool,
}

impl Replays {
    /// Opens an empty store; what an earlier process left in `dir` is removed.
    ///
    /// # Errors
    /// If the directory can't be used.
    pub fn open(dir: &Path, bytes_max: u64) -> Result<Arc<Self>, SpoolError> {
        Ok(Arc::new(Self {
            shards: std::iter::repeat_with(Mutex::default)
                .take(SHARDS)
                .collect(),
            hasher: RandomState::new(),
            spool: Spool::open(dir, bytes_max)?,
            swept_minute: Mutex::new(0),
            finished: Notify::new(),
        }))
    }

    /// Claims the request id of a question, and waits while its first asking is on its way.
    pub async fn claim_when_settled(
        self: &Arc<Self>,
        bank: &OrgName,
        question: &Lookup,
        now: Timestamp,
    ) -> Claim {
        loop {
            let finished = self.finished.notified();
            match self.claim(bank, question, now) {
                Claim::InFlight => finished.await,
                settled @ (Claim::Fresh(_) | Claim::Repeat(_) | Claim::Reused) => return settled,
            }
        }
    }

    /// Claims the request id of a question. A question without one is always fresh.
    pub fn claim(self: &Arc<Self>, bank: &OrgName, question: &Lookup, now: Timestamp) -> Claim {
        let minute = minute(now);
        self.sweep(minute);
        let key = match &question.request_id {
            Some(id) => self.hasher.hash_one((bank, id)),
            None => return Claim::Fresh(self.ticket(None, 0)),
        };
        let content = self.hasher.hash_one(question);
        let Some(mut shard) = self.shard(key) else {
            return Claim::InFlight;
        };
        match shard.get(&key).copied() {
            None => {
                shard.insert(
                    key,
                    Slot {
                        content,
                        place: None,
                    },
                );
                Claim::Fresh(self.ticket(Some(key), content))
            }
            Some(slot) if slot.content != content => Claim::Reused,
            Some(Slot { place: None, .. }) => Claim::InFlight,
            Some(Slot {
                place: Some(place), ..
            }) => {
                drop(shard);
                match self.spool.read(place) {
                    Some(answer) => Claim::Repeat(answer),
                    // The spool was cut short by its size limit: the id is as good as new.
                    None => {
                        if let Some(mut shard) = self.shard(key) {
                            shard.insert(
                                key,
                                Slot {
                                    content,
                                    place: None,
                                },
                            );
                        }
                        Claim::Fresh(self.ticket(Some(key), content))
                    }
                }
            }
        }
    }

    /// Request ids held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| unpoisoned::lock(shard).len())
            .sum()
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn ticket(self: &Arc<Self>, key: Option<u64>, content: u64) -> Ticket {
        let done = key.is_none();
        Ticket {
            replays: Arc::clone(self),
            key: key.unwrap_or(0),
            content,
            done,
        }
    }

    /// Forgets ids whose minute has passed, once a minute.
    fn sweep(&self, minute: u32) {
        let Ok(mut swept) = self.swept_minute.try_lock() else {
            return;
        };
        if *swept == minute {
            return;
        }
        *swept = minute;
        let oldest = self
            .spool
            .drop_before(minute.saturating_sub(WINDOW_MINUTES));
        for shard in &self.shards {
            unpoisoned::lock(shard)
                .retain(|_, slot| slot.place.is_none_or(|place| place.minute() >= oldest));
        }
    }

    fn shard(&self, key: u64) -> Option<MutexGuard<'_, BTreeMap<u64, Slot>>> {
        let at = usize::try_from(key % SHARDS as u64).ok()?;
        Some(unpoisoned::lock(self.shards.get(at)?))
    }
}

impl Ticket {
    /// Whether the question has an id by which it can be repeated.
    #[must_use]
    pub const fn is_kept(&self) -> bool {
        !self.done
    }

    /// Keeps the answer for repeats.
    pub fn complete(mut self, answer: &[u8], now: Timestamp) {
        if self.done {
            return;
        }
        let place = self.replays.spool.append(answer, minute(now));
        if let Some(mut shard) = self.replays.shard(self.key) {
            match place {
                Some(place) => {
                    shard.insert(
                        self.key,
                        Slot {
                            content: self.content,
                            place: Some(place),
                        },
                    );
                }
                None => {
                    shard.remove(&self.key);
                }
            }
        }
        self.done = true;
        self.replays.finished.notify_waiters();
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.done
            && let Some(mut shard) = self.replays.shard(self.key)
        {
            shard.remove(&self.key);
            drop(shard);
            self.replays.finished.notify_waiters();
        }
    }
}

fn minute(at: Timestamp) -> u32 {
    u32::try_from(at.as_second() / 60).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use accord_proto::{msisdn::Msisdn, purpose::Purpose, signal::Question};
    use jiff::SignedDuration;

    use super::*;

    fn question(number: &str, id: &str) -> Lookup {
        Lookup {
            msisdn: Msisdn::parse(number).unwrap(),
            purpose: Purpose::Payment,
            questions: vec![Question::Roaming],
            on_behalf_of: None,
            customer_ref: None,
            consent_ref: None,
            request_id: (!id.is_empty()).then(|| id.to_owned()),
            proof: false,
        }
    }

    fn store() -> (tempfile::TempDir, Arc<Replays>, OrgName, Timestamp) {
        let dir = tempfile::tempdir().unwrap();
        let replays = Replays::open(dir.path(), 1 << 20).unwrap();
        let bank = OrgName::parse("first-bank").unwrap();
        (dir, replays, bank, "2026-11-21T12:00:00Z".parse().unwrap())
    }

    fn fresh(claim: Claim) -> Ticket {
        let Claim::Fresh(ticket) = claim else {
            panic!("not fresh: {claim:?}");
        };
        ticket
    }

    #[test]
    fn a_repeat_gets_the_same_answer_for_ten_minutes() {
        let (_dir, replays, bank, now) = store();
        let question = question("+447700900001", "id-1");
        fresh(replays.claim(&bank, &question, now)).complete(b"the answer", now);
        let later = now + SignedDuration::from_mins(9);
        let claim = replays.claim(&bank, &question, later);
        assert!(matches!(claim, Claim::Repeat(answer) if answer == b"the answer"));
        let much_later = now + SignedDuration::from_mins(12);
        fresh(replays.claim(&bank, &question, much_later));
    }

    #[test]
    fn an_id_with_other_content_is_reused() {
        let (_dir, replays, bank, now) = store();
        fresh(replays.claim(&bank, &question("+447700900001", "id-1"), now)).complete(b"a", now);
        let other = replays.claim(&bank, &question("+447700900002", "id-1"), now);
        assert!(matches!(other, Claim::Reused));
    }

    #[test]
    fn two_banks_may_choose_the_same_id() {
        let (_dir, replays, bank, now) = store();
        let second = OrgName::parse("second-bank").unwrap();
        let question = question("+447700900001", "id-1");
        fresh(replays.claim(&bank, &question, now)).complete(b"a", now);
        fresh(replays.claim(&second, &question, now));
    }

    #[test]
    fn an_abandoned_question_frees_its_id() {
        let (_dir, replays, bank, now) = store();
        let question = question("+447700900001", "id-1");
        let ticket = fresh(replays.claim(&bank, &question, now));
        assert!(matches!(
            replays.claim(&bank, &question, now),
            Claim::InFlight
        ));
        drop(ticket);
        fresh(replays.claim(&bank, &question, now));
    }

    #[test]
    fn no_answer_lies_on_disk_in_clear() {
        let (dir, replays, bank, now) = store();
        let secret = vec![b'S'; 100_000];
        fresh(replays.claim(&bank, &question("+447700900001", "id-1"), now)).complete(&secret, now);
        let mut bytes = 0;
        for file in std::fs::read_dir(dir.path()).unwrap() {
            let content = std::fs::read(file.unwrap().path()).unwrap();
            bytes += content.len();
            assert!(!content.windows(8).any(|window| window == b"SSSSSSSS"));
        }
        assert!(bytes >= secret.len());
    }

    #[test]
    fn beyond_its_size_the_store_forgets_the_oldest() {
        let (_dir, replays, bank, now) = store();
        for at in 0..40_u32 {
            let then = now + SignedDuration::from_mins(i64::from(at / 8));
            let question = question("+447700900001", &format!("id-{at}"));
            fresh(replays.claim(&bank, &question, then)).complete(&vec![7; 65_000], then);
        }
        let later = now + SignedDuration::from_mins(5);
        fresh(replays.claim(&bank, &question("+447700900001", "id-0"), later));
        let newest = replays.claim(&bank, &question("+447700900001", "id-39"), later);
        assert!(matches!(newest, Claim::Repeat(_)));
    }
}
