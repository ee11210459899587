//! The section of the source, checked.

use std::path::PathBuf;

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};

use crate::{
    csv_export::{NumberConfig, dates::DateFormat},
    file_drop::{FilesConfigError, Role, SftpConfig, Wanted},
};

/// Lists, and how to read them. Unknown keys are refused.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListConfig {
    /// Where the lists come.
    pub directory: PathBuf,
    /// A pattern with year and month, and a day unless a list covers a month: `mnrl-%Y-%m.csv`.
    pub file_name: String,
    /// IANA name of the zone of months and days.
    pub time_zone: String,
    /// Which time a list is about.
    pub covers: Covers,
    /// How numbers are written.
    pub number: NumberConfig,
    /// The columns; others are not read.
    pub columns: ListColumns,
    /// How to know that a list is whole.
    pub complete: ListComplete,
    /// One ASCII character.
    #[serde(default = "default_delimiter")]
    pub delimiter: char,
    /// The most rows of all lists together.
    #[serde(default = "default_rows_max")]
    pub rows_max: u64,
    /// The most lists.
    #[serde(default = "default_lists_max")]
    pub lists_max: u32,
    /// How often to look for a new one.
    #[serde(default = "default_reload_ms")]
    pub reload_ms: u32,
    /// A server from which lists come into the directory.
    pub sftp: Option<SftpConfig>,
}

/// Which time a list is about.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "by")]
pub enum Covers {
    /// The month in its name.
    Month,
    /// So many days before the day in its name begins.
    Days {
        /// How many.
        days: u32,
    },
    /// All that was ever reported, from a day on (`2021-01-27`) until the day in its name begins. The
    /// newest list alone counts, and holds all of those before.
    Everything {
        /// When the data began.
        since: String,
    },
}

/// How to know that a list is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListComplete {
    /// By a file `<name>.sha256` beside it, as `sha256sum` writes it.
    Sha256File,
    /// The last line ends with a newline: a list that was cut between two lines passes.
    FinalNewline,
}

/// The columns.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListColumns {
    /// The number.
    pub number: String,
    /// The last permanent disconnect. Without it, some time that the list covers.
    pub disconnected_at: Option<ListDate>,
}

/// A column of dates.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListDate {
    /// Its name in the header.
    pub name: String,
    /// `%Y-%m-%d` and the like (strptime).
    pub format: String,
}

impl ListConfig {
    /// The paths of the section, to be resolved.
    pub(crate) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let sftp = self.sftp.iter_mut().flat_map(SftpConfig::paths);
        std::iter::once(&mut self.directory).chain(sftp)
    }
}

/// The configuration, ready for reading.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) config: ListConfig,
    pub(super) delimiter: u8,
    pub(super) date: Option<DateFormat>,
    named: DateFormat,
    zone: TimeZone,
    /// When the data began, where lists cover everything.
    began: Option<Timestamp>,
}

impl Plan {
    pub(super) fn new(config: ListConfig) -> Result<Self, FilesConfigError> {
        let broken = |key, rule| FilesConfigError::Rule { key, rule };
        let zone = TimeZone::get(&config.time_zone)
            .map_err(|_| broken("time_zone", "is no IANA time zone"))?;
        let delimiter = u8::try_from(config.delimiter)
            .ok()
            .filter(|byte| byte.is_ascii() && !b"\"\r\n\0".contains(byte))
            .ok_or_else(|| broken("delimiter", "is one ASCII character, and no quote"))?;
        let pattern = match config.covers {
            Covers::Month => format!("{} %d", config.file_name),
            Covers::Days { .. } | Covers::Everything { .. } => config.file_name.clone(),
        };
        let named = DateFormat::new(&pattern, &zone)
            .filter(|_| config.file_name.contains('%') && !config.file_name.contains('/'))
            .ok_or_else(|| {
                broken(
                    "file_name",
                    "has year and month, and a day unless `covers` is a month",
                )
            })?;
        let day = DateFormat::new("%Y-%m-%d", &zone);
        let began = match &config.covers {
            Covers::Everything { since } => {
                let bounds = day.and_then(|day| day.bounds(since));
                let (start, _) =
                    bounds.ok_or_else(|| broken("covers.since", "is written `2021-01-27`"))?;
                Some(start)
            }
            Covers::Days { days } if !(1..=366).contains(days) => {
                return Err(broken("covers.days", "1 to 366"));
            }
            Covers::Days { .. } | Covers::Month => None,
        };
        let date = match &config.columns.disconnected_at {
            None => None,
            Some(column) => {
                let format = DateFormat::new(&column.format, &zone);
                let key = "columns.disconnected_at";
                Some(format.ok_or_else(|| broken(key, "`format` needs year, month and day"))?)
            }
        };
        if began.is_some() && date.is_none() {
            let rule = "is needed where a list covers everything";
            return Err(broken("columns.disconnected_at", rule));
        }
        if !(1..=500_000_000).contains(&config.rows_max) {
            return Err(broken("rows_max", "1 to 500000000"));
        }
        if !(1..=1_000).contains(&config.lists_max) {
            return Err(broken("lists_max", "1 to 1000"));
        }
        if !(10..=86_400_000).contains(&config.reload_ms) {
            return Err(broken("reload_ms", "10 to 86400000"));
        }
        Ok(Self {
            delimiter,
            date,
            named,
            zone,
            began,
            config,
        })
    }

    /// Which time a list of that name covers; `None`: it is none.
    pub(super) fn covered(&self, name: &str) -> Option<(Timestamp, Timestamp)> {
        covered(
            &self.named,
            &self.zone,
            &self.config.covers,
            self.began,
            name,
        )
    }

    /// Which names of a server are wanted.
    pub(super) fn wanted(&self) -> Wanted {
        let (named, covers) = (self.named.clone(), self.config.covers.clone());
        let (zone, began, complete) = (self.zone.clone(), self.began, self.config.complete);
        Box::new(move |name| {
            let about = name.strip_suffix(".sha256");
            let about = about.filter(|_| complete == ListComplete::Sha256File);
            let (_, until) = covered(&named, &zone, &covers, began, about.unwrap_or(name))?;
            Some(about.map_or(Role::Content(until), |_| Role::About))
        })
    }
}

fn covered(
    named: &DateFormat,
    zone: &TimeZone,
    covers: &Covers,
    began: Option<Timestamp>,
    name: &str,
) -> Option<(Timestamp, Timestamp)> {
    match covers {
        Covers::Month => {
            let (start, _) = named.bounds(&format!("{name} 01"))?;
            // The month's last day is the last that is one.
            let days = (28..=31).rev();
            let (_, end) = days
                .map(|day| named.bounds(&format!("{name} {day}")))
                .find_map(|bounds| bounds)?;
            Some((start, end))
        }
        Covers::Days { days } => {
            let (end, _) = named.bounds(name)?;
            // In the zone's own days, of which some have 23 or 25 hours.
            let start = end
                .to_zoned(zone.clone())
                .checked_sub(i64::from(*days).days());
            Some((start.ok()?.timestamp(), end))
        }
        Covers::Everything { .. } => {
            let (end, _) = named.bounds(name)?;
            began.filter(|began| *began < end).map(|began| (began, end))
        }
    }
}

const fn default_delimiter() -> char {
    ','
}

const fn default_rows_max() -> u64 {
    100_000_000
}

const fn default_lists_max() -> u32 {
    240
}

const fn default_reload_ms() -> u32 {
    60_000
}
