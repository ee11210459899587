//! A journal and exports of a ledger: alike, and with one difference each.

use std::{fs, io::Write as _};

use accord_proto::{
    clock::{Clock as _, ManualClock, SharedClock},
    v1::{self, entry::Event as Entered},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Message as _;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::journal::{
    Asked, Event, Hex, Journal, JournalSettings, SubjectKey, load_or_make_checkpoint_key,
};

mod pushed;
mod unused;
mod view;

const ORIGIN: &str = "accord-test/2026-11";
const BROKER: &str = "https://broker.accord.test:7443";

struct Stage {
    dir: TempDir,
    clock: std::sync::Arc<ManualClock>,
    journal: Option<Journal>,
    entries: Vec<v1::Entry>,
}

/// An adapter's journal and a ledger, which both have seen ten questions, a minute apart.
fn stage() -> Stage {
    let dir = TempDir::new().unwrap();
    let clock = ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap());
    let key = load_or_make_checkpoint_key(&dir.path().join("checkpoint.key"), "north-mobile/a");
    let settings = JournalSettings {
        dir: dir.path().join("journal"),
        subject_key: SubjectKey::load_or_make(&dir.path().join("subject.key")).unwrap(),
        checkpoint_key: key.unwrap(),
        file_bytes_max: 1 << 20,
        files_max: 16,
    };
    let shared: SharedClock = clock.clone();
    let journal = Journal::open(settings, shared).unwrap();
    let mut stage = Stage {
        dir,
        clock,
        journal: Some(journal),
        entries: Vec::new(),
    };
    stage.record(&Event::Start {
        software: "test",
        instance: "a",
    });
    let head = stage.journal.as_ref().unwrap().head();
    stage.enter(Entered::AdapterLink(v1::AdapterLink {
        kind: v1::adapter_link::Kind::Attached as i32,
        operator: "north-mobile".to_owned(),
        instance: "a".to_owned(),
        journal_size: head.size,
        journal_head: head.hash.to_vec(),
        ..v1::AdapterLink::default()
    }));
    for digest in 0..10 {
        stage.pass_minutes(1);
        let index = stage.reply(digest, &[]);
        stage.access(Some((index, digest)), |_| {});
    }
    stage
}

impl Stage {
    fn pass_minutes(&self, minutes: i64) {
        self.clock.step(SignedDuration::from_mins(minutes));
    }

    fn record(&self, event: &Event<'_>) -> u64 {
        let journal = self.journal.as_ref().unwrap();
        let index = journal.append(event).unwrap();
        journal.write_out().unwrap();
        index
    }

    fn reply(&self, digest: u8, clauses: &[&str]) -> u64 {
        self.record(&Event::Reply {
            asked: asked(clauses),
            reply: Hex([digest; 32]),
        })
    }

    fn enter(&mut self, event: Entered) {
        let at = self.clock.now().as_millisecond();
        self.entries.push(v1::Entry {
            salt: vec![7; 32],
            event: Some(event),
            time_unix_ms: u64::try_from(at).unwrap(),
        });
    }

    fn access(&mut self, reply: Option<(u64, u8)>, change: impl FnOnce(&mut v1::Access)) {
        let reply = reply.map(|(journal_index, digest)| v1::ReplyDigest {
            instance: "a".to_owned(),
            journal_index,
            digest: vec![digest; 32],
            elapsed_us: 900,
        });
        let mut access = v1::Access {
            bank: "first-bank".to_owned(),
            operator: "north-mobile".to_owned(),
            purpose: v1::Purpose::Payment as i32,
            signals: vec![v1::SignalRecord {
                signal: v1::Signal::SimSwap as i32,
                ..v1::SignalRecord::default()
            }],
            replies: reply.into_iter().collect(),
            ..v1::Access::default()
        };
        change(&mut access);
        self.enter(Entered::Access(access));
    }

    fn change(&mut self, entry: usize, change: impl FnOnce(&mut v1::Access)) {
        let Some(Entered::Access(access)) = &mut self.entries[entry].event else {
            panic!("entry {entry} is no access");
        };
        change(access);
    }

