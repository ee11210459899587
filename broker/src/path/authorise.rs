//! What the agreement says of each signal: the clause that allows it, or why none does.

use std::sync::Arc;

use accord_proto::{
    agreement::{Clause, Decision},
    party::OrgName,
    reason::Reason,
    signal::Question,
};

use super::{authenticate::Asked, route::Routed};

/// The right to learn one signal of one number under one clause.
#[derive(Clone, Debug)]
pub(super) struct Permit {
    pub(super) question: Question,
    pub(super) clause: Arc<Clause>,
    /// The threshold that applies; `None` for the clause's most precise answer.
    pub(super) threshold_hours: Option<u32>,
    _seal: Seal,
}

#[derive(Clone, Debug)]
struct Seal;

/// Why one signal has no value, with the clause that says so.
#[derive(Clone, Debug)]
pub(super) struct Denied {
    pub(super) reason: Reason,
    pub(super) clause: String,
    pub(super) detail: String,
}

impl Denied {
    /// A reason whose meaning says all there is to say.
    pub(super) fn plain(reason: Reason) -> Self {
        Self {
            reason,
            clause: String::new(),
            detail: reason.consequence().meaning.to_owned(),
        }
    }

    /// A reason under a clause.
    pub(super) fn under(clause: &Clause, reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            clause: clause.id.to_string(),
            detail: detail.into(),
        }
    }
}

/// A question, each signal of which is permitted or denied by itself.
pub(super) struct Permitted {
    pub(super) routed: Routed,
    /// One for each signal, in the order asked.
    pub(super) permits: Vec<Result<Permit, Denied>>,
    _seal: Seal,
}

pub(super) fn authorise(routed: Routed) -> Permitted {
    let permits = match &routed.route {
        Ok(route) => {
            let one = |question| permit(&routed.asked, &route.operator, question);
            routed.asked.question.questions.iter().map(one).collect()
        }
        Err(reason) => {
            let denied = || Err(Denied::plain(*reason));
            routed
                .asked
                .question
                .questions
                .iter()
                .map(|_| denied())
                .collect()
        }
    };
    Permitted {
        routed,
        permits,
        _seal: Seal,
    }
}

pub(super) fn permit(
    asked: &Asked,
    operator: &OrgName,
    question: &Question,
) -> Result<Permit, Denied> {
    let lookup = &asked.question;
    if !asked.governed.operator_licensed(operator, asked.now) {
        return Err(Denied::plain(Reason::Suspended));
    }
    let bank = asked.caller.party().org();
    let agreement = asked.governed.agreement();
    let clause = match agreement.decide(bank, operator, question.signal(), lookup.purpose) {
        Decision::Granted(clause) => clause,
        Decision::NotContracted => return Err(Denied::plain(Reason::NotContracted)),
        Decision::NotAuthorised(nearest) => {
            return Err(Denied {
                reason: Reason::NotAuthorised,
                clause: nearest
                    .clauses()
                    .first()
                    .map_or_else(String::new, ToString::to_string),
                detail: nearest.detail().to_owned(),
            });
        }
    };
    if let Some(detail) = asked.governed.stopped(operator, question.signal()) {
        return Err(Denied::under(clause, Reason::Suspended, detail));
    }
    let deny = |reason, detail: String| Err(Denied::under(clause, reason, detail));
    if !clause.permits_principal(lookup.on_behalf_of.as_ref()) {
        return deny(
            Reason::NotAuthorised,
            "the clause does not name this principal".to_owned(),
        );
    }
    if clause.needs_consent() && lookup.consent_ref.is_none() {
        let detail = format!("clause {} requires a consent reference", clause.id);
        return deny(Reason::ConsentMissing, detail);
    }
    let threshold_hours = match question {
        Question::SimSwap { threshold_hours } | Question::DeviceSwap { threshold_hours } => {
            match clause.threshold_hours(*threshold_hours) {
                Ok(threshold) => threshold,
                Err(error) => return deny(Reason::OutOfRange, error.to_string()),
            }
        }
        Question::CallForwarding
        | Question::Roaming
        | Question::NumberRecycling { .. }
        | Question::Tenure { .. }
        | Question::SignallingAnomaly { .. } => None,
    };
    if let Some(since) = question.since()
        && !clause.looks_back_to(since, asked.now)
    {
        let days = clause.look_back_days;
        let detail = format!("clause {} looks back {days} days", clause.id);
        return deny(Reason::OutOfRange, detail);
    }
    Ok(Permit {
        question: *question,
        clause: Arc::clone(clause),
        threshold_hours,
        _seal: Seal,
    })
}
