//! From a value of PostgreSQL's binary format to what it says of when something happened.

use accord_proto::observation::ChangedIn;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::types::{FromSql, Type};

/// 2000-01-01, from which PostgreSQL counts, in seconds since 1970.
const EPOCH: i64 = 946_684_800;
const DAY: i64 = 86_400;

/// One value. The types are those that `Plan` accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// `boolean`
    Bool(bool),
    /// `date`: days since 2000, or one of the infinities.
    Day(i32),
    /// `timestamptz`: microseconds since 2000, UTC, or one of the infinities.
    Instant(i64),
    /// `timestamp`: microseconds since 2000 in nobody's zone, or one of the infinities.
    Local(i64),
    /// No value.
    Null,
    /// Anything else, if it is UTF-8.
    Text(Option<String>),
}

impl<'a> FromSql<'a> for Cell {
    fn from_sql(
        ty: &Type,
        raw: &'a [u8],
    ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        let eight = || Ok::<_, std::array::TryFromSliceError>(i64::from_be_bytes(raw.try_into()?));
        Ok(if *ty == Type::TIMESTAMPTZ {
            Self::Instant(eight()?)
        } else if *ty == Type::TIMESTAMP {
            Self::Local(eight()?)
        } else if *ty == Type::DATE {
            Self::Day(i32::from_be_bytes(raw.try_into()?))
        } else if *ty == Type::BOOL {
            Self::Bool(raw == [1])
        } else {
            Self::Text(std::str::from_utf8(raw).ok().map(str::to_owned))
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// What a date can be that nobody should believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absurd {
    /// Before `earliest`.
    Early,
    /// After the row was true.
    Future,
    /// An infinity.
    Infinite,
    /// Not of this calendar, or no date at all.
    Unreadable,
}

impl Absurd {
    /// In words, for a log.
    pub(super) const fn rule(self) -> &'static str {
        match self {
            Self::Early => "lies before `earliest`; list it in `never` if it means that",
            Self::Future => "lies in the future",
            Self::Infinite => "is infinite",
            Self::Unreadable => "is no date",
        }
    }
}

/// When something happened: not earlier and not later than this. `None`: it never did.
pub(super) type When = Result<Option<(Timestamp, Timestamp)>, Absurd>;

/// How dates are to be read.
#[derive(Clone, Debug)]
pub(super) struct Dates {
    pub(super) zone: TimeZone,
    pub(super) earliest: Timestamp,
    pub(super) never: Vec<Date>,
}

impl Dates {
    /// What a cell says. A date is the whole of its day.
    pub(super) fn when(&self, cell: &Cell) -> When {
        let (first, last, date) = match cell {
            Cell::Null => return Ok(None),
            Cell::Instant(micros) => {
                let at = instant(*micros)?;
                // Where no day means "never", nobody need know which day it was.
                let date = match self.never.is_empty() {
                    true => Date::ZERO,
                    false => at.to_zoned(self.zone.clone()).date(),
                };
                (at, at, date)
            }
            Cell::Local(micros) => {
                let at = local(*micros)?;
                let (first, last) = self.instants(at)?;
                (first, last, at.date())
            }
            Cell::Day(days) => {
                let date = day(*days)?;
                let start = |date: Date| date.to_zoned(self.zone.clone());
                let first = start(date).map_err(|_| Absurd::Unreadable)?;
                let next = date.tomorrow().and_then(start);
                let next = next.map_err(|_| Absurd::Unreadable)?;
                (first.timestamp(), next.timestamp(), date)
            }
            Cell::Bool(_) | Cell::Text(_) => return Err(Absurd::Unreadable),
        };
        if self.never.contains(&date) {
            return Ok(None);
        }
        if last <= self.earliest {
            return Err(Absurd::Early);
        }
        Ok(Some((first, last)))
    }

    /// As [`when`](Self::when), for the beginning of a contract. A date's day ends with its last
    /// millisecond here, since a contract's own day is never recycled (CAMARA NumberRecycling).
    pub(super) fn began(&self, cell: &Cell) -> When {
        let when = self.when(cell)?;
        Ok(when.map(|(first, last)| {
            let moment = if matches!(cell, Cell::Day(_)) {
                SignedDuration::from_millis(1)
            } else {
                SignedDuration::ZERO
            };
            (first, last.checked_sub(moment).unwrap_or(last).max(first))
        }))
    }

    /// As [`when`](Self::when), for an end that may never come.
    pub(super) fn ends(&self, cell: &Cell) -> When {
        let forever = matches!(
            cell,
            Cell::Instant(i64::MAX) | Cell::Local(i64::MAX) | Cell::Day(i32::MAX)
        );
        if forever { Ok(None) } else { self.when(cell) }
    }

    /// When a civil time was: twice where the clocks were put back.
    fn instants(&self, at: DateTime) -> Result<(Timestamp, Timestamp), Absurd> {
        let ambiguous = self.zone.to_ambiguous_timestamp(at);
        let one = ambiguous.earlier();
        let other = ambiguous.later();
        match (one, other) {
            (Ok(one), Ok(other)) => Ok((one.min(other), one.max(other))),
            (Err(_), _) | (_, Err(_)) => Err(Absurd::Unreadable),
        }
    }
}

/// The interval that a change at `when` lies in, for a row that is true until `observed_at`. What
/// lies after that by no more than the clocks may differ has happened all the same: it is in the row.
pub(super) fn believed(
    (first, last): (Timestamp, Timestamp),
    observed_at: Timestamp,
    tolerance: SignedDuration,
) -> Result<ChangedIn, Absurd> {
    let ahead = first.duration_since(observed_at);
    let interval = if ahead > tolerance {
        return Err(Absurd::Future);
    } else if ahead > SignedDuration::ZERO {
        let after = observed_at.checked_sub(tolerance);
        ChangedIn::new(after.map_err(|_| Absurd::Unreadable)?, observed_at)
    } else {
        ChangedIn::new(first, last.min(observed_at))
    };
    interval.ok_or(Absurd::Unreadable)
}

/// An instant of PostgreSQL's.
pub(super) fn instant(micros: i64) -> Result<Timestamp, Absurd> {
    if micros == i64::MAX || micros == i64::MIN {
        return Err(Absurd::Infinite);
    }
    let since_1970 = micros.checked_add(EPOCH * 1_000_000);
    let at = since_1970.and_then(|micros| Timestamp::from_microsecond(micros).ok());
    at.ok_or(Absurd::Unreadable)
}

/// The other way.
pub(super) fn postgres_micros(at: Timestamp) -> i64 {
    at.as_microsecond().saturating_sub(EPOCH * 1_000_000)
}

fn local(micros: i64) -> Result<DateTime, Absurd> {
    Ok(instant(micros)?.to_zoned(TimeZone::UTC).datetime())
}

fn day(days: i32) -> Result<Date, Absurd> {
    if days == i32::MAX || days == i32::MIN {
        return Err(Absurd::Infinite);
    }
    let at = Timestamp::from_second(i64::from(days) * DAY + EPOCH);
    let at = at.map_err(|_| Absurd::Unreadable)?;
    Ok(at.to_zoned(TimeZone::UTC).date())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dates() -> Dates {
        Dates {
            zone: TimeZone::get("Europe/London").unwrap(),
            earliest: "1980-01-01T00:00:00Z".parse().unwrap(),
            never: vec!["1900-01-01".parse().unwrap()],
        }
    }

    fn micros(at: &str) -> i64 {
        postgres_micros(at.parse().unwrap())
    }

    fn days(date: &str) -> i32 {
        let micros = micros(&format!("{date}T00:00:00Z"));
        i32::try_from(micros / 1_000_000 / DAY).unwrap()
    }

    fn pair(first: &str, last: &str) -> When {
        Ok(Some((first.parse().unwrap(), last.parse().unwrap())))
    }

    #[test]
    fn an_instant_is_itself_and_a_date_is_its_day_in_the_zone() {
        let at = "2026-07-01T10:15:30.123456Z";
        assert_eq!(dates().when(&Cell::Instant(micros(at))), pair(at, at));
        let day = Cell::Day(days("2026-07-01"));
        assert_eq!(
            dates().when(&day),
            pair("2026-06-30T23:00:00Z", "2026-07-01T23:00:00Z")
        );
        assert_eq!(
            dates().began(&day),
            pair("2026-06-30T23:00:00Z", "2026-07-01T22:59:59.999Z")
        );
        assert_eq!(dates().when(&Cell::Null), Ok(None));
    }

    #[test]
    fn a_local_time_that_was_twice_covers_both() {
        let twice = Cell::Local(micros("2026-10-25T01:30:00Z"));
        assert_eq!(
            dates().when(&twice),
            pair("2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z")
        );
    }

    #[test]
    fn absurd_dates_are_named_and_sentinels_are_what_the_operator_says() {
        let dates = dates();
        for (cell, absurd) in [
            (Cell::Instant(i64::MAX), Absurd::Infinite),
            (Cell::Local(i64::MIN), Absurd::Infinite),
            (Cell::Day(i32::MAX), Absurd::Infinite),
            (Cell::Day(days("1970-01-01")), Absurd::Early),
            (Cell::Instant(micros("1901-01-01T00:00:00Z")), Absurd::Early),
            (Cell::Instant(i64::MAX - 1), Absurd::Unreadable),
            (Cell::Day(i32::MAX - 1), Absurd::Unreadable),
            (Cell::Text(None), Absurd::Unreadable),
        ] {
            assert_eq!(dates.when(&cell), Err(absurd), "{cell:?}");
        }
        assert_eq!(dates.when(&Cell::Day(days("1900-01-01"))), Ok(None));
        // It ends some day, or never.
        assert_eq!(dates.ends(&Cell::Day(i32::MAX)), Ok(None));
        assert!(dates.ends(&Cell::Day(days("9999-01-01"))).is_ok());
        assert_eq!(dates.ends(&Cell::Day(i32::MIN)), Err(Absurd::Infinite));
    }

    #[test]
    fn what_lies_a_little_ahead_has_happened_and_what_lies_far_ahead_is_not_believed() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (observed, tolerance) = (at("2026-11-01T12:00:00Z"), SignedDuration::from_secs(5));
        let ahead = |text: &str| believed((at(text), at(text)), observed, tolerance);
        let within = ahead("2026-11-01T12:00:02Z").unwrap();
        assert_eq!(within.after(), at("2026-11-01T11:59:55Z"));
        assert_eq!(within.before(), observed);
        assert_eq!(ahead("2026-11-01T12:00:06Z"), Err(Absurd::Future));
        let today = (at("2026-11-01T00:00:00Z"), at("2026-11-02T00:00:00Z"));
        let today = believed(today, observed, tolerance).unwrap();
        assert_eq!(today.before(), observed);
    }
}
