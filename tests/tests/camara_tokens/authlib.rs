//! A client that others wrote: Authlib gets tokens of both kinds and asks with them, unmodified.

use std::{
    fs,
    process::{Command, Stdio},
};

use accord_tests::python::camara_tools;
use serde_json::{Value, json};

use crate::rig::{CLIENT, NUMBER, PURPOSE, Rig, SCOPE};

const PROGRAM: &str = include_str!("authlib_client.py");

fn run(command: &mut Command) -> String {
    let ran = command.stdin(Stdio::null()).output().unwrap();
    let error = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{command:?}: {error}");
    String::from_utf8(ran.stdout).unwrap()
}

#[tokio::test]
#[ignore = "needs python3 and Authlib, an OAuth library from PyPI"]
async fn authlib_gets_tokens_of_both_kinds_and_asks_with_them() {
    let rig = Rig::new().await;
    let (url, pki) = (rig.url.clone(), rig.dir.path().join("pki"));
    let program = rig.dir.path().join("client.py");
    fs::write(&program, PROGRAM).unwrap();
    // The broker is in this process, so nobody may wait for the program here.
    let said = tokio::task::spawn_blocking(move || {
        let file = |name: &str| pki.join(name);
        run(Command::new(camara_tools().unwrap().join("bin/python"))
            .arg(program)
            .arg(url)
            .args(["first-bank.pem", "first-bank.key", "first-bank.token.key"].map(file))
            .args([CLIENT, SCOPE, NUMBER])
            .env("REQUESTS_CA_BUNDLE", file("ca.pem")))
    });
    let said = said.await.unwrap();
    let said: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let swapped = json!({"status": 200, "body": {"swapped": true}});
    assert_eq!(said.len(), 4, "{said:?}");
    assert_eq!(said[0], json!({"type": "Bearer", "scope": SCOPE}));
    assert_eq!((&said[1], &said[2]), (&swapped, &swapped));
    // The refusal comes to the program as the RFC has it, with our words.
    assert_eq!(said[3]["error"], "invalid_scope");
    let words = said[3]["description"].as_str().unwrap();
    assert!(words.contains(PURPOSE), "{words}");
}
