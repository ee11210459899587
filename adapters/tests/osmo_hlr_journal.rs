//! The interval journal as a file.
#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail by panicking"
)]

use std::path::Path;

use accord_adapters::interval_journal::{IntervalJournal, JournalError, Known, Settings};
use accord_proto::msisdn::Msisdn;
use jiff::{SignedDuration, Timestamp};

fn settings(dir: &Path) -> Settings {
    Settings {
        directory: dir.join("journal"),
        key_file: dir.join("key"),
        gap_max: SignedDuration::from_secs(60),
        watched_max: 10,
    }
}

fn open(dir: &Path) -> Result<IntervalJournal, JournalError> {
    IntervalJournal::open(settings(dir))
}

fn number() -> Msisdn {
    Msisdn::parse("+447700900001").unwrap()
}

fn at(sec: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + sec).unwrap()
}

fn seen(journal: &IntervalJournal, imsi: &str, sec: i64) -> Known {
    let seen = journal.seen(number(), imsi, at(sec), at(sec)).unwrap();
    seen.unwrap().1
}

#[test]
fn what_was_flushed_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path()).unwrap();
    seen(&journal, "901700000000001", 0);
    seen(&journal, "901700000000002", 10);
    journal.swept(at(20));
    journal.flush().unwrap();
    drop(journal);
    let journal = open(dir.path()).unwrap();
    let known = journal.known(&number()).unwrap();
    let interval = known.changed_in.unwrap();
    assert_eq!((interval.after(), interval.before()), (at(0), at(10)));
    assert_eq!(known.monitored_since, at(0));
    assert_eq!(known.observed_at, at(20), "the sweep vouched for it");
    assert_eq!(
        seen(&journal, "901700000000002", 30).changed_in,
        Some(interval)
    );
}

#[test]
fn a_sweep_does_not_vouch_for_a_missing_number() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path()).unwrap();
    seen(&journal, "901700000000001", 0);
    assert!(journal.missed(&number()).unwrap().unwrap().newly);
    assert!(!journal.missed(&number()).unwrap().unwrap().newly);
    journal.swept(at(20));
    journal.flush().unwrap();
    drop(journal);
    let known = open(dir.path()).unwrap().known(&number()).unwrap();
    assert_eq!(known.observed_at, at(0));
    assert!(known.missing);
}

#[test]
fn many_records_are_folded_into_one_for_each_number() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path()).unwrap();
    let path = dir.path().join("journal/intervals.journal");
    let mut largest = 0;
    for sec in 0..5_000 {
        let imsi = format!("9017{sec:011}");
        seen(&journal, &imsi, sec);
        if sec % 10 == 0 {
            journal.flush().unwrap();
            largest = largest.max(std::fs::metadata(&path).unwrap().len());
        }
    }
    journal.flush().unwrap();
    let last = std::fs::metadata(&path).unwrap().len();
    assert!(last < largest / 2, "{last} after {largest}");
    let known = journal.known(&number());
    drop(journal);
    assert_eq!(open(dir.path()).unwrap().known(&number()), known);
}

#[test]
fn two_processes_do_not_share_a_journal() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).unwrap();
    assert!(matches!(open(dir.path()), Err(JournalError::Locked(_))));
    drop(first);
    assert!(open(dir.path()).is_ok());
}

#[test]
fn another_key_or_none_refuses_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let key = dir.path().join("key");
    std::fs::write(&key, "00".repeat(32)).unwrap();
    assert!(matches!(open(dir.path()), Err(JournalError::WrongKey(_))));
    std::fs::remove_file(&key).unwrap();
    assert!(matches!(open(dir.path()), Err(JournalError::KeyMissing(_))));
    assert!(!key.exists(), "no new key for an old journal");
}

#[test]
fn another_file_is_not_taken_for_a_journal() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let path = dir.path().join("journal/intervals.journal");
    std::fs::write(&path, "accord-interval2").unwrap();
    assert!(matches!(open(dir.path()), Err(JournalError::Foreign(_))));
}

#[test]
fn the_number_of_numbers_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path()).unwrap();
    for last in 0..11 {
        let number = Msisdn::parse(&format!("+4477009000{last:02}")).unwrap();
        let seen = journal
            .seen(number, "901700000000001", at(0), at(0))
            .unwrap();
        assert_eq!(seen.is_some(), last < 10, "{last}");
    }
    assert_eq!(journal.watched_count(), 10);
}

/// Each state that was once true, and the file after the last of them.
fn history(dir: &Path) -> (Vec<Option<Known>>, Vec<u8>) {
    let journal = open(dir).unwrap();
    let mut states = vec![None];
    for step in 0..8 {
        let imsi = if step % 3 == 0 {
            "901700000000001"
        } else {
            "901700000000002"
        };
        states.push(Some(seen(&journal, imsi, step * 10)));
        journal.swept(at(step * 10 + 5));
        journal.flush().unwrap();
        states.push(journal.known(&number()));
    }
    drop(journal);
    let path = dir.join("journal/intervals.journal");
    (states, std::fs::read(path).unwrap())
}

#[test]
fn a_journal_cut_anywhere_says_only_what_was_once_true() {
    let dir = tempfile::tempdir().unwrap();
    let (states, bytes) = history(dir.path());
    let path = dir.path().join("journal/intervals.journal");
    // Of a sweep only the time until which it vouches can differ.
    let core = |known: &Option<Known>| known.map(|it| (it.changed_in, it.monitored_since));
    let once: Vec<_> = states.iter().map(core).collect();
    let last = at(75);
    for length in 32..=bytes.len() {
        std::fs::write(&path, bytes.split_at(length).0).unwrap();
        let journal = open(dir.path()).unwrap();
        assert!(!journal.opened().damaged, "cut at {length}");
        let known = journal.known(&number());
        assert!(once.contains(&core(&known)), "cut at {length}");
        assert!(known.is_none_or(|it| it.observed_at <= last));
    }
}

#[test]
fn a_journal_with_any_byte_altered_restarts_the_watch_or_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_, bytes) = history(dir.path());
    let path = dir.path().join("journal/intervals.journal");
    let last_record = bytes.len() - 100;
    for place in (0..last_record).step_by(7) {
        let mut altered = bytes.clone();
        if let Some(byte) = altered.get_mut(place) {
            *byte ^= 0x10;
        }
        std::fs::write(&path, altered).unwrap();
        let Ok(journal) = open(dir.path()) else {
            assert!(place < 32, "only the header refuses");
            continue;
        };
        assert!(journal.opened().damaged, "byte {place}");
        let known = seen(&journal, "901700000000002", 80);
        assert_eq!(known.monitored_since, at(80), "byte {place}");
    }
}