    /// Writes the export as `accord audit export` does, and compares.
    fn reconcile(&mut self) -> Result<Reconciled, ReconcileError> {
        let export = self.dir.path().join("export.jsonl");
        let mut file = fs::File::create(&export).unwrap();
        for (index, entry) in self.entries.iter().enumerate() {
            let leaf = STANDARD.encode(entry.encode_to_vec());
            let line = json!({"origin": ORIGIN, "index": index, "kind": "access", "leaf": leaf});
            writeln!(file, "{line}").unwrap();
        }
        let footer = json!({"footer": {}, "entries": self.entries.len(), "checkpoints": []});
        writeln!(file, "{footer}").unwrap();
        self.compare(&export)
    }

    fn compare(&mut self, export: &Path) -> Result<Reconciled, ReconcileError> {
        // Closed, so that its last records are signed.
        drop(self.journal.take());
        let key = self.dir.path().join("checkpoint.key");
        let key = load_or_make_checkpoint_key(&key, "north-mobile/a").unwrap();
        reconcile(&Scope {
            operator: "north-mobile",
            instance: "a",
            journal_dir: &self.dir.path().join("journal"),
            journal_key: key.verifier(),
            export,
            broker: None,
            from: None,
            until: None,
        })
    }

    fn differences(&mut self) -> Vec<String> {
        let reconciled = self.reconcile().unwrap();
        let page = include_str!("../../../docs/operators/README.md");
        for difference in &reconciled.differences {
            let row = format!("\n  | `{}` | ", difference.title());
            assert!(page.contains(&row), "no row has {row:?}");
        }
        let differences = reconciled.differences.iter();
        differences.map(ToString::to_string).collect()
    }
}

/// Answered from the view, on the third reply.
fn from_view(access: &mut v1::Access) {
    access.signals[0].from_view = true;
    access.signals[0].rests_on = Some(rests_on(3, 2));
}

fn rests_on(journal_index: u64, digest: u8) -> v1::ReplyDigest {
    v1::ReplyDigest {
        instance: "a".to_owned(),
        journal_index,
        digest: vec![digest; 32],
        elapsed_us: 0,
    }
}

