//! From a body to what it says, by the fields that an operation declares.
//!
//! A property that is not declared, at any depth, breaks the schema (CAMARA Commonalities 0.8.0:
//! "strict bodies"; the older files leave it open, and a client that misspells `maxAge` would be told
//! about another window than it believes). No message repeats anything of a body: even the name of a
//! property could be a phone number.

use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::civil::Date;

use super::{
    json::{Json, JsonError, parse},
    table::Field,
};

/// The `maxAge` of a body that has none, hours.
pub(super) const MAX_AGE_HOURS_DEFAULT: u32 = 240;
/// The most bytes of a network access identifier (RFC 7542 section 2.2: 253 and a few).
const IDENTIFIER_BYTES_MAX: usize = 256;

/// What a body says.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// A phone number, well formed as CAMARA has it: `^\+[1-9][0-9]{4,14}$`.
    pub(super) phone_number: Option<String>,
    /// Hours, 1 or more; beyond what CAMARA allows it is out of range, not malformed.
    pub(super) max_age: Option<i64>,
    /// `specifiedDate` or `tenureDate`.
    pub(super) date: Option<Date>,
    /// `device` is there.
    pub(super) device: Option<Device>,
}

impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[body]")
    }
}

/// What stands in `device`, besides the phone number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Device {
    /// How many identifiers it has, the number among them.
    pub(super) identifiers: usize,
}

