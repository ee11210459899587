//! Answers in words, one fact each.

use super::*;

fn outcome(question: Question, value: Value) -> SignalOutcome {
    SignalOutcome {
        question,
        outcome: Outcome::Value {
            value,
            swap_kind: None,
            attack_kind: None,
        },
        clause: Some("3.1".to_owned()),
        observed_at: None,
        source: None,
        customer_lock: false,
    }
}

fn swap(threshold_hours: Option<u32>, value: Value) -> SignalOutcome {
    outcome(Question::SimSwap { threshold_hours }, value)
}

fn band(lowest: i64, highest: i64, at_least: bool) -> Value {
    Value::Band {
        lowest: AgeBand::of(SignedDuration::from_hours(lowest)),
        highest: AgeBand::of(SignedDuration::from_hours(highest)),
        at_least,
    }
}

fn assert_words(outcome: &SignalOutcome, cell: &str, line: &str) {
    assert_eq!(outcome_words(outcome, Place::Cell), cell);
    assert_eq!(outcome_words(outcome, Place::Line), line);
}

#[test]
fn each_kind_of_age_has_its_words() {
    let years_9 = 9 * 365 * 24;
    let since = Value::Interval {
        after: "2026-11-01T00:00:00Z".parse().ok(),
        before: None,
    };
    let told = "no change since 2026-11-01 00:00:00Z";
    for (value, cell, line) in [
        (band(1, 1, false), "0–4 h", "0–4 h ago"),
        (
            band(1, 13, false),
            "0–4 h to 12–24 h",
            "0–4 h to 12–24 h ago",
        ),
        (band(years_9, years_9, false), "> 3 years", "> 3 years ago"),
        (band(24 * 400, years_9, true), "> 1 year", "> 1 year"),
        (since, told, told),
    ] {
        assert_words(&swap(None, value), cell, line);
    }
    let no = swap(Some(72), Value::YesNo(false));
    assert_words(&no, "no", "no change within 72 h");
    let yes = swap(None, Value::YesNo(true));
    assert_words(&yes, "yes", "changed within the clause's window");
}

#[test]
fn each_kind_of_state_has_its_words() {
    let none = outcome(Question::CallForwarding, Value::Forwarding(vec![]));
    assert_words(&none, "none", "none");
    let others = outcome(Question::CallForwarding, Value::YesNo(true));
    assert_words(&others, "maybe to others", "calls may go to somebody else");
    let own = outcome(Question::CallForwarding, Value::YesNo(false));
    assert_words(&own, "not to others", "calls go to nobody else");
    let always = Forwarding {
        condition: ForwardingCondition::Unconditional,
        target: ForwardingTarget::AnotherNumber,
    };
    let words = "always, to another number";
    let always = outcome(Question::CallForwarding, Value::Forwarding(vec![always]));
    assert_words(&always, words, words);
    let abroad = Value::Roaming(Roaming {
        roaming: true,
        visited_mcc: Some(61),
    });
    let abroad = outcome(Question::Roaming, abroad);
    let line = "roaming, mobile country code 061";
    assert_words(&abroad, "yes, country code 061", line);
    let since = "2024-01-31".parse().unwrap();
    let recycled = outcome(Question::NumberRecycling { since }, Value::YesNo(true));
    assert_words(&recycled, "yes", "another holder since 2024-01-31");
    let since = "2026-11-21T12:03:00Z".parse().unwrap();
    let mut attack = outcome(Question::SignallingAnomaly { since }, Value::YesNo(false));
    let since = "passed the signalling firewall since 2026-11-21 12:03Z";
    assert_words(&attack, "no", &format!("no attack {since}"));
    attack.outcome = Outcome::Value {
        value: Value::YesNo(true),
        swap_kind: None,
        attack_kind: Some(AttackKind::LocationHijack),
    };
    let line = format!("an attack {since} (location hijacked)");
    assert_words(&attack, "yes (location hijacked)", &line);
    assert_eq!(mood(&attack, Timestamp::UNIX_EPOCH), Mood::Alarm);
}

#[test]
fn a_reason_says_whether_somebody_decided_so() {
    assert_eq!(
        unanswered_words(Reason::Timeout, ""),
        "unknown: timeout (the operator did not answer in time)"
    );
    assert_eq!(
        unanswered_words(Reason::NotAuthorised, "clause 4.2 allows roaming only"),
        "refused: not_authorised (clause 4.2 allows roaming only)"
    );
}

#[test]
fn a_young_change_alarms_and_an_old_one_does_not() {
    let now = "2026-11-21T12:00:00Z".parse().unwrap();
    let date = "2024-01-31".parse().unwrap();
    let tenure = Question::Tenure { since: date };
    let unanswered = SignalOutcome {
        outcome: Outcome::Unanswered {
            reason: Reason::Timeout,
            detail: String::new(),
        },
        ..swap(None, Value::YesNo(true))
    };
    for (outcome, expected) in [
        (swap(Some(72), Value::YesNo(true)), Mood::Alarm),
        (swap(Some(72), Value::YesNo(false)), Mood::Calm),
        (swap(None, band(71, 71, false)), Mood::Alarm),
        (swap(None, band(73, 73, false)), Mood::Calm),
        (swap(None, band(1, 1, true)), Mood::Calm),
        (outcome(tenure, Value::YesNo(true)), Mood::Calm),
        (outcome(tenure, Value::YesNo(false)), Mood::Alarm),
        (unanswered, Mood::Unknown),
    ] {
        assert_eq!(mood(&outcome, now), expected, "{outcome:?}");
    }
}

#[test]
fn an_age_is_told_in_its_own_unit() {
    let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    for (seconds, words) in [
        (-3, "now"),
        (5, "5 s ago"),
        (600, "10 min ago"),
        (7_300, "2 h ago"),
        (864_000, "10 days ago"),
    ] {
        let at = now - SignedDuration::from_secs(seconds);
        assert_eq!(age_words(at, now), words);
    }
}
