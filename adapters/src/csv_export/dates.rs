//! From a cell to the interval of time that it stands for.

use accord_proto::observation::ChangedIn;
use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// Seconds since 1970, enough until 2106.
type Seconds = u32;

const WIDTH_NEVER: u32 = u32::MAX;
const WIDTH_UNKNOWN: u32 = u32::MAX - 1;
const WIDTH_MAX: u32 = u32::MAX - 2;

/// What a cell says of when something happened. Eight bytes, because there are millions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct When {
    after: Seconds,
    width: u32,
}

impl When {
    pub(super) const NEVER: Self = Self {
        after: 0,
        width: WIDTH_NEVER,
    };
    pub(super) const UNKNOWN: Self = Self {
        after: 0,
        width: WIDTH_UNKNOWN,
    };

    fn between(after: Timestamp, before: Timestamp) -> Option<Self> {
        let end = before.as_second() + i64::from(before.subsec_nanosecond() > 0);
        let start = after.as_second();
        let width = u32::try_from(end.checked_sub(start)?).ok()?;
        Some(Self {
            after: Seconds::try_from(start).ok()?,
            width: (width <= WIDTH_MAX).then_some(width)?,
        })
    }

    pub(super) const fn is_never(self) -> bool {
        self.width == WIDTH_NEVER
    }

    pub(super) const fn is_unknown(self) -> bool {
        self.width == WIDTH_UNKNOWN
    }

    /// The start of the interval, if it is one.
    pub(super) fn after(self) -> Option<Timestamp> {
        let known = !self.is_never() && !self.is_unknown();
        known.then(|| second(i64::from(self.after)))
    }

    /// The interval, cut at `observed_at`: what is exported has happened.
    pub(super) fn interval(self, observed_at: Timestamp) -> Option<ChangedIn> {
        let after = self.after()?;
        let before = second(i64::from(self.after) + i64::from(self.width));
        ChangedIn::new(after, before.min(observed_at))
    }
}

fn second(at: i64) -> Timestamp {
    Timestamp::from_second(at).unwrap_or(Timestamp::MAX)
}

/// How precise a format is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precision {
    Day,
    Minute,
    Second,
}

/// A format with its zone.
#[derive(Clone, Debug)]
pub(crate) struct DateFormat {
    format: String,
    pub(super) precision: Precision,
    zone: TimeZone,
}

/// Any instant, to try formats with.
const TRIAL: Timestamp = Timestamp::UNIX_EPOCH;

impl DateFormat {
    /// `None`: not a format with year, month and day, all in digits, or with hours but no minutes.
    pub(crate) fn new(format: &str, zone: &TimeZone) -> Option<Self> {
        let text = TRIAL.to_zoned(TimeZone::UTC).strftime(format).to_string();
        let parsed = BrokenDownTime::parse(format, &text).ok()?;
        parsed.to_date().ok()?;
        let precision = match (parsed.hour(), parsed.minute(), parsed.second()) {
            (None, None, None) => Precision::Day,
            (Some(_), Some(_), None) => Precision::Minute,
            (Some(_), Some(_), Some(_)) => Precision::Second,
            _ => return None,
        };
        Some(Self {
            format: format.to_owned(),
            precision,
            zone: zone.clone(),
        })
    }

    /// The interval that a text stands for: the whole day, minute or second. `None`: unreadable.
    pub(crate) fn bounds(&self, text: &str) -> Option<(Timestamp, Timestamp)> {
        let parsed = BrokenDownTime::parse(&self.format, text).ok()?;
        let date = parsed.to_date().ok()?;
        let length = match self.precision {
            Precision::Day => {
                let next = date.tomorrow().ok()?;
                return Some((self.start_of(date)?, self.start_of(next)?));
            }
            Precision::Minute => 1.minute(),
            Precision::Second => 1.second(),
        };
        let (first, last) = if parsed.offset().is_some() {
            let at = parsed.to_timestamp().ok()?;
            (at, at)
        } else {
            self.instants(parsed.to_datetime().ok()?)?
        };
        Some((first, last.checked_add(length).ok()?))
    }

