//! `accord audit verify`.

use std::path::{Path, PathBuf};

use accord_proto::{c2sp::VerifierKey, clock::SystemClock};
use serde_json::{Value as Json, json};

use super::{
    args::Whom,
    exit::{Exit, Failure},
    terminal::Terminal,
    whom,
};
use crate::{
    UnsignedTail, VerifiedLog, VerifyError,
    mirror::{Holds, MirrorFault, VerifiedMirror, is_mirror, verify_mirror},
    profile::{LoadedProfile, ProfileError},
    random::hex,
    receipt::chain,
    verify_dir,
};

/// Hashes a whole ledger again. It needs a profile only for what the command line leaves out.
pub(super) fn run(
    whom: &Whom,
    dir: Option<&Path>,
    keys: &[String],
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let profile = if dir.is_some() && whom.profile.is_none() {
        whom::profile(whom).ok()
    } else {
        Some(whom::profile(whom)?)
    };
    let dir = match dir {
        Some(dir) => dir.to_owned(),
        None => profile_dir(profile.as_ref())?,
    };
    let keys = known_keys(keys, profile.as_ref())?;
    let with = match keys.as_slice() {
        [] => "the key that lies beside it, which shows damage but not a log made anew".to_owned(),
        keys => {
            let names: Vec<_> = keys.iter().map(VerifierKey::name).collect();
            format!("the key of {}", names.join(" or "))
        }
    };
    terminal.note(&format!("verifying {} with {with}", dir.display()));
    let clock = SystemClock::shared();
    let began = clock.now();
    if is_mirror(&dir) {
        let verified = verify_mirror(&dir, &keys);
        let took_ms = clock.now().duration_since(began).as_millis();
        return mirrored(verified, took_ms, terminal);
    }
    let verified = match verify_dir(&dir, &keys) {
        Ok(verified) => verified,
        Err(error) => return damaged(&error, terminal),
    };
    let took_ms = clock.now().duration_since(began).as_millis();
    if terminal.is_json() {
        let logs: Vec<_> = verified.logs.iter().map(log_json).collect();
        let took_ms = i64::try_from(took_ms).unwrap_or(i64::MAX);
        terminal.json(&json!({"ok": true, "logs": logs, "took_ms": took_ms}))?;
        return Ok(Exit::Ok);
    }
    for log in &verified.logs {
        terminal.line(&format!(
            "{}: {} entries, root {}, {} checkpoints, {} segments",
            log.origin,
            log.entries,
            hex(&log.root),
            log.checkpoints,
            log.segments
        ))?;
        if let Some(tail) = &log.unsigned {
            terminal.line(&tail_words(tail))?;
        }
    }
    terminal.line(&format!("ok, verified in {took_ms} ms"))?;
    Ok(Exit::Ok)
}

fn mirrored(
    verified: Result<VerifiedMirror, MirrorFault>,
    took_ms: i128,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let verified = match verified {
        Ok(verified) => verified,
        Err(fault) => {
            if terminal.is_json() {
                terminal.json(&json!({"ok": false, "error": chain(&fault)}))?;
            } else {
                terminal.line(&format!("not ok: {}", chain(&fault)))?;
            }
            return Ok(Exit::Failure);
        }
    };
    let holds = verified.holds.words();
    if terminal.is_json() {
        let logs = verified.logs.iter().map(|log| {
            json!({
                "origin": log.origin,
                "entries": log.entries,
                "root": hex(&log.root),
                "tiles": log.tiles,
            })
        });
        let logs: Vec<_> = logs.collect();
        let took_ms = i64::try_from(took_ms).unwrap_or(i64::MAX);
        terminal.json(&json!({
            "ok": true,
            "mirror": holds,
            "begins_late": verified.begins_late,
            "logs": logs,
            "took_ms": took_ms,
        }))?;
        return Ok(Exit::Ok);
    }
    for log in &verified.logs {
        terminal.line(&format!(
            "{}: {} entries, root {}, {} hash tiles",
            log.origin,
            log.entries,
            hex(&log.root),
            log.tiles
        ))?;
    }
    if verified.begins_late {
        terminal.line("  the first of these logs continues a month that is not in this mirror")?;
    }
    let entries = match verified.holds {
        Holds::Entries => "every entry and hash is under a signed checkpoint",
        Holds::HashTiles => {
            "every hash is under a signed checkpoint; entries are not in this mirror"
        }
    };
    terminal.line(&format!(
        "ok, a mirror ({holds}), verified in {took_ms} ms: {entries}"
    ))?;
    Ok(Exit::Ok)
}

/// What stands behind the last checkpoint has no receipt, so it is no damage.
fn tail_words(tail: &UnsignedTail) -> String {
    format!(
        "  {} offset {}: {} entries behind the last checkpoint, for which nobody has a receipt",
        tail.segment, tail.offset, tail.entries
    )
}

fn log_json(log: &VerifiedLog) -> Json {
    json!({
        "origin": log.origin,
        "entries": log.entries,
        "root": hex(&log.root),
        "checkpoints": log.checkpoints,
        "segments": log.segments,
        "tiles": log.tiles,
        "tiles_missing": log.tiles_missing,
        "unsigned": log.unsigned.as_ref().map(|tail| json!({
            "segment": tail.segment,
            "offset": tail.offset,
            "entries": tail.entries,
        })),
    })
}

/// The answer to the question, and not a mistake of asking it: it goes to standard output.
fn damaged(error: &VerifyError, terminal: &mut Terminal) -> Result<Exit, Failure> {
    if terminal.is_json() {
        let mut document = json!({"ok": false, "error": chain(error)});
        if let (
            VerifyError::Damaged {
                segment,
                offset,
                entry,
                what,
            },
            Some(object),
        ) = (error, document.as_object_mut())
        {
            let place = json!({
                "segment": segment,
                "offset": offset,
                "entry": entry,
                "what": what,
            });
            object.insert("damaged".to_owned(), place);
        }
        terminal.json(&document)?;
    } else {
        terminal.line(&format!("not ok: {}", chain(error)))?;
    }
    Ok(Exit::Failure)
}

fn profile_dir(profile: Option<&LoadedProfile>) -> Result<PathBuf, Failure> {
    let profile = profile.ok_or(ProfileError::NotFound)?;
    let dir = profile.profile.ledger.dir.as_ref().ok_or_else(|| {
        let message = "the profile names no ledger on this machine; name one with --dir";
        Failure::new(Exit::Usage, message)
    })?;
    Ok(profile.path(dir))
}

pub(super) fn known_keys(
    given: &[String],
    profile: Option<&LoadedProfile>,
) -> Result<Vec<VerifierKey>, Failure> {
    if given.is_empty() {
        return Ok(profile
            .map(LoadedProfile::log_keys)
            .transpose()?
            .unwrap_or_default());
    }
    let parsed: Result<_, _> = given.iter().map(|key| VerifierKey::parse(key)).collect();
    parsed.map_err(|error| Failure::new(Exit::Usage, "a key of --key").because(&error))
}
