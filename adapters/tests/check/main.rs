//! `accord-adapter check`, as an operator runs it.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers of a test fail by panicking"
)]

mod camara;
mod documents;
mod events;
mod hlr;
mod interrupted;
mod report;
#[expect(dead_code, reason = "the tests of the source need more of it")]
#[path = "../camara_upstream/server.rs"]
mod server;
mod tls;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use accord_certs::{LeafOptions, Pki};
use accord_proto::clock::{Clock as _, SystemClock};

const CONFIG: &str = r#"
operator = "north-mobile"
instance = "a"
[[broker]]
endpoint = "https://broker.example:7444"
[tls]
roots = "ca.pem"
certificate = "adapter.pem"
key = "adapter.key"
[journal]
dir = "journal"
subject_key_file = "keys/subject.key"
checkpoint_key_file = "keys/checkpoint.key"
"#;

const VIRTUAL: &str = "[[source]]\nkind = \"virtual\"\nprefix = \"+447700900\"\n";

/// A configuration in a directory of its own, beside one for temporary files.
struct Desk {
    dir: tempfile::TempDir,
    config: PathBuf,
}

/// What the program said.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Desk {
    fn with(sources: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("adapter.toml");
        std::fs::write(&config, format!("{CONFIG}{sources}")).unwrap();
        std::fs::create_dir(dir.path().join("tmp")).unwrap();
        let desk = Self { dir, config };
        desk.issue("north-mobile", &LeafOptions::at(SystemClock.now()));
        desk
    }

    /// Puts a certificate with its key, and the CA of both, where `[tls]` says.
    fn issue(&self, operator: &str, options: &LeafOptions) {
        let pki = Pki::new("accord.test", SystemClock.now()).unwrap();
        let leaf = pki.issue("operator", operator, options).unwrap();
        leaf.write(self.dir.path(), "adapter").unwrap();
        std::fs::write(self.path("ca.pem"), pki.certificate_pem()).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn check(&self, arguments: &[&str]) -> Said {
        let output = Command::new(env!("CARGO_BIN_EXE_accord-adapter"))
            .args(["check", "--config"])
            .arg(&self.config)
            .args(arguments)
            .env("TMPDIR", self.path("tmp"))
            .output()
            .unwrap();
        self.assert_clean();
        said(&output)
    }

    /// Nothing that a check made is there.
    fn assert_clean(&self) {
        assert_eq!(self.scratch(), Vec::<PathBuf>::new(), "left behind");
        assert_eq!(entries(&self.path("tmp")), 0, "something is left behind");
    }

    /// What a check that runs has made.
    fn scratch(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.dir.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().path());
        let of_check = |path: &PathBuf| path.to_string_lossy().contains("/.accord-check-");
        names.filter(of_check).collect()
    }
}

fn said(output: &Output) -> Said {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = Said {
        code: output.status.code(),
        out: text(&output.stdout),
        err: text(&output.stderr),
    };
    assert!(!said.out.contains("7700900"), "a number: {}", said.out);
    assert!(!said.err.contains("7700900"), "a number: {}", said.err);
    said
}

fn entries(dir: &Path) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}

/// The words of the line that begins with this one.
fn line<'a>(out: &'a str, first: &str) -> Vec<&'a str> {
    let words = |line: &'a str| line.split_whitespace().collect::<Vec<_>>();
    let mut lines = out.lines().map(words);
    let found = lines.find(|words| words.first() == Some(&first));
    found.unwrap_or_else(|| panic!("no line `{first}` in:\n{out}"))
}

#[test]
fn the_table_says_what_each_source_answers_how_fresh_how_fast_and_what_is_missing() {
    // Both count from the instant of their question, so that their instants differ a little.
    let second = "[[source]]\nkind = \"virtual\"\nname = \"second\"\nprefix = \"+447700900\"\n\
        clock_error_ms = 60000\n";
    let desk = Desk::with(&format!("{VIRTUAL}{second}"));
    let numbers = ["--number", "+447700900001", "--number", "+447700900022"];
    let said = desk.check(&[&numbers[..], &["--rounds", "3"]].concat());
    assert_eq!(
        (said.code, said.err.as_str()),
        (Some(0), ""),
        "{}",
        said.out
    );
    let out = &said.out;
    assert!(out.contains("source virtual (virtual) is up"), "{out}");
    assert!(out.contains("source second (virtual) is up"), "{out}");
    assert!(out.contains("6 questions: p50 "), "{out}");
    // What a bank is told of both.
    let together = "source together (all of them) is up\n2 questions";
    assert!(out.contains(together), "{out}");
    assert_eq!(line(out, "sim_swap")[..4], ["sim_swap", "6", "of", "6"]);
    let forwarding = line(out, "call_forwarding");
    assert_eq!(forwarding[1..4], ["3", "of", "6"]);
    assert_eq!(forwarding[forwarding.len() - 2..], ["not_available", "3"]);
    assert!(line(out, "1").join(" ").contains("2 h ago"), "{out}");
    assert!(out.contains("signals that no source knows: none"), "{out}");
    assert!(out.ends_with("result: conforms\n"), "{out}");
}

