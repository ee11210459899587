//! Witnesses: one bit flipped in what they keep, and in what the broker keeps of them; one that was
//! set back; one that lies; a disk that was set back.

use std::{fs, path::Path, sync::Arc};

use accord_broker::ledger::{Ledger, LedgerError};
use accord_client::witness::{NotCosigned, Witness};
use accord_proto::{
    c2sp::{
        AddCheckpoint, Checkpoint, CosignerKey, Policy, SignedNote, VerifierKey,
        witness::origin_sha256,
    },
    clock::ManualClock,
    merkle::Hash,
};
use jiff::Timestamp;

use super::{
    SoakError,
    beside::flip,
    error::chain,
    flips::files_below,
    table::{Name, Outcome, Table},
    told::{Place, Told, copy_dir},
    writer::{BEFORE_TURN_S, config, entry, hex},
};

const FLIP: &str = "one flipped bit";
const SEEN: &str = "what a witness has seen: the checkpoint";
const SEEN_SIGNATURES: &str = "what a witness has seen: the signatures";
const KEY: &str = "a witness's key";
const COSIGNED: &str = "cosigned checkpoint, as the broker keeps it";
const WITNESS: &str = "a witness";
const LEFT_BEHIND: &str = "was set back to an earlier memory";
const LIES: &str = "cosigns another text";
const REWRITTEN: &str = "is asked to cosign another history";
const BACK: &str = "a disk that was set back";
const LEDGER: &str = "ledger whose witness has seen more";

pub(super) const ROWS: [Name; 8] = [
    Name::refused(FLIP, SEEN),
    Name::either(FLIP, SEEN_SIGNATURES),
    Name::refused(FLIP, KEY),
    Name::either(FLIP, COSIGNED),
    Name::kept(WITNESS, LEFT_BEHIND),
    Name::refused(WITNESS, LIES),
    Name::refused(WITNESS, REWRITTEN),
    Name::refused(BACK, LEDGER),
];

const NAME: &str = "witness.example/w";
const STRIDE: usize = 7_919;

/// A ledger that a witness has followed for a while.
struct Case {
    place: Place,
    ledger: Ledger,
    told: Told,
    witness: std::path::PathBuf,
    key: CosignerKey,
    policy: Policy,
    now: Timestamp,
}

/// Flips `each` bits of every kind, and has witnesses err as often.
pub(super) fn run(table: &mut Table, dir: &Path, each: usize) -> Result<(), SoakError> {
    let case = Case::new(dir)?;
    let earlier = dir.join("earlier");
    let yesterday = dir.join("yesterday");
    case.grow(3)?;
    case.cosign(0).map_err(failed)?;
    copy_dir(&case.witness, &earlier)?;
    copy_dir(&case.place.dir, &yesterday)?;
    let mut case = case;
    case.grow_told(3)?;
    let size = case.seen()?;
    let note = case.cosign(size).map_err(failed)?;
    case.flips(table, dir, each, &note)?;
    table.count(WITNESS, LEFT_BEHIND, "", case.left_behind(dir, &earlier)?);
    table.count(WITNESS, LIES, "", case.lies()?);
    table.count(WITNESS, REWRITTEN, "", case.rewritten(dir)?);
    table.count(BACK, LEDGER, "", case.set_back(&yesterday, &note)?);
    Ok(())
}

fn failed(error: NotCosigned) -> SoakError {
    SoakError::Setting(format!("a witness that was not harmed: {}", chain(&error)))
}

impl Case {
    fn new(dir: &Path) -> Result<Self, SoakError> {
        let now = Timestamp::from_second(BEFORE_TURN_S).unwrap_or_default();
        let place = Place::init(dir, now)?;
        let witness = dir.join("witness");
        let made = Witness::init(&witness, NAME).map_err(crate::world::WorldError::from)?;
        let key = made.key().clone();
        let text = format!("log {}\nwitness w {key}\nquorum w\n", place.vkey()?);
        let policy = Policy::parse(&text).map_err(|error| SoakError::Setting(chain(&error)))?;
        Ok(Self {
            ledger: place.open(now)?,
            place,
            told: Told::default(),
            witness,
            key,
            policy,
            now,
        })
    }

    fn grow(&self, count: u64) -> Result<Vec<(u64, Hash, Arc<str>)>, SoakError> {
        let append = |number| {
            let committed = self.ledger.append_blocking(entry(number, 120))?;
            Ok((committed.index, committed.leaf_hash, committed.origin))
        };
        (0..count).map(append).collect()
    }

