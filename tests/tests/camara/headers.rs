//! Correlation, content negotiation, paths and methods, and the receipt.

use accord_proto::v1::entry::Event;
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::json;

use crate::stage::{CHECK, RETRIEVE_DATE, Stage, north};

fn body() -> Vec<u8> {
    json!({ "phoneNumber": north(0) }).to_string().into_bytes()
}

#[tokio::test]
async fn a_correlation_id_comes_back_is_made_or_is_refused() {
    let stage = Stage::sandbox().await;
    let mut asker = stage.asker().await;
    let id = "b4333c46-49c0-4f62-80d7-f0ef930f1c46";
    for path in [CHECK, "/nowhere"] {
        let told = asker.ask_with(path, &[("x-correlator", id)], &body()).await;
        assert_eq!(told.header("x-correlator"), id, "{path}");
    }
    let first = asker.ask_with(CHECK, &[], &body()).await;
    let second = asker.ask_with(CHECK, &[], &body()).await;
    assert_eq!(first.header("x-correlator").len(), 32);
    assert_ne!(first.header("x-correlator"), second.header("x-correlator"));
    let long = "a".repeat(257);
    for wrong in [long.as_str(), "a b"] {
        let told = asker
            .ask_with(CHECK, &[("x-correlator", wrong)], &body())
            .await;
        assert_eq!(told.word(), "400 INVALID_ARGUMENT");
        assert_ne!(told.header("x-correlator"), wrong);
    }
}

#[tokio::test]
async fn paths_methods_and_media_types_have_their_errors() {
    let stage = Stage::sandbox().await;
    let mut asker = stage.asker().await;
    for path in [
        "/sim-swap/v3/check",
        "/sim-swap/v2/check/",
        "/sim-swap/v2",
        "/x",
    ] {
        let told = asker.ask_with(path, &[], &body()).await;
        assert_eq!(told.word(), "404 NOT_FOUND", "{path}");
    }
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let told = asker.door.send(method, CHECK, &[], b"").await;
        assert_eq!(told.word(), "405 METHOD_NOT_ALLOWED", "{method}");
        assert_eq!(told.header("allow"), "POST");
    }
    let told = asker.door.send("POST", "/openapi.json", &[], b"").await;
    assert_eq!(told.word(), "405 METHOD_NOT_ALLOWED");
    assert_eq!(told.header("allow"), "GET, HEAD");
    let told = asker
        .ask_with(CHECK, &[("accept", "text/html")], &body())
        .await;
    assert_eq!(told.word(), "406 NOT_ACCEPTABLE");
    let told = asker
        .ask_with(CHECK, &[("accept", "*/*;q=0.1")], &body())
        .await;
    assert_eq!(told.word(), "200");
    let bearer = format!("Bearer {}", asker.token);
    for kind in [
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
    ] {
        let headers = [("authorization", bearer.as_str()), ("content-type", kind)];
        let told = asker.door.send("POST", CHECK, &headers, &body()).await;
        assert_eq!(told.word(), "415 UNSUPPORTED_MEDIA_TYPE", "{kind}");
    }
    let headers = [("authorization", bearer.as_str())];
    let told = asker.door.send("POST", CHECK, &headers, &body()).await;
    assert_eq!(told.word(), "400 INVALID_ARGUMENT");
    let told = asker
        .ask_with(&format!("{CHECK}?maxAge=1"), &[], &body())
        .await;
    assert_eq!(told.word(), "400 INVALID_ARGUMENT");
}

#[tokio::test]
async fn a_receipt_in_headers_proves_the_answer() {
    let stage = Stage::sandbox().await;
    let mut asker = stage.asker().await;
    let kind = [("accord-receipt-kind", "proof")];
    for (path, digits) in [(CHECK, 1), (RETRIEVE_DATE, 1), (CHECK, 15)] {
        let body = json!({ "phoneNumber": north(digits) }).to_string();
        let told = asker.ask_with(path, &kind, body.as_bytes()).await;
        let receipt = told.header("accord-receipt");
        let origin = receipt.split('"').nth(1).unwrap();
        let index = receipt.split("index=").nth(1).unwrap();
        let index: u64 = index.split(',').next().unwrap().parse().unwrap();
        let leaf = receipt.split("leaf=:").nth(1).unwrap();
        let auditor = stage.world.authority().unwrap();
        let entry = auditor.entry(origin, index).await.unwrap();
        let of_entry = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, entry.leaf_hash());
        assert_eq!(leaf.trim_end_matches(':'), of_entry);
        let Some(Event::Access(access)) = entry.entry.event else {
            panic!("no access");
        };
        let told_bytes = [told.bytes("accord-nonce"), told.bytes("accord-answer")].concat();
        assert_eq!(
            digest(&SHA256, &told_bytes).as_ref(),
            access.answer_digest.as_slice()
        );
        let proof = String::from_utf8(told.bytes("accord-proof")).unwrap();
        assert!(proof.starts_with("c2sp.org/tlog-proof@v1\n"), "{proof}");
    }
    let short = asker.ask_with(CHECK, &[], &body()).await;
    assert_eq!(short.header("accord-proof"), "");
}
