//! What a token is bound to: a certificate, a key, or both; and the doors that it opens.

use accord_tests::world::{WorldSpec, wait_until};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use crate::{
    door::{Caller, ProofKey, Told, claims},
    grpc, record,
    rig::{JWT_BEARER, NUMBER, Rig, SCOPE, credentials},
};

const ASKED: &str = "client_certificates = \"asked\"";

/// The claims, unchecked.
fn claims_of(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// Asks without a certificate, with this proof.
async fn prove(rig: &Rig, proof: &str) -> Told {
    let assertion = rig.sign(&rig.claims());
    let caller = rig.caller(None);
    caller
        .post(&credentials(&assertion, SCOPE), &[("dpop", proof)])
        .await
}

#[tokio::test]
async fn a_token_of_either_kind_opens_the_grpc_door_too() {
    let rig = Rig::new().await;
    let channel = grpc::channel(&rig, "first-bank");
    let any = rig.token().await;
    let about = rig.ask_about(&rig.bank(), &rig.grant(NUMBER)).await.token();
    // Whoever asks by which token: about the same number the same is told.
    let by_request = grpc::ask(&channel, &any, NUMBER).await.unwrap();
    let by_token = grpc::ask(&channel, &about, "").await.unwrap();
    assert_eq!(by_request, by_token);
    let unnecessary = grpc::ask(&channel, &about, NUMBER).await.unwrap_err();
    assert_eq!(grpc::reason(&unnecessary), "UNNECESSARY_IDENTIFIER");
    let missing = grpc::ask(&channel, &any, "").await.unwrap_err();
    assert_eq!(grpc::reason(&missing), "MISSING_IDENTIFIER");
    // A scope for `check` is for yes or no, on this door as on the other.
    let mut precise = grpc::question(NUMBER);
    precise.signals.first_mut().unwrap().signal = Some(
        accord_proto::v1::signal_question::Signal::SimSwap(Default::default()),
    );
    let refused = grpc::send(&channel, &any, precise).await.unwrap_err();
    assert_eq!(grpc::reason(&refused), "SCOPE_NOT_IN_TOKEN");
}

#[tokio::test]
async fn a_token_is_of_no_use_with_another_certificate() {
    let rig = Rig::new().await;
    let token = rig.token().await;
    let other = grpc::channel(&rig, "second-bank");
    let refused = grpc::ask(&other, &token, NUMBER).await.unwrap_err();
    assert_eq!(grpc::reason(&refused), "TOKEN_WRONG_CERTIFICATE");
    // Nor with a new one of the same bank.
    rig.files.renew("bank", "first-bank").unwrap();
    let renewed = grpc::channel(&rig, "first-bank");
    let refused = grpc::ask(&renewed, &token, NUMBER).await.unwrap_err();
    assert_eq!(grpc::reason(&refused), "TOKEN_WRONG_CERTIFICATE");
    let fresh = rig.token().await;
    grpc::ask(&renewed, &fresh, NUMBER).await.unwrap();
}

#[tokio::test]
async fn a_token_for_another_audience_or_by_a_stranger_opens_nothing() {
    let rig = Rig::new().await;
    let channel = grpc::channel(&rig, "first-bank");
    let token = rig.token().await;
    // What the client itself signs is no issued token, whatever it says.
    let mut claims = claims_of(&token);
    claims["aud"] = "another-broker".into();
    for forged in [claims, claims_of(&token)] {
        let refused = grpc::ask(&channel, &rig.sign(&forged), NUMBER)
            .await
            .unwrap_err();
        assert_eq!(grpc::reason(&refused), "TOKEN_UNKNOWN_KEY");
    }
    let (signed, _) = token.rsplit_once('.').unwrap();
    let refused = grpc::ask(&channel, &format!("{signed}.AAAA"), NUMBER)
        .await
        .unwrap_err();
    assert_eq!(grpc::reason(&refused), "TOKEN_SIGNATURE");
}

#[tokio::test]
async fn without_a_certificate_a_token_is_bound_to_a_proven_key() {
    let rig = Rig::with(ASKED).await;
    let key = ProofKey::new();
    let told = prove(&rig, &key.proof("POST", &rig.token_endpoint(), None)).await;
    let token = told.token();
    assert_eq!(told.body["token_type"], "DPoP");
    assert_eq!(claims_of(&token)["cnf"], json!({"jkt": key.thumbprint()}));
    // With both, to both.
    let proof = key.proof("POST", &rig.token_endpoint(), None);
    let assertion = rig.sign(&rig.claims());
    let form = credentials(&assertion, SCOPE);
    let told = rig.bank().post(&form, &[("dpop", &proof)]).await;
    let cnf = &claims_of(&told.token())["cnf"];
    assert_eq!(cnf["jkt"], key.thumbprint());
    assert!(cnf["x5t#S256"].is_string(), "{cnf}");
    // With neither there is no token: only a proof would have done.
    let told = rig
        .ask(&rig.caller(None), &rig.sign(&rig.claims()), SCOPE)
        .await;
    assert_eq!(told.error(), (400, "invalid_dpop_proof"));
    assert!(
        told.description().contains("bound to nothing"),
        "{:?}",
        told.body
    );
    // One about a number as well.
    let grant = rig.sign(&rig.grant(NUMBER));
    let form = [("grant_type", JWT_BEARER), ("assertion", &*grant)];
    let proof = key.proof("POST", &rig.token_endpoint(), None);
    rig.caller(None)
        .post(&form, &[("dpop", &proof)])
        .await
        .token();
}

#[tokio::test]
async fn whoever_has_neither_certificate_nor_proof_is_refused_before_the_body_is_read() {
    let rig = Rig::with(ASKED).await;
    let mut tls = rig.caller(None).connect().await.unwrap();
    // A body is announced, and none is sent.
    let head = "POST /oauth2/token HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                content-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\n";
    tls.write_all(head.as_bytes()).await.unwrap();
    let (mut told, mut part) = (String::new(), [0; 4_096]);
    while !told.contains("error_description") {
        let len = tls.read(&mut part).await.unwrap();
        assert_ne!(len, 0, "{told}");
        told.push_str(std::str::from_utf8(&part[..len]).unwrap());
    }
    assert!(told.starts_with("HTTP/1.1 400"), "{told}");
    assert!(told.contains("bound to nothing"), "{told}");
}

/// A connection on which something was answered; `None` where the door hung up.
async fn served(caller: &Caller) -> Option<TlsStream<TcpStream>> {
    let mut tls = caller.connect().await.ok()?;
    let head = "GET /oauth2/jwks HTTP/1.1\r\nhost: localhost\r\n\r\n";
    tls.write_all(head.as_bytes()).await.ok()?;
    let mut first = [0; 1];
    let len = tls.read(&mut first).await.ok()?;
    (len == 1).then_some(tls)
}

#[tokio::test]
async fn one_host_without_a_certificate_has_its_share_of_connections_and_no_more() {
    let spec = WorldSpec::default().limit("address_connections_max", 2);
    let rig = Rig::of(spec, ASKED).await;
    let nobody = rig.caller(None);
    let first = served(&nobody).await.unwrap();
    let _second = served(&nobody).await.unwrap();
    assert!(served(&nobody).await.is_none());
    // With a certificate one has the room of one's party.
    assert!(served(&rig.bank()).await.is_some());
    drop(first);
    wait_until("the room that was given back", || async {
        served(&nobody).await.is_some()
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_proof_is_for_this_request_now_and_once() {
    let rig = Rig::with(ASKED).await;
    let (key, endpoint) = (ProofKey::new(), rig.token_endpoint());
    let with = |claim: &str, value: Value| {
        let mut claims = claims("POST", &endpoint, None);
        claims[claim] = value;
        key.sign(&claims)
    };
    let at = crate::rig::now().as_second();
    for proof in [
        with("htm", "GET".into()),
        with("htu", "https://localhost/oauth2/token".into()),
        with("htu", format!("{}/sim-swap/v2/check", rig.url).into()),
        with("iat", (at - 400).into()),
        with("iat", (at + 300).into()),
        with("jti", Value::Null),
        "nothing".to_owned(),
    ] {
        let told = prove(&rig, &proof).await;
        assert_eq!(told.error(), (400, "invalid_dpop_proof"), "{:?}", told.body);
    }
    let proof = key.proof("POST", &endpoint, None);
    prove(&rig, &proof).await.token();
    assert_eq!(
        prove(&rig, &proof).await.error(),
        (400, "invalid_dpop_proof")
    );
}

#[tokio::test]
async fn whoever_shows_no_certificate_does_not_learn_which_clients_there_are() {
    let rig = Rig::with(ASKED).await;
    let key = ProofKey::new();
    let mut told = Vec::new();
    let since = record::size(&rig);
    for (client, kid) in [("no-app", "first-bank-1"), ("first-app", "first-bank-9")] {
        let mut claims = rig.claims();
        for claim in ["iss", "sub"] {
            claims[claim] = client.into();
        }
        let assertion = rig.sign_as("first-bank", Some(kid), &claims);
        let proof = key.proof("POST", &rig.token_endpoint(), None);
        let form = credentials(&assertion, SCOPE);
        let one = rig.caller(None).post(&form, &[("dpop", &proof)]).await;
        assert_eq!(one.error(), (400, "invalid_client"));
        told.push(one.body);
    }
    assert_eq!(told[0], told[1]);
    // Nobody is known, so nobody's record has it.
    assert!(record::refused(&rig, since).is_empty());
}

#[tokio::test]
async fn a_door_that_requires_certificates_takes_nobody_without_one() {
    let rig = Rig::new().await;
    let caller = rig.caller(None);
    // In TLS 1.3 a client learns of it with its first read.
    let refused = match caller.connect().await {
        Err(_) => true,
        Ok(mut tls) => {
            let mut first = [0; 1];
            !matches!(tls.read(&mut first).await, Ok(1..))
        }
    };
    assert!(refused);
    rig.bank().get("/oauth2/jwks").await;
}
