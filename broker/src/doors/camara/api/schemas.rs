//! The shapes of bodies, as JSON Schema (2020-12, which OpenAPI 3.1 uses). From the same words that
//! the reader and the translator use; a test holds real answers against them.

use accord_proto::camara::MAX_AGE_HOURS_MAX;
use serde_json::{Value as Json, json};

use super::{
    answer::{CONDITIONS, NULL_CODES},
    fields::MAX_AGE_HOURS_DEFAULT,
    headers::CORRELATOR_LEN_MAX,
    problem::MESSAGE_LEN_MAX,
    table::{Answers, Field},
};

/// The schema of a request's body.
pub(super) fn request(fields: &[Field]) -> Json {
    let properties: serde_json::Map<_, _> = fields
        .iter()
        .map(|field| (field.name().to_owned(), property(*field)))
        .collect();
    let required: Vec<_> = fields
        .iter()
        .filter(|field| field.is_required())
        .map(|field| field.name())
        .collect();
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if let (false, Some(members)) = (required.is_empty(), schema.as_object_mut()) {
        members.insert("required".to_owned(), required.into());
    }
    schema
}

fn property(field: Field) -> Json {
    match field {
        Field::PhoneNumber => phone_number(),
        Field::MaxAge => json!({
            "type": "integer",
            "format": "int32",
            "minimum": 1,
            "maximum": MAX_AGE_HOURS_MAX,
            "default": MAX_AGE_HOURS_DEFAULT,
            "description": "Hours. Longer than the clause offers, or than was watched, is OUT_OF_RANGE.",
        }),
        Field::SpecifiedDate => date("Did the holder change after this day (UTC)?"),
        Field::TenureDate => date("Has the same holder held the number since this day (UTC)?"),
        Field::Device => device(),
    }
}

fn phone_number() -> Json {
    json!({
        "type": "string",
        "pattern": r"^\+[1-9][0-9]{4,14}$",
        "maxLength": 16,
        "description": "E.164 with `+`. Given with a 2-legged token, and never with a 3-legged one.",
    })
}

fn date(description: &str) -> Json {
    json!({
        "type": "string",
        "format": "date",
        "minLength": 10,
        "maxLength": 10,
        "description": description,
    })
}

fn device() -> Json {
    let ipv4 = json!({ "type": "string", "format": "ipv4", "maxLength": 15 });
    json!({
        "type": "object",
        "minProperties": 1,
        "additionalProperties": false,
        "description": "`phoneNumber` alone is supported; of several identifiers it is the one used.",
        "properties": {
            "phoneNumber": phone_number(),
            "networkAccessIdentifier": { "type": "string", "minLength": 1, "maxLength": 256 },
            "ipv4Address": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "publicAddress": ipv4,
                    "privateAddress": ipv4,
                    "publicPort": { "type": "integer", "format": "int32", "minimum": 0, "maximum": 65_535 },
                },
                "required": ["publicAddress"],
                "anyOf": [{ "required": ["privateAddress"] }, { "required": ["publicPort"] }],
            },
            "ipv6Address": { "type": "string", "format": "ipv6", "maxLength": 45 },
        },
    })
}

/// The schema of an answer's body.
pub(super) fn answer(answers: Answers) -> Json {
    match answers {
        Answers::Swapped => yes_no("swapped", "Whether it changed within `maxAge`."),
        Answers::Active => yes_no("active", "Whether all calls are forwarded."),
        Answers::Recycled => yes_no(
            "phoneNumberRecycled",
            "Whether the holder changed after `specifiedDate`.",
        ),
        Answers::Tenure => yes_no(
            "tenureDateCheck",
            "Whether the holder is the same since `tenureDate`. The kind of the contract is never told.",
        ),
        Answers::LatestSimChange => latest("latestSimChange"),
        Answers::LatestDeviceChange => latest("latestDeviceChange"),
        Answers::AgeBand => age_band(),
        Answers::Forwardings => json!({
            "type": "array",
            "minItems": 1,
            "maxItems": CONDITIONS.len(),
            "uniqueItems": true,
            "items": { "type": "string", "enum": CONDITIONS },
            "description": "`inactive` stands alone. A voice mail is a destination like another.",
        }),
        Answers::Roaming => roaming(),
    }
}

fn yes_no(name: &str, description: &str) -> Json {
    object(
        &[name],
        json!({ name: { "type": "boolean", "description": description } }),
    )
}

fn object(required: &[&str], properties: Json) -> Json {
    json!({
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": false,
    })
}

fn latest(name: &str) -> Json {
    object(
        &[name],
        json!({
            name: {
                "type": ["string", "null"],
                "format": "date-time",
                "maxLength": 64,
                "description": "The latest moment at which the last change can have been. `null` never \
                    stands for a change that is known to be less than a day old.",
            },
            "monitoredPeriod": {
                "type": "integer",
                "format": "int32",
                "minimum": 1,
                "maximum": 999,
                "description": "With `null`: no change in so many days.",
            },
            "contextCode": {
                "type": "string",
                "enum": NULL_CODES,
                "description": "With `null`: there never was a change, what was before is not known, or \
                    the agreement allows no date.",
            },
            "contextMessage": { "type": "string", "maxLength": MESSAGE_LEN_MAX },
        }),
    )
}

fn age_band() -> Json {
    let bands: Vec<_> = (1..=17).chain([111]).collect();
    object(
        &["ageBand"],
        json!({
            "ageBand": {
                "type": "integer",
                "enum": bands,
                "description": "The youngest that it can be: 1 is 0–4 h, 2 4–12 h, 3 12–24 h, 4 1–2 \
                    days, 5 2–3, 6 3–4, 7 4–5, 8 5–7, 9 7–14, 10 14–30, 11 30–60, 12 60–90, 13 90–180 \
                    days, 14 180–365, 15 1–2 years, 16 2–3, 17 older. 111: there never was a change.",
            },
            "ageBandHighest": {
                "type": "integer",
                "enum": bands,
                "description": "The oldest that it can be, where that is another band; 111 where there \
                    may never have been a change.",
            },
        }),
    )
}

fn roaming() -> Json {
    object(
        &["lastStatusTime", "roaming"],
        json!({
            "device": object(&["phoneNumber"], json!({ "phoneNumber": phone_number() })),
            "lastStatusTime": { "type": "string", "format": "date-time", "maxLength": 64 },
            "roaming": { "type": "boolean" },
            "countryCode": {
                "type": "integer",
                "format": "int32",
                "minimum": 1,
                "maximum": 999,
                "description": "Mobile country code (ITU-T E.212) of the visited network.",
            },
            "countryName": {
                "type": "array",
                "maxItems": 16,
                "items": { "type": "string", "pattern": "^[A-Z]{2}$", "maxLength": 2 },
                "description": "The countries of that code (ISO 3166-1 alpha-2); none for some codes.",
            },
        }),
    )
}

/// The schema of an error with one of these codes.
pub(super) fn error(status: u16, codes: &[&str]) -> Json {
    object(
        &["status", "code", "message"],
        json!({
            "status": { "type": "integer", "format": "int32", "const": status },
            "code": { "type": "string", "maxLength": 96, "enum": codes },
            "message": { "type": "string", "maxLength": MESSAGE_LEN_MAX },
        }),
    )
}

/// The schema of `x-correlator`.
pub(super) fn correlator() -> Json {
    json!({
        "type": "string",
        "pattern": r"^[a-zA-Z0-9-_:;.\/<>{}]{0,256}$",
        "maxLength": CORRELATOR_LEN_MAX,
    })
}
