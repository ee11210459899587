//! The source against a real osmo-hlr (Debian package `osmo-hlr`). Run with `--ignored`.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers of a test fail by panicking"
)]

mod device;
mod support;

use std::time::Duration;

use accord_adapters::conformance;
use accord_adapters::osmo_hlr::testing::{RealHlr, TestingError};
use accord_adapters::source::{Condition, Source};
use accord_proto::clock::SystemClock;
use accord_proto::observation::{Observed, Roaming};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;

use support::{NEW, OLD, ask, number, source, swap};

#[tokio::test]
#[ignore = "needs osmo-hlr"]
async fn a_number_that_moves_to_a_new_imsi_changed_between_two_polls() {
    let dir = tempfile::tempdir().unwrap();
    let hlr = RealHlr::start(dir.path()).await.unwrap();
    let admin = hlr.admin();
    admin.create(OLD).await.unwrap();
    admin.give(OLD, &number(1)).await.unwrap();
    let source = source(&hlr, dir.path(), "");

    let (first, observation) = swap(&source, number(1)).await;
    assert_eq!(first.changed_in, None);
    assert_eq!(first.monitored_since, Some(observation.observed_at));

    let (same, _) = swap(&source, number(1)).await;
    assert_eq!(same, first);

    let sweep = source.poll_once().await.unwrap();
    assert_eq!((sweep.asked, sweep.changed), (1, 0));
    admin.create(NEW).await.unwrap();
    let refused = admin.give(NEW, &number(1)).await;
    assert!(
        matches!(refused, Err(TestingError::Refused(_))),
        "{refused:?}"
    );
    let mut changes = source.changes().unwrap();

    // The swap as it really happens: for a while nobody has the number.
    let (_, kept) = swap(&source, number(1)).await;
    admin.take(OLD).await.unwrap();
    let in_gap = ask(&source, number(1), Signal::SimSwap).await;
    assert_eq!(in_gap, Err(Reason::Undecided));
    assert_eq!(source.poll_once().await.unwrap().missing, 1);
    // What a broker may hold, which says that there was none, is taken back meanwhile.
    let gone = changes.try_recv().unwrap();
    assert!(gone.msisdn == number(1) && gone.signal == Signal::SimSwap);
    assert_eq!(gone.observation, None);
    assert!(changes.try_recv().is_err(), "once");

    admin.give(NEW, &number(1)).await.unwrap();
    let sweep = source.poll_once().await.unwrap();
    assert_eq!((sweep.changed, sweep.missing), (1, 0));
    let (swapped, after) = swap(&source, number(1)).await;
    let interval = swapped.changed_in.unwrap();
    assert_eq!(interval.after(), kept.observed_at);
    assert!(interval.before() > interval.after());
    assert!(interval.before() <= after.observed_at);
    assert_eq!(swapped.monitored_since, first.monitored_since);

    let pushed = changes.try_recv().unwrap();
    assert!(pushed.msisdn == number(1));
    assert_eq!(pushed.observation.unwrap().what, Observed::Change(swapped));
}

#[tokio::test]
#[ignore = "needs osmo-hlr"]
async fn the_journal_outlives_source_and_hlr() {
    let dir = tempfile::tempdir().unwrap();
    let mut hlr = RealHlr::start(dir.path()).await.unwrap();
    hlr.admin().create(OLD).await.unwrap();
    hlr.admin().create(NEW).await.unwrap();
    hlr.admin().give(OLD, &number(2)).await.unwrap();
    let first_run = source(&hlr, dir.path(), "");
    let (first, _) = swap(&first_run, number(2)).await;
    first_run.poll_once().await.unwrap();

    hlr.stop().unwrap();
    // What was seen at the last look holds as of then, and of a stranger nothing is known.
    let (remembered, _) = swap(&first_run, number(2)).await;
    assert_eq!(remembered, first);
    assert_eq!(first_run.state().condition, Condition::Down);
    assert_eq!(
        ask(&first_run, number(9), Signal::SimSwap).await,
        Err(Reason::SourceDown)
    );
    assert!(first_run.poll_once().await.is_err());
    drop(first_run);

    hlr.restart().await.unwrap();
    hlr.admin().swap(OLD, NEW, &number(2)).await.unwrap();
    let second_run = source(&hlr, dir.path(), "");
    assert_eq!(second_run.poll_once().await.unwrap().changed, 1);
    let (swapped, _) = swap(&second_run, number(2)).await;
    assert!(swapped.changed_in.is_some());
    assert_eq!(swapped.monitored_since, first.monitored_since);
}

