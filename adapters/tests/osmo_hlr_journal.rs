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
    assert!(journal.missed(&number()).unwrap().unwrap().missing);
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
