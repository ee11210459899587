//! Assertions and forms that are refused: each says what is wrong, and is on the record of the party
//! whose certificate it came with.

use accord_certs::TokenKey;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::{
    door::Told,
    record,
    rig::{CLIENT, FIRST_BANK, JWT_BEARER, NUMBER, Rig, SCOPE, credentials},
};

/// Finds the refusal and nothing else on the record since.
fn on_record(rig: &Rig, since: u64, reason: &str, field: &str) {
    let found = record::refused(rig, since);
    let expected = [FIRST_BANK, "OAuth.Token", reason, field].map(str::to_owned);
    assert_eq!(found, [expected], "{reason}");
}

fn refused(told: &Told, status: u16, error: &str) {
    assert_eq!(told.error(), (status, error), "{:?}", told.body);
    assert_eq!(told.header("cache-control"), "no-store");
    assert!(!told.description().is_empty());
    assert!(told.body.get("access_token").is_none());
}

#[tokio::test]
async fn a_wrong_claim_of_a_client_assertion_is_named() {
    let rig = Rig::new().await;
    let bank = rig.bank();
    let at = rig.claims()["iat"].as_i64().unwrap();
    let endpoint = rig.token_endpoint();
    for (claim, value, reason) in [
        (
            "aud",
            json!("https://another.example"),
            "ASSERTION_WRONG_AUDIENCE",
        ),
        (
            "aud",
            json!([endpoint, "https://another.example"]),
            "ASSERTION_WRONG_AUDIENCE",
        ),
        ("aud", json!("accord-sandbox"), "ASSERTION_WRONG_AUDIENCE"),
        // Clocks that are five minutes off, either way.
        ("iat", json!(at + 300), "ASSERTION_NOT_YET_VALID"),
        ("exp", json!(at - 300), "ASSERTION_EXPIRED"),
        ("exp", json!(at + 600), "ASSERTION_LIFETIME"),
        ("nbf", json!(at + 60), "ASSERTION_NOT_YET_VALID"),
        // Before the broker started it does not know what was used.
        ("iat", json!(at - 100), "ASSERTION_BEFORE_START"),
        ("jti", json!(""), "ASSERTION_CLAIM"),
        ("sub", json!("another-app"), "ASSERTION_CLAIM"),
        ("jti", Value::Null, "ASSERTION_CLAIM_MISSING"),
        ("exp", Value::Null, "ASSERTION_CLAIM_MISSING"),
        ("iat", Value::Null, "ASSERTION_CLAIM_MISSING"),
        ("aud", Value::Null, "ASSERTION_CLAIM_MISSING"),
        ("sub", Value::Null, "ASSERTION_CLAIM_MISSING"),
        ("iss", Value::Null, "ASSERTION_CLAIM_MISSING"),
    ] {
        let since = record::size(&rig);
        let mut claims = rig.claims();
        claims[claim] = value;
        let told = rig.ask(&bank, &rig.sign(&claims), SCOPE).await;
        refused(&told, 400, "invalid_client");
        assert!(
            told.description().contains(claim)
                || reason.ends_with("EXPIRED")
                || reason.ends_with("LIFETIME")
                || reason.ends_with("START"),
            "{:?}",
            told.body
        );
        on_record(&rig, since, reason, "client_assertion");
    }
    // The bank's next assertion is taken all the same.
    rig.token().await;
}

#[tokio::test]
async fn an_assertion_is_good_once() {
    let rig = Rig::new().await;
    let bank = rig.bank();
    let assertion = rig.sign(&rig.claims());
    rig.ask(&bank, &assertion, SCOPE).await.token();
    let since = record::size(&rig);
    let again = rig.ask(&bank, &assertion, SCOPE).await;
    refused(&again, 400, "invalid_client");
    on_record(&rig, since, "ASSERTION_REPLAYED", "client_assertion");
    // The name counts, not the bytes; and for a grant as well.
    let mut claims = rig.grant(NUMBER);
    rig.ask_about(&bank, &claims).await.token();
    claims["exp"] = (claims["exp"].as_i64().unwrap() + 1).into();
    refused(&rig.ask_about(&bank, &claims).await, 400, "invalid_grant");
    // One that was refused for what it asked was used as well.
    let assertion = rig.sign(&rig.claims());
    refused(
        &rig.ask(&bank, &assertion, "dpv:Marketing sim-swap").await,
        400,
        "invalid_scope",
    );
    refused(
        &rig.ask(&bank, &assertion, SCOPE).await,
        400,
        "invalid_client",
    );
}

