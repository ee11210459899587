//! Changes that the source pushes, kept so that a broker can be told again.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use accord_proto::{
    clock::SharedClock,
    v1,
    wire::{self, CHANGES_MAX},
};
use prost::Message as _;
use tokio::sync::{mpsc, watch};

use super::{RuntimeError, Shared, changes_file::ChangesFile, link::stopped, pushed};
use crate::{
    journal::{Event, JournalError},
    source::SourceChange,
};

/// The most changes that are kept to be told again; the oldest go first.
const CHANGES_KEPT_MAX: usize = 262_144;

/// The batches of one adapter.
pub(super) struct ChangeLog {
    dir: PathBuf,
    /// Held while a batch is made durable. `kept` is locked for moments only, so no link waits for
    /// the disk.
    file: Mutex<ChangesFile>,
    kept: Mutex<Kept>,
    clock: SharedClock,
    /// Sequence number of the newest batch.
    newest: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    batches: VecDeque<v1::ChangeBatch>,
    changes: usize,
    next_sequence: u64,
}

impl Kept {
    fn add(&mut self, batch: v1::ChangeBatch) {
        self.next_sequence = batch.sequence + 1;
        self.changes += batch.changes.len();
        self.batches.push_back(batch);
        while self.changes > CHANGES_KEPT_MAX {
            let Some(oldest) = self.batches.pop_front() else {
                break;
            };
            self.changes -= oldest.changes.len();
        }
    }
}

impl ChangeLog {
    /// Opens the log in the journal's folder. Numbers go on from the time in milliseconds, so that
    /// none is given twice even if the file, or its end, is lost: a broker that has acknowledged a
    /// number is never told it again.
    pub(super) fn open(dir: &Path, clock: SharedClock) -> Result<Self, JournalError> {
        let (file, batches) = ChangesFile::open(dir)?;
        let now_ms = u64::try_from(clock.now().as_millisecond()).unwrap_or(1);
        let mut kept = Kept::default();
        for batch in batches {
            kept.add(batch);
        }
        kept.next_sequence = kept.next_sequence.max(now_ms).max(1);
        Ok(Self {
            dir: dir.to_owned(),
            file: Mutex::new(file),
            kept: Mutex::new(kept),
            clock,
            newest: watch::Sender::new(0),
        })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder of the log.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The sequence number of the newest batch that is kept, of those up to `sequence`.
    pub(super) fn newest_up_to(&self, sequence: u64) -> Option<u64> {
        let kept = self.kept();
        let after = kept
            .batches
            .partition_point(|batch| batch.sequence <= sequence);
        let newest = kept.batches.get(after.checked_sub(1)?)?;
        Some(newest.sequence)
    }

    /// A batch, if it is still kept.
    pub(super) fn batch(&self, sequence: u64) -> Option<v1::ChangeBatch> {
        let kept = self.kept();
        let found = kept
            .batches
            .binary_search_by_key(&sequence, |batch| batch.sequence);
        kept.batches.get(found.ok()?).cloned()
    }

    pub(super) fn follow(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Makes a batch durable and lets the links send it. It waits for the disk.
    fn add(&self, shared: &Shared, changes: Vec<v1::Change>) -> Result<(), JournalError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = self.kept().next_sequence;
        let count = changes.len();
        let batch = v1::ChangeBatch {
            sequence,
            changes,
            nonce: pushed::nonce()?,
            // Of each sending.
            journal_index: 0,
        };
        let body = batch.encode_to_vec();
        shared.journal.append(&Event::Changes {
            sequence,
            changes: count,
            batch: pushed::batch_digest(&body),
        })?;
        shared.journal.write_out()?;
        file.append(&body)?;
        self.kept().add(batch);
        if file.is_full() {
            let batches = self.kept().batches.clone();
            file.rewrite(batches.iter())?;
        }
        self.newest.send_replace(sequence);
        Ok(())
    }

    /// The wire form of a change that a broker would believe.
    fn to_wire(&self, change: &SourceChange) -> Option<v1::Change> {
        let mut observation = change.observation.as_ref().map(wire::observation);
        let signal = change.signal;
        if let Some(said) = &observation
            && let Err(error) = wire::parse_observation(said, signal, self.clock.now())
        {
            tracing::error!(%signal, %error, "the source pushed a change that nobody would believe");
            if !change.begins {
                return None;
            }
            observation = None;
        }
        Some(v1::Change {
            msisdn: change.msisdn.expose().to_owned(),
            signal: signal.to_wire() as i32,
            withdrawn: observation.is_none(),
            observation,
        })
    }
}

/// Collects what the source pushes into batches.
pub(super) async fn pump(
    shared: Arc<Shared>,
    mut changes: mpsc::Receiver<SourceChange>,
    mut stopping: watch::Receiver<bool>,
) -> Result<(), RuntimeError> {
    let mut pushed = Vec::with_capacity(CHANGES_MAX);
    loop {
        tokio::select! {
            count = changes.recv_many(&mut pushed, CHANGES_MAX) => if count == 0 {
                return Ok(());
            },
            () = stopped(&mut stopping) => return Ok(()),
        }
        let wire = pushed
            .drain(..)
            // Of whoever has opted out nothing is told; that what was told before holds no more tells
            // nothing of him.
            .filter(|change| {
                change.observation.is_none() || !shared.restrictions.opted_out(&change.msisdn)
            })
            .filter_map(|change| shared.changes.to_wire(&change))
            .collect::<Vec<_>>();
        if !wire.is_empty() {
            let adding = Arc::clone(&shared);
            tokio::task::spawn_blocking(move || adding.changes.add(&adding, wire))
                .await
                .map_err(|_| RuntimeError::Task)??;
        }
    }
}

#[cfg(test)]
pub(super) mod testing {
    use accord_proto::clock::SystemClock;

    use super::*;

    /// A log with empty batches of these numbers, in memory only.
    pub(in crate::runtime) fn log(dir: &Path, sequences: std::ops::Range<u64>) -> ChangeLog {
        let log = ChangeLog::open(dir, SystemClock::shared()).unwrap();
        add(&log, sequences);
        log
    }

    pub(in crate::runtime) fn add(log: &ChangeLog, sequences: std::ops::Range<u64>) {
        for sequence in sequences {
            log.kept().add(v1::ChangeBatch {
                sequence,
                ..v1::ChangeBatch::default()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use accord_proto::clock::ManualClock;

    use super::*;

    #[test]
    fn no_number_is_given_twice_even_if_the_newest_batches_are_lost() {
        let dir = tempfile::TempDir::new().unwrap();
        let clock = ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap());
        let next = |clock: &Arc<ManualClock>| {
            let log = ChangeLog::open(dir.path(), clock.clone()).unwrap();
            let next = log.kept().next_sequence;
            let mut file = log.file.lock().unwrap();
            let batch = v1::ChangeBatch {
                sequence: next,
                ..v1::ChangeBatch::default()
            };
            file.append(&batch.encode_to_vec()).unwrap();
            next
        };
        let first = next(&clock);
        clock.step(jiff::SignedDuration::from_secs(1));
        let second = next(&clock);
        assert!(second > first);
        // Only the first one is left.
        let path = dir.path().join("changes.bin");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        clock.step(jiff::SignedDuration::from_secs(1));
        assert!(next(&clock) > second);
        // And a clock that went back changes nothing of that.
        clock.step(jiff::SignedDuration::from_secs(-3600));
        assert!(next(&clock) > second);
    }
}
