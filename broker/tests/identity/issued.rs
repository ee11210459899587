//! Tokens of an authorisation server: what they must say, and whom they are bound to.

use std::sync::Arc;

use accord_broker::identity::{
    AskedWith, IdentityError, KeyDirectory, Presented, TokenIssuer, library_key,
};
use accord_broker::identity::{Target, TokenVerifier, present};
use accord_certs::TokenKey;
use accord_proto::camara::Operation;
use accord_proto::msisdn::Msisdn;
use accord_proto::oauth::PublicJwk;
use accord_proto::purpose::Purpose;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use http::HeaderMap;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde_json::{Map, Value, json};

use crate::support::start_of_tests;
use crate::token::{AUDIENCE, Desk};

const ISSUER: &str = "https://issuer.test";

/// An authorisation server with one key.
#[derive(Debug)]
struct Server {
    key: PublicJwk,
}

impl TokenIssuer for Server {
    fn issuer(&self) -> &str {
        ISSUER
    }

    fn generation(&self) -> u64 {
        1
    }

    fn key(&self, kid: &str, _now: Timestamp) -> Option<(Algorithm, DecodingKey)> {
        (kid == "server-1").then(|| library_key(&self.key))
    }

    fn subject(&self, claims: &Map<String, Value>) -> Result<Option<Msisdn>, IdentityError> {
        let Some(sealed) = claims.get("subject") else {
            return Ok(None);
        };
        let number = sealed.as_str().and_then(|text| Msisdn::parse(text).ok());
        let wrong = IdentityError::TokenMalformed("its subject can't be read");
        number.map(Some).ok_or(wrong)
    }

    fn asked_with(&self, claims: &Map<String, Value>) -> Result<Vec<AskedWith>, IdentityError> {
        AskedWith::of_claims(claims)
    }
}

fn jwk(key: &TokenKey) -> PublicJwk {
    let pem = key.public_pem();
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = BASE64_STANDARD.decode(body).unwrap();
    PublicJwk::of_point(&der[26..]).unwrap()
}

fn encode(header: &Header, key: &TokenKey, claims: &Value) -> String {
    let key = EncodingKey::from_ec_pem(key.private_pem().as_bytes()).unwrap();
    jsonwebtoken::encode(header, claims, &key).unwrap()
}

struct Issued {
    desk: Desk,
    server: TokenKey,
    tokens: TokenVerifier,
}

impl Issued {
    async fn new() -> Self {
        let desk = Desk::es256().await;
        desk.keys
            .register_client("payments", "[\"sim-swap\"]", &[("key-1", &desk.key)]);
        let server = TokenKey::es256().unwrap();
        let directory: Arc<dyn KeyDirectory> = desk.keys.clone();
        let metrics = desk.door.bench.metrics.clone();
        let issuer = Server { key: jwk(&server) };
        let tokens = TokenVerifier::new(AUDIENCE, directory, metrics, start_of_tests());
        let tokens = tokens.and_of(Arc::new(issuer));
        Self {
            desk,
            server,
            tokens,
        }
    }

    fn claims(&self) -> Value {
        let now = start_of_tests().as_second();
        json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": "payments", "client_id": "payments",
            "scope": "dpv:FraudPreventionAndDetection sim-swap:check",
            "iat": now, "exp": now + 300, "jti": "one",
            "cnf": {"x5t#S256": self.desk.peer.thumbprint()},
            "accord_key": [{"kid": "key-1", "jkt": jwk(&self.desk.key).thumbprint()}],
        })
    }

    fn sign(&self, claims: &Value) -> String {
        self.sign_typed(Some("at+jwt"), claims)
    }

    fn sign_typed(&self, typ: Option<&str>, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some("server-1".to_owned());
        header.typ = typ.map(str::to_owned);
        encode(&header, &self.server, claims)
    }

    fn verify(&self, presented: &Presented) -> Result<(), IdentityError> {
        let now = start_of_tests();
        let verified = self.tokens.verify(&self.desk.peer, Some(presented), now);
        verified.map(|_| ())
    }

    fn verify_with(&self, change: impl FnOnce(&mut Value)) -> Result<(), IdentityError> {
        let mut claims = self.claims();
        change(&mut claims);
        self.verify(&Presented::bearer(&self.sign(&claims)))
    }
}

