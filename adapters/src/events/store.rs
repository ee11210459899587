//! What is known of every number, durably: a file of records of one length, appended and synced
//! before anybody is told that an event was taken.
//!
//! ```text
//!   header: magic (16), a keyed digest that shows whose key it is (16)
//!   record: kind (1), 0 (7), what it is about (16), its numbers (100), CRC-32C (4)
//! ```
//!
//! A record is about a number, about a producer, or about the place in the stream. A number stands there as a keyed digest (HMAC-SHA256, 16 bytes) and in no other form; the key
//! file belongs on another volume. A record is the whole state of its line, so the newest one of a
//! line counts, and a file that has grown is written anew with one for each.

mod record;

use std::collections::{HashMap, hash_map::Entry};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use accord_proto::msisdn::Msisdn;

use super::line::Line;
use super::producers::Producers;
use super::watch::Place;
use crate::disk::{self, DirLock};
use crate::journal::{KeyFileError, SubjectKey};
use record::{RECORD_LEN, Record, decode, line_record, place_record, told_record};

const MAGIC: &[u8; 16] = b"accord-events-01";
const HEADER_LEN: usize = 32;
const FILE: &str = "events.journal";
const FILE_DAMAGED: &str = "events.journal.damaged";
const FILE_LOCK: &str = "lock";
/// A file is written anew when it has more records than this beyond two for each line.
const SPARE_MAX: usize = 4_096;
/// No subscriber's number, for the digest in the header.
const NOBODY: &str = "+999999999999999";

/// What a number is known by here.
pub(super) type Digest = [u8; 16];

/// Why the journal can't be used. It never names a number.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Reading or writing failed.
    #[error("can't {doing} `{}`", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Another process has it open.
    #[error("another process uses the journal of events in `{}`", .0.display())]
    Locked(PathBuf),
    /// It is no journal of this version.
    #[error("`{}` is no journal of events of this version", .0.display())]
    Foreign(PathBuf),
    /// It was written under another key.
    #[error("the key is not the one that `{}` was written with", .0.display())]
    WrongKey(PathBuf),
    /// The key file.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// More numbers than the limit.
    #[error("the journal of events holds `subscribers_max` numbers, and there is another one")]
    Full,
}

/// The journal.
pub(super) struct Store {
    directory: PathBuf,
    key: SubjectKey,
    lines_max: usize,
    table: Mutex<Table>,
    disk: Mutex<Disk>,
}

struct Table {
    lines: HashMap<Digest, Kept>,
    producers: Producers,
    place: Place,
    /// Records of lines.
    pending: Vec<u8>,
    /// Producers or place are not as they are on the disk.
    moved: bool,
}

/// A number and its digest, which is made once for all that is done with it.
#[derive(Clone, Copy)]
pub(super) struct Keyed {
    pub(super) msisdn: Msisdn,
    pub(super) digest: Digest,
}

/// A line, and whether what it says was pushed since the program began.
#[derive(Clone, Copy, Default)]
struct Kept {
    line: Line,
    pushed: bool,
}

struct Disk {
    file: File,
    records: usize,
    /// The end of the file is not what memory says: write it anew.
    broken: bool,
    _lock: DirLock,
}

