//! The file ledger from outside: what survives, what is refused, what can be proved.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is not as it should be"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use accord_broker::ledger::{Committed, Ledger, LedgerConfig, LedgerError, Replayed};
use accord_proto::c2sp::{Checkpoint, LogProof, SignedNote, SigningKey, VerifierKey};
use accord_proto::clock::ManualClock;
use accord_proto::merkle::{leaf_hash, verify_consistency};
use accord_proto::segment::{Decoded, FrameKind, SegmentHeader, decode};
use accord_proto::v1;
use jiff::SignedDuration;
use prost::Message as _;

const NAME: &str = "accord-test";
const SEGMENT_BYTES: u64 = 256 << 10;

struct Bench {
    dir: tempfile::TempDir,
    key: SigningKey,
    authority: VerifierKey,
    clock: Arc<ManualClock>,
}

impl Bench {
    fn new() -> Self {
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

    fn init(&self) -> Result<(), LedgerError> {
        let clock = self.clock.clone() as accord_proto::clock::SharedClock;
        let authorities = std::slice::from_ref(&self.authority);
        Ledger::init(&self.root(), &self.key, authorities, &clock)
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("ledger")
    }

    fn config(&self) -> LedgerConfig {
        let key = SigningKey::parse(self.key.to_secret_text().expose()).unwrap();
        LedgerConfig {
            segment_bytes: SEGMENT_BYTES,
            clock_step_max: Duration::from_secs(3600),
            free_bytes_min: 1,
            ..LedgerConfig::new(self.root(), key)
        }
    }

    fn try_open(&self) -> Result<(Ledger, Replayed), LedgerError> {
        Ledger::open(self.config(), self.clock.clone())
    }

    fn open(&self) -> Ledger {
        self.try_open().unwrap().0
    }

    /// A copy of the directory as a crash would leave it: the ledger isn't stopped.
    fn crashed(&self) -> Self {
        let crashed = Self {
            dir: tempfile::tempdir().unwrap(),
            key: SigningKey::parse(self.key.to_secret_text().expose()).unwrap(),
            authority: self.authority.clone(),
            clock: self.clock.clone(),
        };
        copy_dir(&self.root(), &crashed.root());
        crashed
    }

    fn known(&self) -> [VerifierKey; 1] {
        [self.key.verifier().clone()]
    }

    fn month(&self) -> PathBuf {
        self.root().join("2026-11")
    }
}

fn copy_dir(from: &Path, to: &Path) {
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

fn append(ledger: &Ledger, count: u64) -> Vec<Committed> {
    (0..count)
        .map(|n| ledger.append_blocking(entry(&format!("{n}"))).unwrap())
        .collect()
}

fn all(ledger: &Ledger) -> Vec<Vec<u8>> {
    ledger.entries(None, 0, u64::MAX).unwrap()
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "segment"))
        .collect();
    paths.sort();
    paths
}

/// Offset, length and kind of each frame of a segment.
fn frames(path: &Path) -> Vec<(usize, usize, FrameKind)> {
    let bytes = fs::read(path).unwrap();
    let mut at = SegmentHeader::decode(&bytes).unwrap().1;
    let mut frames = Vec::new();
    while let Ok(Decoded::Frame(frame)) = decode(&bytes[at..]) {
        frames.push((at, frame.len(), frame.kind));
        at += frame.len();
    }
    frames
}

fn check_all_proofs(bench: &Bench, ledger: &Ledger) {
    for (index, bytes) in all(ledger).iter().enumerate() {
        let proof = ledger.prove_inclusion(None, index as u64).unwrap();
        let proof = LogProof::parse(&proof).unwrap();
        let checkpoint = proof.verify(bytes, &bench.known()).unwrap();
        assert_eq!(checkpoint.size, ledger.size());
    }
}

