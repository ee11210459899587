//! What an upstream knows only as changed, or not, since a day or an hour: how it is asked, what that
//! tells, and what it costs.

use std::time::Duration;

use accord_adapters::camara_upstream::CamaraUpstream;
use accord_proto::{
    clock::{Clock as _, SystemClock},
    observation::{Change, Observed},
    reason::Reason,
    signal::Signal,
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    ASSERTION, all, config, open,
    server::{Answer, Upstream, say},
};

const RECYCLED: &str = r#"{"phoneNumberRecycled":true}"#;
const KEPT: &str = r#"{"phoneNumberRecycled":false}"#;
const FAR: &str = r#"{"status":400,"code":"OUT_OF_RANGE","message":"m"}"#;
const LATER: &str = r#"{"status":429,"code":"TOO_MANY_REQUESTS","message":"m"}"#;
const CHECK: &str = "/number-recycling/v0.2/check";

fn with(upstream: &Upstream, more: &str) -> CamaraUpstream {
    let base = format!("https://localhost:{}", upstream.port);
    let apis = format!(
        "number_recycling = \"{base}/number-recycling/v0.2\"\ntenure = \"{base}/kyc-tenure/v0.2\"\n"
    );
    open(upstream, &format!("{apis}{more}"), ASSERTION)
}

async fn told(source: &CamaraUpstream, signal: Signal) -> Result<Change, Reason> {
    let mut told = all(source, &[signal]).await;
    let told = told.signals.remove(0).1;
    told.map(|observation| change_in(&observation.what).unwrap())
}

const fn change_in(observed: &Observed) -> Option<Change> {
    match observed {
        Observed::Change(change) => Some(*change),
        Observed::Forwarding(_)
        | Observed::Roaming(_)
        | Observed::Signalling(_)
        | Observed::SomeForwarding(_) => None,
    }
}

fn day(ago: i64) -> String {
    let at = SystemClock.now() - SignedDuration::from_hours(24 * ago);
    at.strftime("%Y-%m-%d").to_string()
}

/// How many days ago.
fn days_ago(at: Timestamp) -> i64 {
    SystemClock.now().duration_since(at).as_hours() / 24
}

/// Whether an instant is the beginning of the day so many days ago, with the zones' 14 hours before it.
fn begins(at: Timestamp, ago: i64) -> bool {
    (ago..=ago + 1).contains(&days_ago(at))
}

/// Whether it is the end of that day, with the 14 hours after it.
fn ends(at: Timestamp, ago: i64) -> bool {
    (ago - 2..ago).contains(&days_ago(at))
}

/// The days that were asked about, oldest question first.
fn asked(upstream: &Upstream) -> Vec<String> {
    let asked = upstream.script.asked(CHECK);
    let day = |body: &str| {
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["phoneNumber"], "+447700900001");
        body["specifiedDate"].as_str().unwrap().to_owned()
    };
    asked.iter().map(|came| day(&came.body)).collect()
}

const DAYS: &str = "since_days = [30, 90, 365, 730]";

