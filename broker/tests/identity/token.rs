//! What a token must say.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use accord_broker::identity::{
    IdentityError, KeyDirectory, Peer, Presented, Registered, TokenVerifier,
};
use accord_certs::TokenKey;
use accord_proto::camara::ClientId;
use accord_proto::parties::{self, Parties, Party};
use accord_proto::party::{OrgName, PartyId};
use accord_proto::purpose::Purpose;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::support::{Bench, Door, start_of_tests};

pub(crate) const AUDIENCE: &str = "accord-test";

/// The list of parties, with first-bank alone.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    generation: AtomicU64,
    parties: Mutex<Vec<Party>>,
}

impl Keys {
    pub(crate) fn register(&self, keys: &[(&str, &TokenKey)]) {
        self.take(with_keys(keys));
    }

    /// As [`Self::register`], with an application of the bank.
    pub(crate) fn register_client(&self, id: &str, scopes: &str, keys: &[(&str, &TokenKey)]) {
        self.take(with_keys(keys) + &client(id, scopes));
    }

    /// Another bank alone, with an application.
    pub(crate) fn register_others_client(&self, id: &str) {
        let key = TokenKey::es256().unwrap();
        let document = with_keys(&[("other-1", &key)]).replace("first-bank", "second-bank");
        self.take(document + &client(id, "[\"sim-swap\"]"));
    }

    fn take(&self, document: String) {
        *self.parties.lock().unwrap() = Parties::check(&document).unwrap();
        self.generation.fetch_add(1, Ordering::SeqCst);
    }
}

fn client(id: &str, scopes: &str) -> String {
    format!(
        "[[party.client]]\nid = \"{id}\"\nscopes = {scopes}\n\
         purposes = {{ \"dpv:FraudPreventionAndDetection\" = \"payment\" }}\n"
    )
}

fn with_keys(keys: &[(&str, &TokenKey)]) -> String {
    let mut document = FIRST_BANK.to_owned();
    for (kid, key) in keys {
        let (algorithm, pem) = (key.algorithm(), key.public_pem());
        write!(
            document,
            "[[party.keys]]\nkid = \"{kid}\"\nalg = \"{algorithm}\"\n"
        )
        .unwrap();
        write!(document, "public_key = \"\"\"\n{pem}\"\"\"\n").unwrap();
    }
    document
}

impl KeyDirectory for Keys {
    fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    fn key(&self, party: &PartyId, kid: &str) -> Option<parties::TokenKey> {
        let parties = self.parties.lock().unwrap();
        let party = parties.iter().find(|registered| registered.id == *party)?;
        party.key(kid).cloned()
    }

    fn client(&self, id: &ClientId) -> Option<Registered> {
        let parties = self.parties.lock().unwrap();
        parties.iter().find_map(|party| {
            let client = party.clients.iter().find(|client| client.id == *id)?;
            Some(Registered {
                party: party.id.clone(),
                client: client.clone(),
            })
        })
    }
}

const FIRST_BANK: &str = r#"[parties]
id = "TEST-PARTIES"
version = 1

[[party]]
id = "spiffe://accord.test/bank/first-bank"
name = "First Bank"
licence = { number = "B-1", supervisor = "Central Bank", from = 2020-01-01, status = "active" }

"#;

/// A bank with a connection, a key and a broker that knows it.
pub(crate) struct Desk {
    pub(crate) door: Door,
    pub(crate) peer: Arc<Peer>,
    _tls: TlsStream<TcpStream>,
    pub(crate) key: TokenKey,
    pub(crate) keys: Arc<Keys>,
    pub(crate) tokens: TokenVerifier,
}

impl Desk {
    async fn new(key: TokenKey) -> Self {
        let door = Bench::new().door().await;
        let leaf = door.bench.bank("first-bank");
        let (peer, tls) = door.peer(&leaf).await;
        let keys = Arc::new(Keys::default());
        keys.register(&[("key-1", &key)]);
        let directory: Arc<dyn KeyDirectory> = keys.clone();
        let (metrics, now) = (door.bench.metrics.clone(), start_of_tests());
        let tokens = TokenVerifier::new(AUDIENCE, directory, metrics, now);
        Self {
            door,
            peer,
            _tls: tls,
            key,
            keys,
            tokens,
        }
    }

    pub(crate) async fn es256() -> Self {
        Self::new(TokenKey::es256().unwrap()).await
    }

    pub(crate) fn claims(&self) -> Value {
        let now = start_of_tests().as_second();
        json!({
            "iss": "spiffe://accord.test/bank/first-bank",
            "sub": "mobile-app",
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + 300,
            "jti": "one",
            "purposes": ["payment", "login"],
            "on_behalf_of": ["small-bank"],
            "cnf": {"x5t#S256": self.peer.thumbprint()},
        })
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_as("key-1", claims)
    }

