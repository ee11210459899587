//! What the operator knows: from the view, where the clause grants caching, else from an adapter.

use std::sync::Arc;

use accord_proto::{observation::Observation, party::PartyId, reason::Reason, signal::Signal, v1};

use tokio::time::Instant;

use super::{
    authorise::{Denied, Permit},
    limit::Admitted,
    parts::Parts,
    route::Routed,
};
use crate::link::{
    AskDraft, Evidence, Fetched, Operator, Patience, ReportPermit, Said, restrictions::NumberDigest,
};

/// A permitted signal and what was seen of it.
pub(super) struct Seen {
    pub(super) permit: Permit,
    /// An observation, or the operator's reason; `None` until it is known.
    pub(super) outcome: Option<Result<Observation, Reason>>,
    /// What an answer from the view rests on; `None`: it is not from there.
    pub(super) from_view: Option<Said>,
}

impl Seen {
    const fn unasked(permit: Permit) -> Self {
        Self {
            permit,
            outcome: None,
            from_view: None,
        }
    }

    const fn signal(&self) -> Signal {
        self.permit.question.signal()
    }
}

/// A question with all that is known about it.
pub(super) struct Observed {
    pub(super) admitted: Admitted,
    /// One for each signal, in the order asked.
    pub(super) signals: Vec<Result<Seen, Denied>>,
    pub(super) customer_lock: bool,
    pub(super) evidence: Option<Evidence>,
    /// Room for the report that a view-served answer owes the operator.
    pub(super) report: Option<ReportPermit>,
    _seal: Seal,
}

struct Seal;

impl Observed {
    /// Who serves the number, as the list of parties has it.
    fn operator(&self) -> Option<&PartyId> {
        let Routed { asked, route, .. } = &self.admitted.routed;
        asked.governed.operator(&route.as_ref().ok()?.operator)
    }

    /// Whether the entry says who serves the number: some clause lets the bank ask, or did when the
    /// operator was asked.
    pub(super) fn names_operator(&self) -> bool {
        self.evidence.is_some() || self.signals.iter().any(Result::is_ok)
    }

    /// Signals of which nothing is known yet.
    fn unknown(&mut self) -> impl Iterator<Item = &mut Seen> {
        self.signals
            .iter_mut()
            .filter_map(|signal| signal.as_mut().ok())
            .filter(|seen| seen.outcome.is_none())
    }
}

/// Fetches what may be known. It never fails: each signal has an observation or a reason.
pub(super) async fn fetch(parts: &Parts, mut admitted: Admitted) -> Observed {
    let permits = std::mem::take(&mut admitted.permits);
    let operator = match &admitted.routed.route {
        Ok(route) => parts.links.operator(&route.operator).map(|links| {
            let msisdn = &admitted.routed.asked.question.msisdn;
            (links, parts.views.digest(&route.operator, msisdn))
        }),
        Err(_) => None,
    };
    let mut observed = Observed {
        admitted,
        signals: permits
            .into_iter()
            .map(|permit| permit.map(Seen::unasked))
            .collect(),
        customer_lock: false,
        evidence: None,
        report: None,
        _seal: Seal,
    };
    if let Some((operator, digest)) = operator {
        observed.customer_lock = operator.swap_locked(&digest);
        restrict(&mut observed, &operator, &digest);
        from_view(parts, &mut observed, &operator, &digest);
        from_operator(parts, &mut observed, &operator, &digest).await;
        // What was stopped while the operator was asked is stopped for this answer too.
        restrict(&mut observed, &operator, &digest);
    }
    observed
        .unknown()
        .for_each(|seen| seen.outcome = Some(Err(Reason::SourceDown)));
    observed
}

/// Kill switches and opt-outs come before the view and before the operator is bothered, and once
/// more before anything is told.
fn restrict(observed: &mut Observed, operator: &Operator, digest: &NumberDigest) {
    let caller = Arc::clone(&observed.admitted.routed.asked.caller);
    let bank = caller.party().org();
    let opted_out = operator.opted_out(digest);
    for seen in observed.signals.iter_mut().flatten() {
        if operator.kills(bank, seen.signal()) {
            seen.outcome = Some(Err(Reason::Suspended));
        } else if opted_out && seen.permit.clause.opt_out_honoured {
            seen.outcome = Some(Err(Reason::OptedOut));
        }
    }
}

/// Serves from the view up to the age that the clause grants. Each such answer is reported to the
/// operator, so without room for a report the view serves nothing.
fn from_view(parts: &Parts, observed: &mut Observed, operator: &Operator, digest: &NumberDigest) {
    let now = observed.admitted.routed.asked.now;
    let (mut report, mut customer_lock) = (None, false);
    for seen in observed.unknown() {
        let Some(age_max) = seen.permit.clause.caching() else {
            continue;
        };
        let age_max = age_max.min(seen.permit.clause.age_max());
        let Some(known) = parts.views.find(digest, seen.signal()) else {
            continue;
        };
        if now.duration_since(known.observation.observed_at) > age_max {
            continue;
        }
        if report.is_none() {
            report = operator.reserve_report();
        }
        if report.is_some() {
            seen.outcome = Some(Ok(known.observation));
            seen.from_view = Some(known.rests_on);
            customer_lock |= known.customer_lock;
        }
    }
    observed.customer_lock |= customer_lock;
    observed.report = report;
}

