//! What is measured of a mirror, as a table for people and as JSON for machines.

use std::fmt;

use serde::{Deserialize, Serialize};
use tokio::time::Duration;

use super::super::{Machine, figures::ratio, judge::Judge};

/// Entries of a mirror that one thread verifies in a second.
const AIM_VERIFY: f64 = 300_000.0;
/// What the verifier may hold in memory, in KiB.
const AIM_RESIDENT_KIB: u64 = 100 * 1_024;
/// A proof of inclusion, in microseconds.
const AIM_PROOF_US: f64 = 1_000.0;

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

impl MirrorFigures {
    /// The aims, each with a word.
    fn judge(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let judge = Judge(!self.only_a_trial);
        let took = Duration::from_secs_f64(self.mirror.seconds.max(1e-9));
        let verified = per_second(self.mirror.entries, took);
        let resident = self.mirror.resident_kib_max;
        let slower = self
            .prove_offline_us
            .median
            .max(self.prove_broker_us.median);
        writeln!(
            f,
            "aims: verify {AIM_VERIFY:.0} entries/s or more: {}; resident below {} MiB: {}; a proof \
             in less than {} ms (the median): {}",
            judge.met(verified >= AIM_VERIFY),
            AIM_RESIDENT_KIB / 1_024,
            judge.met(resident < AIM_RESIDENT_KIB),
            AIM_PROOF_US / 1_000.0,
            judge.met(slower < AIM_PROOF_US),
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
        )?;
        self.judge(f)
    }
}

/// So many in that time.
pub(super) fn per_second(count: u64, took: Duration) -> f64 {
    let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    ratio(count, took.as_secs_f64())
}
