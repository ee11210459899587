//! What is counted of routing.

use jiff::Timestamp;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Counters of routing.
#[derive(Clone, Debug, Default)]
pub struct RoutingMetrics {
    lookups: Family<Lookup, Counter>,
    rows: Gauge,
    as_of: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Lookup {
    supplier: String,
    outcome: &'static str,
}

impl RoutingMetrics {
    /// Registers them.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "enum_lookups",
            "Questions to suppliers of portability data, by outcome",
            self.lookups.clone(),
        );
        registry.register(
            "portability_rows",
            "Rows of the portability database in force",
            self.rows.clone(),
        );
        registry.register(
            "portability_as_of_seconds",
            "When the portability database in force was made, in seconds since 1970",
            self.as_of.clone(),
        );
    }

    pub(crate) fn looked_up(&self, supplier: &str, outcome: &'static str) {
        self.lookups
            .get_or_create(&Lookup {
                supplier: supplier.to_owned(),
                outcome,
            })
            .inc();
    }

    pub(super) fn database(&self, rows: u64, as_of: Timestamp) {
        self.rows.set(i64::try_from(rows).unwrap_or(i64::MAX));
        self.as_of.set(as_of.as_second());
    }
}
