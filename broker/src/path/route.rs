//! Which operator serves the number.

use accord_proto::{party::OrgName, reason::Reason};

use super::authenticate::Asked;
use crate::routing::RoutingBasis;

/// A question whose operator is known, or known not to be reached.
pub(super) struct Routed {
    pub(super) asked: Asked,
    pub(super) operator: Result<(OrgName, RoutingBasis), Reason>,
    _seal: Seal,
}

struct Seal;

pub(super) fn route(asked: Asked) -> Routed {
    let operator = asked
        .governed
        .routes()
        .route(&asked.question.msisdn)
        .map(|(operator, basis)| (operator.clone(), basis))
        .ok_or(Reason::NotCovered);
    Routed {
        asked,
        operator,
        _seal: Seal,
    }
}