#[test]
fn a_source_that_breaks_a_rule_does_not_conform_and_the_rule_is_named() {
    let desk = Desk::with(VIRTUAL);
    let said = desk.check(&["--number", "+447700900032", "--rounds", "2"]);
    assert_eq!(said.code, Some(1));
    let wrong = "wrong: number 1: sim_swap: observed_at breaks a rule: lies in the future";
    assert!(said.out.contains(wrong), "{}", said.out);
    assert!(said.out.contains("(2 times)"), "{}", said.out);
    assert!(said.err.contains("look wrong"), "{}", said.err);
}

#[test]
fn sources_that_contradict_each_other_do_not_conform_together() {
    let second = "[[source]]\nkind = \"virtual\"\nname = \"second\"\nprefix = \"+447700900\"\n";
    let desk = Desk::with(&format!("{VIRTUAL}{second}"));
    let said = desk.check(&["--number", "+447700900020", "--rounds", "1"]);
    assert_eq!(said.code, Some(1), "{}", said.out);
    let wrong = "wrong: sim_swap: contradicted in 1 of 1 answers";
    assert!(said.out.contains(wrong), "{}", said.out);
}

#[test]
fn numbers_of_strangers_are_remarked_on() {
    let desk = Desk::with(VIRTUAL);
    let said = desk.check(&["--number", "+447700900015"]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.out.contains("it knows none of these numbers"),
        "{}",
        said.out
    );
}

#[test]
fn without_numbers_nothing_is_asked_and_that_is_no_fault() {
    let said = Desk::with(VIRTUAL).check(&[]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("0 questions"), "{}", said.out);
}

const EXPORT: &str = r#"
[[source]]
kind = "csv"
directory = "exports"
file_name = "subscribers-%Y%m%d.csv"
encoding = "utf-8"
time_zone = "UTC"
never = [""]
[source.number]
country_code = "44"
[source.exported_at]
from = "file_name"
time = "02:30"
[source.complete]
by = "trailer"
text = "END"
[source.columns]
msisdn = "MSISDN"
activated_at = { name = "ACTIVATED", format = "%Y-%m-%d" }
"#;

#[test]
fn an_export_that_does_not_come_and_a_directory_that_is_not_there_are_named() {
    let desk = Desk::with(EXPORT);
    let state = || desk.check(&[]).out;
    let gone = "source csv (csv) is down: can't read `directory`: No such file or directory";
    assert!(state().contains(gone), "{}", state());
    std::fs::create_dir(desk.path("exports")).unwrap();
    let none = "source csv (csv) is starting: no export has come yet";
    assert!(state().contains(none), "{}", state());
}

#[test]
fn a_journal_that_was_never_begun_is_named_with_what_begins_it() {
    let desk = Desk::with(VIRTUAL);
    for command in [
        &["verify-journal"][..],
        &["reconcile", "--ledger-export", "x"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_accord-adapter"))
            .args(command)
            .arg("--config")
            .arg(&desk.config)
            .output()
            .unwrap();
        let said = said(&output);
        assert_eq!(said.code, Some(64), "{}", said.err);
        let words = "is not there; `accord-adapter run` makes it at its first start";
        assert!(said.err.contains(words), "{}", said.err);
    }
}

#[test]
fn an_export_that_is_refused_is_named_and_costs_the_other_source_nothing() {
    let desk = Desk::with(&format!("{VIRTUAL}{EXPORT}"));
    std::fs::create_dir(desk.path("exports")).unwrap();
    let cut_off = "MSISDN,ACTIVATED\n+447700900001,2019-05-02\n";
    std::fs::write(desk.path("exports/subscribers-20261120.csv"), cut_off).unwrap();
    let said = desk.check(&["--number", "+447700900001", "--rounds", "1"]);
    assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
    let (first, second) = said.out.split_once("source csv (csv)").unwrap();
    assert!(!first.contains("wrong:"), "{first}");
    assert!(
        second.contains("wrong: the newest export was refused"),
        "{second}"
    );
}
