//! A token that is bound to a key opens the APIs with a proof of that key, made for this request and
//! this token, now and once (RFC 9449 section 4.3).

use serde_json::Value;

use crate::{
    door::{Caller, ProofKey, Told, claims},
    rig::{NUMBER, Rig, SCOPE, credentials},
};

const ASKED: &str = "client_certificates = \"asked\"";
const CHECK: &str = "/sim-swap/v2/check";

/// A client without a certificate, its key, and a token that is bound to it.
struct Client {
    rig: Rig,
    key: ProofKey,
    token: String,
}

impl Client {
    async fn new() -> Self {
        let rig = Rig::with(ASKED).await;
        let key = ProofKey::new();
        let proof = key.proof("POST", &rig.token_endpoint(), None);
        let assertion = rig.sign(&rig.claims());
        let form = credentials(&assertion, SCOPE);
        let told = rig.caller(None).post(&form, &[("dpop", &proof)]).await;
        Self {
            token: told.token(),
            rig,
            key,
        }
    }

    fn url(&self) -> String {
        format!("{}{CHECK}", self.rig.url)
    }

    fn proof(&self) -> String {
        self.key.proof("POST", &self.url(), Some(&self.token))
    }

    /// Asks with the token under a scheme, and with these proofs.
    async fn ask(&self, caller: &Caller, scheme: &str, proofs: &[&str]) -> Told {
        let authorization = format!("{scheme} {}", self.token);
        let mut headers = vec![
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
        ];
        headers.extend(proofs.iter().map(|proof| ("dpop", *proof)));
        let body = format!(r#"{{"phoneNumber":"{NUMBER}","maxAge":72}}"#);
        caller.call(("POST", CHECK), &headers, &body).await
    }

    async fn refused(&self, proofs: &[&str]) {
        let told = self.ask(&self.rig.caller(None), "DPoP", proofs).await;
        assert_eq!(told.status, 401, "{:?}", told.body);
        assert_eq!(told.body["code"], "UNAUTHENTICATED");
    }
}

#[tokio::test]
async fn a_token_without_a_certificate_opens_the_apis_with_a_proof_of_its_key() {
    let client = Client::new().await;
    let nobody = client.rig.caller(None);
    for _ in 0..2 {
        let told = client.ask(&nobody, "DPoP", &[&client.proof()]).await;
        assert_eq!(
            (told.status, &told.body["swapped"]),
            (200, &Value::from(true))
        );
    }
    // With the bank's own certificate beside the proof as well; with another bank's not.
    let bank = client
        .ask(&client.rig.bank(), "DPoP", &[&client.proof()])
        .await;
    assert_eq!(bank.status, 200, "{:?}", bank.body);
    let other = client.rig.caller(Some("second-bank"));
    let other = client.ask(&other, "DPoP", &[&client.proof()]).await;
    assert_eq!(other.status, 401, "{:?}", other.body);
    // Beyond its scope it opens nothing, and the answer names the scheme that was used.
    let path = "/device-swap/v1/check";
    let url = format!("{}{path}", client.rig.url);
    let proof = client.key.proof("POST", &url, Some(&client.token));
    let authorization = format!("DPoP {}", client.token);
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("dpop", proof.as_str()),
    ];
    let told = nobody.call(("POST", path), &headers, "{}").await;
    assert_eq!(told.status, 403, "{:?}", told.body);
    let challenge = told.header("www-authenticate");
    assert!(
        challenge.starts_with("DPoP realm=\"accord\", error=\"insufficient_scope\""),
        "{challenge}"
    );
}

#[tokio::test]
async fn a_proof_of_another_request_token_key_or_time_opens_nothing() {
    let client = Client::new().await;
    let with = |claim: &str, value: Value| {
        let mut claims = claims("POST", &client.url(), Some(&client.token));
        claims[claim] = value;
        client.key.sign(&claims)
    };
    let at = crate::rig::now().as_second();
    let other_url = format!("{}/sim-swap/v2/retrieve-date", client.rig.url);
    let other_key = ProofKey::new().proof("POST", &client.url(), Some(&client.token));
    let no_token = client.key.proof("POST", &client.url(), None);
    let other_token = client.key.proof("POST", &client.url(), Some("another"));
    for proof in [
        with("htu", other_url.into()),
        with("htu", format!("https://elsewhere.example{CHECK}").into()),
        with("htm", "GET".into()),
        with("iat", (at - 400).into()),
        with("iat", (at + 300).into()),
        with("jti", Value::Null),
        other_key,
        no_token,
        other_token,
        "nothing".to_owned(),
    ] {
        client.refused(&[&proof]).await;
    }
    client.refused(&[]).await;
    client.refused(&[&client.proof(), &client.proof()]).await;
    // Nor as a bearer token.
    let bearer = client.ask(&client.rig.caller(None), "Bearer", &[]).await;
    assert_eq!(bearer.status, 401, "{:?}", bearer.body);
    // A good one does all the same, once.
    let good = client.proof();
    let told = client.ask(&client.rig.caller(None), "DPoP", &[&good]).await;
    assert_eq!(told.status, 200, "{:?}", told.body);
    client.refused(&[&good]).await;
}

#[tokio::test]
async fn without_certificate_and_token_nobody_is_told_anything_but_that_a_token_is_needed() {
    let rig = Rig::with(ASKED).await;
    let nobody = rig.caller(None);
    let json = ("content-type", "application/json");
    let told = nobody.call(("POST", CHECK), &[json], "{}").await;
    assert_eq!(
        (told.status, &told.body["code"]),
        (401, &"UNAUTHENTICATED".into())
    );
    // How a token could be of use to it.
    let challenge = told.header("www-authenticate");
    let dpop = "DPoP realm=\"accord\", algs=\"ES256 EdDSA\"";
    assert_eq!(challenge, format!("{dpop}, Bearer realm=\"accord\""));
    let told = rig.bank().call(("POST", CHECK), &[json], "{}").await;
    assert_eq!(told.header("www-authenticate"), "Bearer realm=\"accord\"");
    // A token that is bound to a certificate is of no use without it.
    let token = rig.token().await;
    let authorization = format!("Bearer {token}");
    let headers = [json, ("authorization", authorization.as_str())];
    let body = format!(r#"{{"phoneNumber":"{NUMBER}","maxAge":72}}"#);
    let told = nobody.call(("POST", CHECK), &headers, &body).await;
    assert_eq!(told.status, 401, "{:?}", told.body);
    assert_eq!(
        told.header("www-authenticate"),
        "DPoP realm=\"accord\", error=\"invalid_token\", algs=\"ES256 EdDSA\""
    );
    let told = rig.bank().call(("POST", CHECK), &headers, &body).await;
    assert_eq!(told.status, 200, "{:?}", told.body);
}
