//! From when until when an agreement is in force (rule R05).

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use toml::de::DeTable;

use crate::document::{Mistake, Mistakes};

/// The first day in force and the first day no longer in force, both from midnight UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    effective: Date,
    expires: Date,
}

/// Why an agreement is not in force now. Everything is refused then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotInForce {
    /// Its last day is over.
    #[error("the agreement expired on {expires}")]
    Expired {
        /// The first day no longer in force.
        expires: Date,
    },
    /// Its first day has not come.
    #[error("the agreement takes effect on {effective}")]
    NotYet {
        /// The first day in force.
        effective: Date,
    },
}

impl Term {
    /// Whole days left at which to warn, most urgent first.
    pub const WARNING_DAYS: [i64; 3] = [1, 7, 30];

    /// A term; `None` if it would end before it begins.
    #[must_use]
    pub fn new(effective: Date, expires: Date) -> Option<Self> {
        (effective < expires).then_some(Self { effective, expires })
    }

    /// The first day in force.
    #[must_use]
    pub const fn effective(&self) -> Date {
        self.effective
    }

    /// The first day no longer in force.
    #[must_use]
    pub const fn expires(&self) -> Date {
        self.expires
    }

    /// The first instant in force.
    #[must_use]
    pub fn effective_at(&self) -> Timestamp {
        midnight(self.effective)
    }

    /// The first instant no longer in force.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        midnight(self.expires)
    }

    /// Whether it is in force.
    ///
    /// # Errors
    /// [`NotInForce`] says which end it lies beyond.
    pub fn check_in_force(&self, now: Timestamp) -> Result<(), NotInForce> {
        if now < self.effective_at() {
            let effective = self.effective;
            Err(NotInForce::NotYet { effective })
        } else if now >= self.expires_at() {
            let expires = self.expires;
            Err(NotInForce::Expired { expires })
        } else {
            Ok(())
        }
    }

    /// Whole days until it expires, rounded down; negative afterwards.
    #[must_use]
    pub fn days_left(&self, now: Timestamp) -> i64 {
        let day = SignedDuration::from_hours(24).as_secs();
        self.expires_at()
            .duration_since(now)
            .as_secs()
            .div_euclid(day)
    }

    /// The most urgent of [`Self::WARNING_DAYS`] that has come; `None` while there is time. On
    /// the very day that a level names, it has come.
    #[must_use]
    pub fn warning_days(&self, now: Timestamp) -> Option<i64> {
        let left = self.expires_at().duration_since(now);
        let come = |days: &i64| left <= SignedDuration::from_hours(days * 24);
        Self::WARNING_DAYS.into_iter().find(come)
    }
}

/// Midnight UTC at the beginning of a day.
fn midnight(day: Date) -> Timestamp {
    // Only the last hours of the year 9999 have no instant.
    day.to_zoned(TimeZone::UTC)
        .map_or(Timestamp::MAX, |midnight| midnight.timestamp())
}

/// The text of an agreement with other dates, everything else to the byte as it was.
///
/// # Errors
/// If the text has no `effective` and `expires` in its `[agreement]`.
pub fn with_dates(text: &str, effective: Date, expires: Date) -> Result<String, Mistakes> {
    let missing = |key: &str| Mistake {
        line: 1,
        key: format!("agreement.{key}"),
        rule: "is required".to_owned(),
    };
    let (table, _) = DeTable::parse_recoverable(text);
    let header = table
        .get_ref()
        .get("agreement")
        .and_then(|value| value.get_ref().as_table());
    let mut edits = Vec::new();
    let mut mistakes = Vec::new();
    for (key, date) in [("effective", effective), ("expires", expires)] {
        match header.and_then(|header| header.get(key)) {
            Some(value) => edits.push((value.span(), date.to_string())),
            None => mistakes.push(missing(key)),
        }
    }
    Mistakes::check(mistakes)?;
    // From the end, so that the first edit leaves the other's place where it was.
    edits.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    let mut dated = text.to_owned();
    for (span, date) in edits {
        dated.replace_range(span, &date);
    }
    Ok(dated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term() -> Term {
        Term::new("2026-01-01".parse().unwrap(), "2027-01-01".parse().unwrap()).unwrap()
    }

    fn at(instant: &str) -> Timestamp {
        instant.parse().unwrap()
    }

    #[test]
    fn a_term_holds_from_midnight_to_midnight() {
        let check = |instant| term().check_in_force(at(instant));
        assert!(matches!(
            check("2025-12-31T23:59:59Z"),
            Err(NotInForce::NotYet { .. })
        ));
        assert_eq!(check("2026-01-01T00:00:00Z"), Ok(()));
        assert_eq!(check("2026-12-31T23:59:59Z"), Ok(()));
        assert!(matches!(
            check("2027-01-01T00:00:00Z"),
            Err(NotInForce::Expired { .. })
        ));
        let day: Date = "2026-01-01".parse().unwrap();
        assert_eq!(Term::new(day, day), None);
    }

    #[test]
    fn warns_thirty_seven_and_one_days_before_the_end() {
        for (instant, days_left, warning) in [
            ("2026-11-01T00:00:00Z", 61, None),
            ("2026-12-01T23:59:59Z", 30, None),
            ("2026-12-02T00:00:00Z", 30, Some(30)),
            ("2026-12-25T00:00:00Z", 7, Some(7)),
            ("2026-12-30T12:00:00Z", 1, Some(7)),
            ("2026-12-31T00:00:00Z", 1, Some(1)),
            ("2026-12-31T12:00:00Z", 0, Some(1)),
            ("2027-01-01T12:00:00Z", -1, Some(1)),
        ] {
            assert_eq!(term().days_left(at(instant)), days_left, "{instant}");
            assert_eq!(term().warning_days(at(instant)), warning, "{instant}");
        }
    }

    #[test]
    fn dates_are_replaced_and_nothing_else() {
        let text =
            "# é\n[agreement]\nexpires = 2027-01-01 # end\neffective = 2026-01-01\nid = \"x\"\n";
        let (effective, expires) = ("2030-02-03".parse().unwrap(), "2031-02-03".parse().unwrap());
        assert_eq!(
            with_dates(text, effective, expires).unwrap(),
            "# é\n[agreement]\nexpires = 2031-02-03 # end\neffective = 2030-02-03\nid = \"x\"\n"
        );
        let error = with_dates("[agreement]\n", effective, expires).unwrap_err();
        assert_eq!(error.as_slice().len(), 2);
    }
}
