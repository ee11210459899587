//! The traps of an osmo-hlr, each with a scripted one.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers of a test fail by panicking"
)]

mod bad_input;
mod disk;
mod fake;
mod file;
mod news;
mod together;

use std::time::Duration;

use accord_adapters::source::{Condition, Source};
use accord_proto::observation::{ChangedIn, Observed, Roaming};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use tokio::time::Instant;

use fake::{Bench, Mood, at, number};

const OLD: &str = "901700000000001";
const NEW: &str = "901700000000002";

fn between(after: i64, before: i64) -> Option<ChangedIn> {
    ChangedIn::new(at(after), at(before))
}

#[tokio::test]
async fn the_first_ask_only_begins_the_watch() {
    let bench = Bench::start("").await;
    bench.hlr.give(1, OLD, "");
    let change = bench.swap(1).await.unwrap();
    assert_eq!(change.changed_in, None);
    assert_eq!(change.monitored_since, Some(at(0)));
    assert_eq!(change.kind, None);
    bench.wait(10);
    assert_eq!(
        bench.source.poll_once().await.unwrap().asked,
        1,
        "now watched"
    );
}

#[tokio::test]
async fn a_new_imsi_changed_between_two_polls() {
    let bench = Bench::start("").await;
    bench.hlr.give(1, OLD, "");
    bench.swap(1).await.unwrap();
    bench.wait(10);
    bench.source.poll_once().await.unwrap();
    bench.hlr.give(1, NEW, "");
    bench.wait(10);
    assert_eq!(bench.source.poll_once().await.unwrap().changed, 1);
    let change = bench.swap(1).await.unwrap();
    assert_eq!(change.changed_in, between(10, 20));
    assert_eq!(change.monitored_since, Some(at(0)));
}

#[tokio::test]
async fn in_the_gap_of_a_swap_a_number_is_undecided_and_neither_unknown_nor_unchanged() {
    let bench = Bench::start("serving = [{ name = \"vlr\", home = true }]").await;
    bench.hlr.give(1, OLD, "vlr_number\tvlr");
    bench.swap(1).await.unwrap();
    bench.hlr.take(1);
    bench.wait(10);
    // Seen by the question itself as well as by a poll.
    assert_eq!(bench.swap(1).await, Err(Reason::Undecided));
    assert_eq!(bench.source.poll_once().await.unwrap().missing, 1);
    assert_eq!(bench.swap(1).await, Err(Reason::Undecided));
    // The VLR of the old IMSI says nothing of who has the number next.
    assert_eq!(bench.ask(1, Signal::Roaming).await, Err(Reason::Stale));
    bench.hlr.give(1, NEW, "");
    bench.wait(10);
    assert_eq!(bench.swap(1).await.unwrap().changed_in, between(0, 20));
    assert_eq!(
        bench.ask(1, Signal::Roaming).await,
        Err(Reason::NotAvailable)
    );
}

#[tokio::test]
async fn a_number_that_is_back_with_its_old_card_has_not_changed() {
    let bench = Bench::start("").await;
    bench.hlr.give(1, OLD, "");
    bench.swap(1).await.unwrap();
    bench.hlr.take(1);
    bench.wait(10);
    assert_eq!(bench.swap(1).await, Err(Reason::Undecided));
    bench.hlr.give(1, OLD, "");
    bench.wait(10);
    let change = bench.swap(1).await.unwrap();
    assert_eq!(
        (change.changed_in, change.monitored_since),
        (None, Some(at(0)))
    );
}

#[tokio::test]
async fn a_number_never_seen_is_unknown_and_not_watched() {
    let bench = Bench::start("").await;
    assert_eq!(bench.swap(1).await, Err(Reason::UnknownNumber));
    assert_eq!(bench.source.poll_once().await.unwrap().asked, 0);
}

