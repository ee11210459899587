//! Questions that wait for one connection.

use std::time::Duration;

use accord_adapters::source::Source;
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
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
    let told = futures_util::future::join_all(asks).await;
    for (last, change) in told.into_iter().enumerate() {
        match change {
            Err(reason) => assert_eq!((last, reason), (7, Reason::Undecided)),
            Ok(change) => assert_eq!(change.changed_in.is_some(), last >= 100, "{last}"),
        }
    }
    assert_eq!(bench.hlr.connections(), 1);
}

#[tokio::test]
async fn one_who_gives_up_costs_those_who_waited_with_it_no_answer() {
    let bench = Bench::start("request_timeout_ms = 10000").await;
    bench.hlr.give(1, OLD, "");
    bench.hlr.mood(Mood::SilentOnce);
    let soon = Instant::now() + Duration::from_millis(50);
    let signals = [Signal::SimSwap];
    let (given_up, waited) = tokio::join!(
        bench.source.observe(number(1), &signals, soon),
        bench.swap(1),
    );
    assert_eq!(given_up.signals[0].1, Err(Reason::Timeout));
    assert!(waited.is_ok(), "{waited:?}");
}
