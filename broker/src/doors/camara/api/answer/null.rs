//! Which `null` a date is.

use accord_proto::{camara::Operation, signal::Signal};
use serde_json::{Value as Json, json};

/// The longest `monitoredPeriod`, days (sim-swap 2.2.0 bounds it). None in so many days is true of
/// any longer time without one too.
const MONITORED_DAYS_MAX: u32 = 999;

/// Why there is no date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Null {
    /// There never was a change, and the operator watched all along.
    Never,
    /// There was none for so many days; what was before is not known.
    Unknown { days: u32 },
    /// The clause allows no date. There was no change for so many days.
    NotPermitted { days: u32 },
}

impl Null {
    /// Every code.
    pub(super) const CODES: [&str; 3] = ["ACCORD.NEVER", "ACCORD.UNKNOWN", "ACCORD.NOT_PERMITTED"];

    const fn code(self) -> &'static str {
        let [never, unknown, not_permitted] = Self::CODES;
        match self {
            Self::Never => never,
            Self::Unknown { .. } => unknown,
            Self::NotPermitted { .. } => not_permitted,
        }
    }

    fn message(self) -> String {
        match self {
            Self::Never => {
                "there never was a change, and the operator watched all along".to_owned()
            }
            Self::Unknown { days } => format!(
                "no change in the {days} days up to when the operator last looked, less than a day \
                 ago; what was before is not known"
            ),
            Self::NotPermitted { days } => format!(
                "no change in the {days} days up to when the operator last looked, less than a day \
                 ago; the agreement allows no date"
            ),
        }
    }

    const fn days(self) -> Option<u32> {
        match self {
            Self::Never => None,
            Self::Unknown { days } | Self::NotPermitted { days } => Some(days),
        }
    }
}

/// The name of the date in an operation's answer.
pub(super) fn name(operation: Operation) -> &'static str {
    match operation.signal() == Signal::DeviceSwap {
        true => "latestDeviceChange",
        false => "latestSimChange",
    }
}

/// The body of an answer without a date.
pub(super) fn null(operation: Operation, which: Null) -> Json {
    let mut body = json!({
        name(operation): null,
        "contextCode": which.code(),
        "contextMessage": which.message(),
    });
    if let (Some(days), Some(members)) = (which.days(), body.as_object_mut()) {
        let days = days.min(MONITORED_DAYS_MAX);
        members.insert("monitoredPeriod".to_owned(), days.into());
    }
    body
}
