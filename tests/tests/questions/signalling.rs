//! Attacks by signalling that passed an operator's firewall, since a moment that the bank names.

use accord_client::{Client, Lookup, Outcome, SignalOutcome};
use accord_proto::{
    msisdn::Msisdn,
    observation::AttackKind,
    purpose::Purpose,
    signal::{Signal, whole_minute},
    v1::entry::Event,
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    record,
    said::{Stage, detail, north, now, one, sud, word},
};

/// So many minutes before this one.
fn minutes_ago(minutes: i64) -> Timestamp {
    whole_minute(now()) - SignedDuration::from_mins(minutes)
}

async fn attacked(bank: &Client, digits: u16, since: Timestamp) -> SignalOutcome {
    let lookup = Lookup::about(north(digits), Purpose::Payment).signalling_anomaly(since);
    one(bank, lookup).await
}

fn kind(outcome: &SignalOutcome) -> Option<AttackKind> {
    match &outcome.outcome {
        Outcome::Value { attack_kind, .. } => *attack_kind,
        Outcome::Unanswered { .. } => None,
    }
}

#[tokio::test]
async fn what_passed_the_firewall_since_a_moment_is_told_as_the_story_says() {
    use AttackKind::{LocationHijack, Tracking};

    let stage = Stage::sandbox().await;
    let (first, second) = (stage.bank("first-bank"), stage.bank("second-bank"));
    let hijacked = Some(LocationHijack);
    // Of one number later questions are about later times, so that where a story is asked about two
    // the other operator's number is.
    for (number, minutes, expected, expected_kind) in [
        (north(0), 30, "no", None),
        (north(29), 30, "yes", hijacked),
        (north(35), 30, "yes", hijacked),
        // An older attack, and no word of its kind.
        (sud(35), 5, "no", None),
        (north(36), 60, "yes", Some(Tracking)),
        // The interval of the attack straddles the moment.
        (sud(36), 30, "undecided", None),
        (north(37), 30, "not_watched", None),
        (sud(37), 2, "no", None),
        (north(18), 30, "no", None),
        // Observed 12 hours ago, and the clause accepts 15 minutes.
        (north(28), 30, "stale", None),
        (north(13), 30, "opted_out", None),
        (north(12), 30, "source_down", None),
    ] {
        let about = Lookup::about(&number, Purpose::Payment);
        let answer = one(&first, about.signalling_anomaly(minutes_ago(minutes))).await;
        let told = (word(&answer), kind(&answer));
        let expected = (expected.to_owned(), expected_kind);
        assert_eq!(told, expected, "{number}, {minutes} min");
        assert_eq!(answer.clause.as_deref(), Some("2.4"));
    }
    // Clause 4.5 tells yes or no, and no kind.
    let answer = attacked(&second, 35, minutes_ago(30)).await;
    assert_eq!((word(&answer).as_str(), kind(&answer)), ("yes", None));
    assert_eq!(answer.clause.as_deref(), Some("4.5"));
}

#[tokio::test]
async fn an_attack_that_passes_reaches_the_next_answer() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    let since = minutes_ago(2);
    assert_eq!(word(&attacked(&bank, 500, since).await), "no");
    let operator = stage.adapter("north-mobile").unwrap().virtual_operator();
    let number = Msisdn::parse(&north(500)).unwrap();
    assert!(operator.unwrap().attack(number, AttackKind::Interception));
    let answer = attacked(&bank, 500, since).await;
    assert_eq!(
        (word(&answer).as_str(), kind(&answer)),
        ("yes", Some(AttackKind::Interception))
    );
}

#[tokio::test]
async fn moments_follow_one_another_so_that_no_series_of_them_finds_the_instant() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    let asked = minutes_ago(60);
    assert_eq!(word(&attacked(&bank, 35, asked).await), "yes");
    assert_eq!(word(&attacked(&bank, 35, asked).await), "yes");
    // Halving the time, later or earlier.
    for minutes in [5, 30, 90] {
        let other = attacked(&bank, 35, minutes_ago(minutes)).await;
        assert_eq!(word(&other), "quota");
        assert_eq!(
            detail(&other),
            "clause 2.4: within 24 h of a question about this number, another moment is not \
             earlier than that question"
        );
    }
    // Neither another purpose nor a restart helps.
    let code = Lookup::about(north(35), Purpose::OtpSend).signalling_anomaly(minutes_ago(5));
    assert_eq!(word(&one(&bank, code).await), "quota");
    drop(bank);
    let stage = stage.restarted().await;
    let bank = stage.bank("first-bank");
    assert_eq!(word(&attacked(&bank, 35, minutes_ago(5)).await), "quota");
    assert_eq!(word(&attacked(&bank, 35, asked).await), "yes");
    // The next payment's code was sent after that question: it has a time of its own.
    let next = attacked(&bank, 35, minutes_ago(0)).await;
    assert!(["no", "stale"].contains(&word(&next).as_str()), "{next:?}");
    assert_eq!(word(&attacked(&bank, 35, asked).await), "quota");
}

#[tokio::test]
async fn a_moment_beyond_the_look_back_is_out_of_range_and_tells_nothing() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    let answer = attacked(&bank, 35, minutes_ago(24 * 60 + 1)).await;
    assert_eq!(word(&answer), "out_of_range");
    assert_eq!(detail(&answer), "clause 2.4 looks back 1 days");
    // It told nothing, so it bound nothing.
    assert_eq!(word(&attacked(&bank, 35, minutes_ago(30)).await), "yes");
}

#[tokio::test]
async fn the_record_holds_the_moment_and_neither_value_nor_kind() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    let since = minutes_ago(30);
    let before = record::size(&stage);
    assert_eq!(word(&attacked(&bank, 35, since).await), "yes");
    let events = record::since(&stage, before);
    let accesses = record::accesses(&events);
    let [access] = accesses.as_slice() else {
        panic!("{}", accesses.len());
    };
    let entry = &access.signals[0];
    assert_eq!(entry.signal, Signal::SignallingAnomaly.to_wire() as i32);
    assert_eq!(entry.since_unix_ms, since.as_millisecond());
    assert_eq!((entry.since_mac.len(), entry.threshold_hours), (0, 0));
    let shown = format!("{:?}", Event::Access((*access).clone()));
    assert!(!shown.to_lowercase().contains("hijack"), "{shown}");
}
