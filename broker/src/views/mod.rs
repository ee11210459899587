//! Fresh observations, in sled: a view, which the operators can be asked for again.
//!
//! sled 0.34 loses what it acknowledged when the power fails, and may not open afterwards, so it
//! holds nothing that can't be lost. A store that does not open, that lost what it held when it was
//! closed, or in which damage was met at run time, is set aside and begun anew, with a new epoch, and
//! the broker serves on. One that was never closed, because the process was killed, is begun anew
//! too: it may have lost the last changes that an operator pushed, and what is left could contradict
//! them. One that could not be written is no more used, for the same reason.

mod codec;
mod guarded;
mod open;
#[cfg(test)]
mod tests;
mod weigh;

use std::{path::Path, sync::Arc};

use accord_proto::{
    clock::SharedClock, msisdn::Msisdn, observation::Observation, party::OrgName, signal::Signal,
    wire::CLOCK_SKEW_MAX,
};
use aws_lc_rs::hmac;
use jiff::{SignedDuration, Timestamp};

pub use codec::Kept;
pub use open::{Rebuilt, ViewError};

use crate::link::{Operator, Said, restrictions::NumberDigest};
use guarded::Guarded;
use weigh::{Verdict, tells, verdict};

/// The shortest time between two instants.
const INSTANT_MIN: SignedDuration = SignedDuration::from_micros(1);

/// The view.
#[derive(Debug)]
pub struct Views {
    store: Guarded,
    key: hmac::Key,
    epoch: u64,
}

/// A view, and what was found at opening.
#[derive(Debug)]
pub struct Opened {
    /// The view.
    pub views: Arc<Views>,
    /// Why the store was begun anew, if it was.
    pub rebuilt: Option<Rebuilt>,
}

impl Views {
    /// Opens the store in `dir`, with the key in `key_file`, which is made if there is none.
    /// `cache_bytes` is sled's page cache; it uses several times that.
    ///
    /// # Errors
    /// If neither the store nor a new one can be opened.
    pub fn open(dir: &Path, key_file: &Path, cache_bytes: u64) -> Result<Opened, ViewError> {
        let (key, made) = open::key(key_file)?;
        let (db, epoch, mut rebuilt) = open::store(dir, cache_bytes)?;
        if made {
            // The first start: there was none before.
            rebuilt = rebuilt.filter(|rebuilt| *rebuilt != Rebuilt::Missing);
        }
        let views = Self {
            store: Guarded::new(db, dir.to_owned()),
            key,
            epoch,
        };
        Ok(Opened {
            views: Arc::new(views),
            rebuilt,
        })
    }

    /// The digest by which an operator's number is known here. After a port the new operator's
    /// digest is another one, so what the old one said is never served as the new one's word.
    #[must_use]
    pub fn digest(&self, operator: &OrgName, msisdn: &Msisdn) -> NumberDigest {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(operator.as_str().as_bytes());
        // No name holds it, so no two pairs run together.
        context.update(&[0]);
        context.update(msisdn.expose().as_bytes());
        let tag = context.sign();
        let mut digest = NumberDigest::default();
        for (to, from) in digest.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        digest
    }

    /// The newest observation, if there is one. A record that does not decode is as good as none.
    #[must_use]
    pub fn find(&self, digest: &NumberDigest, signal: Signal) -> Option<Kept> {
        let found = self.store.read(|db| db.get(codec::key(digest, signal)));
        codec::decode(&found??, signal)
    }

    /// Keeps what an operator answered, unless a newer observation is there. Where the older one of the
    /// two tells what the newer one does not know of, neither is kept: who asks next asks the operator.
    /// `rests_on` is what it said it in.
    pub fn keep(
        &self,
        digest: &NumberDigest,
        signal: Signal,
        observation: &Observation,
        customer_lock: bool,
        rests_on: &Said,
    ) {
        let said_at = observation.observed_at;
        self.weigh(
            digest,
            signal,
            observation,
            Some(customer_lock),
            rests_on,
            said_at,
        );
    }

    /// Keeps what an operator pushed, as [`Self::keep`] does. Where neither is kept, answers are on
    /// their way that know no more of it: nothing is kept of what was observed until `now`.
    pub fn push(
        &self,
        digest: &NumberDigest,
        signal: Signal,
        observation: &Observation,
        rests_on: &Said,
        now: Timestamp,
    ) {
        // It says nothing of a lock: what was said before still holds.
        self.weigh(digest, signal, observation, None, rests_on, now);
    }

    fn weigh(
        &self,
        digest: &NumberDigest,
        signal: Signal,
        said: &Observation,
        customer_lock: Option<bool>,
        rests_on: &Said,
        said_at: Timestamp,
    ) {
        self.update(digest, signal, |bytes| {
            let withdrawn = bytes.and_then(codec::decode_withdrawn);
            if withdrawn.is_some_and(|until| said.observed_at <= until) {
                return bytes.map(<[u8]>::to_vec);
            }
            let Some(held) = bytes.and_then(|bytes| codec::decode(bytes, signal)) else {
                let lock = customer_lock.unwrap_or_default();
                return Some(codec::encode(said, lock, rests_on));
            };
            match verdict(&held.observation, said) {
                Verdict::Neither => {
                    let newer = held.observation.observed_at.max(said.observed_at);
                    let until = withdrawn_until(newer.max(said_at));
                    Some(codec::encode_withdrawn(until))
                }
                Verdict::Stays => bytes.map(<[u8]>::to_vec),
                Verdict::Yields => {
                    let lock = customer_lock.unwrap_or(held.customer_lock);
                    Some(codec::encode(said, lock, rests_on))
                }
            }
        });
    }

