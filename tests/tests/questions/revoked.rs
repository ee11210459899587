//! Streams on which nothing happens, when their certificate is revoked: they end with the reason,
//! and that is on the record.

use accord_client::CallError;
use accord_proto::v1::{
    adapter_link::Kind, screen_response::Message, signal_service_client::SignalServiceClient,
};
use accord_tests::world::WAIT_MAX;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request};

use crate::{
    caller::{Caller, told},
    played::{Played, links},
    record,
    said::Stage,
};

const REVOKED: &str = "CERTIFICATE_REVOKED";

/// Waits until the record says that a party's call was refused for its certificate.
async fn on_record(stage: &Stage, from: u64, party: &str, method: &str) {
    record::wait_for(stage, from, method, |event| {
        let refused = record::refused(std::slice::from_ref(event));
        refused
            .iter()
            .any(|(who, what, why, _)| who.ends_with(party) && what == method && why == REVOKED)
    })
    .await;
}

#[tokio::test]
async fn an_idle_adapter_is_told_that_its_certificate_is_revoked() {
    let stage = Stage::sandbox().await;
    let caller = Caller::party(&stage, "north-mobile");
    let mut played = Played::attach(&caller, "played").await.unwrap();
    let before = record::size(&stage);
    stage.files.revoke("north-mobile").unwrap();
    let ended = loop {
        match played.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ended without a reason"),
            Err(ended) => break ended,
        }
    };
    let expected = (Code::Unauthenticated, REVOKED.to_owned(), None);
    assert_eq!(told(&ended), expected);
    on_record(
        &stage,
        before,
        "/operator/north-mobile",
        "AdapterService.Attach",
    )
    .await;
    let left = || links(&stage, before, Kind::Left, "played");
    accord_tests::world::wait_until("it to leave", || async { !left().is_empty() })
        .await
        .unwrap();
    assert!(left()[0].contains("revoked"), "{:?}", left());
}

#[tokio::test]
async fn an_idle_screening_is_told_that_its_certificate_is_revoked() {
    let stage = Stage::sandbox().await;
    let caller = Caller::party(&stage, "first-bank");
    let (_lines, to_send) = mpsc::channel(1);
    let mut request = Request::new(ReceiverStream::new(to_send));
    let bearer = format!("Bearer {}", caller.token(&stage, &caller.claims()));
    let bearer = bearer.parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    let mut client = SignalServiceClient::new(caller.channel.clone());
    let mut answers = client.screen(request).await.unwrap().into_inner();
    let first = answers.message().await.unwrap().unwrap().message;
    assert!(matches!(first, Some(Message::Welcome(_))));
    let before = record::size(&stage);
    stage.files.revoke("first-bank").unwrap();
    let ended = timeout(WAIT_MAX, answers.message()).await.unwrap();
    let Err(ended) = ended else {
        panic!("it goes on, or ended without a reason")
    };
    let expected = (Code::Unauthenticated, REVOKED.to_owned(), None);
    assert_eq!(told(&ended), expected);
    on_record(&stage, before, "/bank/first-bank", "SignalService.Screen").await;
}

#[tokio::test]
async fn a_tail_that_waits_is_told_that_its_certificate_is_revoked() {
    let stage = Stage::sandbox().await;
    let auditor = stage.auditor("second-bank").unwrap();
    let mut tail = auditor.tail("", 0, false).await.unwrap();
    // Its own read is what it sees first.
    tail.next().await.unwrap().unwrap();
    let before = record::size(&stage);
    stage.files.revoke("second-bank").unwrap();
    let ended = loop {
        match timeout(WAIT_MAX, tail.next()).await.unwrap() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ended without a reason"),
            Err(ended) => break ended,
        }
    };
    let CallError::Refused(refusal) = ended else {
        panic!("{ended:?}")
    };
    assert_eq!(refusal.reason, REVOKED);
    on_record(&stage, before, "/bank/second-bank", "AuditService.Tail").await;
}
