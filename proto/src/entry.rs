//! The words by which entries of the ledger are named and searched: their kinds, and what came of a
//! question. Broker and client must agree on them, since a `Filter` carries them as text.

use crate::v1::{self, entry::Event};

/// Every kind of entry, as `Filter.kind` has it.
pub const KINDS: [&str; 13] = [
    "access",
    "refused_call",
    "refusal_count",
    "audit_read",
    "document_loaded",
    "operation",
    "adapter_link",
    "source_changes",
    "export",
    "anomaly",
    "agreement_act",
    "key_act",
    "log_opened",
];

/// What became of a question or a call as a whole, as `Filter.outcome` has it beside the reasons.
pub const OUTCOMES: [&str; 4] = ["answered", "partly_answered", "unanswered", "refused"];

/// The kind of an event, one of [`KINDS`].
#[must_use]
pub const fn kind(event: &Event) -> &'static str {
    match event {
        Event::Access(_) => "access",
        Event::RefusedCall(_) => "refused_call",
        Event::RefusalCount(_) => "refusal_count",
        Event::AuditRead(_) => "audit_read",
        Event::DocumentLoaded(_) => "document_loaded",
        Event::Operation(_) => "operation",
        Event::AdapterLink(_) => "adapter_link",
        Event::SourceChanges(_) => "source_changes",
        Event::Export(_) => "export",
        Event::Anomaly(_) => "anomaly",
        Event::AgreementAct(_) => "agreement_act",
        Event::KeyAct(_) => "key_act",
        Event::LogOpened(_) => "log_opened",
    }
}

/// What came of a question: `answered` (every signal), `partly_answered` or `unanswered`. A reason
/// of a newer version is no answer.
#[must_use]
pub fn outcome(access: &v1::Access) -> &'static str {
    let answered = access.signals.iter().filter(|signal| signal.reason == 0);
    match (answered.count(), access.signals.len()) {
        (0, _) => "unanswered",
        (answered, all) if answered == all => "answered",
        _ => "partly_answered",
    }
}
