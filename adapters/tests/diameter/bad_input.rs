//! Every way in which a server can be wrong, slow or gone: each is a named state and a reason, and
//! the source answers again when the server does.

use std::sync::Arc;
use std::time::Duration;

use accord_adapters::diameter::DiameterSh;
use accord_adapters::diameter::peer::{Cause, PeerState};
use accord_adapters::source::{Condition, Source as _};
use accord_proto::clock::SystemClock;
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use tokio::time::Instant;

use crate::fake::{Fake, Mood};
use crate::support::{self, OLD, peer, swap, until};

struct Bench {
    fake: Fake,
    source: Arc<DiameterSh>,
    _dir: tempfile::TempDir,
}

async fn bench(mood: Mood, keys: &str) -> Bench {
    let fake = Fake::start(mood).await;
    let (dir, path) = support::folder();
    let source = support::open(&path, SystemClock::shared(), keys, &peer(fake.address()));
    fake.imsi(1, OLD);
    Bench {
        fake,
        source,
        _dir: dir,
    }
}

const SHORT: &str = "request_timeout_ms = 300\nconnect_timeout_ms = 200";

/// How the source is, by name and in words.
fn state(source: &DiameterSh) -> (Condition, String) {
    let state = source.state();
    (state.condition, state.why.into_owned())
}

fn in_flight(source: &DiameterSh) -> usize {
    source.peers().iter().map(|peer| peer.in_flight()).sum()
}

/// Asked in this mood the source gives this reason and is in this state, and afterwards it answers
/// again.
async fn answers_again_after(mood: Mood, reason: Reason, (condition, why): (Condition, &str)) {
    let bench = bench(Mood::Serve, SHORT).await;
    swap(&bench.source, 1).await.unwrap();
    bench.fake.be(mood);
    assert_eq!(swap(&bench.source, 1).await, Err(reason), "{mood:?}");
    // A goodbye is answered before the connection counts as closed.
    let named = (condition, why.to_owned());
    support::eventually(&format!("{mood:?} is {named:?}"), async || {
        state(&bench.source) == named
    })
    .await;
    bench.fake.be(Mood::Serve);
    support::eventually("it answers again", async || {
        swap(&bench.source, 1).await.is_ok()
    })
    .await;
    assert_eq!(state(&bench.source), (Condition::Up, String::new()));
    assert_eq!(in_flight(&bench.source), 0, "{mood:?}");
}

const ENDED: (Condition, &str) = (Condition::Down, "it closed the connection");
const SILENT: (Condition, &str) = (Condition::Down, "no answer in time");
const UP: (Condition, &str) = (Condition::Up, "");

#[tokio::test]
async fn a_truncated_answer_is_a_lost_connection() {
    answers_again_after(Mood::Truncated, Reason::SourceDown, ENDED).await;
}

#[tokio::test]
async fn an_answer_of_an_impossible_length_ends_the_connection() {
    let why = "it broke the protocol: a message has an impossible length";
    let state = (Condition::Unusable, why);
    answers_again_after(Mood::OddLength, Reason::SourceDown, state).await;
}

#[tokio::test]
async fn an_avp_that_goes_on_behind_the_end_spoils_its_answer_only() {
    let state = (Condition::Unusable, "an AVP has an impossible length");
    answers_again_after(Mood::AvpTooLong, Reason::SourceDown, state).await;
}

#[tokio::test]
async fn another_protocol_ends_the_connection() {
    let why = "it broke the protocol: the version of a message is not 1";
    let state = (Condition::Unusable, why);
    answers_again_after(Mood::Garbage, Reason::SourceDown, state).await;
}

#[tokio::test]
async fn an_answer_ten_times_too_long_is_not_read() {
    let why = "it broke the protocol: a message is longer than `message_bytes_max`";
    let state = (Condition::Unusable, why);
    answers_again_after(Mood::TooLong, Reason::SourceDown, state).await;
}

#[tokio::test]
async fn a_server_that_hangs_up_in_the_middle_loses_one_question() {
    answers_again_after(Mood::HangUp, Reason::SourceDown, ENDED).await;
}

