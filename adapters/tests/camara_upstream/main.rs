//! A CAMARA upstream, good and bad.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the helpers of a test fail by panicking"
)]

mod closing;
mod encoding;
mod server;
mod since;

use std::{sync::Arc, time::Duration};

use accord_adapters::{
    camara_upstream::{CamaraConfig, CamaraError, CamaraUpstream},
    source::{Condition, Observations, Source as _},
};
use accord_proto::{
    clock::SystemClock,
    msisdn::Msisdn,
    observation::{Observed, SourceClass},
    reason::Reason,
    signal::Signal,
};
use tokio::time::Instant;

use self::server::{Answer, Upstream, say};

const ASSERTION: &str = "assertion_key_file = \"ASSERTION\"\nassertion_key_id = \"k1\"";
const SWAPPED: &str = r#"{"latestSimChange":"2026-01-02T03:04:05Z"}"#;

fn config(upstream: &Upstream, more: &str, token: &str) -> CamaraConfig {
    let base = format!("https://localhost:{}", upstream.port);
    let text = format!(
        "roots_file = {:?}\nsim_swap = \"{base}/sim-swap/v2\"\n\
         roaming = \"{base}/device-roaming-status/v1\"\nrequest_timeout_ms = 1500\n\
         knows_within_s = 0\n{more}\n\
         [token]\nurl = \"{base}/oauth/token\"\nclient_id = \"accord&co\"\n\
         scope = \"dpv:FraudPreventionAndDetection sim-swap\"\n{token}\n",
        upstream.file("roots.pem")
    );
    let text = text
        .replace("ASSERTION", &upstream.file("assertion.key"))
        .replace("SECRET", &upstream.file("secret"))
        .replace("CLIENT", &upstream.file("client"));
    toml::from_str(&text).unwrap()
}

fn open(upstream: &Upstream, more: &str, token: &str) -> CamaraUpstream {
    CamaraUpstream::open(&config(upstream, more, token), SystemClock::shared()).unwrap()
}

async fn all(source: &CamaraUpstream, signals: &[Signal]) -> Observations {
    let number = Msisdn::parse("+447700900001").unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    source.observe(number, signals, deadline).await
}

/// What it says of the SIM: `seen`, or the reason.
async fn sim(source: &CamaraUpstream) -> String {
    let told = all(source, &[Signal::SimSwap]).await;
    match &told.signals[0].1 {
        Ok(observation) => {
            assert!(matches!(observation.what, Observed::Change(_)));
            assert_eq!(observation.source, SourceClass::Upstream);
            "seen".to_owned()
        }
        Err(reason) => reason.to_string(),
    }
}

