//! An entry of the ledger, in fields that a person and a program can read.

mod acts;
#[cfg(test)]
mod tests;
mod who;

pub(crate) use accord_proto::entry::outcome;
use accord_proto::{
    purpose::Purpose,
    reason::Reason,
    signal::Signal,
    v1::{self, entry::Event},
};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

pub(crate) use who::{bank, is_alarming, operator, party};

use crate::{LedgerEntry, random::hex};

/// The whole entry.
pub(crate) fn json(entry: &LedgerEntry) -> Json {
    let (kind, fields) = event(entry.entry.event.as_ref());
    json!({
        "origin": entry.origin,
        "index": entry.index,
        "time": time(entry),
        "kind": kind,
        kind: fields,
        "salt": hex(&entry.entry.salt),
        "leaf_hash": hex(&entry.leaf_hash()),
    })
}

/// When the sequencer stamped it.
pub(crate) fn time(entry: &LedgerEntry) -> String {
    i64::try_from(entry.entry.time_unix_ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .map_or_else(|| "-".to_owned(), |at| at.to_string())
}

/// A moment that was asked; empty where none was.
fn moment(unix_ms: i64) -> String {
    let moment = Timestamp::from_millisecond(unix_ms).ok();
    moment
        .filter(|_| unix_ms != 0)
        .map_or_else(String::new, |at| at.to_string())
}

/// What kind of entry it is.
pub(crate) fn kind(entry: &LedgerEntry) -> &'static str {
    event(entry.entry.event.as_ref()).0
}

/// The fields as lines: `access.signals[0].reason` and its value. Empty fields are left out.
pub(crate) fn lines(value: &Json, path: &str, lines: &mut Vec<(String, String)>) {
    match value {
        Json::Null => {}
        Json::Object(object) => {
            for (key, value) in object {
                let dot = if path.is_empty() { "" } else { "." };
                self::lines(value, &format!("{path}{dot}{key}"), lines);
            }
        }
        Json::Array(items) => {
            for (at, value) in items.iter().enumerate() {
                self::lines(value, &format!("{path}[{at}]"), lines);
            }
        }
        Json::String(text) if text.is_empty() => {}
        Json::String(text) => lines.push((path.to_owned(), text.trim_end().replace('\n', " ⏎ "))),
        Json::Bool(_) | Json::Number(_) => lines.push((path.to_owned(), value.to_string())),
    }
}

/// One line on what happened.
pub(crate) fn summary(entry: &LedgerEntry) -> String {
    match entry.entry.event.as_ref() {
        Some(Event::Access(access)) => asked(access),
        Some(Event::RefusedCall(call)) => format!(
            "the broker refused {}: {} {} {}",
            call.party, call.method, call.reason, call.field
        ),
        Some(Event::RefusalCount(count)) => {
            format!(
                "the broker refused {}: {} calls in a second",
                count.party, count.refused
            )
        }
        Some(Event::AuditRead(read)) => format!(
            "{} read {} with {} from {}, {} entries",
            read.party, read.origin, read.method, read.first_index, read.entries
        ),
        Some(Event::DocumentLoaded(document)) if document.refused.is_empty() => format!(
            "{} {} version {} in force, signed by {}",
            document.kind,
            document.id,
            document.version,
            document.signers.join(" and ")
        ),
        Some(Event::DocumentLoaded(document)) => {
            format!("{} refused: {}", document.kind, document.refused)
        }
        Some(Event::Operation(operation)) => {
            format!("{} {}", operation_kind(operation.kind), operation.detail)
        }
        Some(Event::AdapterLink(link)) => format!(
            "{} {} {} {}",
            link.operator,
            link.instance,
            link_kind(link.kind),
            link.detail
        ),
        Some(Event::SourceChanges(changes)) => pushed(changes),
        Some(Event::LogOpened(opened)) => format!("log {} opened", opened.origin),
        Some(
            event @ (Event::Export(_)
            | Event::Anomaly(_)
            | Event::AgreementAct(_)
            | Event::KeyAct(_)),
        ) => acts::summary(event),
        None => "of a kind that this version does not know".to_owned(),
    }
    .trim_end()
    .to_owned()
}

