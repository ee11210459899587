//! What is counted of witnesses.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use prometheus_client::registry::Registry;

use super::Round;

/// Counters of witnesses.
#[derive(Clone, Debug, Default)]
pub struct WitnessMetrics {
    cosigned: Family<Witness, Counter>,
    failed: Family<Witness, Counter>,
    quorum_lost_seconds: Gauge<u64, AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Witness {
    witness: String,
}

impl WitnessMetrics {
    /// Registers them.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "witness_cosignatures",
            "Checkpoints that a witness cosigned",
            self.cosigned.clone(),
        );
        registry.register(
            "witness_failures",
            "Checkpoints that a witness did not cosign",
            self.failed.clone(),
        );
        registry.register(
            "witness_quorum_lost_seconds",
            "For how long no quorum of witnesses has cosigned",
            self.quorum_lost_seconds.clone(),
        );
    }

    pub(crate) fn count(&self, round: &Round, quorum_lost_seconds: u64) {
        let witness = |name: &str| Witness {
            witness: name.to_owned(),
        };
        for name in &round.cosigned {
            self.cosigned.get_or_create(&witness(name)).inc();
        }
        for (name, _) in &round.failed {
            self.failed.get_or_create(&witness(name)).inc();
        }
        self.quorum_lost_seconds.set(quorum_lost_seconds);
    }
}
