//! What other parts of the broker hold or count themselves.

use std::sync::atomic::AtomicU64;

use prometheus_client::{metrics::gauge::Gauge, registry::Registry};

use crate::ledger::LedgerStats;

/// What other parts hold or count themselves, taken over when the metrics are read.
#[derive(Debug, Default)]
pub(super) struct Held {
    ledger_entries: Gauge,
    ledger_batches: Gauge,
    ledger_queued: Gauge,
    ledger_sync_seconds_last: Gauge<f64, AtomicU64>,
    ledger_sync_seconds_max: Gauge<f64, AtomicU64>,
    ledger_ready: Gauge,
    view_failures: Gauge,
    view_in_use: Gauge,
    subjects: Gauge,
    tag_keys_unsplit: Gauge,
    key_halves_lost: Gauge,
    replays: Gauge,
    questions_in_flight: Gauge,
}

/// A look at what other parts hold.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot {
    /// What the ledger counted.
    pub ledger: LedgerStats,
    /// Whether it takes entries.
    pub ledger_ready: bool,
    /// Reads and writes of the view that failed.
    pub view_failures: u64,
    /// Whether the view is read and written.
    pub view_in_use: bool,
    /// Subjects with live quotas or thresholds.
    pub subjects: usize,
    /// Keys of closed months that are not split yet.
    pub tag_keys_unsplit: usize,
    /// Months whose sealed halves are not on the disk as they were split.
    pub key_halves_lost: usize,
    /// Request ids whose answers are kept.
    pub replays: usize,
    /// Questions on their way.
    pub questions_in_flight: usize,
}

impl Held {
    pub(super) fn register(&self, registry: &mut Registry) {
        let gauges = [
            (
                "ledger_entries",
                "Entries written since start",
                &self.ledger_entries,
            ),
            (
                "ledger_batches",
                "Batches written since start",
                &self.ledger_batches,
            ),
            (
                "ledger_queued",
                "Entries that wait for the sequencer",
                &self.ledger_queued,
            ),
            (
                "ledger_ready",
                "1 while questions can be put on the record: space, clock and witnesses are in order",
                &self.ledger_ready,
            ),
            (
                "subjects",
                "Subjects with live quotas or thresholds",
                &self.subjects,
            ),
            (
                "tag_keys_unsplit",
                "Keys of closed months not split yet",
                &self.tag_keys_unsplit,
            ),
            (
                "key_halves_lost",
                "Closed months whose sealed halves are gone or damaged",
                &self.key_halves_lost,
            ),
            (
                "replays",
                "Request ids whose answers are kept",
                &self.replays,
            ),
            (
                "questions_in_flight",
                "Questions on their way",
                &self.questions_in_flight,
            ),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        self.register_view(registry);
        registry.register(
            "ledger_sync_seconds_last",
            "How long the last fdatasync took",
            self.ledger_sync_seconds_last.clone(),
        );
        registry.register(
            "ledger_sync_seconds_max",
            "How long the slowest fdatasync took",
            self.ledger_sync_seconds_max.clone(),
        );
    }

    fn register_view(&self, registry: &mut Registry) {
        registry.register(
            "view_failures",
            "Failed reads and writes of the view",
            self.view_failures.clone(),
        );
        registry.register(
            "view_in_use",
            "1 until the view is damaged or can't be written",
            self.view_in_use.clone(),
        );
    }

    pub(super) fn take(&self, snapshot: &Snapshot) {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let count = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        self.ledger_entries.set(number(snapshot.ledger.entries));
        self.ledger_batches.set(number(snapshot.ledger.batches));
        self.ledger_queued.set(count(snapshot.ledger.queued));
        self.ledger_sync_seconds_last
            .set(snapshot.ledger.sync_last.as_secs_f64());
        self.ledger_sync_seconds_max
            .set(snapshot.ledger.sync_max.as_secs_f64());
        self.ledger_ready.set(i64::from(snapshot.ledger_ready));
        self.view_failures.set(number(snapshot.view_failures));
        self.view_in_use.set(i64::from(snapshot.view_in_use));
        self.subjects.set(count(snapshot.subjects));
        self.tag_keys_unsplit.set(count(snapshot.tag_keys_unsplit));
        self.key_halves_lost.set(count(snapshot.key_halves_lost));
        self.replays.set(count(snapshot.replays));
        self.questions_in_flight
            .set(count(snapshot.questions_in_flight));
    }
}
