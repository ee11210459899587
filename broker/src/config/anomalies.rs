//! The section of the detectors.

use serde::Deserialize;

use super::bounds;

/// From when on something is unusual (rule R44). It is told then, and never refused for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnomaliesSection {
    /// One bank asks about so many of a hundred neighbouring numbers,
    pub block_numbers_min: u32,
    /// within so many seconds.
    pub block_seconds: u32,
    /// One bank asks so many times as much in ten minutes as it used to,
    pub spike_factor: u32,
    /// and at least so many questions.
    pub spike_questions_min: u32,
    /// So many banks ask about one number within a day.
    pub askers_min: u32,
    /// One bank asks so often about one number within a day.
    pub repeats_min: u32,
    /// An application asks at an hour at which it never did in so many days.
    pub learning_days: u32,
}

impl Default for AnomaliesSection {
    fn default() -> Self {
        Self {
            block_numbers_min: 80,
            block_seconds: 3_600,
            spike_factor: 5,
            spike_questions_min: 1_000,
            askers_min: 6,
            repeats_min: 30,
            learning_days: 14,
        }
    }
}

impl AnomaliesSection {
    /// The first key that is out of its bounds, and the rule.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        bounds::check([
            (
                "anomalies.block_numbers_min",
                self.block_numbers_min,
                2,
                100,
            ),
            ("anomalies.block_seconds", self.block_seconds, 60, 86_400),
            ("anomalies.spike_factor", self.spike_factor, 2, 1_000),
            (
                "anomalies.spike_questions_min",
                self.spike_questions_min,
                1,
                u32::MAX,
            ),
            ("anomalies.askers_min", self.askers_min, 2, 64),
            ("anomalies.repeats_min", self.repeats_min, 2, 1_000_000),
            ("anomalies.learning_days", self.learning_days, 1, 365),
        ])
    }
}
