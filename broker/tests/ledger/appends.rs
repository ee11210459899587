//! What is appended is there, once, in order, and proved.

use std::sync::Arc;

use accord_broker::ledger::LedgerError;
use accord_proto::c2sp::{Checkpoint, SignedNote};
use accord_proto::merkle::{leaf_hash, verify_consistency};
use accord_proto::v1;
use prost::Message as _;

use crate::bench::{Bench, all, append, check_all_proofs, entry, segments};

#[test]
fn an_append_is_read_back_proved_and_still_there_after_a_restart() {
    let bench = Bench::new();
    let ledger = bench.open();
    assert_eq!(ledger.authorities(), std::slice::from_ref(&bench.authority));
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