#[tokio::test]
async fn a_gap_restarts_the_watch_and_a_short_restart_is_none() {
    let bench = Bench::start("gap_max_ms = 60000").await;
    bench.hlr.give(1, OLD, "");
    bench.swap(1).await.unwrap();
    bench.source.poll_once().await.unwrap();
    let bench = bench.restart_after(60);
    assert_eq!(bench.swap(1).await.unwrap().monitored_since, Some(at(0)));
    bench.source.poll_once().await.unwrap();
    let bench = bench.restart_after(61);
    let change = bench.swap(1).await.unwrap();
    assert_eq!(
        (change.changed_in, change.monitored_since),
        (None, Some(at(121)))
    );
}

#[tokio::test]
async fn a_swap_across_a_gap_is_an_interval_with_a_new_watch() {
    let bench = Bench::start("").await;
    bench.hlr.give(1, OLD, "");
    bench.swap(1).await.unwrap();
    bench.source.poll_once().await.unwrap();
    bench.hlr.give(1, NEW, "");
    let bench = bench.restart_after(3600);
    assert_eq!(bench.source.poll_once().await.unwrap().changed, 1);
    let change = bench.swap(1).await.unwrap();
    assert_eq!(change.changed_in, between(0, 3600));
    assert_eq!(change.monitored_since, Some(at(3600)));
}

#[tokio::test]
async fn the_plus_is_stripped_and_nothing_but_info_is_asked() {
    let bench = Bench::start("watch = [\"+447700900002\"]").await;
    bench.hlr.give(1, OLD, "");
    bench.swap(1).await.unwrap();
    bench.source.poll_once().await.unwrap();
    let asked = bench.hlr.asked();
    assert_eq!(asked.len(), 3);
    for text in asked {
        assert!(text.ends_with(".info") && !text.contains('+'), "{text}");
    }
}

#[tokio::test]
async fn roaming_follows_the_table_and_nothing_else() {
    let table = r#"
        serving = [
            { name = "vlr-901-70", home = true },
            { prefix = "3363", home = false, mcc = 208 },
        ]
    "#;
    let bench = Bench::start(table).await;
    let visited = Roaming {
        roaming: true,
        visited_mcc: Some(208),
    };
    for (last, lines, expected) in [
        (1, "vlr_number\tvlr-901-70", Ok(false)),
        (2, "vlr_number\t33639980001\nms_purged_cs\t0", Ok(true)),
        (3, "vlr_number\tvlr-999-99", Err(Reason::NotAvailable)),
        (
            4,
            "vlr_number\tvlr-901-70\nms_purged_cs\t1",
            Err(Reason::NotAvailable),
        ),
        (5, "nam_cs\t1", Err(Reason::NotAvailable)),
    ] {
        bench.hlr.give(last, OLD, lines);
        let observed = bench.ask(last, Signal::Roaming).await;
        match expected {
            Ok(true) => assert_eq!(observed.unwrap().what, Observed::Roaming(visited)),
            Ok(false) => {
                let what = observed.unwrap().what;
                assert!(
                    matches!(what, Observed::Roaming(it) if !it.roaming),
                    "{what:?}"
                );
            }
            Err(reason) => assert_eq!(observed, Err(reason), "{lines}"),
        }
    }
}

#[tokio::test]
async fn without_a_table_roaming_is_not_offered() {
    let bench = Bench::start("").await;
    assert_eq!(bench.source.signals(), [Signal::SimSwap]);
}

#[tokio::test]
async fn an_outage_advances_nothing() {
    let bench = Bench::start("").await;
    bench.hlr.give(1, OLD, "");
    bench.swap(1).await.unwrap();
    bench.hlr.mood(Mood::Closing);
    bench.wait(30);
    assert!(bench.source.poll_once().await.is_err());
    let remembered = bench.ask(1, Signal::SimSwap).await.unwrap();
    assert_eq!(remembered.observed_at, at(0), "as of the last look");
    assert_eq!(bench.source.state().condition, Condition::Down);
    bench.hlr.mood(Mood::Honest);
    bench.hlr.give(1, NEW, "");
    bench.wait(10);
    assert_eq!(bench.swap(1).await.unwrap().changed_in, between(0, 40));
}

