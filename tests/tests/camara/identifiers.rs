//! Who a question is about: the identifier rule, for tokens of both kinds.

use serde_json::json;

use crate::stage::{CHECK, Stage, north};

const ROAMING: &str = "/device-roaming-status/v1/retrieve";

#[tokio::test]
async fn a_token_about_a_number_says_it_and_a_body_does_not() {
    let stage = Stage::sandbox().await;
    let mut swapped = stage.asker_about(&north(1)).await;
    let told = swapped.ask(CHECK, &json!({ "maxAge": 24 })).await;
    assert_eq!(told.json(), json!({ "swapped": true }));
    let told = swapped.ask(ROAMING, &json!({})).await;
    assert_eq!(told.json()["roaming"], false);
    assert!(told.json().get("device").is_none());
    // The same number, and another one: they are not compared.
    for number in [north(1), north(2)] {
        let told = swapped.ask(CHECK, &json!({ "phoneNumber": number })).await;
        assert_eq!(told.word(), "422 UNNECESSARY_IDENTIFIER");
        let device = json!({ "device": { "phoneNumber": number } });
        let told = swapped.ask(ROAMING, &device).await;
        assert_eq!(told.word(), "422 UNNECESSARY_IDENTIFIER");
    }
    // What breaks the schema breaks it first.
    let told = swapped.ask(CHECK, &json!({ "phoneNumber": "1" })).await;
    assert_eq!(told.word(), "400 INVALID_ARGUMENT");
}

#[tokio::test]
async fn a_token_about_nobody_needs_a_number() {
    let stage = Stage::sandbox().await;
    let mut asker = stage.asker().await;
    let told = asker.ask(CHECK, &json!({})).await;
    assert_eq!(told.word(), "422 MISSING_IDENTIFIER");
    let told = asker.ask(ROAMING, &json!({})).await;
    assert_eq!(told.word(), "422 MISSING_IDENTIFIER");
    let other = json!({ "device": { "ipv6Address": "2001:db8::1" } });
    let told = asker.ask(ROAMING, &other).await;
    assert_eq!(told.word(), "422 UNSUPPORTED_IDENTIFIER");
    let told = asker.ask(ROAMING, &json!({ "device": {} })).await;
    assert_eq!(told.word(), "400 INVALID_ARGUMENT");
    // Of several identifiers the one that was used is told, and of one it is not.
    let several = json!({ "device": { "phoneNumber": north(6), "ipv6Address": "2001:db8::1" } });
    let told = asker.ask(ROAMING, &several).await.json();
    assert_eq!(told["device"], json!({ "phoneNumber": north(6) }));
    assert_eq!(told["roaming"], true);
    assert_eq!(told["countryCode"], 208);
    assert_eq!(told["countryName"], json!(["FR"]));
    let one = json!({ "device": { "phoneNumber": north(6) } });
    assert!(
        asker
            .ask(ROAMING, &one)
            .await
            .json()
            .get("device")
            .is_none()
    );
}
