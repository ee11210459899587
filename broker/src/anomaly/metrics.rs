//! What is counted of the unusual.

use accord_proto::v1::anomaly::Kind;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// Counters of the unusual.
#[derive(Clone, Debug, Default)]
pub struct AnomalyMetrics {
    found: Family<Labels, Counter>,
    unseen: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    kind: &'static str,
}

impl AnomalyMetrics {
    /// Registers them.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "anomalies",
            "Signs that somebody should look, by kind",
            self.found.clone(),
        );
        registry.register(
            "anomalies_unseen",
            "Questions that no detector saw, since too many waited",
            self.unseen.clone(),
        );
    }

    pub(crate) fn found(&self, kind: &'static str) {
        self.found.get_or_create(&Labels { kind }).inc();
    }

    pub(super) fn unseen(&self) {
        self.unseen.inc();
    }
}

/// Such as `enumeration`.
pub(super) const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Unspecified => "unspecified",
        Kind::Enumeration => "enumeration",
        Kind::Spike => "spike",
        Kind::ManyAskers => "many_askers",
        Kind::Surveillance => "surveillance",
        Kind::OffHours => "off_hours",
    }
}
