//! Tokens and proofs before anybody has checked a signature: what is read has one spelling and each
//! name once, and the key of a proof is a public one that fits.

#![no_main]

mod json;
#[path = "../shared/spelt.rs"]
mod spelt;

use accord_proto::oauth::{Jws, PublicJwk, TokenHeader, proof_key};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

fuzz_target!(|data: &str| spelt::each_spelling(data, hold));

fn hold(text: &str) {
    if let Ok(jws) = Jws::parse(text) {
        assert_eq!(
            format!("{}.{}", jws.signed, BASE64.encode(&jws.signature)),
            text
        );
        for part in jws.signed.split('.') {
            let json = BASE64.decode(part).expect("it was read");
            assert!(json::each_name_once(&json), "{text}");
        }
        let spelt = |part: &Map<String, Value>| {
            BASE64.encode(serde_json::to_vec(part).expect("it is JSON"))
        };
        let again = format!("{}.{}.AAAA", spelt(&jws.header), spelt(&jws.claims));
        let again = Jws::parse(&again).expect("what we spell is read");
        // The reader of JSON is off by the last digit of some long fractions.
        let exact = |part: &Map<String, Value>| part.values().all(exact);
        if exact(&jws.header) && exact(&jws.claims) {
            assert!(again.header == jws.header && again.claims == jws.claims);
        }
    }
    if let Ok(header) = TokenHeader::parse(text) {
        let read = Jws::header_of(text).expect("it was read");
        assert_eq!(
            read.get("alg").and_then(Value::as_str),
            Some(header.alg.as_str())
        );
        assert!(["ES256", "EdDSA"].contains(&header.alg.as_str()) && header.kid.len() <= 64);
        assert!(!read.contains_key("crit"));
    }
    if let Ok(key) = proof_key(text) {
        let read = Jws::header_of(text).expect("it was read");
        assert!(read["typ"] == "dpop+jwt" && read["alg"] == key.algorithm());
        assert!(read["jwk"].get("d").is_none(), "a private key is taken");
        assert_eq!(PublicJwk::parse(&key.to_json()), Some(key.clone()));
        assert_eq!(key.thumbprint().len(), 43);
    }
}

/// Whether a value has no number with a fraction or exponent.
fn exact(value: &Value) -> bool {
    match value {
        Value::Number(number) => !number.is_f64(),
        Value::Array(values) => values.iter().all(exact),
        Value::Object(members) => members.values().all(exact),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}
