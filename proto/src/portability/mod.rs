//! Numbers that left the operator of their range: the national database of ported numbers, as one
//! file, read whole or not at all, and looked up in memory.
//!
//! ```text
//! accord-portability,1
//! as_of,2026-11-26T02:00:00Z
//! days,+00:00,+01:00
//! number,recipient,ported
//! +447700900016,sud-mobile,2024-05-01
//! +447700900100-+447700900199,23415,2025-02-01T03:00Z
//! end,2,5d0f…
//! ```
//!
//! `docs/portability.md` describes each line. A number that stands by itself comes before a range,
//! and of several ports of one number the last that has come counts, so that a dump may hold history
//! and what is planned for tomorrow.

mod read;
mod row;
mod rows;

use jiff::{SignedDuration, Timestamp};

pub use read::{ReadError, ReadLimits, Row, parse_row};
use row::{NumberRow, RangeRow};
pub use row::{RowError, When};

use crate::{msisdn::Msisdn, observation::ChangedIn};

/// A search goes through three levels, each small enough to touch few lines of the processor's cache:
/// of each so many rows one number is kept beside, and of each so many of those one more.
const BLOCK_ROWS: usize = 16;
const GROUP_BLOCKS: usize = 64;

/// A database of ported numbers in memory: 12 bytes for each number, 16 for each range.
pub struct PortabilityDatabase {
    /// Sorted by number, then by when.
    numbers: Vec<NumberRow>,
    /// The number of the first row of each block of them.
    blocks: Vec<u64>,
    /// The number of the first row of each group of blocks.
    groups: Vec<u64>,
    /// Sorted by first number, then by when. Two with another beginning never overlap.
    ranges: Vec<RangeRow>,
    recipients: Vec<Box<str>>,
    as_of: Timestamp,
    /// How many minutes a local day may last, seen from UTC.
    day_minutes: u32,
    sha256: [u8; 32],
    rows: u64,
}

/// What the database says of a number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Port<'a> {
    /// To whom, as the database names it.
    pub recipient: &'a str,
    /// When, where the database says so: the minute, or the day.
    pub ported_in: Option<ChangedIn>,
}

impl PortabilityDatabase {
    /// Where a number was ported to, as far as that has come by `now`. `None`: it stayed with the
    /// operator of its range.
    #[must_use]
    pub fn find(&self, msisdn: &Msisdn, now: Timestamp) -> Option<Port<'_>> {
        let (number, by) = (row::number_of(msisdn), When::latest(now));
        let (operator, when) = self
            .find_number(number, by)
            .or_else(|| self.find_range(number, by))?;
        let recipient = self.recipients.get(usize::from(operator))?;
        Some(Port {
            recipient,
            ported_in: self.interval(when),
        })
    }

    fn find_number(&self, number: u64, by: u32) -> Option<(u16, When)> {
        let key = (number, by);
        let group = self.groups.partition_point(|first| *first <= number);
        let first = group.checked_sub(1)? * GROUP_BLOCKS;
        let blocks = slice(&self.blocks, first, GROUP_BLOCKS)?;
        let block = first + count(blocks, |first| *first <= number);
        let rows = slice(
            &self.numbers,
            block.checked_sub(1)? * BLOCK_ROWS,
            BLOCK_ROWS,
        )?;
        let row = match count(rows, |row| row.key() <= key).checked_sub(1) {
            Some(place) => rows.get(place)?,
            // The ports of one number lie in two blocks.
            None => {
                let place = self.numbers.partition_point(|row| row.key() <= key);
                self.numbers.get(place.checked_sub(1)?)?
            }
        };
        (row.number() == number).then(|| (row.operator(), row.when()))
    }

    fn find_range(&self, number: u64, by: u32) -> Option<(u16, When)> {
        let place = self.ranges.partition_point(|row| row.first() <= number);
        let before = self.ranges.get(..place)?;
        let first = before.last()?.first();
        let history = before
            .iter()
            .rev()
            .take_while(|row| row.first() == first && row.last() >= number);
        let row = history.into_iter().find(|row| row.when().word() <= by)?;
        Some((row.operator(), row.when()))
    }

    fn interval(&self, when: When) -> Option<ChangedIn> {
        let minutes = match when {
            When::Unknown => return None,
            When::Minute(_) => 1,
            When::Day(_) => self.day_minutes,
        };
        let after = when.start()?;
        let length = SignedDuration::from_mins(i64::from(minutes));
        ChangedIn::new(after, after.checked_add(length).ok()?)
    }

    /// When the next port comes that is planned for later than `now`; `None`: none is. It looks at every
    /// row.
    #[must_use]
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let come = When::latest(now);
        let numbers = self.numbers.iter().map(|row| row.when());
        let ranges = self.ranges.iter().map(|row| row.when());
        let planned = numbers.chain(ranges).filter(|when| when.word() > come);
        planned.min_by_key(|when| when.word())?.start()
    }

    /// When the database was made: what happened later is not in it.
    #[must_use]
    pub const fn as_of(&self) -> Timestamp {
        self.as_of
    }

    /// SHA-256 of the file up to its last line, which states the same.
    #[must_use]
    pub const fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// Rows of the file.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Whom numbers were ported to, as the database names them.
    pub fn recipients(&self) -> impl Iterator<Item = &str> {
        self.recipients.iter().map(AsRef::as_ref)
    }

    /// The memory that it takes, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let names: usize = self.recipients.iter().map(|name| name.len() + 16).sum();
        self.numbers.capacity() * size_of::<NumberRow>()
            + (self.blocks.capacity() + self.groups.capacity()) * size_of::<u64>()
            + self.ranges.capacity() * size_of::<RangeRow>()
            + names
    }
}

/// How many of a few sorted items come first. All are looked at: the processor fetches them at once,
/// where a binary search would wait for one after the other.
fn count<T>(items: &[T], is_before: impl Fn(&T) -> bool) -> usize {
    items.iter().map(|item| usize::from(is_before(item))).sum()
}

/// So many items from a place on, or fewer at the end.
fn slice<T>(all: &[T], from: usize, most: usize) -> Option<&[T]> {
    all.get(from..all.len().min(from + most))
}

/// Numbers are no matter for a log.
impl std::fmt::Debug for PortabilityDatabase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PortabilityDatabase")
            .field("as_of", &self.as_of)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

/// When a number was ported is personal data.
impl std::fmt::Debug for Port<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[port]")
    }
}

#[cfg(test)]
mod tests;