async fn from_operator(
    parts: &Parts,
    observed: &mut Observed,
    operator: &Operator,
    digest: &NumberDigest,
) {
    let wanted: Vec<(Signal, v1::Basis)> = observed
        .unknown()
        .map(|seen| (seen.signal(), basis(&seen.permit)))
        .collect();
    if wanted.is_empty() {
        return;
    }
    let draft = draft(observed, wanted);
    let within = parts.limits.operator_deadline;
    let said = if draft.bulk {
        operator.ask_in_turn(&draft, within, &parts.clock).await
    } else {
        let patience = Patience {
            by: fetch_by(parts, observed.admitted.routed.asked.deadline),
            own: within,
        };
        operator.ask(&draft, patience, &parts.clock).await
    };
    if let (Some((instance, why)), Some(party)) = (said.not_believed, observed.operator()) {
        parts.refusals.not_believed(party, instance, why);
    }
    observed.customer_lock |= said.customer_lock;
    for fetched in said.signals {
        let Some(seen) = observed
            .unknown()
            .find(|seen| seen.signal() == fetched.signal)
        else {
            continue;
        };
        let evidence = said.evidence.as_ref();
        let lock = said.customer_lock;
        keep_in_view(parts, operator, digest, &fetched, seen, lock, evidence);
        seen.outcome = Some(fetched.outcome);
    }
    observed.evidence = said.evidence;
}

/// Keeps what was fetched, under a clause that grants it. Under any other it is held against what the
/// view has: what the operator denies, or can't tell any more, is not served from a view either.
fn keep_in_view(
    parts: &Parts,
    operator: &Operator,
    digest: &NumberDigest,
    fetched: &Fetched,
    seen: &Seen,
    customer_lock: bool,
    evidence: Option<&Evidence>,
) {
    let (views, signal, clock) = (&parts.views, fetched.signal, &parts.clock);
    match &fetched.outcome {
        Ok(observation) => views.unless_opted_out(operator, digest, clock, || {
            if seen.permit.clause.caching().is_none() {
                let said = Some((observation, customer_lock));
                views.doubt(digest, signal, said, clock.now());
            } else if let Some(Evidence { said, .. }) = evidence {
                // An observation always comes with a reply.
                views.keep(digest, signal, observation, customer_lock, said);
            }
        }),
        Err(reason) if speaks_of_number(*reason) => {
            views.doubt(digest, signal, None, clock.now());
        }
        Err(_) => {}
    }
}

/// Whether an operator that answers this has looked at what it knows of the number.
const fn speaks_of_number(reason: Reason) -> bool {
    match reason {
        Reason::NotOurs
        | Reason::OptedOut
        | Reason::UnknownNumber
        | Reason::NotAvailable
        | Reason::NotWatched
        | Reason::Undecided
        | Reason::Contradicted
        | Reason::Stale => true,
        // Of a bank, a clause, the way there, or systems that did not answer.
        Reason::NotCovered
        | Reason::RouteUnknown
        | Reason::NotContracted
        | Reason::NotAuthorised
        | Reason::ConsentMissing
        | Reason::Suspended
        | Reason::OutOfRange
        | Reason::Timeout
        | Reason::SourceDown
        | Reason::Overloaded
        | Reason::Quota => false,
    }
}

/// The operator has its own deadline, or what the caller's leaves of it.
fn fetch_by(parts: &Parts, caller: Option<Instant>) -> Instant {
    let own = Instant::now() + parts.limits.operator_deadline;
    let margin = parts.limits.release_margin;
    caller
        .and_then(|deadline| deadline.checked_sub(margin))
        .map_or(own, |left| left.min(own))
}

fn draft(observed: &Observed, wanted: Vec<(Signal, v1::Basis)>) -> AskDraft {
    let asked = &observed.admitted.routed.asked;
    let (signals, bases) = wanted.into_iter().unzip();
    AskDraft {
        msisdn: asked.question.msisdn,
        signals,
        bases,
        bank: asked.caller.party().org().clone(),
        on_behalf_of: asked.question.on_behalf_of.clone(),
        purpose: asked.question.purpose,
        consent_ref: asked.question.consent_ref.clone(),
        bulk: asked.bulk,
    }
}

/// What the operator is told of why a signal may be asked.
pub(super) fn basis(permit: &Permit) -> v1::Basis {
    v1::Basis {
        clause: permit.clause.id.to_string(),
        legal_basis: permit.clause.legal_basis.name().to_owned(),
        overrides_opt_out: !permit.clause.opt_out_honoured,
    }
}
