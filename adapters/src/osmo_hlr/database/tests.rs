//! Each state of the file, and its name.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::{file, *};
use crate::source::Condition;

/// The table as osmo-hlr 1.5 makes it, but for columns that nobody here reads.
const TABLE: &str = "CREATE TABLE subscriber (id INTEGER PRIMARY KEY, imsi VARCHAR(15) UNIQUE, \
    msisdn VARCHAR(15) UNIQUE, imeisv VARCHAR, imei VARCHAR(14), vlr_number VARCHAR(15), \
    sgsn_number VARCHAR(15), last_lu_seen TIMESTAMP, last_lu_seen_ps TIMESTAMP)";
const ROW: &str = "INSERT INTO subscriber (imsi, msisdn, imei, last_lu_seen) VALUES \
    ('901700000000001', '447700900001', '00101700000001', '2026-11-21 09:00:00')";

fn number() -> Msisdn {
    Msisdn::parse("+447700900001").unwrap()
}

fn read(path: &Path) -> Result<Option<Row>, DatabaseError> {
    let mut all = file::read(path, &[&[], &[number()]])?;
    assert_eq!(all[0].len(), 0);
    Ok(all[1].remove(0))
}

fn device(path: &Path) -> Option<String> {
    let row = read(path).unwrap().unwrap();
    row.imei.known().map(|imei| imei.expose().to_owned())
}

/// A database as a running HLR has it, for as long as the connection lives.
fn live(dir: &Path) -> (PathBuf, Connection) {
    let path = dir.join("hlr.db");
    let writer = Connection::open(&path).unwrap();
    writer.pragma_update(None, "journal_mode", "WAL").unwrap();
    writer.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    writer.pragma_update(None, "user_version", 6).unwrap();
    writer.execute(TABLE, []).unwrap();
    writer.execute(ROW, []).unwrap();
    (path, writer)
}

/// All files that belong to a database, copied.
fn copy(path: &Path, to: &Path, endings: &[&str]) -> PathBuf {
    for ending in endings {
        let from = format!("{}{ending}", path.display());
        std::fs::copy(from, to.join(format!("hlr.db{ending}"))).unwrap();
    }
    to.join("hlr.db")
}

fn content(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut all: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    all.sort();
    all
}

#[test]
fn what_lies_only_in_the_log_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (path, writer) = live(dir.path());
    assert_eq!(device(&path).as_deref(), Some("00101700000001"));
    let update = "UPDATE subscriber SET imei = '001017000000020'";
    writer.execute(update, []).unwrap();
    assert_eq!(device(&path).as_deref(), Some("00101700000002"));
}

#[test]
fn a_log_whose_writer_crashed_is_read_and_left_as_it_was() {
    let (dir, crashed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (path, _writer) = live(dir.path());
    let path = copy(&path, crashed.path(), &["", "-wal", "-shm"]);
    let before = content(crashed.path());
    assert_eq!(device(&path).as_deref(), Some("00101700000001"));
    assert!(content(crashed.path()) == before, "a byte of it changed");
}

#[test]
fn a_copy_is_refused_by_name_and_nothing_is_made_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let (path, writer) = live(dir.path());
    for (endings, name) in [
        (
            &["", "-wal"][..],
            DatabaseError::CopyOfLog as fn(PathBuf) -> _,
        ),
        (&[""][..], DatabaseError::Copy),
    ] {
        let apart = tempfile::tempdir().unwrap();
        let copied = copy(&path, apart.path(), endings);
        let before = content(apart.path());
        assert_eq!(read(&copied).err(), Some(name(copied.clone())));
        assert!(content(apart.path()) == before);
    }
    drop(writer);
    assert!(!dir.path().join("hlr.db-wal").exists(), "closed cleanly");
    assert_eq!(read(&path).err(), Some(DatabaseError::Copy(path.clone())));
}

#[test]
fn a_log_that_cannot_be_opened_is_as_closed_as_the_file_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _writer) = live(dir.path());
    for ending in ["-wal", "-shm"] {
        let apart = tempfile::tempdir().unwrap();
        let copied = copy(&path, apart.path(), &["", "-wal", "-shm"]);
        let part = apart.path().join(format!("hlr.db{ending}"));
        let aside = apart.path().join("aside");
        std::fs::rename(&part, &aside).unwrap();
        // SQLite follows no link to a part of a database: it opens it as little as one that is not ours to read.
        std::os::unix::fs::symlink(&aside, &part).unwrap();
        let error = read(&copied).err().unwrap();
        let closed = DatabaseError::Closed {
            path: copied.clone(),
            kind: std::io::ErrorKind::PermissionDenied,
        };
        assert_eq!(error, closed, "{ending}");
        assert_eq!(error.condition(), Condition::Refused);
        std::fs::remove_file(&part).unwrap();
        std::fs::rename(&aside, &part).unwrap();
        assert!(device(&copied).is_some(), "{ending}");
    }
}

#[test]
fn a_file_without_tables_is_called_empty() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hlr.db");
    std::fs::write(&path, "").unwrap();
    assert_eq!(read(&path).err(), Some(DatabaseError::Empty(path.clone())));
    let writer = Connection::open(&path).unwrap();
    writer.pragma_update(None, "user_version", 0).unwrap();
    writer.execute("CREATE TABLE once (id)", []).unwrap();
    writer.execute("DROP TABLE once", []).unwrap();
    assert_eq!(read(&path).err(), Some(DatabaseError::Empty(path.clone())));
}

