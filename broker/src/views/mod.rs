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

use accord_proto::{msisdn::Msisdn, observation::Observation, signal::Signal};
use aws_lc_rs::hmac;

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

    /// The digest by which a number is known here.
    #[must_use]
    pub fn digest(&self, msisdn: &Msisdn) -> NumberDigest {
        let tag = hmac::sign(&self.key, msisdn.expose().as_bytes());
        let mut digest = NumberDigest::default();
        for (to, from) in digest.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        digest
    }

    /// The newest observation, if there is one. A record that does not decode is as good as none.
    #[must_use]
    pub fn find(&self, digest: &NumberDigest, signal: Signal) -> Option<Observation> {
        match self.db.get(codec::key(digest, signal)) {
            Ok(found) => codec::decode(&found?, signal),
            Err(error) => {
                self.failed(&error);
                None
            }
        }
    }

    /// Keeps an observation, unless a newer one is there.
    pub fn keep(&self, digest: &NumberDigest, signal: Signal, observation: &Observation) {
        let newer = self
            .find(digest, signal)
            .is_some_and(|known| known.observed_at > observation.observed_at);
        if newer {
            return;
        }
        if let Err(error) = self
            .db
            .insert(codec::key(digest, signal), codec::encode(observation))
        {
            self.failed(&error);
        }
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
    use jiff::{SignedDuration, Timestamp};

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

    fn open(dir: &Path) -> Opened {
        Views::open(&dir.join("view"), &dir.join("view.key"), 1 << 20).unwrap()
    }

    #[test]
    fn keeps_the_newest_observation_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let number = Msisdn::parse("+447700900006").unwrap();
        let views = open(dir.path()).views;
        let digest = views.digest(&number);
        let (newer, older) = (seen("2026-11-21T12:00:00Z"), seen("2026-11-21T11:00:00Z"));
        views.keep(&digest, Signal::Roaming, &newer);
        views.keep(&digest, Signal::Roaming, &older);
        let epoch = views.epoch();
        views.close();
        drop(views);
        let again = open(dir.path());
        assert!(again.set_aside.is_none());
        assert_eq!(again.views.epoch(), epoch);
        assert_eq!(again.views.find(&digest, Signal::Roaming), Some(newer));
        assert_eq!(again.views.find(&digest, Signal::SimSwap), None);
    }

    #[test]
    fn a_damaged_store_is_set_aside_and_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let number = Msisdn::parse("+447700900006").unwrap();
        let views = open(dir.path()).views;
        let digest = views.digest(&number);
        for hours in 0..2_000 {
            let mut one = seen("2026-01-01T00:00:00Z");
            one.observed_at += SignedDuration::from_hours(hours);
            views.keep(&digest, Signal::Roaming, &one);
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
        again
            .views
            .keep(&digest, Signal::Roaming, &seen("2026-11-21T12:00:00Z"));
        assert!(again.views.find(&digest, Signal::Roaming).is_some());
    }

    #[test]
    fn a_store_that_was_not_closed_is_begun_anew_and_not_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let number = Msisdn::parse("+447700900006").unwrap();
        let views = open(dir.path()).views;
        let digest = views.digest(&number);
        views.keep(&digest, Signal::Roaming, &seen("2026-11-21T12:00:00Z"));
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
        views.keep(
            &views.digest(&number),
            Signal::Roaming,
            &seen("2026-11-21T12:00:00Z"),
        );
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
