//! The auditor's offline verifier against ledgers that the broker wrote, whole and damaged.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is not as it should be"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use accord_broker::ledger::{Ledger, LedgerConfig};
use accord_client::verify::{Verified, VerifyError, verify_dir};
use accord_proto::c2sp::{Checkpoint, SigningKey, VerifierKey};
use accord_proto::clock::{Clock as _, ManualClock};
use accord_proto::merkle::Frontier;
use accord_proto::segment::{SegmentHeader, encode_checkpoint, encode_entry};
use accord_proto::v1;
use prost::Message as _;

struct Written {
    dir: tempfile::TempDir,
    key: SigningKey,
    clock: Arc<ManualClock>,
}

impl Written {
    fn new() -> Self {
        Self::pinning(&[])
    }

    fn pinning(authorities: &[VerifierKey]) -> Self {
        let written = Self {
            dir: tempfile::tempdir().unwrap(),
            key: SigningKey::generate("accord-test").unwrap(),
            clock: ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap()),
        };
        let clock: accord_proto::clock::SharedClock = written.clock.clone();
        Ledger::init(written.root(), &written.key, authorities, &clock).unwrap();
        written
    }

    fn root(&self) -> &Path {
        self.dir.path()
    }

    fn open(&self) -> Ledger {
        let key = SigningKey::parse(self.key.to_secret_text().expose()).unwrap();
        let config = LedgerConfig {
            segment_bytes: 256 << 10,
            clock_step_max: Duration::from_secs(86_400 * 100),
            free_bytes_min: 1,
            ..LedgerConfig::new(self.root(), key)
        };
        Ledger::open(config, self.clock.clone()).unwrap().0
    }

    fn append(&self, ledger: &Ledger, count: usize) {
        for n in 0..count {
            ledger.append_blocking(entry(&format!("{n}"))).unwrap();
        }
    }

    /// Many entries in few batches, which verify faster than a batch for each.
    fn append_long(&self, ledger: &Ledger, count: usize) {
        for _ in 0..count {
            drop(ledger.append(entry(&"long ".repeat(60))));
        }
        self.append(ledger, 1);
    }

    fn verify(&self) -> Result<Verified, VerifyError> {
        verify_dir(self.root(), &[])
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect(self.root(), &mut files);
        files.retain(|path| {
            let name = path.file_name().unwrap();
            name != "lock" && name != "spare.segment"
        });
        files.sort();
        files
    }
}

