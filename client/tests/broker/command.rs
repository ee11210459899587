//! The command, as a process.

use std::{
    path::Path,
    process::{Command, Output},
    sync::atomic::Ordering,
};

use serde_json::Value;
use tonic::Code;

use crate::{
    parties::Parties,
    stub::{Plan, Stub, dead_address},
};

const NUMBER: &str = "+447700900001";

pub(crate) fn accord(profile: Option<&Path>, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_accord"));
    command.args(args).env_remove("ACCORD_PROFILE");
    if let Some(profile) = profile {
        command.env("ACCORD_PROFILE", profile);
    }
    command.output().unwrap()
}

/// Runs the command beside the stub.
pub(crate) async fn beside(profile: &Path, args: &[&str]) -> (i32, String, String) {
    let profile = profile.to_owned();
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let run = move || {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        accord(Some(&profile), &args)
    };
    told(&tokio::task::spawn_blocking(run).await.unwrap())
}

pub(crate) fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let code = output.status.code().unwrap();
    (code, text(&output.stdout), text(&output.stderr))
}

/// A broker, and a profile of its parties in a directory.
pub(crate) async fn set_up(plans: impl IntoIterator<Item = Plan>) -> (Stub, tempfile::TempDir) {
    let parties = Parties::new();
    let stub = Stub::with_plans(&parties, plans, []).await;
    let dir = tempfile::tempdir().unwrap();
    parties.write_profile(dir.path(), stub.address);
    (stub, dir)
}

#[test]
fn help_lists_the_exit_codes_and_every_command_has_help() {
    let (code, help, _) = told(&accord(None, &["--help"]));
    assert_eq!(code, 0);
    for line in ["Exit codes:", "3  the broker refused", "69  no broker"] {
        assert!(help.contains(line), "{line}");
    }
    for command in ["lookup", "screen", "audit", "agreement", "completions"] {
        assert_eq!(told(&accord(None, &[command, "--help"])).0, 0, "{command}");
    }
}

#[test]
fn completions_are_made_for_each_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, _) = told(&accord(None, &["completions", shell]));
        assert_eq!(code, 0);
        assert!(script.contains("agreement"), "{shell}");
    }
}

#[test]
fn mistakes_of_the_command_line_say_what_would_be_right() {
    let (code, _, error) = told(&accord(None, &["lookup", NUMBER, "--purpose", "marketing"]));
    assert_eq!(code, 2);
    assert!(error.contains("credential_reset"), "{error}");
    let dir = tempfile::tempdir().unwrap();
    let profile = Some(dir.path());
    let (code, _, error) = told(&accord(profile, &["lookup", NUMBER]));
    assert_eq!(code, 1);
    assert!(error.contains("profile.toml"), "{error}");
    Parties::new().write_profile(dir.path(), "127.0.0.1:1".parse().unwrap());
    let (_, _, error) = told(&accord(profile, &["lookup", NUMBER, "--as", "third-bank"]));
    assert!(error.contains("first-bank (bank)"), "{error}");
    let (code, _, error) = told(&accord(profile, &["lookup", NUMBER, "--signal", "tenure"]));
    assert_eq!(code, 2);
    assert!(error.contains("--since"), "{error}");
    for deadline in ["0", "3600001", "18446744073709551615"] {
        let args = ["lookup", NUMBER, "--deadline-ms", deadline];
        let (code, _, error) = told(&accord(profile, &args));
        assert_eq!(code, 2);
        assert!(error.contains("1..=3600000"), "{error}");
    }
    let (code, _, error) = told(&accord(profile, &["lookup", "07700900001"]));
    assert_eq!(code, 2);
    assert!(error.contains("begins with `+`"), "{error}");
    assert!(!error.contains("7700900001"), "{error}");
}

#[test]
fn a_directory_without_a_ledger_is_not_verified() {
    let dir = tempfile::tempdir().unwrap();
    let args = [
        "audit",
        "verify",
        "--json",
        "--dir",
        dir.path().to_str().unwrap(),
    ];
    let (code, out, _) = told(&accord(None, &args));
    assert_eq!(code, 1);
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["ok"], false);
    assert!(json["error"].as_str().unwrap().contains("holds no ledger"));
}