/// Why a body breaks the schema of its operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SchemaError {
    #[error("{0}")]
    Json(#[from] JsonError),
    #[error("the body is not a JSON object")]
    NotAnObject,
    #[error("the body has a property that this operation does not declare; it declares {declared}")]
    Undeclared { declared: String },
    #[error("`{0}` is required")]
    Missing(&'static str),
    #[error("`{field}` {rule}")]
    Rule {
        field: &'static str,
        rule: &'static str,
    },
}

const PHONE_RULE: &str = "is a string: `+`, a digit from 1 to 9 and 4 to 14 more digits";
const DATE_RULE: &str = "is a string with a calendar date (RFC 3339 full-date), such as 2024-01-31";
const AGE_RULE: &str = "is a whole number of hours, 1 or more";
const DEVICE_RULE: &str = "is an object with at least one of `phoneNumber`, `networkAccessIdentifier`, \
                           `ipv4Address` and `ipv6Address`, and nothing else";
const IPV4_RULE: &str = "is an object with `publicAddress` and one of `privateAddress` and \
                         `publicPort`, IPv4 addresses and a port, and nothing else";
const IPV6_RULE: &str = "is a string with an IPv6 address";
const NAI_RULE: &str = "is a string of 1 to 256 bytes";

/// Reads a body.
pub(super) fn read(bytes: &[u8], declared: &[Field]) -> Result<Said, SchemaError> {
    let Json::Object(members) = parse(bytes)? else {
        return Err(SchemaError::NotAnObject);
    };
    let mut said = Said::default();
    for (name, value) in &members {
        let field = declared.iter().find(|field| field.name() == name);
        let field = field.ok_or_else(|| undeclared(declared))?;
        read_field(*field, value, &mut said)?;
    }
    let missing = declared
        .iter()
        .find(|field| field.is_required() && !members.iter().any(|(name, _)| name == field.name()));
    match missing {
        Some(field) => Err(SchemaError::Missing(field.name())),
        None => Ok(said),
    }
}

fn undeclared(declared: &[Field]) -> SchemaError {
    let names: Vec<_> = declared
        .iter()
        .map(|field| format!("`{}`", field.name()))
        .collect();
    let declared = names.join(", ");
    SchemaError::Undeclared { declared }
}

fn read_field(field: Field, value: &Json, said: &mut Said) -> Result<(), SchemaError> {
    let broken = |rule| {
        let field = field.name();
        SchemaError::Rule { field, rule }
    };
    match field {
        Field::PhoneNumber => said.phone_number = Some(phone_number(value)?),
        // CAMARA's tests take 100 000 for out of range although the schema's `maximum` is broken
        // too. Zero and less are no age at all: malformed.
        Field::MaxAge => match value {
            Json::Integer(hours) if *hours >= 1 => said.max_age = Some(*hours),
            Json::Integer(_)
            | Json::Null
            | Json::Bool(_)
            | Json::Number(_)
            | Json::Text(_)
            | Json::Array(_)
            | Json::Object(_) => return Err(broken(AGE_RULE)),
        },
        Field::SpecifiedDate | Field::TenureDate => {
            said.date = Some(date(value).ok_or_else(|| broken(DATE_RULE))?);
        }
        Field::Device => {
            let Json::Object(identifiers) = value else {
                return Err(broken(DEVICE_RULE));
            };
            said.phone_number = device(identifiers)?;
            let identifiers = identifiers.len();
            said.device = Some(Device { identifiers });
        }
    }
    Ok(())
}

fn text(value: &Json) -> Option<&str> {
    match value {
        Json::Text(text) => Some(text),
        Json::Null
        | Json::Bool(_)
        | Json::Integer(_)
        | Json::Number(_)
        | Json::Array(_)
        | Json::Object(_) => None,
    }
}

fn phone_number(value: &Json) -> Result<String, SchemaError> {
    let well_formed = |number: &&str| {
        let digits = number.strip_prefix('+').unwrap_or_default();
        (5..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0')
    };
    let rule = || SchemaError::Rule {
        field: Field::PhoneNumber.name(),
        rule: PHONE_RULE,
    };
    let number = text(value).filter(well_formed).ok_or_else(rule)?;
    Ok(number.to_owned())
}

fn date(value: &Json) -> Option<Date> {
    let text = text(value)?;
    // jiff reads more spellings than RFC 3339 has.
    let full_date = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    full_date.then(|| text.parse().ok()).flatten()
}

/// The number of a `device`, if it has one; the other identifiers only need to be well formed.
fn device(identifiers: &[(String, Json)]) -> Result<Option<String>, SchemaError> {
    let broken = |field, rule| SchemaError::Rule { field, rule };
    if identifiers.is_empty() {
        return Err(broken(Field::Device.name(), DEVICE_RULE));
    }
    let mut number = None;
    for (name, value) in identifiers {
        match name.as_str() {
            "phoneNumber" => number = Some(phone_number(value)?),
            "networkAccessIdentifier" => text(value)
                .filter(|text| (1..=IDENTIFIER_BYTES_MAX).contains(&text.len()))
                .map(drop)
                .ok_or_else(|| broken("device.networkAccessIdentifier", NAI_RULE))?,
            "ipv4Address" => {
                ipv4_address(value).ok_or_else(|| broken("device.ipv4Address", IPV4_RULE))?;
            }
            "ipv6Address" => text(value)
                .filter(|text| text.parse::<Ipv6Addr>().is_ok())
                .map(drop)
                .ok_or_else(|| broken("device.ipv6Address", IPV6_RULE))?,
            _ => return Err(broken(Field::Device.name(), DEVICE_RULE)),
        }
    }
    Ok(number)
}

fn ipv4_address(value: &Json) -> Option<()> {
    let Json::Object(members) = value else {
        return None;
    };
    let (mut public, mut other) = (false, false);
    for (name, value) in members {
        let address = || text(value).and_then(|text| text.parse::<Ipv4Addr>().ok());
        match name.as_str() {
            "publicAddress" => public = address().is_some(),
            "privateAddress" => other = address().map(|_| true)?,
            "publicPort" => other = port(value).map(|()| true)?,
            _ => return None,
        }
    }
    (public && other).then_some(())
}

fn port(value: &Json) -> Option<()> {
    match value {
        Json::Integer(0..=65_535) => Some(()),
        Json::Integer(_)
        | Json::Null
        | Json::Bool(_)
        | Json::Number(_)
        | Json::Text(_)
        | Json::Array(_)
        | Json::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECK: &[Field] = &[Field::PhoneNumber, Field::MaxAge];
    const TENURE: &[Field] = &[Field::PhoneNumber, Field::TenureDate];

    fn said(text: &str, declared: &[Field]) -> Said {
        read(text.as_bytes(), declared).unwrap()
    }

    fn refused(text: &str, declared: &[Field]) -> String {
        read(text.as_bytes(), declared).unwrap_err().to_string()
    }

    #[test]
    fn what_the_schema_allows_is_read() {
        let whole = said(r#"{"phoneNumber":"+447700900001","maxAge":24}"#, CHECK);
        assert_eq!(whole.phone_number.as_deref(), Some("+447700900001"));
        assert_eq!(whole.max_age, Some(24));
        assert_eq!(said("{}", CHECK), Said::default());
        // The shortest and the longest of CAMARA's numbers.
        for number in ["+12345", "+123456789012345"] {
            let body = format!(r#"{{"phoneNumber":"{number}"}}"#);
            assert_eq!(said(&body, CHECK).phone_number.as_deref(), Some(number));
        }
        // Out of range is told apart from malformed, and decided later.
        assert_eq!(said(r#"{"maxAge":100000}"#, CHECK).max_age, Some(100_000));
        let date = said(r#"{"tenureDate":"2024-02-29"}"#, TENURE).date.unwrap();
        assert_eq!(date.to_string(), "2024-02-29");
    }

    #[test]
    fn what_the_schema_does_not_allow_is_refused_by_its_rule() {
        for body in [
            r#"{"phoneNumber":"447700900001"}"#,
            r#"{"phoneNumber":"+0447700900001"}"#,
            r#"{"phoneNumber":"+1234"}"#,
            r#"{"phoneNumber":"+1234567890123456"}"#,
            r#"{"phoneNumber":"+44 7700900001"}"#,
            r#"{"phoneNumber":"+44770090000١"}"#,
            r#"{"phoneNumber":""}"#,
            r#"{"phoneNumber":null}"#,
            r#"{"phoneNumber":447700900001}"#,
            r#"{"phoneNumber":["+447700900001"]}"#,
        ] {
            assert_eq!(refused(body, CHECK), format!("`phoneNumber` {PHONE_RULE}"));
        }
        for body in [
            r#"{"maxAge":0}"#,
            r#"{"maxAge":-1}"#,
            r#"{"maxAge":1.5}"#,
            r#"{"maxAge":"24"}"#,
            r#"{"maxAge":true}"#,
            r#"{"maxAge":null}"#,
        ] {
            assert_eq!(refused(body, CHECK), format!("`maxAge` {AGE_RULE}"));
        }
        for date in [
            "2023-02-29",
            "2024-1-31",
            "20240131",
            "2024-01-31T00:00:00Z",
            "",
        ] {
            let body = format!(r#"{{"tenureDate":"{date}"}}"#);
            assert_eq!(refused(&body, TENURE), format!("`tenureDate` {DATE_RULE}"));
        }
        assert_eq!(refused("{}", TENURE), "`tenureDate` is required");
        for body in ["[]", "1", "null", r#""{}""#] {
            assert_eq!(refused(body, CHECK), "the body is not a JSON object");
        }
    }

    #[test]
    fn a_property_that_is_not_declared_is_refused_and_not_repeated() {
        let error = refused(r#"{"+447700900001":1}"#, CHECK);
        assert_eq!(
            error,
            "the body has a property that this operation does not declare; it declares \
             `phoneNumber`, `maxAge`"
        );
        // What another operation declares, this one does not.
        assert_eq!(refused(r#"{"maxAge":24}"#, TENURE).find("24"), None);
        assert!(read(br#"{"device":{}}"#, CHECK).is_err());
    }

    #[test]
    fn a_device_may_have_four_identifiers_and_each_is_well_formed() {
        let device = &[Field::Device];
        let read_device = |inner: &str| read(format!(r#"{{"device":{inner}}}"#).as_bytes(), device);
        let all = r#"{"phoneNumber":"+447700900001","networkAccessIdentifier":"a@b.example",
            "ipv4Address":{"publicAddress":"192.0.2.1","publicPort":59765},
            "ipv6Address":"2001:db8::1"}"#;
        let whole = read_device(all).unwrap();
        assert_eq!(whole.device, Some(Device { identifiers: 4 }));
        assert_eq!(whole.phone_number.as_deref(), Some("+447700900001"));
        let unsupported = read_device(r#"{"ipv6Address":"2001:db8::1"}"#).unwrap();
        assert_eq!(unsupported.phone_number, None);
        assert_eq!(said("{}", device).device, None);
        for broken in [
            "{}",
            "[]",
            "null",
            r#"{"imei":"x"}"#,
            r#"{"phoneNumber":"+1"}"#,
            r#"{"networkAccessIdentifier":""}"#,
            r#"{"networkAccessIdentifier":7}"#,
            r#"{"ipv6Address":"192.0.2.1"}"#,
            r#"{"ipv4Address":"192.0.2.1"}"#,
            r#"{"ipv4Address":{"publicAddress":"192.0.2.1"}}"#,
            r#"{"ipv4Address":{"publicAddress":"192.0.2.256","publicPort":1}}"#,
            r#"{"ipv4Address":{"publicPort":1,"privateAddress":"10.0.0.1"}}"#,
            r#"{"ipv4Address":{"publicAddress":"192.0.2.1","publicPort":65536}}"#,
            r#"{"ipv4Address":{"publicAddress":"192.0.2.1","publicPort":1,"x":1}}"#,
        ] {
            assert!(read_device(broken).is_err(), "{broken}");
        }
    }
}