#[tokio::test]
async fn an_issued_token_says_client_purpose_and_scopes() {
    let issued = Issued::new().await;
    let presented = Presented::bearer(&issued.sign(&issued.claims()));
    let verify = || {
        let now = start_of_tests();
        issued
            .tokens
            .verify(&issued.desk.peer, Some(&presented), now)
            .unwrap()
    };
    // Verified, and then remembered.
    for caller in [verify(), verify()] {
        assert_eq!(caller.application(), "payments");
        assert_eq!(caller.party().org().as_str(), "first-bank");
        assert!(caller.may(Purpose::Payment) && !caller.may(Purpose::Login));
        let granted = caller.granted().unwrap();
        assert!(granted.scopes.allows(Operation::SimSwapCheck));
        assert!(!granted.scopes.allows(Operation::SimSwapRetrieveDate));
        assert_eq!(granted.subject, None);
    }
    let mut about = issued.claims();
    about["subject"] = json!("+447700900001");
    let presented = Presented::bearer(&issued.sign(&about));
    let now = start_of_tests();
    let caller = issued
        .tokens
        .verify(&issued.desk.peer, Some(&presented), now)
        .unwrap();
    let subject = caller.granted().unwrap().subject;
    assert_eq!(subject, Some(Msisdn::parse("+447700900001").unwrap()));
}

#[tokio::test]
async fn each_rule_of_an_issued_token_is_checked() {
    let issued = Issued::new().await;
    let other_hash = "A".repeat(43);
    type Change = (&'static str, Value, &'static str);
    let changes: [Change; 20] = [
        ("aud", json!("other"), "TOKEN_WRONG_AUDIENCE"),
        ("client_id", json!("other"), "TOKEN_UNKNOWN_CLIENT"),
        ("client_id", Value::Null, "TOKEN_CLAIM_MISSING"),
        ("scope", json!("sim-swap:check"), "TOKEN_SCOPE"),
        (
            "scope",
            json!("dpv:Marketing sim-swap:check"),
            "TOKEN_PURPOSE_NOT_REGISTERED",
        ),
        (
            "scope",
            json!("dpv:FraudPreventionAndDetection device-swap:check"),
            "TOKEN_SCOPE_NOT_REGISTERED",
        ),
        ("cnf", json!({}), "TOKEN_CLAIM_MISSING"),
        (
            "cnf",
            json!({"x5t#S256": other_hash}),
            "TOKEN_WRONG_CERTIFICATE",
        ),
        ("cnf", json!({"jkt": other_hash}), "DPOP_PROOF_MISSING"),
        ("cnf", json!({"x5t#S256": ""}), "TOKEN_CLAIM"),
        ("cnf", json!({"x5t#S256": "AAAA"}), "TOKEN_CLAIM"),
        (
            "cnf",
            json!({"x5t#S256": 7, "jkt": other_hash}),
            "TOKEN_CLAIM",
        ),
        ("cnf", json!({"jkt": ""}), "TOKEN_CLAIM"),
        ("exp", json!(start_of_tests().as_second()), "TOKEN_EXPIRED"),
        (
            "exp",
            json!(start_of_tests().as_second() + 301),
            "TOKEN_LIFETIME",
        ),
        (
            "iat",
            json!(start_of_tests().as_second() + 6),
            "TOKEN_NOT_YET_VALID",
        ),
        ("subject", json!("nobody"), "TOKEN_MALFORMED"),
        ("accord_key", json!([]), "TOKEN_CLAIM_MISSING"),
        (
            "accord_key",
            json!([{"kid": "key-1"}]),
            "TOKEN_CLAIM_MISSING",
        ),
        (
            "accord_key",
            json!([{"kid": "key-1", "jkt": "AAAA"}]),
            "TOKEN_KEY_RETIRED",
        ),
    ];
    for (claim, value, reason) in changes {
        let error = issued
            .verify_with(|claims| claims[claim] = value.clone())
            .unwrap_err();
        assert_eq!(error.reason(), reason, "{claim} {value}");
    }
    // A client of another bank.
    issued.desk.keys.register_others_client("payments");
    let error = issued
        .verify_with(|claims| claims["jti"] = json!("two"))
        .unwrap_err();
    assert_eq!(error, IdentityError::TokenWrongParty);
}

#[tokio::test]
async fn a_client_that_is_struck_from_the_register_is_refused_with_its_remembered_token() {
    let issued = Issued::new().await;
    let presented = Presented::bearer(&issued.sign(&issued.claims()));
    issued.verify(&presented).unwrap();
    let keys = &issued.desk.keys;
    keys.register_client(
        "payments",
        "[\"device-swap\"]",
        &[("key-1", &issued.desk.key)],
    );
    let narrowed = Err(IdentityError::TokenScopeNotRegistered);
    assert_eq!(issued.verify(&presented), narrowed);
    keys.register(&[("key-1", &issued.desk.key)]);
    assert_eq!(
        issued.verify(&presented),
        Err(IdentityError::TokenUnknownClient)
    );
}

