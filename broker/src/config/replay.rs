//! The section of the answers that are kept for repeats.

use std::path::PathBuf;

use serde::Deserialize;

/// Answers kept for repeats.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplaySection {
    /// Its directory, emptied at each start.
    pub dir: PathBuf,
    /// Beyond this the oldest are forgotten early; 1 to 1,048,576.
    #[serde(default = "mib_max")]
    pub mib_max: u32,
}

pub(super) const fn mib_max() -> u32 {
    2_048
}
