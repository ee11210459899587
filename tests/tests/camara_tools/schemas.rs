//! Whatever an OpenAPI description of CAMARA allows and forbids, asked of the door by schemathesis:
//! by the door's own description, and by the upstream files where they lie in a directory that the
//! environment names in `ACCORD_CAMARA_FILES`.

use std::{collections::BTreeMap, env, fs, path::Path};

use crate::python::{Bench, text};

/// Test cases for each operation and phase.
const EXAMPLES: &str = "40";

/// The upstream files, and where the door serves what they describe.
const UPSTREAM: [(&str, &str); 6] = [
    ("sim-swap", "/sim-swap/v2"),
    ("call-forwarding-signal", "/call-forwarding-signal/v0.4"),
    ("device-roaming-status", "/device-roaming-status/v1"),
    ("number-recycling", "/number-recycling/v0.2"),
    ("device-swap", "/device-swap/v1"),
    ("kyc-tenure", "/kyc-tenure/v0.2"),
];

/// Runs all phases and checks over a description, with the exceptions of `exceptions.toml`; gives the
/// report.
async fn conforms(bench: &Bench, description: &str, base: &str) -> String {
    let config = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/camara_tools/exceptions.toml"
    );
    let url = format!("{}{base}", bench.door());
    let pki = bench.dir.path().join("pki");
    let file = |name: &str| pki.join(name).display().to_string();
    let roots = file("ca.pem");
    let certificate = file("open-gateway-bank.pem");
    let key = file("open-gateway-bank.key");
    let arguments = [
        "--config-file",
        config,
        "run",
        description,
        "--url",
        &url,
        "--tls-verify",
        &roots,
        "--request-cert",
        &certificate,
        "--request-cert-key",
        &key,
        "--checks",
        "all",
        "--phases",
        "examples,coverage,fuzzing,stateful",
        "--max-examples",
        EXAMPLES,
        "--continue-on-failure",
        "--no-color",
    ];
    let output = bench.run("schemathesis", arguments).await;
    let report = text(&output);
    assert!(output.status.success(), "{description}\n{report}");
    every_operation_answered(bench);
    let summary = report
        .rsplit_once("= SUMMARY =")
        .map_or("", |(_, summary)| summary);
    println!("{description}\n{summary}");
    report
}

/// A run in which everything is refused would pass: each operation must have been answered as well.
fn every_operation_answered(bench: &Bench) {
    let lines = fs::read_to_string(bench.answered()).unwrap();
    fs::remove_file(bench.answered()).unwrap();
    let mut of_operation: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for (status, operation) in lines.lines().map(|line| line.split_once(' ').unwrap()) {
        let statuses = of_operation.entry(operation).or_default();
        *statuses.entry(status).or_default() += 1;
    }
    for (operation, statuses) in of_operation {
        println!("{operation}: {statuses:?}");
        assert!(statuses.contains_key("200"), "{operation}: {statuses:?}");
    }
}

#[tokio::test]
#[ignore = "needs python3 and packages of PyPI"]
async fn the_door_keeps_to_its_own_description() {
    let bench = Bench::new().await;
    let description = format!("{}/openapi.json", bench.door());
    let report = conforms(&bench, &description, "").await;
    let ran = report
        .lines()
        .any(|line| line.contains("Stateful") && !line.contains("not applicable"));
    assert!(ran, "answers link to other operations:\n{report}");
}

#[tokio::test]
#[ignore = "needs python3, packages of PyPI, and the upstream files"]
async fn the_door_keeps_to_the_upstream_files() {
    // They are not a part of this project; where nobody put them there is nothing to hold it against.
    let Some(files) = env::var_os("ACCORD_CAMARA_FILES") else {
        return;
    };
    let bench = Bench::new().await;
    for (name, base) in UPSTREAM {
        let file = Path::new(&files).join(format!("{name}.yaml"));
        assert!(fs::exists(&file).unwrap(), "{}", file.display());
        conforms(&bench, &file.display().to_string(), base).await;
    }
}