#[test]
fn only_init_makes_a_ledger_and_only_once() {
    let bench = Bench::new();
    assert!(matches!(bench.init(), Err(LedgerError::Exists { .. })));
    let mut config = bench.config();
    config.dir = bench.dir.path().join("absent");
    assert!(matches!(
        Ledger::open(config, bench.clock.clone()),
        Err(LedgerError::Missing { .. })
    ));
    let mut config = bench.config();
    config.key = SigningKey::generate(NAME).unwrap();
    assert!(matches!(
        Ledger::open(config, bench.clock.clone()),
        Err(LedgerError::WrongKey { .. })
    ));
}

#[test]
fn a_directory_is_open_once() {
    let bench = Bench::new();
    let first = bench.open();
    assert!(matches!(bench.try_open(), Err(LedgerError::Locked { .. })));
    drop(first);
    bench.open();
}

#[test]
fn an_append_is_read_back_proved_and_still_there_after_a_restart() {
    let bench = Bench::new();
    let ledger = bench.open();
    assert_eq!(ledger.authorities(), [bench.authority.clone()]);
    let committed = append(&ledger, 5);
    assert_eq!(
        committed.iter().map(|c| c.index).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5]
    );
    let bytes = ledger.entry(None, 3).unwrap();
    assert_eq!(leaf_hash(&bytes), committed[2].leaf_hash);
    let decoded = v1::Entry::decode(bytes.as_slice()).unwrap();
    assert_eq!(decoded.time_unix_ms, 1_795_262_400_000);
    let note = SignedNote::parse(&committed[4].checkpoint).unwrap();
    let checkpoint = Checkpoint::open(&note, &bench.known()).unwrap();
    assert_eq!(checkpoint.size, 6);
    assert_eq!(checkpoint.origin, "accord-test/2026-11");
    check_all_proofs(&bench, &ledger);
    let before = all(&ledger);
    drop(ledger);
    let (ledger, replayed) = bench.try_open().unwrap();
    assert_eq!((replayed.size, replayed.recovered), (6, 0));
    assert_eq!(all(&ledger), before);
    // A clean stop is gone on from in the same segment.
    append(&ledger, 1);
    assert_eq!(segments(&bench.month()).len(), 2);
    check_all_proofs(&bench, &ledger);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_share_batches_and_each_gets_its_own_index() {
    let bench = Bench::new();
    let ledger = Arc::new(bench.open());
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let ledger = Arc::clone(&ledger);
            tokio::spawn(async move {
                let mut got = Vec::new();
                for n in 0..50 {
                    let bytes = entry(&format!("{task} {n}"));
                    got.push(ledger.append(bytes).await.unwrap());
                }
                got
            })
        })
        .collect();
    let mut indexes = Vec::new();
    for task in tasks {
        let got = task.await.unwrap();
        assert!(got.is_sorted_by(|a, b| a.index < b.index && a.time <= b.time));
        indexes.extend(got.iter().map(|c| (c.index, c.leaf_hash)));
    }
    indexes.sort_unstable();
    assert!(indexes.iter().map(|(index, _)| *index).eq(1..=3200));
    let stored = all(&ledger);
    for (index, hash) in &indexes {
        assert_eq!(leaf_hash(&stored[*index as usize]), *hash);
    }
    let stats = ledger.stats();
    assert_eq!(stats.entries, 3200);
    assert!(stats.batches < 1600, "{stats:?}");
    let mut head = ledger.subscribe();
    head.wait_for(|head| head.size == 3201).await.unwrap();
    check_all_proofs(&bench, &ledger);
}

#[tokio::test]
async fn a_dropped_future_leaves_its_entry() {
    let bench = Bench::new();
    let ledger = bench.open();
    drop(ledger.append(entry("gone")));
    let committed = ledger.append(entry("here")).await.unwrap();
    assert_eq!(committed.index, 2);
}