fn entry(detail: &str) -> Vec<u8> {
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

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// The file that an error names.
fn named(error: &VerifyError, root: &Path) -> PathBuf {
    match error {
        VerifyError::Damaged { segment, .. } => root.join(segment),
        VerifyError::Derived { path, .. }
        | VerifyError::Forked { path }
        | VerifyError::Io { path, .. }
        | VerifyError::Key { path, .. }
        | VerifyError::Published { path, .. }
        | VerifyError::Unpublished { path } => path.clone(),
        VerifyError::NoLedger { dir } => dir.clone(),
        VerifyError::Shorter { .. } => panic!("{error}"),
    }
}

#[test]
fn a_whole_ledger_of_two_months_is_verified() {
    let written = Written::new();
    let ledger = written.open();
    written.append(&ledger, 1100);
    written.clock.set("2026-12-02T00:00:00Z".parse().unwrap());
    written.append(&ledger, 20);
    let checkpoint = ledger.checkpoint(None).unwrap();
    drop(ledger);
    let verified = written.verify().unwrap();
    let [november, december] = verified.logs.as_slice() else {
        panic!("{verified:?}")
    };
    assert_eq!(november.origin, "accord-test/2026-11");
    assert_eq!((november.entries, november.checkpoints), (1101, 1101));
    assert_eq!((november.tiles, november.tiles_missing), (4, 0));
    assert!(november.segments > 1);
    assert_eq!((december.entries, &december.unsigned), (21, &None));
    let signed = accord_proto::c2sp::SignedNote::parse(&checkpoint).unwrap();
    let signed = Checkpoint::parse(signed.text()).unwrap();
    assert_eq!((signed.size, signed.root), (21, december.root));
}

#[test]
fn one_flipped_bit_in_any_file_names_that_file() {
    let written = Written::new();
    let ledger = written.open();
    written.append_long(&ledger, 900);
    written.append(&ledger, 3);
    drop(ledger);
    let root = written.root();
    written.verify().unwrap();
    let files = written.files();
    // Segments, indexes of the closed ones, tiles, checkpoint and key.
    assert_eq!(files.len(), 3 + 2 + 3 + 2, "{files:?}");
    for path in &files {
        let whole = fs::read(path).unwrap();
        // Each byte of the first frames, then some of everywhere, then the last.
        let scattered = (600..whole.len()).step_by(whole.len() / 25 + 1);
        let last = whole.len().saturating_sub(3)..whole.len();
        for at in (0..whole.len().min(600))
            .step_by(11)
            .chain(scattered)
            .chain(last)
        {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            fs::write(path, &flipped).unwrap();
            match written.verify() {
                Ok(_) => panic!("byte {at} of {} went unnoticed", path.display()),
                Err(error) => assert_eq!(&named(&error, root), path, "byte {at}: {error}"),
            }
        }
        fs::write(path, &whole).unwrap();
    }
    written.verify().unwrap();
}

#[test]
fn a_changed_entry_is_named_with_segment_offset_and_index() {
    let written = Written::new();
    let ledger = written.open();
    written.append(&ledger, 5);
    drop(ledger);
    let segment = written.root().join("2026-11/00000000000000000001.segment");
    let mut bytes = fs::read(&segment).unwrap();
    let needle = accord_proto::segment::FRAME_HEADER_BYTES;
    // The third entry frame of the segment: after two batches of entry and checkpoint.
    let mut offset = SegmentHeader::decode(&bytes).unwrap().1;
    for _ in 0..4 {
        let len = u32::from_le_bytes(bytes[offset..offset + 4].try_into().unwrap());
        offset += needle + len as usize;
    }
    bytes[offset + 40] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let error = written.verify().unwrap_err();
    let VerifyError::Damaged {
        segment,
        offset: named,
        entry: 3,
        ..
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(segment, "2026-11/00000000000000000001.segment");
    assert_eq!(named, offset as u64);
}

#[test]
fn a_ledger_that_was_killed_verifies_and_shows_its_unsigned_tail() {
    let written = Written::new();
    // The checkpoint that the start of the month published is put back, as if the ledger had been
    // killed before it published another one.
    let published = written.root().join("2026-11/checkpoint");
    let before = fs::read(&published).unwrap();
    let ledger = written.open();
    written.append(&ledger, 3);
    drop(ledger);
    fs::write(&published, before).unwrap();
    let segment = written.root().join("2026-11/00000000000000000001.segment");
    let mut bytes = fs::read(&segment).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end - 100..].fill(0);
    fs::write(&segment, bytes).unwrap();
    let verified = written.verify().unwrap();
    let tail = verified.logs[0].unsigned.clone().unwrap();
    assert_eq!((verified.logs[0].entries, tail.entries), (3, 1));
    assert_eq!(tail.segment, "2026-11/00000000000000000001.segment");
    drop(written.open());
    let verified = written.verify().unwrap();
    assert_eq!(
        (verified.logs[0].entries, &verified.logs[0].unsigned),
        (4, &None)
    );
}

#[test]
fn a_start_that_was_killed_before_it_cut_the_tail_that_it_copied_leaves_a_ledger_that_verifies() {
    let written = Written::new();
    let november = |file: &str| written.root().join("2026-11").join(file);
    let before = fs::read(november("checkpoint")).unwrap();
    let ledger = written.open();
    // The last batch is entry 512 alone, whose offset an index would hold.
    written.append_long(&ledger, 510);
    written.append(&ledger, 1);
    drop(ledger);
    let segment = november("00000000000000000001.segment");
    let uncut = fs::read(&segment).unwrap();
    fs::write(november("checkpoint"), before).unwrap();
    drop(written.open());
    assert!(november("00000000000000000512.segment").exists());
    fs::write(&segment, uncut).unwrap();
    written.open().entry(None, 300).unwrap();
    assert!(november("00000000000000000001.index").exists());
    assert_eq!(written.verify().unwrap().logs[0].entries, 513);
}

#[test]
fn a_month_that_was_emptied_is_damaged() {
    let written = Written::new();
    let ledger = written.open();
    written.append(&ledger, 3);
    written.clock.set("2026-12-02T00:00:00Z".parse().unwrap());
    written.append(&ledger, 3);
    drop(ledger);
    written.verify().unwrap();
    let december = written.root().join("2026-12");
    let mut files = Vec::new();
    collect(&december, &mut files);
    for path in files {
        // The checkpoint alone still tells how many entries there were.
        if path.ends_with("checkpoint") {
            continue;
        }
        fs::remove_file(path).unwrap();
    }
    match written.verify() {
        Err(VerifyError::Shorter {
            published: 4,
            found: 0,
            ..
        }) => {}
        other => panic!("{other:?}"),
    }
    fs::remove_file(december.join("checkpoint")).unwrap();
    let error = written.verify().unwrap_err();
    assert_eq!(
        named(&error, written.root()),
        december.join("00000000000000000000.segment"),
        "{error}"
    );
}

#[test]
fn a_log_without_its_published_checkpoint_is_not_verified() {
    let written = Written::new();
    let ledger = written.open();
    written.append(&ledger, 3);
    drop(ledger);
    let path = written.root().join("2026-11/checkpoint");
    for left in [None, Some(0), Some(200)] {
        fs::remove_file(&path).unwrap();
        if let Some(zeros) = left {
            fs::write(&path, vec![0; zeros]).unwrap();
        }
        match written.verify() {
            Err(VerifyError::Unpublished { path: named }) => assert_eq!(named, path),
            other => panic!("{left:?}: {other:?}"),
        }
        fs::write(&path, "").unwrap();
    }
}

/// A month with entry 0 and its checkpoint, as a broker would begin it.
fn begin_december(written: &Written, authority: &VerifierKey) {
    let origin = "accord-test/2026-12".to_owned();
    let november = written.root().join("2026-11/checkpoint");
    let opened = v1::LogOpened {
        origin: origin.clone(),
        authority_vkeys: vec![authority.to_string()],
        previous_checkpoint: fs::read_to_string(november).unwrap(),
    };
    let entry = v1::Entry {
        salt: vec![7; 32],
        event: Some(v1::entry::Event::LogOpened(opened)),
        time_unix_ms: 0,
    };
    let header = SegmentHeader {
        origin: origin.clone(),
        first_index: 0,
    };
    let mut bytes = header.encode().unwrap();
    let time = written.clock.now().as_millisecond().unsigned_abs();
    let mut tree = Frontier::new();
    tree.append(encode_entry(&mut bytes, 0, &entry.encode_to_vec(), time).unwrap());
    let checkpoint = Checkpoint {
        origin: origin.clone(),
        size: 1,
        root: tree.root(),
    };
    let key = written.key.renamed(&origin).unwrap();
    let note = checkpoint.sign(&key).unwrap().to_string();
    encode_checkpoint(&mut bytes, 1, &note).unwrap();
    let dir = written.root().join("2026-12");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("00000000000000000000.segment"), bytes).unwrap();
    fs::write(dir.join("checkpoint"), note).unwrap();
}

#[test]
fn a_month_that_pins_other_authorities_than_the_one_before_is_damaged() {
    let vkey = || {
        let key = SigningKey::generate("central-bank").unwrap();
        key.verifier().clone()
    };
    let (authority, stranger) = (vkey(), vkey());
    let written = Written::pinning(std::slice::from_ref(&authority));
    begin_december(&written, &authority);
    assert_eq!(written.verify().unwrap().logs.len(), 2);
    begin_december(&written, &stranger);
    let error = written.verify().unwrap_err().to_string();
    assert!(
        error.contains("2026-12") && error.contains("pins other authorities"),
        "{error}"
    );
}

#[test]
fn another_key_or_an_empty_directory_is_not_verified() {
    let written = Written::new();
    let stranger: VerifierKey = SigningKey::generate("accord-test")
        .unwrap()
        .verifier()
        .clone();
    assert!(matches!(
        verify_dir(written.root(), &[stranger]),
        Err(VerifyError::Published { .. })
    ));
    let known = written.key.verifier().clone();
    verify_dir(written.root(), &[known]).unwrap();
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(
        verify_dir(empty.path(), &[]),
        Err(VerifyError::NoLedger { .. })
    ));
}
