//! Tokens that are issued: what stands in them, and what does not.

use accord_proto::v1::entry::Event;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use serde_json::{Value, json};

use crate::{
    record,
    rig::{CLIENT, NUMBER, Rig, SCOPE, credentials},
};

/// A token's claims, its signature checked with the server's public keys and another's code.
async fn opened(rig: &Rig, token: &str) -> Value {
    let jwks = rig.bank().get("/oauth2/jwks").await;
    assert_eq!(jwks.status, 200);
    let set: JwkSet = serde_json::from_value(jwks.body).unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    assert_eq!(
        (header.typ.as_deref(), header.alg),
        (Some("at+jwt"), Algorithm::ES256)
    );
    let key = set.find(header.kid.as_deref().unwrap()).unwrap();
    let mut rules = Validation::new(Algorithm::ES256);
    rules.set_audience(&["accord-sandbox"]);
    rules.set_issuer(&[&rig.url]);
    let key = DecodingKey::from_jwk(key).unwrap();
    jsonwebtoken::decode(token, &key, &rules).unwrap().claims
}

#[tokio::test]
async fn a_token_for_any_number_says_who_asks_for_what_and_is_bound_to_the_certificate() {
    let rig = Rig::new().await;
    let bank = rig.bank();
    let before = record::size(&rig);
    let told = rig.ask(&bank, &rig.sign(&rig.claims()), SCOPE).await;
    let claims = opened(&rig, &told.token()).await;
    assert_eq!(told.body["token_type"], "Bearer");
    assert_eq!(told.body["expires_in"], 300);
    assert_eq!(told.body["scope"], SCOPE);
    assert_eq!(told.header("cache-control"), "no-store");
    assert_eq!(told.header("content-type"), "application/json");
    assert_eq!(
        (&claims["sub"], &claims["client_id"]),
        (&json!(CLIENT), &json!(CLIENT))
    );
    assert_eq!(claims["scope"], SCOPE);
    let [iat, exp] = ["iat", "exp"].map(|name| claims[name].as_i64().unwrap());
    assert_eq!(exp - iat, 300);
    let identity = accord_client::Identity::from_pem(
        &std::fs::read(rig.dir.path().join("pki/first-bank.pem")).unwrap(),
        &std::fs::read(rig.dir.path().join("pki/first-bank.key")).unwrap(),
    );
    assert_eq!(
        claims["cnf"],
        json!({"x5t#S256": identity.unwrap().thumbprint()})
    );
    assert!(claims.get("accord_subject").is_none());
    // Issuing is no access: nothing about it is on the record.
    let entries = record::since(&rig, before);
    let refused = |event: &Event| matches!(event, Event::RefusedCall(_) | Event::Access(_));
    assert!(!entries.iter().any(refused), "{entries:?}");
}

#[tokio::test]
async fn no_part_of_a_token_about_a_number_holds_the_number() {
    let rig = Rig::new().await;
    let bank = rig.bank();
    let told = rig.ask_about(&bank, &rig.grant(NUMBER)).await;
    let token = told.token();
    let claims = opened(&rig, &token).await;
    assert_eq!(claims["client_id"], CLIENT);
    assert_eq!(claims["scope"], SCOPE);
    assert_ne!(claims["sub"], CLIENT);
    let digits = NUMBER.trim_start_matches('+');
    let holds = |text: &[u8]| {
        text.windows(digits.len())
            .any(|part| part == digits.as_bytes())
    };
    let mut parts: Vec<Vec<u8>> = vec![token.clone().into_bytes()];
    let decoded = token
        .split('.')
        .map(|part| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap());
    parts.extend(decoded);
    // Whatever in the claims is itself encoded.
    let texts = claims
        .as_object()
        .unwrap()
        .values()
        .filter_map(Value::as_str);
    parts.extend(texts.filter_map(|text| BASE64_URL_SAFE_NO_PAD.decode(text).ok()));
    assert!(parts.len() > 5, "{claims}");
    for part in &parts {
        assert!(!holds(part), "{}", String::from_utf8_lossy(part));
    }
    // Nor does the answer, or its headers.
    assert!(!holds(told.body.to_string().as_bytes()));
    assert!(!holds(format!("{:?}", told.headers).as_bytes()));
    // The same number has the same name for the same client, and is sealed anew.
    let again = opened(
        &rig,
        &rig.ask_about(&bank, &rig.grant(NUMBER)).await.token(),
    )
    .await;
    let other = rig
        .ask_about(&bank, &rig.grant("+447700900002"))
        .await
        .token();
    let other = opened(&rig, &other).await;
    assert_eq!(again["sub"], claims["sub"]);
    assert_ne!(other["sub"], claims["sub"]);
    assert_ne!(again["accord_subject"], claims["accord_subject"]);
    let len = |claims: &Value| claims["accord_subject"].as_str().unwrap().len();
    assert_eq!(len(&other), len(&claims));
}

