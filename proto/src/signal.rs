//! The signals, and what can be asked about each.

use jiff::civil::Date;

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
            | Self::Tenure { .. } => None,
        }
    }

    /// The date asked.
    #[must_use]
    pub const fn since(&self) -> Option<Date> {
        match self {
            Self::NumberRecycling { since } | Self::Tenure { since } => Some(*since),
            Self::SimSwap { .. }
            | Self::DeviceSwap { .. }
            | Self::CallForwarding
            | Self::Roaming => None,
        }
    }
}
