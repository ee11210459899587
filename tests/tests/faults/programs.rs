//! The programs with wrong input, run as a person would: the exit code, a message that names the
//! file, the key and the rule, and nothing that looks like a crash.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
};

use accord_tests::world::WorldSpec;

use super::rig::{Rig, program};

/// `EX_USAGE` of sysexits: the configuration can't be used.
pub(crate) const CONFIG: i32 = 64;
/// clap's code for wrong arguments.
const ARGUMENTS: i32 = 2;
pub(crate) const FAILED: i32 = 1;

/// Runs a program to its end, and checks that it ended in good order with this code.
pub(crate) fn ends(name: &str, arguments: &[&str], code: i32) -> String {
    let output = Command::new(program(name))
        .args(arguments)
        .env("RUST_BACKTRACE", "1")
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = output;
    let said = String::from_utf8([stdout, stderr].concat()).unwrap();
    assert_eq!(status.code(), Some(code), "{name} {arguments:?}: {said}");
    for mark in [
        "panicked",
        "backtrace",
        "RUST_",
        "unwrap",
        "src/",
        "Os {",
        "Error {",
    ] {
        assert!(
            !said.contains(mark),
            "{name} {arguments:?} shows {mark}: {said}"
        );
    }
    said
}

pub(crate) fn says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
}

/// A configuration with one text replaced by another.
pub(crate) fn with(config: &Path, from: &str, to: &str) -> String {
    let text = fs::read_to_string(config).unwrap();
    assert!(text.contains(from), "{from}");
    let changed = config.with_file_name("changed.toml");
    fs::write(&changed, text.replacen(from, to, 1)).unwrap();
    changed.to_str().unwrap().to_owned()
}

#[test]
fn wrong_arguments_end_with_a_hint() {
    for arguments in [
        &[][..],
        &["serve"],
        &["sevre"],
        &["ledger"],
        &["serve", "--confg", "x"],
    ] {
        says(
            &ends("accord-broker", arguments, ARGUMENTS),
            &["Usage: accord-broker"],
        );
    }
    says(&ends("accord-broker", &["serve"], ARGUMENTS), &["--config"]);
    for arguments in [&[][..], &["run"], &["rnu"]] {
        says(
            &ends("accord-adapter", arguments, CONFIG),
            &["Usage: accord-adapter"],
        );
    }
    says(
        &ends("accord-broker", &["--version"], 0),
        &["accord-broker 0."],
    );
    says(
        &ends("accord-broker", &["--help"], 0),
        &["Exit codes:", "64"],
    );
}

#[test]
fn a_broker_configuration_that_can_not_be_used_names_file_key_and_rule() {
    let rig = Rig::new(&WorldSpec::default());
    let config = rig.files.broker_config_path();
    for (from, to, words) in [
        (
            "[listen]",
            "[listen]\nadmim = 1",
            &["changed.toml", "line", "admim"][..],
        ),
        ("[replay]", "[replai]", &["changed.toml", "replai"]),
        (
            "segment_mib = ",
            "segment_mib = \"many\" #",
            &["changed.toml", "line", "segment_mib"],
        ),
        (
            "segment_mib = ",
            "segment_mib = 100000 #",
            &["changed.toml", "ledger.segment_mib", "1 to 1024"],
        ),
        (
            "[replay]",
            "[limits]\nheader_kib_max = 4194304\n\n[replay]",
            &["changed.toml", "limits.header_kib_max", "1 to 1024"],
        ),
        (
            "admin = \"127.0.0.1",
            "admin = \"0.0.0.0",
            &["changed.toml", "listen.admin", "loopback"],
        ),
        (
            "grpc = \"127.0.0.1",
            "grpc = \"somewhere",
            &["changed.toml", "line", "grpc"],
        ),
        (
            "dir = \"keys\"",
            "dir = \"ledger/keys\"",
            &["changed.toml", "keys.dir"],
        ),
        (
            "revocation_lists = [\"pki/ca.crl\"]",
            "revocation_lists = []",
            &["changed.toml", "tls.revocation_lists"],
        ),
        (
            "telecom_regulator = \"",
            "telecom_regulator = \"x",
            &["changed.toml", "authorities.telecom_regulator"],
        ),
        ("[broker]", "[broker", &["changed.toml", "line"]),
    ] {
        let changed = with(&config, from, to);
        for command in ["serve", "check-config"] {
            says(
                &ends("accord-broker", &[command, "--config", &changed], CONFIG),
                words,
            );
        }
    }
    let absent = "/nowhere/broker.toml";
    for command in [&["serve"][..], &["check-config"], &["ledger", "init"]] {
        let arguments = [command, &["--config", absent]].concat();
        says(
            &ends("accord-broker", &arguments, CONFIG),
            &[absent, "No such file"],
        );
    }
}

#[test]
fn a_file_that_the_configuration_names_and_that_is_not_there_is_named() {
    let rig = Rig::new(&WorldSpec::default());
    let config = rig.files.broker_config_path();
    for file in [
        "pki/broker.pem",
        "pki/broker.key",
        "pki/ca.pem",
        "pki/ca.crl",
        "agreement.toml",
        "parties.toml",
        "ledger.key",
    ] {
        let changed = with(&config, file, "nowhere.file");
        for (command, code) in [("serve", FAILED), ("check-config", CONFIG)] {
            let said = ends("accord-broker", &[command, "--config", &changed], code);
            says(&said, &["nowhere.file", "No such file"]);
        }
    }
}

