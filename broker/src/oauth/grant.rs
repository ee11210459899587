//! Whether a client may have what it asks for: what its registration and the agreement in force do
//! not allow is refused here already, before anybody could ask with it.

use accord_proto::{
    agreement::ClauseId,
    camara::{Operation, Requested, Scopes},
    granularity::Granularity,
    parties::{Client, Party},
    party::OrgName,
    purpose::Purpose,
    signal::Signal,
};
use jiff::Timestamp;

use super::error::TokenRefusal;
use crate::governance::{Governed, NotGranted};

/// Checks what a registered client asks for.
///
/// # Errors
/// The first rule that it breaks.
pub(super) fn check(
    governed: &Governed,
    party: &Party,
    client: &Client,
    requested: &Requested,
    now: Timestamp,
) -> Result<(), TokenRefusal> {
    governed.check_in_force(now)?;
    let purpose = client.purpose(&requested.purpose).ok_or_else(|| {
        let known = client.purposes.iter().map(|(stated, _)| stated.as_str());
        TokenRefusal::PurposeNotRegistered(known.collect::<Vec<_>>().join(", "))
    })?;
    check_registered(client, requested.scopes)?;
    for scope in requested.scopes.iter() {
        let allowed = check_agreement(governed, party.id.org(), scope, purpose, now);
        allowed.map_err(|why| TokenRefusal::NotAllowed {
            scope,
            purpose,
            why: why.to_string(),
        })?;
    }
    Ok(())
}

fn check_registered(client: &Client, asked: Scopes) -> Result<(), TokenRefusal> {
    if asked.is_within(client.scopes) {
        return Ok(());
    }
    let beyond = asked
        .iter()
        .filter(|word| Scopes::of(word).is_none_or(|one| !one.is_within(client.scopes)))
        .map(|word| format!("`{word}`"));
    let beyond: Vec<_> = beyond.collect();
    Err(TokenRefusal::ScopeNotRegistered(beyond.join(", ")))
}

/// The operations that a scope lets its holder call.
fn operations_of(scope: &str) -> impl Iterator<Item = Operation> {
    let one = Scopes::of(scope).unwrap_or_default();
    let all = Operation::ALL.into_iter();
    all.filter(move |operation| one.allows(*operation))
}

/// Whether some operator may answer some operation of the scope: which operator is asked, the number
/// says later, and the rest of the scope is looked at again with each question.
fn check_agreement(
    governed: &Governed,
    bank: &OrgName,
    scope: &'static str,
    purpose: Purpose,
    now: Timestamp,
) -> Result<(), Why> {
    let mut nearest = Why::NotContracted;
    for operation in operations_of(scope) {
        let signal = operation.signal();
        for operator in governed.licensed_operators(now) {
            let granted = governed.granted(bank, operator.id.org(), signal, purpose);
            let why = match granted {
                Ok(clause) if clause.suits(operation) => return Ok(()),
                Ok(clause) => Why::TooCoarse(clause.id.clone(), clause.granularity, signal),
                Err(NotGranted::Suspended(words)) => {
                    Why::Suspended(operator.id.org().clone(), words)
                }
                Err(NotGranted::NotAuthorised(instead)) => Why::NotAuthorised(instead),
                Err(NotGranted::NotContracted) => Why::NotContracted,
            };
            if why.nearness() > nearest.nearness() {
                nearest = why;
            }
        }
    }
    Err(nearest)
}

/// Why no operator may answer anything of a scope, by the one that comes nearest.
#[derive(Debug, thiserror::Error)]
enum Why {
    #[error("no clause stands between this bank and any operator")]
    NotContracted,
    #[error("{0}")]
    NotAuthorised(String),
    #[error(
        "clause {0} grants {2} as `{1}`, from which no operation of this scope can be answered"
    )]
    TooCoarse(ClauseId, Granularity, Signal),
    #[error("{0}: {1}")]
    Suspended(OrgName, String),
}

impl Why {
    const fn nearness(&self) -> u8 {
        match self {
            Self::NotContracted => 0,
            Self::NotAuthorised(_) => 1,
            Self::TooCoarse(..) => 2,
            Self::Suspended(..) => 3,
        }
    }
}
