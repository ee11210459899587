//! Every way in which an HLR's control interface can be wrong, slow or gone: each is a named state of
//! the source and a reason for the bank, and the source answers again when the HLR does.

use std::time::Duration;

use accord_adapters::source::{Condition, Source};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use tokio::time::Instant;

use crate::fake::{Bench, Mood, number};
use crate::{NEW, OLD};

const WAIT_MAX: Duration = Duration::from_secs(20);
const REACH: &str = "the control interface can't be reached: unexpected end of file";
const LATE: &str = "the control interface did not answer in time";

fn state(bench: &Bench) -> (Condition, String) {
    let state = bench.source.state();
    (state.condition, state.why.into_owned())
}

/// In this mood a question about a number that was never seen is told this reason, and the source is in
/// this state, on a new connection and on one that was kept; afterwards it answers on one connection.
async fn answers_again_after(mood: Mood, reason: Reason, (condition, why): (Condition, &str)) {
    let bench = Bench::start("request_timeout_ms = 500").await;
    for last in 1..=3 {
        bench.hlr.give(last, &format!("90170000000000{last}"), "");
        bench.hlr.mood(mood);
        assert_eq!(bench.swap(last).await, Err(reason), "{mood:?}");
        assert_eq!(state(&bench), (condition, why.to_owned()), "{mood:?}");
        bench.hlr.mood(Mood::Honest);
        assert!(bench.swap(last).await.is_ok(), "{mood:?}");
        assert_eq!(state(&bench), (Condition::Up, String::new()), "{mood:?}");
    }
    assert_eq!(bench.source.poll_once().await.unwrap().asked, 3);
    let deadline = Instant::now() + WAIT_MAX;
    while bench.hlr.open() != 1 {
        assert!(Instant::now() < deadline, "{mood:?} leaves connections");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The same, of what CTRL does not allow.
async fn is_a_breach(mood: Mood, what: &str) {
    let why = format!("the control interface broke the protocol: {what}; is it the port of CTRL?");
    let state = (Condition::Unusable, why.as_str());
    answers_again_after(mood, Reason::SourceDown, state).await;
}

#[tokio::test]
async fn an_hlr_that_hangs_up_is_down() {
    let state = (Condition::Down, REACH);
    answers_again_after(Mood::Closing, Reason::SourceDown, state).await;
}

#[tokio::test]
async fn half_a_frame_and_the_end_is_a_lost_connection() {
    let state = (Condition::Down, REACH);
    answers_again_after(Mood::Half, Reason::SourceDown, state).await;
}

#[tokio::test]
async fn a_reply_to_another_request_is_not_taken_for_this_one() {
    is_a_breach(Mood::WrongId, "a reply to another request").await;
}

#[tokio::test]
async fn a_frame_ten_times_too_long_is_not_read() {
    is_a_breach(Mood::Endless, "a frame is too long").await;
}

#[tokio::test]
async fn a_reply_in_another_encoding_is_not_read() {
    is_a_breach(Mood::NoText, "a reply is no text").await;
}

#[tokio::test]
async fn an_hlr_that_talks_on_without_a_reply_is_not_listened_to_for_ever() {
    is_a_breach(Mood::Babbling, "too many frames that are no replies").await;
}

#[tokio::test]
async fn a_trickle_costs_a_question_its_deadline() {
    let state = (Condition::Down, LATE);
    answers_again_after(Mood::Trickling, Reason::Timeout, state).await;
}

#[tokio::test]
async fn an_hlr_that_says_nothing_costs_a_question_its_deadline() {
    let state = (Condition::Down, LATE);
    answers_again_after(Mood::Silent, Reason::Timeout, state).await;
}

#[tokio::test]
async fn an_hlr_that_refuses_the_question_is_unusable() {
    let state = (
        Condition::Unusable,
        "the control interface refused the question",
    );
    let mood = Mood::Refusing("Command not found");
    answers_again_after(mood, Reason::SourceDown, state).await;
}

#[tokio::test]
async fn a_reply_about_another_number_is_not_believed() {
    let state = (Condition::Unusable, "the reply is about another number");
    answers_again_after(Mood::OtherNumber, Reason::SourceDown, state).await;
}

#[tokio::test]
async fn traps_and_other_protocols_before_a_reply_are_passed_over() {
    let bench = Bench::start("").await;
    bench.hlr.give(1, OLD, "");
    bench.hlr.mood(Mood::Chatty);
    for _ in 0..3 {
        assert!(bench.swap(1).await.is_ok());
    }
    assert_eq!(bench.hlr.connections(), 1);
    assert_eq!(state(&bench), (Condition::Up, String::new()));
}

#[tokio::test]
async fn a_poll_tells_of_the_same_states_and_vouches_for_nothing() {
    let bench = Bench::start("request_timeout_ms = 500").await;
    bench.hlr.give(1, OLD, "");
    bench.swap(1).await.unwrap();
    bench.source.poll_once().await.unwrap();
    let vouched = bench.source.state().observed_to;
    bench.wait(10);
    for (mood, condition) in [
        (Mood::Half, Condition::Down),
        (Mood::NoText, Condition::Unusable),
        (Mood::Trickling, Condition::Down),
    ] {
        bench.hlr.mood(mood);
        assert!(bench.source.poll_once().await.is_err(), "{mood:?}");
        let state = bench.source.state();
        assert_eq!((state.condition, state.observed_to), (condition, vouched));
    }
    bench.hlr.mood(Mood::Honest);
    bench.source.poll_once().await.unwrap();
    assert_eq!(bench.source.state().condition, Condition::Up);
    assert!(bench.source.state().observed_to > vouched);
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_costs_no_answer() {
    let bench = Bench::start("").await;
    bench.hlr.give(1, OLD, "");
    bench.swap(1).await.unwrap();
    bench.hlr.mood(Mood::ClosingOnce);
    assert!(bench.swap(1).await.is_ok());
    assert_eq!(bench.hlr.connections(), 2);
    bench.hlr.mood(Mood::Closing);
    // As of the last look; of a number that was never looked at there is nothing.
    assert!(bench.swap(1).await.is_ok());
    assert_eq!(bench.hlr.connections(), 3, "tried once more, not for ever");
    assert_eq!(bench.swap(2).await, Err(Reason::SourceDown));
}

#[tokio::test]
async fn an_hlr_that_does_not_know_the_question_is_down_for_it() {
    let bench = Bench::start("").await;
    bench.hlr.give(1, OLD, "");
    bench.swap(1).await.unwrap();
    bench.hlr.mood(Mood::Refusing("Command not found"));
    assert_eq!(bench.swap(1).await, Err(Reason::SourceDown));
    let sweep = bench.source.poll_once().await.unwrap();
    assert_eq!((sweep.unusable, sweep.missing), (1, 1));
    assert_eq!(bench.source.state().condition, Condition::Unusable);
    assert_eq!(bench.hlr.connections(), 1);
}

#[tokio::test]
async fn a_silent_hlr_is_a_timeout_within_the_deadline() {
    let bench = Bench::start("request_timeout_ms = 10000").await;
    bench.hlr.give(1, OLD, "");
    bench.hlr.mood(Mood::Silent);
    let deadline = Instant::now() + Duration::from_millis(30);
    let observed = bench
        .source
        .observe(number(1), &[Signal::SimSwap], deadline)
        .await;
    assert_eq!(observed.signals, [(Signal::SimSwap, Err(Reason::Timeout))]);
    assert!(deadline.elapsed() < Duration::from_secs(5));
    bench.hlr.mood(Mood::Honest);
    assert!(bench.swap(1).await.is_ok(), "on a new connection");
}

#[tokio::test]
async fn a_caller_who_gives_up_does_not_shift_the_replies() {
    let bench = Bench::start("").await;
    bench.hlr.give(1, OLD, "");
    bench.hlr.give(2, NEW, "");
    for _ in 0..20 {
        let soon = Instant::now() + Duration::from_micros(150);
        let given_up = bench.source.observe(number(1), &[Signal::SimSwap], soon);
        let _ = tokio::time::timeout(Duration::from_micros(100), given_up).await;
        let change = bench.swap(2).await.unwrap();
        assert_eq!(change.changed_in, None, "took the reply of another number");
    }
}