fn asked(access: &v1::Access) -> String {
    let told = |signal: &v1::SignalRecord| {
        format!("{} {}", signal_name(signal.signal), status(signal.reason))
    };
    let signals: Vec<_> = access.signals.iter().map(told).collect();
    let operator = if access.operator.is_empty() {
        "no operator"
    } else {
        &access.operator
    };
    format!(
        "{} asked {operator} for {}: {}",
        access.bank,
        purpose_name(access.purpose),
        signals.join(", ")
    )
}

fn pushed(changes: &v1::SourceChanges) -> String {
    let subjects = &changes.subjects;
    let withdrawn = subjects.iter().filter(|subject| subject.withdrawn).count();
    let of_them = match withdrawn {
        0 => String::new(),
        _ => format!(", {withdrawn} of them withdrawn"),
    };
    format!(
        "{} {} pushed {} changes{of_them}",
        changes.operator,
        changes.instance,
        subjects.len()
    )
}

fn event(event: Option<&Event>) -> (&'static str, Json) {
    match event {
        Some(Event::LogOpened(opened)) => (
            "log_opened",
            json!({
                "origin": opened.origin,
                "authority_vkeys": opened.authority_vkeys,
                "previous_checkpoint": opened.previous_checkpoint,
            }),
        ),
        Some(Event::Access(access)) => ("access", self::access(access)),
        Some(Event::RefusedCall(call)) => (
            "refused_call",
            json!({
                "party": call.party,
                "method": call.method,
                "reason": call.reason,
                "field": call.field,
            }),
        ),
        Some(Event::RefusalCount(count)) => (
            "refusal_count",
            json!({"party": count.party, "refused": count.refused}),
        ),
        Some(Event::AuditRead(read)) => (
            "audit_read",
            json!({
                "party": read.party,
                "method": read.method,
                "origin": read.origin,
                "first_index": read.first_index,
                "entries": read.entries,
                "statement": read.statement.as_ref().map(acts::statement),
                "filter": read.filter.as_ref().map(acts::filter),
            }),
        ),
        Some(Event::DocumentLoaded(document)) => (
            "document_loaded",
            json!({
                "kind": document.kind,
                "id": document.id,
                "version": document.version,
                "sha256": hex(&document.sha256),
                "signers": document.signers,
                "refused": document.refused,
            }),
        ),
        Some(Event::Operation(operation)) => ("operation", self::operation(operation)),
        Some(Event::AdapterLink(link)) => (
            "adapter_link",
            json!({
                "kind": link_kind(link.kind),
                "operator": link.operator,
                "instance": link.instance,
                "detail": link.detail,
                "journal_size": link.journal_size,
                "journal_head": hex(&link.journal_head),
            }),
        ),
        Some(Event::SourceChanges(changes)) => ("source_changes", source_changes(changes)),
        Some(Event::Export(export)) => ("export", acts::export(export)),
        Some(Event::Anomaly(anomaly)) => ("anomaly", acts::anomaly(anomaly)),
        Some(Event::AgreementAct(act)) => ("agreement_act", acts::agreement_act(act)),
        Some(Event::KeyAct(act)) => ("key_act", acts::key_act(act)),
        None => ("unknown", Json::Null),
    }
}

