//! Answers as JSON: the shape that `--json` and the output of `screen` share.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value as Json, json};

use crate::{
    Answered, Outcome, SignalOutcome, Value,
    random::hex,
    words::{Place, outcome_words},
};
use accord_proto::observation::{AttackKind, Forwarding, ForwardingTarget, SwapKind};

/// An answer. `evidence` is what a bank keeps to prove what it was told: the exact bytes and the
/// nonce, base64.
pub(super) fn answered(answered: &Answered) -> Json {
    let answer = &answered.answer;
    let receipt = &answered.receipt;
    json!({
        "answered_at": answer.answered_at.to_string(),
        "agreement": {"id": answer.agreement, "version": answer.agreement_version},
        "routing_basis": answer.routing_basis.map(|basis| basis.name()),
        "routing_as_of": answer.routing_as_of.map(|at| at.to_string()),
        "request_id": answer.request_id,
        "signals": answer.signals.iter().map(signal).collect::<Vec<_>>(),
        "receipt": {
            "origin": receipt.origin,
            "index": receipt.index,
            "leaf_hash": hex(&receipt.leaf_hash),
            "assurance": receipt.assurance.words(),
            "proof": receipt.proof,
        },
        "evidence": {
            "answer": STANDARD.encode(&answered.answer_bytes),
            "nonce": STANDARD.encode(answered.nonce),
        },
    })
}

fn signal(outcome: &SignalOutcome) -> Json {
    let (status, value, reason, detail) = match &outcome.outcome {
        Outcome::Value {
            value,
            swap_kind,
            attack_kind,
        } => {
            let mut value = self::value(value);
            let kinds = [
                ("swap_kind", swap_kind.map(SwapKind::name)),
                ("attack_kind", attack_kind.map(AttackKind::name)),
            ];
            for (name, kind) in kinds {
                if let (Some(kind), Some(object)) = (kind, value.as_object_mut()) {
                    object.insert(name.to_owned(), kind.into());
                }
            }
            ("answered", Some(value), None, None)
        }
        Outcome::Unanswered { reason, detail } => {
            ("unanswered", None, Some(reason.name()), Some(detail))
        }
    };
    json!({
        "signal": outcome.signal().name(),
        "threshold_hours": outcome.question.threshold_hours(),
        "since": outcome.question.since().map(|since| since.to_string()),
        "status": status,
        "value": value,
        "reason": reason,
        "detail": detail,
        "words": outcome_words(outcome, Place::Line),
        "clause": outcome.clause,
        "observed_at": outcome.observed_at.map(|at| at.to_string()),
        "source": outcome.source.map(|source| source.name()),
        "customer_lock": outcome.customer_lock,
    })
}

fn value(value: &Value) -> Json {
    match value {
        Value::YesNo(yes) => json!({"yes_no": yes}),
        Value::Band {
            lowest,
            highest,
            at_least,
        } => json!({"band": {
            "lowest": lowest.words(),
            "highest": highest.words(),
            "at_least": at_least,
        }}),
        Value::Interval { after, before } => json!({"interval": {
            "after": after.map(|at| at.to_string()),
            "before": before.map(|at| at.to_string()),
        }}),
        Value::Forwarding(active) => {
            json!({"forwarding": active.iter().map(forwarding).collect::<Vec<_>>()})
        }
        Value::Roaming(roaming) => json!({"roaming": {
            "roaming": roaming.roaming,
            "visited_mcc": roaming.visited_mcc,
        }}),
    }
}

fn forwarding(forwarding: &Forwarding) -> Json {
    let target = match forwarding.target {
        ForwardingTarget::AnotherNumber => Some("another_number"),
        ForwardingTarget::OwnVoicemail => Some("own_voicemail"),
        ForwardingTarget::Unknown => None,
    };
    json!({"condition": forwarding.condition.name(), "target": target})
}