    fn sign_as(&self, kid: &str, claims: &Value) -> String {
        sign(&self.key, kid, claims)
    }

    pub(crate) fn verify(&self, token: &str) -> Result<(), IdentityError> {
        self.verify_at(token, start_of_tests())
    }

    pub(crate) fn verify_at(&self, token: &str, now: Timestamp) -> Result<(), IdentityError> {
        let presented = Presented::bearer(token);
        let verified = self.tokens.verify(&self.peer, Some(&presented), now);
        verified.map(|_| ())
    }

    /// What happens to a good token after a change of its claims.
    fn verify_with(&self, change: impl FnOnce(&mut Value)) -> Result<(), IdentityError> {
        let mut claims = self.claims();
        change(&mut claims);
        self.verify(&self.sign(&claims))
    }
}

fn sign(key: &TokenKey, kid: &str, claims: &Value) -> String {
    let pem = key.private_pem();
    let (algorithm, encoding) = match key.algorithm() {
        "ES256" => (Algorithm::ES256, EncodingKey::from_ec_pem(pem.as_bytes())),
        _ => (Algorithm::EdDSA, EncodingKey::from_ed_pem(pem.as_bytes())),
    };
    let mut header = Header::new(algorithm);
    header.kid = Some(kid.to_owned());
    jsonwebtoken::encode(&header, claims, &encoding.unwrap()).unwrap()
}

fn b64(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}

#[tokio::test]
async fn a_good_token_says_what_its_application_may() {
    for key in [TokenKey::es256().unwrap(), TokenKey::ed25519().unwrap()] {
        let desk = Desk::new(key).await;
        let token = desk.sign(&desk.claims());
        let caller = desk
            .tokens
            .verify(
                &desk.peer,
                Some(&Presented::bearer(&token)),
                start_of_tests(),
            )
            .unwrap();
        assert_eq!(caller.party(), desk.peer.party().unwrap());
        assert_eq!(caller.application(), "mobile-app");
        assert!(caller.may(Purpose::Payment) && caller.may(Purpose::Login));
        assert!(!caller.may(Purpose::OtpSend));
        let org = |name| OrgName::parse(name).unwrap();
        assert!(caller.may_act_for(&org("small-bank")));
        assert!(caller.may_act_for(&org("first-bank")));
        assert!(!caller.may_act_for(&org("second-bank")));
    }
}

#[tokio::test]
async fn refuses_a_call_without_a_token() {
    let desk = Desk::es256().await;
    let outcome = desk.tokens.verify(&desk.peer, None, start_of_tests());
    assert_eq!(outcome.unwrap_err(), IdentityError::TokenMissing);
}

#[tokio::test]
async fn refuses_what_is_no_token() {
    let desk = Desk::es256().await;
    let good = desk.sign(&desk.claims());
    let long = format!("{good}{}", "A".repeat(4096));
    for token in [
        "",
        "a",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        &long,
        good.strip_prefix('e').unwrap(),
    ] {
        let error = desk.verify(token).unwrap_err();
        assert_eq!(error.reason(), "TOKEN_MALFORMED", "{token}");
    }
}

#[tokio::test]
async fn refuses_each_missing_claim_by_its_name() {
    let desk = Desk::es256().await;
    for claim in ["iss", "sub", "aud", "iat", "exp", "jti", "purposes", "cnf"] {
        let error = desk
            .verify_with(|claims| {
                claims.as_object_mut().unwrap().remove(claim);
            })
            .unwrap_err();
        assert_eq!(error.reason(), "TOKEN_CLAIM_MISSING", "{claim}");
        assert!(error.to_string().contains(&format!("`{claim}")), "{error}");
    }
}

#[tokio::test]
async fn refuses_a_claim_that_breaks_its_rule() {
    let desk = Desk::es256().await;
    for (claim, value) in [
        ("sub", json!("")),
        ("sub", json!("a".repeat(65))),
        ("sub", json!("a\nb")),
        ("jti", json!("")),
        ("jti", json!("a".repeat(129))),
        ("purposes", json!([])),
        ("purposes", json!(["marketing"])),
        ("purposes", json!([7])),
        ("on_behalf_of", json!("small-bank")),
        ("on_behalf_of", json!(["Small Bank"])),
        ("on_behalf_of", json!(vec!["small-bank"; 65])),
    ] {
        let error = desk
            .verify_with(|claims| claims[claim] = value.clone())
            .unwrap_err();
        assert_eq!(error.reason(), "TOKEN_CLAIM", "{claim} {value}");
        assert!(error.to_string().contains(claim), "{error}");
    }
}

