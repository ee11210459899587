//! One row: a number or a range, to whom, and when; as it is packed, and as it stands in the file.

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

use crate::msisdn::{Msisdn, MsisdnError};

/// The most operators that numbers were ported to: what fits beside a number of 15 digits.
pub(super) const RECIPIENTS_MAX: usize = 1 << RECIPIENT_BITS;
const RECIPIENT_BITS: u32 = 14;
/// The longest name of a recipient.
const RECIPIENT_BYTES_MAX: usize = 32;
/// No number was ported before: Singapore began in 1997, the United Kingdom and Hong Kong in 1999.
const EARLIEST: &str = "1990-01-01T00:00:00Z";

/// Why a line is no row. It never repeats what stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// Not three cells.
    #[error("a row reads `number,recipient,ported`, or `from-to,recipient,ported`")]
    Shape,
    /// The number.
    #[error("the number: {0}")]
    Number(#[from] MsisdnError),
    /// A range that ends before it begins, or whose ends differ in length, or too wide.
    #[error("a range has two numbers of the same length, the second not below the first")]
    Range,
    /// The recipient.
    #[error("a recipient has 1 to {RECIPIENT_BYTES_MAX} of letters, digits, `.`, `_` and `-`")]
    Recipient,
    /// The day or time.
    #[error("`ported` is a day (`2024-05-01`), a time with its offset (RFC 3339), or empty")]
    Ported,
    /// Before numbers were ported, or more than a year after the database was made.
    #[error("`ported` is absurd: before 1990, or more than a year after `as_of`")]
    Absurd,
}

/// When a number was ported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The database does not say.
    Unknown,
    /// Within a minute, counted since 1970.
    Minute(u32),
    /// Within a local day that begins with this minute at the earliest.
    Day(u32),
}

impl When {
    /// The greatest word of what has come by `now`.
    pub(super) fn latest(now: Timestamp) -> u32 {
        minute(now).map_or(0, |minute| Self::Day(minute).word())
    }

    /// The beginning and the kind in one word, in the order of time; never 0 but for `Unknown`.
    pub(super) const fn word(self) -> u32 {
        match self {
            Self::Unknown => 0,
            Self::Minute(minute) => minute << 1,
            Self::Day(minute) => (minute << 1) | 1,
        }
    }

    const fn of_word(word: u32) -> Self {
        match (word, word & 1) {
            (0, _) => Self::Unknown,
            (_, 0) => Self::Minute(word >> 1),
            (_, _) => Self::Day(word >> 1),
        }
    }

    /// The earliest instant.
    pub(super) fn start(self) -> Option<Timestamp> {
        match self {
            Self::Unknown => None,
            Self::Minute(minute) | Self::Day(minute) => {
                Timestamp::from_second(i64::from(minute) * 60).ok()
            }
        }
    }

    /// Reads a cell. `ahead` is by how many minutes local days may begin before those of UTC.
    pub(super) fn parse(cell: &str, ahead: i32, latest: Timestamp) -> Result<Self, RowError> {
        if cell.is_empty() {
            return Ok(Self::Unknown);
        }
        let (at, day) = if cell.len() == "2024-05-01".len() {
            let date: Date = cell.parse().map_err(|_| RowError::Ported)?;
            let midnight = date.to_zoned(TimeZone::UTC).map_err(|_| RowError::Ported)?;
            let earlier = SignedDuration::from_mins(i64::from(ahead));
            let begin = midnight.timestamp().checked_sub(earlier);
            (begin.map_err(|_| RowError::Ported)?, true)
        } else {
            (cell.parse().map_err(|_| RowError::Ported)?, false)
        };
        let earliest: Timestamp = EARLIEST.parse().map_err(|_| RowError::Absurd)?;
        if at < earliest || at > latest {
            return Err(RowError::Absurd);
        }
        let minute = minute(at).ok_or(RowError::Absurd)?;
        Ok(if day {
            Self::Day(minute)
        } else {
            Self::Minute(minute)
        })
    }
}

