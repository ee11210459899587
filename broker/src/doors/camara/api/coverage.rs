//! What a bank may ask, of whom, for what and how precisely: the agreement in force, as it stands
//! for one bank.
//!
//! It says what is granted, so it leaves out what is suspended and who is not licensed. It is a
//! reading of the agreement and not of anybody's data, so no entry is made of it.

use accord_proto::{
    agreement::{Clause, Thresholds},
    granularity::Granularity,
    parties::Party,
    party::OrgName,
    purpose::Purpose,
    signal::Signal,
};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::table::APIS;
use crate::governance::Governed;

/// Where it is read.
pub(super) const PATH: &str = "/accord/v1/coverage";

/// What a bank may ask now.
pub(super) fn body(governed: &Governed, bank: &OrgName, now: Timestamp) -> Json {
    let document = governed.signed().document();
    let term = document.term();
    let operators: Vec<_> = governed
        .licensed_operators(now)
        .filter_map(|party| operator(governed, bank, party))
        .collect();
    json!({
        "agreement": {
            "id": document.id(),
            "version": document.version(),
            "effective": term.effective().to_string(),
            "expires": term.expires().to_string(),
        },
        "operators": operators,
    })
}

fn operator(governed: &Governed, bank: &OrgName, party: &Party) -> Option<Json> {
    let operator = party.id.org();
    let mut permissions = Vec::new();
    for signal in Signal::ALL {
        for purpose in Purpose::ALL {
            if let Ok(clause) = governed.granted(bank, operator, *signal, *purpose) {
                permissions.push(permission(clause, *signal, *purpose));
            }
        }
    }
    let ranges: Vec<_> = party.ranges.iter().map(|range| range.as_str()).collect();
    (!permissions.is_empty()).then(|| {
        json!({
            "operator": operator.as_str(),
            "ranges": ranges,
            "permissions": permissions,
        })
    })
}

fn permission(clause: &Clause, signal: Signal, purpose: Purpose) -> Json {
    let mut permission = json!({
        "signal": signal.name(),
        "purpose": purpose.name(),
        "clause": clause.id.to_string(),
        "granularity": clause.granularity.name(),
        "ageMaxMinutes": clause.age_max_minutes,
        "consentRequired": clause.needs_consent(),
        "paths": paths(clause, signal),
    });
    let Some(members) = permission.as_object_mut() else {
        return permission;
    };
    if matches!(signal, Signal::SimSwap | Signal::DeviceSwap) {
        let thresholds = match &clause.thresholds {
            Thresholds::Any => json!("any"),
            Thresholds::None => json!([]),
            Thresholds::Offered(hours) => json!(hours),
        };
        members.insert("thresholdsHours".to_owned(), thresholds);
    }
    if clause.look_back_days > 0 {
        members.insert("lookBackDays".to_owned(), clause.look_back_days.into());
    }
    permission
}

/// The paths that a clause is precise enough for.
fn paths(clause: &Clause, signal: Signal) -> Vec<String> {
    let operations = APIS
        .iter()
        .flat_map(|api| api.endpoints.iter().map(move |endpoint| (api, endpoint)));
    operations
        .filter(|(_, endpoint)| {
            endpoint.operation.signal() == signal && clause.suits(endpoint.operation)
        })
        .map(|(api, endpoint)| format!("{}{}", api.base, endpoint.path))
        .collect()
}

/// The shape of it.
pub(super) fn schema() -> Json {
    let text = json!({ "type": "string" });
    let texts = json!({ "type": "array", "items": text });
    let hours = json!({ "type": "array", "items": { "type": "integer", "minimum": 1 } });
    json!({
        "type": "object",
        "required": ["agreement", "operators"],
        "properties": {
            "agreement": {
                "type": "object",
                "required": ["id", "version", "effective", "expires"],
                "properties": {
                    "id": text,
                    "version": { "type": "integer" },
                    "effective": { "type": "string", "format": "date" },
                    "expires": { "type": "string", "format": "date" },
                },
            },
            "operators": { "type": "array", "items": {
                "type": "object",
                "required": ["operator", "ranges", "permissions"],
                "properties": {
                    "operator": text,
                    "ranges": texts,
                    "permissions": { "type": "array", "items": {
                        "type": "object",
                        "required": ["signal", "purpose", "clause", "granularity", "ageMaxMinutes",
                            "consentRequired", "paths"],
                        "properties": {
                            "signal": text,
                            "purpose": text,
                            "clause": text,
                            "granularity": { "type": "string", "enum": Granularity::ALL.iter()
                                .map(|one| one.name()).collect::<Vec<_>>() },
                            "thresholdsHours": { "anyOf": [hours, { "const": "any" }] },
                            "lookBackDays": { "type": "integer", "minimum": 1 },
                            "ageMaxMinutes": { "type": "integer", "minimum": 1 },
                            "consentRequired": { "type": "boolean" },
                            "paths": texts,
                        },
                    } },
                },
            } },
        },
    })
}
