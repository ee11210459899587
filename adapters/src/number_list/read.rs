//! Which lists there are, and one of them, read whole or not at all.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use csv::StringRecord;
use jiff::Timestamp;

use super::config::{ListComplete, Plan};
use crate::csv_export::{
    Refusal,
    files::{beside, checksum_of, read_checksums},
    hashed::Hashed,
    number,
};
use crate::source::Condition;

/// The most entries of the directory that are looked at.
const ENTRIES_MAX: usize = 10_000;

/// Why a list is not taken. It names the list and the line, never a number.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The system.
    #[error("can't {act}")]
    Io {
        /// What was tried.
        act: &'static str,
        /// What it said.
        #[source]
        error: io::Error,
    },
    /// Too many files.
    #[error("the directory has more than {0} entries")]
    Crowded(usize),
    /// It is about a time that is not over.
    #[error("`{0}` is about a time that is not over")]
    Future(String),
    /// Its checksum is missing, or not the file's.
    #[error("`{name}`: {why}")]
    NotWhole {
        /// Which list.
        name: String,
        /// Why not.
        why: String,
    },
    /// A column of the configuration.
    #[error("`{name}`: its header lacks `{column}`, or has it twice")]
    Column {
        /// Which list.
        name: String,
        /// The column.
        column: String,
    },
    /// A line.
    #[error("`{name}`, line {line}: {why}")]
    Line {
        /// Which list.
        name: String,
        /// Which line, from 1.
        line: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// More rows than the limit.
    #[error("the lists have more rows than `rows_max`")]
    TooMany,
    /// It lacks numbers of the one before, though it is said to hold everything.
    #[error(
        "`{name}` lacks {lost} number(s) of the list before it, though lists cover everything: it is not \
         whole; if they were listed in error, take the older lists out of `directory`"
    )]
    Shrunk {
        /// Which list.
        name: String,
        /// How many are not in it.
        lost: usize,
    },
    /// The program is stopping.
    #[error("the program is stopping")]
    Interrupted,
}

impl ListError {
    /// Whether the same list may be taken later, unchanged.
    pub(super) const fn may_pass(&self) -> bool {
        match self {
            Self::Io { .. } | Self::Future(_) | Self::NotWhole { .. } | Self::Interrupted => true,
            Self::Column { .. }
            | Self::Crowded(_)
            | Self::Line { .. }
            | Self::Shrunk { .. }
            | Self::TooMany => false,
        }
    }

    /// How a source is that has no other list.
    pub(super) const fn without_another(&self) -> Condition {
        if self.may_pass() {
            Condition::Down
        } else {
            Condition::Unusable
        }
    }
}

/// Which bytes a list has, as far as can be told without reading them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    path: PathBuf,
    inode: u64,
    bytes: u64,
    written: (i64, i64),
}

impl Stamp {
    pub(super) fn name(&self) -> &str {
        let name = self.path.file_name().and_then(|name| name.to_str());
        name.unwrap_or_default()
    }
}

/// A disconnected number. Sixteen bytes, since there are many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) number: u64,
    /// It was disconnected after this: minutes since 1970.
    pub(super) after: u32,
}

impl Row {
    /// It was disconnected at some time after this.
    pub(super) fn disconnected_after(&self) -> Timestamp {
        let after = Timestamp::from_second(i64::from(self.after) * 60);
        after.unwrap_or(Timestamp::MIN)
    }
}

/// A list, read.
#[derive(Debug)]
pub(super) struct List {
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
    pub(super) rows: Vec<Row>,
}

/// The newest lists there are, newest first: `lists_max` at most.
pub(super) fn lists(plan: &Plan) -> Result<Vec<Stamp>, ListError> {
    let failed = |error| ListError::Io {
        act: "read `directory`",
        error,
    };
    let mut found = Vec::new();
    let entries = fs::read_dir(&plan.config.directory).map_err(failed)?;
    for (place, entry) in entries.enumerate() {
        if place >= ENTRIES_MAX {
            return Err(ListError::Crowded(ENTRIES_MAX));
        }
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        if let Some((_, until)) = name.to_str().and_then(|name| plan.covered(name)) {
            found.push((until, stamp(&entry.path())?));
        }
    }
    found.sort_by(|one, other| other.cmp(one));
    found.truncate(plan.config.lists_max as usize);
    Ok(found.into_iter().map(|(_, stamp)| stamp).collect())
}

fn stamp(path: &Path) -> Result<Stamp, ListError> {
    let metadata = fs::metadata(path).map_err(|error| ListError::Io {
        act: "look at a list",
        error,
    })?;
    Ok(Stamp {
        path: path.to_owned(),
        inode: metadata.ino(),
        bytes: metadata.len(),
        written: (metadata.mtime(), metadata.mtime_nsec()),
    })
}

