//! Each status and code of CAMARA's error table, provoked.

use accord_client::TokenAlg;
use accord_proto::{
    clock::{Clock as _, SystemClock},
    purpose::Purpose,
};
use accord_tests::world::{AGREEMENT, ClientSpec, WorldSpec};
use jiff::{ToSpan as _, civil::Date, tz::TimeZone};
use serde_json::{Value as Json, json};

use crate::{
    client::Told,
    stage::{ALL, CHECK, RETRIEVE_DATE, Stage, north},
};

const ROAMING: &str = "/device-roaming-status/v1/retrieve";
const UNCONDITIONAL: &str = "/call-forwarding-signal/v0.4/unconditional-call-forwardings";
const RECYCLING: &str = "/number-recycling/v0.2/check";
const TENURE: &str = "/kyc-tenure/v0.2/check-tenure";
const DEVICE_CHECK: &str = "/device-swap/v1/check";

fn today() -> Date {
    SystemClock.now().to_zoned(TimeZone::UTC).date()
}

/// Holds an error to CAMARA's shape, and says what it is.
fn word(told: &Told) -> String {
    if told.status != 200 {
        let body = told.json();
        assert_eq!(body["status"], told.status);
        let message = body["message"].as_str().unwrap();
        assert!(!message.is_empty() && message.len() <= 512, "{message}");
        assert!(!message.contains("7700900"), "{message}");
        assert_eq!(body.as_object().unwrap().len(), 3, "{body}");
        assert_eq!(told.header("content-type"), "application/json");
    }
    assert_eq!(told.header("cache-control"), "no-store");
    assert!(!told.header("x-correlator").is_empty());
    told.word()
}

/// Path, body, error and reason, by the stories of the test numbers.
fn rows() -> Vec<(&'static str, Json, &'static str, &'static str)> {
    let number = |digits: u16| json!({ "phoneNumber": north(digits) });
    let window = |digits: u16, hours: u32| json!({ "phoneNumber": north(digits), "maxAge": hours });
    let device = |digits: u16| json!({ "device": { "phoneNumber": north(digits) } });
    vec![
        (CHECK, window(18, 240), "400 OUT_OF_RANGE", "not_watched"),
        (
            CHECK,
            window(17, 72),
            "422 SERVICE_NOT_APPLICABLE",
            "undecided",
        ),
        (CHECK, number(19), "422 SERVICE_NOT_APPLICABLE", "stale"),
        (
            CHECK,
            number(20),
            "422 SERVICE_NOT_APPLICABLE",
            "contradicted",
        ),
        (CHECK, number(13), "422 SERVICE_NOT_APPLICABLE", "opted_out"),
        (CHECK, number(16), "422 SERVICE_NOT_APPLICABLE", "not_ours"),
        (
            ROAMING,
            device(22),
            "422 SERVICE_NOT_APPLICABLE",
            "not_available",
        ),
        (
            UNCONDITIONAL,
            number(22),
            "422 SERVICE_NOT_APPLICABLE",
            "not_available",
        ),
        (
            CHECK,
            number(15),
            "404 IDENTIFIER_NOT_FOUND",
            "unknown_number",
        ),
        (CHECK, number(34), "403 PERMISSION_DENIED", "suspended"),
        (CHECK, number(11), "503 UNAVAILABLE", "timeout"),
        (CHECK, number(12), "503 UNAVAILABLE", "source_down"),
        (CHECK, number(21), "503 UNAVAILABLE", "overloaded"),
        (
            RETRIEVE_DATE,
            number(15),
            "404 IDENTIFIER_NOT_FOUND",
            "unknown_number",
        ),
        (
            RETRIEVE_DATE,
            number(20),
            "422 SERVICE_NOT_APPLICABLE",
            "contradicted",
        ),
    ]
}