#[tokio::test]
async fn a_server_that_disconnects_is_dialled_again() {
    let state = (Condition::Down, "it disconnected with cause 0");
    answers_again_after(Mood::Disconnect(0), Reason::SourceDown, state).await;
}

#[tokio::test]
async fn a_server_that_says_nothing_costs_a_question_its_deadline() {
    answers_again_after(Mood::Silent, Reason::Timeout, SILENT).await;
}

#[tokio::test]
async fn an_answer_to_another_question_is_not_taken_for_this_one() {
    let state = (Condition::Unusable, "the answer to this request is absent");
    answers_again_after(Mood::WrongEndToEnd, Reason::SourceDown, state).await;
}

#[tokio::test]
async fn an_overloaded_server_is_overloaded_and_one_that_refuses_is_down() {
    // Too busy, and not at this moment: of a server that is well.
    answers_again_after(Mood::Result(3_004), Reason::Overloaded, UP).await;
    answers_again_after(Mood::Experimental(4_100), Reason::SourceDown, UP).await;
    for result in [3_002, 5_012] {
        let why = format!("the server answered with result {result}");
        let state = (Condition::Unusable, why.as_str());
        answers_again_after(Mood::Result(result), Reason::SourceDown, state).await;
    }
    for result in [5_101, 5_102] {
        let why = format!(
            "the server does not let us read this (result {result}); see its list of permissions"
        );
        let state = (Condition::Unusable, why.as_str());
        answers_again_after(Mood::Experimental(result), Reason::NotAvailable, state).await;
    }
}

#[tokio::test]
async fn a_trickle_wedges_nothing() {
    let bench = bench(Mood::Serve, SHORT).await;
    swap(&bench.source, 1).await.unwrap();
    bench.fake.be(Mood::Trickle);
    for _ in 0..3 {
        assert_eq!(swap(&bench.source, 1).await, Err(Reason::Timeout));
        let (condition, why) = SILENT;
        assert_eq!(state(&bench.source), (condition, why.to_owned()));
        assert_eq!(in_flight(&bench.source), 0);
    }
}

#[tokio::test]
async fn documents_that_are_no_documents_are_a_source_that_is_down() {
    let bench = bench(Mood::Serve, SHORT).await;
    for document in [
        "",
        "not XML",
        "<Sh-Data><IMSI>901700000000001</IMSI>",
        "<!DOCTYPE x [<!ENTITY i \"901700000000001\">]><Sh-Data><IMSI>&i;</IMSI></Sh-Data>",
        "<?xml version='1.0' encoding='UTF-16'?><Sh-Data/>",
        "<Sh-Data><IMSI>12345678901234567890</IMSI></Sh-Data>",
        "<Other/>",
    ] {
        bench.fake.know_raw(1, document);
        assert_eq!(
            swap(&bench.source, 1).await,
            Err(Reason::SourceDown),
            "{document}"
        );
        let condition = bench.source.state().condition;
        assert_eq!(condition, Condition::Unusable, "{document}");
    }
    bench.fake.imsi(1, OLD);
    assert!(swap(&bench.source, 1).await.is_ok());
    assert_eq!(bench.source.state().condition, Condition::Up);
}

#[tokio::test]
async fn strays_and_repetitions_are_dropped_and_counted() {
    let bench = bench(Mood::Chatty, SHORT).await;
    for _ in 0..5 {
        assert!(swap(&bench.source, 1).await.is_ok());
    }
    let unexpected = || {
        bench
            .source
            .peers()
            .iter()
            .map(|peer| peer.unexpected())
            .sum::<u64>()
    };
    support::eventually("all are counted", async || unexpected() == 10).await;
}

