//! Words of the filters: times, outcomes and kinds, each with what it may be in its error.

use std::str::FromStr;

use accord_proto::{
    entry::{KINDS, OUTCOMES},
    reason::Reason,
};
use jiff::{
    Timestamp,
    civil::{Date, date},
    tz::TimeZone,
};

/// A word that is none of those that are known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} `{found}`; it is one of {known}")]
pub(crate) struct Unknown {
    what: &'static str,
    found: String,
    known: String,
}

fn known<'a>(
    what: &'static str,
    found: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Result<String, Unknown> {
    if known.clone().any(|word| word == found) {
        return Ok(found.to_owned());
    }
    Err(Unknown {
        what,
        found: found.chars().take(40).collect(),
        known: known.collect::<Vec<_>>().join(", "),
    })
}

/// A kind of entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kind(pub(crate) String);

impl FromStr for Kind {
    type Err = Unknown;

    fn from_str(word: &str) -> Result<Self, Unknown> {
        known("kind", word, KINDS.into_iter()).map(Self)
    }
}

/// What came of a question: an outcome, or a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome(pub(super) String);

impl FromStr for Outcome {
    type Err = Unknown;

    fn from_str(word: &str) -> Result<Self, Unknown> {
        let reasons = Reason::ALL.iter().map(|reason| reason.name());
        known("outcome", word, OUTCOMES.into_iter().chain(reasons)).map(Self)
    }
}

/// A point in time: an instant, or the first moment of a day or month, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment(pub(super) Timestamp);

/// Text that is no point in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a time is an instant such as 2026-11-26T20:00:00Z, or a day or month of UTC such as \
         2026-11-26 or 2026-11, which stands for its first moment"
)]
pub(super) struct NoMoment;

impl FromStr for Moment {
    type Err = NoMoment;

    fn from_str(text: &str) -> Result<Self, NoMoment> {
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self(at));
        }
        if text.len() == "2026-11-26".len()
            && let Ok(day) = text.parse::<Date>()
        {
            return first_moment(day).map(Self);
        }
        text.parse::<Month>().map(|month| Self(month.from))
    }
}

/// A calendar month, UTC: from its first moment until that of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Month {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

impl FromStr for Month {
    type Err = NoMoment;

    fn from_str(text: &str) -> Result<Self, NoMoment> {
        let (year, month) = text.split_once('-').ok_or(NoMoment)?;
        if (year.len(), month.len()) != (4, 2) {
            return Err(NoMoment);
        }
        let number = |text: &str| {
            text.parse()
                .ok()
                .filter(|number| *number > 0)
                .ok_or(NoMoment)
        };
        let (year, month): (i16, i16) = (number(year)?, number(month)?);
        let month = i8::try_from(month)
            .ok()
            .filter(|month| *month <= 12)
            .ok_or(NoMoment)?;
        let next = match month {
            12 => date(
                year.checked_add(1)
                    .filter(|year| *year <= 9999)
                    .ok_or(NoMoment)?,
                1,
                1,
            ),
            _ => date(year, month + 1, 1),
        };
        Ok(Self {
            from: first_moment(date(year, month, 1))?,
            until: first_moment(next)?,
        })
    }
}

fn first_moment(day: Date) -> Result<Timestamp, NoMoment> {
    let zoned = day.to_zoned(TimeZone::UTC).map_err(|_| NoMoment)?;
    Ok(zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_instants_days_or_months() {
        for (text, at) in [
            ("2026-11-26T20:00:00Z", "2026-11-26T20:00:00Z"),
            ("2026-11-26T20:00:00+02:00", "2026-11-26T18:00:00Z"),
            ("2026-11-26", "2026-11-26T00:00:00Z"),
            ("2026-11", "2026-11-01T00:00:00Z"),
        ] {
            let expected: Timestamp = at.parse().unwrap();
            assert_eq!(text.parse(), Ok(Moment(expected)), "{text}");
        }
        for text in [
            "",
            "yesterday",
            "2026",
            "2026-13",
            "2026-00",
            "2026-11-31",
            "26-11",
            "-026-11",
        ] {
            assert_eq!(text.parse::<Moment>(), Err(NoMoment), "{text}");
        }
    }

    #[test]
    fn a_month_ends_where_the_next_begins() {
        let month: Month = "2026-12".parse().unwrap();
        assert_eq!(month.until.to_string(), "2027-01-01T00:00:00Z");
        assert!("9999-12".parse::<Month>().is_err());
    }

    #[test]
    fn unknown_words_name_those_that_are_known() {
        let error = "acess".parse::<Kind>().unwrap_err().to_string();
        assert!(
            error.contains("`acess`") && error.contains("access, refused_call"),
            "{error}"
        );
        let error = "fine".parse::<Outcome>().unwrap_err().to_string();
        assert!(
            error.contains("partly_answered") && error.contains("quota"),
            "{error}"
        );
        assert!("quota".parse::<Outcome>().is_ok());
    }
}