    /// Puts in the place of one record what becomes of it, in one step: between a look and a write, a
    /// newer one may come. A record that stays as it is, or is not there and stays so, is only looked at;
    /// sled's `fetch_and_update` would write all the same.
    fn update(
        &self,
        digest: &NumberDigest,
        signal: Signal,
        change: impl Fn(Option<&[u8]>) -> Option<Vec<u8>>,
    ) {
        let key = codec::key(digest, signal);
        self.store.write(|db| {
            let mut held = db.get(key)?;
            loop {
                let next = change(held.as_deref());
                if next.as_deref() == held.as_deref() {
                    return Ok(());
                }
                match db.compare_and_swap(key, held, next)? {
                    Ok(()) => return Ok(()),
                    Err(swap) => held = swap.current,
                }
            }
        });
    }

    /// Forgets one signal of a number, and keeps nothing of what was observed until `now`: an operator
    /// told that it holds no more, while somebody may have been told it who asked before.
    pub fn withdraw(&self, digest: &NumberDigest, signal: Signal, now: Timestamp) {
        let record = codec::encode_withdrawn(withdrawn_until(now));
        self.store
            .write(|db| db.insert(codec::key(digest, signal), record));
    }

    /// Removes what was observed before `older_than`, and what does not decode. It reads the whole
    /// store, so it is no work for a thread that others wait for. Returns how many went.
    pub fn sweep(&self, older_than: Timestamp) -> u64 {
        let mut removed = 0;
        self.store.write(|db| {
            for record in db.iter() {
                let (key, bytes) = record?;
                let Some(signal) = codec::signal(&key) else {
                    continue;
                };
                let observed_at =
                    codec::decode(&bytes, signal).map(|kept| kept.observation.observed_at);
                let of = observed_at.or_else(|| codec::decode_withdrawn(&bytes));
                if of.is_some_and(|at| at >= older_than) {
                    continue;
                }
                // A newer one that came just now stays.
                let swapped = db.compare_and_swap(key, Some(bytes), None::<sled::IVec>)?;
                removed += u64::from(swapped.is_ok());
            }
            Ok(())
        });
        removed
    }

    /// Withdraws all that is held of a number, after an opt-out. What was withdrawn before stays so.
    pub fn withdraw_all(&self, digest: &NumberDigest, now: Timestamp) {
        let until = withdrawn_until(now);
        for signal in Signal::ALL {
            // Of most of the many who opt out nothing is held, and then nothing is written.
            self.update(digest, *signal, |bytes| {
                bytes.map(|_| codec::encode_withdrawn(until))
            });
        }
    }

    /// Does what may keep something of a number, unless its holder has opted out: of whoever has, nothing
    /// stays, though a law may let it be told.
    pub fn unless_opted_out(
        &self,
        operator: &Operator,
        digest: &NumberDigest,
        clock: &SharedClock,
        keep: impl FnOnce(),
    ) {
        if operator.opted_out(digest) {
            return;
        }
        keep();
        // An opt-out may have come meanwhile, from another instance too. It is in force before the view
        // forgets: whichever comes first, nothing stays.
        if operator.opted_out(digest) {
            self.withdraw_all(digest, clock.now());
        }
    }

    /// Holds what an operator answered, which is not to be kept, against what is held of one signal:
    /// where that does not tell the same, it is forgotten, and nothing is kept of what was observed
    /// before. `said` is an observation and whether the SIM is locked; `None`: the operator can tell
    /// nothing of this number.
    pub fn doubt(
        &self,
        digest: &NumberDigest,
        signal: Signal,
        said: Option<(&Observation, bool)>,
        now: Timestamp,
    ) {
        self.update(digest, signal, |bytes| {
            let bytes = bytes?;
            let unchanged = Some(bytes.to_vec());
            // What was withdrawn stays so.
            let Some(held) = codec::decode(bytes, signal) else {
                return unchanged;
            };
            let (of, told) = match said {
                Some((said, lock)) => {
                    let same = tells(&held.observation, said) && held.customer_lock == lock;
                    (said.observed_at, same)
                }
                None => (now, false),
            };
            if told {
                return unchanged;
            }
            // The same answer, to a question under a clause with caching, may be kept.
            let until = of.max(held.observation.observed_at);
            let until = until.checked_sub(INSTANT_MIN).unwrap_or(Timestamp::MIN);
            Some(codec::encode_withdrawn(until))
        });
    }

    /// Counts up with each store that was begun anew.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether it is read and written; if not, operators are asked until the next start.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        self.store.is_in_use()
    }

    /// Reads and writes that failed since start.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.store.failures()
    }

    /// Writes out what sled still holds, and marks the store as whole, at shutdown. A store without
    /// that mark is begun anew at the next start.
    pub fn close(&self) {
        if let Err(error) = self.store.close() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the view is not kept"
            );
        }
    }
}

/// What is on its way to somebody who asked before may be as new as the clock of an adapter.
fn withdrawn_until(now: Timestamp) -> Timestamp {
    now.checked_add(CLOCK_SKEW_MAX).unwrap_or(Timestamp::MAX)
}
