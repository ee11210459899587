//! How precisely a signal may be answered (rule R11: the coarsest that suffices).

use crate::{named::named_enum, signal::Signal};

/// Stands in for a wire enum: granularities travel as words only.
#[derive(Clone, Copy, Debug)]
#[repr(i32)]
#[doc(hidden)]
pub enum WireGranularity {
    YesNo = 1,
    Band = 2,
    Instant = 3,
    State = 4,
}

named_enum! {
    /// Granularities, coarsest first within those of one signal.
    pub enum Granularity: WireGranularity, "granularity" {
        /// Yes or no to a threshold, a date or a condition.
        YesNo = "yes_no",
        /// The band, or the lowest and highest band, of the age of a change.
        Band = "band",
        /// The interval that holds the change; a narrow one is an instant.
        Instant = "instant",
        /// The whole state: which forwardings are active; where the subscriber roams.
        State = "state",
    }
}

impl Granularity {
    /// Whether a signal can be answered at this granularity at all.
    #[must_use]
    pub const fn suits(self, signal: Signal) -> bool {
        match signal {
            Signal::SimSwap | Signal::DeviceSwap | Signal::Tenure => {
                matches!(self, Self::YesNo | Self::Band | Self::Instant)
            }
            Signal::CallForwarding | Signal::Roaming => matches!(self, Self::YesNo | Self::State),
            Signal::NumberRecycling | Signal::SignallingAnomaly => matches!(self, Self::YesNo),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_signal_has_yes_no() {
        for signal in Signal::ALL {
            assert!(Granularity::YesNo.suits(*signal), "{signal}");
        }
    }

    #[test]
    fn a_state_has_no_age_and_an_age_no_state() {
        assert!(!Granularity::Band.suits(Signal::Roaming));
        assert!(!Granularity::State.suits(Signal::SimSwap));
        assert!(!Granularity::Instant.suits(Signal::NumberRecycling));
    }
}