#[tokio::test]
async fn refuses_a_token_meant_for_or_made_by_somebody_else() {
    let desk = Desk::es256().await;
    for (claim, value, reason) in [
        ("aud", json!("another-broker"), "TOKEN_WRONG_AUDIENCE"),
        ("aud", json!([AUDIENCE, "another"]), "TOKEN_WRONG_AUDIENCE"),
        ("aud", json!([]), "TOKEN_WRONG_AUDIENCE"),
        (
            "iss",
            json!("spiffe://accord.test/bank/second-bank"),
            "TOKEN_WRONG_ISSUER",
        ),
        (
            "cnf",
            json!({"x5t#S256": "else"}),
            "TOKEN_WRONG_CERTIFICATE",
        ),
        ("cnf", json!({}), "TOKEN_CLAIM_MISSING"),
    ] {
        let error = desk
            .verify_with(|claims| claims[claim] = value.clone())
            .unwrap_err();
        assert_eq!(error.reason(), reason, "{claim} {value}");
    }
    desk.verify_with(|claims| claims["aud"] = json!([AUDIENCE]))
        .unwrap();
}

#[tokio::test]
async fn refuses_a_token_outside_its_time() {
    let desk = Desk::es256().await;
    let now = start_of_tests().as_second();
    for (iat, exp, reason) in [
        (now - 300, now, Some("TOKEN_EXPIRED")),
        (now, now + 301, Some("TOKEN_LIFETIME")),
        (now - 200, now + 101, Some("TOKEN_LIFETIME")),
        (now + 6, now + 100, Some("TOKEN_NOT_YET_VALID")),
        (now + 5, now + 305, None),
        (now - 299, now + 1, None),
        (i64::MIN, i64::MAX, Some("TOKEN_CLAIM_MISSING")),
    ] {
        let outcome = desk.verify_with(|claims| {
            claims["iat"] = json!(iat);
            claims["exp"] = json!(exp);
        });
        let found = outcome.as_ref().err().map(IdentityError::reason);
        assert_eq!(found, reason, "iat {} exp {}", iat - now, exp - now);
    }
    let early = desk.verify_with(|claims| claims["nbf"] = json!(now + 6));
    assert_eq!(early, Err(IdentityError::TokenNotYetValid("nbf")));
}

#[tokio::test]
async fn refuses_an_unknown_key_and_a_forged_signature() {
    let desk = Desk::es256().await;
    let claims = desk.claims();
    let unknown = desk.verify(&desk.sign_as("key-2", &claims));
    assert_eq!(unknown, Err(IdentityError::TokenUnknownKey));
    let stranger = TokenKey::es256().unwrap();
    let forged = desk.verify(&sign(&stranger, "key-1", &claims));
    assert_eq!(forged, Err(IdentityError::TokenSignature));

    let good = desk.sign(&claims);
    let mut other = claims;
    other["purposes"] = json!(["otp_send"]);
    let parts: Vec<_> = good.split('.').collect();
    let altered = format!("{}.{}.{}", parts[0], b64(&other), parts[2]);
    assert_eq!(desk.verify(&altered), Err(IdentityError::TokenSignature));
}

#[tokio::test]
async fn refuses_every_algorithm_but_that_of_the_key() {
    let desk = Desk::es256().await;
    let claims = desk.claims();
    for header in [
        json!({"alg": "none", "kid": "key-1"}),
        json!({"alg": "None"}),
        json!({"alg": "RS256", "kid": "key-1"}),
        json!({"kid": "key-1"}),
    ] {
        let token = format!("{}.{}.", b64(&header), b64(&claims));
        let error = desk.verify(&token).unwrap_err();
        assert_eq!(error, IdentityError::TokenAlgorithm, "{header}");
    }

    // The public key as an HMAC secret: what a verifier that trusts the header would accept.
    let secret = EncodingKey::from_secret(desk.key.public_pem().as_bytes());
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("key-1".to_owned());
    let token = jsonwebtoken::encode(&header, &claims, &secret).unwrap();
    assert_eq!(desk.verify(&token), Err(IdentityError::TokenAlgorithm));

    let ed25519 = TokenKey::ed25519().unwrap();
    let token = sign(&ed25519, "key-1", &claims);
    assert_eq!(desk.verify(&token), Err(IdentityError::TokenAlgorithm));
}

#[tokio::test]
async fn refuses_a_header_that_must_be_understood() {
    let desk = Desk::es256().await;
    let header = json!({"alg": "ES256", "kid": "key-1", "crit": ["b64"], "b64": false});
    let token = format!("{}.{}.AA", b64(&header), b64(&desk.claims()));
    let error = desk.verify(&token).unwrap_err();
    assert!(error.to_string().contains("crit"), "{error}");
}
