//! What a bank may ask of which operator, as it stands before any number is named.

use std::sync::Arc;

use accord_proto::{
    agreement::{Clause, Decision},
    parties::Party,
    party::{OrgName, Role},
    purpose::Purpose,
    signal::Signal,
};
use jiff::Timestamp;

use super::Governed;

/// Why nothing of a signal may be asked of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotGranted {
    /// No clause stands between the two.
    NotContracted,
    /// Clauses stand between the two, and this is what they allow instead.
    NotAuthorised(String),
    /// A clause grants it, and an authority suspended the operator or the signal: the words say so.
    Suspended(String),
}

impl Governed {
    /// The operators that are licensed.
    pub fn licensed_operators(&self, now: Timestamp) -> impl Iterator<Item = &Party> {
        let operators = self.parties.all().iter();
        let operators = operators.filter(|party| party.id.role() == Role::Operator);
        operators.filter(move |party| party.licence_in_force(now).is_ok())
    }

    /// The clause by which a bank may ask an operator now. Whether the agreement is in force and the
    /// parties are licensed is for others to say.
    ///
    /// # Errors
    /// [`NotGranted`].
    pub fn granted(
        &self,
        bank: &OrgName,
        operator: &OrgName,
        signal: Signal,
        purpose: Purpose,
    ) -> Result<&Arc<Clause>, NotGranted> {
        let decision = self.agreement().decide(bank, operator, signal, purpose);
        let clause = match decision {
            Decision::Granted(clause) => clause,
            Decision::NotAuthorised(nearest) => {
                return Err(NotGranted::NotAuthorised(nearest.detail().to_owned()));
            }
            Decision::NotContracted => return Err(NotGranted::NotContracted),
        };
        match self.stopped(operator, signal) {
            Some(words) => Err(NotGranted::Suspended(words)),
            None => Ok(clause),
        }
    }
}
