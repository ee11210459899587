//! An HLR that is down, slow, or real.

use std::net::TcpListener;
use std::path::Path;

use accord_adapters::osmo_hlr::testing::RealHlr;
use accord_adapters::osmo_hlr::{OsmoHlr, OsmoHlrConfig};
use accord_proto::clock::SystemClock;
use accord_proto::msisdn::Msisdn;

use crate::{Desk, line};

const NUMBER: [&str; 2] = ["--number", "+447700900001"];
const IMSI: &str = "901700000000001";

pub(crate) fn source(address: &str, more: &str) -> String {
    format!(
        "[[source]]\nkind = \"osmo_hlr\"\nname = \"hlr\"\naddress = \"{address}\"\n\
         journal_dir = \"intervals\"\njournal_key_file = \"intervals.key\"\n{more}\n"
    )
}

fn content(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(dir).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let files = paths.filter(|path| path.is_file());
    let mut all: Vec<_> = files
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    all.sort();
    all
}

#[test]
fn a_source_that_is_down_is_named_and_does_not_conform() {
    let desk = Desk::with(&source("127.0.0.1:1", ""));
    let said = desk.check(&[&NUMBER[..], &["--rounds", "2"]].concat());
    assert_eq!(said.code, Some(1));
    let out = &said.out;
    assert!(out.contains("source hlr (osmo_hlr) is down: "), "{out}");
    assert!(out.contains("connection refused"), "{out}");
    let swap = line(out, "sim_swap");
    assert_eq!(swap[1..4], ["0", "of", "2"]);
    assert_eq!(swap[swap.len() - 2..], ["source_down", "2"]);
    let wrong = "wrong: sim_swap: no answer to 2 of 2 questions";
    assert!(out.contains(wrong), "{out}");
}

#[test]
fn a_source_that_never_answers_costs_its_time_and_no_more() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let desk = Desk::with(&source(&address, "request_timeout_ms = 100"));
    let said = desk.check(&[&NUMBER[..], &["--rounds", "3"]].concat());
    assert_eq!(said.code, Some(1));
    let swap = line(&said.out, "sim_swap");
    assert_eq!(swap[swap.len() - 2..], ["timeout", "3"], "{}", said.out);
    assert!(said.out.contains("did not answer in time"), "{}", said.out);
}

#[test]
fn a_running_adapter_is_not_disturbed_and_its_journal_stays_as_it_is() {
    let desk = Desk::with(&source("127.0.0.1:1", ""));
    let journal = desk.path("intervals");
    let config: OsmoHlrConfig = toml::from_str(&format!(
        "journal_dir = {journal:?}\njournal_key_file = {:?}",
        desk.path("intervals.key")
    ))
    .unwrap();
    // As the adapter that runs, which holds the journal locked.
    let running = OsmoHlr::open(&config, SystemClock::shared()).unwrap();
    let before = content(&journal);
    let said = desk.check(&NUMBER);
    assert!(said.out.contains("is down"), "{}{}", said.out, said.err);
    assert!(content(&journal) == before, "the journal changed");
    drop(running);
    std::fs::remove_file(desk.path("intervals.key")).unwrap();
    std::fs::remove_dir_all(&journal).unwrap();
    desk.check(&NUMBER);
    assert!(!journal.exists() && !desk.path("intervals.key").exists());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs osmo-hlr"]
async fn a_real_hlr_conforms_and_its_file_is_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let hlr = RealHlr::start(dir.path()).await.unwrap();
    let admin = hlr.admin();
    let number = Msisdn::parse("+447700900001").unwrap();
    admin.create(IMSI).await.unwrap();
    admin.give(IMSI, &number).await.unwrap();
    hlr.register("vlr-901-70", IMSI).await.unwrap();
    let device = "00101700000001";
    hlr.check_in("vlr-901-70", IMSI, device).await.unwrap();
    let file = hlr.sqlite_file();
    let serving = "serving = [{ name = \"vlr-901-70\", home = true }]";
    let more = format!("sqlite_file = {file:?}\n{serving}");
    let desk = Desk::with(&source(&hlr.ctrl_address(), &more));
    let before = std::fs::read(&file).unwrap();
    let said = tokio::task::block_in_place(|| desk.check(&NUMBER));
    println!("{}", said.out);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    for signal in ["sim_swap", "device_swap", "roaming"] {
        assert_eq!(
            line(&said.out, signal)[1..4],
            ["20", "of", "20"],
            "{}",
            said.out
        );
    }
    assert!(
        said.out
            .contains("signals that no source knows: call_forwarding")
    );
    assert!(std::fs::read(&file).unwrap() == before);

    let copy = dir.path().join("copy.db");
    std::fs::copy(&file, &copy).unwrap();
    let desk = Desk::with(&source(
        &hlr.ctrl_address(),
        &format!("sqlite_file = {copy:?}"),
    ));
    let said = tokio::task::block_in_place(|| desk.check(&NUMBER));
    assert_eq!(said.code, Some(1));
    assert!(
        said.out.contains("is unusable: ") && said.out.contains("it is a copy"),
        "{}",
        said.out
    );
}
