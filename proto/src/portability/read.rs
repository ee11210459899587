//! The file, read once from its beginning to its end: all of it is good, or none of it is taken.

use std::io::{self, BufRead, BufReader, Read, Seek};

use aws_lc_rs::digest::{Context, SHA256};
use jiff::{SignedDuration, Timestamp};

use super::{
    GROUP_BLOCKS, PortabilityDatabase,
    row::{RECIPIENTS_MAX, RowError, When, check_recipient, numbers},
    rows::{Doubt, Rows},
};

/// The longest line, with room to spare.
const LINE_BYTES_MAX: u64 = 256;
/// How much is read at once.
const BUFFER_BYTES: usize = 1 << 20;
/// How far the clock of who made the database may be ahead.
const AHEAD_MAX: SignedDuration = SignedDuration::from_mins(5);
/// How far ahead a port may be planned.
const PLANNED_MAX: SignedDuration = SignedDuration::from_hours(366 * 24);
/// The earliest and the latest offset from UTC that is in use, in minutes.
const OFFSETS: (i32, i32) = (-12 * 60, 14 * 60);

/// What bounds the reading.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimits {
    /// The most rows.
    pub rows_max: u64,
    /// The time of the reader.
    pub now: Timestamp,
}

/// Why a file is no database of ported numbers. It names the line, and never a number.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system.
    #[error("it can't be read")]
    Io(#[from] io::Error),
    /// A line of the head.
    #[error("line {line}: {rule}")]
    Head {
        /// Which line, from 1.
        line: u64,
        /// What belongs there.
        rule: &'static str,
    },
    /// A row.
    #[error("line {line}: {error}")]
    Row {
        /// Which line, from 1.
        line: u64,
        /// Why.
        error: RowError,
    },
    /// No line is so long.
    #[error("line {0} is longer than {LINE_BYTES_MAX} bytes, or is no text")]
    Line(u64),
    /// More rows than the limit.
    #[error("it has more than {0} rows (`rows_max`)")]
    TooMany(u64),
    /// More recipients than fit.
    #[error(
        "line {0}: the {RECIPIENTS_MAX} recipients before it are the most that can be told apart"
    )]
    Recipients(u64),
    /// Cut off.
    #[error("it is not whole: it has no last line `end,rows,sha256`")]
    NoEnd,
    /// Something after the end.
    #[error("something stands after its last line `end`")]
    AfterEnd,
    /// Another number of rows.
    #[error("it has {found} rows and says that it has {stated}")]
    Count {
        /// In the file.
        found: u64,
        /// In its last line.
        stated: u64,
    },
    /// Another checksum.
    #[error("it is damaged: its SHA-256 is not the one in its last line")]
    Checksum,
    /// Made in the future.
    #[error("its `as_of`, {0}, is in the future")]
    Future(Timestamp),
    /// Two rows that can't both be true.
    #[error("lines {first} and {second} contradict each other: {what}")]
    Contradiction {
        /// A line, from 1.
        first: u64,
        /// The other.
        second: u64,
        /// What is not possible.
        what: &'static str,
    },
}

/// One row of a file, parsed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    pub(super) first: u64,
    /// How many numbers follow the first; `None`: it stands by itself.
    pub(super) more: Option<u32>,
    pub(super) recipient: &'a str,
    pub(super) when: When,
}

/// A row may be a number.
impl std::fmt::Debug for Row<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[row]")
    }
}

/// Parses one row; `ahead` is by how many minutes local days may begin before those of UTC.
///
/// # Errors
/// [`RowError`].
pub fn parse_row(line: &str, ahead: i32, latest: Timestamp) -> Result<Row<'_>, RowError> {
    let mut cells = line.split(',');
    let (Some(first), Some(recipient), Some(ported), None) =
        (cells.next(), cells.next(), cells.next(), cells.next())
    else {
        return Err(RowError::Shape);
    };
    let (first, more) = numbers(first)?;
    check_recipient(recipient)?;
    let when = When::parse(ported, ahead, latest)?;
    Ok(Row {
        first,
        more,
        recipient,
        when,
    })
}

/// Lines, counted and hashed as they come.
struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    number: u64,
    hash: Context,
}

/// What the head says.
#[derive(Clone, Copy)]
struct Head {
    as_of: Timestamp,
    /// How many minutes local days may begin before those of UTC, at the most and at the least.
    ahead: (i32, i32),
}

impl PortabilityDatabase {
    /// Reads a database, whole.
    ///
    /// # Errors
    /// [`ReadError`] names the line.
    pub fn read(source: &mut (impl Read + Seek), limits: ReadLimits) -> Result<Self, ReadError> {
        let mut lines = Lines::new(&mut *source);
        let head = lines.head()?;
        if head.as_of > limits.now.checked_add(AHEAD_MAX).unwrap_or(limits.now) {
            return Err(ReadError::Future(head.as_of));
        }
        let mut rows = Rows::default();
        let (stated, sha256) = lines.rows(head, limits, &mut rows)?;
        let found = rows.count;
        if found != stated {
            return Err(ReadError::Count { found, stated });
        }
        let doubt = rows.sort();
        if let Some(doubt) = doubt {
            return Err(find_lines(source, head, &doubt));
        }
        let blocks = rows.blocks();
        Ok(Self {
            groups: blocks.iter().copied().step_by(GROUP_BLOCKS).collect(),
            blocks,
            numbers: rows.numbers,
            ranges: rows.ranges,
            recipients: rows.recipients,
            as_of: head.as_of,
            day_minutes: (24 * 60_u32).saturating_add_signed(head.ahead.0 - head.ahead.1),
            sha256,
            rows: found,
        })
    }
}

