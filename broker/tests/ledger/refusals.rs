//! What is refused, and leaves the ledger as it was.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use accord_broker::ledger::{Ledger, LedgerError};
use accord_proto::c2sp::SigningKey;
use jiff::SignedDuration;

use crate::bench::{Bench, NAME, append, entry, published_size};

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
        Ledger::open(config, bench.clock),
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
    let (ledger, _) = Ledger::open(config, bench.clock).unwrap();
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
    for (len, fits) in [(65_525, true), (65_526, false), (0, false)] {
        let appended = ledger.append_blocking(vec![1; len]);
        assert_eq!(appended.is_ok(), fits, "{len}");
    }
    assert_eq!(ledger.entry(None, 1).unwrap().len(), 65_535);
}

#[test]
fn what_the_queue_has_no_room_for_is_refused_at_once_and_is_not_in_the_ledger() {
    let bench = Bench::new();
    let mut config = bench.config();
    config.queue_entries_max = 1;
    let (ledger, _) = Ledger::open(config, bench.clock).unwrap();
    let (kept, full) = (AtomicU64::new(0), AtomicU64::new(0));
    // While one entry is on its way to the disk another may wait, and the rest may not.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..500 {
                    match ledger.append_blocking(entry("x")) {
                        Ok(_) => kept.fetch_add(1, Ordering::Relaxed),
                        Err(LedgerError::Full) => full.fetch_add(1, Ordering::Relaxed),
                        Err(error) => panic!("{error}"),
                    };
                }
            });
        }
    });
    assert!(full.into_inner() > 0);
    assert_eq!(ledger.size(), 1 + kept.into_inner());
    append(&ledger, 1);
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