#[tokio::test]
async fn an_hlr_that_is_gone_in_the_middle_of_a_swap_has_no_answer_until_it_is_back() {
    let bench = Bench::start("").await;
    bench.hlr.give(1, OLD, "");
    bench.swap(1).await.unwrap();
    bench.wait(10);
    bench.hlr.take(1);
    bench.source.poll_once().await.unwrap();
    assert_eq!(bench.swap(1).await, Err(Reason::Undecided));
    bench.hlr.mood(Mood::Closing);
    // What was seen before the gap would say "no swap".
    assert_eq!(bench.swap(1).await, Err(Reason::SourceDown));
    bench.hlr.mood(Mood::Honest);
    bench.hlr.give(1, NEW, "");
    bench.wait(10);
    assert_eq!(bench.swap(1).await.unwrap().changed_in, between(0, 20));
}

#[tokio::test]
async fn more_numbers_than_the_limit_are_answered_and_not_watched() {
    let bench = Bench::start("watched_max = 1").await;
    bench.hlr.give(1, OLD, "");
    bench.hlr.give(2, NEW, "");
    assert!(bench.swap(1).await.is_ok());
    assert_eq!(bench.swap(2).await, Err(Reason::NotWatched));
    assert_eq!(bench.source.poll_once().await.unwrap().asked, 1);
}

#[tokio::test]
async fn a_sweep_over_many_numbers_is_pipelined_and_complete() {
    let bench = Bench::start("").await;
    for last in 0..300 {
        bench.hlr.give(last, &format!("9017000000{last:05}"), "");
        bench.swap(last).await.unwrap();
    }
    bench.wait(10);
    let sweep = bench.source.poll_once().await.unwrap();
    assert_eq!((sweep.asked, sweep.began, sweep.changed), (300, 0, 0));
    assert_eq!(bench.hlr.connections(), 1);
    let bench = bench.restart_after(10);
    bench.hlr.give(299, OLD, "");
    let sweep = bench.source.poll_once().await.unwrap();
    assert_eq!(
        (sweep.asked, sweep.changed),
        (300, 1),
        "all are watched again"
    );
    assert_eq!(bench.swap(299).await.unwrap().changed_in, between(10, 20));
}

#[tokio::test]
async fn a_clock_that_goes_back_starts_the_watch_anew() {
    let bench = Bench::start("").await;
    bench.hlr.give(1, OLD, "");
    bench.swap(1).await.unwrap();
    bench.wait(-3600);
    let observation = bench.ask(1, Signal::SimSwap).await.unwrap();
    assert_eq!(
        observation.observed_at,
        at(-3600),
        "nothing from the future"
    );
}

#[tokio::test]
async fn more_asks_than_the_limit_are_overload() {
    let bench = Bench::start("asks_max = 1").await;
    bench.hlr.mood(Mood::Silent);
    let soon = Instant::now() + Duration::from_millis(50);
    let signals = [Signal::SimSwap];
    let (first, second) = tokio::join!(
        bench.source.observe(number(1), &signals, soon),
        bench.source.observe(number(2), &signals, soon),
    );
    assert_eq!(first.signals[0].1, Err(Reason::Timeout));
    assert_eq!(second.signals[0].1, Err(Reason::Overloaded));
}

#[tokio::test]
async fn the_watch_polls_by_itself_and_tells_of_changes() {
    let bench = Bench::start("poll_ms = 10\ngap_max_ms = 60000").await;
    bench.hlr.give(1, OLD, "");
    bench.swap(1).await.unwrap();
    bench.wait(10);
    bench.hlr.give(1, NEW, "");
    let mut changes = bench.source.changes().unwrap();
    let pushed = async {
        tokio::select! {
            () = bench.source.watch() => None,
            change = changes.recv() => change,
        }
    };
    let pushed = tokio::time::timeout(Duration::from_secs(10), pushed).await;
    let change = pushed.unwrap().unwrap();
    assert!(change.msisdn == number(1) && change.signal == Signal::SimSwap);
    assert!(bench.source.changes().is_none(), "given out once");
}