#[tokio::test]
async fn a_token_that_is_bound_to_a_key_needs_a_new_proof_for_each_request() {
    let issued = Issued::new().await;
    let wallet = TokenKey::es256().unwrap();
    let mut claims = issued.claims();
    claims["cnf"] = json!({"jkt": jwk(&wallet).thumbprint()});
    let token = issued.sign(&claims);
    let shown_at = |key: &TokenKey, jti: &str, made: i64| {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("dpop+jwt".to_owned());
        header.jwk = Some(serde_json::from_value(jwk(key).to_json()).unwrap());
        let ath = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
        let proof = json!({
            "htm": "POST", "htu": "https://broker.test/check", "jti": jti,
            "iat": made, "ath": BASE64_URL_SAFE_NO_PAD.encode(ath),
        });
        let mut headers = HeaderMap::new();
        headers.insert("authorization", format!("DPoP {token}").parse().unwrap());
        headers.insert("dpop", encode(&header, key, &proof).parse().unwrap());
        let url = Target::Url("https://broker.test/check");
        present(&headers, "POST", url, start_of_tests())
            .unwrap()
            .unwrap()
    };
    let shown = |key: &TokenKey, jti: &str| shown_at(key, jti, start_of_tests().as_second());
    let first = shown(&wallet, "one");
    issued.verify(&first).unwrap();
    // The door and the path both look at the same request.
    issued.verify(&first).unwrap();
    let replayed = issued.verify(&shown(&wallet, "one"));
    assert_eq!(replayed, Err(IdentityError::ProofReplayed));
    issued.verify(&shown(&wallet, "two")).unwrap();
    let stolen = issued.verify(&shown(&TokenKey::es256().unwrap(), "three"));
    assert_eq!(stolen, Err(IdentityError::TokenWrongKey));
    let bare = issued.verify(&Presented::bearer(&token));
    assert_eq!(bare, Err(IdentityError::ProofMissing));
    // Made before the broker started, so it may have been shown to the one before.
    let older = shown_at(&wallet, "four", start_of_tests().as_second() - 1);
    let error = issued.verify(&older).unwrap_err();
    assert_eq!(error.reason(), "DPOP_PROOF");
    assert!(error.to_string().contains("just started"), "{error}");
}

#[tokio::test]
async fn a_token_ends_with_the_key_that_it_was_asked_for_with() {
    let issued = Issued::new().await;
    let presented = Presented::bearer(&issued.sign(&issued.claims()));
    let retired = Err(IdentityError::TokenKeyRetired);
    let (key, other) = (&issued.desk.key, &TokenKey::es256().unwrap());
    let register = |keys: &[(&str, &TokenKey)], signs_with: &str| {
        let scopes = format!("[\"sim-swap\"]\nkeys = [\"{signs_with}\"]");
        issued.desk.keys.register_client("payments", &scopes, keys);
    };
    issued.verify(&presented).unwrap();
    // The new one beside it changes nothing.
    let scopes = "[\"sim-swap\"]";
    let both = [("key-1", key), ("key-2", other)];
    issued.desk.keys.register_client("payments", scopes, &both);
    issued.verify(&presented).unwrap();
    // The bank's key still, and no longer this client's.
    register(&both, "key-2");
    assert_eq!(issued.verify(&presented), retired);
    register(&both, "key-1");
    issued.verify(&presented).unwrap();
    // Another key under its name.
    register(&[("key-1", other)], "key-1");
    assert_eq!(issued.verify(&presented), retired);
    register(&[("key-2", other)], "key-2");
    assert_eq!(issued.verify(&presented), retired);
    // Of two that were needed, one is gone.
    let mut two = issued.claims();
    let second = json!({"kid": "key-2", "jkt": jwk(other).thumbprint()});
    two["accord_key"].as_array_mut().unwrap().push(second);
    let two = Presented::bearer(&issued.sign(&two));
    issued.desk.keys.register_client("payments", scopes, &both);
    issued.verify(&two).unwrap();
    let one = [("key-1", key)];
    issued.desk.keys.register_client("payments", scopes, &one);
    assert_eq!(issued.verify(&two), retired);
    issued.verify(&presented).unwrap();
}

#[tokio::test]
async fn what_a_server_signs_for_another_end_is_no_access_token() {
    let issued = Issued::new().await;
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        let token = issued.sign_typed(Some(typ), &issued.claims());
        issued.verify(&Presented::bearer(&token)).unwrap();
    }
    for typ in [
        None,
        Some("JWT"),
        Some("logout+jwt"),
        Some("text/at+jwt"),
        Some(""),
    ] {
        let token = issued.sign_typed(typ, &issued.claims());
        let error = issued.verify(&Presented::bearer(&token)).unwrap_err();
        assert!(error.to_string().contains("`at+jwt`"), "{typ:?}: {error}");
    }
}
