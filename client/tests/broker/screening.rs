//! Many questions.

use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

use accord_client::{CallError, LineError, Lookup, Scope, Screened, Screening};
use accord_proto::purpose::Purpose;
use tokio::time::timeout;

use crate::{
    parties::Parties,
    stub::{StreamPlan, Stub, dead_address},
};

fn line(at: usize) -> (usize, Lookup) {
    let number = format!("+447700900{at:03}");
    let lookup = Lookup::about(number, Purpose::Payment).roaming();
    (at, lookup.request_id(format!("line-{at}")))
}

fn lines(count: usize) -> impl tokio_stream::Stream<Item = (usize, Lookup)> + Send + 'static {
    tokio_stream::iter((0..count).map(line))
}

fn scope() -> Scope {
    Scope::new([Purpose::Payment])
}

fn window(window: u32) -> StreamPlan {
    StreamPlan {
        window,
        ..StreamPlan::default()
    }
}

async fn collect(mut results: Screening<usize>) -> BTreeMap<usize, Screened<usize>> {
    let mut collected = BTreeMap::new();
    while let Some(result) = results.next().await {
        let result = result.unwrap();
        let twice = collected.insert(result.tag, result);
        assert!(twice.is_none(), "a line has one result");
    }
    collected
}

#[tokio::test]
async fn every_line_has_one_result_and_the_window_is_kept() {
    let parties = Parties::new();
    let stub = Stub::with_plans(&parties, [], [window(5)]).await;
    let client = parties.client(&[stub.address]);
    let results = collect(client.screen(scope(), lines(23))).await;
    assert_eq!(results.len(), 23);
    assert!(results.values().all(|result| result.outcome.is_ok()));
    assert_eq!(stub.seen.unanswered_max.load(Ordering::Relaxed), 5);
    assert_eq!(stub.seen.streams.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_broken_stream_is_resumed_with_the_same_request_ids() {
    let parties = Parties::new();
    let broken = StreamPlan {
        break_after: Some(3),
        ..window(4)
    };
    let stub = Stub::with_plans(&parties, [], [broken.clone(), broken]).await;
    let client = parties.client(&[stub.address]);
    let results = collect(client.screen(scope(), lines(12))).await;
    assert_eq!(results.len(), 12);
    assert_eq!(stub.seen.streams.load(Ordering::Relaxed), 3);
    let mut ids = stub.seen.request_ids.lock().unwrap().clone();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 12);
    assert!(results.iter().all(|(at, result)| {
        let answered = result.outcome.as_ref().unwrap();
        answered.answer.request_id == format!("line-{at}")
    }));
}

#[tokio::test]
async fn a_screening_moves_on_to_another_broker() {
    let parties = Parties::new();
    let stub = Stub::start(&parties).await;
    let client = parties.client(&[dead_address().await, stub.address]);
    assert_eq!(collect(client.screen(scope(), lines(3))).await.len(), 3);
}

#[tokio::test]
async fn a_malformed_line_spoils_only_itself() {
    let parties = Parties::new();
    let stub = Stub::start(&parties).await;
    let client = parties.client(&[stub.address]);
    let bad = (99, Lookup::about("0", Purpose::Payment).roaming());
    let lines = vec![line(0), bad, line(2)];
    let results = collect(client.screen(scope(), tokio_stream::iter(lines))).await;
    assert_eq!(results.len(), 3);
    let Err(LineError::Refused(refusal)) = &results[&99].outcome else {
        panic!("a bad number is refused");
    };
    assert_eq!(refusal.field.as_deref(), Some("msisdn"));
    assert!(results[&0].outcome.is_ok() && results[&2].outcome.is_ok());
}

#[tokio::test]
async fn a_token_that_ends_is_renewed_on_the_stream() {
    let parties = Parties::new();
    let expiring = StreamPlan {
        token_expiring: true,
        ..window(2)
    };
    let stub = Stub::with_plans(&parties, [], [expiring]).await;
    let client = parties.client(&[stub.address]);
    assert_eq!(collect(client.screen(scope(), lines(4))).await.len(), 4);
    let first = stub.seen.tokens.lock().unwrap().clone();
    let refreshed = stub.seen.refreshed.lock().unwrap().clone();
    assert_eq!((first.len(), refreshed.len()), (1, 1));
    assert_ne!(first[0], format!("Bearer {}", refreshed[0]));
}

#[tokio::test]
async fn a_refused_line_is_sent_again_only_if_the_broker_says_when() {
    for (wait_ms, answered) in [(5, true), (0, false)] {
        let parties = Parties::new();
        let refusing = StreamPlan {
            refuse_first: Some(wait_ms),
            ..window(4)
        };
        let stub = Stub::with_plans(&parties, [], [refusing]).await;
        let client = parties.client(&[stub.address]);
        let results = collect(client.screen(scope(), lines(2))).await;
        assert_eq!(results[&0].outcome.is_ok(), answered, "wait {wait_ms}");
        assert!(results[&1].outcome.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_screening_without_a_broker_ends_with_one_error() {
    let parties = Parties::new();
    let client = parties.client(&[dead_address().await]);
    let mut results = client.screen(scope(), lines(3));
    let error = results.next().await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Unreachable { .. }), "{error:?}");
    assert!(results.next().await.is_none());
}

#[tokio::test]
async fn no_lines_have_no_results() {
    let parties = Parties::new();
    let stub = Stub::start(&parties).await;
    let client = parties.client(&[stub.address]);
    assert!(collect(client.screen(scope(), lines(0))).await.is_empty());
}

#[tokio::test]
async fn a_stream_whose_token_is_refused_ends_the_screening() {
    let parties = Parties::new();
    let refusing = StreamPlan {
        refuse_token: true,
        token_expiring: true,
        ..window(4)
    };
    let plans = vec![refusing; 40];
    let stub = Stub::with_plans(&parties, [], plans).await;
    let client = parties.client(&[stub.address]);
    let never = tokio_stream::pending::<(usize, Lookup)>();
    let mut results = client.screen(scope(), never);
    let error = results.next().await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Refused(_)), "{error:?}");
    assert!(stub.seen.streams.load(Ordering::Relaxed) <= 3);
}

