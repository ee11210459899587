//! The sandbox as a newcomer meets it: it runs, twice in a row, and what it prints can be pasted.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests end where they fail"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use accord_tests::world::broker_binary;
use rustix::process::{Pid, Signal, kill_process};

/// The exit code of `accord` where at least one signal has no value.
const UNANSWERED: i32 = 4;
/// The exit code of `accord` where no broker answers.
const UNAVAILABLE: i32 = 69;

fn sandbox(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_accord-sandbox"));
    command.args(arguments).current_dir(dir);
    command
}

fn on_free_ports(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = sandbox(dir, arguments);
    command.args(["--grpc-port", "0", "--admin-port", "0"]);
    command.args(["--tiles-port", "0", "--camara-port", "0"]);
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// `cargo …` commands of a page, without what they are said to do.
fn commands(page: &str) -> Vec<String> {
    let lines = page
        .lines()
        .filter_map(|line| line.strip_prefix("  cargo "));
    lines
        .map(|line| line.split("  ").next().unwrap().to_owned())
        .collect()
}

/// What a shell makes of a command.
fn words(command: &str) -> Vec<String> {
    let script = format!("printf '%s\\0' {command}");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{command}");
    let words = String::from_utf8(output.stdout).unwrap();
    words.split_terminator('\0').map(str::to_owned).collect()
}

/// A printed command, with the programs that were built beside this test.
fn pasted(dir: &Path, command: &str) -> Command {
    let words = words(command);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["sandbox", rest @ ..] => sandbox(dir, rest),
        ["accord", rest @ ..] => {
            let mut program = Command::new(broker_binary().unwrap().with_file_name("accord"));
            program
                .args(rest)
                .current_dir(dir)
                .env_remove("ACCORD_PROFILE");
            program
        }
        other => panic!("an unknown program: {other:?}"),
    }
}

/// A sandbox that serves. A test that fails leaves none behind: it would hold the test's output open.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        // It has ended where all went well.
        let _ = self.0.kill();
    }
}

/// A sandbox that serves, and all that it printed before.
fn serving(dir: &Path, arguments: &[&str]) -> (Serving, String) {
    let mut child = on_free_ports(dir, arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut page = String::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    while !page.contains("Serving until") {
        assert_ne!(lines.read_line(&mut page).unwrap(), 0, "it ended: {page}");
    }
    child.stdout = Some(lines.into_inner());
    (Serving(child), page)
}

#[test]
fn the_sandbox_runs_twice_in_a_row_and_shows_the_same() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let output = on_free_ports(dir.path(), &["--once"]).output().unwrap();
        let page = said(&output);
        assert!(output.status.success(), "{page}");
        for told in [
            "19 clauses",
            "+447700900001  0–4 h (a new card)",
            "always, to another",
            "unknown: timeout",
            "refused: not_authorised",
            "clause 4.2 allows number_recycling only",
            "refused: not_contracted",
            "yes (location",
            "verified offline",
        ] {
            assert!(page.contains(told), "`{told}` is not in:\n{page}");
        }
        assert!(!page.contains("quota"), "{page}");
    }
}

#[test]
fn the_quotas_of_a_ledger_that_is_kept_stay_used() {
    let dir = tempfile::tempdir().unwrap();
    assert!(
        on_free_ports(dir.path(), &["--once"])
            .status()
            .unwrap()
            .success()
    );
    let output = on_free_ports(dir.path(), &["--once", "--keep"])
        .output()
        .unwrap();
    let page = said(&output);
    assert!(
        output.status.success() && page.contains("refused: quota"),
        "{page}"
    );
}

#[test]
fn every_printed_command_works_as_pasted() {
    let dir = tempfile::tempdir().unwrap();
    let (mut child, page) = serving(dir.path(), &[]);
    let commands = commands(&page);
    assert_eq!(commands.len(), 26, "{page}");
    assert!(page.contains("Quotas bind a bank"), "{page}");
    let mut tail = None;
    for command in &commands {
        if command == "accord audit tail" {
            let mut reader = pasted(dir.path(), command)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut line = String::new();
            let out = reader.stdout.take().unwrap();
            let mut out = BufReader::new(out);
            out.read_line(&mut line).unwrap();
            assert!(line.contains("20"), "{line}");
            tail = Some((reader, out));
            continue;
        }
        gives_an_answer(dir.path(), command);
    }
    asks_camara(dir.path(), &page);
    end(&mut child.0);
    // The broker is gone: that is no refusal, and not the end of the log.
    let (mut tail, mut out) = tail.unwrap();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    let mut error = String::new();
    let mut said = tail.stderr.take().unwrap();
    said.read_to_string(&mut error).unwrap();
    assert_eq!(tail.wait().unwrap().code(), Some(UNAVAILABLE), "{error}");
    assert!(error.contains("no broker answers"), "{error}");
}

