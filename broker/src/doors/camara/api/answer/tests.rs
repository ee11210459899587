use accord_proto::wire::timestamp;

use super::*;

const NOW: &str = "2026-11-21T12:00:00Z";
const OBSERVED: &str = "2026-11-21T11:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn answer(outcome: Outcome) -> v1::Answer {
    v1::Answer {
        answered_at: Some(timestamp(at(NOW))),
        signals: vec![v1::SignalAnswer {
            outcome: Some(outcome),
            clause: "3.1".to_owned(),
            observed_at: Some(timestamp(at(OBSERVED))),
            ..v1::SignalAnswer::default()
        }],
        ..v1::Answer::default()
    }
}

fn told(operation: Operation, value: Wire) -> Result<Json, Problem> {
    let asked = Asked {
        operation,
        date: Some("2024-01-31".parse().unwrap()),
        echoed: None,
    };
    let value = v1::Value {
        value: Some(value),
        ..v1::Value::default()
    };
    body(&asked, &answer(Outcome::Value(value)))
}

fn interval(after: &str, before: &str) -> Wire {
    let moment = |text: &str| (!text.is_empty()).then(|| timestamp(at(text)));
    Wire::Interval(v1::Interval {
        after: moment(after),
        before: moment(before),
    })
}

fn band(lowest: i32, highest: i32, at_least: bool) -> Wire {
    Wire::Band(v1::Band {
        lowest,
        highest,
        at_least,
    })
}

fn forwardings(active: &[(v1::ForwardingCondition, v1::ForwardingTarget)]) -> Wire {
    let active = active.iter().map(|(condition, target)| v1::Forwarding {
        condition: *condition as i32,
        target: *target as i32,
    });
    Wire::Forwarding(v1::ForwardingState {
        active: active.collect(),
    })
}

#[test]
fn yes_and_no_keep_their_meaning() {
    for yes in [true, false] {
        let value = || Wire::YesNo(yes);
        for (operation, name) in [
            (Operation::SimSwapCheck, "swapped"),
            (Operation::DeviceSwapCheck, "swapped"),
            (Operation::RecyclingCheck, "phoneNumberRecycled"),
            (Operation::TenureCheck, "tenureDateCheck"),
        ] {
            assert_eq!(told(operation, value()), Ok(json!({ name: yes })));
        }
        let roaming = json!({ "lastStatusTime": OBSERVED, "roaming": yes });
        assert_eq!(told(Operation::RoamingRetrieve, value()), Ok(roaming));
    }
}

#[test]
fn a_date_is_the_youngest_that_it_can_be() {
    let change = interval("2026-11-01T00:00:00Z", "2026-11-02T06:30:00Z");
    assert_eq!(
        told(Operation::SimSwapRetrieveDate, change.clone()),
        Ok(json!({ "latestSimChange": "2026-11-02T06:30:00Z" }))
    );
    assert_eq!(
        told(Operation::DeviceSwapRetrieveDate, change),
        Ok(json!({ "latestDeviceChange": "2026-11-02T06:30:00Z" }))
    );
}

#[test]
fn null_says_whether_never_unknown_or_not_permitted() {
    let sim = |value| told(Operation::SimSwapRetrieveDate, value).unwrap();
    let never = sim(interval("", ""));
    assert_eq!(never["latestSimChange"], Json::Null);
    assert_eq!(never["contextCode"], "ACCORD.NEVER");
    assert!(never.get("monitoredPeriod").is_none());
    // Watched from then to `observed_at`: 9 days and 23 hours.
    let unknown = sim(interval("2026-11-11T12:00:00Z", ""));
    assert_eq!(unknown["contextCode"], "ACCORD.UNKNOWN");
    assert_eq!(unknown["monitoredPeriod"], 9);
    let long = sim(interval("2016-11-11T12:00:00Z", ""));
    assert_eq!(long["monitoredPeriod"], 999);
    for (value, days) in [
        // Of 14 and 60 days, the last hour was not watched.
        (band(10, 11, false), json!(13)),
        (band(12, 17, true), json!(59)),
    ] {
        let body = sim(value);
        assert_eq!(body["latestSimChange"], Json::Null);
        assert_eq!(body["contextCode"], "ACCORD.NOT_PERMITTED");
        assert_eq!(body["monitoredPeriod"], days);
    }
}

#[test]
fn a_young_change_is_never_hidden_behind_null() {
    for operation in [
        Operation::SimSwapRetrieveDate,
        Operation::DeviceSwapRetrieveDate,
    ] {
        for value in [Wire::YesNo(true), band(1, 1, false), band(3, 10, false)] {
            let problem = told(operation, value).unwrap_err();
            assert_eq!(problem.code, Code::ServiceNotApplicable);
            assert!(problem.message.contains("clause 3.1"), "{problem:?}");
        }
        // Of the clause's own window, which may be of hours.
        let problem = told(operation, Wire::YesNo(false)).unwrap_err();
        assert_eq!(problem.code, Code::PermissionDenied);
    }
}

