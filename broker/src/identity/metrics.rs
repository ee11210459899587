//! What identity counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use prometheus_client::registry::Registry;

use super::peer::Peer;

/// The reason of a refusal, one of a fixed list of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReasonLabel {
    reason: &'static str,
}

/// Counters of connections, tokens and reloads; clones count into the same ones.
#[derive(Clone, Debug, Default)]
pub struct IdentityMetrics {
    pub(super) connections_open: Gauge,
    pub(super) connections_open_without_certificate: Gauge,
    pub(super) connections_accepted: Counter,
    pub(super) connections_refused: Family<ReasonLabel, Counter>,
    pub(super) connections_revoked: Counter,
    pub(super) reloads: Counter,
    pub(super) reload_failures: Counter,
    pub(super) tokens_verified: Counter,
    pub(super) tokens_cached: Counter,
    pub(super) tokens_refused: Family<ReasonLabel, Counter>,
}

impl IdentityMetrics {
    /// Adds the counters to a registry, under `identity`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("identity");
        registry.register(
            "connections_open",
            "Connections with a trusted certificate",
            self.connections_open.clone(),
        );
        registry.register(
            "connections_open_without_certificate",
            "Connections without a certificate, on doors that only ask for one",
            self.connections_open_without_certificate.clone(),
        );
        registry.register(
            "connections_accepted",
            "Handshakes that ended well",
            self.connections_accepted.clone(),
        );
        registry.register(
            "connections_refused",
            "Connections refused before any call, by reason",
            self.connections_refused.clone(),
        );
        registry.register(
            "connections_revoked",
            "Open connections closed because their certificate is no longer trusted",
            self.connections_revoked.clone(),
        );
        registry.register(
            "reloads",
            "Loads of changed certificates or revocation lists",
            self.reloads.clone(),
        );
        registry.register(
            "reload_failures",
            "Changed certificates or revocation lists that were not taken",
            self.reload_failures.clone(),
        );
        registry.register(
            "tokens_verified",
            "Tokens whose signature was checked and good",
            self.tokens_verified.clone(),
        );
        registry.register(
            "tokens_cached",
            "Tokens answered from the cache",
            self.tokens_cached.clone(),
        );
        registry.register(
            "tokens_refused",
            "Tokens refused, by reason",
            self.tokens_refused.clone(),
        );
    }

    pub(crate) fn refuse_connection(&self, reason: &'static str) {
        self.connections_refused
            .get_or_create(&ReasonLabel { reason })
            .inc();
    }

    pub(crate) fn refuse_token(&self, reason: &'static str) {
        self.tokens_refused
            .get_or_create(&ReasonLabel { reason })
            .inc();
    }

    /// Connections refused before any call, for this reason.
    #[must_use]
    pub fn refused_connections(&self, reason: &'static str) -> u64 {
        self.connections_refused
            .get_or_create(&ReasonLabel { reason })
            .get()
    }

    /// Changed files that were not taken.
    #[must_use]
    pub fn failed_reloads(&self) -> u64 {
        self.reload_failures.get()
    }

    /// Where an open connection of this peer is counted.
    pub(super) const fn open(&self, peer: &Peer) -> &Gauge {
        if peer.has_certificate() {
            &self.connections_open
        } else {
            &self.connections_open_without_certificate
        }
    }

    /// Connections with a certificate that are open now.
    #[must_use]
    pub fn open_connections(&self) -> i64 {
        self.connections_open.get()
    }

    /// Tokens answered from the cache.
    #[must_use]
    pub fn cached_tokens(&self) -> u64 {
        self.tokens_cached.get()
    }
}
