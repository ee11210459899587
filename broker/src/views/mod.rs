//! Fresh observations, in sled: a view, which the operators can be asked for again.
//!
//! sled 0.34 loses what it acknowledged when the power fails, and may not open afterwards, so it
//! holds nothing that can't be lost. A store that does not open, or that lost what it held when it
//! was closed, is set aside and begun anew, with a new epoch, and the broker serves on. One that was
//! never closed, because the process was killed, is begun anew too: it may have lost the last
//! changes that an operator pushed, and what is left could contradict them.

mod codec;
mod open;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use accord_proto::{msisdn::Msisdn, observation::Observation, party::OrgName, signal::Signal};
use aws_lc_rs::hmac;
use jiff::Timestamp;

pub use codec::Kept;
pub use open::ViewError;

use crate::link::restrictions::NumberDigest;

/// The view.
#[derive(Debug)]
pub struct Views {
    db: sled::Db,
    dir: PathBuf,
    key: hmac::Key,
    epoch: u64,
    failures: AtomicU64,
}

/// A view, and what was found at opening.
#[derive(Debug)]
pub struct Opened {
    /// The view.
    pub views: Arc<Views>,
    /// Where a damaged store was set aside to.
    pub set_aside: Option<PathBuf>,
}

impl Views {
    /// Opens the store in `dir`, with the key in `key_file`, which is made if there is none.
    /// `cache_bytes` is sled's page cache; it uses several times that.
    ///
    /// # Errors
    /// If neither the store nor a new one can be opened.
    pub fn open(dir: &Path, key_file: &Path, cache_bytes: u64) -> Result<Opened, ViewError> {
        let key = open::key(key_file)?;
        let (db, epoch, set_aside) = open::store(dir, cache_bytes)?;
        let views = Self {
            db,
            dir: dir.to_owned(),
            key,
            epoch,
            failures: AtomicU64::new(0),
        };
        Ok(Opened {
            views: Arc::new(views),
            set_aside,
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
        match self.db.get(codec::key(digest, signal)) {
            Ok(found) => codec::decode(&found?, signal),
            Err(error) => {
                self.failed(&error);
                None
            }
        }
    }

    /// Keeps an observation, unless a newer one is there. A change that an operator pushes says
    /// nothing of a lock (`None`): what it said before still holds.
    pub fn keep(
        &self,
        digest: &NumberDigest,
        signal: Signal,
        observation: &Observation,
        customer_lock: Option<bool>,
    ) {
        // Compared and set in one step: between a look and a write, a newer one may come.
        let kept = self
            .db
            .fetch_and_update(codec::key(digest, signal), |bytes| {
                let known = bytes.and_then(|bytes| codec::decode(bytes, signal));
                let newer = |known: &Kept| known.observation.observed_at > observation.observed_at;
                if known.as_ref().is_some_and(newer) {
                    return bytes.map(<[u8]>::to_vec);
                }
                let before = known.is_some_and(|known| known.customer_lock);
                Some(codec::encode(observation, customer_lock.unwrap_or(before)))
            });
        if let Err(error) = kept {
            self.failed(&error);
        }
    }

    /// Removes what was observed before `older_than`, and what does not decode. It reads the whole
    /// store, so it is no work for a thread that others wait for. Returns how many went.
    pub fn sweep(&self, older_than: Timestamp) -> u64 {
        let mut removed = 0;
        for record in self.db.iter() {
            let (key, bytes) = match record {
                Ok(record) => record,
                Err(error) => {
                    self.failed(&error);
                    return removed;
                }
            };
            let Some(signal) = codec::signal(&key) else {
                continue;
            };
            let fresh = codec::decode(&bytes, signal)
                .is_some_and(|kept| kept.observation.observed_at >= older_than);
            if fresh {
                continue;
            }
            // A newer one that came just now stays.
            match self
                .db
                .compare_and_swap(key, Some(bytes), None::<sled::IVec>)
            {
                Ok(swapped) => removed += u64::from(swapped.is_ok()),
                Err(error) => {
                    self.failed(&error);
                    return removed;
                }
            }
        }
        removed
    }

    /// Forgets all about a number, after an opt-out.
    pub fn forget(&self, digest: &NumberDigest) {
        for signal in Signal::ALL {
            if let Err(error) = self.db.remove(codec::key(digest, *signal)) {
                self.failed(&error);
            }
        }
    }

    /// Counts up with each store that was begun anew.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Reads and writes that failed since start.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Writes out what sled still holds, and marks the store as whole, at shutdown. A store without
    /// that mark is begun anew at the next start.
    pub fn close(&self) {
        if let Err(error) = open::close(&self.db, &self.dir) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the view is not kept"
            );
        }
    }

