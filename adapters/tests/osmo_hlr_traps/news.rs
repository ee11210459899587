//! What was told and holds no more is taken back: a broker would go on to answer with it.

use accord_adapters::source::{Source as _, SourceChange};
use accord_proto::observation::Observed;
use accord_proto::signal::Signal;
use tokio::sync::mpsc;

use crate::fake::{Bench, number};
use crate::{NEW, OLD, between};

const SERVING: &str = "serving = [{ name = \"vlr\", home = true }, \
    { name = \"abroad\", home = false, mcc = 208 }]";
const HOME: &str = "vlr_number\tvlr";
const ABROAD: &str = "vlr_number\tabroad";

/// What waits: the number's last digits, the signal, and whether it is told rather than taken back.
fn told(changes: &mut mpsc::Receiver<SourceChange>) -> Vec<(u16, Signal, bool)> {
    let mut all = Vec::new();
    while let Ok(change) = changes.try_recv() {
        let last = (1..10).find(|last| number(*last) == change.msisdn).unwrap();
        all.push((last, change.signal, change.observation.is_some()));
    }
    all
}

/// Both signals of these numbers are asked, so that brokers may hold them.
async fn ask(bench: &Bench, numbers: &[u16]) {
    for last in numbers {
        bench.swap(*last).await.unwrap();
        bench.ask(*last, Signal::Roaming).await.unwrap();
    }
}

#[tokio::test]
async fn of_a_number_that_nobody_has_now_what_was_said_is_taken_back_once() {
    let bench = Bench::start(SERVING).await;
    let mut changes = bench.source.changes().unwrap();
    for last in [1, 2, 3] {
        bench.hlr.give(last, OLD, HOME);
    }
    ask(&bench, &[1, 2, 3]).await;
    bench.wait(10);
    bench.hlr.take(1);
    let sweep = bench.source.poll_once().await.unwrap();
    assert_eq!((sweep.missing, sweep.withdrawn, sweep.dropped), (1, 1, 0));
    let gone = [(1, Signal::SimSwap, false), (1, Signal::Roaming, false)];
    assert_eq!(told(&mut changes), gone);
    bench.wait(10);
    let sweep = bench.source.poll_once().await.unwrap();
    assert_eq!((sweep.missing, sweep.withdrawn), (1, 0));
    assert_eq!(told(&mut changes), []);
    // A question finds it out before the next poll.
    bench.hlr.take(2);
    bench.swap(2).await.unwrap_err();
    bench.swap(2).await.unwrap_err();
    let gone = [(2, Signal::SimSwap, false), (2, Signal::Roaming, false)];
    assert_eq!(told(&mut changes), gone);
    // One that was never seen was never told of.
    bench.swap(9).await.unwrap_err();
    // Back with the old card, and gone once more.
    bench.hlr.give(1, OLD, HOME);
    bench.wait(10);
    bench.source.poll_once().await.unwrap();
    assert_eq!(told(&mut changes), []);
    bench.hlr.take(1);
    bench.wait(10);
    bench.source.poll_once().await.unwrap();
    assert_eq!(told(&mut changes).len(), 2);
}

#[tokio::test]
async fn a_new_card_is_told_and_takes_back_where_the_old_one_was() {
    let bench = Bench::start(SERVING).await;
    let mut changes = bench.source.changes().unwrap();
    for last in [1, 2] {
        bench.hlr.give(last, OLD, HOME);
    }
    ask(&bench, &[1, 2]).await;
    bench.source.poll_once().await.unwrap();
    bench.wait(10);
    bench.hlr.give(1, NEW, "");
    bench.source.poll_once().await.unwrap();
    let expected = [(1, Signal::SimSwap, true), (1, Signal::Roaming, false)];
    assert_eq!(told(&mut changes), expected);
    // A question finds it out before the next poll.
    bench.hlr.give(2, NEW, HOME);
    bench.wait(10);
    assert_eq!(bench.swap(2).await.unwrap().changed_in, between(10, 20));
    let expected = [(2, Signal::SimSwap, true), (2, Signal::Roaming, false)];
    assert_eq!(told(&mut changes), expected);
}

#[tokio::test]
async fn a_poll_that_finds_a_subscriber_elsewhere_takes_back_where_it_was_told_to_be() {
    let bench = Bench::start(SERVING).await;
    let mut changes = bench.source.changes().unwrap();
    for last in [1, 2, 3] {
        bench.hlr.give(last, OLD, HOME);
    }
    ask(&bench, &[1, 2]).await;
    bench.swap(3).await.unwrap();
    bench.wait(10);
    bench.source.poll_once().await.unwrap();
    assert_eq!(told(&mut changes), []);
    // Nobody was told where 3 is.
    for (last, vlr) in [(1, ABROAD), (2, ""), (3, ABROAD)] {
        bench.hlr.give(last, OLD, vlr);
    }
    bench.wait(10);
    assert_eq!(bench.source.poll_once().await.unwrap().withdrawn, 2);
    let mut taken = told(&mut changes);
    taken.sort();
    let roaming = |last| (last, Signal::Roaming, false);
    assert_eq!(taken, [roaming(1), roaming(2)]);
    bench.wait(10);
    bench.source.poll_once().await.unwrap();
    assert_eq!(told(&mut changes), []);
    // A question that finds it out first takes it back at the brokers that did not ask.
    let abroad = bench.ask(1, Signal::Roaming).await.unwrap();
    assert!(matches!(abroad.what, Observed::Roaming(state) if state.roaming));
    assert_eq!(told(&mut changes), []);
    bench.hlr.give(1, OLD, HOME);
    bench.ask(1, Signal::Roaming).await.unwrap();
    assert_eq!(told(&mut changes), [roaming(1)]);
}

#[tokio::test]
async fn what_was_found_just_before_the_end_is_told_by_the_next_run_once() {
    let bench = Bench::start(SERVING).await;
    for last in [1, 2, 3] {
        bench.hlr.give(last, OLD, HOME);
    }
    ask(&bench, &[1, 2, 3]).await;
    bench.source.poll_once().await.unwrap();
    bench.wait(10);
    bench.hlr.give(1, NEW, HOME);
    bench.hlr.take(2);
    bench.source.poll_once().await.unwrap();
    // The program ends before anybody took what it had to tell.
    let bench = bench.restart_after(10);
    let mut changes = bench.source.changes().unwrap();
    bench.source.poll_once().await.unwrap();
    let mut again = told(&mut changes);
    again.sort_by_key(|(last, ..)| *last);
    let expected = [
        (1, Signal::SimSwap, true),
        (1, Signal::Roaming, false),
        (2, Signal::SimSwap, false),
        (2, Signal::Roaming, false),
    ];
    assert_eq!(again, expected);
    bench.wait(10);
    bench.source.poll_once().await.unwrap();
    assert_eq!(told(&mut changes), []);
}
