//! Pairs of raw answer and observation. "Sent" is noon, received a second later.

use accord_proto::{
    msisdn::Msisdn,
    observation::{Observation, SourceClass},
    signal::Signal,
};

use super::*;
use crate::camara_upstream::since::Known;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn noon() -> Timestamp {
    at("2026-11-21T12:00:00Z")
}

/// Of an upstream that asks its network each time, unless it says otherwise.
fn manner(more: &str) -> Manner {
    let live = if more.contains("knows_within_s") {
        ""
    } else {
        "knows_within_s = 0\n"
    };
    let text = format!(
        "roots_file = \"r\"\nroaming = \"https://api.example/device-roaming-status/v1\"\n\
         {live}{more}\n\
         [token]\nurl = \"https://t.example\"\nclient_id = \"c\"\nscope = \"s\"\n"
    );
    Manner::new(&toml::from_str(&text).unwrap())
}

fn read(signal: Signal, more: &str, body: &str) -> Result<Observation, Fault> {
    let manner = manner(more);
    let questions = manner.questions(signal, noon());
    let [asked] = questions.as_slice() else {
        panic!("{questions:?}");
    };
    let received = noon() + SignedDuration::from_secs(1);
    let (what, observed_at) = match manner.read(*asked, body.as_bytes(), noon(), received)? {
        Heard::Whole(what, observed_at) => (what, observed_at),
        Heard::Since(since) => {
            let mut known = Known::default();
            assert_eq!(known.take(since), !since.changed);
            let stale = Fault::told(Reason::Stale, "nothing was learnt");
            known.told().ok_or(stale)?
        }
    };
    Ok(Observation {
        what,
        observed_at,
        source: SourceClass::Upstream,
    })
}

/// The interval, watched since, and observed at.
fn change(read: Result<Observation, Fault>) -> (Option<(String, String)>, String, String) {
    let observation = read.unwrap();
    let Observed::Change(change) = observation.what else {
        panic!("{observation:?}");
    };
    let within = change.changed_in;
    (
        within.map(|within| (within.after().to_string(), within.before().to_string())),
        change.monitored_since.unwrap().to_string(),
        observation.observed_at.to_string(),
    )
}

const NOON: &str = "2026-11-21T12:00:00Z";

#[test]
fn a_date_is_an_interval_around_it_and_no_instant() {
    let body = r#"{"latestSimChange":"2026-11-20T14:27:08.312+02:00"}"#;
    let (within, ..) = change(read(Signal::SimSwap, "", body));
    let around = ("2026-11-20T12:26:08.312Z", "2026-11-20T12:28:08.312Z");
    assert_eq!(within, Some((around.0.to_owned(), around.1.to_owned())));
    // Of an upstream that tells days.
    let body = r#"{"latestDeviceChange":"2026-11-21T00:00:00Z"}"#;
    let (within, ..) = change(read(Signal::DeviceSwap, "precision_s = 86400", body));
    assert_eq!(
        within,
        Some(("2026-11-20T00:00:00Z".to_owned(), NOON.to_owned()))
    );
}

#[test]
fn null_is_never_no_but_for_as_long_as_was_monitored() {
    let body = r#"{"latestSimChange":null,"monitoredPeriod":90}"#;
    let told = change(read(Signal::SimSwap, "", body));
    assert_eq!(
        told,
        (None, "2026-08-23T12:00:00Z".to_owned(), NOON.to_owned())
    );
    for body in [
        r#"{"latestSimChange":null}"#,
        r#"{"latestSimChange":null,"monitoredPeriod":0}"#,
        r#"{"latestSimChange":null,"monitoredPeriod":99999}"#,
    ] {
        let fault = read(Signal::SimSwap, "", body).unwrap_err();
        assert_eq!(
            (fault.reason, fault.condition),
            (Reason::NotAvailable, None)
        );
    }
}

