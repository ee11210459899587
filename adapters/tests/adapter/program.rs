//! The program `accord-adapter`, from its configuration file to its exit code.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use crate::certificates::Certificates;
use crate::support::{FakeBroker, ask, outcomes, welcome};
use accord_certs::{LeafOptions, Pki};
use accord_proto::{
    clock::{Clock as _, SystemClock},
    signal::Signal,
};
use jiff::SignedDuration;

const CONFIG: &str = r#"
operator = "north-mobile"
instance = "a"
[[broker]]
endpoint = "https://BROKER"
domain = "localhost"
[tls]
roots = "ca.pem"
certificate = "adapter.pem"
key = "adapter.key"
[journal]
dir = "journal"
subject_key_file = "keys/subject.key"
checkpoint_key_file = "keys/checkpoint.key"
[[source]]
kind = "virtual"
prefix = "+447700900"
"#;

fn program(command: &str, config: &Path) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_accord-adapter"));
    program.arg(command).arg("--config").arg(config);
    program
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// Certificates, and beside them the configuration of an adapter whose broker is not there.
fn desk() -> (Certificates, PathBuf) {
    let certificates = Certificates::make();
    let config = certificates.dir.path().join("adapter.toml");
    std::fs::write(&config, CONFIG.replace("BROKER", "127.0.0.1:1")).unwrap();
    (certificates, config)
}

/// Looks again and again, for twenty seconds at most, whether it holds.
fn holds_soon(mut holds: impl FnMut() -> bool) -> bool {
    (0..2_000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        holds()
    })
}

#[test]
fn bad_configuration_and_usage_exit_64() {
    let dir = tempfile::TempDir::new().unwrap();
    let config = dir.path().join("adapter.toml");
    let fails = |text: &str, command: &str, expected: &str| {
        std::fs::write(&config, text).unwrap();
        let (code, _, err) = said(&program(command, &config).output().unwrap());
        assert_eq!(code, Some(64), "{err}");
        assert!(err.contains(expected), "{err}");
    };
    fails(
        &CONFIG.replace("[tls]", "[tlz]"),
        "check",
        "adapter.toml`: ",
    );
    fails(
        &CONFIG.replace("+447700900", "+44"),
        "check",
        "source `virtual`: `prefix`: ",
    );
    fails(CONFIG, "run", "`tls.roots` can't be used: can't read `");
    fails(CONFIG, "verify-journal", "checkpoint.key");
    fails(CONFIG, "sing", "sing");
    let absent = PathBuf::from("/nowhere/adapter.toml");
    let (code, _, err) = said(&program("check", &absent).output().unwrap());
    assert_eq!(code, Some(64));
    assert!(
        err.contains("cannot read `/nowhere/adapter.toml`: No such file"),
        "{err}"
    );
}

#[test]
fn run_refuses_credentials_that_no_broker_can_take_and_says_which_file_and_why() {
    let (certificates, config) = desk();
    let dir = certificates.dir.path();
    let fails = |expected: &str| {
        let (code, _, err) = said(&program("run", &config).output().unwrap());
        assert_eq!(code, Some(64), "{err}");
        assert!(err.contains(expected), "{err}");
        assert!(!dir.join("journal").exists(), "it began all the same");
    };
    let key = std::fs::read(dir.join("adapter.key")).unwrap();
    std::fs::write(dir.join("adapter.key"), "garbage").unwrap();
    fails("adapter.key` holds no private key in PEM");
    std::fs::write(dir.join("adapter.key"), key).unwrap();
    std::fs::copy(dir.join("ca.pem"), dir.join("adapter.pem")).unwrap();
    fails("adapter.pem` has no URI name, and must have exactly one URI name");
}

