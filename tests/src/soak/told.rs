//! What a writer told, and whether the ledger still holds it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use accord_broker::ledger::{Ledger, LedgerError};
use accord_client::verify_dir;
use accord_proto::{
    c2sp::{LogProof, SigningKey, VerifierKey},
    clock::ManualClock,
    merkle::leaf_hash,
};
use jiff::Timestamp;

use super::{
    SoakError,
    error::chain,
    table::Outcome,
    writer::{Order, config, entry, hex},
};

/// All that was acknowledged, and what else was told.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// Leaf hash of each entry, by log and index.
    pub(super) acknowledged: BTreeMap<(String, u64), String>,
    /// Why appends were refused.
    pub(super) refused: Vec<String>,
    /// Why the ledger did not open.
    pub(super) failed: Option<String>,
    /// It ended by itself.
    pub(super) done: bool,
    /// Two entries were acknowledged at one index, or a line makes no sense.
    pub(super) contradiction: Option<String>,
}

impl Told {
    /// Takes a line in.
    pub(super) fn hear(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "ack" => self.acknowledge(rest),
            "refused" => self.refused.push(rest.to_owned()),
            "failed" => self.failed = Some(rest.to_owned()),
            "done" => self.done = true,
            _ => self.contradiction = Some(format!("a writer said `{line}`")),
        }
    }

    fn acknowledge(&mut self, rest: &str) {
        let words: Vec<&str> = rest.split(' ').collect();
        let &[origin, index, hash] = words.as_slice() else {
            self.contradiction = Some(format!("a writer acknowledged `{rest}`"));
            return;
        };
        let place = (origin.to_owned(), index.parse().unwrap_or(u64::MAX));
        let before = self.acknowledged.insert(place, hash.to_owned());
        if before.is_some_and(|before| before != hash) {
            self.contradiction = Some(format!("two entries were acknowledged at {index}"));
        }
    }

    /// How many entries were acknowledged.
    pub(super) fn len(&self) -> usize {
        self.acknowledged.len()
    }
}

/// A ledger's directory, and the key that opens it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) dir: PathBuf,
    pub(super) key: PathBuf,
}

impl Place {
    /// Makes a ledger. Its first month is the one in which a manual clock begins, or this one.
    pub(super) fn init(parent: &Path, now: Timestamp) -> Result<Self, SoakError> {
        let place = Self {
            dir: parent.join("ledger"),
            key: parent.join("log.key"),
        };
        let key = SigningKey::generate("accord-soak")?;
        let text = key.to_secret_text();
        std::fs::write(&place.key, text.expose()).map_err(SoakError::io("write", &place.key))?;
        let authority = SigningKey::generate("authority")?.verifier().clone();
        let clock = ManualClock::at(now);
        Ledger::init(&place.dir, &key, &[authority], &(clock as _))?;
        Ok(place)
    }

    /// The same key over a copy elsewhere.
    pub(super) fn at(&self, dir: PathBuf) -> Self {
        Self {
            dir,
            key: self.key.clone(),
        }
    }

    pub(super) fn order(&self) -> Order {
        Order {
            dir: self.dir.clone(),
            key: self.key.clone(),
            waiters: 1,
            entries: 0,
            bytes: 200,
            turn_at: 0,
        }
    }

    pub(super) fn vkey(&self) -> Result<VerifierKey, SoakError> {
        Ok(config(&self.order())?.key.verifier().clone())
    }

    /// Opens the ledger after its last entry.
    pub(super) fn open(&self, now: Timestamp) -> Result<Ledger, LedgerError> {
        let config = config(&self.order());
        let config = config.map_err(|_| LedgerError::Setting("has no key"))?;
        Ledger::open(config, ManualClock::at(now)).map(|(ledger, _)| ledger)
    }

    /// Whether the ledger opens, holds what was acknowledged, proves it, takes one more entry, and
    /// is found whole by the auditor's offline verifier.
    pub(super) fn look(&self, told: &Told, now: Timestamp) -> Outcome {
        if let Some(what) = &told.contradiction {
            return Outcome::Bad(what.clone());
        }
        let ledger = match self.open(now) {
            Ok(ledger) => ledger,
            Err(error) => return Outcome::Refused(chain(&error)),
        };
        let held = self.held(&ledger, told);
        if held != Outcome::Kept {
            return held;
        }
        if let Err(error) = ledger.append_blocking(entry(u64::MAX, 100)) {
            return Outcome::Refused(chain(&error));
        }
        ledger.stop();
        let verified = self.vkey().map(|key| verify_dir(&self.dir, &[key]));
        match verified {
            Ok(Ok(_)) => Outcome::Kept,
            Ok(Err(error)) => Outcome::Bad(format!("it goes on, yet {}", chain(&error))),
            Err(error) => Outcome::Bad(error.chain()),
        }
    }