#[tokio::test]
async fn a_lookup_says_as_whom_and_prints_plain_text_when_piped() {
    let (_stub, dir) = set_up([]).await;
    let (code, out, error) = beside(dir.path(), &["lookup", NUMBER]).await;
    assert_eq!(code, 0, "{error}");
    assert!(error.starts_with("as first-bank (spiffe://"), "{error}");
    assert!(out.contains("no change within 72 h"), "{out}");
    assert!(
        out.contains("receipt: entry 0 of accord-test/2026-11"),
        "{out}"
    );
    assert!(!out.contains('\u{1b}') && !error.contains('\u{1b}'));
}

#[tokio::test]
async fn a_lookup_as_json_has_a_steady_shape() {
    let (_stub, dir) = set_up([]).await;
    let args = ["lookup", NUMBER, "--json", "--since", "2024-01-31"];
    let (code, out, _) = beside(dir.path(), &args).await;
    assert_eq!(code, 0);
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["asked_as"], "first-bank");
    assert_eq!(json["signals"].as_array().unwrap().len(), 6);
    assert_eq!(json["signals"][1]["threshold_hours"], 72);
    assert_eq!(json["signals"][1]["value"]["yes_no"], false);
    assert_eq!(json["signals"][4]["since"], "2024-01-31");
    assert_eq!(json["receipt"]["leaf_hash"].as_str().unwrap().len(), 64);
    assert!(json["evidence"]["nonce"].is_string());
}

#[tokio::test]
async fn a_refusal_exits_3_and_no_broker_69() {
    let (_stub, dir) = set_up([Plan::Refuse(Code::PermissionDenied, 0)]).await;
    let (code, out, error) = beside(dir.path(), &["lookup", NUMBER, "--json"]).await;
    assert_eq!(code, 3, "{error}");
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["refused"]["code"], "PermissionDenied");
    let dir = tempfile::tempdir().unwrap();
    Parties::new().write_profile(dir.path(), dead_address().await);
    let (code, _, error) = beside(dir.path(), &["lookup", NUMBER, "--deadline-ms", "500"]).await;
    assert_eq!(code, 69);
    assert!(error.contains("cargo sandbox"), "{error}");
    let told = error.lines().find(|line| line.starts_with("error:"));
    let told = told.unwrap();
    assert!(told.contains("connection refused by 127.0.0.1:"), "{told}");
    assert!(!told.contains("Error"), "{told}");
}

#[tokio::test]
async fn a_broker_of_another_ca_is_told_from_one_that_is_down() {
    let stub = Stub::start(&Parties::new()).await;
    let dir = tempfile::tempdir().unwrap();
    Parties::new().write_profile(dir.path(), stub.address);
    let args = ["lookup", NUMBER, "--signal", "roaming"];
    let (code, _, error) = beside(dir.path(), &args).await;
    assert_eq!(code, 69, "{error}");
    let said = format!("TLS with {} failed: invalid peer certificate", stub.address);
    assert!(error.contains(&said), "{error}");
}

#[test]
fn only_a_bank_asks_and_whoever_else_tries_is_told_so_first() {
    let dir = tempfile::tempdir().unwrap();
    Parties::new().write_profile(dir.path(), "127.0.0.1:1".parse().unwrap());
    let numbers = dir.path().join("numbers");
    std::fs::write(&numbers, NUMBER).unwrap();
    for args in [["lookup", NUMBER], ["screen", numbers.to_str().unwrap()]] {
        let args = [args.as_slice(), &["--as", "central-bank"]].concat();
        let (code, _, error) = told(&accord(Some(dir.path()), &args));
        assert_eq!(code, 2);
        assert!(
            error.contains("an authority can't ask about numbers"),
            "{error}"
        );
        assert!(error.contains("--as first-bank"), "{error}");
        assert!(!error.contains("--purpose"), "{error}");
    }
}

