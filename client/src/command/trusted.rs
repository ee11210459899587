//! Whose keys are believed when a copy of the ledger is read with no broker asked.

use std::path::{Path, PathBuf};

use accord_proto::c2sp::VerifierKey;

use super::{
    args::Whom,
    exit::{Exit, Failure},
    terminal::Terminal,
    whom,
};
use crate::profile::{LoadedProfile, ProfileError};

/// The log's keys: those given, else the profile's. Without a profile there are none, and a copy's
/// own key is taken; a profile that is there and broken is no reason to believe it.
///
/// # Errors
/// A key or the profile can't be used.
pub(super) fn log_keys(whom: &Whom, given: &[String]) -> Result<Vec<VerifierKey>, Failure> {
    if !given.is_empty() {
        let parsed: Result<_, _> = given.iter().map(|key| VerifierKey::parse(key)).collect();
        return parsed.map_err(|error| Failure::new(Exit::Usage, "a key of --key").because(&error));
    }
    let profile = whom::profile_if_any(whom)?;
    let keys = profile.as_ref().map(LoadedProfile::log_keys).transpose()?;
    Ok(keys.unwrap_or_default())
}

/// Says what is read, and whose key vouches for it.
pub(super) fn announce(terminal: &Terminal, what: &str, keys: &[VerifierKey]) {
    let with = match keys {
        [] => "the key that lies beside it, which shows damage but not a log made anew".to_owned(),
        keys => {
            let names: Vec<_> = keys.iter().map(VerifierKey::name).collect();
            format!("the key of {}", names.join(" or "))
        }
    };
    terminal.note(&format!("{what} with {with}"));
}

/// The directory given, else the ledger of the profile.
///
/// # Errors
/// There is no profile, or it names no ledger on this machine.
pub(super) fn ledger_dir(whom: &Whom, given: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(dir) = given {
        return Ok(dir.to_owned());
    }
    let profile = whom::profile_if_any(whom)?.ok_or(ProfileError::NotFound)?;
    let dir = profile.profile.ledger.dir.as_ref().ok_or_else(|| {
        let message = "the profile names no ledger on this machine; name one with --dir";
        Failure::new(Exit::Usage, message)
    })?;
    Ok(profile.path(dir))
}
