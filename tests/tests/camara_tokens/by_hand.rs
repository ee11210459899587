//! `accord token --dpop`: what it prints opens a door that asks for certificates, to somebody without one.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use accord_proto::oauth::Jws;

use crate::{
    door::{Caller, Told},
    rig::{NUMBER, Rig, SCOPE, accord},
};

const ASKED: &str = "client_certificates = \"asked\"";
const CHECK: &str = "/sim-swap/v2/check";

/// What the command prints, line by line.
async fn run(rig: &Rig, more: &[&str]) -> Vec<String> {
    let request = format!("POST {}{CHECK}", rig.url);
    let args = [
        "--client",
        "first-app",
        "--scope",
        SCOPE,
        "--dpop",
        &request,
    ];
    let args: Vec<PathBuf> = [args.as_slice(), more]
        .concat()
        .iter()
        .map(PathBuf::from)
        .collect();
    let dir = rig.dir.path().to_owned();
    let told = tokio::task::spawn_blocking(move || accord(&dir, "token", &args));
    told.await.unwrap().lines().map(str::to_owned).collect()
}

async fn ask(caller: &Caller, token: &str, proof: &str) -> Told {
    let authorization = format!("DPoP {token}");
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("dpop", proof),
    ];
    let body = format!(r#"{{"phoneNumber":"{NUMBER}","maxAge":72}}"#);
    caller.call(("POST", CHECK), &headers, &body).await
}

fn files(rig: &Rig) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(rig.dir.path()).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// What the token is bound to.
fn bound(token: &str) -> serde_json::Value {
    Jws::parse(token).unwrap().claims["cnf"].clone()
}

#[tokio::test]
async fn the_proof_that_is_printed_opens_the_door_once_to_who_has_no_certificate() {
    let rig = Rig::with(ASKED).await;
    let before = files(&rig);
    let request = format!("POST {}{CHECK}?x=y", rig.url);
    let told = run(&rig, &["--no-certificate", "--dpop", &request]).await;
    let [token, first, second] = <[String; 3]>::try_from(told).unwrap();
    let nobody = rig.caller(None);
    for proof in [&first, &second] {
        let told = ask(&nobody, &token, proof).await;
        assert_eq!((told.status, &told.body["swapped"]), (200, &true.into()));
        assert_eq!(ask(&nobody, &token, proof).await.status, 401);
    }
    // Nobody named a file, so nothing lies about.
    assert_eq!(files(&rig), before);
    // With the certificate it is bound to that too.
    let told = run(&rig, &[]).await;
    let [token, proof] = <[String; 2]>::try_from(told).unwrap();
    assert!(bound(&token)["x5t#S256"].is_string() && bound(&token)["jkt"].is_string());
    assert_eq!(ask(&nobody, &token, &proof).await.status, 401);
    assert_eq!(ask(&rig.bank(), &token, &proof).await.status, 200);
}

#[tokio::test]
async fn a_key_that_is_named_is_made_once_for_its_owner_alone_and_used_again() {
    let rig = Rig::with(ASKED).await;
    let file = rig.dir.path().join("proof.key");
    let named = ["--no-certificate", "--dpop-key", file.to_str().unwrap()];
    let first = run(&rig, &named).await;
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let second = run(&rig, &named).await;
    assert_eq!(bound(&first[0]), bound(&second[0]));
    assert!(bound(&first[0])["jkt"].is_string());
    // The key is the same, so a proof of the one run is not a proof for the token of the other: it
    // names its token.
    assert_eq!(
        ask(&rig.caller(None), &first[0], &second[1]).await.status,
        401
    );
    assert_eq!(
        ask(&rig.caller(None), &second[0], &second[1]).await.status,
        200
    );
}