/// The printed token and the printed `curl` bring an answer.
fn asks_camara(dir: &Path, page: &str) {
    let commands = commands(page);
    let token = commands.iter().find(|it| it.starts_with("accord token"));
    let token = pasted(dir, token.unwrap()).output().unwrap();
    let token = String::from_utf8(token.stdout).unwrap();
    let curl = page.lines().find_map(|line| {
        let rest = line.strip_prefix("  curl ")?;
        rest.split("  ").next()
    });
    let output = Command::new("sh")
        .args(["-c", &format!("curl {}", curl.unwrap())])
        .current_dir(dir)
        .env("TOKEN", token.trim())
        .output()
        .unwrap();
    let said = said(&output);
    assert!(said.contains(r#"{"swapped":true}"#), "{said}");
}

#[test]
fn a_closed_month_can_be_tried_twice_in_a_row() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let (mut child, page) = serving(dir.path(), &["--closed-month"]);
        assert!(page.contains("Ledger accord-sandbox/"), "{page}");
        let commands = commands(&page);
        let begins = commands.iter().position(|it| it.contains("months --fetch"));
        let own = &commands[begins.unwrap()..];
        let own: Vec<_> = own.iter().filter(|it| it.contains(" audit ")).collect();
        assert!(own.len() >= 12, "{page}");
        for command in own {
            match command.contains("audit unmask") {
                true => unmasks(dir.path(), command),
                false => gives_an_answer(dir.path(), command),
            }
        }
        let months = pasted(dir.path(), "accord audit months").output().unwrap();
        assert!(said(&months).contains("destroyed"), "{}", said(&months));
        end(&mut child.0);
    }
}

/// A number is shown on a terminal only.
fn unmasks(dir: &Path, command: &str) {
    let program = broker_binary().unwrap().with_file_name("accord");
    let rest = command.strip_prefix("accord").unwrap();
    let inner = format!("{}{rest}", program.display());
    let output = Command::new("script")
        .args(["-qec", &inner, "/dev/null"])
        .current_dir(dir)
        .env_remove("ACCORD_PROFILE")
        .output()
        .unwrap();
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("+447700900100") && said.contains("1 of 1 tags"),
        "{said}"
    );
}

/// Runs a printed command: it ends as it should, and no quota stands in its way.
fn gives_an_answer(dir: &Path, command: &str) {
    let output = pasted(dir, command).output().unwrap();
    let said = said(&output);
    // Some of the test numbers are about what is not known.
    let partly = command.contains("screen");
    let expected = if partly { UNANSWERED } else { 0 };
    assert_eq!(output.status.code(), Some(expected), "{command}\n{said}");
    assert!(!said.contains("refused: quota"), "{command}\n{said}");
    if command.starts_with("sandbox flip-a-byte") {
        assert!(
            said.contains("is damaged at offset") && said.contains("entry"),
            "{said}"
        );
    }
    if partly {
        let answers = dir.join(".accord/numbers.txt.answers.jsonl");
        let answers = fs::read_to_string(answers).unwrap();
        assert!(!answers.contains("\"quota\""), "{answers}");
    }
}

/// Ctrl-C, and all that is printed after it.
fn end(child: &mut Child) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let mut rest = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut rest)
        .unwrap();
    assert!(child.wait().unwrap().success(), "{rest}");
    assert!(rest.contains("draining"), "{rest}");
}

#[test]
fn every_command_of_the_readme_works_as_pasted() {
    let dir = tempfile::tempdir().unwrap();
    let (mut child, _page) = serving(dir.path(), &[]);
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let commands: Vec<&str> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("$ cargo "))
        .map(|line| line.split(" #").next().unwrap().trim())
        .filter(|command| command.starts_with("accord ") || command.starts_with("sandbox flip"))
        .filter(|command| *command != "accord audit tail")
        .collect();
    assert!(commands.len() >= 5, "{commands:?}");
    for command in commands {
        gives_an_answer(dir.path(), command);
    }
    end(&mut child.0);
}

#[test]
fn printed_commands_work_where_the_directory_is_no_plain_word() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["--once", "--dir", "sp ace/it's"];
    let output = on_free_ports(dir.path(), &arguments).output().unwrap();
    let page = said(&output);
    assert!(output.status.success(), "{page}");
    let commands = commands(&page);
    let offline = |command: &&String| {
        [
            "accord audit verify --profile",
            "sandbox flip",
            "accord agreement check",
        ]
        .iter()
        .any(|begin| command.starts_with(begin))
    };
    let offline: Vec<&String> = commands.iter().filter(offline).collect();
    assert_eq!(offline.len(), 3, "{page}");
    for command in offline {
        gives_an_answer(dir.path(), command);
    }
    let flipped = pasted(dir.path(), "sandbox flip-a-byte --dir 'sp ace/it'\\''s'");
    let flipped = said(&{ flipped }.output().unwrap());
    let (_, again) = flipped
        .split_once("by the auditor's own hand: cargo ")
        .unwrap();
    let verified = pasted(dir.path(), again.trim()).output().unwrap();
    assert_eq!(verified.status.code(), Some(1), "{}", said(&verified));
    assert!(said(&verified).contains("is damaged at offset"));
}

#[test]
fn a_port_in_use_is_named_with_its_flag_and_nothing_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    assert!(
        on_free_ports(dir.path(), &["--once"])
            .status()
            .unwrap()
            .success()
    );
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let flags = [
        "--grpc-port",
        "--admin-port",
        "--tiles-port",
        "--camara-port",
    ];
    for flag in flags {
        let others = flags.iter().filter(|other| **other != flag);
        let free = others.clone().flat_map(|other| [*other, "0"]);
        let arguments: Vec<_> = ["--once", flag, &port].into_iter().chain(free).collect();
        let output = sandbox(dir.path(), &arguments).output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("port {port} is in use")), "{said}");
        assert!(said.contains(flag), "{said}");
        for other in others {
            assert!(!said.contains(other), "{said}");
        }
    }
    let ledger = fs::read_dir(dir.path().join(".accord/ledger"));
    assert!(ledger.expect("the ledger is there").count() > 1);
}
