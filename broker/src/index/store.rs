//! The rows of the index in `SQLite`: one table, each row with a check sum of its own, and all of
//! them in one sum, so that a row that was lost shows as well.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

use super::{
    error::IndexError,
    state::{State, Sum, VERSION},
};

/// The file.
const FILE: &str = "index.sqlite";
/// What `SQLite` puts beside it.
const BESIDE: [&str; 2] = ["index.sqlite-wal", "index.sqlite-shm"];
/// Pages hold most rows whole.
const PAGE_BYTES: u32 = 8_192;
/// Page cache of the writer, and of each reader, in KiB.
const WRITER_CACHE_KIB: u32 = 32 * 1_024;
const READER_CACHE_KIB: u32 = 8 * 1_024;
/// How long a reader waits for the writer's short locks.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Bytes of a row's check sum.
const CRC_BYTES: usize = 4;

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(super) enum Kind {
    /// The state; there is one.
    State = 0,
    /// Which entries of a block a term stands for.
    Term = 1,
    /// When the entries of a block were made.
    Times = 2,
    /// Which entries of a large block name a subject of a bucket.
    Subjects = 3,
    /// Which entries of a block name which subjects, until its large block is full.
    Mentions = 4,
}

/// Where a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) kind: Kind,
    /// The term, the bucket, or 0.
    pub(super) a: i64,
    /// The block.
    pub(super) b: i64,
}

const STATE_KEY: Key = Key {
    kind: Kind::State,
    a: 0,
    b: 0,
};

/// A row to be written, or removed.
#[derive(Debug)]
pub(super) struct Row {
    key: Key,
    /// `None`: it is removed.
    bytes: Option<Vec<u8>>,
}

impl Row {
    /// That there is no such row any more.
    pub(super) const fn gone(key: Key) -> Self {
        Self { key, bytes: None }
    }

    /// A row with its check sum, which is given as well.
    pub(super) fn sealed(key: Key, mut payload: Vec<u8>) -> (Self, u32) {
        let crc = crc(key, &payload);
        payload.extend_from_slice(&crc.to_le_bytes());
        let row = Self {
            key,
            bytes: Some(payload),
        };
        (row, crc)
    }
}

fn crc(key: Key, payload: &[u8]) -> u32 {
    let seed = crc32c::crc32c(&[key.kind as u8]);
    let seed = crc32c::crc32c_append(seed, &key.a.to_le_bytes());
    let seed = crc32c::crc32c_append(seed, &key.b.to_le_bytes());
    crc32c::crc32c_append(seed, payload)
}

/// The payload of a row and its check sum, if it is as it was written.
pub(super) fn unseal(key: Key, bytes: &[u8]) -> Result<(&[u8], u32), IndexError> {
    let damaged = IndexError::Damaged("a row is not as it was written");
    let Some((payload, stored)) = bytes.split_last_chunk::<CRC_BYTES>() else {
        return Err(damaged);
    };
    let sum = u32::from_le_bytes(*stored);
    if crc(key, payload) == sum {
        Ok((payload, sum))
    } else {
        Err(damaged)
    }
}

/// An open index.
#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
}