fn minute(at: Timestamp) -> Option<u32> {
    let minute = u32::try_from(at.as_second().div_euclid(60)).ok()?;
    (minute < 1 << 31).then_some(minute)
}

/// A ported number. Twelve bytes, since there are millions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct NumberRow {
    high: u32,
    low: u32,
    when: u32,
}

/// A ported range. Sixteen bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct RangeRow {
    first: NumberRow,
    /// So many numbers follow the first.
    more: u32,
}

// 10 million rows must fit into 200 MiB.
const _: () = assert!(size_of::<NumberRow>() == 12 && size_of::<RangeRow>() == 16);

impl NumberRow {
    pub(super) const fn new(number: u64, operator: u16, when: When) -> Self {
        let head = (number << RECIPIENT_BITS) | operator as u64;
        Self {
            high: (head >> 32) as u32,
            low: head as u32,
            when: when.word(),
        }
    }

    const fn head(self) -> u64 {
        ((self.high as u64) << 32) | self.low as u64
    }

    pub(super) const fn number(self) -> u64 {
        self.head() >> RECIPIENT_BITS
    }

    pub(super) const fn operator(self) -> u16 {
        (self.head() & ((1 << RECIPIENT_BITS) - 1)) as u16
    }

    pub(super) const fn when(self) -> When {
        When::of_word(self.when)
    }

    pub(super) const fn key(self) -> (u64, u32) {
        (self.number(), self.when)
    }
}

impl RangeRow {
    pub(super) const fn new(first: u64, more: u32, operator: u16, when: When) -> Self {
        Self {
            first: NumberRow::new(first, operator, when),
            more,
        }
    }

    pub(super) const fn first(self) -> u64 {
        self.first.number()
    }

    pub(super) const fn more(self) -> u32 {
        self.more
    }

    pub(super) const fn last(self) -> u64 {
        self.first() + self.more as u64
    }

    pub(super) const fn operator(self) -> u16 {
        self.first.operator()
    }

    pub(super) const fn when(self) -> When {
        self.first.when()
    }

    pub(super) const fn key(self) -> (u64, u32) {
        self.first.key()
    }
}

/// The digits of a number as an integer. Numbers of another length are other integers, since no
/// number begins with 0.
pub(super) fn number_of(msisdn: &Msisdn) -> u64 {
    msisdn.expose_digits().bytes().fold(0, |number, digit| {
        number * 10 + u64::from(digit.wrapping_sub(b'0'))
    })
}

/// The numbers of a row: one, or a range by its first and how many follow.
pub(super) fn numbers(cell: &str) -> Result<(u64, Option<u32>), RowError> {
    let Some((first, last)) = cell.split_once('-') else {
        return Ok((number(cell)?, None));
    };
    let more = number(last)?.checked_sub(number(first)?);
    let more = more.and_then(|more| u32::try_from(more).ok());
    if first.len() != last.len() {
        return Err(RowError::Range);
    }
    Ok((number(first)?, Some(more.ok_or(RowError::Range)?)))
}

/// As [`Msisdn::parse`], to an integer at once.
fn number(cell: &str) -> Result<u64, MsisdnError> {
    let digits = cell.strip_prefix('+').ok_or(MsisdnError::NoPlus)?;
    let mut number: u64 = 0;
    for byte in digits.bytes() {
        if !byte.is_ascii_digit() {
            return Err(MsisdnError::NotDigits);
        }
        // Longer ones are refused below, whatever they wrap to.
        number = number
            .wrapping_mul(10)
            .wrapping_add(u64::from(byte.wrapping_sub(b'0')));
    }
    if !(Msisdn::DIGITS_MIN..=Msisdn::DIGITS_MAX).contains(&digits.len()) {
        return Err(MsisdnError::Length);
    }
    if digits.starts_with('0') {
        return Err(MsisdnError::LeadingZero);
    }
    Ok(number)
}

pub(super) fn check_recipient(cell: &str) -> Result<(), RowError> {
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let good = (1..=RECIPIENT_BYTES_MAX).contains(&cell.len()) && cell.bytes().all(named);
    good.then_some(()).ok_or(RowError::Recipient)
}