#[tokio::test]
async fn a_holder_that_did_not_change_costs_one_request() {
    let upstream = Upstream::start().await;
    upstream.answers([say(200, KEPT)]);
    let source = with(&upstream, DAYS);
    let change = told(&source, Signal::NumberRecycling).await.unwrap();
    assert_eq!(change.changed_in, None);
    assert!(ends(change.monitored_since.unwrap(), 730));
    assert_eq!(asked(&upstream), [day(730)]);
    upstream.answers([say(200, r#"{"tenureDateCheck":true}"#)]);
    let held = told(&source, Signal::Tenure).await.unwrap();
    assert_eq!(held, change);
}

#[tokio::test]
async fn a_holder_that_changed_is_asked_about_until_the_change_lies_between_two_days() {
    let upstream = Upstream::start().await;
    upstream.answers([say(200, RECYCLED), say(200, RECYCLED), say(200, KEPT)]);
    let source = with(&upstream, DAYS);
    let change = told(&source, Signal::NumberRecycling).await.unwrap();
    assert_eq!(asked(&upstream), [day(730), day(365), day(90)]);
    let within = change.changed_in.unwrap();
    assert!(
        begins(within.after(), 365) && ends(within.before(), 90),
        "{within:?}"
    );
    assert_eq!(change.monitored_since, Some(within.after()));
}

#[tokio::test]
async fn a_day_beyond_what_the_upstream_knows_gives_way_to_a_later_one() {
    let upstream = Upstream::start().await;
    upstream.answers([say(400, FAR), say(400, FAR), say(200, KEPT)]);
    let source = with(&upstream, DAYS);
    let change = told(&source, Signal::NumberRecycling).await.unwrap();
    assert_eq!(change.changed_in, None);
    assert!(ends(change.monitored_since.unwrap(), 90));
    // It knows none of them.
    upstream.answers([say(400, FAR)]);
    let none = told(&source, Signal::NumberRecycling).await;
    assert_eq!(none, Err(Reason::NotWatched));
    assert_eq!(asked(&upstream).len(), 3 + 4);
}

#[tokio::test]
async fn what_was_learnt_before_it_failed_is_told_and_no_more() {
    for (failure, again) in [
        (Answer::Say(429, Some(60), LATER.into()), "overloaded"),
        (say(500, "{}"), "source_down"),
        (Answer::Trickle, "timeout"),
        (say(200, "<html>"), "source_down"),
    ] {
        let upstream = Upstream::start().await;
        upstream.answers([say(200, RECYCLED), failure.clone()]);
        let source = with(&upstream, DAYS);
        let change = told(&source, Signal::NumberRecycling).await.unwrap();
        let within = change.changed_in.unwrap();
        assert!(begins(within.after(), 730), "{failure:?}");
        let fresh = SystemClock.now().duration_since(within.before());
        assert!(fresh < SignedDuration::from_secs(60), "{failure:?}");
        assert_eq!(asked(&upstream).len(), 2, "{failure:?}");
        // Where nothing was learnt, there is a reason.
        let reason = told(&source, Signal::NumberRecycling).await.unwrap_err();
        assert_eq!(reason.to_string(), again, "{failure:?}");
    }
    // What it can't say of one day is nothing that it said of an earlier one.
    let upstream = Upstream::start().await;
    let undecided = r#"{"status":422,"code":"SERVICE_NOT_APPLICABLE","message":"m"}"#;
    upstream.answers([say(200, RECYCLED), say(422, undecided), say(200, KEPT)]);
    let source = with(&upstream, DAYS);
    let change = told(&source, Signal::NumberRecycling).await.unwrap();
    let within = change.changed_in.unwrap();
    assert!(
        begins(within.after(), 730) && ends(within.before(), 90),
        "{within:?}"
    );
}

#[tokio::test]
async fn a_quota_of_one_number_is_no_word_about_the_others() {
    let upstream = Upstream::start().await;
    let quota = r#"{"status":429,"code":"QUOTA_EXCEEDED","message":"m"}"#;
    upstream.answers([say(429, quota), say(200, KEPT)]);
    let source = with(&upstream, DAYS);
    let first = told(&source, Signal::NumberRecycling).await;
    assert_eq!(first, Err(Reason::Overloaded));
    assert!(told(&source, Signal::NumberRecycling).await.is_ok());
    // Unless it says for how long.
    upstream.answers([Answer::Say(429, Some(60), quota.into())]);
    for _ in 0..2 {
        let held = told(&source, Signal::NumberRecycling).await;
        assert_eq!(held, Err(Reason::Overloaded));
    }
    assert_eq!(asked(&upstream).len(), 3);
}

#[tokio::test]
async fn each_request_counts_against_the_rate_and_not_each_question() {
    let upstream = Upstream::start().await;
    upstream.answers([say(200, RECYCLED)]);
    // A burst of two.
    let source = with(&upstream, &format!("{DAYS}\nrequests_per_second = 1"));
    let change = told(&source, Signal::NumberRecycling).await.unwrap();
    assert_eq!(asked(&upstream), [day(730), day(365)]);
    assert!(begins(change.changed_in.unwrap().after(), 365));
    assert_eq!(
        told(&source, Signal::NumberRecycling).await,
        Err(Reason::Overloaded)
    );
    assert_eq!(asked(&upstream).len(), 2);
    // In time there is room again.
    let again = async || while told(&source, Signal::NumberRecycling).await.is_err() {};
    let again = tokio::time::timeout(Duration::from_secs(10), again()).await;
    again.expect("it is asked again");
}

#[tokio::test]
async fn swaps_that_are_only_checked_are_checked_with_several_windows() {
    let upstream = Upstream::start().await;
    let swapped = r#"{"swapped":true}"#;
    upstream.answers([say(200, swapped), say(200, r#"{"swapped":false}"#)]);
    let windows = "swaps_by = \"check\"\ncheck_max_age_hours = [24, 240]";
    let source = with(&upstream, windows);
    let change = told(&source, Signal::SimSwap).await.unwrap();
    let within = change.changed_in.unwrap();
    assert_eq!(days_ago(within.after()), 10);
    assert_eq!(days_ago(within.before()), 1);
    let bodies = upstream.script.asked("/sim-swap/v2/check");
    let windows: Vec<bool> = ["240", "24"]
        .iter()
        .zip(&bodies)
        .map(|(hours, came)| came.body.contains(&format!("\"maxAge\":{hours}")))
        .collect();
    assert_eq!(windows, [true, true]);
}

#[tokio::test]
async fn a_list_of_days_that_breaks_a_rule_is_named() {
    let upstream = Upstream::start().await;
    for (more, key) in [
        ("since_days = []", "since_days"),
        ("since_days = [0]", "since_days"),
        ("since_days = [30, 30]", "since_days"),
        ("since_days = [1, 2, 3, 4, 5, 6, 7, 8, 9]", "since_days"),
        ("check_max_age_hours = [1, 2401]", "check_max_age_hours"),
        ("requests_per_second = 0", "requests_per_second"),
    ] {
        let config = config(&upstream, more, ASSERTION);
        let error = CamaraUpstream::open(&config, SystemClock::shared()).unwrap_err();
        assert!(
            error.to_string().starts_with(&format!("`{key}`: ")),
            "{error}"
        );
    }
}
