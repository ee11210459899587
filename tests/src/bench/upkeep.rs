//! What checkpoints and tiles cost of (b): processor time of the broker, question by question.
//!
//! The broker can not do without either, so there is no broker without them to run beside it, and two
//! runs differ by more than what is looked for. Metered is therefore the processor time of the
//! ledger's second thread, which writes tiles, prepares segments and publishes; and what the first one
//! does for checkpoints is measured by itself on the same machine, in processor time as well: a
//! signature and a note for each batch, and each entry hashed into the tree twice.

use std::{fs, hint::black_box, path::Path};

use accord_proto::{
    c2sp::{Checkpoint, SigningKey},
    merkle::{Frontier, leaf_hash},
};
use serde::Serialize;

use super::{BenchError, child::cpu_us, figures::ratio, rig::Rig};

/// The name of the ledger's second thread, as the system cuts it off.
const KEEPER: &str = "ledger-keeper";
/// How often signing and hashing are done: some tenths of a second of each, since the system counts
/// a thread's time in steps of some milliseconds.
const SIGNED: u32 = 20_000;
const HASHES: u32 = 400_000;
/// Length of an entry of (b), about.
const ENTRY_BYTES: usize = 300;
/// Each entry is hashed before it is written, and once more after.
const HASHED: f64 = 2.0;

/// What upkeep costs for each question, in microseconds of processor time.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Upkeep {
    /// All that the broker used.
    pub broker_us: f64,
    /// Signed checkpoints.
    pub signing_us: f64,
    /// Leaf hashes and the tree's edge.
    pub hashing_us: f64,
    /// Tiles, the next segment, the published checkpoint.
    pub keeper_us: f64,
    /// Questions for each signed checkpoint.
    pub batch: f64,
}

impl Upkeep {
    /// All of the upkeep.
    #[must_use]
    pub fn us(&self) -> f64 {
        self.signing_us + self.hashing_us + self.keeper_us
    }

    /// Its share of what the broker used.
    #[must_use]
    pub fn share(&self) -> f64 {
        ratio(self.us(), self.broker_us)
    }
}

/// A reading of the broker.
#[derive(Clone, Copy, Debug, Default)]
struct Reading {
    broker_us: u64,
    keeper_us: u64,
    batches: u64,
    entries: u64,
}

/// Adds up the rounds.
#[derive(Debug, Default)]
pub(super) struct Meter {
    before: Reading,
    all: Reading,
}

impl Meter {
    pub(super) async fn begin(&mut self, rig: &Rig) -> Result<(), BenchError> {
        self.before = Reading::take(rig).await?;
        Ok(())
    }

    pub(super) async fn end(&mut self, rig: &Rig) -> Result<(), BenchError> {
        let (now, before, all) = (Reading::take(rig).await?, self.before, &mut self.all);
        all.broker_us += now.broker_us.saturating_sub(before.broker_us);
        all.keeper_us += now.keeper_us.saturating_sub(before.keeper_us);
        all.batches += now.batches.saturating_sub(before.batches);
        all.entries += now.entries.saturating_sub(before.entries);
        Ok(())
    }

    pub(super) fn upkeep(&self) -> Result<Upkeep, BenchError> {
        let count = |number: u64| u32::try_from(number).map_or(f64::MAX, f64::from);
        let entries = count(self.all.entries);
        let batches = count(self.all.batches);
        Ok(Upkeep {
            broker_us: ratio(count(self.all.broker_us), entries),
            signing_us: ratio(signing_us()? * batches, entries),
            hashing_us: hashing_us() * HASHED,
            keeper_us: ratio(count(self.all.keeper_us), entries),
            batch: ratio(entries, batches),
        })
    }
}

impl Reading {
    async fn take(rig: &Rig) -> Result<Self, BenchError> {
        let pid = rig.broker_pid().unwrap_or(0);
        Ok(Self {
            broker_us: cpu_us(pid),
            keeper_us: thread_us(pid, KEEPER),
            batches: rig.metric("accord_ledger_batches").await?,
            entries: rig.metric("accord_ledger_entries").await?,
        })
    }
}

/// Processor time of a process's threads of one name.
fn thread_us(pid: u32, name: &str) -> u64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return 0;
    };
    let of_name = tasks.flatten().filter(|task| {
        let comm = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        comm.trim_end() == name
    });
    let nanoseconds = of_name.filter_map(|task| on_processor_ns(&task.path()));
    nanoseconds.sum::<u64>() / 1_000
}

/// One checkpoint, from the root to the text of its note.
fn signing_us() -> Result<f64, BenchError> {
    let key = SigningKey::generate("accord-bench/2026-11")?;
    let begun = own_us();
    for size in 1..=SIGNED {
        let checkpoint = Checkpoint {
            origin: "accord-bench/2026-11".to_owned(),
            size: u64::from(size),
            root: [0x55; 32],
        };
        let note = checkpoint.sign(&key).map(|note| note.to_string());
        drop(black_box(note));
    }
    Ok(used_since(begun, SIGNED))
}

/// One entry, from its bytes to the tree's edge.
fn hashing_us() -> f64 {
    let (entry, mut tree) = ([0x55; ENTRY_BYTES], Frontier::new());
    let begun = own_us();
    for _ in 0..HASHES {
        tree.append(leaf_hash(black_box(&entry)));
    }
    black_box(tree.root());
    used_since(begun, HASHES)
}

/// Processor time of this thread, in microseconds. A clock would count, on a busy machine, what
/// others did meanwhile, and the broker's own share is processor time too.
fn own_us() -> u64 {
    on_processor_ns(Path::new("/proc/thread-self")).unwrap_or(0) / 1_000
}

/// Processor time for each of so many, in microseconds.
fn used_since(begun_us: u64, times: u32) -> f64 {
    let used = own_us().saturating_sub(begun_us);
    ratio(
        u32::try_from(used).map_or(f64::MAX, f64::from),
        f64::from(times),
    )
}

/// Time on a processor of a task of `/proc`.
fn on_processor_ns(task: &Path) -> Option<u64> {
    // Time on a processor, time waited for one, how often.
    let text = fs::read_to_string(task.join("schedstat")).ok()?;
    text.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_signing_and_hashing_cost_is_counted_by_the_system() {
        let (signing, hashing) = (signing_us().unwrap(), hashing_us());
        assert!(signing > 0.0 && hashing > 0.0, "{signing} {hashing}");
    }
}
