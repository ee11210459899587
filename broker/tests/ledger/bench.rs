//! A ledger in a temporary directory, and looks into its files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use accord_broker::ledger::{Committed, Ledger, LedgerConfig, LedgerError, Replayed};
use accord_proto::c2sp::{Checkpoint, LogProof, SignedNote, SigningKey, VerifierKey};
use accord_proto::clock::ManualClock;
use accord_proto::segment::{Decoded, FrameKind, SegmentHeader, decode};
use accord_proto::v1;
use prost::Message as _;

pub(crate) const NAME: &str = "accord-test";
const SEGMENT_BYTES: u64 = 256 << 10;

pub(crate) struct Bench {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) key: SigningKey,
    pub(crate) authority: VerifierKey,
    pub(crate) clock: Arc<ManualClock>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let bench = Self {
            dir: tempfile::tempdir().unwrap(),
            key: SigningKey::generate(NAME).unwrap(),
            authority: SigningKey::generate("central-bank")
                .unwrap()
                .verifier()
                .clone(),
            clock: ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap()),
        };
        bench.init().unwrap();
        bench
    }

    pub(crate) fn init(&self) -> Result<(), LedgerError> {
        let clock = self.clock.clone() as accord_proto::clock::SharedClock;
        let authorities = std::slice::from_ref(&self.authority);
        Ledger::init(&self.root(), &self.key, authorities, &clock)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("ledger")
    }

    pub(crate) fn config(&self) -> LedgerConfig {
        let key = SigningKey::parse(self.key.to_secret_text().expose()).unwrap();
        LedgerConfig {
            segment_bytes: SEGMENT_BYTES,
            clock_step_max: Duration::from_secs(3600),
            free_bytes_min: 1,
            ..LedgerConfig::new(self.root(), key)
        }
    }

    pub(crate) fn try_open(&self) -> Result<(Ledger, Replayed), LedgerError> {
        Ledger::open(self.config(), self.clock.clone())
    }

    pub(crate) fn open(&self) -> Ledger {
        self.try_open().unwrap().0
    }

    /// A copy of the directory as a crash would leave it: the ledger isn't stopped.
    pub(crate) fn crashed(&self) -> Self {
        let crashed = Self {
            dir: tempfile::tempdir().unwrap(),
            key: SigningKey::parse(self.key.to_secret_text().expose()).unwrap(),
            authority: self.authority.clone(),
            clock: self.clock.clone(),
        };
        copy_dir(&self.root(), &crashed.root());
        crashed
    }

    pub(crate) fn known(&self) -> [VerifierKey; 1] {
        [self.key.verifier().clone()]
    }

    pub(crate) fn month(&self) -> PathBuf {
        self.root().join("2026-11")
    }
}

pub(crate) fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else if entry.file_name() != "spare.segment" {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub(crate) fn entry(detail: &str) -> Vec<u8> {
    let operation = v1::Operation {
        detail: detail.to_owned(),
        ..Default::default()
    };
    let entry = v1::Entry {
        salt: vec![7; 32],
        event: Some(v1::entry::Event::Operation(operation)),
        time_unix_ms: 0,
    };
    entry.encode_to_vec()
}

pub(crate) fn append(ledger: &Ledger, count: u64) -> Vec<Committed> {
    (0..count)
        .map(|n| ledger.append_blocking(entry(&format!("{n}"))).unwrap())
        .collect()
}

pub(crate) fn all(ledger: &Ledger) -> Vec<Vec<u8>> {
    ledger.entries(None, 0, u64::MAX).unwrap()
}

pub(crate) fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "segment"))
        .collect();
    paths.sort();
    paths
}

/// Offset, length and kind of each frame of a segment.
pub(crate) fn frames(path: &Path) -> Vec<(usize, usize, FrameKind)> {
    let bytes = fs::read(path).unwrap();
    let mut at = SegmentHeader::decode(&bytes).unwrap().1;
    let mut frames = Vec::new();
    while let Ok(Decoded::Frame(frame)) = decode(&bytes[at..]) {
        frames.push((at, frame.len(), frame.kind));
        at += frame.len();
    }
    frames
}

pub(crate) fn check_all_proofs(bench: &Bench, ledger: &Ledger) {
    for (index, bytes) in all(ledger).iter().enumerate() {
        let proof = ledger.prove_inclusion(None, index as u64).unwrap();
        let proof = LogProof::parse(&proof).unwrap();
        let checkpoint = proof.verify(bytes, &bench.known()).unwrap();
        assert_eq!(checkpoint.size, ledger.size());
    }
}

pub(crate) fn frames_start(bytes: &[u8]) -> usize {
    SegmentHeader::decode(bytes).unwrap().1
}

pub(crate) fn published_size(bench: &Bench) -> u64 {
    let text = fs::read_to_string(bench.month().join("checkpoint")).unwrap();
    let note = SignedNote::parse(&text).unwrap();
    Checkpoint::open(&note, &bench.known()).unwrap().size
}

impl Bench {
    pub(crate) fn crashed_into(&self, image: &Self) -> Self {
        let copy = image.crashed();
        assert_eq!(copy.key.verifier(), self.key.verifier());
        copy
    }
}

impl Bench {
    /// Opens once the other holder has let go; the array in the test holds both otherwise.
    pub(crate) fn open_later(&self) -> Ledger {
        self.crashed().leak_open()
    }

    pub(crate) fn leak_open(self) -> Ledger {
        let ledger = self.open();
        // The directory lives as long as the test process.
        std::mem::forget(self.dir);
        ledger
    }
}