fn asked<'a>(clauses: &'a [&'a str]) -> Asked<'a> {
    Asked {
        broker: BROKER,
        bank: "first-bank",
        on_behalf_of: "",
        purpose: Some("payment"),
        signals: &["sim_swap"],
        clauses,
        subject: Hex([3; 16]),
    }
}

#[test]
fn what_both_have_alike_is_no_difference() {
    let mut stage = stage();
    let reconciled = stage.reconcile().unwrap();
    assert_eq!(reconciled.differences, []);
    assert_eq!((reconciled.matched, reconciled.heads), (10, 1));
    assert_eq!(reconciled.entries, 11);
}

#[test]
fn a_question_that_is_not_on_the_record_is_named() {
    let mut stage = stage();
    stage.entries.remove(6);
    assert_eq!(
        stage.differences(),
        [
            "asked, and not on the record: journal 6, 2026-11-21T12:06:00Z, first-bank, payment, sim_swap"
        ]
    );
}

#[test]
fn an_entry_without_a_question_is_named() {
    let mut stage = stage();
    stage.access(Some((400, 1)), |_| {});
    assert_eq!(
        stage.differences(),
        [
            "on the record, and never asked: accord-test/2026-11#11 names journal 400, which is beyond its end"
        ]
    );
}

#[test]
fn an_entry_that_names_another_kind_of_record_is_named() {
    let mut stage = stage();
    stage.access(Some((0, 1)), |_| {});
    assert_eq!(
        stage.differences(),
        [
            "on the record, and never asked: accord-test/2026-11#11 names journal 0, which is no reply to this broker"
        ]
    );
}

#[test]
fn another_digest_another_bank_and_another_purpose_are_named() {
    let mut stage = stage();
    stage.change(2, |access| access.replies[0].digest = vec![99; 32]);
    stage.change(3, |access| access.bank = "second-bank".to_owned());
    stage.change(4, |access| access.purpose = v1::Purpose::Login as i32);
    stage.change(5, |access| {
        access.signals[0].signal = v1::Signal::Roaming as i32;
    });
    assert_eq!(
        stage.differences(),
        [
            "told otherwise than recorded: accord-test/2026-11#2 has another digest than journal 2",
            "asked otherwise than recorded: accord-test/2026-11#3 has another bank than journal 3",
            "asked otherwise than recorded: accord-test/2026-11#4 has another purpose than journal 4",
            "asked otherwise than recorded: accord-test/2026-11#5 has another signal than journal 5",
        ]
    );
}

#[test]
fn one_reply_can_not_stand_behind_two_entries() {
    let mut stage = stage();
    stage.access(Some((5, 4)), |_| {});
    assert_eq!(
        stage.differences(),
        ["on the record twice: accord-test/2026-11#11 names journal 5 again"]
    );
}

#[test]
fn what_was_served_from_the_view_must_be_reported_and_on_the_record() {
    let mut stage = stage();
    stage.access(None, from_view);
    stage.access(None, from_view);
    for entry in [11, 900] {
        stage.record(&Event::ServedFromView {
            asked: asked(&[]),
            origin: ORIGIN,
            entry,
        });
        stage.pass_minutes(5);
    }
    stage.access(None, |access| access.bank = "second-bank".to_owned());
    assert_eq!(
        stage.differences(),
        [
            "answered from the view, and not reported: accord-test/2026-11#12",
            "reported as answered from the view, and not on the record: journal 12 names accord-test/2026-11#900",
        ]
    );
}

#[test]
fn with_other_instances_a_report_may_have_gone_to_one_of_them() {
    let mut stage = stage();
    stage.access(None, from_view);
    stage.enter(Entered::AdapterLink(v1::AdapterLink {
        kind: v1::adapter_link::Kind::Attached as i32,
        operator: "north-mobile".to_owned(),
        instance: "b".to_owned(),
        ..v1::AdapterLink::default()
    }));
    let reconciled = stage.reconcile().unwrap();
    assert_eq!(reconciled.differences, []);
    assert_eq!(reconciled.reported_elsewhere, 1);
}

#[test]
fn a_journal_that_was_begun_anew_has_another_head() {
    let mut stage = stage();
    if let Some(Entered::AdapterLink(link)) = &mut stage.entries[0].event {
        link.journal_head = vec![9; 32];
    }
    assert_eq!(
        stage.differences(),
        ["the journal had another head: accord-test/2026-11#0 has it at 1 records"]
    );
}

#[test]
fn what_an_authority_asked_for_a_subject_is_counted() {
    let mut stage = stage();
    stage.pass_minutes(5);
    stage.reply(80, &["subject-report"]);
    stage.pass_minutes(5);
    stage.access(None, |access| access.bank = "second-bank".to_owned());
    let reconciled = stage.reconcile().unwrap();
    assert_eq!(reconciled.differences, []);
    assert_eq!(reconciled.subject_reports, 1);
}

#[test]
fn an_export_that_is_none_is_refused_with_its_line() {
    let mut stage = stage();
    let export = stage.dir.path().join("export.jsonl");
    let whole = {
        stage.reconcile().unwrap();
        fs::read_to_string(&export).unwrap()
    };
    let mut lines: Vec<&str> = whole.lines().collect();
    let footer = lines.pop().unwrap();
    let cut = lines.join("\n") + "\n";
    let short = lines[1..].join("\n") + "\n" + footer + "\n";
    let foreign = whole.replace("\"leaf\":\"", "\"leaf\":\"!");
    let long = "x".repeat(2 << 20);
    for (text, said) in [
        (cut.as_str(), "line 12: the footer is missing"),
        (short.as_str(), "line 11: the footer counts other entries"),
        (foreign.as_str(), "line 1: `leaf` is no entry"),
        ("index,time\n", "line 1: no entry"),
        (long.as_str(), "line 1: no entry, or longer"),
        ("", "line 1: the footer is missing"),
        (
            "{\"footer\":{},\"entries\":0}\n",
            "has no entry about north-mobile",
        ),
    ] {
        fs::write(&export, text).unwrap();
        let error = stage.compare(&export).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_damaged_journal_is_compared_with_nothing() {
    let mut stage = stage();
    stage.reconcile().unwrap();
    let file = stage
        .dir
        .path()
        .join("journal/journal-00000000000000000000.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("first-bank", "third-bank", 1)).unwrap();
    let error = stage.reconcile().unwrap_err().to_string();
    assert!(
        error.contains("is not the hash of the record before"),
        "{error}"
    );
}
