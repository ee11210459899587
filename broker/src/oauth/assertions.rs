//! Assertions that are taken, and each that is not.

use accord_certs::TokenKey as MadeKey;
use accord_proto::{
    oauth::{Assertion, AssertionError, Expected, Use},
    parties::{Parties, TokenKey},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

const NOW: i64 = 1_800_000_000;
const AUDIENCES: [&str; 2] = ["https://broker.test", "https://broker.test/oauth2/token"];

struct Client {
    made: MadeKey,
    keys: Vec<TokenKey>,
}

impl Client {
    fn new(made: MadeKey) -> Self {
        let text = format!(
            "[parties]\nid = \"TEST\"\nversion = 1\n\n[[party]]\n\
             id = \"spiffe://accord.test/bank/first-bank\"\nname = \"First Bank\"\n\
             licence = {{ number = \"B-1\", supervisor = \"Central Bank\", from = 2020-01-01, \
             status = \"active\" }}\n\n[[party.keys]]\nkid = \"k-1\"\nalg = \"{}\"\n\
             public_key = \"\"\"\n{}\n\"\"\"\n",
            made.algorithm(),
            made.public_pem().trim(),
        );
        let keys = Parties::check(&text).unwrap().remove(0).keys;
        Self { made, keys }
    }

    fn es256() -> Self {
        Self::new(MadeKey::es256().unwrap())
    }

    fn sign(&self, header: &Header, claims: &Value) -> String {
        let pem = self.made.private_pem();
        let key = match header.alg == Algorithm::EdDSA {
            true => EncodingKey::from_ed_pem(pem.as_bytes()),
            false => EncodingKey::from_ec_pem(pem.as_bytes()),
        };
        jsonwebtoken::encode(header, claims, &key.unwrap()).unwrap()
    }
}

fn header(alg: Algorithm, kid: Option<&str>) -> Header {
    let mut header = Header::new(alg);
    header.kid = kid.map(str::to_owned);
    header
}

fn claims() -> Value {
    json!({
        "iss": "first-bank-app", "sub": "first-bank-app", "aud": AUDIENCES[1],
        "iat": NOW, "exp": NOW + 60, "jti": "one",
    })
}

fn expected() -> Expected<'static> {
    Expected {
        audiences: AUDIENCES,
        now: NOW,
        started: NOW - 1_000,
    }
}

fn check(client: &Client, text: &str) -> Result<String, AssertionError> {
    let assertion = Assertion::read(text, Use::Client)?;
    assertion.check_signature(client.keys.iter())?;
    Ok(assertion.check(expected())?.jti.to_owned())
}

#[test]
fn an_assertion_is_taken_under_both_algorithms_with_and_without_kid() {
    for (made, alg) in [
        (MadeKey::es256().unwrap(), Algorithm::ES256),
        (MadeKey::ed25519().unwrap(), Algorithm::EdDSA),
    ] {
        let client = Client::new(made);
        for kid in [Some("k-1"), None] {
            let text = client.sign(&header(alg, kid), &claims());
            assert_eq!(check(&client, &text).as_deref(), Ok("one"));
        }
    }
}

#[test]
fn each_wrong_claim_is_named() {
    use AssertionError as Error;
    let client = Client::es256();
    let both = json!(AUDIENCES);
    for (claim, value, error) in [
        ("aud", json!(AUDIENCES[0]), None),
        ("aud", json!([AUDIENCES[1]]), None),
        ("aud", both, Some(Error::Audience)),
        ("aud", json!("https://broker.test/"), Some(Error::Audience)),
        ("aud", json!([]), Some(Error::Audience)),
        ("aud", json!(7), Some(Error::Missing("aud"))),
        ("aud", Value::Null, Some(Error::Missing("aud"))),
        ("iat", json!("now"), Some(Error::Missing("iat"))),
        ("iat", json!(NOW + 5), None),
        ("iat", json!(NOW + 6), Some(Error::NotYet("iat"))),
        ("iat", json!(NOW as f64 + 0.5), None),
        ("iat", json!(NOW - 1_001), Some(Error::Lifetime)),
        ("nbf", json!(NOW + 6), Some(Error::NotYet("nbf"))),
        ("exp", json!(NOW), Some(Error::Expired)),
        ("exp", json!(NOW - 300), Some(Error::Expired)),
        ("exp", json!(NOW + 300), None),
        ("exp", json!(NOW + 301), Some(Error::Lifetime)),
        ("exp", json!(1e300), Some(Error::Missing("exp"))),
        ("jti", Value::Null, Some(Error::Missing("jti"))),
        (
            "jti",
            json!(""),
            Some(Error::Claim {
                claim: "jti",
                rule: "has 1 to 128 bytes",
            }),
        ),
    ] {
        let mut claims = claims();
        claims[claim] = value.clone();
        let text = client.sign(&header(Algorithm::ES256, Some("k-1")), &claims);
        assert_eq!(check(&client, &text).err(), error, "{claim} {value}");
    }
}

