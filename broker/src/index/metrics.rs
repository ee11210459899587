//! What is counted of the index.

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

/// Counters of the index.
#[derive(Clone, Debug, Default)]
pub struct IndexMetrics {
    entries: Counter,
    lag: Gauge,
    rebuilt: Counter,
    failures: Counter,
}

impl IndexMetrics {
    /// Registers them.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "index_entries",
            "Entries that the index took since start",
            self.entries.clone(),
        );
        registry.register(
            "index_lag_entries",
            "Entries of the current log that the index does not have yet",
            self.lag.clone(),
        );
        registry.register(
            "index_rebuilds",
            "Indexes that were made anew: damaged, of another version, or not of this ledger",
            self.rebuilt.clone(),
        );
        registry.register(
            "index_failures",
            "Times that the index could not go on",
            self.failures.clone(),
        );
    }

    pub(super) fn took(&self, entries: u64) {
        self.entries.inc_by(entries);
    }

    pub(super) fn lags(&self, entries: u64) {
        self.lag.set(i64::try_from(entries).unwrap_or(i64::MAX));
    }

    pub(super) fn rebuilt(&self) {
        self.rebuilt.inc();
    }

    pub(super) fn failed(&self) {
        self.failures.inc();
    }
}
