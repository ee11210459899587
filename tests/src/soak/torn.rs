//! Torn tails: the last batch cut off at each of its bytes, with zeros behind as a segment has them,
//! or with the file ending there.

use std::{fs, path::Path};

use accord_broker::ledger::{Ledger, LedgerError};
use accord_proto::{
    c2sp::{Checkpoint, CheckpointError, SignedNote},
    clock::ManualClock,
    segment::{Decoded, FrameKind, SegmentHeader, decode},
};
use jiff::Timestamp;

use super::{
    SoakError,
    error::chain,
    table::{Name, Outcome, Table},
    told::{Place, Told, copy_dir},
    writer::{BEFORE_TURN_S, config, entry, hex},
};

const FAULT: &str = "torn tail, each length";
const UNHEARD: &str = "batch that nobody was told of";
const PUBLISHED: &str = "batch in the published checkpoint";
const SIGNED_AGAIN: &str = "published checkpoint, its entries whole";
const WITNESSED: &str = "batch that a witness has seen";

pub(super) const ROWS: [Name; 4] = [
    Name::kept(FAULT, UNHEARD),
    Name::kept(FAULT, SIGNED_AGAIN),
    Name::refused(FAULT, PUBLISHED),
    Name::refused(FAULT, WITNESSED),
];

/// A ledger whose last batch can be torn.
struct Torn {
    template: Place,
    segment: std::path::PathBuf,
    bytes: Vec<u8>,
    /// Where the last batch begins and ends.
    batch: (usize, usize),
    /// The published checkpoint with the last batch, and the one before.
    published: [String; 2],
    told: Told,
    now: Timestamp,
}

/// Cuts at every `step`th byte.
pub(super) fn run(table: &mut Table, dir: &Path, step: usize) -> Result<(), SoakError> {
    let torn = Torn::prepare(dir)?;
    let (begin, end) = torn.batch;
    for cut in (begin..end).step_by(step) {
        for zeros in [true, false] {
            let place = torn.cut_at(cut, zeros, &torn.published[1])?;
            table.count(FAULT, UNHEARD, "", place.look(&torn.told, torn.now));
            let place = torn.cut_at(cut, zeros, &torn.published[0])?;
            let outcome = place.look(&torn.told, torn.now);
            // A checkpoint can be signed again; an entry can't be made again.
            if torn.entry_is_whole(cut, zeros) {
                table.count(FAULT, SIGNED_AGAIN, "", outcome);
                continue;
            }
            table.count(FAULT, PUBLISHED, "", outcome);
            let place = torn.cut_at(cut, zeros, &torn.published[1])?;
            table.count(FAULT, WITNESSED, "", torn.witnessed(&place)?);
        }
    }
    Ok(())
}

impl Torn {
    fn prepare(dir: &Path) -> Result<Self, SoakError> {
        let now = Timestamp::from_second(BEFORE_TURN_S).unwrap_or_default();
        let place = Place::init(dir, now)?;
        let ledger = place.open(now)?;
        let mut told = Told::default();
        let mut checkpoints = Vec::new();
        // The last one is the batch that is torn, and nobody is told of it.
        for number in 0..5 {
            let committed = ledger.append_blocking(entry(number, 300))?;
            checkpoints.push(committed.checkpoint.to_string());
            if number < 4 {
                let hash = hex(&committed.leaf_hash);
                told.hear(&format!(
                    "ack {} {} {hash}",
                    committed.origin, committed.index
                ));
            }
        }
        let template = place.at(dir.join("template"));
        copy_dir(&place.dir, &template.dir)?;
        drop(ledger);
        let mut checkpoints = checkpoints.into_iter().rev();
        let published = [
            checkpoints.next().unwrap_or_default(),
            checkpoints.next().unwrap_or_default(),
        ];
        let segment = newest_segment(&template.dir)?;
        let bytes = fs::read(&segment).map_err(SoakError::io("read", &segment))?;
        let segment = segment
            .strip_prefix(&template.dir)
            .map(Path::to_owned)
            .unwrap_or_default();
        let batch = last_batch(&bytes);
        Ok(Self {
            template,
            segment,
            bytes,
            batch,
            published,
            told,
            now,
        })
    }

    /// Whether nothing of the batch's entry is torn: the cut lies in the checkpoint behind it, or the
    /// bytes that became zeros were zeros before, as the last ones of a time are.
    fn entry_is_whole(&self, cut: usize, zeros: bool) -> bool {
        let (begin, _) = self.batch;
        let Some(Ok(Decoded::Frame(entry))) = self.bytes.get(begin..).map(decode) else {
            return false;
        };
        let end = begin + entry.len();
        let lost = self.bytes.get(cut..end.max(cut)).unwrap_or_default();
        lost.is_empty() || (zeros && lost.iter().all(|byte| *byte == 0))
    }

    fn cut_at(&self, cut: usize, zeros: bool, published: &str) -> Result<Place, SoakError> {
        let place = self.template.at(self.template.dir.with_extension("torn"));
        if place.dir.exists() {
            fs::remove_dir_all(&place.dir).map_err(SoakError::io("remove", &place.dir))?;
        }
        copy_dir(&self.template.dir, &place.dir)?;
        let path = place.dir.join(&self.segment);
        let mut bytes = self.bytes.get(..cut).unwrap_or_default().to_vec();
        if zeros {
            bytes.resize(self.bytes.len(), 0);
        }
        fs::write(&path, bytes).map_err(SoakError::io("write", &path))?;
        let path = path.with_file_name("checkpoint");
        fs::write(&path, published).map_err(SoakError::io("write", &path))?;
        Ok(place)
    }

    /// Opens it as a broker does whose witness has cosigned the last batch.
    fn witnessed(&self, place: &Place) -> Result<Outcome, SoakError> {
        let note = SignedNote::parse(&self.published[0]).map_err(CheckpointError::from)?;
        let seen = Checkpoint::parse(note.text())?;
        let mut config = config(&place.order())?;
        config.witnessed = vec![seen];
        Ok(match Ledger::open(config, ManualClock::at(self.now)) {
            Ok(_) => Outcome::Kept,
            Err(error @ LedgerError::WitnessedMore { .. }) => Outcome::Refused(chain(&error)),
            Err(error) => Outcome::Bad(format!("another reason: {}", chain(&error))),
        })
    }
}

/// The newest segment of a ledger of one month.
pub(super) fn newest_segment(dir: &Path) -> Result<std::path::PathBuf, SoakError> {
    let found = super::flips::segments(dir)?.pop();
    found.ok_or_else(|| SoakError::Setting(format!("`{}` has no segment", dir.display())))
}

/// Where the last batch begins, and where its checkpoint ends.
fn last_batch(bytes: &[u8]) -> (usize, usize) {
    let mut at = SegmentHeader::decode(bytes).map_or(0, |(_, len)| len);
    let (mut begin, mut next) = (at, at);
    while let Some(Ok(Decoded::Frame(frame))) = bytes.get(at..).map(decode) {
        at += frame.len();
        if frame.kind == FrameKind::Checkpoint {
            (begin, next) = (next, at);
        }
    }
    (begin, next)
}
