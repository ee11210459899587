//! What is measured of a mirror, as a table for people and as JSON for machines.

use std::fmt;

use serde::{Deserialize, Serialize};
use tokio::time::Duration;

use super::super::{Machine, figures::ratio};

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct MirrorFigures {
    /// On what machine.
    pub machine: Machine,
    /// Why the figures say nothing about the aims.
    pub only_a_trial: bool,
    /// Entries of the log.
    pub entries: u64,
    /// Mean length of an entry.
    pub entry_bytes: u64,
    /// Entries appended a second, to make the log.
    pub appended_per_second: f64,
    /// A mirror, verified offline in a process of its own on one thread.
    pub mirror: Verifying,
    /// The ledger's own directory, the same way.
    pub ledger: Verifying,
    /// Proofs of inclusion from the mirror, verified.
    pub prove_offline_us: Proving,
    /// Proofs of inclusion by the broker's ledger, verified.
    pub prove_broker_us: Proving,
    /// Entries that a mirror caught up with, and how many a second.
    pub catch_up_entries: u64,
    /// Fetched over loopback, verified, written and synced.
    pub catch_up_per_second: f64,
}

/// What a process that verifies says of itself.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Verifying {
    /// Entries that were verified.
    pub entries: u64,
    /// How long it took.
    pub seconds: f64,
    /// The most memory that was resident, of the whole process.
    pub resident_kib_max: u64,
}

/// How long proofs took, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Proving {
    /// Half of them took no longer.
    pub median: f64,
    /// The slowest of a thousand.
    pub slowest: f64,
}

impl MirrorFigures {
    /// As JSON for machines.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

impl fmt::Display for Verifying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let took = Duration::from_secs_f64(self.seconds.max(1e-9));
        write!(
            f,
            "{:>9.0} entries/s   {:>6.1} s   {:>5.1} MiB resident at most",
            per_second(self.entries, took),
            self.seconds,
            f64::from(u32::try_from(self.resident_kib_max).unwrap_or(u32::MAX)) / 1_024.0
        )
    }
}

impl fmt::Display for Proving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>9.0} µs median   {:.0} µs at most",
            self.median, self.slowest
        )
    }
}

/// A table for people.
impl fmt::Display for MirrorFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.machine)?;
        if self.only_a_trial {
            f.write_str(
                "only a trial: not built with --release, or fewer than 1,000,000 entries\n",
            )?;
        }
        let Self {
            entries,
            entry_bytes,
            appended_per_second,
            ..
        } = self;
        writeln!(
            f,
            "a log of {entries} entries of {entry_bytes} bytes, appended at {appended_per_second:.0}/s"
        )?;
        writeln!(f, "verify the mirror, one thread   {}", self.mirror)?;
        writeln!(f, "verify the ledger, one thread   {}", self.ledger)?;
        writeln!(
            f,
            "prove an entry from the mirror  {}",
            self.prove_offline_us
        )?;
        writeln!(
            f,
            "prove an entry by the broker    {}",
            self.prove_broker_us
        )?;
        writeln!(
            f,
            "a mirror catches up             {:>9.0} entries/s   ({} entries over loopback)",
            self.catch_up_per_second, self.catch_up_entries
        )
    }
}

/// So many in that time.
pub(super) fn per_second(count: u64, took: Duration) -> f64 {
    let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    ratio(count, took.as_secs_f64())
}
