//! The desk at work: searches, exports, reports and statements of usage, by the command as a person
//! would type it, against a broker that runs.

use std::{fs, path::Path, process::Output};

use accord_proto::{
    hex,
    v1::{self, entry::Event},
};
use accord_tests::world::wait_until;
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;

use super::{
    offline::{audit, complaint, questions, said, text},
    stage::Stage,
};

/// The command, while the broker of this process goes on.
pub(crate) async fn run(stage: &Stage, args: &[&str]) -> Output {
    let profile = stage.files.dir().to_owned();
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let ran = tokio::task::spawn_blocking(move || {
        audit(
            &profile,
            &args.iter().map(String::as_str).collect::<Vec<_>>(),
        )
    });
    ran.await.unwrap()
}

pub(crate) async fn json(stage: &Stage, args: &[&str]) -> Vec<Value> {
    let said = said(&run(stage, &[args, &["--json"]].concat()).await);
    said.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The banks ask, and the index has come to the end of it.
async fn asked() -> Stage {
    let stage = Stage::sandbox().await;
    questions(&stage).await;
    indexed(&stage).await;
    stage
}

/// Waits until the index has come to the present end.
pub(crate) async fn indexed(stage: &Stage) {
    let end = stage.size();
    let auditor = stage.auditor("central-bank").unwrap();
    wait_until("the index", || async {
        let page = auditor.query(&v1::Filter::default(), 1, "").await;
        page.is_ok_and(|page| page.indexed.1 >= end)
    })
    .await
    .unwrap();
}

fn exports(stage: &Stage, from: u64) -> Vec<v1::Export> {
    let events = stage.since(from).into_iter();
    events
        .filter_map(|event| match event {
            Event::Export(export) => Some(export),
            _ => None,
        })
        .collect()
}

/// What lies in a directory, hidden files among it.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_search_finds_what_matches_and_says_when_there_is_more() {
    let stage = asked().await;
    let found = json(
        &stage,
        &["query", "--kind", "access", "--bank", "first-bank"],
    )
    .await;
    assert_eq!(found.len(), 4);
    assert!(
        found
            .iter()
            .all(|entry| entry["access"]["bank"] == "first-bank")
    );
    let late = json(&stage, &["query", "--outcome", "timeout"]).await;
    assert_eq!(late.len(), 1);
    assert!(late[0]["access"]["elapsed_us"].as_u64().unwrap() > 0);
    let both = [
        "query",
        "--operator",
        "sud-mobile",
        "--signal",
        "sim_swap",
        "--purpose",
        "payment",
    ];
    assert_eq!(json(&stage, &both).await.len(), 1);
    assert!(
        json(&stage, &["query", "--until", "2020-01-01"])
            .await
            .is_empty()
    );

    let some = run(&stage, &["query", "--kind", "access", "--limit", "2"]).await;
    assert_eq!(said(&some).lines().count(), 3, "the log, and two entries");
    assert!(
        text(&some.stderr).contains("there are more"),
        "{}",
        text(&some.stderr)
    );
    let all = run(&stage, &["query", "--kind", "access", "--limit", "0"]).await;
    assert!(
        text(&all.stderr).contains("5 entries"),
        "{}",
        text(&all.stderr)
    );
    // A bank's own.
    let own = json(
        &stage,
        &["query", "--kind", "access", "--as", "second-bank"],
    )
    .await;
    assert_eq!(own.len(), 1);
}

#[tokio::test]
async fn each_export_is_on_the_record_with_its_hash_and_can_be_checked() {
    let stage = asked().await;
    let dir = stage.files.dir().to_owned();
    let before = stage.size();
    let mut hashes = Vec::new();
    for name in ["e.jsonl", "e.csv", "e.ocsf.jsonl"] {
        let place = dir.join(name);
        let file = place.to_str().unwrap();
        let told = json(&stage, &["export", "--kind", "access", "-o", file]).await;
        assert_eq!(told[0]["entries"], 5, "{name}");
        let bytes = fs::read(&place).unwrap();
        let hash = digest(&SHA256, &bytes).as_ref().to_vec();
        assert_eq!(told[0]["sha256"], hex::encode(&hash), "{name}");
        let written = String::from_utf8(bytes).unwrap();
        assert!(written.contains("no onward disclosure without both authorities"));
        assert!(!written.contains("7700900"), "no number leaves");
        let checked = json(&stage, &["check-export", file]).await;
        assert_eq!(
            (&checked[0]["ok"], &checked[0]["checkpoints_signed"]),
            (&true.into(), &true.into())
        );
        hashes.push(hash);
        // What is there is left alone, and nothing is recorded.
        let recorded = exports(&stage, before).len();
        let (exit, said) = complaint(&run(&stage, &["export", "-o", file]).await);
        assert!(exit == 2 && said.contains("left alone"), "{said}");
        assert_eq!(exports(&stage, before).len(), recorded);
        assert_eq!(fs::read(&place).unwrap(), written.into_bytes());
    }
    let recorded = exports(&stage, before);
    let formats: Vec<_> = recorded
        .iter()
        .map(|export| export.format.as_str())
        .collect();
    assert_eq!(formats, ["jsonl", "csv", "ocsf"]);
    for (export, hash) in recorded.iter().zip(&hashes) {
        assert_eq!((&export.sha256, export.entries), (hash, 5));
        assert!(export.party.ends_with("/central-bank") || export.party.contains("/authority/"));
        assert!(export.statement.is_some());
    }

    // With the broker gone: in the ledger, every one; and a changed one is found.
    let (_dir, files) = stage.stopped().await;
    let ledger = files.dir().join("ledger");
    let (file, ledger) = (
        files.dir().join("e.csv"),
        ledger.to_str().unwrap().to_owned(),
    );
    let args = ["check-export", file.to_str().unwrap(), "--dir", &ledger];
    let whole = said(&audit(files.dir(), &args));
    assert!(whole.contains("whole and unchanged"), "{whole}");
    lines_left_out_are_found(files.dir(), &ledger);
    let changed = fs::read_to_string(&file)
        .unwrap()
        .replace("second-bank", "other-bank");
    fs::write(&file, changed).unwrap();
    let (exit, said) = complaint(&audit(files.dir(), &args));
    assert!(exit == 1 && said.contains("says something else"), "{said}");
}

