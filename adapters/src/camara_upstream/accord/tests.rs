//! Pairs of header and body. "Sent" is noon, received a second later.

use accord_proto::{
    observation::{ForwardingCondition, ForwardingTarget, Roaming},
    reason::Reason,
    wire::timestamp,
};
use serde_json::json;

use super::*;
use crate::{camara_upstream::since::Known, source::Condition};

const DAY: i64 = 24;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn noon() -> Timestamp {
    at("2026-11-21T12:00:00Z")
}

fn hours(ago: i64) -> Timestamp {
    noon() - SignedDuration::from_hours(ago)
}

fn exchange() -> Exchange {
    Exchange {
        sent: noon(),
        received: noon() + SignedDuration::from_secs(1),
    }
}

/// An answer that was given within the exchange, of what somebody saw so many hours ago.
fn answer(signal: Signal, value: Told, observed: i64) -> v1::Answer {
    let one = v1::SignalAnswer {
        signal: signal.to_wire() as i32,
        outcome: Some(Outcome::Value(v1::Value {
            value: Some(value),
            swap_kind: v1::SwapKind::Esim as i32,
            ..v1::Value::default()
        })),
        observed_at: Some(timestamp(hours(observed))),
        ..v1::SignalAnswer::default()
    };
    v1::Answer {
        answered_at: Some(timestamp(noon() + SignedDuration::from_millis(500))),
        signals: vec![one],
        ..v1::Answer::default()
    }
}

fn header(answer: &v1::Answer) -> String {
    super::header(&answer.encode_to_vec())
}

fn interval(after: Option<i64>, before: Option<i64>) -> Told {
    let at = |ago: i64| timestamp(hours(ago));
    Told::Interval(v1::Interval {
        after: after.map(at),
        before: before.map(at),
    })
}

fn band(lowest: v1::AgeBand, highest: v1::AgeBand, at_least: bool) -> Told {
    Told::Band(v1::Band {
        lowest: lowest as i32,
        highest: highest as i32,
        at_least,
    })
}

fn heard(signal: Signal, asked: Asked, value: Told, body: &Value) -> Result<Heard, Fault> {
    let header = header(&answer(signal, value, 3));
    read(header.as_bytes(), (signal, asked), body, exchange())
}

fn change(heard: Result<Heard, Fault>) -> Result<(Change, Timestamp), Fault> {
    match heard? {
        Heard::Whole(Observed::Change(change), observed_at) => Ok((change, observed_at)),
        Heard::Since(since) => {
            let mut known = Known::default();
            known.take(since);
            match known.told() {
                Some((Observed::Change(change), observed_at)) => Ok((change, observed_at)),
                other => panic!("{other:?}"),
            }
        }
        Heard::Whole(other, _) => panic!("{other:?}"),
    }
}

fn date(value: Told, date: Option<i64>) -> Result<(Change, Timestamp), Fault> {
    let date = date.map(|ago| hours(ago).to_string());
    let body = json!({ "latestSimChange": date });
    change(heard(
        Signal::SimSwap,
        Asked::SwapDate("latestSimChange"),
        value,
        &body,
    ))
}

#[test]
fn an_interval_is_kept_with_its_kind_and_as_of_when_somebody_looked() {
    let (told, observed_at) = date(interval(Some(50), Some(48)), Some(48)).unwrap();
    assert_eq!(told.changed_in, ChangedIn::new(hours(50), hours(48)));
    assert_eq!(told.monitored_since, Some(hours(50)));
    assert_eq!(told.kind, Some(SwapKind::Esim));
    assert_eq!(observed_at, hours(3), "not as of now");
    let (told, observed_at) = date(interval(Some(900), None), None).unwrap();
    assert_eq!((told.changed_in, told.kind), (None, None));
    assert_eq!(
        (told.monitored_since, observed_at),
        (Some(hours(900)), hours(3))
    );
    // Which `null` alone does not tell.
    let (told, _) = date(interval(None, None), None).unwrap();
    assert_eq!((told.changed_in, told.monitored_since), (None, None));
}

#[test]
fn a_clock_that_is_a_little_ahead_makes_no_answer_of_the_future() {
    let ahead = noon() + SignedDuration::from_millis(2_500);
    let mut answer = answer(Signal::SimSwap, interval(Some(50), None), 0);
    answer.answered_at = Some(timestamp(ahead));
    answer.signals[0].observed_at = Some(timestamp(ahead));
    let within = v1::Interval {
        after: Some(timestamp(hours(50))),
        before: Some(timestamp(ahead)),
    };
    let value = v1::Value {
        value: Some(Told::Interval(within)),
        ..v1::Value::default()
    };
    answer.signals[0].outcome = Some(Outcome::Value(value));
    let asked = (Signal::SimSwap, Asked::SwapDate("latestSimChange"));
    let body = json!({ "latestSimChange": ahead.to_string() });
    let told = read(header(&answer).as_bytes(), asked, &body, exchange());
    let (told, observed_at) = change(told).unwrap();
    let received = exchange().received;
    assert_eq!(told.changed_in, ChangedIn::new(hours(50), received));
    assert_eq!(observed_at, received);
    // Watched for no longer than since somebody looked.
    let (since, until) = (interval(Some(2), None), None);
    assert_eq!(date(since, until).unwrap_err().reason, Reason::Stale);
}