    fn failed(&self, error: &sled::Error) {
        // A failing store fails at each call; the log gets one line in a thousand.
        if self
            .failures
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(1_000)
        {
            tracing::error!(%error, "the view fails; operators are asked instead");
        }
    }
}

#[cfg(test)]
mod tests {
    use accord_proto::observation::{Observed, Roaming, SourceClass};
    use jiff::SignedDuration;

    use super::*;

    fn seen(at: &str) -> Observation {
        let what = Observed::Roaming(Roaming {
            roaming: true,
            visited_mcc: Some(208),
        });
        let observed_at: Timestamp = at.parse().unwrap();
        Observation {
            what,
            observed_at,
            source: SourceClass::Network,
        }
    }

    fn north() -> OrgName {
        OrgName::parse("north-mobile").unwrap()
    }

    fn keep(views: &Views, digest: &NumberDigest, at: &str) {
        views.keep(digest, Signal::Roaming, &seen(at), None);
    }

    fn open(dir: &Path) -> Opened {
        Views::open(&dir.join("view"), &dir.join("view.key"), 1 << 20).unwrap()
    }

    #[test]
    fn keeps_the_newest_observation_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let number = Msisdn::parse("+447700900006").unwrap();
        let views = open(dir.path()).views;
        let digest = views.digest(&north(), &number);
        let (newer, older) = (seen("2026-11-21T12:00:00Z"), seen("2026-11-21T11:00:00Z"));
        views.keep(&digest, Signal::Roaming, &newer, None);
        views.keep(&digest, Signal::Roaming, &older, None);
        let epoch = views.epoch();
        views.close();
        drop(views);
        let again = open(dir.path());
        assert!(again.set_aside.is_none());
        assert_eq!(again.views.epoch(), epoch);
        let found = again.views.find(&digest, Signal::Roaming).unwrap();
        assert_eq!(found.observation, newer);
        assert_eq!(again.views.find(&digest, Signal::SimSwap), None);
    }

    #[test]
    fn what_one_operator_said_is_not_found_as_anothers() {
        let dir = tempfile::tempdir().unwrap();
        let number = Msisdn::parse("+447700900006").unwrap();
        let views = open(dir.path()).views;
        let digest = views.digest(&north(), &number);
        keep(&views, &digest, "2026-11-21T12:00:00Z");
        let ported = views.digest(&OrgName::parse("south-mobile").unwrap(), &number);
        assert_eq!(views.find(&ported, Signal::Roaming), None);
        assert!(views.find(&digest, Signal::Roaming).is_some());
    }

    #[test]
    fn an_older_observation_never_overwrites_a_newer_one_that_comes_at_the_same_time() {
        let dir = tempfile::tempdir().unwrap();
        let views = open(dir.path()).views;
        let number = Msisdn::parse("+447700900006").unwrap();
        let digest = views.digest(&north(), &number);
        let at = |minutes: i64| {
            let mut one = seen("2026-01-01T00:00:00Z");
            one.observed_at += SignedDuration::from_mins(minutes);
            one
        };
        let start = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            for first in 0..2 {
                let (views, start) = (&views, &start);
                scope.spawn(move || {
                    for minutes in 0..2_000 {
                        start.wait();
                        views.keep(&digest, Signal::Roaming, &at(minutes * 2 + first), None);
                        start.wait();
                        let found = views.find(&digest, Signal::Roaming).unwrap();
                        assert_eq!(found.observation, at(minutes * 2 + 1));
                    }
                });
            }
        });
    }

    #[test]
    fn a_sweep_removes_what_is_too_old_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let views = open(dir.path()).views;
        let digest = |number| views.digest(&north(), &Msisdn::parse(number).unwrap());
        let (old, new) = (digest("+447700900006"), digest("+447700900007"));
        keep(&views, &old, "2026-11-21T11:59:59Z");
        keep(&views, &new, "2026-11-21T12:00:00Z");
        assert_eq!(views.sweep("2026-11-21T12:00:00Z".parse().unwrap()), 1);
        assert_eq!(views.find(&old, Signal::Roaming), None);
        assert!(views.find(&new, Signal::Roaming).is_some());
        // The records that are no observations are still there.
        let epoch = views.epoch();
        views.close();
        drop(views);
        let again = open(dir.path());
        assert!(again.set_aside.is_none());
        assert_eq!(again.views.epoch(), epoch);
    }

    #[test]
    fn a_damaged_store_is_set_aside_and_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let number = Msisdn::parse("+447700900006").unwrap();
        let views = open(dir.path()).views;
        let digest = views.digest(&north(), &number);
        for hours in 0..2_000 {
            let mut one = seen("2026-01-01T00:00:00Z");
            one.observed_at += SignedDuration::from_hours(hours);
            views.keep(&digest, Signal::Roaming, &one, None);
        }
        let epoch = views.epoch();
        views.close();
        drop(views);
        let conf = dir.path().join("view").join("conf");
        std::fs::write(conf, b"this is no sled store, but it was one a moment ago").unwrap();
        let again = open(dir.path());
        assert!(again.set_aside.is_some_and(|aside| aside.exists()));
        assert_ne!(again.views.epoch(), epoch);
        assert_eq!(again.views.find(&digest, Signal::Roaming), None);
        keep(&again.views, &digest, "2026-11-21T12:00:00Z");
        assert!(again.views.find(&digest, Signal::Roaming).is_some());
    }

    #[test]
    fn a_store_that_was_not_closed_is_begun_anew_and_not_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let number = Msisdn::parse("+447700900006").unwrap();
        let views = open(dir.path()).views;
        let digest = views.digest(&north(), &number);
        keep(&views, &digest, "2026-11-21T12:00:00Z");
        let epoch = views.epoch();
        drop(views);
        let again = open(dir.path());
        assert!(again.set_aside.is_none());
        assert_ne!(again.views.epoch(), epoch);
        assert_eq!(again.views.find(&digest, Signal::Roaming), None);
    }

    #[test]
    fn a_store_that_lost_its_end_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let views = open(dir.path()).views;
        views.close();
        drop(views);
        let marker = dir.path().join("view").join("closed");
        std::fs::write(marker, [0; 16]).unwrap();
        assert!(open(dir.path()).set_aside.is_some());
    }

    #[test]
    fn no_number_lies_in_the_store() {
        let dir = tempfile::tempdir().unwrap();
        let views = open(dir.path()).views;
        let number = Msisdn::parse("+447700900006").unwrap();
        let digest = views.digest(&north(), &number);
        keep(&views, &digest, "2026-11-21T12:00:00Z");
        views.close();
        drop(views);
        let mut bytes = 0;
        for file in std::fs::read_dir(dir.path().join("view")).unwrap() {
            let path = file.unwrap().path();
            if path.is_file() {
                let content = std::fs::read(path).unwrap();
                bytes += content.len();
                assert!(!content.windows(9).any(|window| window == b"700900006"));
            }
        }
        assert!(bytes > 0);
    }
}
