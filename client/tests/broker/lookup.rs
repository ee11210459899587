//! One question.

use std::{sync::atomic::Ordering, time::Duration};

use accord_client::{Assurance, CallError, ENDPOINTS_MAX, Lookup, Mistrust, Value};
use accord_proto::purpose::Purpose;
use tonic::Code;

use crate::{
    ledger::LOG,
    parties::Parties,
    stub::{Plan, Stub, dead_address},
};

fn question() -> Lookup {
    Lookup::about("+447700900001", Purpose::Payment)
        .sim_swap_within(72)
        .roaming()
}

async fn planned(parties: &Parties, plans: impl IntoIterator<Item = Plan>) -> Stub {
    Stub::with_plans(parties, plans, []).await
}

#[tokio::test]
async fn an_answer_comes_back_typed_with_its_receipt() {
    let parties = Parties::new();
    let stub = Stub::start(&parties).await;
    let client = parties.client(&[stub.address]);
    let lookup = question().request_id("mine");
    let task = tokio::spawn(async move { client.lookup(lookup).await });
    let answered = task.await.unwrap().unwrap();
    assert_eq!(answered.signals().len(), 2);
    assert_eq!(answered.signals()[1].value(), Some(&Value::YesNo(false)));
    assert_eq!(answered.receipt.origin, LOG);
    assert_eq!(answered.receipt.assurance, Assurance::Form);
    assert_eq!(answered.answer.request_id, "mine");
    let tokens = stub.seen.tokens.lock().unwrap();
    assert!(tokens[0].starts_with("Bearer "), "a token is sent");
}

