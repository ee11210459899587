//! One flipped bit in each kind of byte that the ledger stores. What is evidence must be refused or
//! named, at start, at the read or by the auditor's offline verifier; what is derived is made anew.

use std::{
    fs,
    path::{Path, PathBuf},
};

use accord_client::verify_dir;
use accord_proto::segment::{Decoded, FRAME_HEADER_BYTES, FrameKind, SegmentHeader, decode};
use jiff::Timestamp;

use super::{
    Progress, SoakError,
    child::Writer,
    error::chain,
    table::{Name, Outcome, Table},
    told::{Place, Told, copy_dir},
    writer::{BEFORE_TURN_S, Order},
};

const FAULT: &str = "one flipped bit";

const MAGIC: &str = "segment: magic and version";
const ORIGIN: &str = "segment: length, first index and origin";
const HEADER_CRC: &str = "segment: checksum of its header";
const LENGTH: &str = "entry frame: length";
const CRC: &str = "entry frame: checksum";
const INDEX: &str = "entry frame: index";
const KIND: &str = "entry frame: kind";
const SALT: &str = "entry: salt";
const BODY: &str = "entry: body";
const TIME: &str = "entry: time";
const NOTE_FRAME: &str = "checkpoint frame: length, checksum, size, kind";
const NOTE_TEXT: &str = "checkpoint frame: text";
const NOTE_SIGNATURE: &str = "checkpoint frame: signature";
const ZEROS: &str = "segment: zeros not written to yet";
const PUBLISHED: &str = "published checkpoint: text";
const PUBLISHED_SIGNATURE: &str = "published checkpoint: signature";
const VKEY: &str = "the log's public key";
const TILE: &str = "hash tile (derived)";
const OFFSETS: &str = "index of a segment (derived)";

pub(super) const ROWS: [Name; 19] = [
    Name::refused(FAULT, MAGIC),
    Name::refused(FAULT, ORIGIN),
    Name::refused(FAULT, HEADER_CRC),
    Name::refused(FAULT, LENGTH),
    Name::refused(FAULT, CRC),
    Name::refused(FAULT, INDEX),
    Name::refused(FAULT, KIND),
    Name::refused(FAULT, SALT),
    Name::refused(FAULT, BODY),
    Name::refused(FAULT, TIME),
    // Behind the last one nothing is signed yet: it is signed again.
    Name::either(FAULT, NOTE_FRAME),
    Name::either(FAULT, NOTE_TEXT),
    Name::either(FAULT, NOTE_SIGNATURE),
    Name::either(FAULT, ZEROS),
    Name::refused(FAULT, PUBLISHED),
    Name::refused(FAULT, PUBLISHED_SIGNATURE),
    Name::refused(FAULT, VKEY),
    Name::either(FAULT, TILE),
    Name::either(FAULT, OFFSETS),
];

/// Entries of the ledger that is harmed: some segments, a full tile, a turn of the month.
const ENTRIES: usize = 620;
const ENTRY_BYTES: usize = 900;
const TURN_AT: u64 = 560;
/// Bytes of an entry before its salt: a tag and a length.
const SALT_AT: usize = 2;
const SALT_BYTES: usize = 32;
/// Bytes of the time stamp with its tag.
const STAMP_BYTES: usize = accord_proto::segment::STAMP_BYTES;
/// Bytes before a segment's origin, and of them magic and version.
const HEADER_FIXED_BYTES: usize = 20;
const VERSION_END: usize = 10;
const STRIDE: usize = 7_919;

/// A byte of a file, and what it is.
struct Spot {
    file: PathBuf,
    at: usize,
    what: &'static str,
}

struct Ledger {
    template: Place,
    told: Told,
    now: Timestamp,
}

/// Flips `each` bits of every kind of byte.
pub(super) fn run(
    table: &mut Table,
    program: &Path,
    dir: &Path,
    each: usize,
    progress: Progress<'_>,
) -> Result<(), SoakError> {
    let ledger = Ledger::prepare(program, dir)?;
    let spots = ledger.spots()?;
    for name in ROWS {
        let of_kind: Vec<&Spot> = spots
            .iter()
            .filter(|spot| spot.what == name.place)
            .collect();
        progress(&format!("{FAULT}: {}", name.place));
        for round in 0..each.min(of_kind.len().saturating_mul(8)) {
            // Spread over all of them, and over the bits of a byte.
            let at = round * of_kind.len() / each;
            let Some(spot) = of_kind.get(at + round * STRIDE % (of_kind.len() / each).max(1))
            else {
                continue;
            };
            let outcome = ledger.flip(spot, round % 8)?;
            table.count(FAULT, name.place, "", outcome);
        }
    }
    Ok(())
}

impl Ledger {
    /// A ledger of two months that was killed at work, with acknowledged entries that were not yet
    /// published.
    fn prepare(program: &Path, dir: &Path) -> Result<Self, SoakError> {
        let begin = Timestamp::from_second(BEFORE_TURN_S).unwrap_or_default();
        let now = Timestamp::from_second(BEFORE_TURN_S + 600).unwrap_or_default();
        let template = Place::init(dir, begin)?;
        let order = Order {
            waiters: 4,
            entries: u64::MAX,
            bytes: ENTRY_BYTES,
            turn_at: TURN_AT,
            ..template.order()
        };
        let mut writer = Writer::start(program, &order, &[])?;
        writer.listen(ENTRIES)?;
        let told = writer.kill()?;
        Ok(Self {
            template,
            told,
            now,
        })
    }

