//! One `[[source]]`: the keys that every source has, beside those of its kind.
//!
//! ```toml
//! [[source]]
//! kind = "csv"                  # what follows below `kind` is the kind's own
//! name = "billing"              # unique; the kind, where it is left out
//! signals = ["tenure"]          # of what it knows, believe only these
//! timeout_ms = 700              # it gets so long, then the others' answer stands without it
//! in_flight_max = 256           # asks that it has at once
//! asks_per_second = 200         # its ceiling; screenings get what lookups leave of it
//! clock_error_ms = 0            # how far its instants may lie from the true ones
//! stands_for_hours = 36         # how long its word stands beside a newer source that watched less
//! every_subscriber = false      # it has all subscribers: a number it does not know is none
//! ```

use std::time::Duration;

use accord_proto::signal::Signal;
use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, de::Error as _};

use super::SourceConfig;
use crate::merge::Trust;

/// The most sources of one adapter.
pub const SOURCES_MAX: usize = 16;
/// Less than a broker waits by default, so that the others' answer leaves in time.
const TIMEOUT_MS: u64 = 700;
const IN_FLIGHT: usize = 256;
const STANDS_FOR_HOURS: u32 = 36;
const NAME_BYTES_MAX: usize = 32;
const TIMEOUT_MS_MAX: u64 = 30_000;
const IN_FLIGHT_MAX: usize = 65_536;
const ASKS_PER_SECOND_MAX: u32 = 1_000_000;
const CLOCK_ERROR_MS_MAX: u64 = 3_600_000;
const STANDS_FOR_HOURS_MAX: u32 = 24 * 31;

/// One source: what all have in common, and what its kind has.
#[derive(Clone, Debug)]
pub struct SourceSection {
    /// Its name in logs, metrics and the status page.
    pub name: String,
    /// The signals for which it is believed; `None`: all that it knows.
    pub signals: Option<Vec<Signal>>,
    /// Its ceiling; `None`: none.
    pub asks_per_second: Option<u32>,
    timeout_ms: u64,
    in_flight_max: usize,
    clock_error_ms: u64,
    stands_for_hours: u32,
    every_subscriber: bool,
    /// What kind of source, with its own keys.
    pub kind: SourceConfig,
}

/// The keys that are not the kind's.
#[derive(Deserialize)]
struct Common {
    name: Option<String>,
    signals: Option<Vec<Signal>>,
    asks_per_second: Option<u32>,
    timeout_ms: Option<u64>,
    in_flight_max: Option<usize>,
    clock_error_ms: Option<u64>,
    stands_for_hours: Option<u32>,
    every_subscriber: Option<bool>,
}

/// Their names.
const KEYS: [&str; 8] = [
    "name",
    "signals",
    "asks_per_second",
    "timeout_ms",
    "in_flight_max",
    "clock_error_ms",
    "stands_for_hours",
    "every_subscriber",
];

impl<'de> Deserialize<'de> for SourceSection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not `flatten`: beside it serde takes unknown keys of the kind for granted.
        let mut own = toml::Table::deserialize(deserializer)?;
        let mut common = toml::Table::new();
        for key in KEYS {
            if let Some(value) = own.remove(key) {
                common.insert(key.to_owned(), value);
            }
        }
        let said = |error: toml::de::Error| D::Error::custom(error.message());
        let kind = SourceConfig::deserialize(toml::Value::Table(own)).map_err(said)?;
        let common = Common::deserialize(toml::Value::Table(common)).map_err(said)?;
        let section = Self {
            name: common.name.unwrap_or_else(|| kind.name().to_owned()),
            signals: common.signals,
            asks_per_second: common.asks_per_second,
            timeout_ms: common.timeout_ms.unwrap_or(TIMEOUT_MS),
            in_flight_max: common.in_flight_max.unwrap_or(IN_FLIGHT),
            clock_error_ms: common
                .clock_error_ms
                .unwrap_or_else(|| kind.clock_error_ms()),
            stands_for_hours: common.stands_for_hours.unwrap_or(STANDS_FOR_HOURS),
            every_subscriber: common
                .every_subscriber
                .unwrap_or_else(|| kind.every_subscriber()),
            kind,
        };
        match section.broken_rule() {
            None => Ok(section),
            Some((key, rule)) => Err(D::Error::custom(format_args!("`{key}`: {rule}"))),
        }
    }
}

impl SourceSection {
    /// A section of this kind, with the defaults.
    #[must_use]
    pub fn of(kind: SourceConfig) -> Self {
        Self {
            name: kind.name().to_owned(),
            signals: None,
            asks_per_second: None,
            timeout_ms: TIMEOUT_MS,
            in_flight_max: IN_FLIGHT,
            clock_error_ms: kind.clock_error_ms(),
            stands_for_hours: STANDS_FOR_HOURS,
            every_subscriber: kind.every_subscriber(),
            kind,
        }
    }

    fn broken_rule(&self) -> Option<(&'static str, &'static str)> {
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        let rules = [
            (
                (1..=NAME_BYTES_MAX).contains(&self.name.len()) && self.name.chars().all(letters),
                "name",
                "is 1 to 32 of a-z, 0-9, `-` and `_`",
            ),
            (
                self.signals.as_ref().is_none_or(|some| !some.is_empty()),
                "signals",
                "names at least one",
            ),
            (
                self.asks_per_second
                    .is_none_or(|asks| (1..=ASKS_PER_SECOND_MAX).contains(&asks)),
                "asks_per_second",
                "lies in 1 to 1,000,000",
            ),
            (
                (1..=TIMEOUT_MS_MAX).contains(&self.timeout_ms),
                "timeout_ms",
                "lies in 1 to 30000",
            ),
            (
                (1..=IN_FLIGHT_MAX).contains(&self.in_flight_max),
                "in_flight_max",
                "lies in 1 to 65536",
            ),
            (
                self.clock_error_ms <= CLOCK_ERROR_MS_MAX,
                "clock_error_ms",
                "lies in 0 to 3,600,000",
            ),
            (
                self.stands_for_hours <= STANDS_FOR_HOURS_MAX,
                "stands_for_hours",
                "lies in 0 to 744",
            ),
        ];
        let broken = rules.into_iter().find(|(kept, ..)| !kept);
        broken.map(|(_, key, rule)| (key, rule))
    }

    /// Whether it is believed for a signal.
    #[must_use]
    pub fn believes(&self, signal: Signal) -> bool {
        self.signals
            .as_ref()
            .is_none_or(|some| some.contains(&signal))
    }

    /// How long it has for one ask.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// Asks that it has at once.
    #[must_use]
    pub const fn in_flight_max(&self) -> usize {
        self.in_flight_max
    }

    /// How far it is believed.
    #[must_use]
    pub fn trust(&self) -> Trust {
        let millis = i64::try_from(self.clock_error_ms).unwrap_or(i64::MAX);
        Trust {
            clock_error: SignedDuration::from_millis(millis),
            stands_for: SignedDuration::from_hours(i64::from(self.stands_for_hours)),
            every_subscriber: self.every_subscriber,
        }
    }
}
