//! The same question through both doors: the same answer, clause, reason and entry.

use accord_adapters::virtual_operator::TEST_NUMBERS;
use accord_client::{Client, Lookup};
use accord_proto::{
    clock::{Clock as _, SystemClock},
    purpose::Purpose,
    reason::Reason,
    signal::Question,
    v1::{self, entry::Event, signal_answer::Outcome},
    wire,
};
use accord_tests::world::{OPEN_GATEWAY_BANK, WorldSpec};
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use prost::Message as _;
use serde_json::{Value as Json, json};

use crate::{
    client::Told,
    expected::{Expected, expected, take_moment},
    stage::{Asker, Stage, north},
};

/// The source never answers about it: after a few such the broker asks that source no more for a
/// while, so it is asked last, and once.
const MUTE: u16 = 11;

/// The operations, with a body about a number and the same question of the gRPC door.
fn questions(number: &str, now: Timestamp) -> Vec<(&'static str, Json, Question)> {
    let since = now
        .to_zoned(TimeZone::UTC)
        .date()
        .checked_sub(30.months())
        .unwrap();
    let plain = || json!({ "phoneNumber": number });
    let window = |hours: u32| json!({ "phoneNumber": number, "maxAge": hours });
    let sim = |threshold_hours| Question::SimSwap { threshold_hours };
    let device = |threshold_hours| Question::DeviceSwap { threshold_hours };
    vec![
        ("/sim-swap/v2/check", window(72), sim(Some(72))),
        ("/sim-swap/v2/check", plain(), sim(Some(240))),
        ("/sim-swap/v2/retrieve-date", plain(), sim(None)),
        ("/accord-sim-swap/v1/retrieve-age-band", plain(), sim(None)),
        ("/device-swap/v1/check", window(24), device(Some(24))),
        ("/device-swap/v1/retrieve-date", plain(), device(None)),
        (
            "/call-forwarding-signal/v0.4/unconditional-call-forwardings",
            plain(),
            Question::CallForwarding,
        ),
        (
            "/call-forwarding-signal/v0.4/call-forwardings",
            plain(),
            Question::CallForwarding,
        ),
        (
            "/call-forwarding-signal/v0.5rc1/check-unconditional-forwarding",
            plain(),
            Question::CallForwarding,
        ),
        (
            "/call-forwarding-signal/v0.5rc1/retrieve-forwardings",
            plain(),
            Question::CallForwarding,
        ),
        (
            "/device-roaming-status/v1/retrieve",
            json!({ "device": plain() }),
            Question::Roaming,
        ),
        (
            "/number-recycling/v0.2/check",
            json!({ "phoneNumber": number, "specifiedDate": since.to_string() }),
            Question::NumberRecycling { since },
        ),
        (
            "/kyc-tenure/v0.2/check-tenure",
            json!({ "phoneNumber": number, "tenureDate": since.to_string() }),
            Question::Tenure { since },
        ),
    ]
}

/// What a door told of one signal, and what the record says of it.
#[derive(Debug, PartialEq)]
struct Both {
    answer: v1::SignalAnswer,
    agreement: (String, u64),
    basis: i32,
    recorded: v1::SignalRecord,
    bank: String,
    purpose: i32,
    operator: String,
    subject: Vec<u8>,
}

async fn both(stage: &Stage, answer: v1::Answer, origin: &str, index: u64) -> Both {
    let auditor = stage.world.authority().unwrap();
    let entry = auditor.entry(origin, index).await.unwrap();
    let Some(Event::Access(access)) = entry.entry.event else {
        panic!("no access");
    };
    let [answered] = answer.signals.as_slice() else {
        panic!("{} signals", answer.signals.len());
    };
    let [recorded] = access.signals.as_slice() else {
        panic!("{} signals", access.signals.len());
    };
    let mut recorded = recorded.clone();
    // Which of the doors asked first is no matter: the other one answers from what it was told.
    recorded.from_view = false;
    recorded.rests_on = None;
    Both {
        answer: answered.clone(),
        agreement: (answer.agreement, answer.agreement_version),
        basis: answer.routing_basis,
        recorded,
        bank: access.bank,
        purpose: access.purpose,
        operator: access.operator,
        subject: access.subject_tag,
    }
}

async fn by_camara(stage: &Stage, told: &Told) -> Both {
    let receipt = told.header("accord-receipt");
    assert!(!receipt.is_empty(), "{told:?}");
    let origin = receipt.split('"').nth(1).unwrap();
    let index = receipt.split("index=").nth(1).unwrap();
    let index = index.split(',').next().unwrap().parse().unwrap();
    let answer = v1::Answer::decode(told.bytes("accord-answer").as_slice()).unwrap();
    both(stage, answer, origin, index).await
}