    /// Every byte that is stored, but for locks.
    fn spots(&self) -> Result<Vec<Spot>, SoakError> {
        let mut spots = Vec::new();
        for path in files_below(&self.template.dir)? {
            let bytes = fs::read(&path).map_err(SoakError::io("read", &path))?;
            let name = path.strip_prefix(&self.template.dir).unwrap_or(&path);
            let text = name.to_string_lossy();
            let of = |what: &dyn Fn(usize) -> Option<&'static str>| -> Vec<Spot> {
                let kinds = (0..bytes.len()).filter_map(|at| Some((at, what(at)?)));
                let spot = |(at, what)| Spot {
                    file: name.to_owned(),
                    at,
                    what,
                };
                kinds.map(spot).collect()
            };
            if text.ends_with("spare.segment") {
                continue;
            } else if text.ends_with(".segment") {
                let kinds = segment_kinds(&bytes);
                spots.extend(of(&|at| kinds.get(at).copied()));
            } else if text.ends_with(".index") {
                spots.extend(of(&|_| Some(OFFSETS)));
            } else if text.contains("/tile/") {
                spots.extend(of(&|_| Some(TILE)));
            } else if text.ends_with("/checkpoint") {
                let signature = signature_at(&bytes);
                spots.extend(of(&|at| {
                    Some(if at < signature {
                        PUBLISHED
                    } else {
                        PUBLISHED_SIGNATURE
                    })
                }));
            } else if text.ends_with("log.vkey") {
                // The newline at its end is no part of it.
                spots.extend(of(&|at| (at + 1 < bytes.len()).then_some(VKEY)));
            }
        }
        Ok(spots)
    }

    fn flip(&self, spot: &Spot, bit: usize) -> Result<Outcome, SoakError> {
        let place = self
            .template
            .at(self.template.dir.with_extension("flipped"));
        if place.dir.exists() {
            fs::remove_dir_all(&place.dir).map_err(SoakError::io("remove", &place.dir))?;
        }
        copy_dir(&self.template.dir, &place.dir)?;
        let path = place.dir.join(&spot.file);
        let mut bytes = fs::read(&path).map_err(SoakError::io("read", &path))?;
        if let Some(byte) = bytes.get_mut(spot.at) {
            *byte ^= 1 << bit;
        }
        fs::write(&path, bytes).map_err(SoakError::io("write", &path))?;
        let key = place.vkey()?;
        let named = verify_dir(&place.dir, &[key]).err();
        Ok(match (place.look(&self.told, self.now), named) {
            // Whoever reads what is whole is served, and the verifier names the damage.
            (Outcome::Kept, Some(named)) => Outcome::Refused(chain(&named)),
            (Outcome::Bad(what), Some(named)) if what.starts_with("it goes on, yet") => {
                Outcome::Refused(chain(&named))
            }
            (Outcome::Bad(what), _) => {
                let file = spot.file.display();
                Outcome::Bad(format!("{what} (byte {} of {file})", spot.at))
            }
            (other, _) => other,
        })
    }
}

/// What each byte of a segment is.
fn segment_kinds(bytes: &[u8]) -> Vec<&'static str> {
    let header = SegmentHeader::decode(bytes).map_or(0, |(_, len)| len);
    let mut kinds = vec![MAGIC; VERSION_END];
    kinds.resize(header - 4, ORIGIN);
    kinds.resize(header, HEADER_CRC);
    debug_assert!(HEADER_FIXED_BYTES < header);
    while let Some(Ok(Decoded::Frame(frame))) = bytes.get(kinds.len()..).map(decode) {
        let begin = kinds.len();
        let end = begin + frame.len();
        if frame.kind == FrameKind::Entry {
            kinds.resize(begin + 4, LENGTH);
            kinds.resize(begin + 8, CRC);
            kinds.resize(begin + 16, INDEX);
            kinds.resize(begin + FRAME_HEADER_BYTES, KIND);
            kinds.resize(begin + FRAME_HEADER_BYTES + SALT_AT, BODY);
            kinds.resize(begin + FRAME_HEADER_BYTES + SALT_AT + SALT_BYTES, SALT);
            kinds.resize(end - STAMP_BYTES, BODY);
            kinds.resize(end, TIME);
        } else {
            kinds.resize(begin + FRAME_HEADER_BYTES, NOTE_FRAME);
            let text = begin + FRAME_HEADER_BYTES + signature_at(frame.payload());
            kinds.resize(text, NOTE_TEXT);
            kinds.resize(end, NOTE_SIGNATURE);
        }
    }
    kinds.resize(bytes.len(), ZEROS);
    kinds
}

/// Where the signature lines of a note begin.
fn signature_at(note: &[u8]) -> usize {
    let mut windows = note.windows(2);
    windows
        .position(|two| two == b"\n\n")
        .map_or(0, |at| at + 2)
}

/// Every file below a directory.
pub(super) fn files_below(dir: &Path) -> Result<Vec<PathBuf>, SoakError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(SoakError::io("list", dir))? {
        let path = entry.map_err(SoakError::io("list", dir))?.path();
        if path.is_dir() {
            found.extend(files_below(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The segments of a ledger, oldest first.
pub(super) fn segments(dir: &Path) -> Result<Vec<PathBuf>, SoakError> {
    let mut files = files_below(dir)?;
    files.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".segment") && !name.starts_with("spare")
    });
    Ok(files)
}
