//! How far one broker has been told of the pushed changes. It outlives the links to that broker,
//! and, as a small file in the journal's folder, the adapter's process.
//!
//! The newest batch goes first, so that a swap of this minute never waits behind what a rebuilt
//! view is told again: a view keeps the newest observation, in whatever order they come. A lost or
//! older file only means that something is sent once more.

use std::{
    collections::BTreeSet,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use accord_proto::{digest::sha256, hex, v1};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::changes::ChangeLog;
use crate::disk;

/// Of the batches from before the link at most so many wait at the broker, which takes its time for
/// each: one that is made now waits for no more than these.
const OLD_IN_FLIGHT_MAX: usize = 2;
/// The most stretches of acknowledged batches that are remembered; the oldest is sent again.
const STRETCHES_MAX: usize = 64;
/// How often the file is written while acknowledgements come.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// How far one broker has been told.
#[derive(Debug)]
pub(super) struct Cursor {
    path: PathBuf,
    told: Told,
    saved: Told,
    saved_at: Option<Instant>,
    credit: u32,
    /// The newest batch that there was when the link was made.
    newest_then: u64,
    /// Sent on this link, and not acknowledged.
    in_flight: BTreeSet<u64>,
}

/// What the broker has acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Told {
    /// The view that holds it. In another one there is nothing yet.
    epoch: Option<u64>,
    /// Stretches of sequence numbers, first and last, ascending and apart.
    acknowledged: Vec<(u64, u64)>,
}

impl Told {
    /// The stretch that a sequence number lies in.
    fn stretch(&self, sequence: u64) -> Option<(u64, u64)> {
        let at = self
            .acknowledged
            .partition_point(|(_, last)| *last < sequence);
        let stretch = self.acknowledged.get(at).copied();
        stretch.filter(|(first, _)| *first <= sequence)
    }

    fn add(&mut self, mut first: u64, mut last: u64) {
        self.acknowledged.retain(|(from, to)| {
            let apart = *to < first.saturating_sub(1) || *from > last.saturating_add(1);
            if !apart {
                first = first.min(*from);
                last = last.max(*to);
            }
            apart
        });
        let at = self.acknowledged.partition_point(|(from, _)| *from < first);
        self.acknowledged.insert(at, (first, last));
        if self.acknowledged.len() > STRETCHES_MAX {
            self.acknowledged.remove(0);
        }
    }
}

