//! The parts of a JSON web signature in its compact form (RFC 7515 section 7.1), before anybody knows
//! whether it is signed at all.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{
    Deserialize,
    de::{Deserializer, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

/// Why a text is none. Nothing of it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwsError {
    /// The parts.
    Parts,
    /// The first part.
    Header,
    /// The second.
    Claims,
    /// The third.
    Signature,
    /// Whoever marks a header as critical wants it refused where it isn't understood (RFC 7515 section
    /// 4.1.11).
    Critical,
}

impl std::error::Error for JwsError {}

impl fmt::Display for JwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rule())
    }
}

impl JwsError {
    /// The rule that is broken, in words.
    #[must_use]
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Parts => "it is not three parts with dots between",
            Self::Header => "its header is not a JSON object in base64url, with each name once",
            Self::Claims => "its claims are not a JSON object in base64url, with each name once",
            Self::Signature => "its signature is not base64url",
            Self::Critical => "its header has `crit`",
        }
    }
}

/// A JSON web token that is read and not yet believed.
pub struct Jws<'a> {
    /// Its header.
    pub header: Map<String, Value>,
    /// Its claims.
    pub claims: Map<String, Value>,
    /// What the signature is over.
    pub signed: &'a str,
    /// The signature.
    pub signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    /// Reads all of it.
    ///
    /// # Errors
    /// [`JwsError`].
    pub fn parse(text: &'a str) -> Result<Self, JwsError> {
        let [header, claims, signature] = parts(text)?;
        let signed = text.rsplit_once('.').ok_or(JwsError::Parts)?.0;
        Ok(Self {
            header: critical(object(header).ok_or(JwsError::Header)?)?,
            claims: object(claims).ok_or(JwsError::Claims)?,
            signed,
            signature: BASE64_URL_SAFE_NO_PAD
                .decode(signature)
                .map_err(|_| JwsError::Signature)?,
        })
    }

    /// Reads the header alone.
    ///
    /// # Errors
    /// [`JwsError`].
    pub fn header_of(text: &str) -> Result<Map<String, Value>, JwsError> {
        let [header, _, _] = parts(text)?;
        critical(object(header).ok_or(JwsError::Header)?)
    }
}

impl fmt::Debug for Jws<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[token]")
    }
}

fn parts(text: &str) -> Result<[&str; 3], JwsError> {
    let mut parts = text.split('.');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(header), Some(claims), Some(signature), None) => Ok([header, claims, signature]),
        _ => Err(JwsError::Parts),
    }
}

fn critical(header: Map<String, Value>) -> Result<Map<String, Value>, JwsError> {
    match header.contains_key("crit") {
        true => Err(JwsError::Critical),
        false => Ok(header),
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(part).ok()?;
    match serde_json::from_slice(&json).ok()? {
        Unique(Value::Object(members)) => Some(members),
        Unique(
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_),
        ) => None,
    }
}

/// A value whose objects have each name once. RFC 7515 section 4 and RFC 7519 section 4 let a reader
/// take the last of several, which another reader may not: here it is a mistake.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value with each name once")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unique(value)) = sequence.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some((name, Unique(value))) = map.next_entry::<String, Unique>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands twice"));
            }
        }
        Ok(members.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(header: &str, claims: &str) -> String {
        let [header, claims] = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
        format!("{header}.{claims}.AAAA")
    }

    fn fault(text: &str) -> JwsError {
        Jws::parse(text).unwrap_err()
    }

    #[test]
    fn a_token_is_read_as_it_stands() {
        let text = text(
            r#"{"alg":"ES256"}"#,
            r#"{"a":[1,-1,1.5,null,true,{"b":"c"}]}"#,
        );
        let jws = Jws::parse(&text).unwrap();
        assert_eq!(jws.header, Jws::header_of(&text).unwrap());
        assert_eq!(jws.header["alg"], "ES256");
        let value = serde_json::json!({"a": [1, -1, 1.5, null, true, {"b": "c"}]});
        assert_eq!(Value::Object(jws.claims), value);
        assert_eq!(format!("{}.AAAA", jws.signed), text);
        assert_eq!(jws.signature, [0; 3]);
    }

    #[test]
    fn what_two_readers_could_take_for_two_things_is_refused() {
        let twice = r#"{"alg":"ES256","alg":"none"}"#;
        assert_eq!(fault(&text(twice, "{}")), JwsError::Header);
        assert_eq!(Jws::header_of(&text(twice, "{}")), Err(JwsError::Header));
        for claims in [
            r#"{"sub":"a","sub":"a"}"#,
            r#"{"sub":"a","\u0073ub":"b"}"#,
            r#"{"cnf":{"jkt":"a","jkt":"b"}}"#,
            r#"{"a":[{"b":1,"b":1}]}"#,
            "[]",
            "{} {}",
        ] {
            assert_eq!(fault(&text("{}", claims)), JwsError::Claims, "{claims}");
        }
    }

    #[test]
    fn a_critical_header_and_what_is_no_token_is_refused() {
        assert_eq!(fault(&text(r#"{"crit":[]}"#, "{}")), JwsError::Critical);
        for none in ["", "a.b", "a.b.c.d"] {
            assert_eq!(fault(none), JwsError::Parts, "{none}");
        }
        // Base64 of other bits than the bytes have is another spelling of the same.
        assert_eq!(fault("e30.e30.AB"), JwsError::Signature);
        assert_eq!(fault("e31.e30.AA"), JwsError::Header);
        for error in [
            JwsError::Parts,
            JwsError::Header,
            JwsError::Claims,
            JwsError::Signature,
            JwsError::Critical,
        ] {
            assert_eq!(error.to_string(), error.rule());
        }
    }
}
