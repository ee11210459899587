//! From what was observed to what the bank is told: no finer than the clause, and nothing that the
//! agreement stopped allowing meanwhile.

use accord_proto::{observation::SourceClass, reason::Reason, v1, wire};

use super::{
    authenticate::still_may,
    authorise::{self, Denied},
    derive::derive,
    fetch::{Observed, Seen},
    parts::Parts,
    refusal::Refusal,
};

/// The answer, and what the record will say about each signal.
pub(super) struct Minimised {
    pub(super) observed: Observed,
    pub(super) answer: v1::Answer,
    pub(super) records: Vec<v1::SignalRecord>,
    _seal: Seal,
}

struct Seal;

pub(super) fn minimise(parts: &Parts, mut observed: Observed) -> Minimised {
    reconsider(parts, &mut observed);
    let asked = &observed.admitted.routed.asked;
    let now = parts.clock.now();
    let mut answers = Vec::with_capacity(observed.signals.len());
    let mut records = Vec::with_capacity(observed.signals.len());
    for (question, signal) in asked.question.questions.iter().zip(&observed.signals) {
        let mut answer = v1::SignalAnswer {
            signal: question.signal().to_wire() as i32,
            ..v1::SignalAnswer::default()
        };
        let mut record = v1::SignalRecord {
            signal: answer.signal,
            ..v1::SignalRecord::default()
        };
        match signal {
            Ok(seen) => {
                answered(&mut answer, &mut record, seen, now, observed.customer_lock);
            }
            Err(denied) => deny(&mut answer, &mut record, denied),
        }
        answers.push(answer);
        records.push(record);
    }
    // Whether a number was ported is for banks that some clause lets ask about it.
    let (basis, routing_as_of) = match &observed.admitted.routed.route {
        Ok(route) if observed.signals.iter().any(Result::is_ok) => {
            (route.basis.to_wire(), route.as_of.map(wire::timestamp))
        }
        Ok(_) | Err(_) => (v1::RoutingBasis::Unspecified, None),
    };
    // No answer cites what is not in force; its entry says under what it was asked.
    let (agreement, agreement_version) = match asked.governed.check_in_force(now) {
        Ok(()) => asked.governed.agreement_name(),
        Err(_) => Default::default(),
    };
    let answer = v1::Answer {
        answered_at: Some(wire::timestamp(now)),
        agreement,
        agreement_version,
        routing_basis: basis as i32,
        routing_as_of,
        signals: answers,
        request_id: asked.question.request_id.clone().unwrap_or_default(),
    };
    Minimised {
        observed,
        answer,
        records,
        _seal: Seal,
    }
}

/// While a line waited or the operator was asked, certificate, licence or agreement may have ended
/// or changed. What the agreement in force now does not grant under the very same clause is not
/// answered, and to a bank that may no longer ask nothing is.
fn reconsider(parts: &Parts, observed: &mut Observed) {
    let current = parts.governance.current();
    let asked = &mut observed.admitted.routed.asked;
    let changed = current.generation() != asked.governed.generation();
    let may = still_may(parts, asked, &current);
    if may.is_ok() && !changed {
        return;
    }
    asked.governed = current;
    let Ok(route) = &observed.admitted.routed.route else {
        return;
    };
    for signal in &mut observed.signals {
        let Ok(seen) = signal else { continue };
        let again = authorise::permit(
            &observed.admitted.routed.asked,
            &route.operator,
            &seen.permit.question,
        );
        let changed = "certificate, licence or agreement ended or changed meanwhile";
        let detail = match (&may, again) {
            (Err(suspended @ Refusal::Suspended(_)), _) => suspended.to_string(),
            (Ok(()), Err(denied)) if denied.reason == Reason::Suspended => denied.detail,
            (Ok(()), Ok(again)) if again.clause == seen.permit.clause => continue,
            (Ok(()) | Err(_), _) => changed.to_owned(),
        };
        let reason = Reason::Suspended;
        *signal = Err(Denied::under(&seen.permit.clause, reason, detail));
    }
}

fn deny(answer: &mut v1::SignalAnswer, record: &mut v1::SignalRecord, denied: &Denied) {
    answer.clause.clone_from(&denied.clause);
    record.clause.clone_from(&denied.clause);
    unanswered(answer, record, denied.reason, denied.detail.clone());
}

fn unanswered(
    answer: &mut v1::SignalAnswer,
    record: &mut v1::SignalRecord,
    reason: Reason,
    detail: String,
) {
    record.reason = reason.to_wire() as i32;
    let unanswered = v1::Unanswered {
        reason: record.reason,
        detail,
    };
    answer.outcome = Some(v1::signal_answer::Outcome::Unanswered(unanswered));
}

fn answered(
    answer: &mut v1::SignalAnswer,
    record: &mut v1::SignalRecord,
    seen: &Seen,
    now: jiff::Timestamp,
    customer_lock: bool,
) {
    let clause = &seen.permit.clause;
    answer.clause = clause.id.to_string();
    record.clause.clone_from(&answer.clause);
    record.granularity = clause.granularity.name().to_owned();
    record.threshold_hours = seen.permit.threshold_hours.unwrap_or(0);
    record.from_view = seen.from_view.is_some();
    record.rests_on = seen.from_view.as_ref().map(|said| said.to_wire(0));
    let derived = match &seen.outcome {
        Some(Ok(observation)) => {
            answer.observed_at = Some(wire::timestamp(observation.observed_at));
            answer.source = SourceClass::to_wire(observation.source) as i32;
            let threshold = seen.permit.threshold_hours;
            derive(&seen.permit.question, threshold, clause, observation, now)
        }
        Some(Err(reason)) => Err(*reason),
        None => Err(Reason::SourceDown),
    };
    match derived {
        Ok(derived) => {
            // Only beside a value: of a subscriber who opted out nothing at all is told.
            answer.customer_lock = customer_lock && clause.customer_lock;
            answer.outcome = Some(v1::signal_answer::Outcome::Value(derived.to_wire()));
        }
        Err(reason) => {
            unanswered(
                answer,
                record,
                reason,
                reason.consequence().meaning.to_owned(),
            );
        }
    }
}