#[test]
fn one_made_before_the_start_is_refused_since_its_use_may_be_forgotten() {
    let client = Client::es256();
    let text = client.sign(&header(Algorithm::ES256, None), &claims());
    let assertion = Assertion::read(&text, Use::Client).unwrap();
    let at = |started| {
        let checked = assertion.check(Expected {
            started,
            ..expected()
        });
        checked.map(drop)
    };
    assert_eq!(at(NOW), Ok(()));
    assert_eq!(at(NOW + 1), Err(AssertionError::BeforeStart));
}

#[test]
fn a_foreign_key_algorithm_type_or_shape_is_refused() {
    use AssertionError as Error;
    let (client, stranger) = (Client::es256(), Client::es256());
    let good = header(Algorithm::ES256, Some("k-1"));
    let cases = [
        (stranger.sign(&good, &claims()), Error::Signature),
        (
            client.sign(&header(Algorithm::ES256, Some("k-2")), &claims()),
            Error::UnknownKey,
        ),
        (
            Client::new(MadeKey::ed25519().unwrap())
                .sign(&header(Algorithm::EdDSA, Some("k-1")), &claims()),
            Error::Algorithm,
        ),
    ];
    for (text, error) in cases {
        assert_eq!(check(&client, &text), Err(error));
    }
    for (typ, taken) in [
        ("jwt", true),
        ("client-authentication+jwt", true),
        ("authorization-grant+jwt", false),
        ("at+jwt", false),
        ("dpop+jwt", false),
    ] {
        let mut header = good.clone();
        header.typ = Some(typ.to_owned());
        let outcome = check(&client, &client.sign(&header, &claims()));
        assert_eq!(outcome.is_ok(), taken, "{typ}: {outcome:?}");
    }
    let text = client.sign(&good, &claims());
    let (signed, signature) = text.rsplit_once('.').unwrap();
    let none = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    let (_, body) = signed.split_once('.').unwrap();
    assert_eq!(
        check(&client, &format!("{none}.{body}.")),
        Err(Error::Algorithm)
    );
    let critical = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","crit":["b64"],"b64":false}"#);
    let long = "a".repeat(Assertion::LEN_MAX + 1);
    for malformed in [
        format!("{critical}.{body}.{signature}"),
        format!("{text}.x"),
        format!("{signed}.{signature}="),
        format!("{body}.{body}"),
        "a.b.c".to_owned(),
        String::new(),
        long,
    ] {
        let outcome = check(&client, &malformed);
        assert!(matches!(outcome, Err(Error::Malformed(_))), "{outcome:?}");
    }
}

#[test]
fn a_client_with_several_keys_says_which() {
    let (one, two) = (Client::es256(), Client::es256());
    let text = one.sign(&header(Algorithm::ES256, None), &claims());
    let assertion = Assertion::read(&text, Use::Client).unwrap();
    let keys = [one.keys, two.keys].concat();
    let outcome = assertion.check_signature(keys.iter());
    assert_eq!(outcome, Err(AssertionError::NoKid));
    let none = assertion.check_signature(std::iter::empty());
    assert_eq!(none, Err(AssertionError::UnknownKey));
}

/// One byte of a good assertion is another: it is refused, wherever that byte stands. The last of the
/// signature may spell the same bits, so it is left out.
#[test]
fn an_assertion_with_any_byte_changed_is_refused() {
    let client = Client::es256();
    let text = client.sign(&header(Algorithm::ES256, Some("k-1")), &claims());
    assert!(check(&client, &text).is_ok());
    for at in 0..text.len() - 1 {
        let mut changed = text.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(check(&client, &changed).is_err(), "byte {at}");
    }
}
