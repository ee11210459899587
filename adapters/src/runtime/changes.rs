//! Changes that the source pushes, kept so that a broker can be told again.
//!
//! They are kept in memory: after a restart the source is the one to say them again.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use accord_proto::{v1, wire};
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use prost::Message as _;
use tokio::sync::{mpsc, watch};

use super::{RuntimeError, Shared, link::stopped};
use crate::{
    journal::{Event, Hex},
    source::SourceChange,
};

/// The most changes in one batch.
const BATCH_MAX: usize = 256;
/// The most changes that are kept to be told again; the oldest go first.
const CHANGES_KEPT_MAX: usize = 262_144;

/// The batches of one adapter.
pub(super) struct ChangeLog {
    kept: Mutex<Kept>,
    /// Sequence number of the newest batch.
    newest: watch::Sender<u64>,
}

struct Kept {
    batches: VecDeque<v1::ChangeBatch>,
    changes: usize,
    next_sequence: u64,
}

impl ChangeLog {
    /// Sequence numbers begin at the milliseconds of the start, so that they go on rising when the
    /// adapter is started again.
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            kept: Mutex::new(Kept {
                batches: VecDeque::new(),
                changes: 0,
                next_sequence: u64::try_from(now.as_millisecond()).unwrap_or(1).max(1),
            }),
            newest: watch::Sender::new(0),
        }
    }

    /// The first batch that is kept at or after a sequence number.
    fn at_or_after(&self, sequence: u64) -> Option<v1::ChangeBatch> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept
            .batches
            .partition_point(|batch| batch.sequence < sequence);
        kept.batches.get(at).cloned()
    }

    pub(super) fn follow(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    fn add(&self, shared: &Shared, changes: Vec<v1::Change>) -> Result<(), RuntimeError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = kept.next_sequence;
        kept.next_sequence += 1;
        let count = changes.len();
        let batch = v1::ChangeBatch { sequence, changes };
        let mut hash = [0; 32];
        let digest = digest(&SHA256, &batch.encode_to_vec());
        for (to, from) in hash.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        shared.journal.append(&Event::Changes {
            sequence,
            changes: count,
            batch: Hex(hash),
        })?;
        shared.journal.write_out()?;
        kept.batches.push_back(batch);
        kept.changes += count;
        while kept.changes > CHANGES_KEPT_MAX {
            let Some(oldest) = kept.batches.pop_front() else {
                break;
            };
            kept.changes -= oldest.changes.len();
        }
        self.newest.send_replace(sequence);
        Ok(())
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
            .map(|change| v1::Change {
                msisdn: change.msisdn.expose().to_owned(),
                signal: change.signal.to_wire() as i32,
                observation: Some(wire::observation(&change.observation)),
            })
            .collect::<Vec<_>>();
        if !wire.is_empty() {
            shared.changes.add(&shared, wire)?;
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
}

impl Cursor {
    /// A new link: what was not acknowledged is sent again, and all of it to a new view.
    pub(super) fn attach(&mut self, welcome: v1::AttachWelcome) {
        self.credit = welcome.credit;
        self.next = self.acknowledged + 1;
        self.see(welcome.view_epoch);
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
        self.acknowledged = self.acknowledged.max(accepted.sequence);
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