#[test]
fn a_band_is_an_interval_of_its_edges_and_no_narrower() {
    use v1::AgeBand as Age;
    let value = band(Age::AgeBand7To14Days, Age::AgeBand14To30Days, false);
    let (told, observed_at) = date(value, None).unwrap();
    let within = told.changed_in.unwrap();
    // The upstream counted from some moment of the exchange.
    let (after, before) = (within.after(), within.before());
    assert!(after < hours(30 * DAY) && after > hours(30 * DAY + 1));
    assert!(before >= hours(7 * DAY) && before < hours(7 * DAY - 1));
    assert_eq!(observed_at, hours(3));
    let value = band(Age::AgeBand180To365Days, Age::Over3Years, true);
    let (told, _) = date(value, None).unwrap();
    assert_eq!(told.changed_in, None);
    let since = told.monitored_since.unwrap();
    assert!(since >= hours(180 * DAY) && since < hours(180 * DAY - 1));
    // Over three years ago: since there were mobile phones.
    let value = band(Age::Over3Years, Age::Over3Years, false);
    let (told, _) = date(value, None).unwrap();
    assert_eq!(told.changed_in.unwrap().after(), api::OLDEST);
    // What lies in the youngest one happened before somebody looked.
    let value = band(Age::AgeBand0To4Hours, Age::AgeBand12To24Hours, false);
    let (told, _) = date(value, None).unwrap();
    assert_eq!(told.changed_in.unwrap().before(), hours(3));
}

#[test]
fn yes_and_no_hold_until_somebody_looked() {
    let check = |yes: bool, said: bool| {
        let body = json!({ "swapped": said });
        change(heard(
            Signal::SimSwap,
            Asked::SwapCheck(72),
            Told::YesNo(yes),
            &body,
        ))
    };
    let (told, observed_at) = check(true, true).unwrap();
    assert_eq!(told.changed_in, ChangedIn::new(hours(72), hours(3)));
    assert_eq!(observed_at, hours(3));
    let (told, observed_at) = check(false, false).unwrap();
    assert_eq!(told.changed_in, None);
    let since = hours(72) + SignedDuration::from_secs(1);
    assert_eq!((told.monitored_since, observed_at), (Some(since), hours(3)));
    for (yes, said) in [(true, false), (false, true)] {
        assert_eq!(check(yes, said), Err(CONTRADICTS));
    }
    // Since a day, which ends in UTC and nowhere else.
    let day = "2026-11-01".parse().unwrap();
    let end = at("2026-11-01T23:59:59.999Z");
    let recycled = json!({ "phoneNumberRecycled": true });
    let asked = Asked::Recycled(day);
    let told = heard(Signal::NumberRecycling, asked, Told::YesNo(true), &recycled);
    let (told, _) = change(told).unwrap();
    assert_eq!(told.changed_in, ChangedIn::new(end, hours(3)));
    let held = json!({ "tenureDateCheck": true });
    let told = heard(Signal::Tenure, Asked::Held(day), Told::YesNo(true), &held);
    let (told, _) = change(told).unwrap();
    assert_eq!((told.changed_in, told.monitored_since), (None, Some(end)));
}

#[test]
fn tenure_keeps_the_interval_that_its_yes_or_no_follows_from() {
    let day = "2026-11-01".parse().unwrap();
    let held = |value: Told, held: bool| {
        let body = json!({ "tenureDateCheck": held });
        change(heard(Signal::Tenure, Asked::Held(day), value, &body))
    };
    let (told, observed_at) = held(interval(Some(50 * DAY), Some(49 * DAY)), true).unwrap();
    assert_eq!(
        told.changed_in,
        ChangedIn::new(hours(50 * DAY), hours(49 * DAY))
    );
    assert_eq!(observed_at, hours(3));
    held(interval(Some(3 * DAY), Some(2 * DAY)), false).unwrap();
    held(interval(Some(100 * DAY), None), true).unwrap();
    for (value, said) in [
        (interval(Some(50 * DAY), Some(49 * DAY)), false),
        (interval(Some(3 * DAY), Some(2 * DAY)), true),
        (interval(Some(50 * DAY), Some(2 * DAY)), true),
        (interval(Some(50 * DAY), Some(2 * DAY)), false),
        (interval(Some(5 * DAY), None), true),
    ] {
        assert_eq!(held(value, said), Err(CONTRADICTS));
    }
}

