//! The section of the witnesses.

use std::path::PathBuf;

use serde::Deserialize;

/// Witnesses (C2SP `tlog-witness`).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WitnessesSection {
    /// A C2SP `tlog-policy`, with a URL for each witness; without one nobody is asked.
    pub policy: Option<PathBuf>,
    /// Whom their certificates come from, where URLs are `https`.
    pub roots: Option<PathBuf>,
    /// How long each may take.
    pub deadline_ms: u32,
    /// How long a start waits for their quorum; 1 to 3,600.
    pub start_seconds_max: u32,
}

impl Default for WitnessesSection {
    fn default() -> Self {
        Self {
            policy: None,
            roots: None,
            deadline_ms: 1_000,
            start_seconds_max: 10,
        }
    }
}
