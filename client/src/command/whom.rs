//! Which profile, and as whom.

use std::{env, path::PathBuf};

use super::{
    args::Whom,
    exit::{Exit, Failure},
    terminal::Terminal,
};
use crate::profile::{LoadedProfile, PartySection, ProfileError, ProfileRole};

/// Finds the profile.
pub(super) fn profile(whom: &Whom) -> Result<LoadedProfile, Failure> {
    if let Some(dir) = &whom.profile {
        return Ok(LoadedProfile::load(dir)?);
    }
    Ok(LoadedProfile::find_from(&here()?)?)
}

fn here() -> Result<PathBuf, Failure> {
    env::current_dir()
        .map_err(|error| Failure::new(Exit::Failure, "no working directory").because(&error))
}

/// The profile, for what can do without one: `None` where there is none and none was named. One that
/// is there and broken is an error.
pub(super) fn profile_if_any(whom: &Whom) -> Result<Option<LoadedProfile>, Failure> {
    match whom.profile {
        Some(_) => profile(whom).map(Some),
        None => match LoadedProfile::find_from(&here()?) {
            Ok(profile) => Ok(Some(profile)),
            Err(ProfileError::NotFound) => Ok(None),
            Err(error) => Err(error.into()),
        },
    }
}

/// Finds the party: the one named, else the first of the roles that has one.
pub(super) fn party<'a>(
    profile: &'a LoadedProfile,
    whom: &Whom,
    roles: &[ProfileRole],
) -> Result<&'a PartySection, Failure> {
    if let Some(name) = &whom.party {
        return Ok(profile.profile.party(name)?);
    }
    let mut missing = None;
    for role in roles {
        match profile.profile.first(*role) {
            Ok(party) => return Ok(party),
            Err(error) => missing = missing.or(Some(error)),
        }
    }
    Err(missing.map_or_else(
        || Failure::new(Exit::Failure, "the profile has no party"),
        Failure::from,
    ))
}

/// Finds the bank that asks; nobody else may ask about numbers.
pub(super) fn bank<'a>(
    profile: &'a LoadedProfile,
    whom: &Whom,
) -> Result<&'a PartySection, Failure> {
    let party = party(profile, whom, &[ProfileRole::Bank])?;
    if party.role == ProfileRole::Bank {
        return Ok(party);
    }
    // An authority or an operator.
    let role = party.role.name();
    let message = format!(
        "`{}` is an {role}, and an {role} can't ask about numbers: only banks can",
        party.name
    );
    let failure = Failure::new(Exit::Usage, message);
    Err(match profile.profile.first(ProfileRole::Bank) {
        Ok(bank) => failure.hint(&format!("a bank of this profile: --as {}", bank.name)),
        Err(_) => failure,
    })
}

/// Says first as whom the command asks, and for what.
pub(super) fn announce(terminal: &Terminal, party: &PartySection, what: &str) {
    terminal.note(&format!("as {} ({}): {what}", party.name, party.spiffe_id));
}
