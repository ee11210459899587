//! Tokens that are refused: each says which fact is wrong, changes nothing, and is on the record of
//! the party whose certificate it came with.

use accord_certs::{LeafOptions, TokenKey};
use accord_proto::v1::entry::Event;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tonic::Code;

use crate::{
    caller::{Caller, question, refused_at_last, signed, told, unsigned},
    record,
    said::{Stage, north, now},
};

const FIRST_BANK: &str = "spiffe://accord.test/bank/first-bank";

/// Asks, expects this refusal, and finds it and nothing else on the record.
async fn refuses(
    stage: &Stage,
    caller: &Caller,
    authorization: Option<&str>,
    (code, reason, field): (Code, &str, &str),
) {
    let before = record::size(stage);
    let refused = caller
        .lookup(authorization, question(&north(1)))
        .await
        .err()
        .unwrap();
    let (told_code, told_reason, told_field) = told(&refused);
    assert_eq!(
        (told_code, told_reason.as_str()),
        (code, reason),
        "{refused:?}"
    );
    assert_eq!(told_field.unwrap_or_default(), field);
    let events = record::since(stage, before);
    let [Event::RefusedCall(call)] = events.as_slice() else {
        panic!("{reason}: {events:?}");
    };
    assert_eq!(
        (call.party.as_str(), call.reason.as_str()),
        (FIRST_BANK, reason)
    );
    assert_eq!(call.field, field);
    assert!(call.method.starts_with("SignalService"), "{}", call.method);
}

fn unauthenticated(reason: &str) -> (Code, &str, &str) {
    (Code::Unauthenticated, reason, "")
}

