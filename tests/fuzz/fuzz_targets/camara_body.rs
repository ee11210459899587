//! Bodies of the CAMARA APIs, for the fields of every operation: what is taken is JSON to any other
//! reader too, says each name once and nothing that is not declared, and means what stands there.
//!
//! The door's own files are compiled here as they stand: they need nothing of the broker around them.

#![no_main]
#![allow(dead_code, reason = "the door uses more of them")]

#[path = "../../../broker/src/doors/camara/api/fields.rs"]
mod fields;
#[path = "../../../broker/src/doors/camara/api/json.rs"]
mod json;
#[path = "json.rs"]
mod names;
#[path = "../../../broker/src/doors/camara/api/table.rs"]
mod table;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    for endpoint in table::APIS.iter().flat_map(|api| api.endpoints) {
        let Ok(said) = fields::read(data, endpoint.fields) else {
            continue;
        };
        let body: Value = serde_json::from_slice(data).expect("it is JSON");
        let members = body.as_object().expect("it is an object");
        assert!(names::each_name_once(data));
        assert!(depth(&body) <= 5);
        for name in members.keys() {
            let declared = endpoint.fields.iter().any(|field| field.name() == name);
            assert!(declared, "what is not declared is taken");
        }
        let number = body
            .get("phoneNumber")
            .or_else(|| body.get("device")?.get("phoneNumber"));
        assert_eq!(number.and_then(Value::as_str), said.phone_number.as_deref());
        if let Some(number) = &said.phone_number {
            assert!((6..=16).contains(&number.len()) && number.starts_with('+'));
        }
        let hours = body.get("maxAge").and_then(Value::as_f64);
        assert_eq!(hours.is_some(), said.max_age.is_some());
        if let (Some(hours), Some(read)) = (hours, said.max_age) {
            assert!(read >= 1 && (hours == read as f64 || hours >= 9.0e18));
        }
        let date = ["specifiedDate", "tenureDate"]
            .into_iter()
            .find_map(|name| body.get(name));
        let read = said.date.map(|date| date.to_string());
        assert_eq!(date.and_then(Value::as_str), read.as_deref());
        assert_eq!(body.get("device").is_some(), said.device.is_some());
        if body.get("maxAge").is_some_and(Value::is_f64) {
            // The reader of JSON is off by the last digit of some long fractions.
            continue;
        }
        let again = serde_json::to_vec(&body).expect("it is JSON");
        assert!(fields::read(&again, endpoint.fields) == Ok(said));
    }
});

fn depth(value: &Value) -> usize {
    let inner = match value {
        Value::Array(values) => values.iter().map(depth).max(),
        Value::Object(members) => members.values().map(depth).max(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return 1,
    };
    1 + inner.unwrap_or(0)
}