#[test]
fn forwarding_says_where_to_and_roaming_until_when() {
    let forwarding = |body: Value| {
        let state = v1::ForwardingState {
            active: vec![v1::Forwarding {
                condition: v1::ForwardingCondition::Busy as i32,
                target: v1::ForwardingTarget::OwnVoicemail as i32,
            }],
        };
        let value = Told::Forwarding(state);
        heard(Signal::CallForwarding, Asked::Forwarding, value, &body)
    };
    let busy = Forwarding {
        condition: ForwardingCondition::Busy,
        target: ForwardingTarget::OwnVoicemail,
    };
    let told = forwarding(json!(["conditional_busy"])).unwrap();
    assert_eq!(
        told,
        Heard::Whole(Observed::Forwarding(vec![busy]), hours(3))
    );
    for other in [
        json!(["inactive"]),
        json!(["unconditional"]),
        json!(["conditional_busy", "unconditional"]),
    ] {
        assert_eq!(forwarding(other), Err(CONTRADICTS));
    }
    let roaming = |body: Value| {
        let state = v1::RoamingState {
            roaming: true,
            visited_mcc: 208,
        };
        heard(Signal::Roaming, Asked::Roaming, Told::Roaming(state), &body)
    };
    let abroad = Roaming {
        roaming: true,
        visited_mcc: Some(208),
    };
    let told = roaming(json!({ "roaming": true, "countryCode": 208 })).unwrap();
    assert_eq!(told, Heard::Whole(Observed::Roaming(abroad), hours(3)));
    for other in [
        json!({ "roaming": false }),
        json!({ "roaming": true, "countryCode": 234 }),
    ] {
        assert_eq!(roaming(other), Err(CONTRADICTS));
    }
}

#[test]
fn a_date_that_the_header_does_not_have_is_not_used_and_neither_is_the_header() {
    for (value, said) in [
        (interval(Some(50), Some(48)), Some(47)),
        (interval(Some(50), Some(48)), None),
        (interval(Some(50), None), Some(48)),
        (
            band(
                v1::AgeBand::AgeBand7To14Days,
                v1::AgeBand::AgeBand7To14Days,
                false,
            ),
            Some(200),
        ),
        (Told::YesNo(false), None),
    ] {
        assert_eq!(date(value, said), Err(CONTRADICTS));
    }
    // An interval that ends before it begins, has no beginning, or ends after somebody looked.
    for value in [(Some(48), Some(50)), (None, Some(48)), (Some(5), Some(1))] {
        let (after, before) = value;
        assert_eq!(
            date(interval(after, before), before),
            Err(UNREADABLE),
            "{value:?}"
        );
    }
    assert_eq!(CONTRADICTS.condition, Some(Condition::Unusable));
    assert_eq!(CONTRADICTS.reason, Reason::SourceDown);
}

#[test]
fn what_is_no_answer_to_the_question_or_of_another_time_is_refused() {
    let good = answer(Signal::SimSwap, interval(Some(50), Some(48)), 3);
    let body = json!({ "latestSimChange": hours(48).to_string() });
    let asked = (Signal::SimSwap, Asked::SwapDate("latestSimChange"));
    let of = |answer: &v1::Answer| read(header(answer).as_bytes(), asked, &body, exchange());
    assert!(of(&good).is_ok());
    let with = |change: &dyn Fn(&mut v1::Answer)| {
        let mut other = good.clone();
        change(&mut other);
        of(&other).unwrap_err()
    };
    let device = v1::Signal::DeviceSwap as i32;
    for unreadable in [
        with(&|answer| answer.signals.clear()),
        with(&|answer| answer.signals.push(answer.signals[0].clone())),
        with(&|answer| answer.signals[0].signal = device),
        with(&|answer| answer.signals[0].observed_at = None),
        with(&|answer| answer.answered_at = None),
    ] {
        assert_eq!(unreadable, UNREADABLE);
    }
    assert_eq!(
        with(&|answer| answer.signals[0].outcome = None),
        CONTRADICTS
    );
    // Kept on the way, of a clock that is wrong, or seen after it was answered.
    for seconds in [-4, 4] {
        let other = noon() + SignedDuration::from_secs(seconds);
        let told = with(&|answer| answer.answered_at = Some(timestamp(other)));
        assert!(told.why.contains("another time"), "{seconds}");
    }
    let told = with(&|answer| answer.signals[0].observed_at = Some(timestamp(hours(-1))));
    assert!(told.why.contains("another time"));
    let whole = header(&good);
    for odd in [
        "",
        ":",
        "::",
        ":!:",
        "CgA=",
        whole.trim_start_matches(':'),
        whole.split_at(whole.len() - 9).0,
        &"x".repeat(9_000),
    ] {
        assert!(
            read(odd.as_bytes(), asked, &body, exchange()).is_err(),
            "{odd}"
        );
    }
}