/// Its sources are watched on, and the next dial reads what replaces it.
#[test]
fn run_warns_of_a_certificate_that_has_expired_and_starts_all_the_same() {
    let (certificates, config) = desk();
    let dir = certificates.dir.path();
    let now = SystemClock.now();
    let pki = Pki::new("accord.test", now).unwrap();
    let expired = LeafOptions::at(now).lifetime(SignedDuration::from_hours(-24));
    let leaf = pki.issue("operator", "north-mobile", &expired).unwrap();
    leaf.write(dir, "adapter").unwrap();
    let log = dir.join("log");
    let mut running = program("run", &config)
        .stderr(Stdio::from(std::fs::File::create(&log).unwrap()))
        .spawn()
        .unwrap();
    let mut said = String::new();
    let ready = holds_soon(|| {
        said = std::fs::read_to_string(&log).unwrap();
        said.contains("adapter ready")
    });
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(ready, "{said}");
    assert!(said.contains("adapter.pem` expired at "), "{said}");
}

#[test]
fn a_key_that_is_lost_is_not_replaced_by_another_while_its_journal_is_there() {
    let (certificates, config) = desk();
    let dir = certificates.dir.path();
    let mut running = program("run", &config)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let first = dir.join("journal/journal-00000000000000000000.jsonl");
    assert!(holds_soon(|| first.exists()), "no journal");
    let kill = Command::new("kill").arg(running.id().to_string()).status();
    assert!(kill.unwrap().success());
    running.wait().unwrap();
    for key in ["keys/subject.key", "keys/checkpoint.key"] {
        let away = dir.join("away");
        std::fs::rename(dir.join(key), &away).unwrap();
        // A journal is verified by the public half of one of them alone.
        let verifies = (key == "keys/checkpoint.key").then_some("verify-journal");
        for command in ["run", "check"].into_iter().chain(verifies) {
            let (code, _, err) = said(&program(command, &config).output().unwrap());
            assert_eq!(code, Some(64), "{err}");
            let lost = format!("{key}` is not there, and the journal in `");
            assert!(err.contains(&lost), "{err}");
            assert!(!dir.join(key).exists(), "another key was made");
        }
        std::fs::rename(&away, dir.join(key)).unwrap();
    }
}

#[tokio::test]
async fn run_answers_until_it_is_told_to_stop_and_logs_no_number() {
    let certificates = Certificates::make();
    let any = "127.0.0.1:0".parse().unwrap();
    let tls = Some(certificates.server.clone());
    let mut broker = FakeBroker::start_at(any, welcome(1, 1, 10_000), tls).await;
    let config = certificates.dir.path().join("adapter.toml");
    let here = CONFIG.replace("BROKER", &broker.addr.to_string());
    std::fs::write(
        &config,
        here + "[log]\nfilter = \"trace\"\nformat = \"json\"\n",
    )
    .unwrap();
    let log = std::fs::File::create(certificates.dir.path().join("log")).unwrap();
    let mut running = program("run", &config)
        .stderr(Stdio::from(log))
        .spawn()
        .unwrap();
    let mut link = broker.attachment().await;
    link.ask(ask(1, "+447700900001", &[Signal::SimSwap], 800))
        .await;
    assert_eq!(outcomes(&link.reply().await), ["value"]);
    let kill = Command::new("kill").arg(running.id().to_string()).status();
    assert!(kill.unwrap().success());
    assert!(link.hear().await.is_none());
    drop(link);
    assert_eq!(running.wait().unwrap().code(), Some(0));
    let log = std::fs::read_to_string(certificates.dir.path().join("log")).unwrap();
    assert!(
        log.contains("adapter ready") && log.contains("attached"),
        "{log}"
    );
    assert!(!log.contains("7700900"), "a number in the log");

    let (code, out, _) = said(&program("verify-journal", &config).output().unwrap());
    assert_eq!(code, Some(0));
    assert!(
        out.starts_with("records 0 to 4, signed up to 3") && out.ends_with("ok\n"),
        "{out}"
    );
    let journal = certificates
        .dir
        .path()
        .join("journal/journal-00000000000000000000.jsonl");
    let damaged = std::fs::read_to_string(&journal)
        .unwrap()
        .replace("first-bank", "third-bank");
    std::fs::write(&journal, damaged).unwrap();
    let (code, _, err) = said(&program("verify-journal", &config).output().unwrap());
    assert_eq!(code, Some(1));
    assert!(err.contains("line 3, its `prev` is not the hash"), "{err}");
}
