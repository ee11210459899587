//! A client library of CAMARA that a vendor publishes, and an OAuth client, both unmodified: told the
//! door's address and the client's credentials, and nothing else.

use serde_json::{Value, json};

use crate::python::{Bench, text};

async fn told(bench: &Bench, number: &str) -> Value {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/camara_tools/library.py");
    let output = bench.run("python3", [program, number]).await;
    assert!(output.status.success(), "{}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
#[ignore = "needs python3 and packages of PyPI"]
async fn a_vendors_client_library_works_unmodified() {
    let bench = Bench::new().await;
    let quiet = told(&bench, "+447700900000").await;
    assert_eq!(quiet["sim_swapped"], json!({"swapped": false}), "{quiet}");
    assert_eq!(quiet["device_swapped"], json!({"swapped": false}));
    assert_eq!(quiet["forwarded"], json!({"active": false}));
    assert_eq!(quiet["recycled"], json!({"phoneNumberRecycled": false}));
    assert_eq!(quiet["tenure"]["tenureDateCheck"], true);
    let swapped = told(&bench, "+447700900001").await;
    assert_eq!(
        swapped["sim_swapped"],
        json!({"swapped": true}),
        "{swapped}"
    );
    assert!(swapped["sim_date"]["latestSimChange"].is_string());
    let forwarded = told(&bench, "+447700900004").await;
    assert_eq!(
        forwarded["forwarded"],
        json!({"active": true}),
        "{forwarded}"
    );
    let recycled = told(&bench, "+447700900007").await;
    assert_eq!(
        recycled["recycled"],
        json!({"phoneNumberRecycled": true}),
        "{recycled}"
    );
    assert_eq!(recycled["tenure"]["tenureDateCheck"], false);
}
