//! The journal, opened, filled, damaged and opened again.

use accord_proto::{
    clock::{ManualClock, SharedClock},
    msisdn::Msisdn,
};
use tempfile::TempDir;

use super::*;

fn clock() -> SharedClock {
    ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap())
}

struct Bench {
    dir: TempDir,
    key: SigningKey,
    file_bytes_max: u64,
    files_max: usize,
}

impl Bench {
    fn new() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
            key: SigningKey::generate("north-mobile/a").unwrap(),
            file_bytes_max: 1 << 20,
            files_max: 10,
        }
    }

    fn open(&self) -> Result<Journal, JournalError> {
        let settings = JournalSettings {
            dir: self.dir.path().to_owned(),
            subject_key: SubjectKey::new(&[7; 32]),
            checkpoint_key: self.key.renamed("north-mobile/a").unwrap(),
            file_bytes_max: self.file_bytes_max,
            files_max: self.files_max,
        };
        Journal::open(settings, clock())
    }

    fn fill(&self, replies: u8) {
        let journal = self.open().unwrap();
        for number in 0..replies {
            append(&journal, number);
        }
        journal.write_out().unwrap();
    }

    fn verify(&self) -> Result<Verified, JournalError> {
        verify(self.dir.path(), self.key.verifier())
    }

    fn newest(&self) -> PathBuf {
        read::files(self.dir.path()).unwrap().pop().unwrap().1
    }
}