#[tokio::test]
async fn the_next_endpoint_is_asked_when_one_is_down_and_preferred_from_then_on() {
    let parties = Parties::new();
    let stub = Stub::start(&parties).await;
    let client = parties.client(&[dead_address().await, stub.address]);
    for _ in 0..3 {
        client.lookup(question()).await.unwrap();
    }
    assert_eq!(stub.seen.request_ids.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn every_endpoint_gets_its_turn() {
    let parties = Parties::new();
    let stub = Stub::start(&parties).await;
    let mut addresses = Vec::new();
    for _ in 1..ENDPOINTS_MAX {
        addresses.push(dead_address().await);
    }
    addresses.push(stub.address);
    let client = parties.client(&addresses);
    client.lookup(question()).await.unwrap();
}

#[tokio::test]
async fn a_broker_that_is_late_leaves_time_for_the_next_one() {
    let parties = Parties::new();
    let late = planned(&parties, [Plan::Refuse(Code::DeadlineExceeded, 0)]).await;
    let stub = Stub::start(&parties).await;
    let client = parties.client(&[late.address, stub.address]);
    client.lookup(question()).await.unwrap();
    assert_eq!(late.seen.request_ids.lock().unwrap().len(), 1);

    let late = planned(&parties, [Plan::Refuse(Code::DeadlineExceeded, 0)]).await;
    let client = parties.client(&[late.address]);
    let error = client.lookup(question()).await.unwrap_err();
    assert!(matches!(error, CallError::Deadline { .. }), "{error:?}");
}

#[tokio::test]
async fn a_repeated_question_has_the_same_request_id() {
    let parties = Parties::new();
    let stub = planned(&parties, [Plan::Refuse(Code::Unavailable, 0)]).await;
    let client = parties.client(&[stub.address]);
    client.lookup(question()).await.unwrap();
    let ids = stub.seen.request_ids.lock().unwrap();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_refusal_is_typed_and_never_repeated() {
    for code in [
        Code::PermissionDenied,
        Code::InvalidArgument,
        Code::ResourceExhausted,
    ] {
        let parties = Parties::new();
        let stub = planned(&parties, [Plan::Refuse(code, 0)]).await;
        let other = Stub::start(&parties).await;
        let client = parties.client(&[stub.address, other.address]);
        let error = client.lookup(question()).await.unwrap_err();
        let CallError::Refused(refusal) = error else {
            panic!("{error:?}");
        };
        assert_eq!((refusal.code, &*refusal.reason), (code, "TEST"));
        assert_eq!(stub.seen.request_ids.lock().unwrap().len(), 1);
        assert_eq!(other.seen.request_ids.lock().unwrap().len(), 0);
    }
}

#[tokio::test]
async fn a_broker_that_says_when_to_come_back_is_asked_again_then() {
    let parties = Parties::new();
    let stub = planned(&parties, [Plan::Refuse(Code::ResourceExhausted, 20)]).await;
    let client = parties.client(&[stub.address]);
    client.lookup(question()).await.unwrap();
    assert_eq!(stub.seen.request_ids.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_wait_beyond_the_deadline_is_not_waited() {
    let parties = Parties::new();
    let stub = planned(&parties, [Plan::Refuse(Code::ResourceExhausted, 60_000)]).await;
    let client = parties.client(&[stub.address]);
    let error = client.lookup(question()).await.unwrap_err();
    assert!(matches!(error, CallError::Refused(_)), "{error:?}");
}

#[tokio::test]
async fn a_hanging_endpoint_leaves_time_for_the_next_one() {
    let parties = Parties::new();
    let hanging = planned(&parties, [Plan::Hang]).await;
    let stub = Stub::start(&parties).await;
    let addresses = [hanging.address, stub.address];
    let client = parties.client_within(&addresses, Duration::from_secs(4));
    client.lookup(question()).await.unwrap();
    let one = hanging.seen.request_ids.lock().unwrap();
    assert_eq!(*one, *stub.seen.request_ids.lock().unwrap());
}

#[tokio::test]
async fn a_deadline_is_kept() {
    let parties = Parties::new();
    let stub = planned(&parties, [Plan::Hang]).await;
    let client = parties.client(&[stub.address]);
    let deadline = Duration::from_millis(200);
    let error = client
        .lookup_within(question(), deadline)
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Deadline { .. }), "{error:?}");
}

#[tokio::test]
async fn no_deadline_at_all_is_the_longest_one() {
    let parties = Parties::new();
    let stub = Stub::start(&parties).await;
    let client = parties.client_within(&[stub.address], Duration::MAX);
    client.lookup(question()).await.unwrap();
    client
        .lookup_within(question(), Duration::MAX)
        .await
        .unwrap();
    assert_eq!(
        client
            .auditor()
            .checkpoint("")
            .await
            .unwrap()
            .checkpoint
            .size,
        2
    );
    let none = client.auditor().agreement_within(Duration::MAX).await;
    assert!(matches!(none, Err(CallError::Refused(_))), "{none:?}");

    let endless = planned(&parties, [Plan::Refuse(Code::ResourceExhausted, u64::MAX)]).await;
    let client = parties.client_within(&[endless.address], Duration::MAX);
    let error = client.lookup(question()).await.unwrap_err();
    assert!(matches!(error, CallError::Refused(_)), "{error:?}");
}

#[tokio::test]
async fn a_broker_of_another_ca_is_told_nothing() {
    let (parties, strangers) = (Parties::new(), Parties::new());
    let stub = Stub::start(&strangers).await;
    let client = parties.client_within(&[stub.address], Duration::from_secs(1));
    let error = client.lookup(question()).await.unwrap_err();
    assert!(
        matches!(
            error,
            CallError::Unreachable { .. } | CallError::Deadline { .. }
        ),
        "{error:?}"
    );
    assert!(stub.seen.tokens.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_answer_to_another_question_is_not_believed() {
    let parties = Parties::new();
    let stub = planned(&parties, [Plan::AnswerAnother]).await;
    let client = parties.client(&[stub.address]);
    let error = client.lookup(question()).await.unwrap_err();
    let expected = Mistrust::OtherQuestion("request_id");
    assert!(
        matches!(&error, CallError::Mistrusted(found) if *found == expected),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_proof_that_was_asked_for_must_come() {
    let parties = Parties::new();
    let stub = Stub::start(&parties).await;
    let client = parties.client(&[stub.address]);
    let error = client.lookup(question().with_proof()).await.unwrap_err();
    assert!(matches!(error, CallError::Mistrusted(_)), "{error:?}");
}

#[tokio::test]
async fn a_malformed_question_is_not_sent() {
    let parties = Parties::new();
    let stub = Stub::start(&parties).await;
    let client = parties.client(&[stub.address]);
    let lookup = Lookup::about("447700900001", Purpose::Payment).roaming();
    let error = client.lookup(lookup).await.unwrap_err();
    assert!(matches!(&error, CallError::Malformed(field) if field.field == "msisdn"));
    assert!(stub.seen.request_ids.lock().unwrap().is_empty());
    assert_eq!(stub.seen.streams.load(Ordering::Relaxed), 0);
}
