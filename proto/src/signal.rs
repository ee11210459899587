//! The signals, and what can be asked about each.

use std::fmt;

use jiff::{Timestamp, civil::Date};

use crate::{named::named_enum, v1};

named_enum! {
    /// What can be asked about a number.
    pub enum Signal: v1::Signal, "signal" {
        /// The MSISDN moved to another IMSI.
        SimSwap = "sim_swap",
        /// The SIM moved to another IMEI.
        DeviceSwap = "device_swap",
        /// Calls are forwarded (3GPP TS 22.082).
        CallForwarding = "call_forwarding",
        /// Registered in a visited network.
        Roaming = "roaming",
        /// The number changed its holder since a date.
        NumberRecycling = "number_recycling",
        /// The holder has held the number since a date.
        Tenure = "tenure",
        /// An attack by signalling (GSMA FS.11) passed the operator's firewall since a moment.
        SignallingAnomaly = "signalling_anomaly",
    }
}

/// One signal with its parameters, parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// `threshold_hours` is `None` where the bank asks for the clause's most precise answer.
    SimSwap {
        /// The window in hours, 1 or more.
        threshold_hours: Option<u32>,
    },
    /// As for a SIM swap.
    DeviceSwap {
        /// The window in hours, 1 or more.
        threshold_hours: Option<u32>,
    },
    /// No parameters.
    CallForwarding,
    /// No parameters.
    Roaming,
    /// Did the holder change after this day?
    NumberRecycling {
        /// Calendar day, UTC.
        since: Date,
    },
    /// Has the holder been the same since this day?
    Tenure {
        /// Calendar day, UTC.
        since: Date,
    },
    /// Did an attack by signalling pass the operator's firewall since this moment?
    SignallingAnomaly {
        /// A whole minute, see [`whole_minute`].
        since: Timestamp,
    },
}

/// Where a question begins that names a beginning: as it stands in texts (`2024-01-31`,
/// `2026-11-21T12:00:00Z`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Since {
    /// A calendar day, UTC.
    Day(Date),
    /// A whole minute, UTC.
    Moment(Timestamp),
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(day) => day.fmt(f),
            Self::Moment(moment) => moment.fmt(f),
        }
    }
}

/// The minute in which a moment lies. Moments are asked by the minute, so that questions about two
/// of them can't be folded into an instant; rounding down makes the time that is asked about longer
/// and never shorter.
#[must_use]
pub fn whole_minute(moment: Timestamp) -> Timestamp {
    let minutes = moment.as_nanosecond().div_euclid(60 * 1_000_000_000);
    Timestamp::from_nanosecond(minutes * 60 * 1_000_000_000).unwrap_or(Timestamp::MIN)
}

impl Question {
    /// The signal asked.
    #[must_use]
    pub const fn signal(&self) -> Signal {
        match self {
            Self::SimSwap { .. } => Signal::SimSwap,
            Self::DeviceSwap { .. } => Signal::DeviceSwap,
            Self::CallForwarding => Signal::CallForwarding,
            Self::Roaming => Signal::Roaming,
            Self::NumberRecycling { .. } => Signal::NumberRecycling,
            Self::Tenure { .. } => Signal::Tenure,
            Self::SignallingAnomaly { .. } => Signal::SignallingAnomaly,
        }
    }

    /// The window asked, in hours.
    #[must_use]
    pub const fn threshold_hours(&self) -> Option<u32> {
        match self {
            Self::SimSwap { threshold_hours } | Self::DeviceSwap { threshold_hours } => {
                *threshold_hours
            }
            Self::CallForwarding
            | Self::Roaming
            | Self::NumberRecycling { .. }
            | Self::Tenure { .. }
            | Self::SignallingAnomaly { .. } => None,
        }
    }

    /// The date or the moment asked.
    #[must_use]
    pub const fn since(&self) -> Option<Since> {
        match self {
            Self::NumberRecycling { since } | Self::Tenure { since } => Some(Since::Day(*since)),
            Self::SignallingAnomaly { since } => Some(Since::Moment(*since)),
            Self::SimSwap { .. }
            | Self::DeviceSwap { .. }
            | Self::CallForwarding
            | Self::Roaming => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_rounded_down_to_its_minute() {
        for (moment, minute) in [
            ("2026-11-21T12:03:00Z", "2026-11-21T12:03:00Z"),
            ("2026-11-21T12:03:59.999999999Z", "2026-11-21T12:03:00Z"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:00Z"),
        ] {
            let at = |text: &str| text.parse::<Timestamp>().unwrap();
            assert_eq!(whole_minute(at(moment)), at(minute), "{moment}");
        }
        assert_eq!(whole_minute(Timestamp::MIN), Timestamp::MIN);
    }
}
