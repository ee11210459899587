//! Opening the file without leaving a trace, and reading it once.

use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use accord_proto::msisdn::Msisdn;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use super::DatabaseError;
use super::row::{Row, TEXT_MAX};

/// Versions of the schema (`user_version`) whose table was read: that of osmo-hlr 1.5 and the next.
const VERSIONS: [i64; 2] = [6, 7];
/// How long one read waits for who holds the file locked.
const LOCKED_MAX: Duration = Duration::from_millis(200);

/// What is read of `subscriber`.
const COLUMNS: [&str; 7] = [
    "imsi",
    "imei",
    "imeisv",
    "vlr_number",
    "sgsn_number",
    "last_lu_seen",
    "last_lu_seen_ps",
];

/// The bytes that every SQLite file begins with, and where it says whether it has a log.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const HEADER_LEN: usize = 20;
const READ_VERSION_AT: usize = 19;
const READ_VERSION_WAL: u8 = 2;

/// Answers all lists from one state of the file.
pub(super) fn read(
    path: &Path,
    lists: &[&[Msisdn]],
) -> Result<Vec<Vec<Option<Row>>>, DatabaseError> {
    let connection = open(path)?;
    let read = read_all(path, &connection, lists);
    // Nothing was written that could be lost by an unclean end.
    drop(connection);
    read
}

/// Opens the file that a running HLR has open.
fn open(path: &Path) -> Result<Connection, DatabaseError> {
    if has_log(path)? {
        // A running HLR in this mode has both files beside its own. Without them SQLite would make
        // them, so it must not be let.
        if !beside(path, "-wal").exists() {
            return Err(DatabaseError::Copy(path.to_owned()));
        }
        if !beside(path, "-shm").exists() {
            return Err(DatabaseError::CopyOfLog(path.to_owned()));
        }
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(uri(path), flags);
    let connection = opened.map_err(|error| named(path, &error))?;
    let waits = connection.busy_timeout(LOCKED_MAX);
    waits.map_err(|error| named(path, &error))?;
    Ok(connection)
}

fn has_log(path: &Path) -> Result<bool, DatabaseError> {
    let closed = |error: std::io::Error| DatabaseError::Closed {
        path: path.to_owned(),
        kind: error.kind(),
    };
    let mut header = [0; HEADER_LEN];
    let mut file = File::open(path).map_err(closed)?;
    match file.read_exact(&mut header) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            return match file.metadata().map_err(closed)?.len() {
                0 => Err(DatabaseError::Empty(path.to_owned())),
                _ => Err(DatabaseError::Damaged(path.to_owned())),
            };
        }
        Err(error) => return Err(closed(error)),
    }
    if !header.starts_with(MAGIC) {
        return Err(DatabaseError::Damaged(path.to_owned()));
    }
    Ok(header.get(READ_VERSION_AT) == Some(&READ_VERSION_WAL))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// `mode=ro`: no change. `readonly_shm`: not even the index of the log is made or written, as
/// SQLite else does for readers too.
fn uri(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(*byte));
            }
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri + "?mode=ro&readonly_shm=1"
}

fn read_all(
    path: &Path,
    connection: &Connection,
    lists: &[&[Msisdn]],
) -> Result<Vec<Vec<Option<Row>>>, DatabaseError> {
    let failed = |error: rusqlite::Error| named(path, &error);
    // One state of the file for all.
    let transaction = connection.unchecked_transaction().map_err(failed)?;
    let version: i64 = transaction
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(failed)?;
    let query = query();
    let mut statement = match transaction.prepare(&query) {
        Ok(statement) if VERSIONS.contains(&version) => statement,
        Ok(_) => return Err(unknown_version(path, version)),
        Err(error) => return Err(mismatch(path, &transaction, version, &error)),
    };
    let mut one = |msisdn: &Msisdn| {
        let row = statement.query_row([msisdn.expose_digits()], Row::read);
        row.optional().map_err(failed)
    };
    lists
        .iter()
        .map(|list| list.iter().map(&mut one).collect())
        .collect()
}

fn query() -> String {
    let (mut columns, cut) = (String::new(), TEXT_MAX + 1);
    for name in COLUMNS {
        let comma = if columns.is_empty() { "" } else { ", " };
        columns.push_str(&format!("{comma}substr({name}, 1, {cut})"));
    }
    format!("SELECT {columns} FROM subscriber WHERE msisdn = ?1")
}

fn unknown_version(path: &Path, found: i64) -> DatabaseError {
    DatabaseError::Version {
        path: path.to_owned(),
        found,
        known: &VERSIONS,
    }
}

/// Why the query does not fit: nothing there, another version, or a table that was changed.
fn mismatch(
    path: &Path,
    connection: &Connection,
    version: i64,
    error: &rusqlite::Error,
) -> DatabaseError {
    let count = |sql: &str, name: &str| -> Option<i64> {
        connection.query_row(sql, [name], |row| row.get(0)).ok()
    };
    let drifted = |what| DatabaseError::Drifted {
        path: path.to_owned(),
        version,
        what,
    };
    let in_all = "SELECT count(*) FROM sqlite_master WHERE ?1 = ?1";
    let tables = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?1";
    let columns = "SELECT count(*) FROM pragma_table_info('subscriber') WHERE name = ?1";
    match (count(in_all, ""), count(tables, "subscriber")) {
        // Locked or damaged: the schema itself can't be read.
        (None, _) | (_, None) => named(path, error),
        (Some(0), _) => DatabaseError::Empty(path.to_owned()),
        _ if !VERSIONS.contains(&version) => unknown_version(path, version),
        (_, Some(0)) => drifted("itself: it is not there"),
        _ => ["msisdn"]
            .into_iter()
            .chain(COLUMNS)
            .find(|name| count(columns, name) == Some(0))
            .map_or_else(|| named(path, error), drifted),
    }
}

fn named(path: &Path, error: &rusqlite::Error) -> DatabaseError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        // A log that is being taken over or begun anew counts as locked: it passes.
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::ReadOnly
            | ErrorCode::SchemaChanged,
        ) => DatabaseError::Locked(path),
        // The file itself was opened before: it is the log or its index.
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::AuthorizationForStatementDenied,
        ) => DatabaseError::Closed {
            path,
            kind: std::io::ErrorKind::PermissionDenied,
        },
        Some(_) | None => DatabaseError::Damaged(path),
    }
}
