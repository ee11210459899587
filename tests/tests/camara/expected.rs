//! What the door has to answer to what gRPC told of the same: worked out from `docs/camara.md` and the
//! wire's definition alone, by none of the code that the door itself answers with.

use accord_proto::v1::{
    ForwardingCondition, SignalAnswer, signal_answer::Outcome, value::Value as Told,
};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use serde_json::{Value as Json, json};

/// Body of a 200, or status, code and reason of an error.
pub(crate) type Expected = Result<Json, (u16, &'static str, &'static str)>;

const NOT_APPLICABLE: &str = "SERVICE_NOT_APPLICABLE";
const DAY: i64 = 24 * 3_600;

/// The older edges of the bands 1 to 16, in hours, as CAMARA's proposal has them; 17 has none.
const BAND_HOURS: [i64; 16] = [
    4,
    12,
    24,
    48,
    72,
    96,
    120,
    7 * 24,
    14 * 24,
    30 * 24,
    60 * 24,
    90 * 24,
    180 * 24,
    365 * 24,
    2 * 365 * 24,
    3 * 365 * 24,
];

/// What a path answers to a value that gRPC told; `None` where gRPC told none.
pub(crate) fn expected(
    path: &str,
    asked: &Json,
    told: &SignalAnswer,
    now: Timestamp,
) -> Option<Expected> {
    let Some(Outcome::Value(value)) = &told.outcome else {
        return None;
    };
    let value = value.value.as_ref().unwrap();
    let observed_at = moment(told.observed_at.as_ref()).unwrap();
    let (api, operation) = path.trim_start_matches('/').split_once('/').unwrap();
    let operation = operation.split_once('/').unwrap().1;
    Some(match (api, operation) {
        ("sim-swap" | "device-swap", "check") => Ok(json!({ "swapped": yes(value) })),
        ("number-recycling", "check") => Ok(json!({ "phoneNumberRecycled": yes(value) })),
        ("sim-swap", "retrieve-date") => date("latestSimChange", value, observed_at),
        ("device-swap", "retrieve-date") => date("latestDeviceChange", value, observed_at),
        ("accord-sim-swap", "retrieve-age-band") => Ok(age_band(value, now)),
        ("kyc-tenure", "check-tenure") => tenure(value, asked["tenureDate"].as_str().unwrap()),
        (_, "unconditional-call-forwardings" | "check-unconditional-forwarding") => {
            let all = conditions(value).contains(&ForwardingCondition::Unconditional);
            Ok(json!({ "active": all }))
        }
        (_, "call-forwardings" | "retrieve-forwardings") => Ok(forwardings(value)),
        ("device-roaming-status", "retrieve") => Ok(roaming(value, observed_at)),
        other => panic!("{other:?}"),
    })
}

fn moment(time: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    time.map(|time| Timestamp::new(time.seconds, time.nanos).unwrap())
}

fn yes(value: &Told) -> bool {
    let Told::YesNo(yes) = value else {
        panic!("{value:?}");
    };
    *yes
}

/// When the change was: after the one and not later than the other.
fn interval(value: &Told) -> (Option<Timestamp>, Option<Timestamp>) {
    let Told::Interval(interval) = value else {
        panic!("{value:?}");
    };
    (
        moment(interval.after.as_ref()),
        moment(interval.before.as_ref()),
    )
}

/// The latest moment at which the change can have been; `null` says whether there never was one, or
/// for how many whole days there was none.
fn date(name: &str, value: &Told, observed_at: Timestamp) -> Expected {
    match interval(value) {
        (_, Some(before)) => Ok(json!({ name: before.to_string() })),
        (None, None) => Ok(json!({
            name: null,
            "contextCode": "ACCORD.NEVER",
            "contextMessage": "there never was a change, and the operator watched all along",
        })),
        (Some(after), None) => {
            let days = (observed_at.as_second() - after.as_second()) / DAY;
            if days == 0 {
                return Err((422, NOT_APPLICABLE, "not_watched"));
            }
            let days = days.min(999);
            Ok(json!({
                name: null,
                "contextCode": "ACCORD.UNKNOWN",
                "contextMessage": format!(
                    "no change in the {days} days up to when the operator last looked, less than a \
                     day ago; what was before is not known"
                ),
                "monitoredPeriod": days,
            }))
        }
    }
}