fn access(access: &v1::Access) -> Json {
    let signals = access.signals.iter().map(|signal| {
        json!({
            "signal": signal_name(signal.signal),
            "status": status(signal.reason),
            "clause": signal.clause,
            "granularity": signal.granularity,
            "threshold_hours": signal.threshold_hours,
            "since_mac": hex(&signal.since_mac),
            "since": moment(signal.since_unix_ms),
            "from_view": signal.from_view,
            "rests_on": signal.rests_on.as_ref().map(said),
        })
    });
    let replies = access.replies.iter().map(|reply| {
        json!({
            "instance": reply.instance,
            "journal_index": reply.journal_index,
            "digest": hex(&reply.digest),
            "elapsed_us": reply.elapsed_us,
        })
    });
    json!({
        "bank": access.bank,
        "on_behalf_of": access.on_behalf_of,
        "application": access.application,
        "operator": access.operator,
        "routing_basis": basis_name(access.routing_basis),
        "purpose": purpose_name(access.purpose),
        "agreement": access.agreement,
        "agreement_version": access.agreement_version,
        "subject_tag": hex(&access.subject_tag),
        "tag_month": access.tag_month,
        "customer_ref_mac": hex(&access.customer_ref_mac),
        "consent_ref_mac": hex(&access.consent_ref_mac),
        "request_id_mac": hex(&access.request_id_mac),
        "signals": signals.collect::<Vec<_>>(),
        "answer_digest": hex(&access.answer_digest),
        "replies": replies.collect::<Vec<_>>(),
        "bulk": access.bulk,
        "elapsed_us": access.elapsed_us,
    })
}

/// What an answer from the view rests on.
fn said(said: &v1::ReplyDigest) -> Json {
    json!({
        "instance": said.instance,
        "journal_index": said.journal_index,
        "digest": hex(&said.digest),
    })
}

fn operation(operation: &v1::Operation) -> Json {
    let digests = operation
        .digests
        .iter()
        .map(|digest| json!({"name": digest.name, "sha256": hex(&digest.sha256)}));
    json!({
        "kind": operation_kind(operation.kind),
        "detail": operation.detail,
        "digests": digests.collect::<Vec<_>>(),
    })
}

fn source_changes(changes: &v1::SourceChanges) -> Json {
    let subjects = changes.subjects.iter().map(|subject| {
        json!({
            "subject_tag": hex(&subject.subject_tag),
            "signal": signal_name(subject.signal),
            "withdrawn": subject.withdrawn,
        })
    });
    json!({
        "operator": changes.operator,
        "instance": changes.instance,
        "sequence": changes.sequence,
        "digest": hex(&changes.digest),
        "journal_index": changes.journal_index,
        "subjects": subjects.collect::<Vec<_>>(),
    })
}

/// What became of a signal. A reason of a newer version is no answer.
pub(crate) fn status(reason: i32) -> String {
    if reason == v1::Reason::Unspecified as i32 {
        return "answered".to_owned();
    }
    Reason::from_wire(reason).map_or_else(
        || format!("unknown_reason_{reason}"),
        |reason| reason.name().to_owned(),
    )
}

pub(crate) fn signal_name(number: i32) -> &'static str {
    Signal::from_wire(number).map_or("?", Signal::name)
}

pub(crate) fn purpose_name(number: i32) -> &'static str {
    Purpose::from_wire(number).map_or("?", Purpose::name)
}

fn operation_kind(number: i32) -> String {
    let kind = v1::operation::Kind::try_from(number);
    kind.map_or_else(
        |_| "?".to_owned(),
        |kind| short(kind.as_str_name(), "KIND_"),
    )
}

fn link_kind(number: i32) -> String {
    let kind = v1::adapter_link::Kind::try_from(number);
    kind.map_or_else(
        |_| "?".to_owned(),
        |kind| short(kind.as_str_name(), "KIND_"),
    )
}

fn basis_name(number: i32) -> String {
    let basis = v1::RoutingBasis::try_from(number);
    basis.map_or_else(
        |_| "?".to_owned(),
        |basis| short(basis.as_str_name(), "ROUTING_BASIS_"),
    )
}

/// `KIND_CLOCK_STEP` becomes `clock_step`.
fn short(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix)
        .unwrap_or(name)
        .to_ascii_lowercase()
}
