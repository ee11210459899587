//! The entries of authorities' acts and of detectors, in fields.

use accord_proto::v1::{self, entry::Event};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::{purpose_name, short, signal_name};
use crate::random::hex;

/// One line on what happened; empty for an entry of another kind.
pub(super) fn summary(event: &Event) -> String {
    match event {
        Event::Export(export) => format!(
            "{} exported {} entries as {}",
            export.party, export.entries, export.format
        ),
        Event::Anomaly(anomaly) => noticed(anomaly),
        Event::AgreementAct(act) => format!(
            "{} {} version {} {} {}",
            agreement_kind(act.kind),
            act.agreement,
            act.agreement_version,
            act.target,
            act.detail
        ),
        Event::KeyAct(act) => {
            let by = match act.party.as_str() {
                "" => "the broker",
                party => party,
            };
            format!("{} {} by {by} {}", key_kind(act.kind), act.month, act.case)
        }
        Event::LogOpened(_)
        | Event::Access(_)
        | Event::RefusedCall(_)
        | Event::RefusalCount(_)
        | Event::AuditRead(_)
        | Event::DocumentLoaded(_)
        | Event::Operation(_)
        | Event::AdapterLink(_)
        | Event::SourceChanges(_) => String::new(),
    }
}

/// A sign to look, in words.
fn noticed(anomaly: &v1::Anomaly) -> String {
    use v1::anomaly::Kind;
    let what = match Kind::try_from(anomaly.kind) {
        Ok(Kind::Enumeration) => "neighbouring numbers, one after the other",
        Ok(Kind::Spike) => "far more questions than usual",
        Ok(Kind::ManyAskers) => "many banks about one number",
        Ok(Kind::Surveillance) => "one number again and again",
        Ok(Kind::OffHours) => "questions at hours without any until now",
        Ok(Kind::Unspecified) | Err(_) => "of a kind that this version does not know",
    };
    let who = match (anomaly.bank.as_str(), anomaly.application.as_str()) {
        ("", _) => String::new(),
        (bank, "") => format!(" by {bank}"),
        (bank, application) => format!(" by {application} of {bank}"),
    };
    format!(
        "{}{who}: {what}; {} in {} s, usually {}",
        anomaly_kind(anomaly.kind),
        anomaly.counted,
        anomaly.window_s,
        anomaly.usual
    )
}

/// What a reader stated.
pub(super) fn statement(statement: &v1::ReadStatement) -> Json {
    json!({
        "description": statement.description,
        "purpose": statement.purpose,
        "sensitivity": short(
            v1::Sensitivity::try_from(statement.sensitivity)
                .map_or("?", |sensitivity| sensitivity.as_str_name()),
            "SENSITIVITY_",
        ),
        "recipients": statement.recipients,
        "needed_by": statement.needed_by,
        "case": statement.case,
        "joint": statement.joint,
    })
}

/// What was searched for; what did not narrow the search is left out.
pub(super) fn filter(filter: &v1::ReadFilter) -> Json {
    let mut fields = serde_json::Map::new();
    let texts = [
        ("bank", &filter.bank),
        ("operator", &filter.operator),
        ("clause", &filter.clause),
        ("outcome", &filter.outcome),
        ("kind", &filter.kind),
    ];
    for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        fields.insert(name.to_owned(), text.as_str().into());
    }
    for (name, at) in [
        ("from", filter.from_unix_ms),
        ("until", filter.until_unix_ms),
    ] {
        let at = i64::try_from(at).ok().filter(|at| *at > 0);
        if let Some(at) = at.and_then(|at| Timestamp::from_millisecond(at).ok()) {
            fields.insert(name.to_owned(), at.to_string().into());
        }
    }
    if filter.signal != 0 {
        fields.insert("signal".to_owned(), signal_name(filter.signal).into());
    }
    if filter.purpose != 0 {
        fields.insert("purpose".to_owned(), purpose_name(filter.purpose).into());
    }
    if !filter.subject_tags.is_empty() {
        let tags: Vec<_> = filter.subject_tags.iter().map(|tag| hex(tag)).collect();
        fields.insert("subject_tags".to_owned(), tags.into());
    }
    fields.into()
}

/// An export.
pub(super) fn export(export: &v1::Export) -> Json {
    json!({
        "party": export.party,
        "format": export.format,
        "sha256": hex(&export.sha256),
        "entries": export.entries,
        "statement": export.statement.as_ref().map(statement),
    })
}

/// What a detector noticed.
pub(super) fn anomaly(anomaly: &v1::Anomaly) -> Json {
    json!({
        "kind": anomaly_kind(anomaly.kind),
        "bank": anomaly.bank,
        "application": anomaly.application,
        "subject_tag": hex(&anomaly.subject_tag),
        "tag_month": anomaly.tag_month,
        "counted": anomaly.counted,
        "usual": anomaly.usual,
        "window_s": anomaly.window_s,
    })
}

/// An act in the life of the agreement.
pub(super) fn agreement_act(act: &v1::AgreementAct) -> Json {
    json!({
        "kind": agreement_kind(act.kind),
        "party": act.party,
        "agreement": act.agreement,
        "agreement_version": act.agreement_version,
        "sha256": hex(&act.sha256),
        "target": act.target,
        "detail": act.detail,
        "note": act.note,
    })
}

/// What became of a month's key.
pub(super) fn key_act(act: &v1::KeyAct) -> Json {
    let digests = act
        .digests
        .iter()
        .map(|digest| json!({"name": digest.name, "sha256": hex(&digest.sha256)}));
    json!({
        "kind": key_kind(act.kind),
        "month": act.month,
        "party": act.party,
        "case": act.case,
        "digests": digests.collect::<Vec<_>>(),
        "subject_tag": hex(&act.subject_tag),
        "statement": act.statement.as_ref().map(statement),
        "note": act.note,
    })
}

/// Such as `enumeration`.
pub(super) fn anomaly_kind(number: i32) -> String {
    let kind = v1::anomaly::Kind::try_from(number);
    kind.map_or_else(
        |_| "?".to_owned(),
        |kind| short(kind.as_str_name(), "KIND_"),
    )
}

/// Such as `suspended`.
pub(super) fn agreement_kind(number: i32) -> String {
    let kind = v1::agreement_act::Kind::try_from(number);
    kind.map_or_else(
        |_| "?".to_owned(),
        |kind| short(kind.as_str_name(), "KIND_"),
    )
}

/// Such as `shredded`.
pub(super) fn key_kind(number: i32) -> String {
    let kind = v1::key_act::Kind::try_from(number);
    kind.map_or_else(
        |_| "?".to_owned(),
        |kind| short(kind.as_str_name(), "KIND_"),
    )
}
