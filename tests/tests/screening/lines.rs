//! One line beside another.

use std::collections::BTreeSet;

use accord_proto::v1;
use accord_tests::world::WorldSpec;

use super::{
    access_count, entries,
    raw::{Raw, Told, answer, line, question, token},
    start,
};

/// The number whose operator takes 600 ms.
const SLOW: u32 = 10;
/// A number about which there is nothing to say.
const QUIET: u32 = 100;

#[tokio::test]
async fn answers_come_as_they_are_ready_and_name_their_line() {
    let (_dir, world) = start(WorldSpec::default()).await;
    let token = token(&world, "first-bank", 240);
    let mut stream = Raw::open(&world, "first-bank", &token).await.unwrap();
    assert_eq!(stream.welcome.in_flight_max, 256);
    stream.send(line("slow", SLOW)).await;
    for number in QUIET..QUIET + 20 {
        stream.send(line(&format!("quick-{number}"), number)).await;
    }
    let mut told = Vec::new();
    for _ in 0..21 {
        told.push(stream.next().await.unwrap());
    }
    assert_eq!(told.last().unwrap().id(), "slow", "it holds up nobody");
    let ids: BTreeSet<&str> = told.iter().map(Told::id).collect();
    assert_eq!(ids.len(), 21);
    for one in &told {
        // The request id is the correlation id here, so that each answer can be told from others.
        assert_eq!(answer(one.answer()).request_id, one.id());
    }
    assert!(stream.finish().await.is_empty());
    let mut bulk = Vec::new();
    for event in entries(&world) {
        if let v1::entry::Event::Access(access) = event {
            bulk.push(access.bulk);
        }
    }
    assert_eq!(bulk, [true; 21]);
}

#[tokio::test]
async fn a_bad_line_spoils_only_itself() {
    let (_dir, world) = start(WorldSpec::default()).await;
    let token = token(&world, "first-bank", 240);
    let mut stream = Raw::open(&world, "first-bank", &token).await.unwrap();
    let mut malformed = line("malformed", QUIET);
    malformed.question.as_mut().unwrap().msisdn = "07700900100".to_owned();
    let mut unsigned = line("nothing asked", QUIET);
    unsigned.question.as_mut().unwrap().signals.clear();
    let mut purpose = line("another purpose", QUIET);
    purpose.question.as_mut().unwrap().purpose = v1::Purpose::Login as i32;
    let empty = v1::ScreenLine {
        correlation_id: "no question".to_owned(),
        question: None,
    };
    let long_id = "i".repeat(65);
    let long = v1::ScreenLine {
        correlation_id: long_id.clone(),
        question: Some(question(QUIET, "long")),
    };
    for (bad, field, reason) in [
        (malformed, "msisdn", "MALFORMED_FIELD"),
        (unsigned, "signals", "MALFORMED_FIELD"),
        (purpose, "purpose", "PURPOSE_NOT_IN_TOKEN"),
        (empty, "question", "MALFORMED_FIELD"),
        (long, "correlation_id", "MALFORMED_FIELD"),
    ] {
        let id = bad.correlation_id.clone();
        let told = stream.ask(bad).await;
        let refusal = told.refusal();
        assert_eq!(
            (refusal.correlation_id.as_str(), refusal.field.as_str()),
            (&*id, field)
        );
        assert_eq!(refusal.reason, reason);
        assert!(!refusal.message.contains("7700900"), "{}", refusal.message);
        let good = stream.ask(line(&format!("after {field}"), QUIET)).await;
        assert_eq!(answer(good.answer()).signals.len(), 1);
    }
    stream
        .lines
        .send(v1::ScreenRequest { message: None })
        .await
        .unwrap();
    assert_eq!(stream.next().await.unwrap().refusal().field, "message");
    assert!(stream.finish().await.is_empty());
    assert_eq!(access_count(&world), 5);
    let refused = entries(&world)
        .into_iter()
        .filter(|event| matches!(event, v1::entry::Event::RefusedCall(_)));
    assert_eq!(refused.count(), 6, "each is on the record");
}

#[tokio::test]
async fn lines_with_one_request_id_have_one_entry() {
    let (_dir, world) = start(WorldSpec::default()).await;
    let token = token(&world, "first-bank", 240);
    let mut stream = Raw::open(&world, "first-bank", &token).await.unwrap();
    let one = stream.ask(line("same", QUIET)).await;
    let two = stream.ask(line("same", QUIET)).await;
    assert!(
        one.answer() == two.answer(),
        "the same answer, nonce and receipt"
    );
    let other = stream.ask(line("same", QUIET + 1)).await;
    assert_eq!(other.refusal().reason, "REQUEST_ID_REUSED");
    assert_eq!(access_count(&world), 1);
}
