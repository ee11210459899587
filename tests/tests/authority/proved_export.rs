//! Exports whose lines carry their proofs: each is believed by a stranger who has a line, the
//! checkpoint and a policy, and nothing else.

use std::{fmt::Write as _, fs};

use accord_proto::c2sp::{Checkpoint, SignedNote};
use accord_tests::world::{POLICY_FILE, WorldFiles, WorldSpec};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    offline::{audit, complaint, questions, said},
    online::{json, run},
    stage::Stage,
};

/// A witnessed sandbox in which the banks have asked, and all of it is cosigned and indexed.
async fn asked() -> Stage {
    let dir = TempDir::new().unwrap();
    let spec = WorldSpec {
        witnessed: true,
        ..WorldSpec::default()
    };
    let files = WorldFiles::write(dir.path(), &spec).unwrap();
    let stage = Stage::of(dir, files, spec).await;
    questions(&stage).await;
    crate::online::indexed(&stage).await;
    stage.witnessed().await.unwrap();
    stage
}

fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    value.pointer(at).unwrap().as_str().unwrap()
}

/// The entry's index, in either format.
fn index(line: &Value) -> u64 {
    let places = ["/index", "/metadata/sequence"];
    let mut found = places.iter().filter_map(|at| line.pointer(at)?.as_u64());
    found.next().unwrap()
}

/// The entry's bytes in base64.
fn leaf(line: &Value) -> &str {
    let places = ["/leaf", "/raw_data"];
    let mut found = places.iter().filter_map(|at| line.pointer(at)?.as_str());
    found.next().unwrap()
}

/// One line as a C2SP `tlog-proof`, put together by hand.
fn tlog_proof(line: &Value, proof: &Value, note: &str) -> String {
    let index = index(line);
    let leaf = leaf(line);
    let mut text = format!("c2sp.org/tlog-proof@v1\nextra {leaf}\nindex {index}\n");
    for hash in proof["hashes"].as_array().unwrap() {
        writeln!(text, "{}", hash.as_str().unwrap()).unwrap();
    }
    text + "\n" + note
}

/// Held against the proof by a crate that others wrote.
fn believed_by_others(line: &Value, proof: &Value, note: &str) {
    let checkpoint = Checkpoint::parse(SignedNote::parse(note).unwrap().text()).unwrap();
    assert_eq!(proof["size"], checkpoint.size);
    let leaf = leaf(line);
    let leaf = STANDARD.decode(leaf).unwrap();
    let index = index(line);
    let hashes = proof["hashes"].as_array().unwrap().iter();
    let hash = |text: &Value| {
        let bytes = STANDARD.decode(text.as_str().unwrap()).unwrap();
        tlog_tiles::Hash(bytes.try_into().unwrap())
    };
    tlog_tiles::check_record(
        &hashes.map(hash).collect(),
        checkpoint.size,
        tlog_tiles::Hash(checkpoint.root),
        index,
        tlog_tiles::record_hash(&leaf),
    )
    .unwrap();
}

#[tokio::test]
async fn each_line_of_an_export_with_proofs_is_believed_by_a_stranger() {
    let stage = asked().await;
    let dir = stage.files.dir().to_owned();
    let at = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let mut files = Vec::new();
    for name in ["proved.jsonl", "proved.ocsf.jsonl"] {
        let file = at(name);
        let args = ["export", "--with-proofs", "--kind", "access", "-o", &file];
        let told = json(&stage, &args).await;
        assert_eq!(told[0]["entries"], 5, "{name}");
        files.push(fs::read_to_string(&file).unwrap());
    }
    let sheet = at("proved.csv");
    let (exit, told) = complaint(&run(&stage, &["export", "--with-proofs", "-o", &sheet]).await);
    assert!(exit == 2 && told.contains("jsonl or ocsf"), "{told}");

    // The broker is gone, and so is the ledger: a stranger has the file and a policy.
    let (_dir, world) = stage.stopped().await;
    let policy = dir.join(POLICY_FILE);
    let stranger = TempDir::new().unwrap();
    let here = |name: &str| stranger.path().join(name).to_str().unwrap().to_owned();
    fs::copy(&policy, here("policy")).unwrap();
    let values = |text: &str| -> Vec<Value> {
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let jsonl = values(&files[0]);
    let (footer, lines) = jsonl.split_last().unwrap();
    let note = text(footer, "/checkpoints/0/checkpoint");
    let ocsf = values(&files[1]);
    let in_jsonl = lines.iter().map(|line| (line, &line["proof"], note));
    let in_ocsf = ocsf.iter().map(|line| {
        let note = text(line, "/attestation_list/0/signatures/0/value");
        (line, &line["unmapped"]["inclusion_proof"], note)
    });
    let mut count = 0;
    for (line, proof, note) in in_jsonl.chain(in_ocsf) {
        believed_by_others(line, proof, note);
        let file = here("one.tlog-proof");
        fs::write(&file, tlog_proof(line, proof, note)).unwrap();
        let args = ["verify-proof", &file, "--policy", &here("policy")];
        let verified = said(&audit(stranger.path(), &args));
        assert!(verified.contains("cosigned by"), "{verified}");
        count += 1;
    }
    assert_eq!(count, 10);
    for (name, text) in ["proved.jsonl", "proved.ocsf.jsonl"].iter().zip(&files) {
        let file = here(name);
        fs::write(&file, text).unwrap();
        let args = ["check-export", &file, "--policy", &here("policy"), "--json"];
        let checked: Value = serde_json::from_str(&said(&audit(stranger.path(), &args))).unwrap();
        assert_eq!(checked["proved"], 5);
        assert!(!checked["cosigned"].as_array().unwrap().is_empty());
        // A hash that was changed by hand, wherever it stands.
        let hash = text.split("\"hashes\":[\"").nth(3).unwrap();
        let hash: String = hash.chars().take(44).collect();
        fs::write(&file, text.replacen(&hash, &STANDARD.encode([9; 32]), 1)).unwrap();
        let (exit, told) = complaint(&audit(stranger.path(), &args[..2]));
        assert!(
            exit == 1 && told.contains("does not prove"),
            "{name}: {told}"
        );
    }
    drop(world);
}