impl Store {
    pub(super) fn open(
        directory: &Path,
        key_file: &Path,
        lines_max: usize,
        producers: Producers,
    ) -> Result<Self, StoreError> {
        let key = SubjectKey::load_or_make(key_file)?;
        std::fs::create_dir_all(directory).map_err(io("make", directory))?;
        let lock = lock(directory)?;
        let path = directory.join(FILE);
        let mut table = Table {
            lines: HashMap::new(),
            producers,
            place: Place::default(),
            pending: Vec::new(),
            moved: false,
        };
        if !path.exists() {
            write_whole(directory, &header(&key))?;
        }
        let (records, damaged) = read(&path, &key, &mut table)?;
        if damaged {
            let aside = directory.join(FILE_DAMAGED);
            std::fs::copy(&path, &aside).map_err(io("set aside", &aside))?;
            tracing::error!("the journal of events is damaged; the watch restarts");
            table.producers.restart();
            table.moved = true;
        }
        if table.lines.len() > lines_max {
            return Err(StoreError::Full);
        }
        let file = OpenOptions::new().append(true).open(&path);
        Ok(Self {
            directory: directory.to_owned(),
            key,
            lines_max,
            table: Mutex::new(table),
            disk: Mutex::new(Disk {
                file: file.map_err(io("open", &path))?,
                records,
                // What is torn or damaged goes with the first write.
                broken: true,
                _lock: lock,
            }),
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number with its digest.
    pub(super) fn keyed(&self, msisdn: Msisdn) -> Keyed {
        let digest = self.key.subject(&msisdn).0;
        Keyed { msisdn, digest }
    }

    /// What is known of a number, and what is to be read of the producers beside it.
    pub(super) fn known<T>(&self, of: &Keyed, read: impl FnOnce(&Producers) -> T) -> (Line, T) {
        let table = self.table();
        let kept = table.lines.get(&of.digest).copied();
        (kept.unwrap_or_default().line, read(&table.producers))
    }

    /// Reads what is known of the producers.
    pub(super) fn producers<T>(&self, read: impl FnOnce(&Producers) -> T) -> T {
        read(&self.table().producers)
    }

    /// Changes what is known of the producers. Durable after the next [`flush`](Self::flush).
    pub(super) fn set_producers(&self, change: impl FnOnce(&mut Producers)) {
        let mut table = self.table();
        change(&mut table.producers);
        table.moved = true;
    }

    /// Where in the stream the adapter is.
    pub(super) fn place(&self) -> Place {
        self.table().place
    }

    /// Goes on in the stream. Durable after the next [`flush`](Self::flush).
    pub(super) fn set_place(&self, place: Place) {
        let mut table = self.table();
        table.moved |= table.place != place;
        table.place = place;
    }

    /// What is known of these numbers was pushed.
    pub(super) fn pushed<'a>(&self, all: impl Iterator<Item = &'a Keyed>) {
        let mut table = self.table();
        for of in all {
            if let Some(kept) = table.lines.get_mut(&of.digest) {
                kept.pushed = true;
            }
        }
    }

    /// Changes what is known of a number; durable after the next [`flush`](Self::flush). True if it
    /// is to be pushed: it is something else than before, or it is not known whether it was pushed,
    /// because a flush failed or the program ended in between.
    pub(super) fn change(
        &self,
        of: &Keyed,
        change: impl FnOnce(&mut Line) -> bool,
    ) -> Result<bool, StoreError> {
        let mut table = self.table();
        let Table { lines, pending, .. } = &mut *table;
        let full = lines.len() >= self.lines_max;
        let entry = lines.entry(of.digest);
        let mut kept = match &entry {
            Entry::Vacant(_) if full => return Err(StoreError::Full),
            Entry::Vacant(_) => Kept::default(),
            Entry::Occupied(known) => *known.get(),
        };
        if !change(&mut kept.line) {
            return Ok(!kept.pushed);
        }
        kept.pushed = false;
        entry.insert_entry(kept);
        pending.extend(line_record(&of.digest, &kept.line));
        Ok(true)
    }

    /// Writes and syncs what is pending; blocks. After a failure the next flush writes the whole
    /// anew into another file: a failed sync is never repeated on the same one.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        let (pending, lines) = {
            let mut table = self.table();
            let mut pending = std::mem::take(&mut table.pending);
            // Behind the lines, so that nothing vouches for what is not there.
            if std::mem::take(&mut table.moved) {
                pending.extend(table.records_of_the_stream());
            }
            (pending, table.lines.len())
        };
        if pending.is_empty() && !disk.broken {
            return Ok(());
        }
        let path = self.directory.join(FILE);
        let added = pending.len() / RECORD_LEN;
        let most = lines.saturating_mul(2).saturating_add(SPARE_MAX);
        if disk.broken || disk.records.saturating_add(added) > most {
            disk.broken = true;
            let (bytes, records) = self.snapshot();
            write_whole(&self.directory, &bytes)?;
            let file = OpenOptions::new().append(true).open(&path);
            disk.file = file.map_err(io("open", &path))?;
            disk.records = records;
        } else {
            // Until it is known that all is on the disk, the file's end is not.
            disk.broken = true;
            let written = disk.file.write_all(&pending);
            written
                .and_then(|()| disk.file.sync_data())
                .map_err(io("append to", &path))?;
            disk.records += added;
        }
        disk.broken = false;
        Ok(())
    }