    /// When a civil time was: twice where the clocks were put back.
    fn instants(&self, at: DateTime) -> Option<(Timestamp, Timestamp)> {
        let ambiguous = self.zone.to_ambiguous_timestamp(at);
        let (one, other) = (ambiguous.earlier().ok()?, ambiguous.later().ok()?);
        Some((one.min(other), one.max(other)))
    }

    fn start_of(&self, date: Date) -> Option<Timestamp> {
        let start = date.to_zoned(self.zone.clone()).ok()?;
        Some(start.timestamp())
    }

    /// What a cell says. `Err`: unreadable, before `earliest`, or after the export.
    pub(super) fn when(
        &self,
        text: &str,
        earliest: Timestamp,
        exported_at: Timestamp,
    ) -> Result<When, &'static str> {
        let (after, before) = self.bounds(text).ok_or("is no date of the format")?;
        if before <= earliest {
            return Err("lies before `earliest`; list it in `never` or `unknown` if it is one");
        }
        if after > exported_at {
            return Err("lies after the export");
        }
        When::between(after, before).ok_or("is no date of this century")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn london(format: &str) -> DateFormat {
        DateFormat::new(format, &TimeZone::get("Europe/London").unwrap()).unwrap()
    }

    fn bounds(format: &str, text: &str) -> Option<(String, String)> {
        let (after, before) = london(format).bounds(text)?;
        Some((after.to_string(), before.to_string()))
    }

    fn pair(after: &str, before: &str) -> Option<(String, String)> {
        Some((after.to_owned(), before.to_owned()))
    }

    #[test]
    fn a_date_is_the_whole_day_in_its_zone() {
        assert_eq!(
            bounds("%d-%m-%Y", "01-07-2026"),
            pair("2026-06-30T23:00:00Z", "2026-07-01T23:00:00Z")
        );
        // The day on which the clocks go back has 25 hours.
        assert_eq!(
            bounds("%Y-%m-%d", "2026-10-25"),
            pair("2026-10-24T23:00:00Z", "2026-10-26T00:00:00Z")
        );
    }

    #[test]
    fn a_time_is_its_minute_or_second() {
        assert_eq!(
            bounds("%Y-%m-%d %H:%M", "2026-11-20 10:15"),
            pair("2026-11-20T10:15:00Z", "2026-11-20T10:16:00Z")
        );
        assert_eq!(
            bounds("%Y-%m-%dT%H:%M:%S%z", "2026-11-20T10:15:30+0200"),
            pair("2026-11-20T08:15:30Z", "2026-11-20T08:15:31Z")
        );
    }

    #[test]
    fn a_time_that_was_twice_covers_both() {
        assert_eq!(
            bounds("%Y-%m-%d %H:%M:%S", "2026-10-25 01:30:00"),
            pair("2026-10-25T00:30:00Z", "2026-10-25T01:30:01Z")
        );
    }

    #[test]
    fn a_cell_of_another_format_is_unreadable() {
        for text in [
            "2026-11-20",
            "31-02-2026",
            "13-13-2026",
            "20-11-2026 10:00",
            "",
        ] {
            assert_eq!(bounds("%d-%m-%Y", text), None, "{text}");
        }
    }

    #[test]
    fn a_format_needs_a_whole_date() {
        let utc = TimeZone::UTC;
        for bad in ["%d-%m", "%H:%M", "", "%Y-%m-%d %H", "%Q"] {
            assert!(DateFormat::new(bad, &utc).is_none(), "{bad}");
        }
    }

    #[test]
    fn an_interval_is_cut_at_the_export_and_never_lies_after_it() {
        let format = london("%Y-%m-%d");
        let exported: Timestamp = "2026-11-20T02:30:00Z".parse().unwrap();
        let earliest: Timestamp = "1980-01-01T00:00:00Z".parse().unwrap();
        let today = format.when("2026-11-20", earliest, exported).unwrap();
        let interval = today.interval(exported).unwrap();
        assert_eq!(interval.before(), exported);
        assert!(format.when("2026-11-21", earliest, exported).is_err());
        assert!(format.when("1900-01-01", earliest, exported).is_err());
        assert_eq!(When::NEVER.interval(exported), None);
        assert_eq!(When::UNKNOWN.interval(exported), None);
    }
}
