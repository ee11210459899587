//! The desk with the broker gone: reports and statements of usage from a ledger's directory, by the
//! command as a person would type it.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use accord_client::Lookup;
use accord_proto::purpose::Purpose;
use accord_tests::world::broker_binary;
use serde_json::Value;

use super::stage::Stage;

/// `accord audit …`, built beside the broker.
pub(crate) fn audit(profile: &Path, args: &[&str]) -> Output {
    let binary = broker_binary().unwrap().with_file_name("accord");
    let mut command = Command::new(binary);
    command.arg("audit").args(args).current_dir(profile);
    command.env("ACCORD_PROFILE", profile).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What a command that went well printed.
pub(crate) fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// What a command complained of, with its exit code.
pub(crate) fn complaint(output: &Output) -> (i32, String) {
    (output.status.code().unwrap(), text(&output.stderr))
}

/// Two banks ask two operators, one of them in vain.
pub(crate) async fn questions(stage: &Stage) {
    for number in ["+447700900001", "+447700900100", "+33639980100"] {
        let lookup = Lookup::about(number, Purpose::Payment).sim_swap().roaming();
        stage.ask("first-bank", lookup).await;
    }
    let late = Lookup::about("+447700900011", Purpose::Payment).roaming();
    stage.ask("first-bank", late).await;
    let since = "2024-01-31".parse().unwrap();
    let lookup = Lookup::about("+447700900101", Purpose::DormantAccount).number_recycling(since);
    stage.ask("second-bank", lookup).await;
}

#[tokio::test]
async fn a_report_is_made_of_a_ledger_with_the_broker_gone() {
    let stage = Stage::sandbox().await;
    questions(&stage).await;
    let (dir, files) = stage.stopped().await;
    let ledger = files.dir().join("ledger");
    let args = ["report", "--json", "--dir", ledger.to_str().unwrap()];
    let report: Value = serde_json::from_str(&said(&audit(files.dir(), &args))).unwrap();
    assert_eq!(report["audience"], "authorities");
    let bank = |at: usize| &report["banks"][at];
    assert_eq!(bank(0)["bank"], "first-bank");
    assert_eq!(bank(0)["questions"]["answered"], 3);
    assert_eq!(
        (&bank(0)["questions"]["unanswered"], &bank(0)["failed"]),
        (&1.into(), &1.into())
    );
    assert!(bank(0)["p95_us"].as_u64().unwrap() > 0);
    assert_eq!(bank(1)["questions"]["answered"], 1);
    let operators = report["operators"].as_array().unwrap();
    assert_eq!(operators[0]["operator"], "north-mobile");
    assert_eq!(
        (&operators[0]["answered"], &operators[0]["timeout"]),
        (&5.into(), &1.into())
    );
    assert_eq!(operators[1]["answered"], 2);
    assert!(
        operators
            .iter()
            .all(|one| one["attached"].as_f64().unwrap() > 0.0)
    );
    // Too few to tell is not alike.
    assert_eq!(report["fairness"][0]["waits"], Value::Null);
    // A period in which nothing was.
    let args = [&args[..], &["--until", "2020-01"]].concat();
    let empty: Value = serde_json::from_str(&said(&audit(files.dir(), &args))).unwrap();
    assert_eq!(empty["period"]["entries"], 0);

    // For one bank: nothing of the other.
    let args = [
        "report",
        "--json",
        "--audience",
        "first-bank",
        "--dir",
        ledger.to_str().unwrap(),
    ];
    let own = said(&audit(files.dir(), &args));
    assert!(
        own.contains("first-bank") && !own.contains("second-bank"),
        "{own}"
    );
    let args = [
        "report",
        "--audience",
        "no-bank",
        "--dir",
        ledger.to_str().unwrap(),
    ];
    let (exit, said) = complaint(&audit(files.dir(), &args));
    assert!(exit == 1 && said.contains("nothing of `no-bank`"), "{said}");
    drop(dir);
}

#[tokio::test]
async fn a_damaged_ledger_makes_no_report() {
    let stage = Stage::sandbox().await;
    questions(&stage).await;
    let (_dir, files) = stage.stopped().await;
    let ledger = files.dir().join("ledger");
    let segment = walk(&ledger, "/00000000000000000000.segment");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[200] ^= 1;
    fs::write(&segment, bytes).unwrap();
    for command in ["report", "usage"] {
        let mut args = vec![command, "--dir", ledger.to_str().unwrap()];
        if command == "usage" {
            args.extend(["--month", "2026-11"]);
        }
        let output = audit(files.dir(), &args);
        let (exit, said) = complaint(&output);
        assert!(exit == 1 && said.contains("damaged"), "{said}");
        assert!(output.stdout.is_empty());
    }
}

#[tokio::test]
async fn a_bank_and_an_operator_derive_the_same_statement_each_from_its_own_entries() {
    use accord_client::usage::Usage;

    let stage = Stage::sandbox().await;
    questions(&stage).await;
    let day = |text: &str| text.parse().unwrap();
    let (from, until) = (day("2020-01-01T00:00:00Z"), day("2100-01-01T00:00:00Z"));
    let mut texts = Vec::new();
    for party in ["first-bank", "north-mobile"] {
        let auditor = stage.auditor(party).unwrap();
        let mut usage = Usage::of(from, until);
        let mut tail = auditor.tail("", 0, true).await.unwrap();
        let mut read = 0;
        while let Some(entry) = tail.next().await.unwrap() {
            usage.take(&entry).unwrap();
            read += 1;
        }
        assert!(read < stage.size(), "{party} reads its own entries only");
        let statements = usage.finish();
        let pair = statements.iter().find(|one| {
            (one.bank.as_str(), one.operator.as_str()) == ("first-bank", "north-mobile")
        });
        texts.push(pair.unwrap().clone());
    }
    assert_eq!(texts[0], texts[1]);
    assert_eq!((texts[0].accesses, texts[0].answered), (3, 4));
    let expected = "roaming 2 0 0 0 0 1 0 0\nsim_swap 2 0 0 0 0 0 0 0\ntotal 4 0 0 0 0 1 0 0\n";
    assert!(texts[0].text.ends_with(expected), "{}", texts[0].text);

    // The command says the same, from the whole ledger.
    let (_dir, files) = stage.stopped().await;
    let ledger = files.dir().join("ledger");
    let args = [
        "usage",
        "--from",
        "2020-01",
        "--until",
        "2100-01",
        "--bank",
        "first-bank",
        "--json",
        "--dir",
        ledger.to_str().unwrap(),
    ];
    let told = said(&audit(files.dir(), &args));
    let statements: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(statements.len(), 2);
    assert_eq!(statements[0]["statement"], texts[0].text.as_str());
    let (exit, said) = complaint(&audit(
        files.dir(),
        &["usage", "--dir", ledger.to_str().unwrap()],
    ));
    assert!(exit == 2 && said.contains("--month"), "{said}");
}

#[test]
fn what_the_command_line_can_not_mean_is_named() {
    let dir = tempfile::TempDir::new().unwrap();
    for (args, named) in [
        (&["query", "--kind", "acess"][..], "access, refused_call"),
        (&["query", "--outcome", "fine"], "partly_answered"),
        (&["query", "--signal", "sim"], "sim_swap"),
        (&["query", "--purpose", "fun"], "credential_reset"),
        (&["query", "--from", "yesterday"], "2026-11-26T20:00:00Z"),
        (&["tail", "--kind", "alarm"], "anomaly"),
        (&["export", "-o", "x.txt"], "--format"),
        (
            &["export", "-o", "x", "--format", "pdf"],
            "jsonl, csv, parquet, ocsf",
        ),
        (&["usage", "--month", "November"], "2026-11"),
        (&["usage", "--from", "2026-11"], "--until"),
        (
            &[
                "usage", "--month", "2026-11", "--dir", ".", "--as", "a-bank",
            ],
            "--as a-bank says who asks",
        ),
    ] {
        let (exit, said) = complaint(&audit(dir.path(), args));
        assert!(exit == 2 && said.contains(named), "{args:?} {exit} {said}");
    }
}

/// The first file below a directory whose name ends so.
fn walk(dir: &Path, ending: &str) -> std::path::PathBuf {
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                return path;
            }
        }
    }
    panic!("no {ending}");
}
