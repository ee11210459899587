//! Assertions, from whoever reaches the port: what passes is for us, lives for five minutes at most and
//! is named; and no signature but the one that its key's owner made is believed.

#![no_main]

#[path = "../shared/spelt.rs"]
mod spelt;

use std::sync::LazyLock;

use accord_proto::{
    oauth::{Assertion, Expected, Use},
    parties::{Parties, TokenKey},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const NOW: i64 = 1_795_000_000;
const OURS: [&str; 2] = ["https://broker.test", "https://broker.test/oauth2/token"];
/// RFC 7515 appendix A.3: its owner has signed this one text.
const SIGNED: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const LIST: &str = r#"
[parties]
id = "TEST"
version = 1
[[party]]
id = "spiffe://accord.test/bank/first-bank"
name = "First Bank"
licence = { number = "B-1", supervisor = "Central Bank", from = 2020-01-01, status = "active" }
[[party.keys]]
kid = "k-1"
alg = "ES256"
public_key = """
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7
6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==
-----END PUBLIC KEY-----
"""
"#;

static KEYS: LazyLock<Vec<TokenKey>> = LazyLock::new(|| {
    let mut parties = Parties::check(LIST).expect("it is a list");
    parties.remove(0).keys
});

fuzz_target!(|data: &str| spelt::each_spelling(data, hold));

fn hold(text: &str) {
    for used_as in [Use::Client, Use::Grant] {
        let Ok(assertion) = Assertion::read(text, used_as) else {
            continue;
        };
        assert!(text.len() <= Assertion::LEN_MAX);
        if assertion.check_signature(KEYS.iter()).is_ok() {
            let signed = text.rsplit_once('.').expect("it has parts").0;
            assert_eq!(signed, SIGNED, "a signature over another text is believed");
        }
        let expected = Expected {
            audiences: OURS,
            now: NOW,
            started: NOW - 1_000,
        };
        let Ok(checked) = assertion.check(expected) else {
            continue;
        };
        assert!((1..=128).contains(&checked.jti.len()));
        assert!(checked.expires > NOW && checked.expires <= NOW + 305);
        let claims = text.split('.').nth(1).expect("it has parts");
        let claims = BASE64.decode(claims).expect("it was read");
        let claims: Value = serde_json::from_slice(&claims).expect("it is JSON");
        let only = match &claims["aud"] {
            Value::Array(several) if several.len() == 1 => &several[0],
            other => other,
        };
        assert!(
            OURS.iter().any(|ours| only == ours),
            "it is for somebody else"
        );
        assert_eq!(claims["jti"], checked.jti);
        for time in ["iat", "nbf"] {
            let at = claims
                .get(time)
                .and_then(Value::as_f64)
                .unwrap_or(NOW as f64);
            assert!(at < (NOW + 6) as f64, "`{time}` lies in the future");
        }
        let issued = claims["iat"].as_f64().expect("it is a number");
        assert!(issued >= (NOW - 1_000) as f64 && issued > (NOW - 301) as f64);
    }
}
