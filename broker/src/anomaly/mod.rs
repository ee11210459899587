//! Signs that somebody should look (rule R44): one bank asks about a whole range of numbers, far more
//! than it used to, or about one number again and again; many ask about one number; an application
//! asks at hours at which it never did.
//!
//! ```text
//!   path ──▶ a bounded queue ──▶ detectors (memory of bounded size) ──▶ entry, metric, log
//! ```
//!
//! A question only leaves a note in the queue. Where the queue is full the note is dropped and
//! counted: no question waits for a detector, and none is refused by one. After a restart the
//! detectors learn from the ledger what they knew before.

mod bounded;
mod detectors;
mod metrics;
mod recall;

use std::sync::Arc;

use accord_proto::{
    msisdn::Msisdn,
    subject::{Month, SubjectTag},
    v1,
};
use jiff::Timestamp;
use tokio::sync::mpsc;

use self::detectors::{Detectors, Sight};
pub use self::metrics::AnomalyMetrics;
use crate::{
    config::AnomaliesSection,
    entry::record_entry,
    identity::Caller,
    ledger::{Ledger, LedgerError},
};

/// The most questions that wait to be looked at.
const QUEUE_MAX: usize = 8_192;

/// What a question leaves behind.
struct Note {
    caller: Arc<Caller>,
    digits: u64,
    tag: SubjectTag,
    tag_month: Month,
    at: Timestamp,
}

/// Where questions leave their notes.
#[derive(Clone, Debug)]
pub struct Watch {
    notes: mpsc::Sender<Note>,
    metrics: AnomalyMetrics,
}

/// Who looks at them.
pub struct Watcher {
    notes: mpsc::Receiver<Note>,
    detectors: Detectors,
    ledger: Arc<Ledger>,
    metrics: AnomalyMetrics,
}

/// Notes hold digits of numbers.
impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watcher")
    }
}

/// A watch and its watcher, who knows of the questions that the ledger holds up to now. Reads
/// files, so it blocks.
///
/// # Errors
/// [`LedgerError`]: the ledger can't be read.
pub fn watch(
    limits: AnomaliesSection,
    ledger: Arc<Ledger>,
    metrics: AnomalyMetrics,
    now: Timestamp,
) -> Result<(Watch, Watcher), LedgerError> {
    let mut detectors = Detectors::new(limits);
    let questions = recall::recall(&mut detectors, &ledger, now)?;
    tracing::info!(
        questions,
        "the detectors of the unusual know the last questions"
    );
    let (to, notes) = mpsc::channel(QUEUE_MAX);
    let watch = Watch {
        notes: to,
        metrics: metrics.clone(),
    };
    let watcher = Watcher {
        notes,
        detectors,
        ledger,
        metrics,
    };
    Ok((watch, watcher))
}

impl Watch {
    /// A question was asked and recorded.
    pub(crate) fn saw(
        &self,
        caller: &Arc<Caller>,
        msisdn: &Msisdn,
        tag: SubjectTag,
        tag_month: Month,
        at: Timestamp,
    ) {
        let digits = msisdn.expose().trim_start_matches('+').parse();
        let note = Note {
            caller: Arc::clone(caller),
            digits: digits.unwrap_or(0),
            tag,
            tag_month,
            at,
        };
        if self.notes.try_send(note).is_err() {
            self.metrics.unseen();
        }
    }
}

impl Watcher {
    /// Looks at each note, until nobody can leave one any more.
    pub async fn run(mut self) {
        while let Some(note) = self.notes.recv().await {
            let found = self.detectors.see(&Sight {
                bank: note.caller.party().org(),
                application: note.caller.application(),
                digits: Some(note.digits),
                tag: note.tag.0,
                tag_month: note.tag_month,
                at: note.at,
            });
            for anomaly in found {
                self.tell(anomaly).await;
            }
        }
    }

    async fn tell(&self, anomaly: v1::Anomaly) {
        let kind = metrics::name(anomaly.kind());
        self.metrics.found(kind);
        let v1::Anomaly { bank, counted, .. } = &anomaly;
        tracing::warn!(kind, bank, counted, "something unusual was asked");
        let entry = record_entry(&self.ledger, v1::entry::Event::Anomaly(anomaly));
        if let Err(error) = entry.await {
            tracing::error!(%error, kind, "can't record that something unusual was asked");
        }
    }
}