/// Reads one list, of so many rows at most.
pub(super) fn list(
    plan: &Plan,
    at: &Stamp,
    now: Timestamp,
    rows_max: usize,
) -> Result<List, ListError> {
    let name = at.name();
    let not_whole = |why: String| ListError::NotWhole {
        name: name.to_owned(),
        why,
    };
    let covered = plan.covered(name);
    let (since, until) = covered
        .filter(|(_, until)| *until <= now)
        .ok_or_else(|| ListError::Future(name.to_owned()))?;
    let sent = match plan.config.complete {
        ListComplete::FinalNewline => None,
        ListComplete::Sha256File => {
            let text = read_checksums(&beside(&at.path, ".sha256"));
            let sent = text.and_then(|text| checksum_of(&text, name, true));
            Some(sent.map_err(|refusal| not_whole(refusal.to_string()))?)
        }
    };
    let opened = File::open(&at.path).map_err(|error| ListError::Io {
        act: "open a list",
        error,
    })?;
    let mut file = Hashed::new(opened);
    let read = rows(plan, name, (since, until), &mut file, rows_max);
    let content = file.finish_reading().map_err(|error| ListError::Io {
        act: "read a list",
        error,
    })?;
    if sent.is_some_and(|sent| sent != content) {
        return Err(not_whole(Refusal::Checksum.to_string()));
    }
    if stamp(&at.path)? != *at {
        return Err(not_whole(Refusal::Changing.to_string()));
    }
    let rows = read?;
    Ok(List { since, until, rows })
}

pub(super) fn rows(
    plan: &Plan,
    name: &str,
    covered: (Timestamp, Timestamp),
    file: &mut impl io::Read,
    rows_max: usize,
) -> Result<Vec<Row>, ListError> {
    let mut last = LastByte {
        from: file,
        last: 0,
    };
    let reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(plan.delimiter)
        .from_reader(&mut last);
    let mut lines = Lines {
        reader,
        record: StringRecord::new(),
        line: 0,
        name,
    };
    if !lines.take()? {
        return Err(lines.bad("there is no header"));
    }
    let columns = &plan.config.columns;
    let number_at = lines.place(&columns.number)?;
    let date_at = match &columns.disconnected_at {
        Some(column) => Some(lines.place(&column.name)?),
        None => None,
    };
    let mut rows = Vec::new();
    while lines.take()? {
        if rows.len() >= rows_max {
            return Err(ListError::TooMany);
        }
        let parsed = number::parse(lines.cell(number_at), &plan.config.number);
        let number = parsed.map_err(|_| lines.bad("has an unreadable number"))?;
        let after = match (&plan.date, date_at) {
            (Some(format), Some(place)) => {
                let bounds = format.bounds(lines.cell(place));
                let (after, _) = bounds.ok_or_else(|| lines.bad("has an unreadable date"))?;
                if after >= covered.1 || after.as_second() < 0 {
                    return Err(lines.bad("has a date before 1970, or after the list"));
                }
                after
            }
            (_, _) => covered.0,
        };
        // Down, since it was after that, too.
        let after = u32::try_from(after.as_second().div_euclid(60));
        let after = after.map_err(|_| lines.bad("has a date that is not of this age"))?;
        rows.push(Row {
            number: number::packed(&number),
            after,
        });
    }
    drop(lines);
    match (last.last, plan.config.complete) {
        (b'\n', _) | (_, ListComplete::Sha256File) => Ok(rows),
        (_, ListComplete::FinalNewline) => Err(ListError::NotWhole {
            name: name.to_owned(),
            why: "its last line does not end".to_owned(),
        }),
    }
}

/// The lines of a list, one after the other.
struct Lines<'a, R> {
    reader: csv::Reader<R>,
    record: StringRecord,
    line: u64,
    name: &'a str,
}

impl<R: io::Read> Lines<'_, R> {
    fn take(&mut self) -> Result<bool, ListError> {
        let read = self.reader.read_record(&mut self.record);
        let position = match &read {
            Ok(_) => self.record.position(),
            Err(error) => error.position(),
        };
        self.line = position.map_or(self.line + 1, csv::Position::line);
        read.map_err(|_| self.bad("is no UTF-8, or has more or fewer cells than the header"))
    }

    /// Where a column stands, by the header.
    fn place(&self, wanted: &str) -> Result<usize, ListError> {
        let cells = self.record.iter().enumerate();
        let mut places = cells.filter(|(_, cell)| cell.trim() == wanted);
        match (places.next(), places.next()) {
            (Some((place, _)), None) => Ok(place),
            (_, _) => Err(ListError::Column {
                name: self.name.to_owned(),
                column: wanted.to_owned(),
            }),
        }
    }

    fn cell(&self, place: usize) -> &str {
        self.record.get(place).unwrap_or_default().trim()
    }

    fn bad(&self, why: &'static str) -> ListError {
        ListError::Line {
            name: self.name.to_owned(),
            line: self.line,
            why,
        }
    }
}

/// Knows the last byte of what was read through it.
struct LastByte<'a, R> {
    from: &'a mut R,
    last: u8,
}

impl<R: io::Read> io::Read for LastByte<'_, R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(to)?;
        let read = to.get(..count).unwrap_or_default();
        self.last = read.last().copied().unwrap_or(self.last);
        Ok(count)
    }
}
