//! JSON as strictly as the API files mean it: one value for each name, a few levels, and nothing
//! that two readers could take for two things (RFC 8259 section 4 leaves a name that comes twice to
//! each reader; here it is a mistake).

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// The most levels of a body: `device.ipv4Address.publicPort` needs three.
const DEPTH_MAX: u8 = 4;
/// The most members of one object or array.
const MEMBERS_MAX: usize = 16;

/// A value. Strings may be personal data, so there is no `Debug` that shows them.
#[derive(Clone, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// A whole number, also where it is written as `240.0`: JSON Schema counts that as an integer.
    Integer(i64),
    /// Any other number.
    Number(f64),
    Text(String),
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[json]")
    }
}

/// Why bytes are no body. It repeats nothing of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum JsonError {
    #[error("the body is empty: a JSON object is required, `{{}}` at the least")]
    Empty,
    #[error("the body is not UTF-8 (RFC 8259 section 8.1)")]
    NotUtf8,
    #[error("the body names one property twice")]
    Duplicate,
    #[error("the body is nested deeper than {DEPTH_MAX} levels")]
    Deep,
    #[error("the body has more than {MEMBERS_MAX} members in one object or array")]
    Wide,
    #[error("the body is not one whole JSON value")]
    Malformed,
}

/// Parses a whole body.
pub(super) fn parse(bytes: &[u8]) -> Result<Json, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|_| JsonError::NotUtf8)?;
    if text.trim_ascii().is_empty() {
        return Err(JsonError::Empty);
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let mut fault = None;
    let value = Level {
        left: DEPTH_MAX,
        fault: &mut fault,
    }
    .deserialize(&mut deserializer);
    match (value, fault) {
        (_, Some(fault)) => Err(fault),
        (Ok(value), None) if deserializer.end().is_ok() => Ok(value),
        (Ok(_) | Err(_), None) => Err(JsonError::Malformed),
    }
}

/// One level of a value, and how many may lie in it.
struct Level<'a> {
    left: u8,
    /// Which of our own rules was broken: serde's errors are texts.
    fault: &'a mut Option<JsonError>,
}

impl Level<'_> {
    fn broken<E: serde::de::Error>(self, fault: JsonError) -> E {
        *self.fault = Some(fault);
        E::custom("")
    }

    fn inner(&mut self) -> Option<Level<'_>> {
        Some(Level {
            left: self.left.checked_sub(1)?,
            fault: self.fault,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Json, E> {
        // More than any limit in an API file, so it is out of each of them.
        Ok(Json::Integer(i64::try_from(value).unwrap_or(i64::MAX)))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json, E> {
        // Beyond 2^53 a float is no certain integer; nothing here is as large.
        let whole = value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0;
        Ok(if whole {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "it is whole, and within 2^53"
            )]
            let integer = value as i64;
            Json::Integer(integer)
        } else {
            Json::Number(value)
        })
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut sequence: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        loop {
            let Some(inner) = self.inner() else {
                return Err(self.broken(JsonError::Deep));
            };
            let Some(member) = sequence.next_element_seed(inner)? else {
                return Ok(Json::Array(members));
            };
            if members.len() == MEMBERS_MAX {
                return Err(self.broken(JsonError::Wide));
            }
            members.push(member);
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Json, A::Error> {
        let mut members: Vec<(String, Json)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.iter().any(|(known, _)| *known == name) {
                return Err(self.broken(JsonError::Duplicate));
            }
            if members.len() == MEMBERS_MAX {
                return Err(self.broken(JsonError::Wide));
            }
            let Some(inner) = self.inner() else {
                return Err(self.broken(JsonError::Deep));
            };
            members.push((name, map.next_value_seed(inner)?));
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> JsonError {
        parse(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_body_is_read_as_it_stands() {
        let text = r#" {"phoneNumber":"+447700900001","maxAge":240,"x":[true,null,1.5]} "#;
        let text = parse(text.as_bytes()).unwrap();
        let Json::Object(members) = text else {
            panic!("no object");
        };
        let names: Vec<_> = members.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["phoneNumber", "maxAge", "x"]);
        assert!(members[1].1 == Json::Integer(240));
        assert!(members[2].1 == Json::Array(vec![Json::Bool(true), Json::Null, Json::Number(1.5)]));
        assert!(parse(b"240.0").unwrap() == Json::Integer(240));
        assert!(parse(b"99999999999999999999").unwrap() != Json::Integer(0));
    }

    #[test]
    fn what_two_readers_could_take_for_two_things_is_refused() {
        assert_eq!(fault(r#"{"a":1,"a":1}"#), JsonError::Duplicate);
        assert_eq!(fault(r#"{"a":1,"\u0061":2}"#), JsonError::Duplicate);
        assert_eq!(fault(r#"{"a":{"b":1,"b":2}}"#), JsonError::Duplicate);
        assert_eq!(fault(r#"{"a":1} {"a":2}"#), JsonError::Malformed);
        assert_eq!(fault(r#"{"a":1,}"#), JsonError::Malformed);
        assert_eq!(fault(r#"{"a":NaN}"#), JsonError::Malformed);
        assert_eq!(fault("{'a':1}"), JsonError::Malformed);
        assert_eq!(fault("{\"a\":\"\u{1}\"}"), JsonError::Malformed);
        assert_eq!(fault(r#"{"a":"\ud800"}"#), JsonError::Malformed);
        assert_eq!(fault(""), JsonError::Empty);
        assert_eq!(fault(" \n"), JsonError::Empty);
        assert_eq!(parse(b"{\"a\":\"\xff\"}").unwrap_err(), JsonError::NotUtf8);
        assert_eq!(parse(b"\xff\xfe{\0}\0").unwrap_err(), JsonError::NotUtf8);
    }

    #[test]
    fn depth_and_width_have_limits() {
        assert!(parse(b"[[[[1]]]]").is_ok());
        assert_eq!(fault("[[[[[1]]]]]"), JsonError::Deep);
        assert_eq!(fault(r#"{"a":{"a":{"a":{"a":{"a":1}}}}}"#), JsonError::Deep);
        assert_eq!(fault(&"[".repeat(4_000)), JsonError::Deep);
        let wide: Vec<_> = (0..17).map(|at| at.to_string()).collect();
        assert_eq!(fault(&format!("[{}]", wide.join(","))), JsonError::Wide);
    }

    #[test]
    fn nothing_of_a_body_is_repeated() {
        let text = r#"{"+447700900001":"+447700900001","+447700900001":1}"#;
        let error = fault(text);
        assert!(!format!("{error} {error:?}").contains("7700900001"));
        let value = parse(br#"{"phoneNumber":"+447700900001"}"#).unwrap();
        assert_eq!(format!("{value:?}"), "[json]");
    }
}