#[tokio::test]
async fn a_line_beyond_the_scope_is_refused_here_and_the_others_are_asked() {
    let parties = Parties::new();
    let stub = Stub::start(&parties).await;
    let client = parties.client(&[stub.address]);
    let about = |purpose| Lookup::about("+447700900001", purpose).roaming();
    let lines = [
        (0, about(Purpose::Payment)),
        (1, about(Purpose::DormantAccount)),
        (2, about(Purpose::Payment).on_behalf_of("agent-co")),
    ];
    let mut results = collect(client.screen_all(scope(), lines)).await;
    assert!(results.remove(&0).unwrap().outcome.is_ok());
    for (line, field) in [(1, "purpose"), (2, "on_behalf_of")] {
        let outcome = results.remove(&line).unwrap().outcome;
        let Err(LineError::Refused(refusal)) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(refusal.field.as_deref(), Some(field));
    }
    assert_eq!(stub.seen.request_ids.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_refusal_for_a_day_holds_neither_its_line_nor_the_others() {
    let parties = Parties::new();
    let day_ms = 24 * 3_600 * 1_000;
    let plan = StreamPlan {
        refuse_first: Some(day_ms),
        ..window(2)
    };
    let stub = Stub::with_plans(&parties, [], [plan]).await;
    let client = parties.client(&[stub.address]);
    let all = collect(client.screen(scope(), lines(6)));
    let results = timeout(Duration::from_secs(30), all).await.unwrap();
    assert_eq!(results.len(), 6);
    let mut refused = results.into_values().filter_map(|line| line.outcome.err());
    let Some(LineError::Refused(refusal)) = refused.next() else {
        panic!("no line was refused");
    };
    assert_eq!(refusal.retry_after, Some(Duration::from_millis(day_ms)));
    assert!(refused.next().is_none(), "one line was refused");
}
