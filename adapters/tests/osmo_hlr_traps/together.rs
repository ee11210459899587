//! Questions that wait for a connection.

use std::time::Duration;

use accord_adapters::osmo_hlr::ctrl::CONNECTIONS;
use accord_adapters::source::Source;
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::OLD;
use crate::fake::{Bench, Mood, number};

#[tokio::test]
async fn questions_that_wait_are_asked_together_and_each_gets_its_own_answer() {
    let bench = Bench::start("").await;
    for last in 0..200 {
        bench.hlr.give(last, &format!("9017000000{last:05}"), "");
        bench.swap(last).await.unwrap();
    }
    bench.hlr.take(7);
    for last in 100..200 {
        bench.hlr.give(last, &format!("9017000001{last:05}"), "");
    }
    bench.wait(10);
    let asks = (0..200).map(|last| bench.swap(last));
    let told = join_all(asks).await;
    for (last, change) in told.into_iter().enumerate() {
        match change {
            Err(reason) => assert_eq!((last, reason), (7, Reason::Undecided)),
            Ok(change) => assert_eq!(change.changed_in.is_some(), last >= 100, "{last}"),
        }
    }
    assert_eq!(bench.hlr.connections(), CONNECTIONS);
}

#[tokio::test]
async fn one_who_gives_up_costs_those_who_waited_with_it_no_answer() {
    let bench = Bench::start("request_timeout_ms = 10000").await;
    bench.hlr.give(1, OLD, "");
    bench.hlr.mood(Mood::SilentOnFirst(CONNECTIONS));
    let soon = Instant::now() + Duration::from_millis(50);
    let signals = [Signal::SimSwap];
    // As many as there are connections give up; who comes behind them has none until then.
    let impatient = (0..CONNECTIONS).map(|_| bench.source.observe(number(1), &signals, soon));
    let waiting = (0..8).map(|_| bench.swap(1));
    let (given_up, waited) = tokio::join!(join_all(impatient), join_all(waiting));
    for told in given_up {
        assert_eq!(told.signals[0].1, Err(Reason::Timeout));
    }
    for change in waited {
        assert!(change.is_ok(), "{change:?}");
    }
}