#[test]
fn proofs_between_all_sizes_hold() {
    let bench = Bench::new();
    let ledger = bench.open();
    let mut roots = vec![(1, None)];
    for committed in append(&ledger, 70) {
        let note = SignedNote::parse(&committed.checkpoint).unwrap();
        let checkpoint = Checkpoint::open(&note, &bench.known()).unwrap();
        roots.push((checkpoint.size, Some(checkpoint.root)));
    }
    for (new, new_root) in &roots {
        for (old, old_root) in roots.iter().take_while(|(old, _)| old <= new) {
            let (Some(old_root), Some(new_root)) = (old_root, new_root) else {
                continue;
            };
            let (hashes, _) = ledger.prove_consistency(None, *old, *new).unwrap();
            verify_consistency((*old, old_root), (*new, new_root), &hashes).unwrap();
        }
    }
    assert!(matches!(
        ledger.prove_consistency(None, 1, 99),
        Err(LedgerError::Range { size: 71 })
    ));
    assert!(matches!(
        ledger.prove_inclusion(None, 71),
        Err(LedgerError::Range { size: 71 })
    ));
    assert!(matches!(
        ledger.entry(None, 71),
        Err(LedgerError::Range { size: 71 })
    ));
}

#[test]
fn a_tail_cut_at_any_byte_leaves_a_ledger_that_goes_on() {
    let bench = Bench::new();
    let ledger = bench.open();
    append(&ledger, 4);
    let before = all(&ledger);
    let crashed = bench.crashed();
    drop(ledger);
    let segment = segments(&crashed.month()).pop().unwrap();
    let whole = fs::read(&segment).unwrap();
    let last = *frames(&segment).last().unwrap();
    for cut in (0..=last.0 + last.1).step_by(3) {
        for truncate in [false, true] {
            let torn = bench.crashed_into(&crashed);
            let path = segments(&torn.month()).pop().unwrap();
            let mut bytes = whole[..cut].to_vec();
            if !truncate {
                bytes.resize(whole.len(), 0);
            }
            fs::write(&path, &bytes).unwrap();
            let published = published_size(&torn);
            match torn.try_open() {
                Ok((ledger, replayed)) => {
                    let size = replayed.size as usize;
                    assert!(replayed.size >= published);
                    assert_eq!(all(&ledger), before[..size], "cut at {cut}");
                    ledger.append_blocking(entry("after")).unwrap();
                    check_all_proofs(&torn, &ledger);
                    drop(ledger);
                    assert_eq!(all(&torn.open()).len(), size + 1);
                }
                Err(LedgerError::Shorter { .. }) => assert!(published > 1, "cut at {cut}"),
                Err(LedgerError::Damaged { offset: 0, .. }) => {
                    assert!(cut < frames_start(&whole), "cut at {cut}");
                }
                Err(error) => panic!("cut at {cut}: {error}"),
            }
        }
    }
}

fn frames_start(bytes: &[u8]) -> usize {
    SegmentHeader::decode(bytes).unwrap().1
}

fn published_size(bench: &Bench) -> u64 {
    let text = fs::read_to_string(bench.month().join("checkpoint")).unwrap();
    let note = SignedNote::parse(&text).unwrap();
    Checkpoint::open(&note, &bench.known()).unwrap().size
}

impl Bench {
    fn crashed_into(&self, image: &Self) -> Self {
        let copy = image.crashed();
        assert_eq!(copy.key.verifier(), self.key.verifier());
        copy
    }
}

#[test]
fn entries_behind_the_last_checkpoint_are_kept_and_signed() {
    let bench = Bench::new();
    let ledger = bench.open();
    append(&ledger, 4);
    let before = all(&ledger);
    let crashed = bench.crashed();
    drop(ledger);
    let path = segments(&crashed.month()).pop().unwrap();
    let (offset, _, kind) = *frames(&path).last().unwrap();
    assert_eq!(kind, FrameKind::Checkpoint);
    let mut bytes = fs::read(&path).unwrap();
    bytes[offset..].fill(0);
    fs::write(&path, bytes).unwrap();
    let (ledger, replayed) = crashed.try_open().unwrap();
    assert_eq!((replayed.size, replayed.recovered), (5, 1));
    assert_eq!(all(&ledger), before);
    let note = SignedNote::parse(&ledger.checkpoint(None).unwrap()).unwrap();
    assert_eq!(Checkpoint::open(&note, &crashed.known()).unwrap().size, 5);
    check_all_proofs(&crashed, &ledger);
}