#[tokio::test]
async fn a_foreign_key_or_client_is_refused() {
    let rig = Rig::new().await;
    let bank = rig.bank();
    let pem = TokenKey::es256().unwrap().private_pem();
    let stranger = EncodingKey::from_ec_pem(pem.as_bytes()).unwrap();
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some("first-bank-1".to_owned());
    let foreign = jsonwebtoken::encode(&header, &rig.claims(), &stranger).unwrap();
    let mut proof = header.clone();
    proof.typ = Some("dpop+jwt".to_owned());
    let pem = std::fs::read(rig.dir.path().join("pki/first-bank.token.key")).unwrap();
    let own = EncodingKey::from_ec_pem(&pem).unwrap();
    let proof = jsonwebtoken::encode(&proof, &rig.claims(), &own).unwrap();
    let unknown = rig.sign_as("first-bank", Some("first-bank-9"), &rig.claims());
    for (assertion, reason) in [
        (foreign, "ASSERTION_SIGNATURE"),
        (proof, "ASSERTION_TYPE"),
        (unknown, "ASSERTION_UNKNOWN_KEY"),
        ("a.b.c".to_owned(), "ASSERTION_MALFORMED"),
    ] {
        let since = record::size(&rig);
        refused(
            &rig.ask(&bank, &assertion, SCOPE).await,
            400,
            "invalid_client",
        );
        on_record(&rig, since, reason, "client_assertion");
    }
    // A client of another bank looks like one that does not exist, whoever signed.
    let mut words = Vec::new();
    for (client, signer) in [("second-app", "second-bank"), ("no-app", "first-bank")] {
        let mut claims = rig.claims();
        for claim in ["iss", "sub"] {
            claims[claim] = client.into();
        }
        let assertion = rig.sign_as(signer, Some(&format!("{signer}-1")), &claims);
        let since = record::size(&rig);
        let told = rig.ask(&bank, &assertion, SCOPE).await;
        refused(&told, 400, "invalid_client");
        on_record(&rig, since, "CLIENT_UNKNOWN", "");
        words.push(told.description().to_owned());
    }
    assert_eq!(words[0], words[1]);
}

#[tokio::test]
async fn a_form_that_is_none_or_says_too_much_is_refused() {
    let rig = Rig::new().await;
    let bank = rig.bank();
    let assertion = rig.sign(&rig.claims());
    let all = credentials(&assertion, SCOPE);
    let without = |name: &str| {
        let kept = all.iter().filter(|(known, _)| *known != name);
        kept.copied().collect::<Vec<_>>()
    };
    let with = |name: &'static str, value: &'static str| {
        let mut form = without(name);
        form.push((name, value));
        form
    };
    for (form, error, reason, field) in [
        (
            without("grant_type"),
            "invalid_request",
            "TOKEN_REQUEST_PARAMETER",
            "grant_type",
        ),
        (
            with("grant_type", "password"),
            "unsupported_grant_type",
            "TOKEN_REQUEST_GRANT_TYPE",
            "grant_type",
        ),
        (
            with("client_assertion_type", "other"),
            "invalid_request",
            "TOKEN_REQUEST_PARAMETER",
            "client_assertion_type",
        ),
        (
            without("client_assertion_type"),
            "invalid_request",
            "TOKEN_REQUEST_PARAMETER",
            "client_assertion_type",
        ),
        (
            without("client_assertion"),
            "invalid_request",
            "TOKEN_REQUEST_PARAMETER",
            "client_assertion",
        ),
    ] {
        let since = record::size(&rig);
        refused(&bank.post(&form, &[]).await, 400, error);
        on_record(&rig, since, reason, field);
    }
    // None of it used the assertion up.
    bank.post(&all, &[]).await.token();
}

#[tokio::test]
async fn a_grant_that_is_none_or_says_its_scope_twice_is_refused() {
    let rig = Rig::new().await;
    let bank = rig.bank();
    let (assertion, grant) = (rig.sign(&rig.claims()), rig.sign(&rig.grant(NUMBER)));
    let all = credentials(&assertion, SCOPE);
    let bearer = [("grant_type", JWT_BEARER), ("assertion", &*grant)];
    for (form, error, reason, field) in [
        // CAMARA: the scope stands in the assertion, and not beside it.
        (
            [bearer.as_slice(), &[("scope", SCOPE)]].concat(),
            "invalid_request",
            "TOKEN_REQUEST_PARAMETER",
            "scope",
        ),
        (
            vec![("grant_type", JWT_BEARER)],
            "invalid_request",
            "TOKEN_REQUEST_PARAMETER",
            "assertion",
        ),
        (
            [all.as_slice(), &[("scope", SCOPE)]].concat(),
            "invalid_request",
            "TOKEN_REQUEST_MALFORMED",
            "",
        ),
    ] {
        let since = record::size(&rig);
        refused(&bank.post(&form, &[]).await, 400, error);
        on_record(&rig, since, reason, field);
    }
    // None of it used the assertions up.
    bank.post(&all, &[]).await.token();
    bank.post(&bearer, &[]).await.token();
}

