//! Which operator serves the number.

use accord_proto::reason::Reason;
use tokio::time::Instant;

use super::{authenticate::Asked, parts::Parts};
use crate::routing::Route;

/// A question whose operator is known, or known not to be reached.
pub(super) struct Routed {
    pub(super) asked: Asked,
    pub(super) route: Result<Route, Reason>,
    _seal: Seal,
}

struct Seal;

/// Suppliers of portability data learn of a question only if the bank holds some clause for its
/// purpose: else nobody would be told the operator anyway.
pub(super) async fn route(parts: &Parts, asked: Asked) -> Routed {
    let bank = asked.caller.party().org();
    let purpose = asked.question.purpose;
    let agreement = asked.governed.agreement();
    let ask_by = agreement
        .has_any_clause(bank, purpose)
        .then(|| ask_by(parts, asked.deadline));
    let (governed, msisdn) = (&asked.governed, &asked.question.msisdn);
    let route = parts
        .routing
        .route(governed, msisdn, asked.now, ask_by)
        .await;
    Routed {
        asked,
        route,
        _seal: Seal,
    }
}

/// Each supplier has its own time, or what the caller's deadline leaves of it.
fn ask_by(parts: &Parts, caller: Option<Instant>) -> Instant {
    let own = Instant::now() + parts.limits.operator_deadline;
    let margin = parts.limits.release_margin;
    caller
        .and_then(|deadline| deadline.checked_sub(margin))
        .map_or(own, |left| left.min(own))
}