#[tokio::test]
async fn a_call_without_a_bearer_token_is_refused() {
    let stage = Stage::sandbox().await;
    let caller = Caller::party(&stage, "first-bank");
    let good = caller.token(&stage, &caller.claims());
    refuses(&stage, &caller, None, unauthenticated("TOKEN_MISSING")).await;
    for odd in [
        format!("Basic {good}"),
        good.clone(),
        "Bearer".to_owned(),
        "Bearer x.y".to_owned(),
    ] {
        refuses(
            &stage,
            &caller,
            Some(&odd),
            unauthenticated("TOKEN_MALFORMED"),
        )
        .await;
    }
    let bearer = format!("Bearer {good}");
    caller
        .lookup(Some(&bearer), question(&north(1)))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_token_with_a_wrong_claim_is_refused_and_the_claim_is_named() {
    let stage = Stage::sandbox().await;
    let caller = Caller::party(&stage, "first-bank");
    let at = now().as_second();
    let cases: [(&str, Value, &str); 9] = [
        ("aud", json!("another-broker"), "TOKEN_WRONG_AUDIENCE"),
        (
            "aud",
            json!(["accord-sandbox", "another-broker"]),
            "TOKEN_WRONG_AUDIENCE",
        ),
        (
            "iss",
            json!("spiffe://accord.test/bank/second-bank"),
            "TOKEN_WRONG_ISSUER",
        ),
        ("exp", json!(at - 1), "TOKEN_EXPIRED"),
        ("exp", json!(at + 3_000), "TOKEN_LIFETIME"),
        ("iat", json!(at + 60), "TOKEN_NOT_YET_VALID"),
        ("nbf", json!(at + 60), "TOKEN_NOT_YET_VALID"),
        (
            "cnf",
            json!({ "x5t#S256": "AAAA" }),
            "TOKEN_WRONG_CERTIFICATE",
        ),
        ("purposes", json!(["marketing"]), "TOKEN_CLAIM"),
    ];
    for (claim, value, reason) in cases {
        let mut claims = caller.claims();
        claims[claim] = value;
        let bearer = format!("Bearer {}", caller.token(&stage, &claims));
        refuses(&stage, &caller, Some(&bearer), unauthenticated(reason)).await;
    }
    for claim in ["aud", "iss", "sub", "exp", "iat", "jti", "purposes", "cnf"] {
        let mut claims = caller.claims();
        claims.as_object_mut().unwrap().remove(claim);
        let bearer = format!("Bearer {}", caller.token(&stage, &claims));
        refuses(
            &stage,
            &caller,
            Some(&bearer),
            unauthenticated("TOKEN_CLAIM_MISSING"),
        )
        .await;
    }
}

#[tokio::test]
async fn a_token_that_the_registered_key_did_not_sign_is_refused() {
    let stage = Stage::sandbox().await;
    let caller = Caller::party(&stage, "first-bank");
    let claims = caller.claims();
    let stranger = TokenKey::es256().unwrap();
    let key = EncodingKey::from_ec_pem(stranger.private_pem().as_bytes()).unwrap();
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some("first-bank-1".to_owned());
    let forged = jsonwebtoken::encode(&header, &claims, &key).unwrap();
    // The second bank's key is registered, but not for this bank.
    let cases = [
        (unsigned(&claims), "TOKEN_ALGORITHM"),
        (forged, "TOKEN_SIGNATURE"),
        (signed(&stage, "nobody-1", &claims), "TOKEN_UNKNOWN_KEY"),
        (
            signed(&stage, "second-bank-1", &claims),
            "TOKEN_UNKNOWN_KEY",
        ),
    ];
    for (token, reason) in cases {
        let bearer = format!("Bearer {token}");
        refuses(&stage, &caller, Some(&bearer), unauthenticated(reason)).await;
    }
}

#[tokio::test]
async fn a_token_is_good_with_its_own_certificate_only() {
    let stage = Stage::sandbox().await;
    let caller = Caller::party(&stage, "first-bank");
    let bearer = format!("Bearer {}", caller.token(&stage, &caller.claims()));
    caller
        .lookup(Some(&bearer), question(&north(1)))
        .await
        .unwrap();
    // The same bank, a new certificate: a stolen token does not work from elsewhere.
    let leaf = stage.files.pki().unwrap();
    let leaf = leaf
        .issue("bank", "first-bank", &LeafOptions::at(now()))
        .unwrap();
    let other = Caller::with_leaf(&stage, &leaf);
    let wrong = unauthenticated("TOKEN_WRONG_CERTIFICATE");
    refuses(&stage, &other, Some(&bearer), wrong).await;
    // Nor does its `jti`, bound anew.
    let mut claims = caller.claims();
    let first = format!("Bearer {}", caller.token(&stage, &claims));
    caller
        .lookup(Some(&first), question(&north(1)))
        .await
        .unwrap();
    claims["cnf"] = other.claims()["cnf"].clone();
    let second = format!("Bearer {}", other.token(&stage, &claims));
    refuses(
        &stage,
        &other,
        Some(&second),
        unauthenticated("TOKEN_REUSED"),
    )
    .await;
}

#[tokio::test]
async fn purpose_and_principal_must_lie_within_the_token() {
    let stage = Stage::sandbox().await;
    let caller = Caller::party(&stage, "first-bank");
    let mut claims = caller.claims();
    claims["purposes"] = json!(["login"]);
    let bearer = format!("Bearer {}", caller.token(&stage, &claims));
    let expected = (Code::PermissionDenied, "PURPOSE_NOT_IN_TOKEN", "purpose");
    refuses(&stage, &caller, Some(&bearer), expected).await;

    let mut claims = caller.claims();
    claims["on_behalf_of"] = json!(["shop-b"]);
    let bearer = format!("Bearer {}", caller.token(&stage, &claims));
    let before = record::size(&stage);
    let mut asked = question(&north(1));
    "shop-a".clone_into(&mut asked.on_behalf_of);
    let refused = caller.lookup(Some(&bearer), asked).await.err().unwrap();
    let field = Some("on_behalf_of".to_owned());
    let reason = "PRINCIPAL_NOT_IN_TOKEN".to_owned();
    assert_eq!(
        told(&refused),
        (Code::PermissionDenied, reason.clone(), field)
    );
    assert_eq!(record::refused(&record::since(&stage, before))[0].2, reason);
}

#[tokio::test]
async fn a_token_that_expires_is_refused_even_if_it_was_good_a_moment_ago() {
    let stage = Stage::sandbox().await;
    let caller = Caller::party(&stage, "first-bank");
    let mut claims = caller.claims();
    claims["exp"] = json!(now().as_second() + 2);
    let bearer = format!("Bearer {}", caller.token(&stage, &claims));
    caller
        .lookup(Some(&bearer), question(&north(1)))
        .await
        .unwrap();
    let ask = async || caller.lookup(Some(&bearer), question(&north(1))).await;
    assert_eq!(told(&refused_at_last(ask).await).1, "TOKEN_EXPIRED");
}
