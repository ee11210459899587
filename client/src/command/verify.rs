//! `accord audit verify`.

use std::path::Path;

use accord_proto::clock::SystemClock;
use serde_json::{Value as Json, json};

use super::{
    args::Whom,
    exit::{Exit, Failure},
    terminal::Terminal,
    trusted,
};
use crate::{
    UnsignedTail, VerifiedLog, VerifyError,
    mirror::{Holds, MirrorFault, VerifiedMirror, is_mirror, verify_mirror},
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
    let dir = trusted::ledger_dir(whom, dir)?;
    let keys = trusted::log_keys(whom, keys)?;
    trusted::announce(terminal, &format!("verifying {}", dir.display()), &keys);
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