#[test]
fn only_versions_that_are_known_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let (path, writer) = live(dir.path());
    for (found, known) in [(5, false), (6, true), (7, true), (8, false), (0, false)] {
        writer.pragma_update(None, "user_version", found).unwrap();
        match read(&path) {
            Ok(row) => assert!(known && row.is_some(), "{found}"),
            Err(error) => {
                assert!(!known, "{found}: {error}");
                let said = format!("is of schema version {found}, and this program knows [6, 7]");
                assert!(error.to_string().ends_with(&said), "{error}");
            }
        }
    }
}

#[test]
fn a_column_that_is_missing_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (path, writer) = live(dir.path());
    let rename = "ALTER TABLE subscriber RENAME COLUMN last_lu_seen_ps TO seen";
    writer.execute(rename, []).unwrap();
    let error = read(&path).err().unwrap().to_string();
    assert!(
        error
            .ends_with("of schema version 6, and yet its table `subscriber` lacks last_lu_seen_ps"),
        "{error}"
    );
    writer
        .execute("ALTER TABLE subscriber RENAME TO people", [])
        .unwrap();
    let error = read(&path).err().unwrap().to_string();
    assert!(error.contains("`subscriber` lacks itself"), "{error}");
}

#[test]
fn what_is_no_database_is_called_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hlr.db");
    let absent = read(&path).err().unwrap().to_string();
    assert!(
        absent.contains("can't open") && absent.contains("no such file or directory"),
        "{absent}"
    );
    let (whole, writer) = live(dir.path());
    writer
        .pragma_update(None, "journal_mode", "DELETE")
        .unwrap();
    drop(writer);
    let bytes = std::fs::read(&whole).unwrap();
    let mut cut = bytes.clone();
    cut.truncate(bytes.len() / 2);
    let mut garbled = bytes;
    garbled
        .iter_mut()
        .skip(100)
        .step_by(3)
        .for_each(|byte| *byte ^= 0x5A);
    let texts: [&[u8]; 4] = [b"imsi;msisdn\n", b"SQLite format 3\0", &cut, &garbled];
    for (place, bytes) in texts.into_iter().enumerate() {
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(
            read(&path).err(),
            Some(DatabaseError::Damaged(path.clone())),
            "{place}"
        );
    }
}

#[test]
fn a_file_that_stays_locked_is_called_so_and_is_read_when_it_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (path, writer) = live(dir.path());
    writer
        .pragma_update(None, "journal_mode", "DELETE")
        .unwrap();
    writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert_eq!(read(&path).err(), Some(DatabaseError::Locked(path.clone())));
    writer.execute_batch("COMMIT").unwrap();
    assert!(device(&path).is_some());
}

#[test]
fn a_file_that_was_replaced_is_read_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (path, writer) = live(dir.path());
    assert!(device(&path).is_some());
    writer
        .pragma_update(None, "journal_mode", "DELETE")
        .unwrap();
    drop(writer);
    std::fs::remove_file(&path).unwrap();
    let (path, writer) = live(dir.path());
    writer
        .execute(
            "UPDATE subscriber SET imei = NULL, imeisv = '0010170000000355'",
            [],
        )
        .unwrap();
    assert_eq!(
        device(&path).as_deref(),
        Some("00101700000003"),
        "by the IMEISV"
    );
}

#[test]
fn what_is_no_imei_is_none_however_long_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (path, writer) = live(dir.path());
    for bad in [
        "'00000000000000'",
        "'unknown'",
        "x'00101700000001'",
        "1.5",
        "CAST(x'fffe' AS TEXT)",
        "hex(zeroblob(5000000))",
    ] {
        writer
            .execute(&format!("UPDATE subscriber SET imei = {bad}"), [])
            .unwrap();
        let row = read(&path).unwrap().unwrap();
        assert_eq!(row.imei, Field::Unusable, "{bad}");
    }
}

#[test]
fn a_path_of_any_letters_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let odd = dir.path().join("a ?b#c%20é");
    std::fs::create_dir(&odd).unwrap();
    let (path, _writer) = live(&odd);
    assert!(device(&path).is_some());
}

#[tokio::test]
async fn many_are_answered_in_their_order_and_a_late_one_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let (path, writer) = live(dir.path());
    let database = Database::new(&path).unwrap();
    let other = Msisdn::parse("+447700900002").unwrap();
    let soon = Instant::now() + std::time::Duration::from_secs(10);
    let asks = (0..200).map(|_| database.read(vec![other, number(), other], soon));
    for rows in futures_util::future::join_all(asks).await {
        let there: Vec<bool> = rows.unwrap().iter().map(Option::is_some).collect();
        assert_eq!(there, [false, true, false]);
    }
    writer
        .pragma_update(None, "journal_mode", "DELETE")
        .unwrap();
    writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let late = database.read(vec![number()], Instant::now()).await;
    assert_eq!(late.err(), Some(DatabaseError::Slow(path)));
}