impl Cursor {
    /// Takes up where the last process left off with this broker.
    pub(super) fn load(log: &ChangeLog, broker: &str) -> Self {
        let path = path(log.dir(), broker);
        let told = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(
                    file = %path.display(), %error,
                    "what the broker acknowledged can't be read; all changes are sent again"
                );
                Told::default()
            }),
            Err(error) => {
                if error.kind() != ErrorKind::NotFound {
                    tracing::warn!(
                        file = %path.display(), %error,
                        "what the broker acknowledged can't be read; all changes are sent again"
                    );
                }
                Told::default()
            }
        };
        Self {
            path,
            saved: told.clone(),
            told,
            saved_at: None,
            credit: 0,
            newest_then: 0,
            in_flight: BTreeSet::new(),
        }
    }

    /// A new link: what was not acknowledged is sent again, and all of it to a new view.
    pub(super) fn attach(&mut self, welcome: v1::AttachWelcome, log: &ChangeLog) {
        self.credit = welcome.credit;
        self.in_flight.clear();
        self.newest_then = log.newest_up_to(u64::MAX).unwrap_or(0);
        self.see(welcome.view_epoch);
    }

    fn see(&mut self, epoch: u64) {
        if self.told.epoch != Some(epoch) {
            self.told = Told {
                epoch: Some(epoch),
                acknowledged: Vec::new(),
            };
            self.in_flight.clear();
        }
    }

    /// The broker has a batch; false if none of that number was on its way.
    pub(super) fn accepted(&mut self, accepted: v1::ChangesAccepted, log: &ChangeLog) -> bool {
        self.credit = self.credit.saturating_add(1);
        self.see(accepted.view_epoch);
        // One that was sent before the view was rebuilt says nothing about the new one.
        let was_sent = self.in_flight.remove(&accepted.sequence);
        if was_sent {
            // No batch will ever have a number between two that there are.
            let before = accepted.sequence.saturating_sub(1);
            let after = log.newest_up_to(before).map_or(0, |before| before + 1);
            self.told
                .add(after.min(accepted.sequence), accepted.sequence);
        }
        was_sent
    }

    pub(super) const fn grant(&mut self, more: u32) {
        self.credit = self.credit.saturating_add(more);
    }

    /// The next batch to send, while there is credit: the newest that is neither acknowledged nor
    /// on its way.
    pub(super) fn next(&mut self, log: &ChangeLog) -> Option<v1::ChangeBatch> {
        if self.credit == 0 {
            return None;
        }
        let mut sequence = log.newest_up_to(u64::MAX)?;
        loop {
            let before = if let Some((first, _)) = self.told.stretch(sequence) {
                first.checked_sub(1)?
            } else if self.in_flight.contains(&sequence) {
                sequence.checked_sub(1)?
            } else {
                break;
            };
            sequence = log.newest_up_to(before)?;
        }
        let old_in_flight = self.in_flight.range(..=self.newest_then).count();
        if sequence <= self.newest_then && old_in_flight >= OLD_IN_FLIGHT_MAX {
            return None;
        }
        let batch = log.batch(sequence)?;
        self.credit -= 1;
        self.in_flight.insert(sequence);
        Some(batch)
    }

    /// Writes the file if acknowledgements have come, not more often than is useful.
    pub(super) fn save_soon(&mut self) {
        if self
            .saved_at
            .is_none_or(|saved| saved.elapsed() >= SAVE_EVERY)
        {
            self.save();
        }
    }

    /// Writes the file if acknowledgements have come.
    pub(super) fn save(&mut self) {
        if self.saved == self.told {
            return;
        }
        self.saved_at = Some(Instant::now());
        let saved = serde_json::to_vec(&self.told)
            .map_err(std::io::Error::from)
            .and_then(|bytes| disk::replace_soon(&self.path, &bytes));
        match saved {
            Ok(()) => self.saved = self.told.clone(),
            Err(error) => tracing::warn!(
                file = %self.path.display(), %error,
                "what the broker acknowledged can't be written down"
            ),
        }
    }
}

