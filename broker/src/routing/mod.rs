//! Which operator serves a number, on what basis, and how fresh that is.
//!
//! ```text
//!   list of ported numbers → portability database → ENUM → longest prefix
//!        documents              a file in memory    asked     list of parties
//! ```
//!
//! The first that knows the number decides. A supplier that fails leaves the operator unknown: its
//! silence never reads as *not ported*.

mod database;
mod metrics;
mod outside;
mod supplier;
mod table;

use std::{collections::BTreeMap, sync::Arc};

use accord_proto::{msisdn::Msisdn, party::OrgName, reason::Reason, v1};
use jiff::Timestamp;
use tokio::time::Instant;

pub use database::{DatabaseError, DatabaseFile, DatabaseWatch};
pub use metrics::RoutingMetrics;
pub use outside::{OpenError, Outside};
pub use table::RouteTable;

use self::{database::Database, outside::Said};
use crate::governance::Governed;

/// How an operator was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoutingBasis {
    /// By ENUM (RFC 6116).
    Enum,
    /// Listed as ported.
    Ported,
    /// Longest prefix.
    Prefix,
}

impl RoutingBasis {
    pub(crate) const fn to_wire(self) -> v1::RoutingBasis {
        match self {
            Self::Enum => v1::RoutingBasis::Enum,
            Self::Ported => v1::RoutingBasis::Ported,
            Self::Prefix => v1::RoutingBasis::Prefix,
        }
    }
}

/// Which operator serves a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Who.
    pub operator: OrgName,
    /// How that is known.
    pub basis: RoutingBasis,
    /// As of when: when the database was made, or the supplier answered. What happened later is not
    /// in it. `None` for the list of parties, and for a list of ported numbers, which has no date.
    pub as_of: Option<Timestamp>,
}

/// Everything that routes a number and is no signed document.
#[derive(Debug, Default)]
pub struct Routing {
    database: Option<Arc<Database>>,
    outside: Outside,
}

impl Routing {
    /// Of a database that is kept current, and suppliers that are asked.
    #[must_use]
    pub fn new(database: Option<&DatabaseWatch>, outside: Outside) -> Self {
        Self {
            database: database.map(DatabaseWatch::database),
            outside,
        }
    }

    /// Finds the operator of a number. `ask_by`: until when a supplier may be asked, `None` where
    /// nobody outside may learn of the question.
    ///
    /// # Errors
    /// [`Reason::NotCovered`]: it is known that no operator of Accord serves the number.
    /// [`Reason::RouteUnknown`]: it is not known who does.
    pub async fn route(
        &self,
        governed: &Governed,
        msisdn: &Msisdn,
        now: Timestamp,
        ask_by: Option<Instant>,
    ) -> Result<Route, Reason> {
        if let Some(known) = self.ported(governed, msisdn, now) {
            return known;
        }
        let said = match ask_by {
            Some(by) => self.outside.ask(msisdn, now, by).await,
            None => Said::Nothing,
        };
        match said {
            Said::Served(operator, as_of) => {
                registered(governed, operator, RoutingBasis::Enum, Some(as_of))
            }
            Said::Unknown => Err(Reason::RouteUnknown),
            // As of when nobody had it ported is worth knowing, too.
            Said::NotPorted(as_of) => by_prefix(governed, msisdn, Some(as_of)),
            Said::Nothing => by_prefix(governed, msisdn, self.as_of()),
        }
    }

    /// Whether a number may be an operator's, as far as that is known without asking anybody. What
    /// only a supplier could say is not held against the operator.
    #[must_use]
    pub fn may_serve(
        &self,
        governed: &Governed,
        operator: &OrgName,
        msisdn: &Msisdn,
        now: Timestamp,
    ) -> bool {
        match self.ported(governed, msisdn, now) {
            Some(Ok(route)) => route.operator == *operator,
            Some(Err(_)) => false,
            None => {
                self.outside.covers(msisdn) || governed.routes().prefix(msisdn) == Some(operator)
            }
        }
    }

    /// What the list of ported numbers says, or the database.
    fn ported(
        &self,
        governed: &Governed,
        msisdn: &Msisdn,
        now: Timestamp,
    ) -> Option<Result<Route, Reason>> {
        if let Some(operator) = governed.routes().ported(msisdn) {
            return Some(Ok(Route {
                operator: operator.clone(),
                basis: RoutingBasis::Ported,
                as_of: None,
            }));
        }
        let (recipient, as_of) = self.database.as_ref()?.find(msisdn, now)?;
        let basis = RoutingBasis::Ported;
        Some(registered(governed, recipient, basis, Some(as_of)))
    }

    fn as_of(&self) -> Option<Timestamp> {
        self.database.as_ref().map(|database| database.as_of())
    }
}

/// An operator that the list of parties does not know is not reached, whatever the number's range says.
fn registered(
    governed: &Governed,
    operator: Option<OrgName>,
    basis: RoutingBasis,
    as_of: Option<Timestamp>,
) -> Result<Route, Reason> {
    let known = operator.filter(|operator| governed.operator(operator).is_some());
    let operator = known.ok_or(Reason::NotCovered)?;
    Ok(Route {
        operator,
        basis,
        as_of,
    })
}

fn by_prefix(
    governed: &Governed,
    msisdn: &Msisdn,
    as_of: Option<Timestamp>,
) -> Result<Route, Reason> {
    let operator = governed.routes().prefix(msisdn);
    let operator = operator.ok_or(Reason::NotCovered)?.clone();
    Ok(Route {
        operator,
        basis: RoutingBasis::Prefix,
        as_of,
    })
}

/// How suppliers and databases name operators, to the names in the list of parties.
type Names = BTreeMap<String, OrgName>;
