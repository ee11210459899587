//! What the file of a real HLR adds: the device, and how old a registration is.

use accord_adapters::conformance;
use accord_adapters::osmo_hlr::testing::{RealHlr, WAIT_MAX};
use accord_adapters::source::{Condition, Source};
use accord_proto::clock::{Clock, SystemClock};
use accord_proto::observation::Observed;
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use jiff::SignedDuration;
use std::path::Path;
use std::time::Duration;

use crate::support::{NEW, OLD, ask, change, number, swap, with_file};

const VLR: &str = "vlr-901-70";
/// 001 is the code of test devices (GSMA TS.06).
const DEVICE: &str = "00101700000001";
const OTHER_DEVICE: &str = "00101700000002";
const SERVING: &str = "serving = [{ name = \"vlr-901-70\", home = true }, \
    { name = \"sgsn-901-70\", home = true }]";

/// An HLR with a subscriber who is registered at home with a device.
async fn hlr(dir: &Path) -> RealHlr {
    let hlr = RealHlr::start(dir).await.unwrap();
    hlr.admin().create(OLD).await.unwrap();
    hlr.admin().create(NEW).await.unwrap();
    hlr.admin().give(OLD, &number(1)).await.unwrap();
    hlr.register(VLR, OLD).await.unwrap();
    hlr.check_in(VLR, OLD, DEVICE).await.unwrap();
    hlr
}

/// Changes the file behind the HLR's back.
fn alter(hlr: &RealHlr, sql: &str) {
    let file = rusqlite::Connection::open(hlr.sqlite_file()).unwrap();
    file.busy_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!(file.execute(sql, []).unwrap(), 1, "{sql}");
}

fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("hlr.db"))
        .collect();
    names.sort();
    names
}

#[tokio::test]
#[ignore = "needs osmo-hlr"]
async fn another_device_with_the_same_card_changed_between_two_polls() {
    let dir = tempfile::tempdir().unwrap();
    let hlr = hlr(dir.path()).await;
    let source = with_file(&hlr, dir.path(), "");
    assert_eq!(source.signals(), [Signal::SimSwap, Signal::DeviceSwap]);
    let mut changes = source.changes().unwrap();

    let first = ask(&source, number(1), Signal::DeviceSwap).await.unwrap();
    assert_eq!(change(&first).changed_in, None);
    assert_eq!(change(&first).monitored_since, Some(first.observed_at));
    source.poll_once().await.unwrap();
    let kept = ask(&source, number(1), Signal::DeviceSwap).await.unwrap();
    assert_eq!(change(&kept), change(&first));

    hlr.check_in(VLR, OLD, OTHER_DEVICE).await.unwrap();
    let sweep = source.poll_once().await.unwrap();
    assert_eq!(
        (sweep.changed, sweep.devices_changed),
        (0, 1),
        "no new card"
    );
    let after = ask(&source, number(1), Signal::DeviceSwap).await.unwrap();
    let swapped = change(&after);
    let interval = swapped.changed_in.unwrap();
    assert_eq!(interval.after(), kept.observed_at);
    assert!(interval.after() < interval.before() && interval.before() <= after.observed_at);
    assert_eq!(swapped.monitored_since, change(&first).monitored_since);
    assert_eq!(swap(&source, number(1)).await.0.changed_in, None);

    let pushed = changes.try_recv().unwrap();
    assert!(pushed.msisdn == number(1) && pushed.signal == Signal::DeviceSwap);
    assert_eq!(pushed.observation.unwrap().what, Observed::Change(swapped));
}

#[tokio::test]
#[ignore = "needs osmo-hlr"]
async fn in_the_gap_of_a_swap_neither_card_nor_device_is_unknown_or_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let hlr = hlr(dir.path()).await;
    let admin = hlr.admin();
    let source = with_file(&hlr, dir.path(), "");
    ask(&source, number(1), Signal::DeviceSwap).await.unwrap();
    swap(&source, number(1)).await;

    admin.take(OLD).await.unwrap();
    for signal in [Signal::SimSwap, Signal::DeviceSwap] {
        assert_eq!(
            ask(&source, number(1), signal).await,
            Err(Reason::Undecided)
        );
    }
    assert_eq!(source.poll_once().await.unwrap().missing, 1);
    admin.give(NEW, &number(1)).await.unwrap();
    // The new card has the number, and no device yet.
    assert_eq!(
        ask(&source, number(1), Signal::DeviceSwap).await,
        Err(Reason::Undecided)
    );
    source.poll_once().await.unwrap();
    assert!(swap(&source, number(1)).await.0.changed_in.is_some());
    assert_eq!(
        ask(&source, number(1), Signal::DeviceSwap).await,
        Err(Reason::Undecided)
    );
    hlr.register(VLR, NEW).await.unwrap();
    hlr.check_in(VLR, NEW, DEVICE).await.unwrap();
    let same = ask(&source, number(1), Signal::DeviceSwap).await.unwrap();
    assert_eq!(
        change(&same).changed_in,
        None,
        "the old device took the new card"
    );
    hlr.check_in(VLR, NEW, OTHER_DEVICE).await.unwrap();
    let other = ask(&source, number(1), Signal::DeviceSwap).await.unwrap();
    assert!(change(&other).changed_in.is_some());
}

#[tokio::test]
#[ignore = "needs osmo-hlr"]
async fn a_card_that_was_never_checked_in_has_no_device() {
    let dir = tempfile::tempdir().unwrap();
    let hlr = hlr(dir.path()).await;
    hlr.admin().give(NEW, &number(2)).await.unwrap();
    let source = with_file(&hlr, dir.path(), "");
    let none = ask(&source, number(2), Signal::DeviceSwap).await;
    assert_eq!(none, Err(Reason::NotAvailable));
    let unknown = ask(&source, number(3), Signal::DeviceSwap).await;
    assert_eq!(unknown, Err(Reason::UnknownNumber));
}