#[test]
fn what_was_watched_for_less_than_a_day_is_never_null() {
    for value in [
        || interval("2026-11-21T03:00:00Z", ""),
        || band(1, 17, true),
    ] {
        for operation in [
            Operation::SimSwapRetrieveDate,
            Operation::DeviceSwapRetrieveDate,
        ] {
            let problem = told(operation, value()).unwrap_err();
            assert_eq!(problem.code, Code::ServiceNotApplicable);
        }
    }
}

#[test]
fn an_old_date_or_band_needs_a_look_of_the_last_day_as_null_does() {
    let as_of = |operation, value, observed: &str| {
        let asked = Asked {
            operation,
            date: None,
            echoed: None,
        };
        let value = v1::Value {
            value: Some(value),
            ..v1::Value::default()
        };
        let mut answer = answer(Outcome::Value(value));
        answer.signals[0].observed_at = Some(timestamp(at(observed)));
        body(&asked, &answer)
    };
    let (old, young) = ("2026-11-20T00:00:00Z", "2026-11-20T13:00:00Z");
    for value in [
        || interval("2019-03-01T00:00:00Z", "2019-03-01T00:00:00Z"),
        || interval("2019-03-01T00:00:00Z", ""),
        || interval("", ""),
    ] {
        for operation in [
            Operation::SimSwapRetrieveDate,
            Operation::DeviceSwapRetrieveDate,
            Operation::SimSwapRetrieveAgeBand,
        ] {
            let problem = as_of(operation, value(), old).unwrap_err();
            assert_eq!(problem.reason, Some("stale"), "{operation:?}");
            assert!(as_of(operation, value(), young).is_ok(), "{operation:?}");
        }
    }
    let band_of = |lowest, observed| {
        let band = band(lowest, lowest, false);
        as_of(Operation::SimSwapRetrieveAgeBand, band, observed)
    };
    assert_eq!(band_of(16, old).unwrap_err().reason, Some("stale"));
    // A young change is a warning, whatever came after it.
    assert!(band_of(1, old).is_ok());
    let change = || interval("2026-11-19T22:00:00Z", "2026-11-20T13:00:00Z");
    assert!(as_of(Operation::SimSwapRetrieveDate, change(), old).is_ok());
}

#[test]
fn what_was_not_answered_is_an_error_and_never_null() {
    for operation in Operation::ALL {
        let asked = Asked {
            operation,
            date: None,
            echoed: None,
        };
        for reason in Reason::ALL {
            let unanswered = v1::Unanswered {
                reason: reason.to_wire() as i32,
                detail: "in words".to_owned(),
            };
            let body = body(&asked, &answer(Outcome::Unanswered(unanswered)));
            let message = format!("{reason}: in words");
            assert_eq!(body.unwrap_err().message, message, "{operation:?}");
        }
    }
}

#[test]
fn an_age_band_is_told_with_both_ends_where_it_straddles() {
    let bands = |value| told(Operation::SimSwapRetrieveAgeBand, value).unwrap();
    assert_eq!(bands(band(6, 6, false)), json!({ "ageBand": 6 }));
    assert_eq!(
        bands(band(3, 5, false)),
        json!({ "ageBand": 3, "ageBandHighest": 5 })
    );
    // None was seen for at least so long, so there may never have been one.
    assert_eq!(
        bands(band(12, 17, true)),
        json!({ "ageBand": 12, "ageBandHighest": 111 })
    );
    assert_eq!(bands(interval("", "")), json!({ "ageBand": 111 }));
    // 20 and 19 days ago, and 3 to 2 days ago.
    assert_eq!(
        bands(interval("2026-11-01T12:00:00Z", "2026-11-02T12:00:00Z")),
        json!({ "ageBand": 10 })
    );
    assert_eq!(
        bands(interval("2026-11-18T11:00:00Z", "2026-11-19T11:00:00Z")),
        json!({ "ageBand": 5, "ageBandHighest": 6 })
    );
    assert_eq!(
        bands(interval("2026-11-20T11:00:00Z", "")),
        json!({ "ageBand": 4, "ageBandHighest": 111 })
    );
    let coarse = told(Operation::SimSwapRetrieveAgeBand, Wire::YesNo(false)).unwrap_err();
    assert_eq!(coarse.code, Code::PermissionDenied);
}