impl Store {
    /// Opens the index to write it; makes an empty one where there is none.
    pub(super) fn open(dir: &Path) -> Result<Self, IndexError> {
        fs::create_dir_all(dir).map_err(io_error("make", dir))?;
        let connection = Connection::open(dir.join(FILE))?;
        connection.busy_timeout(BUSY_WAIT)?;
        connection.pragma_update(None, "page_size", PAGE_BYTES)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        // A power cut may take the last batches, which are then made again.
        connection.pragma_update(None, "synchronous", "normal")?;
        connection.pragma_update(None, "cache_size", -i64::from(WRITER_CACHE_KIB))?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS rows (kind INTEGER, a INTEGER, b INTEGER, bytes BLOB, \
             PRIMARY KEY (kind, a, b)) WITHOUT ROWID",
        )?;
        Ok(Self { connection })
    }

    /// Opens the index to read it, beside the writer.
    pub(super) fn reader(dir: &Path) -> Result<Self, IndexError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(dir.join(FILE), flags)?;
        connection.busy_timeout(BUSY_WAIT)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.pragma_update(None, "cache_size", -i64::from(READER_CACHE_KIB))?;
        Ok(Self { connection })
    }

    /// Removes an index that can't be used.
    pub(super) fn remove(dir: &Path) -> Result<(), IndexError> {
        for name in std::iter::once(FILE).chain(BESIDE) {
            let path = dir.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(io_error("remove", &path)(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// The state; `None` in an index that was just made.
    pub(super) fn state(&self) -> Result<Option<State>, IndexError> {
        let Some(payload) = self.row(STATE_KEY)? else {
            return Ok(None);
        };
        let state: State = serde_json::from_slice(&payload)
            .map_err(|_| IndexError::Foreign("its state is of another version"))?;
        if state.version == VERSION {
            Ok(Some(state))
        } else {
            Err(IndexError::Foreign("its rows are of another version"))
        }
    }

    /// One row's payload.
    pub(super) fn row(&self, key: Key) -> Result<Option<Vec<u8>>, IndexError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT bytes FROM rows WHERE kind = ?1 AND a = ?2 AND b = ?3")?;
        let found = statement
            .query_row(params![key.kind as u8, key.a, key.b], |row| {
                let bytes = row.get_ref(0)?.as_blob();
                Ok(bytes.map(|bytes| unseal(key, bytes).map(|(payload, _)| payload.to_vec())))
            })
            .optional()?;
        match found {
            None => Ok(None),
            Some(Ok(payload)) => Ok(Some(payload?)),
            Some(Err(_)) => Err(IndexError::Damaged("a row holds no bytes")),
        }
    }

    /// Holds every row against its check sum, and all of them against the state's.
    pub(super) fn verify(&self, state: &State) -> Result<(), IndexError> {
        let mut sum = Sum::default();
        let mut statement = self
            .connection
            .prepare("SELECT kind, a, b, bytes FROM rows WHERE kind > 0")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let kind = match row.get::<_, i64>(0)? {
                1 => Kind::Term,
                2 => Kind::Times,
                3 => Kind::Subjects,
                4 => Kind::Mentions,
                _ => return Err(IndexError::Damaged("a row is of no known kind")),
            };
            let (a, b) = (row.get(1)?, row.get(2)?);
            let bytes = row.get_ref(3)?.as_blob();
            let bytes = bytes.map_err(|_| IndexError::Damaged("a row holds no bytes"))?;
            let (_, crc) = unseal(Key { kind, a, b }, bytes)?;
            sum.put(None, crc);
        }
        if sum == state.sum {
            Ok(())
        } else {
            Err(IndexError::Damaged("rows are missing, or are too many"))
        }
    }

    /// Writes rows and, with them, the state.
    pub(super) fn commit(&mut self, rows: &[Row], state: &State) -> Result<(), IndexError> {
        let payload = serde_json::to_vec(state)
            .map_err(|_| IndexError::Damaged("its state can't be written"))?;
        let (state, _) = Row::sealed(STATE_KEY, payload);
        let transaction = self.connection.transaction()?;
        {
            let mut put = transaction.prepare_cached(
                "INSERT OR REPLACE INTO rows (kind, a, b, bytes) VALUES (?1, ?2, ?3, ?4)",
            )?;
            let mut remove = transaction
                .prepare_cached("DELETE FROM rows WHERE kind = ?1 AND a = ?2 AND b = ?3")?;
            for Row { key, bytes } in rows.iter().chain([&state]) {
                match bytes {
                    Some(bytes) => put.execute(params![key.kind as u8, key.a, key.b, bytes])?,
                    None => remove.execute(params![key.kind as u8, key.a, key.b])?,
                };
            }
        }
        Ok(transaction.commit()?)
    }

    /// Runs a look at one moment's rows.
    pub(super) fn at_once<T>(
        &mut self,
        look: impl FnOnce(&Self) -> Result<T, IndexError>,
    ) -> Result<T, IndexError> {
        self.connection.execute_batch("BEGIN")?;
        let looked = look(self);
        // Nothing was written, so nothing can fail here that matters.
        let _ = self.connection.execute_batch("ROLLBACK");
        looked
    }

    pub(super) const fn connection(&self) -> &Connection {
        &self.connection
    }
}

fn io_error(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> IndexError {
    let path: PathBuf = path.to_owned();
    move |source| IndexError::Io { act, path, source }
}
