//! What the description says, and where its references and links lead.

use super::*;

/// Every `$ref` of a document.
fn references(json: &Json, found: &mut Vec<String>) {
    match json {
        Json::Object(members) => {
            for (name, value) in members {
                match value.as_str() {
                    Some(to) if name == "$ref" => found.push(to.to_owned()),
                    _ => references(value, found),
                }
            }
        }
        Json::Array(members) => members.iter().for_each(|one| references(one, found)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document("https://broker.test");
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 50);
    for to in found {
        let pointer = to.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{to}");
    }
}

#[test]
fn every_operation_says_what_it_asks_answers_and_refuses() {
    let document = document("https://broker.test");
    for api in APIS {
        for endpoint in api.endpoints {
            let path = format!("{}{}", api.base, endpoint.path);
            let post = &document["paths"][&path]["post"];
            assert_eq!(post["operationId"], endpoint.id);
            let security = post["security"].as_array().unwrap();
            assert_eq!(security.len(), endpoint.operation.scopes().len());
            for status in ["200", "400", "401", "403", "404", "422", "429", "503"] {
                assert!(post["responses"][status].is_object(), "{path} {status}");
            }
            let schema = &post["requestBody"]["content"]["application/json"]["schema"];
            assert_eq!(schema["additionalProperties"], false, "{path}");
        }
    }
}

#[test]
fn an_answer_links_to_what_else_its_api_can_be_asked_about_the_number() {
    let document = document("https://broker.test");
    let links =
        &document["paths"]["/sim-swap/v2/retrieve-date"]["post"]["responses"]["200"]["links"];
    assert_eq!(links["checkSimSwap"]["operationId"], "checkSimSwap");
    let ids: Vec<_> = APIS
        .iter()
        .flat_map(|api| api.endpoints)
        .map(|endpoint| endpoint.id)
        .collect();
    for path in document["paths"].as_object().unwrap().values() {
        let links = &path["post"]["responses"]["200"]["links"];
        for link in links.as_object().into_iter().flat_map(Map::values) {
            let to = link["operationId"].as_str().unwrap();
            assert!(ids.contains(&to), "{to}");
        }
    }
}

#[test]
fn out_of_range_is_for_those_who_name_a_window_or_a_date() {
    for endpoint in APIS.iter().flat_map(|api| api.endpoints) {
        let named = endpoint.fields.iter().any(|field| match field {
            Field::MaxAge | Field::SpecifiedDate | Field::TenureDate => true,
            Field::Device | Field::PhoneNumber => false,
        });
        let codes = codes(endpoint);
        assert_eq!(codes.contains(&Code::OutOfRange), named, "{}", endpoint.id);
    }
}
