//! The part of JSON Schema that the door's document uses.

use serde_json::Value as Json;

/// Holds a value against a schema.
pub(crate) fn hold(schema: &Json, value: &Json, at: &str) {
    for (word, rule) in schema.as_object().unwrap() {
        match word.as_str() {
            "type" => assert!(is_of(rule, value), "{at}: {value} is no {rule}"),
            "enum" => assert!(rule.as_array().unwrap().contains(value), "{at}: {value}"),
            "const" => assert_eq!(rule, value, "{at}"),
            "minimum" => assert!(value.as_i64() >= rule.as_i64(), "{at}: {value}"),
            "maximum" => assert!(value.as_i64() <= rule.as_i64(), "{at}: {value}"),
            "maxLength" => {
                // Of an array of types, `null` has no length.
                let len = value.as_str().map_or(0, str::len);
                assert!(len as u64 <= rule.as_u64().unwrap(), "{at}: {value}");
            }
            "minItems" | "maxItems" | "uniqueItems" | "items" => array(word, rule, value, at),
            "required" | "properties" | "additionalProperties" => object(word, schema, value, at),
            "anyOf" => {
                let fits = |schema: &Json| match schema.get("const") {
                    Some(only) => only == value,
                    None => is_of(&schema["type"], value),
                };
                assert!(rule.as_array().unwrap().iter().any(fits), "{at}: {value}");
            }
            "format" | "pattern" | "description" | "default" => {}
            other => panic!("{at}: the test does not know `{other}`"),
        }
    }
}

fn is_of(kinds: &Json, value: &Json) -> bool {
    let kind = match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(number) if number.is_i64() => "integer",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    };
    match kinds.as_array() {
        Some(kinds) => kinds.iter().any(|one| one == kind),
        None => kinds == kind,
    }
}

fn array(word: &str, rule: &Json, value: &Json, at: &str) {
    let items = value.as_array().unwrap();
    match word {
        "minItems" => assert!(
            items.len() as u64 >= rule.as_u64().unwrap(),
            "{at}: {value}"
        ),
        "maxItems" => assert!(
            items.len() as u64 <= rule.as_u64().unwrap(),
            "{at}: {value}"
        ),
        "uniqueItems" => {
            for (place, item) in items.iter().enumerate() {
                assert!(!items[..place].contains(item), "{at}: {value}");
            }
        }
        _ => items.iter().for_each(|item| hold(rule, item, at)),
    }
}

fn object(word: &str, schema: &Json, value: &Json, at: &str) {
    let members = value.as_object().unwrap();
    let rule = &schema[word];
    match word {
        "required" => {
            for name in rule.as_array().unwrap() {
                let name = name.as_str().unwrap();
                assert!(members.contains_key(name), "{at}: no `{name}` in {value}");
            }
        }
        "properties" => {
            for (name, schema) in rule.as_object().unwrap() {
                if let Some(inner) = members.get(name) {
                    hold(schema, inner, &format!("{at}.{name}"));
                }
            }
        }
        _ => {
            assert_eq!(*rule, false, "{at}");
            let declared = schema["properties"].as_object().unwrap();
            for name in members.keys() {
                assert!(
                    declared.contains_key(name),
                    "{at}: `{name}` is not declared"
                );
            }
        }
    }
}
