//! Subject tags: the keyed pseudonym of a number, with a key for each month.

use std::fmt;

use aws_lc_rs::hmac;
use jiff::{Timestamp, civil, tz::TimeZone};

use crate::msisdn::Msisdn;

/// A calendar month, UTC, such as `2026-11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Month {
    year: i16,
    month: i8,
}

impl Month {
    /// The month of an instant.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        let date = at.to_zoned(TimeZone::UTC).date();
        Self {
            year: date.year(),
            month: date.month(),
        }
    }

    /// The month before.
    #[must_use]
    pub const fn previous(self) -> Self {
        if self.month == 1 {
            Self {
                year: self.year - 1,
                month: 12,
            }
        } else {
            Self {
                year: self.year,
                month: self.month - 1,
            }
        }
    }

    /// The month after.
    #[must_use]
    pub const fn next(self) -> Self {
        if self.month == 12 {
            Self {
                year: self.year + 1,
                month: 1,
            }
        } else {
            Self {
                year: self.year,
                month: self.month + 1,
            }
        }
    }

    /// Parses `2026-11`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        // A number may have a sign before it, and a month has one way to be written.
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if year.len() != 4 || month.len() != 2 || !digits(year) || !digits(month) {
            return None;
        }
        let first = civil::Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()?;
        Some(Self {
            year: first.year(),
            month: first.month(),
        })
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

/// A pseudonym of a number: the same number has the same tag for one month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubjectTag(pub [u8; 16]);

/// The key of one month. Whoever holds it can enumerate a numbering plan, so it never lies beside
/// the ledger.
pub struct TagKey {
    month: Month,
    key: hmac::Key,
}

impl TagKey {
    /// Length of a key in bytes.
    pub const LEN: usize = 32;

    /// The key of a month.
    #[must_use]
    pub fn new(month: Month, key: &[u8; Self::LEN]) -> Self {
        Self {
            month,
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
        }
    }

    /// The month.
    #[must_use]
    pub const fn month(&self) -> Month {
        self.month
    }

    /// The tag of a number: `HMAC-SHA256(key, E.164 with its plus sign)`, first 16 bytes.
    #[must_use]
    pub fn subject(&self, msisdn: &Msisdn) -> SubjectTag {
        self.tag_of_e164(msisdn.expose().as_bytes())
    }

    /// The tag of a number's text, E.164 with its plus sign, unparsed: for whoever tries a whole
    /// numbering plan.
    #[must_use]
    pub fn tag_of_e164(&self, e164: &[u8]) -> SubjectTag {
        SubjectTag(first_16(&hmac::sign(&self.key, e164)))
    }

    /// A keyed digest of another text that the ledger must not hold in clear, first 16 bytes.
    /// `what` separates the uses, so that equal texts in different fields have different digests;
    /// it begins with a letter and a number with a plus sign, so no digest equals a tag.
    #[must_use]
    pub fn mac(&self, what: &str, text: &[u8]) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(what.as_bytes());
        context.update(&[0]);
        context.update(text);
        first_16(&context.sign())
    }
}

fn first_16(tag: &hmac::Tag) -> [u8; 16] {
    let mut first = [0; 16];
    for (to, from) in first.iter_mut().zip(tag.as_ref()) {
        *to = *from;
    }
    first
}

impl fmt::Debug for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TagKey({}, [secret])", self.month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_has_one_way_to_be_written() {
        assert!(Month::parse("2026-08").is_some());
        for other in [
            "2026-+8", "+202-08", "2026-8", "2026-13", "2026-00", "2026 08",
        ] {
            assert_eq!(Month::parse(other), None, "{other}");
        }
    }

    #[test]
    fn months_roll_over_at_new_year() {
        let january = Month::of("2026-01-31T23:59:59Z".parse().unwrap());
        assert_eq!(january.to_string(), "2026-01");
        assert_eq!(january.previous().to_string(), "2025-12");
        assert_eq!(Month::parse("2025-12"), Some(january.previous()));
        assert_eq!(Month::parse("2025-13"), None);
        assert_eq!(Month::parse("25-1"), None);
    }

    #[test]
    fn a_tag_depends_on_key_number_and_use() {
        let month = Month::parse("2026-11").unwrap();
        let (one, other) = (TagKey::new(month, &[1; 32]), TagKey::new(month, &[2; 32]));
        let number = Msisdn::parse("+447700900001").unwrap();
        assert_eq!(one.subject(&number), one.subject(&number));
        assert_ne!(one.subject(&number), other.subject(&number));
        assert_ne!(
            one.subject(&number).0,
            one.mac("customer_ref", b"+447700900001")
        );
    }
}
