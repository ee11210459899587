//! A licence and its dates.

use std::fmt;

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::named::UnknownWord;

/// What the supervisor says of a licence now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LicenceStatus {
    /// Valid within its dates.
    Active,
    /// Not valid for now.
    Suspended,
    /// Gone.
    Withdrawn,
}

impl LicenceStatus {
    const ALL: [Self; 3] = [Self::Active, Self::Suspended, Self::Withdrawn];

    /// The word in the document.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Withdrawn => "withdrawn",
        }
    }

    pub(super) fn parse(name: &str) -> Result<Self, UnknownWord> {
        let known = Self::ALL.into_iter().find(|status| status.name() == name);
        known.ok_or_else(|| {
            UnknownWord::new(
                "licence status",
                name,
                Self::ALL.into_iter().map(Self::name),
            )
        })
    }
}

impl fmt::Display for LicenceStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A licence. Its first and last day count whole, from midnight to midnight UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Licence {
    /// Its number in the register.
    pub number: String,
    /// Who keeps that register.
    pub supervisor: String,
    /// The first day.
    pub from: Date,
    /// The first day no longer licensed; `None`: without an end.
    pub until: Option<Date>,
    /// What the supervisor says of it now.
    pub status: LicenceStatus,
}

/// Why a party may not take part now (rules R01 and R02).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotLicensed {
    /// Its last day is over.
    #[error("the licence ended on {until}")]
    Ended {
        /// The first day no longer licensed.
        until: Date,
    },
    /// Its first day has not come.
    #[error("the licence begins on {from}")]
    NotYet {
        /// The first day.
        from: Date,
    },
    /// The supervisor suspended it.
    #[error("the licence is suspended")]
    Suspended,
    /// The supervisor withdrew it.
    #[error("the licence is withdrawn")]
    Withdrawn,
}

impl Licence {
    /// Whether it is valid.
    ///
    /// # Errors
    /// [`NotLicensed`] says why not.
    pub fn in_force(&self, now: Timestamp) -> Result<(), NotLicensed> {
        match self.status {
            LicenceStatus::Active => {}
            LicenceStatus::Suspended => return Err(NotLicensed::Suspended),
            LicenceStatus::Withdrawn => return Err(NotLicensed::Withdrawn),
        }
        let today = now.to_zoned(TimeZone::UTC).date();
        if today < self.from {
            return Err(NotLicensed::NotYet { from: self.from });
        }
        match self.until {
            Some(until) if today >= until => Err(NotLicensed::Ended { until }),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn licence(status: LicenceStatus) -> Licence {
        Licence {
            number: "EMI-0001".into(),
            supervisor: "Central Bank".into(),
            from: "2026-01-01".parse().unwrap(),
            until: Some("2027-01-01".parse().unwrap()),
            status,
        }
    }

    #[test]
    fn a_licence_holds_between_its_dates_while_active() {
        let check = |status, at: &str| licence(status).in_force(at.parse().unwrap());
        let active = |at| check(LicenceStatus::Active, at);
        assert!(matches!(
            active("2025-12-31T23:59:59Z"),
            Err(NotLicensed::NotYet { .. })
        ));
        assert_eq!(active("2026-01-01T00:00:00Z"), Ok(()));
        assert_eq!(active("2026-12-31T23:59:59Z"), Ok(()));
        assert!(matches!(
            active("2027-01-01T00:00:00Z"),
            Err(NotLicensed::Ended { .. })
        ));
        let midst = "2026-06-01T00:00:00Z";
        assert_eq!(
            check(LicenceStatus::Suspended, midst),
            Err(NotLicensed::Suspended)
        );
        assert_eq!(
            check(LicenceStatus::Withdrawn, midst),
            Err(NotLicensed::Withdrawn)
        );
    }
}