#[tokio::test]
#[ignore = "needs osmo-hlr"]
async fn a_registration_ages_after_its_last_location_update() {
    let dir = tempfile::tempdir().unwrap();
    let hlr = hlr(dir.path()).await;
    let source = with_file(&hlr, dir.path(), SERVING);
    let began = SystemClock.now();
    let fresh = ask(&source, number(1), Signal::Roaming).await.unwrap();
    assert!(fresh.observed_at >= began, "seen just now");

    alter(
        &hlr,
        "UPDATE subscriber SET last_lu_seen = '2026-01-02 03:04:05' WHERE id = 1",
    );
    let old = ask(&source, number(1), Signal::Roaming).await.unwrap();
    let day_later = "2026-01-03T03:04:05Z".parse().unwrap();
    assert_eq!(old.observed_at, day_later, "vouched for a day");
    assert_eq!(old.what, fresh.what);

    hlr.attach("sgsn-901-70", OLD).await.unwrap();
    let data = ask(&source, number(1), Signal::Roaming).await.unwrap();
    assert!(data.observed_at >= began, "data is enough to be seen");

    let tomorrow = SystemClock.now() + SignedDuration::from_hours(24);
    let tomorrow = tomorrow.strftime("%Y-%m-%d %H:%M:%S");
    for absurd in [tomorrow.to_string(), "0001-01-01 00:00:00".to_owned()] {
        let both = format!("last_lu_seen = '{absurd}', last_lu_seen_ps = '{absurd}'");
        alter(&hlr, &format!("UPDATE subscriber SET {both} WHERE id = 1"));
        let absurd = ask(&source, number(1), Signal::Roaming).await;
        assert_eq!(absurd, Err(Reason::Stale));
    }
}

#[tokio::test]
#[ignore = "needs osmo-hlr"]
async fn the_file_is_read_again_after_a_crash_and_after_a_clean_stop_and_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut hlr = hlr(dir.path()).await;
    let source = with_file(&hlr, dir.path(), "");
    ask(&source, number(1), Signal::DeviceSwap).await.unwrap();
    let live = ["hlr.db", "hlr.db-shm", "hlr.db-wal"];
    assert_eq!(files(dir.path()), live);

    hlr.restart().await.unwrap();
    let again = ask(&source, number(1), Signal::DeviceSwap).await.unwrap();
    assert_eq!(change(&again).changed_in, None);

    hlr.close().await.unwrap();
    assert_eq!(
        files(dir.path()),
        ["hlr.db"],
        "nobody kept the log from being folded in"
    );
    let down = ask(&source, number(1), Signal::DeviceSwap).await.unwrap();
    assert_eq!(down.observed_at, again.observed_at, "as of the last look");
    assert_eq!(source.state().condition, Condition::Down);
    assert!(source.poll_once().await.is_err());
    assert_eq!(files(dir.path()), ["hlr.db"], "a reader makes no files");

    hlr.restart().await.unwrap();
    let deadline = tokio::time::Instant::now() + WAIT_MAX;
    let restarted = loop {
        // A client that could not connect waits a little before it tries again.
        let told = ask(&source, number(1), Signal::DeviceSwap).await.unwrap();
        if told.observed_at > again.observed_at {
            break told;
        }
        assert!(tokio::time::Instant::now() < deadline, "still down");
        tokio::task::yield_now().await;
    };
    assert_eq!(source.state().condition, Condition::Up);
    assert_eq!(change(&restarted), change(&again));
}

#[tokio::test]
#[ignore = "needs osmo-hlr"]
async fn a_copy_of_the_file_is_not_taken_for_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let hlr = hlr(dir.path()).await;
    let copy = dir.path().join("copy.db");
    std::fs::copy(hlr.sqlite_file(), &copy).unwrap();
    let source = crate::support::source(&hlr, dir.path(), &format!("sqlite_file = {copy:?}"));
    let device = ask(&source, number(1), Signal::DeviceSwap).await;
    assert_eq!(device, Err(Reason::SourceDown));
    assert_eq!(
        source.poll_once().await.unwrap().devices_unread,
        0,
        "nothing watched yet"
    );
    swap(&source, number(1)).await;
    assert_eq!(source.poll_once().await.unwrap().devices_unread, 1);
    let state = source.state();
    assert_eq!(state.condition, Condition::Unusable);
    assert!(state.why.contains("it is a copy"), "{}", state.why);
    let made = ["copy.db-wal", "copy.db-shm"].map(|name| dir.path().join(name).exists());
    assert_eq!(made, [false, false]);
}

#[tokio::test]
#[ignore = "needs osmo-hlr"]
async fn with_its_file_it_keeps_the_rules_of_every_source() {
    let dir = tempfile::tempdir().unwrap();
    let hlr = hlr(dir.path()).await;
    let source = with_file(&hlr, dir.path(), SERVING);
    let clock = SystemClock::shared();
    let time = Duration::from_secs(5);
    for _ in 0..2 {
        let examined = conformance::examine(&source, number(1), time, &*clock).await;
        assert_eq!(examined.faults, Vec::<String>::new());
        assert!(
            examined.signals.iter().all(|(_, said)| said.is_ok()),
            "{examined:?}"
        );
        hlr.check_in(VLR, OLD, OTHER_DEVICE).await.unwrap();
    }
}