    fn grow_told(&mut self, count: u64) -> Result<(), SoakError> {
        for (index, hash, origin) in self.grow(count)? {
            self.told
                .hear(&format!("ack {origin} {index} {}", hex(&hash)));
        }
        Ok(())
    }

    fn opened(&self, dir: &Path) -> Result<Witness, String> {
        let log: VerifierKey = self.place.vkey().map_err(|error| error.chain())?;
        let clock = ManualClock::at(self.now);
        Witness::open(dir, vec![log], clock).map_err(|error| chain(&error))
    }

    /// The request of a log that believes the witness to have seen `old` entries.
    fn request(&self, ledger: &Ledger, old: u64) -> Result<(String, SignedNote), LedgerError> {
        let text = ledger.checkpoint(None)?;
        let note = SignedNote::parse(&text).map_err(|_| LedgerError::Setting("has no note"))?;
        let size = ledger.size();
        let proof = match old {
            0 => Vec::new(),
            old => ledger.prove_consistency(None, old, size)?.0,
        };
        let checkpoint = note.clone();
        let request = AddCheckpoint {
            old,
            proof,
            checkpoint,
        };
        Ok((request.to_string(), note))
    }

    /// Has the newest checkpoint cosigned; returns it with the cosignature.
    fn cosign(&self, old: u64) -> Result<String, NotCosigned> {
        self.cosign_by(&self.witness, old)
    }

    fn cosign_by(&self, dir: &Path, old: u64) -> Result<String, NotCosigned> {
        let contradiction = |_| NotCosigned::Contradiction("the ledger or the witness fails");
        let witness = self.opened(dir).map_err(contradiction)?;
        let asked = self.request(&self.ledger, old);
        let (request, mut note) = asked.map_err(|_| NotCosigned::Contradiction("no request"))?;
        let seen = witness.add_checkpoint(&request)?;
        let added = note.add_signature(seen.cosignature);
        added.map_err(|_| NotCosigned::Contradiction("no signature"))?;
        Ok(note.to_string())
    }

    /// How far the witness has come.
    fn seen(&self) -> Result<u64, SoakError> {
        let origin = origin_sha256(&self.origin());
        let witness = self.opened(&self.witness).map_err(SoakError::Setting)?;
        let text = witness
            .seen(&origin)
            .map_err(crate::world::WorldError::from)?;
        let note = SignedNote::parse(&text.unwrap_or_default());
        let checkpoint = note
            .map_err(accord_proto::c2sp::CheckpointError::from)
            .and_then(|note| Checkpoint::parse(note.text()))?;
        Ok(checkpoint.size)
    }

    fn origin(&self) -> String {
        self.ledger.subscribe().borrow().origin.to_string()
    }

    fn flips(
        &self,
        table: &mut Table,
        dir: &Path,
        each: usize,
        note: &str,
    ) -> Result<(), SoakError> {
        let origin = origin_sha256(&self.origin());
        let text = note.find("\n\n").unwrap_or(0) + 1;
        let flipped = dir.join("flipped");
        for round in 0..each {
            for (place, from, to) in [(SEEN, 0, text), (SEEN_SIGNATURES, text, note.len() - 1)] {
                copy_dir(&self.witness, &flipped)?;
                let at = from + round * STRIDE % (to - from);
                flip(&flipped.join(format!("{origin}.checkpoint")), at, round % 8)?;
                table.count(FLIP, place, "", self.remembers(&flipped, &origin));
            }
            copy_dir(&self.witness, &flipped)?;
            let path = flipped.join("witness.key");
            let len = fs::read(&path).map_err(SoakError::io("read", &path))?;
            let at = round * STRIDE % len.trim_ascii_end().len().max(1);
            flip(&path, at, round % 8)?;
            let outcome = match self.opened(&flipped) {
                Err(why) => Outcome::Refused(why),
                Ok(witness) if *witness.cosigner().key() == self.key => Outcome::Kept,
                Ok(_) => Outcome::Bad("it has another key".to_owned()),
            };
            table.count(FLIP, KEY, "", outcome);
            let outcome = self.kept_by_broker(note, round)?;
            table.count(FLIP, COSIGNED, "", outcome);
        }
        Ok(())
    }