#[tokio::test]
async fn the_discovery_documents_say_what_is_true() {
    let rig = Rig::new().await;
    let bank = rig.bank();
    let oauth = bank.get("/.well-known/oauth-authorization-server").await;
    let openid = bank.get("/.well-known/openid-configuration").await;
    assert_eq!((oauth.status, openid.status), (200, 200));
    assert_eq!(oauth.body, openid.body);
    let document = oauth.body;
    assert_eq!(document["issuer"], rig.url);
    assert_eq!(document["token_endpoint"], rig.token_endpoint());
    assert_eq!(document["jwks_uri"], format!("{}/oauth2/jwks", rig.url));
    assert_eq!(
        document["token_endpoint_auth_methods_supported"],
        json!(["private_key_jwt"])
    );
    assert_eq!(document["tls_client_certificate_bound_access_tokens"], true);
    // Each grant that it names is one that it knows.
    for grant in document["grant_types_supported"].as_array().unwrap() {
        let form = [("grant_type", grant.as_str().unwrap())];
        let told = bank.post(&form, &[]).await;
        assert_ne!(told.error().1, "unsupported_grant_type", "{grant}");
    }
    let resource = bank.get("/.well-known/oauth-protected-resource").await.body;
    assert_eq!(resource["resource"], rig.url);
    assert_eq!(resource["authorization_servers"], json!([rig.url]));
    // Public keys alone.
    let jwks = bank.get("/oauth2/jwks").await;
    let keys = jwks.body["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 1);
    assert!(keys[0].get("d").is_none(), "{keys:?}");
    for (method, path, allow) in [
        ("GET", "/oauth2/token", "POST"),
        ("PUT", "/oauth2/token", "POST"),
        ("POST", "/oauth2/jwks", "GET"),
        ("DELETE", "/.well-known/openid-configuration", "GET"),
    ] {
        let told = bank.call((method, path), &[], "").await;
        assert_eq!(
            (told.status, told.header("allow")),
            (405, allow),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn an_assertion_may_name_the_issuer_and_come_without_a_kid_or_with_a_client_id() {
    let rig = Rig::new().await;
    let bank = rig.bank();
    let mut claims = rig.claims();
    claims["aud"] = json!([rig.url]);
    let assertion = rig.sign_as("first-bank", None, &claims);
    let mut form = credentials(&assertion, SCOPE).to_vec();
    form.push(("client_id", CLIENT));
    // What nobody asked for is passed over, as RFC 6749 section 3.2 has it.
    form.push(("resource", "https://elsewhere.example"));
    bank.post(&form, &[]).await.token();
    let assertion = rig.sign(&rig.grant(NUMBER));
    let beside = rig.sign(&rig.claims());
    let grant = [
        ("grant_type", crate::rig::JWT_BEARER),
        ("assertion", &*assertion),
    ];
    let type_ = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let client = [
        ("client_assertion_type", type_),
        ("client_assertion", &*beside),
    ];
    bank.post(&[grant, client].concat(), &[]).await.token();
}
