//! What the broker counts. Labels are few and fixed, and never a subscriber.

mod held;

use std::fmt::Write as _;

use accord_proto::{reason::Reason, signal::Signal, v1};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

pub use held::Snapshot;

use held::Held;

use crate::path::{Answered, Refusal};

/// All counters of one broker.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    questions: Family<Outcome, Counter>,
    signals: Family<SignalOutcome, Counter>,
    refusals: Family<Outcome, Counter>,
    documents_refused: Family<Kind, Counter>,
    not_believed: Family<Operator, Counter>,
    adapters: Family<Operator, Gauge>,
    agreement_days_left: Gauge,
    view_served: Counter,
    views_rebuilt: Counter,
    question_seconds: Histogram,
    held: Held,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SignalOutcome {
    signal: &'static str,
    reason: &'static str,
}

/// What one signal of a question is counted as.
#[derive(Debug)]
pub(crate) struct SignalCount {
    outcome: SignalOutcome,
    from_view: bool,
}

impl SignalCount {
    /// What a signal's record says of it.
    pub(crate) fn of(record: &v1::SignalRecord) -> Self {
        let signal = Signal::from_wire(record.signal).map_or("unknown", Signal::name);
        let reason = Reason::from_wire(record.reason).map_or("answered", Reason::name);
        Self {
            outcome: SignalOutcome { signal, reason },
            from_view: record.from_view,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operator {
    operator: String,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(|_| ())
    }
}

impl Metrics {
    /// Counters at zero. `more` registers what other parts count.
    #[must_use]
    pub fn new(more: impl FnOnce(&mut Registry)) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("accord"),
            questions: Family::default(),
            signals: Family::default(),
            refusals: Family::default(),
            documents_refused: Family::default(),
            not_believed: Family::default(),
            adapters: Family::default(),
            agreement_days_left: Gauge::default(),
            view_served: Counter::default(),
            views_rebuilt: Counter::default(),
            question_seconds: Histogram::new(exponential_buckets(0.000_1, 2.0, 16)),
            held: Held::default(),
        };
        metrics.register();
        more(&mut metrics.registry);
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("questions", "Questions, by outcome", self.questions.clone());
        registry.register("signals", "Signals asked, by outcome", self.signals.clone());
        registry.register(
            "refusals",
            "Calls refused, by reason",
            self.refusals.clone(),
        );
        registry.register(
            "documents_refused",
            "New signed documents that did not come into force",
            self.documents_refused.clone(),
        );
        registry.register(
            "replies_not_believed",
            "Replies, restrictions and pushed changes that broke a rule",
            self.not_believed.clone(),
        );
        registry.register(
            "adapters_attached",
            "Adapters attached now",
            self.adapters.clone(),
        );
        registry.register(
            "agreement_days_left",
            "Whole days until the agreement expires",
            self.agreement_days_left.clone(),
        );
        registry.register(
            "view_served",
            "Signals answered from the view",
            self.view_served.clone(),
        );
        registry.register(
            "views_rebuilt",
            "Views that were begun anew at start: damaged, not closed, or gone",
            self.views_rebuilt.clone(),
        );
        registry.register(
            "question_seconds",
            "Time from a question's arrival to its durable answer",
            self.question_seconds.clone(),
        );
        self.held.register(registry);
    }

    pub(crate) fn asked(&self, outcome: &Result<Answered, Refusal>, seconds: f64) {
        let reason = outcome
            .as_ref()
            .map_or_else(Refusal::reason, |_| "answered");
        self.questions.get_or_create(&Outcome { reason }).inc();
        self.question_seconds.observe(seconds);
    }

    /// Counts what a question came to. Called once its entry is durable: what was not told is not
    /// counted as told.
    pub(crate) fn signals(&self, counts: &[SignalCount]) {
        for count in counts {
            self.signals.get_or_create(&count.outcome).inc();
            if count.from_view {
                self.view_served.inc();
            }
        }
    }

    pub(crate) fn refused(&self, reason: &'static str) {
        self.refusals.get_or_create(&Outcome { reason }).inc();
    }

    pub(crate) fn document_refused(&self, kind: &'static str) {
        self.documents_refused.get_or_create(&Kind { kind }).inc();
    }