#[tokio::test]
async fn a_client_that_proves_itself_otherwise_or_twice_differently_is_refused() {
    let rig = Rig::new().await;
    let bank = rig.bank();
    let assertion = rig.sign(&rig.claims());
    let all = credentials(&assertion, SCOPE);
    let with = |name: &'static str, value: &'static str| {
        let mut form = all.to_vec();
        form.push((name, value));
        form
    };
    for (form, error, reason, field) in [
        (
            vec![("grant_type", "client_credentials"), ("scope", SCOPE)],
            "invalid_client",
            "ASSERTION_MISSING",
            "client_assertion",
        ),
        (
            with("client_secret", "x"),
            "invalid_client",
            "ASSERTION_MISSING",
            "client_assertion",
        ),
        (
            with("client_id", "another-app"),
            "invalid_request",
            "TOKEN_REQUEST_PARAMETER",
            "client_id",
        ),
    ] {
        let since = record::size(&rig);
        refused(&bank.post(&form, &[]).await, 400, error);
        on_record(&rig, since, reason, field);
    }
    bank.post(&all, &[]).await.token();
}

#[tokio::test]
async fn a_request_that_is_no_form_is_refused() {
    let rig = Rig::new().await;
    let bank = rig.bank();
    let token = ("POST", "/oauth2/token");
    let form = (
        "content-type",
        "application/x-www-form-urlencoded; charset=UTF-8",
    );
    let json = ("content-type", "application/json");
    let told = bank.call(token, &[json], "{}").await;
    refused(&told, 415, "invalid_request");
    refused(&bank.call(token, &[], "").await, 415, "invalid_request");
    refused(
        &bank.call(token, &[form], "a=%zz").await,
        400,
        "invalid_request",
    );
    let long = format!("grant_type={}", "a".repeat(16 << 10));
    refused(
        &bank.call(token, &[form], &long).await,
        400,
        "invalid_request",
    );
    let url = ("POST", "/oauth2/token?scope=x");
    refused(&bank.call(url, &[form], "").await, 400, "invalid_request");
    let basic = ("authorization", "Basic YTpi");
    let told = bank.call(token, &[form, basic], "").await;
    refused(&told, 401, "invalid_client");
    assert!(told.header("www-authenticate").starts_with("Basic"));
    let form = crate::door::form(&credentials(&rig.sign(&rig.claims()), SCOPE));
    let kind = (
        "content-type",
        "Application/X-WWW-Form-Urlencoded;charset=utf-8",
    );
    bank.call(token, &[kind], &form).await.token();
}

#[tokio::test]
async fn a_grant_is_about_one_number_and_says_what_it_is_for() {
    let rig = Rig::new().await;
    let bank = rig.bank();
    for (claim, value, words) in [
        ("sub", json!("operatortoken:abc"), "operator's token"),
        ("sub", json!(NUMBER), "`tel:+`"),
        ("sub", json!("ipport:127.0.0.1:80"), "`tel:+`"),
        ("sub", json!("tel:07700900001"), "E.164"),
        ("sub", json!("tel:+4477009000010000000"), "E.164"),
        ("sub", json!("tel:+44 7700 900001"), "E.164"),
        ("sub", json!(CLIENT), "`tel:+`"),
        ("sub", Value::Null, "`sub`"),
        ("scope", Value::Null, "`scope`"),
        ("aud", json!("https://another.example"), "`aud`"),
    ] {
        let mut claims = rig.grant(NUMBER);
        claims[claim] = value;
        let since = record::size(&rig);
        let told = rig.ask_about(&bank, &claims).await;
        refused(&told, 400, "invalid_grant");
        assert!(
            told.description().contains(words),
            "{words}: {:?}",
            told.body
        );
        let [call] = record::refused(&rig, since).try_into().unwrap();
        assert_eq!(call[3], "assertion");
    }
    let mut claims = rig.grant(NUMBER);
    claims["scope"] = "sim-swap:check".into();
    refused(&rig.ask_about(&bank, &claims).await, 400, "invalid_scope");
}

#[tokio::test]
async fn nobody_reads_a_number_from_a_refusal() {
    let rig = Rig::new().await;
    let bank = rig.bank();
    let mut claims = rig.grant("+447700900001999999");
    let told = rig.ask_about(&bank, &claims).await;
    assert!(
        !told.body.to_string().contains("7700900001"),
        "{:?}",
        told.body
    );
    claims = rig.grant(NUMBER);
    claims["scope"] = format!("dpv:X {NUMBER}").into();
    let told = rig.ask_about(&bank, &claims).await;
    refused(&told, 400, "invalid_scope");
    assert!(
        !told.body.to_string().contains("7700900001"),
        "{:?}",
        told.body
    );
    let form = [("grant_type", NUMBER), (NUMBER, NUMBER)];
    let told = bank.post(&form, &[]).await;
    assert!(
        !told.body.to_string().contains("7700900001"),
        "{:?}",
        told.body
    );
}