/// A file whose every line is right, and from which one was taken: only the record tells.
fn lines_left_out_are_found(dir: &Path, ledger: &str) {
    let jsonl = dir.join("e.jsonl");
    let text = fs::read_to_string(&jsonl).unwrap();
    let (_, rest) = text.split_once('\n').unwrap();
    fs::write(&jsonl, rest.replace("\"entries\":5", "\"entries\":4")).unwrap();
    let forged = jsonl.to_str().unwrap();
    let alone = said(&audit(dir, &["check-export", forged]));
    assert!(
        alone.contains("4 entries") && alone.contains("NOT checked"),
        "{alone}"
    );
    let (exit, found) = complaint(&audit(dir, &["check-export", forged, "--dir", ledger]));
    assert!(
        exit == 1 && found.contains("no export of this SHA-256"),
        "{found}"
    );
}

#[tokio::test]
async fn an_export_that_can_not_be_recorded_leaves_no_file() {
    let stage = asked().await;
    let (_dir, files) = stage.stopped().await;
    let out = files.dir().join("out");
    fs::create_dir(&out).unwrap();
    let file = out.join("e.jsonl");
    let (exit, said) = complaint(&audit(
        files.dir(),
        &["export", "-o", file.to_str().unwrap()],
    ));
    assert!(exit == 69 && said.contains("no broker"), "{said}");
    assert!(names(&out).is_empty(), "{:?}", names(&out));
}

#[tokio::test]
async fn a_report_is_a_page_a_file_and_two_entries() {
    let stage = asked().await;
    let before = stage.size();
    let place = |name: &str| stage.files.dir().join(name).to_str().unwrap().to_owned();
    let (page, data) = (place("report.html"), place("report.json"));
    let told = json(&stage, &["report", "--html", &page, "--output", &data]).await;
    assert_eq!(told[0]["banks"].as_array().unwrap().len(), 2);
    let html = fs::read_to_string(&page).unwrap();
    assert!(html.starts_with("<!DOCTYPE html>") && html.contains("first-bank"));
    let file: Value = serde_json::from_str(&fs::read_to_string(&data).unwrap()).unwrap();
    assert_eq!(file["report"], told[0]);
    assert!(
        file["footer"]["terms"]
            .as_str()
            .unwrap()
            .contains("no onward disclosure")
    );
    let recorded = exports(&stage, before);
    let formats: Vec<_> = recorded
        .iter()
        .map(|export| export.format.as_str())
        .collect();
    assert_eq!(formats, ["report-html", "report-json"]);
    assert_eq!(
        recorded[0].sha256,
        digest(&SHA256, html.as_bytes()).as_ref()
    );

    // A bank gets a report for itself, whatever it asks for.
    let own = json(&stage, &["report", "--as", "second-bank"]).await;
    assert_eq!(own[0]["audience"], "second-bank");
    assert!(!own[0].to_string().contains("first-bank"));
}

#[tokio::test]
async fn both_sides_state_the_same_usage_to_the_byte() {
    let stage = asked().await;
    let period = ["usage", "--from", "2020-01", "--until", "2100-01"];
    let bank = [
        &period[..],
        &["--as", "first-bank", "--operator", "north-mobile"],
    ]
    .concat();
    let operator = [
        &period[..],
        &["--as", "north-mobile", "--bank", "first-bank"],
    ]
    .concat();
    let (bank, operator) = (run(&stage, &bank).await, run(&stage, &operator).await);
    assert_eq!(said(&bank), said(&operator));
    assert!(said(&bank).starts_with("accord usage statement, version 1\nbank first-bank\n"));
    let hash = hex::encode(digest(&SHA256, &bank.stdout).as_ref());
    assert!(
        text(&operator.stderr).contains(&hash),
        "the hash is of what was printed"
    );
}

#[tokio::test]
async fn who_states_nothing_reads_nothing() {
    let stage = asked().await;
    fs::remove_file(stage.files.dir().join("statement.toml")).unwrap();
    let before = stage.size();
    let file = stage.files.dir().join("e.jsonl");
    for args in [
        &["query"][..],
        &["export", "-o", file.to_str().unwrap()],
        &["report"],
        &["usage", "--month", "2026-11"],
    ] {
        let (exit, said) = complaint(&run(&stage, args).await);
        assert!(
            exit == 2 && said.contains("--for"),
            "{args:?} {exit} {said}"
        );
    }
    assert_eq!(stage.size(), before);
    assert!(!file.exists());
}