#[test]
fn tenure_is_decided_from_bands_and_intervals_or_not_at_all() {
    // Asked since 2024-01-31, which is 2 years and 294 days ago: band 16.
    let tenure = |value| told(Operation::TenureCheck, value);
    let held = |held: bool| Ok(json!({ "tenureDateCheck": held }));
    assert_eq!(tenure(band(17, 17, false)), held(true));
    assert_eq!(tenure(band(15, 15, false)), held(false));
    assert_eq!(tenure(band(17, 17, true)), held(true));
    let undecided = tenure(band(16, 16, false)).unwrap_err();
    assert_eq!(undecided.code, Code::ServiceNotApplicable);
    assert_eq!(undecided.reason, Some("undecided"));
    let short = tenure(band(15, 17, true)).unwrap_err();
    assert_eq!(short.code, Code::OutOfRange);
    assert_eq!(short.reason, Some("not_watched"));
    let since = |after, before| tenure(interval(after, before));
    assert_eq!(
        since("2020-05-01T00:00:00Z", "2020-05-02T00:00:00Z"),
        held(true)
    );
    // The day on which the contract began counts.
    assert_eq!(
        since("2024-01-31T08:00:00Z", "2024-01-31T09:00:00Z"),
        held(true)
    );
    assert_eq!(
        since("2024-02-01T08:00:00Z", "2024-02-01T09:00:00Z"),
        held(false)
    );
    assert_eq!(since("", ""), held(true));
    assert_eq!(since("2023-12-31T00:00:00Z", ""), held(true));
    assert_eq!(
        since("2025-01-01T00:00:00Z", "").unwrap_err().reason,
        Some("not_watched")
    );
    assert_eq!(
        since("2024-01-01T00:00:00Z", "2024-03-01T00:00:00Z")
            .unwrap_err()
            .reason,
        Some("undecided")
    );
}

#[test]
fn forwardings_are_listed_once_each_and_inactive_stands_alone() {
    use v1::{
        ForwardingCondition::{Busy, NoReply, NotReachable, Unconditional},
        ForwardingTarget::{AnotherNumber, OwnVoicemail},
    };
    let all = |active: &[_]| told(Operation::ForwardingAll, forwardings(active));
    let unconditional =
        |active: &[_]| told(Operation::ForwardingUnconditional, forwardings(active));
    assert_eq!(all(&[]), Ok(json!(["inactive"])));
    assert_eq!(unconditional(&[]), Ok(json!({ "active": false })));
    let several = [
        (NoReply, OwnVoicemail),
        (Busy, OwnVoicemail),
        (Busy, AnotherNumber),
        (NotReachable, AnotherNumber),
    ];
    assert_eq!(
        all(&several),
        Ok(json!([
            "conditional_busy",
            "conditional_not_reachable",
            "conditional_no_answer"
        ]))
    );
    assert_eq!(unconditional(&several), Ok(json!({ "active": false })));
    // A voice mail is a destination, as upstream has it.
    let voicemail = [(Unconditional, OwnVoicemail)];
    assert_eq!(unconditional(&voicemail), Ok(json!({ "active": true })));
    assert_eq!(all(&voicemail), Ok(json!(["unconditional"])));
}

#[test]
fn yes_or_no_does_not_say_which_forwarding() {
    for operation in [Operation::ForwardingUnconditional, Operation::ForwardingAll] {
        for yes in [true, false] {
            let problem = told(operation, Wire::YesNo(yes)).unwrap_err();
            assert_eq!(problem.code, Code::PermissionDenied);
            assert!(problem.message.contains("clause 3.1"), "{problem:?}");
        }
    }
}

#[test]
fn a_visited_country_is_told_where_there_is_one() {
    let state = |roaming, visited_mcc| {
        told(
            Operation::RoamingRetrieve,
            Wire::Roaming(v1::RoamingState {
                roaming,
                visited_mcc,
            }),
        )
        .unwrap()
    };
    assert_eq!(
        state(true, 340),
        json!({
            "lastStatusTime": OBSERVED,
            "roaming": true,
            "countryCode": 340,
            "countryName": ["BL", "GF", "GP", "MF", "MQ"],
        })
    );
    assert_eq!(state(true, 901)["countryName"], json!([]));
    assert!(state(true, 0).get("countryCode").is_none());
    assert!(state(false, 262).get("countryCode").is_none());
}

#[test]
fn the_identifier_that_was_used_is_told_where_there_were_several() {
    let asked = Asked {
        operation: Operation::RoamingRetrieve,
        date: None,
        echoed: Some("+447700900001".to_owned()),
    };
    let value = v1::Value {
        value: Some(Wire::YesNo(false)),
        ..v1::Value::default()
    };
    let body = body(&asked, &answer(Outcome::Value(value))).unwrap();
    assert_eq!(body["device"], json!({ "phoneNumber": "+447700900001" }));
}

#[test]
fn an_answer_to_something_else_is_the_brokers_fault() {
    let wrong = told(Operation::SimSwapCheck, interval("", "")).unwrap_err();
    assert_eq!(wrong.code, Code::Internal);
    assert_eq!(wrong.message, "the broker made a mistake");
    let asked = Asked {
        operation: Operation::SimSwapCheck,
        date: None,
        echoed: None,
    };
    assert_eq!(
        body(&asked, &v1::Answer::default()).unwrap_err().code,
        Code::Internal
    );
}