    /// Reads every entry that was acknowledged, and proves some of them.
    pub(super) fn held(&self, ledger: &Ledger, told: &Told) -> Outcome {
        let mut by_log: BTreeMap<&str, Vec<(u64, &str)>> = BTreeMap::new();
        for ((origin, index), hash) in &told.acknowledged {
            by_log.entry(origin).or_default().push((*index, hash));
        }
        for (origin, acknowledged) in by_log {
            match self.log_held(ledger, origin, &acknowledged) {
                Outcome::Kept => {}
                other @ (Outcome::Refused(_) | Outcome::Bad(_)) => return other,
            }
        }
        Outcome::Kept
    }

    fn log_held(&self, ledger: &Ledger, origin: &str, acknowledged: &[(u64, &str)]) -> Outcome {
        let last = acknowledged.last().map_or(0, |(index, _)| *index);
        let entries = match ledger.entries(Some(origin), 0, last + 1) {
            Ok(entries) => entries,
            Err(error) => return Outcome::Refused(chain(&error)),
        };
        for (index, hash) in acknowledged {
            let found = usize::try_from(*index).ok().and_then(|at| entries.get(at));
            match found {
                None => return Outcome::Bad(format!("entry {index} of {origin} is lost")),
                Some(bytes) if hex(&leaf_hash(bytes)) != *hash => {
                    return Outcome::Bad(format!("entry {index} of {origin} is another one"));
                }
                Some(_) => {}
            }
        }
        let every = (acknowledged.len() / 8).max(1);
        for (index, _) in acknowledged.iter().step_by(every) {
            match self.proven(ledger, origin, *index) {
                Outcome::Kept => {}
                other @ (Outcome::Refused(_) | Outcome::Bad(_)) => return other,
            }
        }
        Outcome::Kept
    }

    /// A proof of inclusion that verifies under the log's key.
    fn proven(&self, ledger: &Ledger, origin: &str, index: u64) -> Outcome {
        let made = ledger
            .entry(Some(origin), index)
            .and_then(|bytes| Ok((bytes, ledger.prove_inclusion(Some(origin), index)?)));
        let (bytes, proof) = match made {
            Ok(made) => made,
            Err(error) => return Outcome::Refused(chain(&error)),
        };
        let verified = LogProof::parse(&proof)
            .and_then(|proof| proof.verify(&bytes, std::slice::from_ref(ledger.key())));
        match verified {
            Ok(_) => Outcome::Kept,
            Err(error) => Outcome::Bad(format!("entry {index} is proven wrongly: {error}")),
        }
    }
}

/// Copies a directory, but for the segment that is being prepared.
pub(super) fn copy_dir(from: &Path, to: &Path) -> Result<(), SoakError> {
    std::fs::create_dir_all(to).map_err(SoakError::io("make", to))?;
    let listing = std::fs::read_dir(from).map_err(SoakError::io("list", from))?;
    for found in listing {
        let path = found.map_err(SoakError::io("list", from))?.path();
        let Some(name) = path.file_name() else {
            continue;
        };
        let target = to.join(name);
        if path.is_dir() {
            copy_dir(&path, &target)?;
        } else if name != "spare.segment" {
            std::fs::copy(&path, &target).map_err(SoakError::io("copy", &path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap_or_default()
    }

    #[test]
    fn a_loss_and_a_replaced_entry_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::init(dir.path(), now()).unwrap();
        let mut told = Told::default();
        let ledger = place.open(now()).unwrap();
        for number in 0..5 {
            let committed = ledger.append_blocking(entry(number, 80)).unwrap();
            let hash = hex(&committed.leaf_hash);
            told.hear(&format!(
                "ack {} {} {hash}",
                committed.origin, committed.index
            ));
        }
        ledger.stop();
        assert_eq!(place.look(&told, now()), Outcome::Kept);
        let origin = "accord-soak/2026-11".to_owned();
        let mut more = told.clone();
        more.acknowledged
            .insert((origin.clone(), 900), hex(&[1; 32]));
        let lost = Outcome::Bad("entry 900 of accord-soak/2026-11 is lost".into());
        assert_eq!(place.look(&more, now()), lost);
        told.acknowledged.insert((origin, 2), hex(&[1; 32]));
        let other = Outcome::Bad("entry 2 of accord-soak/2026-11 is another one".into());
        assert_eq!(place.look(&told, now()), other);
    }

    #[test]
    fn what_makes_no_sense_is_a_contradiction() {
        for lines in [
            &["ack a/2026-11 1"][..],
            &["nonsense"],
            &["ack a/2026-11 1 00", "ack a/2026-11 1 01"],
        ] {
            let mut told = Told::default();
            for line in lines {
                told.hear(line);
            }
            assert!(told.contradiction.is_some(), "{lines:?}");
        }
    }
}
