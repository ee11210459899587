//! Proofs, one rule each.

use accord_certs::TokenKey;
use accord_proto::oauth::PublicJwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use super::*;

const URL: &str = "https://broker.test:7445/sim-swap/v2/check";

struct Wallet {
    key: TokenKey,
    header: Header,
}

impl Wallet {
    fn new() -> Self {
        let key = TokenKey::es256().unwrap();
        let point = &BASE64_STANDARD.decode(body(&key.public_pem())).unwrap()[26..];
        let jwk = PublicJwk::of_point(point).unwrap().to_json();
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("dpop+jwt".to_owned());
        header.jwk = Some(serde_json::from_value(jwk).unwrap());
        Self { key, header }
    }

    fn sign(&self, claims: &Value) -> String {
        let key = EncodingKey::from_ec_pem(self.key.private_pem().as_bytes()).unwrap();
        jsonwebtoken::encode(&self.header, claims, &key).unwrap()
    }
}

use base64::prelude::BASE64_STANDARD;

fn body(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with('-')).collect()
}

fn now() -> Timestamp {
    "2026-11-03T10:00:00Z".parse().unwrap()
}

fn party(org: &str) -> PartyId {
    PartyId::parse(&format!("spiffe://accord.test/bank/{org}")).unwrap()
}

fn claims() -> Value {
    json!({
        "htm": "POST", "htu": URL, "jti": "one", "iat": now().as_second(),
        "ath": hash_of("token"),
    })
}

fn check(proof: &str) -> Result<Proof, IdentityError> {
    Proof::check(proof, "POST", Target::Url(URL), Some("token"), now())
}

#[test]
fn a_proof_for_this_request_and_token_is_taken_once() {
    let wallet = Wallet::new();
    let proof = wallet.sign(&claims());
    let (book, bank) = (ProofBook::since(now()), party("first-bank"));
    let shown = check(&proof).unwrap();
    book.note(&bank, &shown, now()).unwrap();
    // The same request looks twice.
    book.note(&bank, &shown, now()).unwrap();
    let again = check(&proof).unwrap();
    assert_eq!(again.key(), shown.key());
    assert_eq!(
        book.note(&bank, &again, now()),
        Err(IdentityError::ProofReplayed)
    );
    let at_the_end = now() + AGE_MAX;
    assert_eq!(
        book.note(&bank, &check(&proof).unwrap(), at_the_end),
        Err(IdentityError::ProofReplayed)
    );
    let other = Wallet::new().sign(&claims());
    book.note(&bank, &check(&other).unwrap(), now()).unwrap();
}

#[test]
fn what_was_seen_is_forgotten_once_it_is_too_old_to_be_shown() {
    let (book, bank) = (ProofBook::since(now()), party("first-bank"));
    let wallet = Wallet::new();
    let proof = check(&wallet.sign(&claims())).unwrap();
    book.note(&bank, &proof, now()).unwrap();
    for minutes in [3, 6, 9, 12] {
        let mut claims = claims();
        claims["jti"] = json!(format!("at {minutes}"));
        let later = check(&wallet.sign(&claims)).unwrap();
        let then = now() + SignedDuration::from_mins(minutes);
        book.note(&bank, &later, then).unwrap();
    }
    let held: usize = book
        .halves
        .lock()
        .unwrap()
        .seen
        .iter()
        .flat_map(HashMap::values)
        .map(HashSet::len)
        .sum();
    assert!(held <= 3, "{held}");
}