/// With the moment of the answer.
async fn by_grpc(
    stage: &Stage,
    client: &Client,
    number: &str,
    question: Question,
) -> (Both, Timestamp) {
    let lookup = Lookup::about(number, Purpose::Payment).question(question);
    let answered = client.lookup(lookup).await.unwrap();
    let answer = v1::Answer::decode(&answered.answer_bytes[..]).unwrap();
    let receipt = &answered.receipt;
    let answered_at = wire::parse_timestamp(answer.answered_at.as_ref().unwrap()).unwrap();
    let both = both(stage, answer, &receipt.origin, receipt.index).await;
    (both, answered_at)
}

/// Takes the times out of an answer, in seconds.
fn take_times(answer: &mut v1::SignalAnswer) -> [Option<i64>; 3] {
    let seconds = |time: Option<prost_types::Timestamp>| time.map(|time| time.seconds);
    let observed_at = seconds(answer.observed_at.take());
    match &mut answer.outcome {
        Some(Outcome::Value(v1::Value {
            value: Some(v1::value::Value::Interval(interval)),
            ..
        })) => [
            observed_at,
            seconds(interval.after.take()),
            seconds(interval.before.take()),
        ],
        Some(Outcome::Value(_) | Outcome::Unanswered(_)) | None => [observed_at, None, None],
    }
}

async fn compare(stage: &Stage, asker: &mut Asker, client: &Client, digits: u16, now: Timestamp) {
    let number = north(digits);
    let mut questions = questions(&number, now);
    if digits == MUTE {
        questions.truncate(1);
    }
    for (path, body, question) in questions {
        let told = asker.ask(path, &body).await;
        let mut one = by_camara(stage, &told).await;
        let (mut other, answered_at) = by_grpc(stage, client, &number, question).await;
        let expected = expected(path, &body, &other.answer, answered_at);
        match (&expected, &other.answer.outcome) {
            (Some(expected), _) => hold(&told, expected, &format!("{digits} {path}")),
            // The words of a reason are the same on both doors, and no answer hides one.
            (None, Some(Outcome::Unanswered(unanswered))) => {
                let reason = Reason::from_wire(unanswered.reason).unwrap();
                let message = format!("{reason}: {}", unanswered.detail);
                assert_eq!(told.json()["message"], message, "{digits} {path}");
                assert!(told.status >= 400);
            }
            (None, _) => panic!("{digits} {path}: neither a value nor a reason"),
        }
        let times = (take_times(&mut one.answer), take_times(&mut other.answer));
        for pair in times.0.into_iter().zip(times.1) {
            let (Some(first), Some(second)) = pair else {
                assert_eq!(pair, (None, None), "{digits} {path}");
                continue;
            };
            // The stories of the test numbers are told from the moment of asking.
            assert!(first.abs_diff(second) < 600, "{digits} {path}");
        }
        assert_eq!(one, other, "{digits} {path}");
    }
}

/// Whether the door told what it had to.
fn hold(told: &Told, expected: &Expected, which: &str) {
    match expected {
        Ok(expected) => {
            let (mut body, mut expected) = (told.json(), expected.clone());
            let moments = (take_moment(&mut body), take_moment(&mut expected));
            assert_eq!((told.status, body), (200, expected), "{which}");
            // As above.
            let near = match moments {
                (Some(one), Some(other)) => one.abs_diff(other) < 600,
                (one, other) => one == other,
            };
            assert!(near, "{which}: {moments:?}");
        }
        Err((status, code, reason)) => {
            let word = format!("{status} {code}");
            assert_eq!(told.word(), word, "{which}");
            assert_eq!(told.header("accord-reason"), *reason, "{which}");
        }
    }
}

#[tokio::test]
async fn every_test_number_is_told_alike_through_both_doors() {
    let spec = WorldSpec::default().limit("audit_per_second", 100_000);
    let stage = Stage::of(&spec).await;
    let mut asker = stage.asker().await;
    let client = stage.world.client(OPEN_GATEWAY_BANK).unwrap();
    let others = TEST_NUMBERS.iter().filter(|number| number.digits != MUTE);
    let mute = TEST_NUMBERS.iter().filter(|number| number.digits == MUTE);
    for number in others.chain(mute) {
        compare(
            &stage,
            &mut asker,
            &client,
            number.digits,
            SystemClock.now(),
        )
        .await;
    }
}