    pub(crate) fn not_believed(&self, operator: &str) {
        self.not_believed
            .get_or_create(&Operator {
                operator: operator.to_owned(),
            })
            .inc();
    }

    pub(crate) fn adapters_attached(&self, operator: &str, attached: usize) {
        let gauge = self.adapters.get_or_create_owned(&Operator {
            operator: operator.to_owned(),
        });
        gauge.set(i64::try_from(attached).unwrap_or(i64::MAX));
    }

    pub(crate) fn agreement_days_left(&self, days: i64) {
        self.agreement_days_left.set(days);
    }

    pub(crate) fn view_rebuilt(&self) {
        self.views_rebuilt.inc();
    }

    /// All of it in the OpenMetrics text format.
    #[must_use]
    pub fn text(&self, snapshot: &Snapshot) -> String {
        self.held.take(snapshot);
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            text.clear();
            let _ = writeln!(text, "# the metrics could not be encoded");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use super::*;
    use crate::{
        anomaly::AnomalyMetrics,
        identity::IdentityMetrics,
        index::IndexMetrics,
        ledger::LedgerStats,
        oauth::OauthMetrics,
        routing::RoutingMetrics,
        witnesses::{AskError, Round, WitnessMetrics},
    };

    const PAGE: &str = include_str!("../../docs/metrics.md");

    fn snapshot() -> Snapshot {
        let ledger = LedgerStats {
            batches: 2,
            entries: 7,
            queued: 0,
            sync_last: Duration::from_millis(1),
            sync_max: Duration::from_millis(3),
        };
        Snapshot {
            ledger,
            ledger_ready: true,
            view_failures: 0,
            view_in_use: true,
            subjects: 0,
            tag_keys_unsplit: 0,
            key_halves_lost: 0,
            replays: 0,
            questions_in_flight: 0,
        }
    }

    /// Names as they stand in `# TYPE` lines.
    fn exposed() -> BTreeSet<String> {
        let identity = IdentityMetrics::default();
        let witnesses = WitnessMetrics::default();
        let noticed = AnomalyMetrics::default();
        let routed = RoutingMetrics::default();
        let issuing = OauthMetrics::default();
        let metrics = Metrics::new(|registry| {
            identity.register(registry);
            witnesses.register(registry);
            IndexMetrics::default().register(registry);
            noticed.register(registry);
            routed.register(registry);
            issuing.register(registry);
        });
        // A family shows itself once it has counted something.
        identity.refuse_connection("CERTIFICATE_REVOKED");
        identity.refuse_token("TOKEN_EXPIRED");
        noticed.found("spike");
        routed.looked_up("north", "timeout");
        issuing.issued(true);
        issuing.refused("invalid_scope");
        let round = Round {
            cosigned: vec!["one".to_owned()],
            failed: vec![("other".to_owned(), AskError::Timeout)],
            turned: None,
        };
        witnesses.count(&round, 0);
        metrics.asked(&Err(Refusal::Overloaded), 0.001);
        metrics.signals(&[SignalCount::of(&v1::SignalRecord::default())]);
        metrics.refused("OVERLOADED");
        metrics.document_refused("agreement");
        metrics.not_believed("north-mobile");
        metrics.adapters_attached("north-mobile", 1);
        let text = metrics.text(&snapshot());
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        types
            .filter_map(|line| line.split(' ').next())
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn the_page_lists_every_metric_and_no_other() {
        let (ours, _) = PAGE.split_once("# What an adapter counts").unwrap();
        let rows = ours.lines().filter_map(|line| line.strip_prefix("| `"));
        let listed: BTreeSet<String> = rows
            .filter_map(|row| row.split('`').next())
            .map(str::to_owned)
            .collect();
        let exposed = exposed();
        let missing: Vec<_> = exposed.difference(&listed).collect();
        let stale: Vec<_> = listed.difference(&exposed).collect();
        assert!(
            missing.is_empty() && stale.is_empty(),
            "missing {missing:?}, stale {stale:?}"
        );
    }

    #[test]
    fn what_other_parts_hold_is_taken_over() {
        let text = Metrics::default().text(&snapshot());
        assert!(text.contains("accord_ledger_entries 7"), "{text}");
        assert!(text.contains("accord_ledger_ready 1"), "{text}");
    }
}