    /// Whether a witness shows what it saw, and cosigns only what continues it.
    fn remembers(&self, dir: &Path, origin: &str) -> Outcome {
        let witness = match self.opened(dir) {
            Ok(witness) => witness,
            Err(why) => return Outcome::Refused(why),
        };
        match witness.seen(origin) {
            Err(error) => Outcome::Refused(chain(&error)),
            Ok(None) => Outcome::Bad("the witness has forgotten what it saw".to_owned()),
            Ok(Some(text)) => self.believed(&text),
        }
    }

    /// A note with cosignatures, as whoever goes by the policy takes it.
    fn believed(&self, text: &str) -> Outcome {
        let opened = SignedNote::parse(text).map(|note| self.policy.open(&note));
        match opened {
            Err(error) => Outcome::Refused(chain(&error)),
            Ok(Err(error)) => Outcome::Refused(chain(&error)),
            Ok(Ok((checkpoint, _))) if checkpoint.size == self.ledger.size() => Outcome::Kept,
            Ok(Ok(_)) => Outcome::Bad("another checkpoint is believed".to_owned()),
        }
    }

    /// The broker's copy: damaged, it is as good as none and asked for again, or nobody who goes by
    /// the policy believes it.
    fn kept_by_broker(&self, note: &str, round: usize) -> Result<Outcome, SoakError> {
        self.ledger.keep_cosigned(&self.origin(), note)?;
        let mut files = files_below(&self.place.dir)?;
        files.retain(|path| path.ends_with("checkpoint.cosigned"));
        for path in files {
            flip(&path, round * STRIDE % (note.len() - 1), round % 8)?;
        }
        Ok(match self.ledger.cosigned(None) {
            Err(error) => Outcome::Refused(chain(&error)),
            Ok(None) => Outcome::Kept,
            Ok(Some(text)) => self.believed(&text),
        })
    }

    /// A witness whose memory was set back says how far it has come, is shown what is missing, and
    /// cosigns again.
    fn left_behind(&self, dir: &Path, earlier: &Path) -> Result<Outcome, SoakError> {
        let back = dir.join("back");
        copy_dir(earlier, &back)?;
        let asked = self.cosign_by(&back, self.ledger.size());
        let Err(NotCosigned::Conflict { size }) = asked else {
            return Ok(Outcome::Bad(
                "it did not say how far it has come".to_owned(),
            ));
        };
        Ok(match self.cosign_by(&back, size) {
            Ok(note) => self.believed(&note),
            Err(error) => Outcome::Refused(chain(&error)),
        })
    }

    /// A cosignature of another text stands on the note.
    fn lies(&self) -> Result<Outcome, SoakError> {
        let (_, mut note) = self.request(&self.ledger, 0)?;
        let path = self.witness.join("witness.key");
        let text = fs::read_to_string(&path).map_err(SoakError::io("read", &path))?;
        let liar = accord_proto::c2sp::Cosigner::parse(&text)?;
        let line = liar.cosign("another/2026-11\n1\nx\n", 1);
        let added = note.add_signature(line);
        added.map_err(accord_proto::c2sp::CheckpointError::from)?;
        Ok(self.believed(&note.to_string()))
    }

    /// A ledger of the same key with another history.
    fn rewritten(&self, dir: &Path) -> Result<Outcome, SoakError> {
        let place = Place {
            dir: dir.join("rewritten"),
            key: self.place.key.clone(),
        };
        let key = config(&place.order())?.key;
        let clock = ManualClock::at(self.now);
        Ledger::init(&place.dir, &key, &[], &(clock as _))?;
        let other = place.open(self.now)?;
        for number in 0..self.ledger.size() + 2 {
            other.append_blocking(entry(number + 900, 120))?;
        }
        let (request, _) = self.request(&other, self.ledger.size())?;
        let witness = self.opened(&self.witness).map_err(SoakError::Setting)?;
        Ok(match witness.add_checkpoint(&request) {
            Ok(_) => Outcome::Kept,
            Err(error) => Outcome::Refused(chain(&error)),
        })
    }

    /// Yesterday's copy of the disk, under what the witness has seen since.
    fn set_back(&self, yesterday: &Path, note: &str) -> Result<Outcome, SoakError> {
        let note = SignedNote::parse(note).map_err(accord_proto::c2sp::CheckpointError::from)?;
        let place = self.place.at(yesterday.to_owned());
        let mut config = config(&place.order())?;
        config.witnessed = vec![Checkpoint::parse(note.text())?];
        let opened = Ledger::open(config, ManualClock::at(self.now));
        Ok(match opened {
            Ok(_) => Outcome::Kept,
            Err(error) => Outcome::Refused(chain(&error)),
        })
    }
}
