//! Whom an entry is about.

use accord_proto::v1::{self, entry::Event};

use crate::LedgerEntry;

/// Whether somebody should look at it: a sign that a detector saw, a suspension, a clock that was
/// set, witnesses that are gone, an adapter that is not believed.
pub(crate) fn is_alarming(entry: &LedgerEntry) -> bool {
    use v1::{adapter_link, agreement_act, operation};
    match entry.entry.event.as_ref() {
        Some(Event::Anomaly(_)) => true,
        Some(Event::AgreementAct(act)) => act.kind == agreement_act::Kind::Suspended as i32,
        Some(Event::Operation(act)) => [
            operation::Kind::ClockStep,
            operation::Kind::TailRecovered,
            operation::Kind::WitnessQuorumLost,
        ]
        .iter()
        .any(|kind| act.kind == *kind as i32),
        Some(Event::AdapterLink(link)) => link.kind == adapter_link::Kind::NotBelieved as i32,
        Some(Event::DocumentLoaded(document)) => !document.refused.is_empty(),
        Some(
            Event::LogOpened(_)
            | Event::Access(_)
            | Event::RefusedCall(_)
            | Event::RefusalCount(_)
            | Event::AuditRead(_)
            | Event::SourceChanges(_)
            | Event::Export(_)
            | Event::KeyAct(_),
        )
        | None => false,
    }
}

/// The bank that an entry names.
pub(crate) fn bank(event: &Event) -> Option<&str> {
    match event {
        Event::Access(access) => some(&access.bank),
        Event::Anomaly(anomaly) => some(&anomaly.bank),
        Event::AgreementAct(act) => act.target.strip_prefix("bank:"),
        Event::LogOpened(_)
        | Event::RefusedCall(_)
        | Event::RefusalCount(_)
        | Event::AuditRead(_)
        | Event::DocumentLoaded(_)
        | Event::Operation(_)
        | Event::AdapterLink(_)
        | Event::SourceChanges(_)
        | Event::Export(_)
        | Event::KeyAct(_) => None,
    }
}

/// The operator that an entry names.
pub(crate) fn operator(event: &Event) -> Option<&str> {
    match event {
        Event::Access(access) => some(&access.operator),
        Event::AdapterLink(link) => some(&link.operator),
        Event::SourceChanges(changes) => some(&changes.operator),
        Event::AgreementAct(act) => act.target.strip_prefix("operator:"),
        Event::LogOpened(_)
        | Event::RefusedCall(_)
        | Event::RefusalCount(_)
        | Event::AuditRead(_)
        | Event::DocumentLoaded(_)
        | Event::Operation(_)
        | Event::Export(_)
        | Event::Anomaly(_)
        | Event::KeyAct(_) => None,
    }
}

/// The SPIFFE id of the party that acted, or that was refused.
pub(crate) fn party(event: &Event) -> Option<&str> {
    match event {
        Event::RefusedCall(call) => some(&call.party),
        Event::RefusalCount(count) => some(&count.party),
        Event::AuditRead(read) => some(&read.party),
        Event::Export(export) => some(&export.party),
        Event::AgreementAct(act) => some(&act.party),
        Event::KeyAct(act) => some(&act.party),
        Event::LogOpened(_)
        | Event::Access(_)
        | Event::DocumentLoaded(_)
        | Event::Operation(_)
        | Event::AdapterLink(_)
        | Event::SourceChanges(_)
        | Event::Anomaly(_) => None,
    }
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
