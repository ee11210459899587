//! OCSF API Activity (category 6, class 6003), for a SIEM, with the `record_integrity` profile: the
//! ledger's index, leaf hash and signed checkpoint stand where a SIEM looks for attestations.
//!
//! One schema version is written, and named in each event: [`VERSION`], the draft that has the
//! profile.

use accord_proto::v1::{self, entry::Event};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value as Json, json};

use super::Log;
use crate::{LedgerEntry, entry_view, footer::Footer, random::hex};

/// The schema that the events keep to.
pub(super) const VERSION: &str = "1.9.0-dev";

const CATEGORY: u32 = 6;
const CLASS: u32 = 6003;
const READ: u32 = 2;
const OTHER: u32 = 99;
/// `fingerprint.algorithm_id` of SHA-256.
const SHA256: u32 = 3;

/// An entry as an event, with its audit path where there is one.
pub(super) fn event(entry: &LedgerEntry, log: &Log, footer: &Footer, proof: Option<Json>) -> Json {
    let what = What::of(entry);
    let mut fields = Map::new();
    let mut put = |name: &str, value: Json| {
        fields.insert(name.to_owned(), value);
    };
    put("activity_id", what.activity.into());
    put(
        "activity_name",
        if what.activity == READ {
            "Read".into()
        } else {
            entry_view::kind(entry).into()
        },
    );
    put("actor", what.actor);
    put("api", what.api);
    put("attestation_list", json!([attested(entry, log)]));
    put("category_name", "Application Activity".into());
    put("category_uid", CATEGORY.into());
    put("class_name", "API Activity".into());
    put("class_uid", CLASS.into());
    if let Some(operator) = what.operator {
        put("dst_endpoint", json!({"name": operator}));
    }
    put("message", entry_view::summary(entry).into());
    put(
        "metadata",
        json!({
            "version": VERSION,
            "product": {"name": "Accord", "vendor_name": "Accord"},
            "profiles": ["record_integrity"],
            "uid": format!("{}/{}", entry.origin, entry.index),
            "log_name": entry.origin,
            "sequence": entry.index,
        }),
    );
    put("raw_data", STANDARD.encode(&entry.bytes).into());
    if let Some(tag) = what.subject_tag {
        put("resources", json!([{"type": "subject tag", "uid": tag}]));
    }
    put(
        "severity",
        if what.severity == 1 {
            "Informational"
        } else {
            "Medium"
        }
        .into(),
    );
    put("severity_id", what.severity.into());
    put("src_endpoint", json!({"name": what.source}));
    put(
        "status",
        if what.success { "Success" } else { "Failure" }.into(),
    );
    put("status_id", if what.success { 1 } else { 2 }.into());
    put("status_detail", what.detail.into());
    put("time", entry.entry.time_unix_ms.into());
    put("type_uid", (CLASS * 100 + what.activity).into());
    put("unmapped", unmapped(entry, footer, proof));
    fields.into()
}

/// What the `record_integrity` profile has: where the entry stands in the tree, and who signed that.
fn attested(entry: &LedgerEntry, log: &Log) -> Json {
    let leaf_hash = hex(&entry.leaf_hash());
    json!({
        "fingerprint": {"algorithm": "SHA-256", "algorithm_id": SHA256, "value": leaf_hash},
        "chain_uid": entry.origin,
        "uid": entry.index.to_string(),
        "signatures": [{
            "algorithm": "Ed25519 (C2SP tlog-checkpoint)",
            "algorithm_id": OTHER,
            "value": log.note,
        }],
    })
}

/// What OCSF has no name for: the entry's own fields, and to whom the event may be shown.
fn unmapped(entry: &LedgerEntry, footer: &Footer, proof: Option<Json>) -> Json {
    let kind = entry_view::kind(entry);
    let record = entry_view::json(entry);
    let mut unmapped = json!({
        "kind": kind,
        kind: record.get(kind),
        "confidentiality": footer,
    });
    if let (Some(fields), Some(proof)) = (unmapped.as_object_mut(), proof) {
        fields.insert("inclusion_proof".to_owned(), proof);
    }
    unmapped
}

/// The parts of an event that depend on the kind of entry.
struct What {
    activity: u32,
    actor: Json,
    api: Json,
    source: String,
    operator: Option<String>,
    subject_tag: Option<String>,
    severity: u32,
    success: bool,
    detail: String,
}

impl What {
    fn of(entry: &LedgerEntry) -> Self {
        match entry.entry.event.as_ref() {
            Some(Event::Access(access)) => Self::access(access),
            Some(event) => Self::act(event, entry),
            None => Self::plain("accord", entry_view::kind(entry)),
        }
    }

    fn access(access: &v1::Access) -> Self {
        let method = match access.bulk {
            true => "SignalService.Screen",
            false => "SignalService.Lookup",
        };
        let mut actor = json!({
            "app_name": access.application,
            "user": {"name": access.bank, "org": {"name": access.bank}},
        });
        if !access.on_behalf_of.is_empty()
            && let Some(fields) = actor.as_object_mut()
        {
            fields.insert("invoked_by".to_owned(), access.on_behalf_of.as_str().into());
        }
        let outcome = entry_view::outcome(access);
        Self {
            activity: READ,
            actor,
            operator: (!access.operator.is_empty()).then(|| access.operator.clone()),
            subject_tag: Some(hex(&access.subject_tag)),
            success: outcome != "unanswered",
            detail: outcome.to_owned(),
            ..Self::plain(&access.bank, method)
        }
    }

    fn act(event: &Event, entry: &LedgerEntry) -> Self {
        let kind = entry_view::kind(entry);
        let who = entry_view::party(event)
            .or_else(|| entry_view::bank(event))
            .or_else(|| entry_view::operator(event))
            .unwrap_or("accord-broker");
        let mut what = Self::plain(who, kind);
        what.operator = entry_view::operator(event).map(str::to_owned);
        match event {
            Event::AuditRead(read) => {
                what.activity = READ;
                what.api = api(&read.method);
            }
            Event::RefusedCall(call) => {
                what.api = api(&call.method);
                what.success = false;
                what.detail.clone_from(&call.reason);
            }
            Event::RefusalCount(_) => what.success = false,
            Event::DocumentLoaded(document) => what.success = document.refused.is_empty(),
            Event::Anomaly(_) => what.severity = 3,
            Event::LogOpened(_)
            | Event::Access(_)
            | Event::Operation(_)
            | Event::AdapterLink(_)
            | Event::SourceChanges(_)
            | Event::Export(_)
            | Event::AgreementAct(_)
            | Event::KeyAct(_) => {}
        }
        what
    }

    fn plain(who: &str, method: &str) -> Self {
        Self {
            activity: OTHER,
            actor: json!({"user": {"name": who}}),
            api: api(method),
            source: who.to_owned(),
            operator: None,
            subject_tag: None,
            severity: 1,
            success: true,
            detail: String::new(),
        }
    }
}

fn api(method: &str) -> Json {
    json!({"operation": method, "service": {"name": "Accord"}})
}
