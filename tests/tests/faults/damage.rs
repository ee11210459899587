//! `accord audit verify` on damaged copies of a ledger: exit code 1, and the segment, the offset and
//! the entry are named.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use accord_broker::ledger::{Ledger, LedgerConfig};
use accord_proto::{
    c2sp::SigningKey,
    clock::{ManualClock, SharedClock},
    segment::{Decoded, FRAME_HEADER_BYTES, FrameKind, SegmentHeader, decode},
    v1,
};
use prost::Message as _;
use tempfile::TempDir;

use super::rig::{copy_dir, files_below, program};

const MONTH: &str = "2026-11";

/// A ledger of two months and several segments, as a broker leaves it.
struct Original {
    dir: TempDir,
    key: SigningKey,
}

/// Where a frame stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    kind: FrameKind,
    offset: usize,
    len: usize,
    /// The entry in it, or the one that comes next.
    entry: u64,
}

impl Original {
    fn new() -> Self {
        let clock = ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap());
        let shared: SharedClock = clock.clone();
        let key = SigningKey::generate("accord-test").unwrap();
        let dir = TempDir::new().unwrap();
        Ledger::init(dir.path(), &key, &[], &shared).unwrap();
        let config = LedgerConfig {
            segment_bytes: 256 << 10,
            clock_step_max: Duration::from_secs(86_400 * 100),
            free_bytes_min: 0,
            ..LedgerConfig::new(
                dir.path(),
                SigningKey::parse(key.to_secret_text().expose()).unwrap(),
            )
        };
        let (ledger, _) = Ledger::open(config, shared).unwrap();
        let ledger = Arc::new(ledger);
        for batch in 0..30 {
            for _ in 0..30 {
                drop(ledger.append(entry(&"long ".repeat(90))));
            }
            ledger.append_blocking(entry(&format!("{batch}"))).unwrap();
        }
        clock.set("2026-12-02T00:00:00Z".parse().unwrap());
        ledger.append_blocking(entry("december")).unwrap();
        ledger.stop();
        Self { dir, key }
    }

    fn segments(&self) -> Vec<PathBuf> {
        let mut files = files_below(&self.dir.path().join(MONTH));
        files.retain(|path| path.extension().is_some_and(|end| end == "segment"));
        files
    }

    /// Runs the command on a copy that was damaged; with `--json`, the document.
    fn verify(&self, damage: impl FnOnce(&Path)) -> (Option<i32>, String, serde_json::Value) {
        let copy = TempDir::new().unwrap();
        copy_dir(self.dir.path(), copy.path());
        damage(copy.path());
        let run = |json: &[&str]| {
            let output = Command::new(program("accord"))
                .args([
                    "audit",
                    "verify",
                    "--key",
                    &self.key.verifier().to_string(),
                    "--dir",
                ])
                .arg(copy.path())
                .args(json)
                .current_dir(copy.path())
                .env_remove("ACCORD_PROFILE")
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let said = String::from_utf8([output.stdout.clone(), output.stderr].concat()).unwrap();
            assert!(!said.contains("panicked"), "{said}");
            (output.status.code(), said, output.stdout)
        };
        let (code, said, _) = run(&[]);
        let (code_json, _, document) = run(&["--json"]);
        assert_eq!(code, code_json);
        (code, said, serde_json::from_slice(&document).unwrap())
    }

    /// One byte of a segment flipped: the command names this place.
    fn assert_named(&self, segment: &Path, at: usize, bit: u8, place: Place) {
        let name = segment.strip_prefix(self.dir.path()).unwrap();
        let (code, said, document) = self.verify(|copy| flip(&copy.join(name), at, bit));
        let name = name.to_str().unwrap();
        assert_eq!(code, Some(1), "byte {at} of {name}: {said}");
        let damaged = &document["damaged"];
        assert_eq!(damaged["segment"], name, "byte {at}: {document}");
        assert_eq!(damaged["offset"], place.offset, "byte {at}: {document}");
        assert_eq!(damaged["entry"], place.entry, "byte {at}: {document}");
        let words = format!(
            "not ok: segment `{name}` is damaged at offset {}, entry {}",
            place.offset, place.entry
        );
        assert!(said.contains(&words), "byte {at}: {said}");
    }

    /// Any other damage: exit code 1, and these words.
    fn assert_says(&self, words: &[&str], damage: impl FnOnce(&Path)) {
        let (code, said, document) = self.verify(damage);
        assert_eq!(code, Some(1), "{said}");
        assert_eq!(document["ok"], false);
        for word in words {
            assert!(said.contains(word), "`{word}` is not in: {said}");
        }
    }
}