#[test]
fn damage_before_the_last_checkpoint_refuses_to_start_and_is_named() {
    let bench = Bench::new();
    let ledger = bench.open();
    append(&ledger, 4);
    let crashed = bench.crashed();
    drop(ledger);
    let segment = segments(&crashed.month()).pop().unwrap();
    let whole = fs::read(&segment).unwrap();
    let frames = frames(&segment);
    // Entry 3 and its checkpoint: entries 1 and 2 come before, 4 behind.
    for (offset, len, _) in &frames[4..6] {
        for at in [
            *offset,
            offset + 4,
            offset + 8,
            offset + 16,
            offset + len - 1,
        ] {
            let copy = crashed.crashed();
            let path = segments(&copy.month()).pop().unwrap();
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
            match copy.try_open() {
                Err(LedgerError::Damaged {
                    segment,
                    offset: named,
                    entry,
                    ..
                }) => {
                    assert_eq!(segment, "2026-11/00000000000000000001.segment");
                    assert_eq!(named, *offset as u64);
                    assert!(entry == 3 || entry == 4);
                }
                other => panic!("byte {at}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_batch_that_the_disk_never_finished_is_no_damage() {
    let bench = Bench::new();
    let ledger = bench.open();
    append(&ledger, 2);
    // One entry over several sectors.
    ledger.append_blocking(entry(&"x".repeat(4000))).unwrap();
    let crashed = bench.crashed();
    drop(ledger);
    let path = segments(&crashed.month()).pop().unwrap();
    let frames = frames(&path);
    let whole = fs::read(&path).unwrap();
    let hole = |bytes: &mut Vec<u8>, at: usize| {
        let sector = at.next_multiple_of(512);
        bytes[sector..sector + 512].fill(0);
    };
    let mut bytes = whole.clone();
    hole(&mut bytes, frames[4].0);
    fs::write(&path, &bytes).unwrap();
    let published = published_size(&crashed);
    match crashed.try_open() {
        Ok((ledger, replayed)) => {
            assert_eq!((replayed.size, replayed.recovered), (3, 0));
            append(&ledger, 1);
            check_all_proofs(&crashed, &ledger);
        }
        Err(error) => assert!(published > 3, "{error}"),
    }
}

#[test]
fn a_ledger_shorter_than_what_was_published_refuses_to_start() {
    let bench = Bench::new();
    let ledger = bench.open();
    append(&ledger, 4);
    drop(ledger);
    assert_eq!(published_size(&bench), 5);
    let path = segments(&bench.month()).pop().unwrap();
    let frames = frames(&path);
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(frames[6].0 as u64).unwrap();
    match bench.try_open() {
        Err(LedgerError::Shorter {
            published: 5,
            found: 4,
            ..
        }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_published_checkpoint_of_another_history_refuses_to_start() {
    let bench = Bench::new();
    let ledger = bench.open();
    append(&ledger, 4);
    drop(ledger);
    let fork = Checkpoint {
        origin: "accord-test/2026-11".into(),
        size: 3,
        root: [9; 32],
    };
    let key = bench.key.renamed(&fork.origin).unwrap();
    let note = fork.sign(&key).unwrap().to_string();
    fs::write(bench.month().join("checkpoint"), note).unwrap();
    assert!(matches!(
        bench.try_open(),
        Err(LedgerError::Forked { published: 3, .. })
    ));
}

#[test]
fn tiles_and_indexes_are_made_again_when_missing_or_wrong() {
    let bench = Bench::new();
    let ledger = bench.open();
    // Enough for several segments and full tiles.
    append(&ledger, 2200);
    assert!(segments(&bench.month()).len() > 3);
    drop(ledger);
    let tile = bench.month().join("tile/0/001");
    let right = fs::read(&tile).unwrap();
    assert_eq!(right.len(), 8192);
    for damage in ["missing", "wrong", "short"] {
        match damage {
            "missing" => fs::remove_file(&tile).unwrap(),
            "wrong" => {
                let mut wrong = right.clone();
                wrong[77] ^= 1;
                fs::write(&tile, wrong).unwrap();
            }
            _ => fs::write(&tile, &right[..100]).unwrap(),
        }
        for index in fs::read_dir(bench.month()).unwrap() {
            let path = index.unwrap().path();
            if path.extension().is_some_and(|e| e == "index") {
                fs::write(path, b"not an index").unwrap();
            }
        }
        let ledger = bench.open();
        let bytes = ledger.entry(None, 300).unwrap();
        let proof = ledger.prove_inclusion(None, 300).unwrap();
        let proof = LogProof::parse(&proof).unwrap();
        proof.verify(&bytes, &bench.known()).unwrap();
        assert_eq!(fs::read(&tile).unwrap(), right, "{damage}");
        drop(ledger);
    }
    let ledger = bench.open();
    fs::write(&tile, [1; 8192]).unwrap();
    check_all_proofs(&bench, &ledger);
    append(&ledger, 300);
    check_all_proofs(&bench, &ledger);
}

#[test]
fn a_new_month_begins_with_the_last_checkpoint_of_the_old_one() {
    let bench = Bench::new();
    let mut config = bench.config();
    config.clock_step_max = Duration::from_secs(86_400 * 100);
    let (ledger, _) = Ledger::open(config, bench.clock.clone()).unwrap();
    append(&ledger, 300);
    let november = ledger.checkpoint(None).unwrap();
    bench.clock.set("2027-01-03T00:00:00Z".parse().unwrap());
    let committed = append(&ledger, 3);
    assert_eq!(&*committed[0].origin, "accord-test/2027-01");
    assert_eq!(committed[0].index, 1);
    let opened = v1::Entry::decode(ledger.entry(None, 0).unwrap().as_slice()).unwrap();
    let Some(v1::entry::Event::LogOpened(opened)) = opened.event else {
        panic!("{opened:?}")
    };
    assert_eq!(opened.previous_checkpoint, *november);
    assert_eq!(opened.authority_vkeys, [bench.authority.to_string()]);
    let old = Some("accord-test/2026-11");
    assert_eq!(ledger.checkpoint(old).unwrap(), november);
    for ledger in [ledger, bench.open_later()] {
        for index in [0, 255, 256, 300] {
            let proof = ledger.prove_inclusion(old, index).unwrap();
            let bytes = ledger.entry(old, index).unwrap();
            let proof = LogProof::parse(&proof).unwrap();
            assert_eq!(proof.verify(&bytes, &bench.known()).unwrap().size, 301);
        }
        ledger.prove_consistency(old, 100, 0).unwrap();
        check_all_proofs(&bench, &ledger);
        assert_eq!(
            ledger.origins().unwrap(),
            ["accord-test/2026-11", "accord-test/2027-01"]
        );
        for unknown in ["accord-test/2026-12", "accord-test/x", "other/2026-11"] {
            assert!(matches!(
                ledger.checkpoint(Some(unknown)),
                Err(LedgerError::UnknownLog { .. })
            ));
        }
        drop(ledger);
    }
}

impl Bench {
    /// Opens once the other holder has let go; the array in the test holds both otherwise.
    fn open_later(&self) -> Ledger {
        self.crashed().leak_open()
    }

    fn leak_open(self) -> Ledger {
        let ledger = self.open();
        // The directory lives as long as the test process.
        std::mem::forget(self.dir);
        ledger
    }
}

#[test]
fn a_clock_step_stops_appends_until_it_is_taken_back() {
    let bench = Bench::new();
    let mut config = bench.config();
    config.clock_step_max = Duration::from_secs(600);
    let (ledger, _) = Ledger::open(config, bench.clock.clone()).unwrap();
    append(&ledger, 1);
    for step in [3600, -3600] {
        bench.clock.step(SignedDuration::from_secs(step));
        assert!(!ledger.is_ready());
        assert!(matches!(
            ledger.append_blocking(entry("late")),
            Err(LedgerError::ClockStepped)
        ));
        bench.clock.step(SignedDuration::from_secs(-step));
        assert!(ledger.is_ready());
        append(&ledger, 1);
    }
    assert_eq!(ledger.size(), 4);
}

#[test]
fn entry_times_never_go_back() {
    let bench = Bench::new();
    let ledger = bench.open();
    let first = append(&ledger, 1)[0].time;
    bench.clock.step(SignedDuration::from_secs(-60));
    assert_eq!(append(&ledger, 1)[0].time, first);
    bench.clock.step(SignedDuration::from_secs(120));
    assert!(append(&ledger, 1)[0].time > first);
    drop(ledger);
    bench.clock.step(SignedDuration::from_secs(-86_400));
    assert!(matches!(
        bench.try_open(),
        Err(LedgerError::ClockBehind { .. })
    ));
}

#[test]
fn below_the_free_space_mark_nothing_is_appended() {
    let bench = Bench::new();
    let mut config = bench.config();
    config.free_bytes_min = u64::MAX;
    let (ledger, _) = Ledger::open(config, bench.clock.clone()).unwrap();
    assert!(!ledger.is_ready());
    assert!(matches!(
        ledger.append_blocking(entry("x")),
        Err(LedgerError::DiskLow)
    ));
    assert_eq!(ledger.size(), 1);
}

#[test]
fn what_is_too_long_is_refused_and_the_longest_is_kept() {
    let bench = Bench::new();
    let ledger = bench.open();
    for (len, fits) in [(65_526, true), (65_527, false), (0, false)] {
        let appended = ledger.append_blocking(vec![1; len]);
        assert_eq!(appended.is_ok(), fits, "{len}");
    }
    assert_eq!(ledger.entry(None, 1).unwrap().len(), 65_535);
}

#[test]
fn after_a_stop_nothing_is_appended() {
    let bench = Bench::new();
    let ledger = bench.open();
    append(&ledger, 1);
    ledger.stop();
    assert!(matches!(
        ledger.append_blocking(entry("late")),
        Err(LedgerError::Stopped)
    ));
    assert_eq!(published_size(&bench), 2);
}

#[test]
fn recent_entries_are_scanned_over_segments_and_months() {
    let bench = Bench::new();
    let mut config = bench.config();
    config.clock_step_max = Duration::from_secs(86_400 * 100);
    let (ledger, _) = Ledger::open(config, bench.clock.clone()).unwrap();
    append(&ledger, 700);
    bench.clock.set("2026-11-30T23:59:00Z".parse().unwrap());
    append(&ledger, 10);
    bench.clock.set("2026-12-01T00:01:00Z".parse().unwrap());
    append(&ledger, 10);
    let scan = |since: &str| {
        let mut seen = Vec::new();
        ledger
            .scan_since(since.parse().unwrap(), |entry| {
                let decoded = v1::Entry::decode(entry.bytes).unwrap();
                let time = entry.time.as_millisecond();
                assert_eq!(decoded.time_unix_ms, time.cast_unsigned());
                seen.push((time, entry.index));
            })
            .unwrap();
        assert!(seen.is_sorted_by_key(|(time, _)| *time));
        seen
    };
    assert_eq!(scan("2026-12-01T00:00:30Z").len(), 11);
    let both = scan("2026-11-30T23:58:00Z");
    assert_eq!(both.len(), 21);
    assert_eq!(both[0].1, 701);
    assert_eq!(both[10].1, 0);
    assert_eq!(scan("2026-01-01T00:00:00Z").len(), 722);
    assert!(scan("2026-12-02T00:00:00Z").is_empty());
}