/// The file of a broker. Its address may hold anything, so the name is a digest of it.
fn path(dir: &Path, broker: &str) -> PathBuf {
    let hash = sha256(&[broker.as_bytes()]);
    let name = hex::encode(hash.get(..8).unwrap_or_default());
    dir.join(format!("told-{name}.json"))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::runtime::changes::testing::{add, log};

    const BROKER: &str = "https://broker.example:7444";

    fn welcome(credit: u32, view_epoch: u64) -> v1::AttachWelcome {
        v1::AttachWelcome {
            credit,
            view_epoch,
            heartbeat_ms: 1_000,
        }
    }

    fn attached(log: &ChangeLog, credit: u32, view_epoch: u64) -> Cursor {
        let mut cursor = Cursor::load(log, BROKER);
        cursor.attach(welcome(credit, view_epoch), log);
        cursor
    }

    fn sent(cursor: &mut Cursor, log: &ChangeLog) -> Vec<u64> {
        std::iter::from_fn(|| cursor.next(log))
            .map(|batch| batch.sequence)
            .collect()
    }

    fn accept(cursor: &mut Cursor, log: &ChangeLog, sequence: u64, view_epoch: u64) {
        let accepted = v1::ChangesAccepted {
            sequence,
            view_epoch,
        };
        cursor.accepted(accepted, log);
    }

    /// Everything that is sent while each batch is acknowledged at once.
    fn told(cursor: &mut Cursor, log: &ChangeLog, epoch: u64) -> Vec<u64> {
        let mut told = Vec::new();
        while let Some(batch) = cursor.next(log) {
            told.push(batch.sequence);
            accept(cursor, log, batch.sequence, epoch);
        }
        told
    }

    #[test]
    fn only_what_was_not_acknowledged_is_sent_again() {
        let dir = TempDir::new().unwrap();
        let log = log(dir.path(), 10..14);
        let mut cursor = attached(&log, 3, 1);
        assert_eq!(sent(&mut cursor, &log), [13, 12]);
        accept(&mut cursor, &log, 13, 1);
        assert_eq!(sent(&mut cursor, &log), [11]);
        cursor.attach(welcome(3, 1), &log);
        assert_eq!(told(&mut cursor, &log, 1), [12, 11, 10]);
        cursor.attach(welcome(3, 1), &log);
        assert_eq!(told(&mut cursor, &log, 1), [0; 0]);
    }

    #[test]
    fn an_adapter_that_was_started_again_sends_only_what_this_view_has_not_acknowledged() {
        let dir = TempDir::new().unwrap();
        let log = log(dir.path(), 10..14);
        let mut cursor = attached(&log, 9, 1);
        assert_eq!(told(&mut cursor, &log, 1), [13, 12, 11, 10]);
        cursor.save();
        add(&log, 20..22);
        let mut cursor = attached(&log, 9, 1);
        assert_eq!(told(&mut cursor, &log, 1), [21, 20]);
        cursor.save();
        // Another broker has heard of none of it, nor has a new view.
        let mut other = Cursor::load(&log, "https://other.example:7444");
        other.attach(welcome(9, 1), &log);
        assert_eq!(told(&mut other, &log, 1), [21, 20, 13, 12, 11, 10]);
        let mut cursor = attached(&log, 9, 2);
        assert_eq!(told(&mut cursor, &log, 2), [21, 20, 13, 12, 11, 10]);
    }

    #[test]
    fn a_file_that_a_power_cut_spoiled_only_means_that_all_is_sent_again() {
        let dir = TempDir::new().unwrap();
        let log = log(dir.path(), 10..12);
        let mut cursor = attached(&log, 9, 1);
        assert_eq!(told(&mut cursor, &log, 1), [11, 10]);
        cursor.save();
        fs::write(path(dir.path(), BROKER), [0; 20]).unwrap();
        assert_eq!(told(&mut attached(&log, 9, 1), &log, 1), [11, 10]);
    }

    #[test]
    fn a_change_of_now_waits_for_two_old_batches_at_most() {
        let dir = TempDir::new().unwrap();
        let log = log(dir.path(), 10..1_000);
        let mut cursor = attached(&log, 16, 1);
        assert_eq!(sent(&mut cursor, &log), [999, 998]);
        add(&log, 1_000..1_003);
        assert_eq!(sent(&mut cursor, &log), [1_002, 1_001, 1_000]);
        accept(&mut cursor, &log, 999, 1);
        add(&log, 1_003..1_004);
        assert_eq!(sent(&mut cursor, &log), [1_003, 997]);
    }

    #[test]
    fn a_batch_is_sent_until_it_is_acknowledged_however_often_links_break() {
        let dir = TempDir::new().unwrap();
        let log = log(dir.path(), 10..12);
        let mut cursor = attached(&log, 3, 1);
        for _ in 0..20 {
            cursor.attach(welcome(3, 1), &log);
            assert_eq!(sent(&mut cursor, &log), [11, 10]);
        }
        accept(&mut cursor, &log, 11, 1);
        cursor.attach(welcome(3, 1), &log);
        assert_eq!(sent(&mut cursor, &log), [10]);
    }

    #[test]
    fn a_view_rebuilt_during_the_link_gets_all_of_it_and_late_news_of_the_old_one_counts_for_none()
    {
        let dir = TempDir::new().unwrap();
        let log = log(dir.path(), 10..12);
        let mut cursor = attached(&log, 3, 1);
        assert_eq!(sent(&mut cursor, &log), [11, 10]);
        accept(&mut cursor, &log, 11, 2);
        cursor.attach(welcome(3, 2), &log);
        assert_eq!(sent(&mut cursor, &log), [11, 10]);
    }

    #[test]
    fn stretches_grow_together_and_are_bounded() {
        let mut told = Told::default();
        for sequence in [5, 9, 7, 6, 8] {
            told.add(sequence, sequence);
        }
        assert_eq!(told.acknowledged, [(5, 9)]);
        for sequence in 0..1_000 {
            told.add(20 + 2 * sequence, 20 + 2 * sequence);
        }
        assert_eq!(told.acknowledged.len(), STRETCHES_MAX);
        assert_eq!(told.stretch(2_018), Some((2_018, 2_018)));
        assert_eq!(told.stretch(2_017), None);
    }
}
