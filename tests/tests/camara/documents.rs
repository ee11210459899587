//! What the door says of itself, held against what it does.

use accord_adapters::virtual_operator::TEST_NUMBERS;
use serde_json::{Value as Json, json};

use crate::{
    client::Told,
    schema::hold,
    stage::{Stage, north},
};

/// Holds an answer against what the document says of its operation.
fn hold_answer(document: &Json, path: &str, method: &str, told: &Told) {
    let responses = &document["paths"][path][method]["responses"];
    let response = &responses[told.status.to_string()];
    assert!(
        response.is_object(),
        "{path}: {} is not documented",
        told.status
    );
    let schema = &response["content"]["application/json"]["schema"];
    hold(schema, &told.json(), path);
    for name in told.headers.keys() {
        let name = name.as_str();
        if name.starts_with("accord-") || name.starts_with("x-") {
            let mut documented = document["components"]["headers"]
                .as_object()
                .unwrap()
                .keys();
            assert!(
                documented.any(|known| known.eq_ignore_ascii_case(name)),
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn the_door_answers_as_its_document_says() {
    let stage = Stage::sandbox().await;
    let mut asker = stage.asker().await;
    let told = asker.get("/openapi.json").await;
    assert_eq!(told.header("content-type"), "application/json");
    let document = told.json();
    assert_eq!(document["openapi"], "3.1.0");
    let url = stage.world.files.camara_url().unwrap();
    assert_eq!(document["servers"][0]["url"], url);
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(post) = item.get("post") else {
            continue;
        };
        let schema = &post["requestBody"]["content"]["application/json"]["schema"];
        let properties = schema["properties"].as_object().unwrap();
        for number in TEST_NUMBERS {
            let number = north(number.digits);
            let mut body = serde_json::Map::new();
            for name in properties.keys() {
                let value = match name.as_str() {
                    "phoneNumber" => json!(number),
                    "device" => json!({ "phoneNumber": number }),
                    "maxAge" => json!(72),
                    "specifiedDate" | "tenureDate" => json!("2025-01-31"),
                    other => panic!("{other}"),
                };
                body.insert(name.clone(), value);
            }
            let told = asker.ask(path, &body.into()).await;
            hold_answer(&document, path, "post", &told);
        }
        // Every property that is declared required is, and none that is not declared is taken.
        for body in [
            json!({ "undeclared": 1 }),
            json!({ "phoneNumber": 1 }),
            json!([]),
        ] {
            let told = asker.ask(path, &body).await;
            assert_eq!(told.word(), "400 INVALID_ARGUMENT", "{path} {body}");
            hold_answer(&document, path, "post", &told);
        }
        let told = asker.door.send("POST", path, &[], b"").await;
        assert_eq!(told.word(), "401 UNAUTHENTICATED");
        hold_answer(&document, path, "post", &told);
    }
}

#[tokio::test]
async fn the_reference_page_is_for_everybody_and_loads_nothing() {
    let stage = Stage::sandbox().await;
    let mut door = stage.connect("second-bank", false).await;
    for path in ["/", "/docs"] {
        let told = door.send("GET", path, &[], b"").await;
        assert_eq!(told.status, 200);
        assert_eq!(told.header("content-type"), "text/html; charset=utf-8");
        let policy = told.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        let page = String::from_utf8(told.body.to_vec()).unwrap();
        assert!(page.contains("POST /sim-swap/v2/check"));
    }
    let told = door.send("HEAD", "/docs", &[], b"").await;
    assert_eq!((told.status, told.body.len()), (200, 0));
}

#[tokio::test]
async fn the_coverage_says_what_may_be_asked_and_that_is_answered() {
    let stage = Stage::sandbox().await;
    let mut asker = stage.asker().await;
    let document = asker.get("/openapi.json").await.json();
    let told = asker.get("/accord/v1/coverage").await;
    hold_answer(&document, "/accord/v1/coverage", "get", &told);
    let coverage = told.json();
    assert_eq!(coverage["agreement"]["id"], "SANDBOX-2026-1");
    let operators = coverage["operators"].as_array().unwrap();
    assert_eq!(operators.len(), 2);
    let mut asked = 0;
    for operator in operators {
        let range = operator["ranges"][0].as_str().unwrap();
        let number = format!("{range}000");
        for permission in operator["permissions"].as_array().unwrap() {
            assert_eq!(permission["purpose"], "payment");
            for path in permission["paths"].as_array().unwrap() {
                let body = match permission["signal"].as_str().unwrap() {
                    "roaming" => json!({ "device": { "phoneNumber": number } }),
                    "tenure" => json!({ "phoneNumber": number, "tenureDate": "2025-01-31" }),
                    "number_recycling" => {
                        json!({ "phoneNumber": number, "specifiedDate": "2025-01-31" })
                    }
                    _ => json!({ "phoneNumber": number }),
                };
                let told = asker.ask(path.as_str().unwrap(), &body).await;
                assert_eq!(told.status, 200, "{path}: {told:?}");
                asked += 1;
            }
        }
    }
    // Every operation of every API, of two operators.
    let posts = document["paths"].as_object().unwrap().len() - 1;
    assert_eq!(asked, 2 * posts);
    let told = asker
        .door
        .send("GET", "/accord/v1/coverage", &[], b"")
        .await;
    assert_eq!(told.word(), "401 UNAUTHENTICATED");
    // Another bank's is another.
    let mut stranger = stage.connect("first-bank", true).await;
    let bearer = format!("Bearer {}", asker.token);
    let headers = [("authorization", bearer.as_str())];
    let told = stranger
        .send("GET", "/accord/v1/coverage", &headers, b"")
        .await;
    assert_eq!(told.word(), "401 UNAUTHENTICATED");
}
