//! What start-up believes of a ledger that was cut, torn or changed.

use std::fs;

use accord_broker::ledger::{Ledger, LedgerError};
use accord_proto::c2sp::{Checkpoint, LogProof, SignedNote};
use accord_proto::segment::FrameKind;

use crate::bench::{
    Bench, all, append, check_all_proofs, entry, frames, frames_start, published_size, segments,
};

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
    let written = frames(&segment);
    let end = written.last().map(|(offset, len, _)| offset + len).unwrap();
    // Every length of the last batch, some of those before; cut off, and never written.
    let last_batch = written[written.len() - 2].0;
    let cuts = (0..last_batch).step_by(41).chain(last_batch..=end);
    for cut in cuts {
        for truncate in [false, true] {
            if truncate && cut % 5 != 0 {
                continue;
            }
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
                    if cut % 16 == 0 {
                        assert_eq!(all(&torn.open()).len(), size + 1);
                    }
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
    let published = fs::read(bench.month().join("checkpoint")).unwrap();
    let ledger = bench.open();
    append(&ledger, 2);
    // One entry over several sectors.
    ledger.append_blocking(entry(&"x".repeat(4000))).unwrap();
    let crashed = bench.crashed();
    drop(ledger);
    let path = segments(&crashed.month()).pop().unwrap();
    let frames = frames(&path);
    let mut bytes = fs::read(&path).unwrap();
    let hole = |bytes: &mut Vec<u8>, at: usize| {
        let sector = at.next_multiple_of(512);
        bytes[sector..sector + 512].fill(0);
    };
    hole(&mut bytes, frames[4].0);
    fs::write(&path, &bytes).unwrap();
    // A batch that was not finished was never published.
    fs::write(crashed.month().join("checkpoint"), published).unwrap();
    let (ledger, replayed) = crashed.try_open().unwrap();
    assert_eq!((replayed.size, replayed.recovered), (3, 0));
    append(&ledger, 1);
    check_all_proofs(&crashed, &ledger);
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
fn a_ledger_without_its_published_checkpoint_refuses_to_start() {
    let bench = Bench::new();
    append(&bench.open(), 4);
    let path = bench.month().join("checkpoint");
    let published = fs::read(&path).unwrap();
    for left in [None, Some(0), Some(published.len())] {
        fs::remove_file(&path).unwrap();
        if let Some(zeros) = left {
            fs::write(&path, vec![0; zeros]).unwrap();
        }
        match bench.try_open() {
            Err(LedgerError::Unpublished { path: named }) => assert_eq!(named, path),
            other => panic!("{left:?}: {other:?}"),
        }
        fs::write(&path, &published).unwrap();
        assert_eq!(bench.open().size(), 5);
    }
    // Nor is it believed of a month that is over.
    let mut config = bench.config();
    config.clock_step_max = std::time::Duration::from_secs(86_400 * 100);
    let (ledger, _) = Ledger::open(config, bench.clock.clone()).unwrap();
    bench.clock.set("2026-12-01T00:01:00Z".parse().unwrap());
    append(&ledger, 1);
    drop(ledger);
    fs::remove_file(&path).unwrap();
    assert!(matches!(
        bench.try_open(),
        Err(LedgerError::Unpublished { .. })
    ));
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