#[tokio::test]
async fn a_refusal_of_our_name_or_application_is_a_named_state() {
    for (mood, cause) in [
        (Mood::RefuseCer(3_010), Cause::Refused(3_010)),
        (Mood::NoSh, Cause::NoSh),
        (Mood::Deaf, Cause::Silent),
    ] {
        let bench = bench(mood, SHORT).await;
        assert_eq!(
            swap(&bench.source, 1).await,
            Err(Reason::SourceDown),
            "{mood:?}"
        );
        until(&bench.source, "refused", |state| {
            state == PeerState::Closed(cause)
        })
        .await;
        let condition = if mood == Mood::Deaf {
            Condition::Down
        } else {
            Condition::Refused
        };
        assert_eq!(bench.source.state().condition, condition);
        let error = bench
            .source
            .ready(Duration::from_millis(1))
            .await
            .unwrap_err();
        assert!(error.to_string().contains(&cause.to_string()), "{error}");
        bench.fake.be(Mood::Serve);
        support::eventually("let in", async || swap(&bench.source, 1).await.is_ok()).await;
    }
}

#[tokio::test]
async fn a_server_under_another_name_is_not_asked() {
    let fake = Fake::start(Mood::Serve).await;
    fake.imsi(1, OLD);
    let (_dir, path) = support::folder();
    let section = format!("{}host = \"other.example\"\n", peer(fake.address()));
    let source = support::open(&path, SystemClock::shared(), "", &section);
    assert_eq!(swap(&source, 1).await, Err(Reason::SourceDown));
    until(&source, "named", |state| {
        state == PeerState::Closed(Cause::OtherHost)
    })
    .await;
    assert_eq!(fake.seen(|seen| seen.questions), 0);
}

#[tokio::test]
async fn nobody_there_is_a_source_that_is_down() {
    let (_dir, path) = support::folder();
    let source = support::open(&path, SystemClock::shared(), "", &peer("127.0.0.1:1"));
    assert_eq!(swap(&source, 1).await, Err(Reason::SourceDown));
    assert_eq!(source.state().condition, Condition::Down);
    assert!(source.poll_once().await.is_ok(), "nothing is watched yet");
    assert!(matches!(
        source.ready(Duration::from_millis(50)).await.unwrap_err().to_string().as_str(),
        text if text.contains("can't be reached") || text.contains("in time")
    ));
}

#[tokio::test]
async fn questions_beyond_the_limit_are_overloaded_and_the_rest_are_answered() {
    let bench = bench(Mood::Serve, "asks_max = 2\nrequest_timeout_ms = 500").await;
    swap(&bench.source, 1).await.unwrap();
    bench.fake.be(Mood::Silent);
    let deadline = Instant::now() + Duration::from_secs(5);
    let signals = [Signal::SimSwap];
    let ask = || bench.source.observe(support::number(1), &signals, deadline);
    let (a, b, c) = tokio::join!(ask(), ask(), ask());
    let mut reasons: Vec<Reason> = [a, b, c]
        .iter()
        .map(|told| told.signals[0].1.clone().unwrap_err())
        .collect();
    reasons.sort_by_key(|reason| reason.name());
    assert_eq!(
        reasons,
        [Reason::Overloaded, Reason::Timeout, Reason::Timeout]
    );
    bench.fake.be(Mood::Serve);
    assert!(swap(&bench.source, 1).await.is_ok());
}

#[tokio::test]
async fn requests_that_a_connection_owes_no_room_for_are_overloaded() {
    let bench = bench(Mood::Serve, "unanswered_max = 1\nrequest_timeout_ms = 500").await;
    swap(&bench.source, 1).await.unwrap();
    bench.fake.be(Mood::Silent);
    let (a, b) = tokio::join!(swap(&bench.source, 1), swap(&bench.source, 1));
    let mut reasons = [a.unwrap_err(), b.unwrap_err()];
    reasons.sort_by_key(|reason| reason.name());
    assert_eq!(reasons, [Reason::Overloaded, Reason::Timeout]);
    bench.fake.be(Mood::Serve);
    assert!(swap(&bench.source, 1).await.is_ok());
}

#[tokio::test]
async fn requests_of_a_server_that_mean_nothing_are_answered_so() {
    let bench = bench(Mood::Asks, SHORT).await;
    assert!(swap(&bench.source, 1).await.is_ok());
    let answered = async || bench.fake.seen(|seen| seen.answered.len()) == 2;
    support::eventually("both are answered", answered).await;
    assert_eq!(
        bench.fake.seen(|seen| seen.answered.clone()),
        [3_001, 5_014]
    );
}