#[tokio::test]
async fn every_reason_that_an_operator_gives_has_its_error() {
    let stage = Stage::sandbox().await;
    let mut asker = stage.asker().await;
    for (path, body, expected, reason) in rows() {
        let told = asker.ask(path, &body).await;
        assert_eq!(word(&told), expected, "{path} {reason}");
        assert_eq!(told.header("accord-reason"), reason, "{path}");
        let message = told.json()["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with(&format!("{reason}: ")), "{message}");
        let later = told.header("retry-after").parse::<u32>().is_ok();
        assert_eq!(later, told.status == 503, "{path} {reason}");
        // An answered question has its receipt, whatever the answer.
        assert!(told.header("accord-receipt").starts_with("origin=\""));
    }
    // No operator serves a range that ITU-T E.164 leaves unassigned.
    let nobody = json!({ "phoneNumber": "+99912345678" });
    let told = asker.ask(CHECK, &nobody).await;
    assert_eq!(word(&told), "404 IDENTIFIER_NOT_FOUND");
    assert_eq!(told.header("accord-reason"), "not_covered");
    // Well formed for CAMARA, and too short to be anybody's.
    let told = asker.ask(CHECK, &json!({ "phoneNumber": "+12345" })).await;
    assert_eq!(word(&told), "404 IDENTIFIER_NOT_FOUND");
    assert_eq!(told.header("accord-receipt"), "");
}

#[tokio::test]
async fn what_lies_out_of_range_is_told_apart_from_what_is_malformed() {
    let stage = Stage::sandbox().await;
    let mut asker = stage.asker().await;
    let window = |hours: Json| json!({ "phoneNumber": north(0), "maxAge": hours });
    let tomorrow = today().tomorrow().unwrap().to_string();
    let long_ago = today().checked_sub(11.years()).unwrap().to_string();
    let recycling = |day: &str| json!({ "phoneNumber": north(0), "specifiedDate": day });
    let tenure = |day: &str| json!({ "phoneNumber": north(0), "tenureDate": day });
    for (path, body, expected) in [
        (CHECK, window(json!(1)), "200"),
        (CHECK, window(json!(2400)), "200"),
        (CHECK, window(json!(2401)), "400 OUT_OF_RANGE"),
        (CHECK, window(json!(100_000)), "400 OUT_OF_RANGE"),
        (CHECK, window(json!(0)), "400 INVALID_ARGUMENT"),
        (CHECK, window(json!(-1)), "400 INVALID_ARGUMENT"),
        (CHECK, window(json!("24")), "400 INVALID_ARGUMENT"),
        (CHECK, window(json!(1.5)), "400 INVALID_ARGUMENT"),
        (DEVICE_CHECK, window(json!(2401)), "400 OUT_OF_RANGE"),
        (RECYCLING, recycling(&tomorrow), "400 OUT_OF_RANGE"),
        (RECYCLING, recycling(&long_ago), "400 OUT_OF_RANGE"),
        (RECYCLING, recycling("2024-02-30"), "400 INVALID_ARGUMENT"),
        (
            RECYCLING,
            json!({ "phoneNumber": north(0) }),
            "400 INVALID_ARGUMENT",
        ),
        (TENURE, tenure(&tomorrow), "400 OUT_OF_RANGE"),
        (TENURE, tenure("31.01.2024"), "400 INVALID_ARGUMENT"),
        (TENURE, tenure(&today().to_string()), "200"),
    ] {
        let told = asker.ask(path, &body).await;
        assert_eq!(word(&told), expected, "{path} {body}");
    }
}

#[tokio::test]
async fn quotas_rates_and_repeats_have_their_codes() {
    let spec = WorldSpec::default().limit("bank_per_second", 1);
    let stage = Stage::of(&spec).await;
    let mut asker = stage.asker().await;
    let recycling = |years: i64| {
        let day = today().checked_sub(years.years()).unwrap();
        json!({ "phoneNumber": north(0), "specifiedDate": day.to_string() })
    };
    // One question a second, so each but the first of a burst comes too early.
    let mut told = asker.ask(RECYCLING, &recycling(1)).await;
    let mut early = None;
    for _ in 0..200 {
        if told.status == 429 && told.header("accord-reason") == "RATE_LIMITED" {
            early = Some(told);
            break;
        }
        told = asker.ask(RECYCLING, &recycling(1)).await;
    }
    let early = early.unwrap();
    assert_eq!(word(&early), "429 TOO_MANY_REQUESTS");
    assert!(early.header("retry-after").parse::<u32>().unwrap() >= 1);
    drop(asker);
    let stage = Stage::sandbox().await;
    let mut asker = stage.asker().await;
    assert_eq!(word(&asker.ask(RECYCLING, &recycling(1)).await), "200");
    // The clause binds a bank to one day an hour.
    let told = asker.ask(RECYCLING, &recycling(2)).await;
    assert_eq!(word(&told), "429 QUOTA_EXCEEDED");
    let id = [("accord-request-id", "errors-1")];
    let body = |digits: u16| json!({ "phoneNumber": north(digits) }).to_string();
    let first = asker.ask_with(CHECK, &id, body(1).as_bytes()).await;
    let again = asker.ask_with(CHECK, &id, body(1).as_bytes()).await;
    assert_eq!(word(&first), "200");
    assert_eq!(
        first.header("accord-receipt"),
        again.header("accord-receipt")
    );
    let other = asker.ask_with(CHECK, &id, body(2).as_bytes()).await;
    assert_eq!(word(&other), "409 ALREADY_EXISTS");
}

/// Clients of the banks whose clauses are coarse, one operator less in clause 6.2, and another clause
/// for one of the operators of 2.3.
fn with_clients() -> WorldSpec {
    let client = |id: &str, purpose| ClientSpec {
        purposes: vec![("dpv:FraudPreventionAndDetection".to_owned(), purpose)],
        ..ClientSpec::against_fraud(id)
    };
    let (before, of_6_2) = AGREEMENT.split_once("id = \"6.2\"").unwrap();
    let of_6_2 = of_6_2.replacen(r#"["north-mobile", "sud-mobile"]"#, r#"["sud-mobile"]"#, 1);
    let both = r#"operators = ["north-mobile", "sud-mobile"]"#;
    let (head, of_2_3) = before.split_once("[[clause]]\nid = \"2.3\"").unwrap();
    let (of_2_3, rest) = of_2_3.split_once("[[clause]]").unwrap();
    let of = |id: &str, operator: &str| {
        let named = of_2_3.replacen(both, &format!("operators = [\"{operator}\"]"), 1);
        format!("[[clause]]\nid = \"{id}\"{named}")
    };
    let of_north = of("2.3", "north-mobile");
    let of_south = of("2.3b", "sud-mobile").replacen("yes_no", "state", 1);
    let mut spec = WorldSpec {
        agreement: format!("{head}{of_north}{of_south}[[clause]]{rest}id = \"6.2\"{of_6_2}"),
        ..WorldSpec::default()
    };
    for bank in &mut spec.banks {
        match bank.name.as_str() {
            "first-bank" => {
                bank.clients = vec![
                    client("first-login", Purpose::Login),
                    client("first-limits", Purpose::LimitChange),
                    client("first-codes", Purpose::OtpSend),
                ];
            }
            "second-bank" => {
                // An Ed25519 key would need another assertion.
                bank.alg = TokenAlg::Es256;
                bank.clients = vec![client("second-payments", Purpose::Payment)];
            }
            _ => {}
        }
    }
    spec
}

#[tokio::test]
async fn what_the_agreement_does_not_allow_is_a_403_with_its_reason() {
    let spec = with_clients();
    let stage = Stage::of(&spec).await;
    let number = json!({ "phoneNumber": north(0) });
    let of_south = json!({ "phoneNumber": "+33639980000" });
    let tenure = json!({ "phoneNumber": north(0), "tenureDate": "2025-01-01" });
    let hours = |hours: u32| json!({ "phoneNumber": north(0), "maxAge": hours });
    let mut second = stage
        .asking("second-bank", "second-payments", "sim-swap")
        .await;
    let told = second.ask(CHECK, &of_south).await;
    assert_eq!(word(&told), "403 PERMISSION_DENIED");
    assert_eq!(told.header("accord-reason"), "not_contracted");
    // One threshold is offered; the default of CAMARA is another.
    assert_eq!(word(&second.ask(CHECK, &number).await), "400 OUT_OF_RANGE");
    assert_eq!(word(&second.ask(CHECK, &hours(72)).await), "200");
    let mut gateway = stage.asker().await;
    let device = json!({ "device": { "phoneNumber": north(0) } });
    let told = gateway.ask(ROAMING, &device).await;
    assert_eq!(word(&told), "403 PERMISSION_DENIED");
    assert_eq!(told.header("accord-reason"), "not_authorised");
    let mut limits = stage
        .asking("first-bank", "first-limits", "kyc-tenure:check-tenure")
        .await;
    let told = limits.ask(TENURE, &tenure).await;
    assert_eq!(word(&told), "403 PERMISSION_DENIED");
    assert_eq!(told.header("accord-reason"), "consent_missing");
    let consent = [("accord-consent-ref", "consent-1")];
    let told = limits
        .ask_with(TENURE, &consent, tenure.to_string().as_bytes())
        .await;
    assert_eq!(told.json(), json!({ "tenureDateCheck": true }));
    // Yes or no for a date, a band, or a condition.
    let mut login = stage.asking("first-bank", "first-login", "sim-swap").await;
    assert_eq!(
        word(&login.ask(CHECK, &hours(100)).await),
        "400 OUT_OF_RANGE"
    );
    let told = login.ask(RETRIEVE_DATE, &number).await;
    assert_eq!(word(&told), "403 PERMISSION_DENIED");
    let forwarding = "call-forwarding-signal:unconditional-call-forwardings:read";
    let mut codes = stage.asking("first-bank", "first-codes", forwarding).await;
    let told = codes.ask(UNCONDITIONAL, &number).await;
    assert_eq!(word(&told), "403 PERMISSION_DENIED");
    // The clause with the other operator is precise enough, so there is a token.
    assert_eq!(word(&codes.ask(UNCONDITIONAL, &of_south).await), "200");
    // A token opens what its scopes say, and nothing else.
    let told = codes.ask(CHECK, &number).await;
    assert_eq!(word(&told), "403 PERMISSION_DENIED");
    let challenge = told.header("www-authenticate");
    assert!(
        challenge.contains("error=\"insufficient_scope\""),
        "{challenge}"
    );
    assert!(challenge.contains("sim-swap:check"), "{challenge}");
}

#[tokio::test]
async fn without_a_token_that_is_in_order_there_is_a_401_that_says_nothing() {
    let stage = Stage::sandbox().await;
    let mut door = stage.connect("open-gateway-bank", true).await;
    let asker = stage.asker().await;
    let garbage = format!("{}x", asker.token);
    let mut messages = Vec::new();
    let bearer = |token: &str| format!("Bearer {token}");
    let cases = [
        (None, "Bearer realm=\"accord\""),
        (
            Some(bearer("a.b.c")),
            "Bearer realm=\"accord\", error=\"invalid_token\"",
        ),
        (
            Some(bearer(&garbage)),
            "Bearer realm=\"accord\", error=\"invalid_token\"",
        ),
        (
            Some("Basic YTpi".to_owned()),
            "Bearer realm=\"accord\", error=\"invalid_token\"",
        ),
    ];
    for (authorization, challenge) in &cases {
        let mut headers = vec![("content-type", "application/json")];
        if let Some(authorization) = authorization {
            headers.push(("authorization", authorization));
        }
        // A body that breaks every rule is not looked at.
        let told = door.send("POST", CHECK, &headers, b"[[").await;
        assert_eq!(word(&told), "401 UNAUTHENTICATED", "{authorization:?}");
        assert_eq!(told.header("www-authenticate"), *challenge);
        assert_eq!(told.header("accord-reason"), "");
        messages.push(told.json()["message"].clone());
    }
    messages.dedup();
    assert_eq!(messages.len(), 1, "{messages:?}");
    // Another bank's certificate and this bank's token.
    let mut foreign = stage.connect("first-bank", true).await;
    let bearer = bearer(&asker.token);
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    let body = json!({ "phoneNumber": north(0) }).to_string();
    let told = foreign.send("POST", CHECK, &headers, body.as_bytes()).await;
    assert_eq!(word(&told), "401 UNAUTHENTICATED");
}

#[tokio::test]
async fn an_operator_that_is_not_there_and_a_broker_that_goes_are_503() {
    let mut stage = Stage::sandbox().await;
    let mut asker = stage
        .asking("open-gateway-bank", "open-gateway-bank-app", ALL)
        .await;
    stage.world.kill_adapter("north-mobile").await.unwrap();
    let told = asker.ask(CHECK, &json!({ "phoneNumber": north(0) })).await;
    assert_eq!(word(&told), "503 UNAVAILABLE");
    assert_eq!(told.header("accord-reason"), "source_down");
}
