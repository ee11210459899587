//! Changes that the source pushes, kept so that a broker can be told again.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use accord_proto::{clock::SharedClock, v1, wire};
use aws_lc_rs::digest::{SHA256, digest};
use prost::Message as _;
use tokio::sync::{mpsc, watch};

use super::{RuntimeError, Shared, changes_file::ChangesFile, link::stopped};
use crate::{
    journal::{Event, Hex, JournalError},
    source::SourceChange,
};

/// The most changes in one batch.
const BATCH_MAX: usize = 256;
/// The most changes that are kept to be told again; the oldest go first.
const CHANGES_KEPT_MAX: usize = 262_144;
/// A batch on which so many links in a row broke is skipped: the broker does not believe it.
const BREAKS_MAX: u32 = 5;

/// The batches of one adapter.
pub(super) struct ChangeLog {
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
    /// Opens the log in the journal's folder. The first sequence number ever is the time in
    /// milliseconds, so that numbers go on rising even if the file is lost.
    pub(super) fn open(dir: &Path, clock: SharedClock) -> Result<Self, JournalError> {
        let (file, batches) = ChangesFile::open(dir)?;
        let now_ms = u64::try_from(clock.now().as_millisecond()).unwrap_or(1);
        let mut kept = Kept {
            next_sequence: now_ms.max(1),
            ..Kept::default()
        };
        for batch in batches {
            kept.add(batch);
        }
        Ok(Self {
            file: Mutex::new(file),
            kept: Mutex::new(kept),
            clock,
            newest: watch::Sender::new(0),
        })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first batch that is kept at or after a sequence number.
    fn at_or_after(&self, sequence: u64) -> Option<v1::ChangeBatch> {
        let kept = self.kept();
        let at = kept
            .batches
            .partition_point(|batch| batch.sequence < sequence);
        kept.batches.get(at).cloned()
    }

    pub(super) fn follow(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Makes a batch durable and lets the links send it. It waits for the disk.
    fn add(&self, shared: &Shared, changes: Vec<v1::Change>) -> Result<(), JournalError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = self.kept().next_sequence;
        let count = changes.len();
        let batch = v1::ChangeBatch { sequence, changes };
        let body = batch.encode_to_vec();
        let mut hash = [0; 32];
        for (to, from) in hash.iter_mut().zip(digest(&SHA256, &body).as_ref()) {
            *to = *from;
        }
        shared.journal.append(&Event::Changes {
            sequence,
            changes: count,
            batch: Hex(hash),
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
        let observation = wire::observation(&change.observation);
        let signal = change.signal;
        if let Err(error) = wire::parse_observation(&observation, signal, self.clock.now()) {
            tracing::error!(%signal, %error, "the source pushed a change that nobody would believe");
            return None;
        }
        Some(v1::Change {
            msisdn: change.msisdn.expose().to_owned(),
            signal: signal.to_wire() as i32,
            observation: Some(observation),
        })
    }
}

/// Collects what the source pushes into batches.
pub(super) async fn pump(
    shared: Arc<Shared>,
    mut changes: mpsc::Receiver<SourceChange>,
    mut stopping: watch::Receiver<bool>,
) -> Result<(), RuntimeError> {
    let mut pushed = Vec::with_capacity(BATCH_MAX);
    loop {
        tokio::select! {
            count = changes.recv_many(&mut pushed, BATCH_MAX) => if count == 0 {
                return Ok(());
            },
            () = stopped(&mut stopping) => return Ok(()),
        }
        let wire = pushed
            .drain(..)
            .filter(|change| !shared.restrictions.opted_out(&change.msisdn))
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

/// How far one broker has been told. It outlives its links.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    epoch: Option<u64>,
    acknowledged: u64,
    next: u64,
    credit: u32,
    /// The first batch that was sent and not acknowledged when a link broke, and how often.
    broke_on: (u64, u32),
}

impl Cursor {
    /// A new link: what was not acknowledged is sent again, and all of it to a new view.
    pub(super) fn attach(&mut self, welcome: v1::AttachWelcome, log: &ChangeLog) {
        self.credit = welcome.credit;
        self.skip_disbelieved(log);
        self.next = self.acknowledged + 1;
        self.see(welcome.view_epoch);
    }

    /// A broker breaks the link over a batch that it does not believe. Sent again and again, it
    /// would keep the adapter from ever answering.
    fn skip_disbelieved(&mut self, log: &ChangeLog) {
        let first = log
            .at_or_after(self.acknowledged + 1)
            .map(|batch| batch.sequence)
            .filter(|sequence| *sequence < self.next);
        let Some(first) = first else {
            self.broke_on = (0, 0);
            return;
        };
        let (on, breaks) = self.broke_on;
        self.broke_on = (first, if on == first { breaks + 1 } else { 1 });
        if self.broke_on.1 >= BREAKS_MAX {
            tracing::error!(
                sequence = first,
                "a batch of changes is skipped: links break on it"
            );
            self.acknowledged = first;
        }
    }

    fn see(&mut self, epoch: u64) {
        if self.epoch.replace(epoch) != Some(epoch) {
            self.acknowledged = 0;
            self.next = 0;
        }
    }

    pub(super) fn accepted(&mut self, accepted: v1::ChangesAccepted) {
        self.credit = self.credit.saturating_add(1);
        self.see(accepted.view_epoch);
        // Batches are sent and acknowledged in order; one that was sent before the view was
        // rebuilt says nothing about the new one.
        if accepted.sequence < self.next {
            self.acknowledged = accepted.sequence;
        }
    }

    pub(super) const fn grant(&mut self, more: u32) {
        self.credit = self.credit.saturating_add(more);
    }

    /// The next batch to send, while there is credit.
    pub(super) fn next(&mut self, log: &ChangeLog) -> Option<v1::ChangeBatch> {
        if self.credit == 0 {
            return None;
        }
        let batch = log.at_or_after(self.next)?;
        self.credit -= 1;
        self.next = batch.sequence + 1;
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use accord_proto::clock::SystemClock;
    use tempfile::TempDir;

    use super::*;

    fn log(dir: &TempDir, sequences: std::ops::Range<u64>) -> ChangeLog {
        let log = ChangeLog::open(dir.path(), SystemClock::shared()).unwrap();
        for sequence in sequences {
            log.kept().add(v1::ChangeBatch {
                sequence,
                changes: Vec::new(),
            });
        }
        log
    }

    fn welcome(credit: u32, view_epoch: u64) -> v1::AttachWelcome {
        v1::AttachWelcome {
            credit,
            view_epoch,
            heartbeat_ms: 1_000,
        }
    }

    fn sent(cursor: &mut Cursor, log: &ChangeLog) -> Vec<u64> {
        std::iter::from_fn(|| cursor.next(log))
            .map(|batch| batch.sequence)
            .collect()
    }

    fn accept(cursor: &mut Cursor, sequence: u64, view_epoch: u64) {
        cursor.accepted(v1::ChangesAccepted {
            sequence,
            view_epoch,
        });
    }

    #[test]
    fn only_what_was_not_acknowledged_is_sent_again() {
        let dir = TempDir::new().unwrap();
        let log = log(&dir, 10..14);
        let mut cursor = Cursor::default();
        cursor.attach(welcome(3, 1), &log);
        assert_eq!(sent(&mut cursor, &log), [10, 11, 12]);
        accept(&mut cursor, 10, 1);
        accept(&mut cursor, 11, 1);
        assert_eq!(sent(&mut cursor, &log), [13]);
        cursor.attach(welcome(3, 1), &log);
        assert_eq!(sent(&mut cursor, &log), [12, 13]);
    }

    #[test]
    fn a_view_rebuilt_during_the_link_gets_all_of_it_and_late_news_of_the_old_one_counts_for_none()
    {
        let dir = TempDir::new().unwrap();
        let log = log(&dir, 10..13);
        let mut cursor = Cursor::default();
        cursor.attach(welcome(3, 1), &log);
        assert_eq!(sent(&mut cursor, &log), [10, 11, 12]);
        accept(&mut cursor, 12, 2);
        cursor.attach(welcome(3, 2), &log);
        assert_eq!(sent(&mut cursor, &log), [10, 11, 12]);
    }

    #[test]
    fn a_batch_on_which_links_break_is_skipped_at_last() {
        let dir = TempDir::new().unwrap();
        let log = log(&dir, 10..12);
        let mut cursor = Cursor::default();
        for _ in 0..BREAKS_MAX {
            cursor.attach(welcome(3, 1), &log);
            assert_eq!(sent(&mut cursor, &log), [10, 11]);
        }
        cursor.attach(welcome(3, 1), &log);
        assert_eq!(sent(&mut cursor, &log), [11]);
    }
}