fn append(journal: &Journal, number: u8) -> u64 {
    let msisdn = Msisdn::parse("+447700900001").unwrap();
    let asked = Asked {
        broker: "https://127.0.0.1:7443",
        bank: "first-bank",
        on_behalf_of: "",
        purpose: Some("payment"),
        signals: &["sim_swap"],
        clauses: &["3.1"],
        subject: journal.subject(&msisdn),
    };
    let reply = Hex([number; 32]);
    journal.append(&Event::Reply { asked, reply }).unwrap()
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn records_are_chained_counted_and_signed_at_stop() {
    let bench = Bench::new();
    bench.fill(3);
    let verified = bench.verify().unwrap();
    // Three replies, and the checkpoint that covers them.
    assert_eq!(
        (verified.head.size, verified.signed, verified.torn_bytes),
        (4, 3, 0)
    );
    let journal = bench.open().unwrap();
    assert_eq!(journal.head(), verified.head);
    assert_eq!(append(&journal, 9), 4);
    drop(journal);
    assert_eq!(bench.verify().unwrap().head.size, 6);
}

#[test]
fn a_stop_without_new_records_adds_none() {
    let bench = Bench::new();
    bench.fill(2);
    let before = bench.verify().unwrap();
    drop(bench.open().unwrap());
    assert_eq!(bench.verify().unwrap(), before);
}

#[test]
fn a_line_reads_as_documented_and_holds_no_number() {
    let bench = Bench::new();
    bench.fill(2);
    let lines = text(&bench.newest());
    let mut lines = lines.split_inclusive('\n');
    let first = lines.next().unwrap();
    let expected = concat!(
        r#"{"index":0,"at":"2026-11-21T12:00:00Z","event":"reply","#,
        r#""broker":"https://127.0.0.1:7443","bank":"first-bank","purpose":"payment","#,
        r#""signals":["sim_swap"],"clauses":["3.1"],"subject":""#,
    );
    assert!(first.starts_with(expected), "{first}");
    assert!(!first.contains("7700900"));
    let second: serde_json::Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    let hash = Hex(sha256(&[first.as_bytes()]));
    assert_eq!(second["prev"], serde_json::to_value(hash).unwrap());
}

#[test]
fn a_flipped_byte_is_found_and_named() {
    let bench = Bench::new();
    bench.fill(5);
    let path = bench.newest();
    let whole = fs::read(&path).unwrap();
    let third = text(&path).match_indices('\n').nth(1).unwrap().0 + 1;
    for offset in [third + 90, third + 200, third + 300] {
        let mut flipped = whole.clone();
        flipped[offset] ^= 1;
        fs::write(&path, flipped).unwrap();
        for error in [bench.verify().unwrap_err(), bench.open().unwrap_err()] {
            let JournalError::Damaged { line, .. } = error else {
                panic!("{error}");
            };
            assert!(line == 3 || line == 4, "line {line}");
        }
    }
    fs::write(&path, whole).unwrap();
    bench.verify().unwrap();
}

#[test]
fn a_flipped_byte_in_the_last_signed_record_is_found() {
    let bench = Bench::new();
    bench.fill(1);
    let path = bench.newest();
    // Without the record of the checkpoint itself, only the signature speaks of record 0.
    let first = text(&path).lines().next().unwrap().to_owned();
    fs::write(&path, first.replace("first-bank", "other-bank") + "\n").unwrap();
    assert!(matches!(
        bench.open(),
        Err(JournalError::Damaged { line: 1, .. })
    ));
}

#[test]
fn a_torn_last_record_is_cut() {
    let bench = Bench::new();
    bench.fill(3);
    let path = bench.newest();
    let whole = text(&path);
    fs::write(&path, format!("{whole}{{\"index\":4,\"at\"")).unwrap();
    assert!(bench.verify().unwrap().torn_bytes > 0);
    let journal = bench.open().unwrap();
    assert_eq!(journal.head().size, 4);
    assert_eq!(text(&path), whole);
}

#[test]
fn records_that_were_signed_may_not_be_missing() {
    let bench = Bench::new();
    bench.fill(3);
    let path = bench.newest();
    let first = text(&path).lines().next().unwrap().to_owned() + "\n";
    fs::write(&path, first).unwrap();
    let expected = JournalError::Shorter {
        found: 1,
        signed: 3,
    }
    .to_string();
    assert_eq!(bench.open().unwrap_err().to_string(), expected);
    fs::remove_file(&path).unwrap();
    assert!(matches!(
        bench.verify(),
        Err(JournalError::Shorter {
            found: 0,
            signed: 3
        })
    ));
}

#[test]
fn a_checkpoint_of_a_stranger_is_refused() {
    let mut bench = Bench::new();
    bench.fill(3);
    bench.key = SigningKey::generate("north-mobile/a").unwrap();
    assert!(matches!(bench.open(), Err(JournalError::Checkpoint { .. })));
}

#[test]
fn files_rotate_by_size_and_the_oldest_go() {
    let mut bench = Bench::new();
    bench.file_bytes_max = 2_000;
    bench.files_max = 3;
    let journal = bench.open().unwrap();
    for number in 0..40 {
        append(&journal, number);
        journal.write_out().unwrap();
    }
    drop(journal);
    let files = read::files(bench.dir.path()).unwrap();
    assert_eq!(files.len(), 3);
    for (_, path) in &files {
        assert!(fs::metadata(path).unwrap().len() <= 2_000);
    }
    let verified = bench.verify().unwrap();
    assert!(verified.first > 0);
    assert_eq!(verified.head.size, 41);
    let journal = bench.open().unwrap();
    assert_eq!(journal.head(), verified.head);
    drop(journal);
    fs::remove_file(&files[1].1).unwrap();
    assert!(matches!(
        bench.verify(),
        Err(JournalError::Damaged { line: 1, .. })
    ));
}

#[test]
fn a_journal_has_one_holder() {
    let bench = Bench::new();
    let _first = bench.open().unwrap();
    assert!(matches!(bench.open(), Err(JournalError::Locked(_))));
}

#[test]
fn keys_are_made_once_and_kept_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = TempDir::new().unwrap();
    let msisdn = Msisdn::parse("+447700900001").unwrap();
    let path = dir.path().join("keys/subject.key");
    let made = SubjectKey::load_or_make(&path).unwrap().subject(&msisdn);
    assert_eq!(
        SubjectKey::load_or_make(&path).unwrap().subject(&msisdn),
        made
    );
    let signing = dir.path().join("keys/checkpoint.key");
    let key = load_or_make_checkpoint_key(&signing, "north-mobile/a").unwrap();
    let again = load_or_make_checkpoint_key(&signing, "north-mobile/a").unwrap();
    assert_eq!(key.verifier(), again.verifier());
    assert!(matches!(
        SubjectKey::load_or_make(&signing),
        Err(KeyFileError::Content { .. })
    ));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(
        SubjectKey::load_or_make(&path),
        Err(KeyFileError::Exposed(_))
    ));
}