#[test]
fn a_yes_or_no_within_a_window_is_the_window() {
    let by_check = "swaps_by = \"check\"\ncheck_max_age_hours = 72";
    let ago = "2026-11-18T12:00:00Z".to_owned();
    let yes = change(read(Signal::SimSwap, by_check, r#"{"swapped":true}"#));
    let received = "2026-11-21T12:00:01Z".to_owned();
    assert_eq!(yes, (Some((ago.clone(), received.clone())), ago, received));
    let no = change(read(Signal::SimSwap, by_check, r#"{"swapped":false}"#));
    // The upstream looked at some time until the answer came.
    let ago = "2026-11-18T12:00:01Z".to_owned();
    assert_eq!(no, (None, ago, NOON.to_owned()));
}

#[test]
fn several_windows_and_days_are_asked_about_from_the_longest_on() {
    let several =
        "swaps_by = \"check\"\ncheck_max_age_hours = [24, 720, 72]\nsince_days = [30, 365]";
    let manner = manner(several);
    let number = Msisdn::parse("+447700900001").unwrap();
    let asked = |signal, field: &str| {
        let questions = manner.questions(signal, noon()).into_iter();
        let bodies = questions.map(|asked| json(&asked.body(&number)).unwrap());
        let fields = bodies.map(|body| body.get(field).unwrap().to_string());
        fields.collect::<Vec<_>>()
    };
    assert_eq!(asked(Signal::SimSwap, "maxAge"), ["720", "72", "24"]);
    let days = ["\"2025-11-21\"", "\"2026-10-22\""];
    assert_eq!(asked(Signal::NumberRecycling, "specifiedDate"), days);
    assert_eq!(asked(Signal::Tenure, "tenureDate"), days);
}

#[test]
fn a_holder_since_a_day_is_told_wherever_that_day_began_and_ended() {
    // 10 days before noon: the 11th.
    let days = "since_days = 10";
    let same = change(read(Signal::Tenure, days, r#"{"tenureDateCheck":true}"#));
    assert_eq!(
        same,
        (None, "2026-11-12T14:00:00Z".to_owned(), NOON.to_owned())
    );
    let body = r#"{"phoneNumberRecycled":false}"#;
    assert_eq!(change(read(Signal::NumberRecycling, days, body)), same);
    let other = change(read(Signal::Tenure, days, r#"{"tenureDateCheck":false}"#));
    let (after, _) = other.0.clone().unwrap();
    assert_eq!(after, "2026-11-10T10:00:00Z");
    let body = r#"{"phoneNumberRecycled":true}"#;
    assert_eq!(change(read(Signal::NumberRecycling, days, body)), other);
}

#[test]
fn states_are_as_they_were_told() {
    let of = |body| read(Signal::CallForwarding, "", body).map(|seen| seen.what);
    assert_eq!(of(r#"["inactive"]"#), Ok(Observed::Forwarding(vec![])));
    let Ok(Observed::Forwarding(active)) = of(r#"["unconditional","conditional_no_answer"]"#)
    else {
        panic!("no forwardings");
    };
    assert_eq!(active.len(), 2);
    assert!(
        active
            .iter()
            .all(|one| one.target == ForwardingTarget::Unknown)
    );
    let body = r#"{"lastStatusTime":"2026-11-21T10:00:00Z","roaming":true,"countryCode":208}"#;
    let seen = read(Signal::Roaming, "", body).unwrap();
    assert_eq!(seen.observed_at, at("2026-11-21T10:00:00Z"));
    let abroad = Roaming {
        roaming: true,
        visited_mcc: Some(208),
    };
    assert_eq!(seen.what, Observed::Roaming(abroad));
}

#[test]
fn a_country_code_is_told_if_there_can_be_such_a_one() {
    let of = |roaming: bool, code: &str| {
        let body = format!(
            r#"{{"lastStatusTime":"2026-11-21T10:00:00Z","roaming":{roaming},"countryCode":{code}}}"#
        );
        let Observed::Roaming(told) = read(Signal::Roaming, "", &body).unwrap().what else {
            panic!("{body}");
        };
        assert_eq!(told.roaming, roaming, "{body}");
        told.visited_mcc
    };
    // ITU-T E.212: 901 is shared by networks of no country, such as those at sea.
    for (code, told) in [
        ("901", Some(901)),
        ("999", Some(999)),
        ("0", None),
        ("1000", None),
        ("66437", None),
        ("-901", None),
        ("901.5", None),
        ("\"901\"", None),
        ("null", None),
    ] {
        assert_eq!(of(true, code), told, "{code}");
        assert_eq!(of(false, code), None, "{code}");
    }
}

#[test]
fn what_can_not_be_is_not_believed() {
    let far = r#"{"latestSimChange":"2026-11-21T12:00:30Z"}"#;
    for (signal, body) in [
        (Signal::SimSwap, far),
        (
            Signal::SimSwap,
            r#"{"latestSimChange":"1900-01-01T00:00:00Z"}"#,
        ),
        (
            Signal::SimSwap,
            r#"{"latestSimChange":"2026-11-20T12:00:00"}"#,
        ),
        (Signal::SimSwap, r#"{"latestSimChange":20261120}"#),
        (Signal::SimSwap, "{}"),
        (Signal::SimSwap, "[]"),
        (Signal::SimSwap, "<html>"),
        (Signal::SimSwap, "{\"latestSimChange\":\"\u{fffd}\"}"),
        (Signal::CallForwarding, "[]"),
        (Signal::CallForwarding, r#"["inactive","unconditional"]"#),
        (
            Signal::CallForwarding,
            r#"["unconditional","unconditional"]"#,
        ),
        (Signal::CallForwarding, r#"["sometimes"]"#),
        (Signal::CallForwarding, r#""inactive""#),
        (Signal::Roaming, r#"{"roaming":false}"#),
        (
            Signal::Roaming,
            r#"{"lastStatusTime":"2026-11-21T10:00:00Z","roaming":"no"}"#,
        ),
        (Signal::Tenure, r#"{"tenureDateCheck":null}"#),
    ] {
        let fault = read(signal, "", body).unwrap_err();
        assert_eq!(fault.reason, Reason::SourceDown, "{body}");
        assert!(fault.condition.is_some(), "{body}");
    }
}

/// The upstream reads a nightly file, which it has after two hours.
const NIGHTLY: &str = "knows_within_s = 93600";
/// So long before noon.
const NIGHT: &str = "2026-11-20T10:00:00Z";

#[test]
fn what_has_not_happened_is_told_as_of_what_the_upstream_knows() {
    let by_check = format!("{NIGHTLY}\nswaps_by = \"check\"\ncheck_max_age_hours = 72");
    let days = format!("{NIGHTLY}\nsince_days = 10");
    for (signal, more, body) in [
        (
            Signal::SimSwap,
            NIGHTLY,
            r#"{"latestSimChange":null,"monitoredPeriod":90}"#,
        ),
        (Signal::SimSwap, &by_check, r#"{"swapped":false}"#),
        (Signal::DeviceSwap, &by_check, r#"{"swapped":false}"#),
        (Signal::Tenure, &days, r#"{"tenureDateCheck":true}"#),
        (
            Signal::NumberRecycling,
            &days,
            r#"{"phoneNumberRecycled":false}"#,
        ),
    ] {
        let live = more.replace(NIGHTLY, "");
        let (none, since, at) = change(read(signal, more, body));
        assert_eq!((none, at.as_str()), (None, NIGHT), "{signal}");
        let live = change(read(signal, &live, body));
        assert_eq!(live, (None, since, NOON.to_owned()), "{signal}");
    }
    for body in [r#"["inactive"]"#, r#"["unconditional"]"#] {
        let state = read(Signal::CallForwarding, NIGHTLY, body).unwrap();
        assert_eq!(state.observed_at, at(NIGHT), "{body}");
    }
    // A state with a time of its own.
    let body = r#"{"lastStatusTime":"2026-11-21T11:00:00Z","roaming":false}"#;
    let state = read(Signal::Roaming, NIGHTLY, body).unwrap();
    assert_eq!(state.observed_at, at("2026-11-21T11:00:00Z"));
}

#[test]
fn what_happened_has_the_bounds_that_it_would_have_of_an_upstream_that_knows_at_once() {
    let by_check = "swaps_by = \"check\"\ncheck_max_age_hours = 72";
    let of = |more: &str, body| change(read(Signal::SimSwap, more, body));
    let nightly = format!("{NIGHTLY}\n{by_check}");
    let yes = r#"{"swapped":true}"#;
    assert_eq!(of(&nightly, yes), of(by_check, yes));
    // That there was none after it is what the upstream knows.
    let (old, recent) = (
        r#"{"latestSimChange":"2026-10-20T12:00:00Z"}"#,
        r#"{"latestSimChange":"2026-11-21T08:00:00Z"}"#,
    );
    for (body, known_to) in [(old, NIGHT), (recent, "2026-11-21T08:01:00Z")] {
        let (within, since, at) = of(NIGHTLY, body);
        assert_eq!(at, known_to);
        assert_eq!(of("", body), (within, since, NOON.to_owned()));
    }
}

#[test]
fn a_time_that_is_shorter_than_what_the_upstream_takes_to_know_tells_nothing() {
    for (signal, more, body) in [
        (
            Signal::SimSwap,
            "swaps_by = \"check\"\ncheck_max_age_hours = 26",
            r#"{"swapped":false}"#,
        ),
        (
            Signal::SimSwap,
            "",
            r#"{"latestSimChange":null,"monitoredPeriod":1}"#,
        ),
        (
            Signal::Tenure,
            "since_days = 1",
            r#"{"tenureDateCheck":true}"#,
        ),
    ] {
        let nightly = read(signal, &format!("{NIGHTLY}\n{more}"), body);
        assert_eq!(nightly.unwrap_err().reason, Reason::Stale, "{signal}");
    }
}