fn entry(detail: &str) -> Vec<u8> {
    let operation = v1::Operation {
        detail: detail.to_owned(),
        ..v1::Operation::default()
    };
    let event = Some(v1::entry::Event::Operation(operation));
    v1::Entry {
        salt: vec![7; 32],
        event,
        time_unix_ms: 0,
    }
    .encode_to_vec()
}

fn flip(path: &Path, at: usize, bit: u8) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= bit;
    fs::write(path, bytes).unwrap();
}

/// The frames of a segment.
fn places(segment: &Path) -> Vec<Place> {
    let bytes = fs::read(segment).unwrap();
    let (header, mut offset) = SegmentHeader::decode(&bytes).unwrap();
    let mut entry = header.first_index;
    let mut places = Vec::new();
    while let Ok(Decoded::Frame(frame)) = decode(&bytes[offset..]) {
        places.push(Place {
            kind: frame.kind,
            offset,
            len: frame.len(),
            entry,
        });
        if frame.kind == FrameKind::Entry {
            entry += 1;
        }
        offset += frame.len();
    }
    places
}

#[test]
fn a_whole_ledger_is_verified_with_exit_code_0() {
    let (code, said, document) = Original::new().verify(|_| {});
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(document["ok"], true);
    assert!(
        said.contains("accord-test/2026-11: 931 entries, root "),
        "{said}"
    );
}

#[test]
fn a_flipped_byte_of_each_part_of_a_frame_is_named() {
    let original = Original::new();
    let segments = original.segments();
    assert!(segments.len() >= 3, "{segments:?}");
    // A closed segment in the middle, and the first one.
    for segment in &segments[..2] {
        let places = places(segment);
        let of = |kind| places.iter().filter(move |place| place.kind == kind);
        let chosen = [
            of(FrameKind::Entry).next().unwrap(),
            of(FrameKind::Entry)
                .nth(7.min(of(FrameKind::Entry).count() - 1))
                .unwrap(),
            of(FrameKind::Checkpoint).next().unwrap(),
            of(FrameKind::Checkpoint).next_back().unwrap(),
        ];
        for place in chosen {
            // Length, checksum, index, kind, the payload's first, middle and last byte.
            let payload = FRAME_HEADER_BYTES;
            for within in [
                0,
                4,
                8,
                16,
                payload,
                (payload + place.len) / 2,
                place.len - 1,
            ] {
                original.assert_named(segment, place.offset + within, 0x01, *place);
            }
        }
    }
}

#[test]
fn damage_beside_the_entries_names_the_file() {
    let original = Original::new();
    let first = format!("{MONTH}/00000000000000000000.segment");
    let second = original.segments()[1]
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    original.assert_says(&[&first], |copy| flip(&copy.join(&first), 3, 0x20));
    original.assert_says(&["2026-11/checkpoint"], |copy| {
        flip(&copy.join(MONTH).join("checkpoint"), 40, 0x01);
    });
    original.assert_says(&["log.vkey"], |copy| flip(&copy.join("log.vkey"), 30, 0x01));
    let below = files_below(&original.dir.path().join(MONTH));
    let named = |end: &str| {
        let found = below
            .iter()
            .find(|path| path.to_str().unwrap().contains(end))
            .unwrap();
        found
            .strip_prefix(original.dir.path())
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    for file in [named("tile/0/"), named(".index")] {
        original.assert_says(&[&file], |copy| flip(&copy.join(&file), 5, 0x80));
    }
    // A segment that is gone, one that was cut, and a month that is gone.
    original.assert_says(&["segment"], |copy| {
        fs::remove_file(copy.join(MONTH).join(&second)).unwrap();
    });
    original.assert_says(&[&second, "damaged at offset"], |copy| {
        let path = copy.join(MONTH).join(&second);
        let bytes = fs::read(&path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    });
    original.assert_says(&["2026-12", "entry 0"], |copy| {
        fs::remove_dir_all(copy.join(MONTH)).unwrap();
    });
}

#[test]
fn a_ledger_of_another_key_and_a_directory_without_one_are_not_verified() {
    let original = Original::new();
    let stranger = SigningKey::generate("accord-test").unwrap();
    let other = Original {
        dir: TempDir::new().unwrap(),
        key: stranger,
    };
    copy_dir(original.dir.path(), other.dir.path());
    let (code, said, _) = other.verify(|_| {});
    assert_eq!(code, Some(1), "{said}");
    original.assert_says(&["holds no ledger"], |copy| {
        fs::remove_file(copy.join("log.vkey")).unwrap();
    });
}