#[test]
fn each_rule_of_a_proof_is_checked() {
    let wallet = Wallet::new();
    let changes = [
        ("htm", json!("GET"), "`htm`"),
        (
            "htu",
            json!("https://broker.test/sim-swap/v2/check"),
            "`htu`",
        ),
        (
            "htu",
            json!("https://other.test:7445/sim-swap/v2/check"),
            "`htu`",
        ),
        (
            "htu",
            json!("http://broker.test:7445/sim-swap/v2/check"),
            "`htu`",
        ),
        ("ath", json!("AAAA"), "`ath`"),
        ("ath", Value::Null, "`ath`"),
        ("jti", json!(""), "`jti`"),
        ("jti", json!("a".repeat(129)), "`jti`"),
        ("iat", json!(now().as_second() - 301), "`iat`"),
        ("iat", json!(now().as_second() + 6), "`iat`"),
        ("iat", json!("now"), "`iat`"),
    ];
    for (claim, value, says) in changes {
        let mut claims = claims();
        claims[claim] = value;
        let error = check(&wallet.sign(&claims)).unwrap_err().to_string();
        assert!(error.contains(says), "{claim}: {error}");
    }
    let mut query = claims();
    query["htu"] = json!("https://BROKER.test:7445/sim-swap/v2/check?a=b#c");
    check(&wallet.sign(&query)).unwrap();
}

#[test]
fn a_proof_is_signed_by_the_key_in_it_and_says_what_it_is() {
    let wallet = Wallet::new();
    let mut stolen = Wallet::new();
    stolen.header.jwk.clone_from(&wallet.header.jwk);
    let error = check(&stolen.sign(&claims())).unwrap_err().to_string();
    assert!(error.contains("signature"), "{error}");
    let mut plain = Wallet::new();
    plain.header.typ = Some("JWT".to_owned());
    let error = check(&plain.sign(&claims())).unwrap_err().to_string();
    assert!(error.contains("dpop+jwt"), "{error}");
    for odd in ["", "a.b.c", "....", &"a".repeat(5_000)] {
        assert!(check(odd).is_err());
    }
}

#[test]
fn a_grpc_method_is_named_by_its_path() {
    let mut claims = claims();
    claims["htu"] = json!("https://any.test:1/accord.v1.SignalService/Lookup");
    let proof = Wallet::new().sign(&claims);
    let path = |path| Proof::check(&proof, "POST", Target::Path(path), Some("token"), now());
    path("/accord.v1.SignalService/Lookup").unwrap();
    assert!(path("/accord.v1.SignalService/Screen").is_err());
}

/// One whose signature was good, made at a moment.
fn proof(n: u32, made: Timestamp) -> Proof {
    Proof {
        key: "key".into(),
        id: first_half(&n.to_string()),
        made,
        noted: AtomicBool::new(false),
    }
}

#[test]
fn a_party_that_shows_too_many_proofs_keeps_no_other_out() {
    let (book, bank) = (ProofBook::since(now()), party("first-bank"));
    let max = u32::try_from(PER_PARTY_MAX).unwrap();
    for n in 0..max {
        book.note(&bank, &proof(n, now()), now()).unwrap();
    }
    let more = book.note(&bank, &proof(max, now()), now());
    assert_eq!(more, Err(IdentityError::ProofTooMany));
    let other = party("second-bank");
    book.note(&other, &proof(max, now()), now()).unwrap();
    let again = book.note(&other, &proof(max, now()), now());
    assert_eq!(again, Err(IdentityError::ProofReplayed));
    // And the first one not for good.
    let later = now() + (AGE_MAX + LEEWAY) / 2;
    book.note(&bank, &proof(max, later), later).unwrap();
    let replayed = book.note(&bank, &proof(0, now()), later);
    assert_eq!(replayed, Err(IdentityError::ProofReplayed));
}

#[test]
fn a_proof_from_before_the_start_is_refused_since_it_may_have_been_shown() {
    let bank = party("first-bank");
    let started = now() + SignedDuration::from_millis(400);
    let book = ProofBook::since(started);
    // In the same second: its `iat` has no fraction.
    book.note(&bank, &proof(1, now()), started).unwrap();
    let older = proof(2, now() - SignedDuration::from_secs(1));
    let refused = book.note(&bank, &older, started);
    assert!(matches!(refused, Err(IdentityError::Proof(_))));
}
