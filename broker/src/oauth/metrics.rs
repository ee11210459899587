//! What the authorisation server counts.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Legs {
    about: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    error: &'static str,
}

/// Counters of tokens; clones count into the same ones.
#[derive(Clone, Debug, Default)]
pub struct OauthMetrics {
    issued: Family<Legs, Counter>,
    refused: Family<Reason, Counter>,
    reloads: Counter,
    reload_failures: Counter,
}

impl OauthMetrics {
    /// Adds the counters to a registry, under `oauth`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("oauth");
        registry.register(
            "tokens_issued",
            "Tokens issued, by what they are about: any number, or one",
            self.issued.clone(),
        );
        registry.register(
            "tokens_refused",
            "Requests for a token that were refused, by error",
            self.refused.clone(),
        );
        registry.register(
            "jwks_reloads",
            "Loads of the keys of the external authorisation server",
            self.reloads.clone(),
        );
        registry.register(
            "jwks_reload_failures",
            "Changed keys of the external authorisation server that were not taken",
            self.reload_failures.clone(),
        );
    }

    pub(crate) fn issued(&self, about_one_number: bool) {
        let about = match about_one_number {
            true => "one_number",
            false => "any_number",
        };
        self.issued.get_or_create(&Legs { about }).inc();
    }

    pub(crate) fn refused(&self, error: &'static str) {
        self.refused.get_or_create(&Reason { error }).inc();
    }

    pub(crate) fn reloaded(&self, taken: bool) {
        match taken {
            true => self.reloads.inc(),
            false => self.reload_failures.inc(),
        };
    }
}
