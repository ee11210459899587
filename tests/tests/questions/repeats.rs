//! Request ids.

use accord_client::{Answered, Lookup};
use accord_proto::purpose::Purpose;
use tonic::Code;

use crate::{
    caller::{Caller, question},
    record,
    said::{Stage, ask, days_ago, north, refusal, words},
};

fn same(one: &Answered, other: &Answered) -> bool {
    one.answer_bytes == other.answer_bytes
        && one.nonce == other.nonce
        && one.receipt == other.receipt
}

#[tokio::test]
async fn a_repeat_gets_the_same_answer_and_receipt_without_a_second_entry_or_quota() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("second-bank");
    // Clause 4.2: one question a day about a number.
    let lookup = |id: &str| {
        Lookup::about(north(7), Purpose::DormantAccount)
            .number_recycling(days_ago(300))
            .request_id(id)
    };
    let before = record::size(&stage);
    let first = ask(&bank, lookup("r1")).await;
    assert_eq!(words(&first), ["yes"]);
    for _ in 0..3 {
        assert!(same(&first, &ask(&bank, lookup("r1")).await));
    }
    assert_eq!(record::size(&stage), before + 1);
    assert_eq!(words(&ask(&bank, lookup("r2")).await), ["quota"]);
}

#[tokio::test]
async fn a_request_id_with_other_content_is_refused() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    let lookup = |number: &str| {
        Lookup::about(number, Purpose::Payment)
            .roaming()
            .request_id("r1")
    };
    ask(&bank, lookup(&north(1))).await;
    let before = record::size(&stage);
    let refused = refusal(&bank, lookup(&north(2))).await;
    assert_eq!(refused.code, Code::AlreadyExists);
    assert_eq!(refused.reason, "REQUEST_ID_REUSED");
    assert_eq!(refused.field.as_deref(), Some("request_id"));
    let events = record::since(&stage, before);
    assert!(record::accesses(&events).is_empty());
    assert_eq!(
        record::refused(&events),
        [(
            "spiffe://accord.test/bank/first-bank".to_owned(),
            "SignalService.Lookup".to_owned(),
            "REQUEST_ID_REUSED".to_owned(),
            "request_id".to_owned(),
        )]
    );
    // Another bank's ids are its own.
    let other = Lookup::about(north(3), Purpose::Payment)
        .sim_swap()
        .request_id("r1");
    assert_eq!(words(&ask(&stage.bank("second-bank"), other).await), ["no"]);
}

#[tokio::test]
async fn repeats_at_the_same_time_make_one_entry() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    let before = record::size(&stage);
    // The source takes 600 ms, so that all of them are on their way together.
    let lookup = || {
        Lookup::about(north(10), Purpose::Payment)
            .sim_swap()
            .request_id("r1")
    };
    let asked = (0..12).map(|_| ask(&bank, lookup()));
    let answers = futures_util::future::join_all(asked).await;
    assert_eq!(words(&answers[0]), ["over 3 years"]);
    assert!(answers.iter().all(|answer| same(answer, &answers[0])));
    assert_eq!(record::size(&stage), before + 1);
}

#[tokio::test]
async fn a_question_without_an_id_is_asked_anew_each_time() {
    let stage = Stage::sandbox().await;
    let caller = Caller::party(&stage, "first-bank");
    let before = record::size(&stage);
    let first = caller.ask(&stage, question(&north(1))).await.unwrap();
    let second = caller.ask(&stage, question(&north(1))).await.unwrap();
    assert_ne!(first.nonce, second.nonce);
    assert_eq!(record::accesses(&record::since(&stage, before)).len(), 2);
}

#[tokio::test]
async fn a_bank_that_hangs_up_leaves_its_entry() {
    use tokio::time::{Duration, timeout};

    let stage = Stage::sandbox().await;
    let caller = Caller::party(&stage, "first-bank");
    caller.ask(&stage, question(&north(0))).await.unwrap();
    let before = record::size(&stage);
    let call = caller.ask(&stage, question(&north(10)));
    assert!(timeout(Duration::from_millis(200), call).await.is_err());
    drop(caller);
    record::wait_for(
        &stage,
        before,
        "the entry of a bank that hung up",
        |event| {
            matches!(event, accord_proto::v1::entry::Event::Access(access)
            if access.bank == "first-bank" && access.signals[0].reason == 0)
        },
    )
    .await;
}