    fn snapshot(&self) -> (Vec<u8>, usize) {
        let mut bytes = header(&self.key);
        let mut table = self.table();
        // What is in the lines need not be written again after them.
        table.pending.clear();
        table.moved = false;
        for (digest, kept) in &table.lines {
            bytes.extend(line_record(digest, &kept.line));
        }
        bytes.extend(table.records_of_the_stream());
        let records = bytes.len().saturating_sub(HEADER_LEN) / RECORD_LEN;
        (bytes, records)
    }
}

impl Table {
    /// The place comes last: what was told until there is then on the disk too.
    fn records_of_the_stream(&self) -> Vec<u8> {
        let told = self.producers.told();
        let mut records: Vec<u8> = told.flat_map(|(id, told)| told_record(id, told)).collect();
        records.extend(place_record(self.place));
        records
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

pub(super) fn io(doing: &'static str, path: &Path) -> impl Fn(std::io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io {
        doing,
        path: path.clone(),
        source,
    }
}

fn lock(directory: &Path) -> Result<DirLock, StoreError> {
    let path = directory.join(FILE_LOCK);
    let taken = DirLock::take(&path).map_err(io("lock", &path))?;
    taken.ok_or_else(|| StoreError::Locked(directory.to_owned()))
}

/// The digest of no number shows whether a file was written under a key.
fn header(key: &SubjectKey) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    if let Ok(nobody) = Msisdn::parse(NOBODY) {
        bytes.extend(key.subject(&nobody).0);
    }
    bytes
}

fn read(path: &Path, key: &SubjectKey, table: &mut Table) -> Result<(usize, bool), StoreError> {
    let mut bytes = Vec::new();
    let mut file = File::open(path).map_err(io("open", path))?;
    file.read_to_end(&mut bytes).map_err(io("read", path))?;
    let expected = header(key);
    let (found, body) = bytes
        .split_at_checked(HEADER_LEN)
        .filter(|(found, _)| found.starts_with(MAGIC))
        .ok_or_else(|| StoreError::Foreign(path.to_owned()))?;
    if found != expected {
        return Err(StoreError::WrongKey(path.to_owned()));
    }
    let mut whole = true;
    let mut damaged = false;
    let mut records = 0;
    for record in body.chunks(RECORD_LEN) {
        // Whole records behind a bad one mean damage: an unfinished write has nothing after it.
        match decode(record) {
            Some(_) if !whole => damaged = true,
            Some(Record::Line(digest, line)) => {
                let pushed = false;
                table.lines.insert(digest, Kept { line, pushed });
                records += 1;
            }
            Some(Record::Told(id, told)) => {
                table.producers.remember(&id, told);
                records += 1;
            }
            Some(Record::Place(place)) => {
                table.place = place;
                records += 1;
            }
            None => whole = false,
        }
    }
    Ok((records, damaged))
}

/// Puts a journal in its place, whole and durable.
fn write_whole(directory: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let path = directory.join(FILE);
    disk::replace(&path, bytes).map_err(io("write", &path))
}

#[cfg(test)]
mod tests;
