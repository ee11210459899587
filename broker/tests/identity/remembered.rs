//! Tokens that were verified before: remembered, but never for longer than they hold.

use accord_broker::identity::{IdentityError, Presented};
use accord_certs::TokenKey;
use jiff::SignedDuration;
use serde_json::json;

use crate::{support::start_of_tests, token::Desk};

#[tokio::test]
async fn a_remembered_token_is_refused_once_it_has_expired() {
    let desk = Desk::es256().await;
    let token = desk.sign(&desk.claims());
    desk.verify(&token).unwrap();
    let last = start_of_tests() + SignedDuration::from_millis(299_999);
    desk.verify_at(&token, last).unwrap();
    assert_eq!(desk.door.bench.metrics.cached_tokens(), 1);
    let after = start_of_tests() + SignedDuration::from_secs(300);
    let expired = desk.verify_at(&token, after);
    assert_eq!(expired, Err(IdentityError::TokenExpired));
}

#[tokio::test]
async fn a_remembered_token_is_refused_once_its_key_is_gone() {
    let desk = Desk::es256().await;
    let token = desk.sign(&desk.claims());
    desk.verify(&token).unwrap();
    let next = TokenKey::es256().unwrap();
    desk.keys
        .register(&[("key-1", &desk.key), ("key-2", &next)]);
    desk.verify(&token).unwrap();
    desk.keys.register(&[("key-2", &next)]);
    assert_eq!(desk.verify(&token), Err(IdentityError::TokenUnknownKey));
}

#[tokio::test]
async fn a_remembered_token_is_refused_over_another_certificate() {
    let desk = Desk::es256().await;
    let token = desk.sign(&desk.claims());
    desk.verify(&token).unwrap();
    let twin = desk.door.bench.bank("first-bank");
    let (twin, _tls) = desk.door.peer(&twin).await;
    let outcome = desk
        .tokens
        .verify(&twin, Some(&Presented::bearer(&token)), start_of_tests());
    assert_eq!(outcome.unwrap_err(), IdentityError::TokenWrongCertificate);
}

#[tokio::test]
async fn refuses_a_jti_that_came_with_another_certificate() {
    let desk = Desk::es256().await;
    let token = desk.sign(&desk.claims());
    desk.verify(&token).unwrap();
    let twin = desk.door.bench.bank("first-bank");
    let (twin, _tls) = desk.door.peer(&twin).await;
    let mut claims = desk.claims();
    claims["cnf"]["x5t#S256"] = json!(twin.thumbprint());
    let minted = desk.sign(&claims);
    let outcome = desk
        .tokens
        .verify(&twin, Some(&Presented::bearer(&minted)), start_of_tests());
    assert_eq!(outcome.unwrap_err(), IdentityError::TokenReused);

    claims["jti"] = json!("two");
    let minted = desk.sign(&claims);
    desk.tokens
        .verify(&twin, Some(&Presented::bearer(&minted)), start_of_tests())
        .unwrap();
}

#[tokio::test]
async fn refuses_the_token_of_a_certificate_without_identity() {
    let desk = Desk::es256().await;
    let options = accord_certs::LeafOptions::at(start_of_tests()).without_identity();
    let leaf = desk.door.bench.pki.issue("bank", "first-bank", &options);
    let (nobody, _tls) = desk.door.peer(&leaf.unwrap()).await;
    let token = desk.sign(&desk.claims());
    let outcome = desk
        .tokens
        .verify(&nobody, Some(&Presented::bearer(&token)), start_of_tests());
    assert_eq!(outcome.unwrap_err(), IdentityError::CertificateNoIdentity);
}

/// Run by hand: `cargo test -p accord-broker --test identity -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "a measurement, not a test"]
async fn measure_what_a_remembered_token_costs() {
    let desk = Desk::es256().await;
    let token = desk.sign(&desk.claims());
    let rounds = 1_000_000;
    let start = tokio::time::Instant::now();
    for _ in 0..rounds {
        desk.peer.check(&desk.door.trust, start_of_tests()).unwrap();
    }
    let checks = start.elapsed() / rounds;
    let start = tokio::time::Instant::now();
    for _ in 0..rounds {
        desk.verify(&token).unwrap();
    }
    let hits = start.elapsed() / rounds;
    println!(
        "certificate {checks:?}, remembered token {hits:?} ({} bytes)",
        token.len()
    );
}