impl<R: Read> Lines<R> {
    fn new(source: R) -> Self {
        Self {
            reader: BufReader::with_capacity(BUFFER_BYTES, source),
            line: Vec::new(),
            number: 0,
            hash: Context::new(&SHA256),
        }
    }

    /// The next line, without its end; it is hashed when the one after it is taken.
    fn take(&mut self) -> Result<Option<&str>, ReadError> {
        self.hash.update(&self.line);
        self.line.clear();
        let mut bounded = (&mut self.reader).take(LINE_BYTES_MAX);
        let length = bounded.read_until(b'\n', &mut self.line)?;
        if length == 0 {
            return Ok(None);
        }
        self.number += 1;
        let Some(line) = self.line.strip_suffix(b"\n") else {
            return Err(match length as u64 {
                LINE_BYTES_MAX => ReadError::Line(self.number),
                _ => ReadError::NoEnd,
            });
        };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = str::from_utf8(line).map_err(|_| ReadError::Line(self.number))?;
        Ok(Some(text))
    }

    fn head(&mut self) -> Result<Head, ReadError> {
        let rule = "the first line is `accord-portability,1`";
        if self.take()? != Some("accord-portability,1") {
            return Err(ReadError::Head { line: 1, rule });
        }
        let as_of = self.take()?.and_then(|line| line.strip_prefix("as_of,"));
        let as_of = as_of.and_then(|text| text.parse().ok());
        let rule = "the second line is `as_of,` and a time with its offset (RFC 3339)";
        let as_of = as_of.ok_or(ReadError::Head { line: 2, rule })?;
        let (mut ahead, mut line) = ((OFFSETS.1, OFFSETS.0), 3);
        let mut next = self.take()?.unwrap_or_default();
        if let Some(days) = next.strip_prefix("days,") {
            let rule = "`days,` is followed by the least and the greatest offset from UTC of local \
                        days over the year, such as `+00:00,+01:00`";
            let offsets = days.split_once(',');
            let offsets = offsets.and_then(|(least, most)| Some((offset(most)?, offset(least)?)));
            ahead = offsets
                .filter(|(most, least)| least <= most)
                .ok_or(ReadError::Head { line, rule })?;
            line = 4;
            next = self.take()?.unwrap_or_default();
        }
        let rule = "before the rows stands `number,recipient,ported`";
        if next != "number,recipient,ported" {
            return Err(ReadError::Head { line, rule });
        }
        Ok(Head { as_of, ahead })
    }

    /// Reads rows until the last line; what that says.
    fn rows(
        &mut self,
        head: Head,
        limits: ReadLimits,
        rows: &mut Rows,
    ) -> Result<(u64, [u8; 32]), ReadError> {
        let latest = head.latest();
        loop {
            let number = self.number + 1;
            let line = self.take()?.ok_or(ReadError::NoEnd)?;
            if let Some(end) = line.strip_prefix("end,") {
                let stated = end.split_once(',');
                let stated = stated
                    .and_then(|(rows, hash)| Some((rows.parse().ok()?, crate::hex::decode(hash)?)));
                let rule = "the last line is `end,`, the number of rows and the SHA-256 in hex of \
                            all bytes before this line";
                let stated = stated.ok_or(ReadError::Head { line: number, rule })?;
                return self.end(stated);
            }
            let row = parse_row(line, head.ahead.0, latest).map_err(|error| ReadError::Row {
                line: number,
                error,
            })?;
            if rows.count >= limits.rows_max {
                return Err(ReadError::TooMany(limits.rows_max));
            }
            rows.push(&row).ok_or(ReadError::Recipients(number))?;
        }
    }

    fn end(&mut self, stated: (u64, [u8; 32])) -> Result<(u64, [u8; 32]), ReadError> {
        let hash = self.hash.clone().finish();
        if hash.as_ref() != stated.1 {
            return Err(ReadError::Checksum);
        }
        match self.take() {
            Ok(None) => Ok(stated),
            Err(error @ ReadError::Io(_)) => Err(error),
            Ok(Some(_)) | Err(_) => Err(ReadError::AfterEnd),
        }
    }
}

impl Head {
    fn latest(&self) -> Timestamp {
        self.as_of.checked_add(PLANNED_MAX).unwrap_or(self.as_of)
    }
}

/// Where the rows stand that contradict each other, for whoever has to mend the file.
fn find_lines(source: &mut (impl Read + Seek), head: Head, doubt: &Doubt) -> ReadError {
    let (mut first, mut second) = (0, 0);
    if source.rewind().is_ok() {
        let mut lines = Lines::new(source);
        while let Ok(Some(line)) = lines.take() {
            let row = parse_row(line, head.ahead.0, head.latest());
            if row.is_ok_and(|row| doubt.of.contains(&(row.first, row.more, row.when))) {
                (first, second) = if first == 0 {
                    (lines.number, 0)
                } else {
                    (first, lines.number)
                };
            }
            if second != 0 {
                break;
            }
        }
    }
    ReadError::Contradiction {
        first,
        second,
        what: doubt.what,
    }
}

/// `+01:00` in minutes.
fn offset(text: &str) -> Option<i32> {
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let two = |text: &str| (text.len() == 2).then(|| text.parse::<u8>().ok()).flatten();
    let minutes = i32::from(two(hours)?) * 60 + i32::from(two(minutes).filter(|it| *it < 60)?);
    let minutes = match text.bytes().next()? {
        b'+' => minutes,
        b'-' => -minutes,
        _ => return None,
    };
    (OFFSETS.0..=OFFSETS.1)
        .contains(&minutes)
        .then_some(minutes)
}
