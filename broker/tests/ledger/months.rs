//! Over the end of a month, and back through the months.

use std::time::Duration;

use accord_broker::ledger::{Ledger, LedgerError};
use accord_proto::c2sp::LogProof;
use accord_proto::v1;
use prost::Message as _;

use crate::bench::{Bench, append, check_all_proofs, copy_dir};

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

#[test]
fn a_month_that_does_not_continue_the_one_before_refuses_to_start() {
    let bench = Bench::new();
    let mut config = bench.config();
    config.clock_step_max = Duration::from_secs(86_400 * 100);
    let (ledger, _) = Ledger::open(config, bench.clock.clone()).unwrap();
    append(&ledger, 3);
    let backup = bench.crashed();
    append(&ledger, 3);
    bench.clock.set("2026-12-01T00:01:00Z".parse().unwrap());
    append(&ledger, 3);
    drop(ledger);
    drop(bench.open());
    // November is put back from an older backup: whole in itself, and shorter.
    std::fs::remove_dir_all(bench.month()).unwrap();
    copy_dir(&backup.month(), &bench.month());
    match bench.try_open() {
        Err(LedgerError::Damaged {
            segment,
            entry: 0,
            what,
            ..
        }) => {
            assert_eq!(segment, "2026-12/00000000000000000000.segment");
            assert_eq!(what, "entry 0 does not continue the month before");
        }
        other => panic!("{other:?}"),
    }
}