#[tokio::test]
async fn a_screening_is_taken_up_where_it_was() {
    let (stub, dir) = set_up([]).await;
    let numbers = dir.path().join("numbers.csv");
    let body: String = (0..10).map(|n| format!("+44770090000{n}\n")).collect();
    std::fs::write(&numbers, format!("number\n{body}nonsense\n")).unwrap();
    let args = ["screen", numbers.to_str().unwrap(), "--json"];
    let (code, out, error) = beside(dir.path(), &args).await;
    assert_eq!(code, 4, "a bad line has no value: {error}");
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&json["answered"], &json["refused"]),
        (&10.into(), &1.into())
    );

    let path = dir.path().join("numbers.csv.answers.jsonl");
    let whole = std::fs::read_to_string(&path).unwrap();
    assert_eq!(whole.lines().count(), 11);
    let cut: String = whole.split_inclusive('\n').take(4).collect();
    let torn = format!("{cut}{{\"request_id\":\"torn");
    std::fs::write(&path, torn).unwrap();
    stub.seen.request_ids.lock().unwrap().clear();
    let (_, _, error) = beside(dir.path(), &args).await;
    assert!(error.contains("4 answered before"), "{error}");
    let again = std::fs::read_to_string(&path).unwrap();
    let sorted = |text: &str| {
        let numbers = text.lines().map(|line| {
            let json: Value = serde_json::from_str(line).unwrap();
            json["line"].as_u64().unwrap()
        });
        let mut numbers: Vec<_> = numbers.collect();
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(sorted(&again), sorted(&whole));
    assert!(stub.seen.request_ids.lock().unwrap().len() <= 7);

    // Nothing is left to ask, and the summary is still about the whole output.
    stub.seen.request_ids.lock().unwrap().clear();
    let (code, out, error) = beside(dir.path(), &args).await;
    assert_eq!(code, 4, "{error}");
    let json: Value = serde_json::from_str(&out).unwrap();
    let expected = serde_json::json!({
        "output": path.to_str().unwrap(),
        "answered": 10,
        "partly_answered": 0,
        "unanswered": 0,
        "refused": 1,
        "not_believed": 0,
        "retry": 0,
        "earlier": 11,
    });
    assert_eq!(json, expected);
    assert!(stub.seen.request_ids.lock().unwrap().is_empty());
}

#[test]
fn the_help_of_a_screening_names_every_column_that_it_writes() {
    let (code, help, _) = told(&accord(None, &["screen", "--help"]));
    assert_eq!(code, 0);
    for column in [
        "request_id",
        "line",
        "outcome",
        "retry",
        "number",
        "result",
        "answered_at",
        "agreement",
        "agreement_version",
        "reason",
        "field",
        "message",
        "_hours",
        "_kind",
        "_lock",
        "_since",
        "_reason",
        "_observed_at",
        "_source",
        "_clause",
        "origin",
        "index",
        "leaf_hash",
        "answer",
        "nonce",
    ] {
        assert!(help.contains(column), "{column}: {help}");
    }
}

#[tokio::test]
async fn a_mistake_of_a_file_is_found_before_the_first_question() {
    let (stub, dir) = set_up([]).await;
    let numbers = dir.path().join("numbers.csv");
    let dated = ["--signal", "number_recycling"];
    for (text, more, line) in [
        (
            "number,since\n+447700900001,2024-01-31\n+447700900002,\n",
            dated.as_slice(),
            3,
        ),
        ("+447700900001\n", &dated, 1),
        ("telephone,since\n+447700900001,2024-01-31\n", &[], 1),
        ("number,since\n+447700900001,2999-01-31\n", &[], 2),
    ] {
        std::fs::write(&numbers, text).unwrap();
        let args = [&["screen", numbers.to_str().unwrap()], more].concat();
        let (code, _, error) = beside(dir.path(), &args).await;
        assert_eq!(code, 1, "{error}");
        let place = format!("`{}` line {line}: ", numbers.display());
        assert!(error.contains(&place), "{error}");
    }
    std::fs::write(&numbers, "number\n+447700900001\n").unwrap();
    for signals in [
        ["--signal", "roaming", "--signal", "roaming"],
        ["--signal", "tenure=2999-01-31", "--signal", "roaming"],
        ["--signal", "sim_swap=999999", "--on-behalf-of", "No Such"],
    ] {
        let args = [&["screen", numbers.to_str().unwrap()], signals.as_slice()].concat();
        assert_eq!(beside(dir.path(), &args).await.0, 2);
    }
    assert_eq!(stub.seen.streams.load(Ordering::Relaxed), 0);
    assert!(stub.seen.request_ids.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_authority_shows_and_tails_the_ledger() {
    let (_stub, dir) = set_up([]).await;
    let (code, out, error) = beside(dir.path(), &["audit", "show", "1"]).await;
    assert_eq!(code, 0, "{error}");
    assert!(error.starts_with("as central-bank"), "{error}");
    assert!(
        out.contains("first-bank asked north-mobile for payment"),
        "{out}"
    );
    assert!(out.contains("proof verified") && out.contains("c2sp.org/tlog-proof@v1"));
    let (code, out, _) = beside(dir.path(), &["audit", "tail", "--once", "--json"]).await;
    assert_eq!(code, 0);
    let lines: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["access"]["bank"], "first-bank");
}