#[tokio::test]
#[ignore = "needs osmo-hlr"]
async fn a_number_never_seen_is_unknown_and_not_watched() {
    let dir = tempfile::tempdir().unwrap();
    let hlr = RealHlr::start(dir.path()).await.unwrap();
    let source = source(&hlr, dir.path(), "watch = [\"+447700900009\"]");
    assert_eq!(
        ask(&source, number(3), Signal::SimSwap).await,
        Err(Reason::UnknownNumber)
    );
    let sweep = source.poll_once().await.unwrap();
    assert_eq!(
        (sweep.asked, sweep.unknown),
        (1, 1),
        "the configured one only"
    );
    hlr.admin().create(OLD).await.unwrap();
    hlr.admin().give(OLD, &number(9)).await.unwrap();
    assert_eq!(source.poll_once().await.unwrap().began, 1);
}

#[tokio::test]
#[ignore = "needs osmo-hlr"]
async fn a_subscriber_roams_where_its_vlr_is_and_a_new_card_is_nowhere_yet() {
    let dir = tempfile::tempdir().unwrap();
    let hlr = RealHlr::start(dir.path()).await.unwrap();
    let admin = hlr.admin();
    admin.create(OLD).await.unwrap();
    admin.create(NEW).await.unwrap();
    admin.give(OLD, &number(4)).await.unwrap();
    let source = source(
        &hlr,
        dir.path(),
        "serving = [{ name = \"vlr-901-70\", home = true }, { name = \"vlr-208-01\", home = false, mcc = 208 }]",
    );
    let nowhere = Err(Reason::NotAvailable);
    assert_eq!(ask(&source, number(4), Signal::Roaming).await, nowhere);
    for (vlr, roaming, visited_mcc) in
        [("vlr-901-70", false, None), ("vlr-208-01", true, Some(208))]
    {
        hlr.register(vlr, OLD).await.unwrap();
        let observed = ask(&source, number(4), Signal::Roaming).await.unwrap();
        let expected = Roaming {
            roaming,
            visited_mcc,
        };
        assert_eq!(observed.what, Observed::Roaming(expected));
    }
    let mut changes = source.changes().unwrap();
    while changes.try_recv().is_ok() {}
    assert_eq!(source.poll_once().await.unwrap().withdrawn, 0);
    hlr.register("vlr-901-70", OLD).await.unwrap();
    // A poll finds out that what was told is so no longer.
    assert_eq!(source.poll_once().await.unwrap().withdrawn, 1);
    let moved = changes.try_recv().unwrap();
    assert!(moved.msisdn == number(4) && moved.signal == Signal::Roaming);
    assert_eq!(moved.observation, None);
    hlr.register("vlr-262-99", OLD).await.unwrap();
    assert_eq!(
        ask(&source, number(4), Signal::Roaming).await,
        nowhere,
        "not in the table"
    );
    hlr.register("vlr-208-01", OLD).await.unwrap();
    admin.swap(OLD, NEW, &number(4)).await.unwrap();
    assert_eq!(
        ask(&source, number(4), Signal::Roaming).await,
        nowhere,
        "the old card's VLR"
    );
}

#[tokio::test]
#[ignore = "needs osmo-hlr"]
async fn it_keeps_the_rules_of_every_source() {
    let dir = tempfile::tempdir().unwrap();
    let hlr = RealHlr::start(dir.path()).await.unwrap();
    let admin = hlr.admin();
    admin.create(OLD).await.unwrap();
    admin.create(NEW).await.unwrap();
    admin.give(OLD, &number(5)).await.unwrap();
    let source = source(
        &hlr,
        dir.path(),
        "serving = [{ name = \"vlr-901-70\", home = true }]",
    );
    let clock = SystemClock::shared();
    let time = Duration::from_secs(5);
    let examine = || conformance::examine(&source, number(5), time, &*clock);
    hlr.register("vlr-901-70", OLD).await.unwrap();
    assert_eq!(examine().await.faults, Vec::<String>::new());
    admin.take(OLD).await.unwrap();
    assert_eq!(examine().await.faults, Vec::<String>::new());
    admin.give(NEW, &number(5)).await.unwrap();
    assert_eq!(examine().await.faults, Vec::<String>::new());
}
