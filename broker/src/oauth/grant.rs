//! Whether a client may have what it asks for: what its registration and the agreement in force do
//! not allow is refused here already, before anybody could ask with it.

use accord_proto::{
    agreement::Decision,
    camara::{Operation, Requested, Scopes},
    parties::{Client, Party},
    party::{OrgName, Role},
    purpose::Purpose,
    signal::Signal,
};
use jiff::Timestamp;

use super::error::TokenRefusal;
use crate::governance::Governed;

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
        for signal in signals_of(scope) {
            let bank = party.id.org();
            check_agreement(governed, bank, signal, purpose, now).map_err(|why| {
                TokenRefusal::NotAllowed {
                    scope,
                    purpose,
                    why,
                }
            })?;
        }
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

/// The signals that a scope lets its holder ask about.
fn signals_of(scope: &str) -> impl Iterator<Item = Signal> {
    let one = Scopes::of(scope).unwrap_or_default();
    let mut last = None;
    Operation::ALL
        .into_iter()
        .filter(move |operation| one.allows(*operation))
        .map(Operation::signal)
        .filter(move |signal| last.replace(*signal) != Some(*signal))
}

/// Whether some operator that is licensed may answer: which one is asked, the number says later.
fn check_agreement(
    governed: &Governed,
    bank: &OrgName,
    signal: Signal,
    purpose: Purpose,
    now: Timestamp,
) -> Result<(), String> {
    let mut nearest = None;
    let operators = governed.parties().all().iter();
    let operators = operators.filter(|party| party.id.role() == Role::Operator);
    for operator in operators.filter(|party| party.licence_in_force(now).is_ok()) {
        let decision = governed
            .agreement()
            .decide(bank, operator.id.org(), signal, purpose);
        match decision {
            Decision::Granted(_) => return Ok(()),
            Decision::NotAuthorised(instead) => nearest = nearest.or(Some(instead)),
            Decision::NotContracted => {}
        }
    }
    Err(nearest.map_or_else(
        || "no clause stands between this bank and any operator".to_owned(),
        |nearest| nearest.detail().to_owned(),
    ))
}
