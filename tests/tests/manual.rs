//! Keeps `docs/from-sandbox-to-real.md` true: its files are read and its commands run.

#![expect(clippy::unwrap_used, reason = "tests end where they fail")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use accord_certs::{LeafOptions, Pki};
use accord_client::profile::LoadedProfile;
use accord_proto::{
    agreement::SignedAgreement,
    c2sp::SigningKey,
    clock::{Clock as _, SystemClock},
    document::Authorities,
    parties::Parties,
    statement::parse_joint,
};
use accord_tests::world::{AGREEMENT, broker_binary};

const PAGE: &str = include_str!("../../docs/from-sandbox-to-real.md");
/// These need nothing but the files of the page; of all others the page's words are parsed.
const RUN: [&str; 7] = [
    "accord new-key ",
    "accord new-share-key ",
    "accord audit statement ",
    "accord agreement check ",
    "accord agreement sign ",
    "accord parties ",
    "accord-adapter check ",
];

/// The text of the blocks of one language.
fn blocks(language: &str) -> Vec<&'static str> {
    let begin = format!("```{language}\n");
    let blocks = PAGE.split(begin.as_str()).skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap())
        .collect()
}

/// The one block that holds a text.
fn block(language: &str, holds: &str) -> &'static str {
    let blocks = blocks(language);
    let mut found = blocks.iter().filter(|block| block.contains(holds));
    let block = found.next().unwrap();
    assert!(found.next().is_none(), "two blocks hold `{holds}`");
    block
}

/// What is called of Accord's own programs.
fn commands() -> Vec<&'static str> {
    let console = blocks("console");
    let lines = console.iter().flat_map(|block| block.lines());
    lines
        .filter_map(|line| line.strip_prefix("$ "))
        .filter(|command| command.starts_with("accord"))
        .collect()
}

fn run(dir: &Path, command: &str, more: &[&str]) -> Output {
    let mut words = command.split(' ');
    let program = broker_binary()
        .unwrap()
        .with_file_name(words.next().unwrap());
    let mut program = Command::new(program);
    program.args(words).args(more).current_dir(dir);
    program.env_remove("ACCORD_PROFILE").output().unwrap()
}

#[test]
fn every_file_of_the_page_is_read_and_every_command_runs() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    fs::create_dir(dir.path().join("exports")).unwrap();
    put("agreement.toml", AGREEMENT);
    put("parties.toml", block("toml", "[parties]"));
    put("profile.toml", block("toml", "server_name"));
    put("statement.toml", block("toml", "needed_within_days"));
    put("adapter.toml", block("toml", "[journal]"));
    put("exports/subscribers-20261120.csv", block("csv", "MSISDN"));
    // What the operator was sent when it was let in.
    let now = SystemClock.now();
    let pki = Pki::new("accord.example", now).unwrap();
    put("roots.pem", pki.certificate_pem());
    let adapter = pki.issue("operator", "north-mobile", &LeafOptions::at(now));
    adapter.unwrap().write(dir.path(), "adapter").unwrap();
    let commands = commands();
    assert!(commands.len() >= 15, "{commands:?}");
    for command in commands {
        let runs = RUN.iter().any(|begin| command.starts_with(begin));
        let more = if runs { [].as_slice() } else { &["--help"] };
        let output = run(dir.path(), command, more);
        let said = [output.stdout.as_slice(), &output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success(), "{command}\n{said}");
        if command.starts_with("accord-adapter check") {
            assert!(
                said.contains("is up") && said.contains("sim_swap"),
                "{said}"
            );
        }
    }
    signed_by_both(dir.path());
    let profile = LoadedProfile::load(dir.path()).unwrap().profile;
    assert!(profile.party("first-bank").is_ok());
    let joint = fs::read_to_string(dir.path().join("joint.note")).unwrap();
    let joint = parse_joint(&joint).unwrap();
    assert_eq!(joint.statement.case(), Some("2026-0042"));
    assert_eq!(joint.note.signatures().len(), 2);
}

/// What the broker will make of the two documents.
fn signed_by_both(dir: &Path) {
    let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
    let key = |name: &str| {
        let key = SigningKey::parse(read(&format!("{name}.key")).trim()).unwrap();
        key.verifier().clone()
    };
    let authorities = Authorities::new(key("telecom-regulator"), key("central-bank")).unwrap();
    SignedAgreement::open(&read("agreement.toml"), &authorities, None).unwrap();
    let parties = Parties::open(&read("parties.toml"), &authorities, None).unwrap();
    assert_eq!(parties.all().len(), 2);
}
