//! The ledger's settings.

use std::path::PathBuf;
use std::time::Duration;

use accord_proto::c2sp::{Checkpoint, SigningKey};

use super::error::LedgerError;

/// Smallest segment: one must hold a batch with the longest entry.
pub const SEGMENT_BYTES_MIN: u64 = 256 << 10;
/// Largest segment: offsets within one have 32 bits, and start-up reads the last one whole.
pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// Where the ledger lies and within what limits it works.
#[derive(Debug)]
pub struct LedgerConfig {
    /// The directory that [`super::Ledger::init`] made.
    pub dir: PathBuf,
    /// The log's key, whose name is the prefix of every month's origin.
    pub key: SigningKey,
    /// Bytes of a segment, written with zeros beforehand.
    pub segment_bytes: u64,
    /// Most entries that wait for the sequencer; more are refused with [`LedgerError::Full`].
    pub queue_entries_max: usize,
    /// Most bytes that wait for the sequencer.
    pub queue_bytes_max: usize,
    /// The largest jump of the wall clock against the monotonic clock that is no step.
    pub clock_step_max: Duration,
    /// Below this many free bytes on the ledger's disk nothing is appended.
    pub free_bytes_min: u64,
    /// Checkpoints that witnesses have seen: a ledger that does not hold all of them does not open.
    pub witnessed: Vec<Checkpoint>,
}

impl LedgerConfig {
    /// The defaults: segments of 64 MiB, a queue of 16,384 entries and 16 MiB, a clock step of
    /// 5 s, 256 MiB free.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, key: SigningKey) -> Self {
        Self {
            dir: dir.into(),
            key,
            segment_bytes: 64 << 20,
            queue_entries_max: 16_384,
            queue_bytes_max: 16 << 20,
            clock_step_max: Duration::from_secs(5),
            free_bytes_min: 256 << 20,
            witnessed: Vec::new(),
        }
    }

    pub(super) fn check(&self) -> Result<(), LedgerError> {
        if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&self.segment_bytes) {
            return Err(LedgerError::Setting(
                "`segment_bytes` lies from 262144 to 1073741824",
            ));
        }
        if self.queue_entries_max == 0 || self.queue_bytes_max < (64 << 10) {
            return Err(LedgerError::Setting(
                "`queue_entries_max` is at least 1 and `queue_bytes_max` at least 65536",
            ));
        }
        Ok(())
    }
}