#[tokio::test]
async fn an_upstream_is_asked_with_a_signed_assertion_and_one_token_for_many_questions() {
    let upstream = Upstream::start().await;
    upstream.answers([say(200, SWAPPED)]);
    let source = open(&upstream, "", ASSERTION);
    assert_eq!(source.state().condition, Condition::Starting);
    for _ in 0..5 {
        assert_eq!(sim(&source).await, "seen");
    }
    let tokens = upstream.script.asked("/oauth/token");
    assert_eq!(tokens.len(), 1);
    let form = &tokens[0].body;
    for part in [
        "grant_type=client_credentials",
        "client_id=accord%26co",
        "scope=dpv%3AFraudPreventionAndDetection%20sim-swap",
        "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer",
    ] {
        assert!(form.contains(part), "{part} is not in {form}");
    }
    assert_eq!(tokens[0].authorization, "");
    let asked = upstream.script.asked("/sim-swap/v2/retrieve-date");
    assert_eq!(asked.len(), 5);
    assert_eq!(asked[0].authorization, "Bearer token-1");
    assert_eq!(asked[0].body, r#"{"phoneNumber":"+447700900001"}"#);
    // Questions and token went over one connection, one after the other.
    assert_eq!(*upstream.script.connections.lock().unwrap(), 1);
    assert_eq!(source.state().condition, Condition::Up);
    let shown = format!("{source:?}");
    assert!(
        !shown.contains("token-1") && !shown.contains("accord&co"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_token_that_takes_longer_than_a_question_serves_the_next_one() {
    let upstream = Upstream::start().await;
    upstream.answers([say(200, SWAPPED)]);
    let source = open(&upstream, "", ASSERTION);
    let thinking = upstream.script.token_gate.lock().await;
    let number = Msisdn::parse("+447700900001").unwrap();
    for _ in 0..3 {
        let soon = Instant::now() + Duration::from_millis(50);
        let told = source.observe(number, &[Signal::SimSwap], soon).await;
        assert_eq!(told.signals[0].1, Err(Reason::Timeout));
    }
    drop(thinking);
    assert_eq!(sim(&source).await, "seen");
    assert_eq!(upstream.script.asked("/oauth/token").len(), 1);
}

#[tokio::test]
async fn a_shared_secret_and_a_client_certificate_work_as_well() {
    let upstream = Upstream::with(true).await;
    upstream.answers([say(200, SWAPPED)]);
    let secret = "client_secret_file = \"SECRET\"";
    let certificate = "certificate_file = \"CLIENT.pem\"\nkey_file = \"CLIENT.key\"";
    assert_eq!(sim(&open(&upstream, certificate, secret)).await, "seen");
    let token = &upstream.script.asked("/oauth/token")[0];
    // accord%26co:s3cr%26t
    assert_eq!(token.authorization, "Basic YWNjb3JkJTI2Y286czNjciUyNnQ=");
    assert!(!token.body.contains("s3cr"), "{}", token.body);
    // Without the certificate it lets nobody in.
    let bare = open(&upstream, "", secret);
    assert_eq!(sim(&bare).await, "source_down");
    assert_eq!(bare.state().condition, Condition::Down);
}

#[tokio::test]
async fn a_token_that_was_revoked_is_replaced_once_and_wrong_credentials_are_not_tried_again() {
    let upstream = Upstream::start().await;
    let source = open(&upstream, "", ASSERTION);
    upstream.answers([say(401, r#"{"code":"UNAUTHENTICATED"}"#), say(200, SWAPPED)]);
    assert_eq!(sim(&source).await, "seen");
    assert_eq!(upstream.script.asked("/oauth/token").len(), 2);
    // It takes none of our tokens: one more try, and no loop.
    upstream.answers([say(401, "{}")]);
    assert_eq!(sim(&source).await, "source_down");
    assert_eq!(source.state().condition, Condition::Refused);
    assert_eq!(upstream.script.asked("/oauth/token").len(), 3);

    let upstream = Upstream::start().await;
    let wrong = say(401, r#"{"error":"invalid_client"}"#);
    upstream.script.tokens.lock().unwrap().push_back(wrong);
    let source = open(&upstream, "", ASSERTION);
    for _ in 0..3 {
        assert_eq!(sim(&source).await, "source_down");
    }
    let state = source.state();
    assert_eq!(state.condition, Condition::Refused);
    assert_eq!(state.why, "token: it refuses our credentials");
    assert_eq!(upstream.script.asked("/oauth/token").len(), 1);
    assert!(upstream.script.asked("/retrieve-date").is_empty());
}

#[tokio::test]
async fn an_api_that_says_later_is_left_alone_and_the_others_are_not() {
    let upstream = Upstream::start().await;
    let later = r#"{"status":429,"code":"TOO_MANY_REQUESTS","message":"m"}"#;
    let source = open(&upstream, "", ASSERTION);
    upstream.answers([Answer::Say(429, Some(60), later.into())]);
    for _ in 0..4 {
        assert_eq!(sim(&source).await, "overloaded");
    }
    assert_eq!(upstream.script.asked("/retrieve-date").len(), 1);
    let body = r#"{"lastStatusTime":"2026-01-02T03:04:05Z","roaming":false}"#;
    upstream.answers([say(200, body)]);
    let told = all(&source, &[Signal::SimSwap, Signal::Roaming]).await;
    assert_eq!(told.signals[0].1, Err(Reason::Overloaded));
    assert!(told.signals[1].1.is_ok());
    let asked = upstream.script.asked("/device-roaming-status/v1/retrieve");
    assert_eq!(
        asked[0].body,
        r#"{"device":{"phoneNumber":"+447700900001"}}"#
    );
}

#[tokio::test]
async fn what_an_upstream_does_not_tell_has_its_reason() {
    let upstream = Upstream::start().await;
    let source = open(&upstream, "", ASSERTION);
    for (status, code, reason) in [
        (404, "IDENTIFIER_NOT_FOUND", "unknown_number"),
        (422, "SERVICE_NOT_APPLICABLE", "not_available"),
        (403, "PERMISSION_DENIED", "not_available"),
        (404, "NOT_FOUND", "source_down"),
        (500, "INTERNAL", "source_down"),
        (504, "TIMEOUT", "timeout"),
    ] {
        let body = format!(r#"{{"status":{status},"code":"{code}","message":"m"}}"#);
        upstream.answers([say(status, &body)]);
        assert_eq!(sim(&source).await, reason, "{status} {code}");
    }
    upstream.answers([say(200, r#"{"latestSimChange":null}"#)]);
    assert_eq!(sim(&source).await, "not_available");
    assert_eq!(source.state().condition, Condition::Up);
}

#[tokio::test]
async fn a_hostile_upstream_wedges_nothing() {
    let upstream = Upstream::start().await;
    let source = open(&upstream, "requests_max = 2", ASSERTION);
    let (down, unusable) = (Condition::Down, Condition::Unusable);
    for (answer, reason, condition, why) in [
        (
            say(200, "<html>\u{fffd}"),
            "source_down",
            unusable,
            "an answer is no JSON",
        ),
        (
            say(200, "{\"latestSimChange\":"),
            "source_down",
            unusable,
            "an answer is no JSON",
        ),
        (
            Answer::Flood(10_000_000),
            "source_down",
            unusable,
            "the answer is too long",
        ),
        (Answer::Break, "source_down", down, "the connection broke"),
        (Answer::Trickle, "timeout", down, "no answer in time"),
    ] {
        upstream.answers([answer.clone()]);
        assert_eq!(sim(&source).await, reason, "{answer:?}");
        let state = source.state();
        assert_eq!(state.condition, condition, "{answer:?}");
        assert_eq!(state.why, format!("sim_swap: {why}"), "{answer:?}");
        // None of them holds its place among the exchanges, and all is well again.
        upstream.answers([say(200, SWAPPED)]);
        assert_eq!(sim(&source).await, "seen");
        assert_eq!(source.state().condition, Condition::Up);
    }
}

#[tokio::test]
async fn beyond_its_exchanges_a_question_is_not_queued() {
    let upstream = Upstream::start().await;
    let source = Arc::new(open(&upstream, "requests_max = 1", ASSERTION));
    upstream.answers([say(200, SWAPPED)]);
    assert_eq!(sim(&source).await, "seen");
    upstream.answers([Answer::Trickle]);
    let slow = Arc::clone(&source);
    let slow = tokio::spawn(async move { sim(&slow).await });
    let begun = async || {
        while upstream.script.asked("/retrieve-date").len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    let begun = tokio::time::timeout(Duration::from_secs(5), begun()).await;
    begun.expect("the slow question is on its way");
    assert_eq!(sim(&source).await, "overloaded");
    assert_eq!(slow.await.unwrap(), "timeout");
}

#[tokio::test]
async fn an_upstream_that_went_and_came_back_is_asked_over_a_new_connection() {
    let upstream = Upstream::start().await;
    upstream.answers([say(200, SWAPPED)]);
    let source = open(&upstream, "", ASSERTION);
    assert_eq!(sim(&source).await, "seen");
    // The kept connection breaks under the next question, which a new one answers.
    upstream.answers([Answer::Break, say(200, SWAPPED)]);
    assert_eq!(sim(&source).await, "seen");
    assert_eq!(*upstream.script.connections.lock().unwrap(), 2);
    let port = upstream.port;
    drop(upstream);
    let gone = async || while sim(&source).await != "source_down" {};
    let gone = tokio::time::timeout(Duration::from_secs(10), gone()).await;
    gone.unwrap_or_else(|_| panic!("port {port} still answers"));
    assert_eq!(source.state().condition, Condition::Down);
}

#[tokio::test]
async fn an_upstream_under_another_root_is_not_believed() {
    let (upstream, other) = (Upstream::start().await, Upstream::start().await);
    upstream.answers([say(200, SWAPPED)]);
    let mut config = config(&upstream, "", ASSERTION);
    config.roots_file = server::in_dir(other.dir.path(), "roots.pem").into();
    let source = CamaraUpstream::open(&config, SystemClock::shared()).unwrap();
    assert_eq!(sim(&source).await, "source_down");
    assert_eq!(
        source.state().why,
        "token: its certificate does not lead to our roots"
    );
    assert!(upstream.script.came.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_configuration_that_breaks_a_rule_names_the_key() {
    let upstream = Upstream::start().await;
    for (more, token, key) in [
        ("precision_s = 90000", ASSERTION, "precision_s"),
        (
            "check_max_age_hours = 2401",
            ASSERTION,
            "check_max_age_hours",
        ),
        ("tenure = \"http://api.example\"", ASSERTION, "tenure"),
        ("certificate_file = \"CLIENT.pem\"", ASSERTION, "key_file"),
        ("", "", "token"),
        (
            "",
            "client_secret_file = \"nowhere\"",
            "token.client_secret_file",
        ),
        (
            "",
            "assertion_key_file = \"SECRET\"",
            "token.assertion_key_file",
        ),
    ] {
        let config = config(&upstream, more, token);
        let error = CamaraUpstream::open(&config, SystemClock::shared()).unwrap_err();
        let found = match &error {
            CamaraError::Config { key, .. } | CamaraError::Read { key, .. } => *key,
            CamaraError::Tls(error) => panic!("{error}"),
        };
        assert_eq!(found, key, "{error}");
    }
    let mut rootless = config(&upstream, "", ASSERTION);
    rootless.roots_file = "nowhere".into();
    let error = CamaraUpstream::open(&rootless, SystemClock::shared()).unwrap_err();
    assert_eq!(error.to_string(), "can't read `nowhere`");
    for knows_within_s in [None, Some(2_592_001)] {
        let mut config = config(&upstream, "", ASSERTION);
        config.knows_within_s = knows_within_s;
        let error = CamaraUpstream::open(&config, SystemClock::shared()).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("`knows_within_s`: "), "{text}");
    }
}