#[test]
fn a_document_that_is_not_in_order_is_named() {
    let rig = Rig::new(&WorldSpec::default());
    let config = rig.files.broker_config_path();
    let config = config.to_str().unwrap();
    let good = fs::read_to_string(rig.files.agreement_path()).unwrap();
    let text = good.split("\n\n\u{2014} ").next().unwrap();
    for (note, words) in [
        (text.to_owned(), &["agreement.toml"][..]),
        (String::new(), &["agreement.toml"]),
        (
            good.replacen("first-bank", "third-bank", 1),
            &["agreement.toml"],
        ),
        ("\u{1}\u{2}".to_owned(), &["agreement.toml"]),
    ] {
        rig.files.replace_agreement(&note).unwrap();
        says(
            &ends("accord-broker", &["serve", "--config", config], FAILED),
            words,
        );
        says(
            &ends(
                "accord-broker",
                &["check-config", "--config", config],
                CONFIG,
            ),
            words,
        );
    }
}

#[test]
fn a_ledger_is_made_once_and_by_nothing_else() {
    let rig = Rig::new(&WorldSpec::default());
    let config = rig.files.broker_config_path();
    let config = config.to_str().unwrap();
    let init = ["ledger", "init", "--config", config];
    let dir = rig.files.ledger_dir();
    says(
        &ends("accord-broker", &init, FAILED),
        &[dir.to_str().unwrap(), "holds a ledger already"],
    );
    fs::remove_dir_all(&dir).unwrap();
    let said = ends("accord-broker", &["serve", "--config", config], FAILED);
    says(
        &said,
        &[
            dir.to_str().unwrap(),
            "holds no ledger",
            "accord-broker ledger init",
        ],
    );
    assert!(!dir.join("log.vkey").exists(), "serve made a ledger");
    says(
        &ends("accord-broker", &init, 0),
        &[dir.to_str().unwrap(), "verifier key: "],
    );
    says(
        &ends("accord-broker", &init, FAILED),
        &["holds a ledger already"],
    );
    // Another log's key.
    let named = with(
        Path::new(config),
        "name = \"accord-sandbox\"",
        "name = \"other\"",
    );
    says(
        &ends(
            "accord-broker",
            &["check-config", "--config", &named],
            CONFIG,
        ),
        &["ledger.signing_key"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_and_a_ledger_in_use_are_named() {
    let mut rig = Rig::new(&WorldSpec::default());
    let config = rig.files.broker_config_path();
    for (key, port) in [
        ("grpc", rig.files.grpc_port()),
        ("admin", rig.files.admin_port()),
        ("tiles", rig.files.tiles_port()),
    ] {
        let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let config = config.to_str().unwrap();
        let said = ends("accord-broker", &["serve", "--config", config], FAILED);
        says(
            &said,
            &[&format!("127.0.0.1:{port} (listen.{key})"), "in use"],
        );
    }
    let broker = rig.broker().await;
    let taken = |port: u16| format!("127.0.0.1:{port}");
    let changed = with(&config, &taken(rig.files.grpc_port()), "127.0.0.1:0");
    let text = fs::read_to_string(&changed).unwrap();
    let text = text.replacen(&taken(rig.files.admin_port()), "127.0.0.1:0", 1);
    let text = text.replacen(&taken(rig.files.tiles_port()), "127.0.0.1:0", 1);
    fs::write(&changed, text).unwrap();
    let said = tokio::task::spawn_blocking(move || {
        ends("accord-broker", &["serve", "--config", &changed], FAILED)
    });
    let dir = rig.files.ledger_dir();
    says(
        &said.await.unwrap(),
        &[dir.to_str().unwrap(), "in use by another process"],
    );
    assert!(broker.terminate().await.unwrap().success());
}

#[test]
fn an_adapter_configuration_that_can_not_be_used_names_file_key_and_rule() {
    let rig = Rig::new(&WorldSpec::default());
    let config = rig.files.adapter_config_path("north-mobile");
    for (from, to, words) in [
        ("[tls]", "[tlz]", &["changed.toml", "tlz"][..]),
        (
            "instance = \"a\"",
            "instance = 7",
            &["changed.toml", "line 3"],
        ),
        (
            "https://",
            "http://",
            &["changed.toml", "broker.endpoint", "https://"],
        ),
        (
            "file_mib_max = 16",
            "file_mib_max = 0",
            &["changed.toml", "journal.file_mib_max", "1 to 4096"],
        ),
        (
            "kind = \"virtual\"",
            "kind = \"visual\"",
            &["changed.toml", "visual"],
        ),
        (
            "prefix = \"+447700900\"",
            "prefix = \"+44\"",
            &["source `virtual`", "prefix"],
        ),
        (
            "operator = \"north-mobile\"",
            "operator = \"North Mobile\"",
            &["changed.toml", "line 2"],
        ),
        (
            "../pki/ca.pem",
            "../pki/nowhere.pem",
            &["nowhere.pem", "No such file"],
        ),
        (
            "../pki/north-mobile.key",
            "../pki/nowhere.key",
            &["nowhere.key", "No such file"],
        ),
    ] {
        let changed = with(&config, from, to);
        says(
            &ends("accord-adapter", &["run", "--config", &changed], CONFIG),
            words,
        );
    }
    let absent = "/nowhere/adapter.toml";
    for command in ["run", "check", "verify-journal"] {
        says(
            &ends("accord-adapter", &[command, "--config", absent], CONFIG),
            &[absent, "No such file"],
        );
    }
    // A number in a wrong argument is not repeated.
    let config = config.to_str().unwrap();
    let said = ends(
        "accord-adapter",
        &["check", "--config", config, "--number", "07700900123"],
        CONFIG,
    );
    says(&said, &["number 1"]);
    assert!(!said.contains("7700900123"), "{said}");
}