/// The youngest that the change can be, and the oldest where that is another band. 111: never.
fn age_band(value: &Told, now: Timestamp) -> Json {
    let band = |at: Timestamp| {
        let hours = now.duration_since(at).as_hours();
        1 + BAND_HOURS.iter().filter(|edge| hours >= **edge).count()
    };
    match interval(value) {
        (None, None) => json!({ "ageBand": 111 }),
        (Some(after), None) => json!({ "ageBand": band(after), "ageBandHighest": 111 }),
        (after, Some(before)) => {
            let oldest = after.map_or(17, band);
            match band(before) {
                youngest if youngest == oldest => json!({ "ageBand": youngest }),
                youngest => json!({ "ageBand": youngest, "ageBandHighest": oldest }),
            }
        }
    }
}

/// Whether the same holder has held the number since a day, which counts whole.
fn tenure(value: &Told, since: &str) -> Expected {
    let since: Date = since.parse().unwrap();
    let next = since.tomorrow().unwrap().to_zoned(TimeZone::UTC).unwrap();
    let day_ends = next.timestamp() - SignedDuration::from_millis(1);
    let held = |held: bool| Ok(json!({ "tenureDateCheck": held }));
    match interval(value) {
        (_, Some(before)) if before <= day_ends => held(true),
        (Some(after), Some(_)) if after >= day_ends => held(false),
        (_, Some(_)) => Err((422, NOT_APPLICABLE, "undecided")),
        (Some(watched), None) if watched > day_ends => Err((400, "OUT_OF_RANGE", "not_watched")),
        (_, None) => held(true),
    }
}

fn conditions(value: &Told) -> Vec<ForwardingCondition> {
    let Told::Forwarding(state) = value else {
        panic!("{value:?}");
    };
    state.active.iter().map(|one| one.condition()).collect()
}

/// In upstream's order, each once.
fn forwardings(value: &Told) -> Json {
    let active = conditions(value);
    let words: Vec<_> = [
        (ForwardingCondition::Unconditional, "unconditional"),
        (ForwardingCondition::Busy, "conditional_busy"),
        (
            ForwardingCondition::NotReachable,
            "conditional_not_reachable",
        ),
        (ForwardingCondition::NoReply, "conditional_no_answer"),
    ]
    .into_iter()
    .filter(|(condition, _)| active.contains(condition))
    .map(|(_, word)| word)
    .collect();
    match words.is_empty() {
        true => json!(["inactive"]),
        false => json!(words),
    }
}

fn roaming(value: &Told, observed_at: Timestamp) -> Json {
    let Told::Roaming(state) = value else {
        panic!("{value:?}");
    };
    let mut body = json!({
        "lastStatusTime": observed_at.to_string(),
        "roaming": state.roaming,
    });
    if state.roaming {
        // The virtual operators' subscribers visit each other's countries alone.
        let country = match state.visited_mcc {
            208 => "FR",
            234 => "GB",
            other => panic!("{other}"),
        };
        body["countryCode"] = state.visited_mcc.into();
        body["countryName"] = json!([country]);
    }
    body
}

/// Takes the moment out of a body, in seconds: two questions are asked at two moments.
pub(crate) fn take_moment(body: &mut Json) -> Option<i64> {
    let names = ["latestSimChange", "latestDeviceChange", "lastStatusTime"];
    let found = names.into_iter().find(|name| body[name].is_string())?;
    let text = body[found].take();
    let at: Timestamp = text.as_str().unwrap().parse().unwrap();
    body[found] = "a moment".into();
    Some(at.as_second())
}
