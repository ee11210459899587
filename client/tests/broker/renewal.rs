//! A certificate and a key that take the place of others while the client runs.

use accord_certs::{Leaf, LeafOptions, TokenKey as MadeKey};
use accord_client::{BuildError, Lookup, Purpose, Scope, TokenAlg, TokenKey};
use accord_proto::clock::SystemClock;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::{
    parties::{Parties, identity},
    stub::{Seen, StreamPlan, Stub},
};

fn leaf(parties: &Parties, bank: &str) -> Leaf {
    let options = LeafOptions::at(SystemClock::shared().now());
    parties.pki.issue("bank", bank, &options).unwrap()
}

fn token_key(kid: &str) -> TokenKey {
    let pem = MadeKey::es256().unwrap().private_pem();
    TokenKey::from_pem(TokenAlg::Es256, pem.as_bytes(), kid, "accord-test").unwrap()
}

fn question() -> Lookup {
    Lookup::about("+447700900001", Purpose::Payment).roaming()
}

/// One part of a token: 0 the header, 1 the claims.
fn part(token: &str, at: usize) -> Value {
    let token = token.strip_prefix("Bearer ").unwrap();
    let part = token.split('.').nth(at).unwrap();
    let part = BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
    serde_json::from_slice(&part).unwrap()
}

/// The key and the certificate of each token seen, which is bound to that of its connection.
fn seen(seen: &Seen) -> Vec<(String, String)> {
    let tokens = seen.tokens.lock().unwrap();
    let thumbprints = seen.thumbprints.lock().unwrap();
    assert_eq!(tokens.len(), thumbprints.len());
    let each = tokens.iter().zip(thumbprints.iter());
    each.map(|(token, thumbprint)| {
        let (header, claims) = (part(token, 0), part(token, 1));
        let bound_to = claims.pointer("/cnf/x5t#S256").and_then(Value::as_str);
        assert_eq!(bound_to, Some(thumbprint.as_str()));
        let kid = header.get("kid").and_then(Value::as_str);
        (kid.unwrap().to_owned(), thumbprint.clone())
    })
    .collect()
}

#[tokio::test]
async fn questions_go_with_the_new_certificate_and_the_new_key() {
    let parties = Parties::new();
    let stub = Stub::start(&parties).await;
    let client = parties.client(&[stub.address]);
    let clone = client.clone();
    client.lookup(question()).await.unwrap();
    let new = identity(&leaf(&parties, "first-bank"));
    let thumbprint = new.thumbprint().to_owned();
    client.renew(new, token_key("k2")).unwrap();
    clone.lookup(question()).await.unwrap();
    clone.auditor().checkpoint("").await.unwrap();
    let old = identity(&parties.bank).thumbprint().to_owned();
    let expected = [("k1".to_owned(), old), ("k2".to_owned(), thumbprint)];
    assert_eq!(seen(&stub.seen), expected);
}

#[tokio::test]
async fn the_certificate_of_another_party_changes_nothing() {
    let parties = Parties::new();
    let stub = Stub::start(&parties).await;
    let client = parties.client(&[stub.address]);
    let error = client.renew(identity(&leaf(&parties, "second-bank")), token_key("k2"));
    let error = error.unwrap_err();
    assert!(matches!(error, BuildError::OtherParty { .. }), "{error:?}");
    assert!(error.to_string().contains("bank/second-bank"), "{error}");
    client.lookup(question()).await.unwrap();
    let old = identity(&parties.bank).thumbprint().to_owned();
    assert_eq!(seen(&stub.seen), [("k1".to_owned(), old)]);
}

#[tokio::test]
async fn a_screening_goes_on_with_the_new_certificate_when_its_stream_ends() {
    let parties = Parties::new();
    let plan = StreamPlan {
        window: 1,
        break_after: Some(2),
        ..StreamPlan::default()
    };
    let stub = Stub::with_plans(&parties, [], [plan]).await;
    let client = parties.client(&[stub.address]);
    let lines = (0..4).map(|tag| (tag, question()));
    let mut results = client.screen_all(Scope::new([Purpose::Payment]), lines);
    let first = results.next().await.unwrap().unwrap();
    assert!(first.outcome.is_ok());
    let new = identity(&leaf(&parties, "first-bank"));
    let thumbprint = new.thumbprint().to_owned();
    client.renew(new, token_key("k2")).unwrap();
    let mut rest = 0;
    while let Some(result) = results.next().await {
        assert!(result.unwrap().outcome.is_ok());
        rest += 1;
    }
    assert_eq!(rest, 3);
    let old = identity(&parties.bank).thumbprint().to_owned();
    let expected = [("k1".to_owned(), old), ("k2".to_owned(), thumbprint)];
    assert_eq!(seen(&stub.seen), expected);
}
