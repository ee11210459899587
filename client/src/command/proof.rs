//! `accord audit prove` and `accord audit verify-proof`: a proof in hand, and its check with nobody
//! else's help.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use accord_proto::{
    c2sp::{LogProof, Policy, VerifierKey, policy::Cosigned},
    merkle::leaf_hash,
    v1,
};
use aws_lc_rs::digest::{Context, SHA256};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use prost::Message as _;
use serde_json::{Value as Json, json};

use super::{
    exit::{Exit, Failure},
    terminal::Terminal,
};
use crate::{
    Auditor, LedgerEntry,
    disk::{DiskError, replace},
    entry_view,
    mirror::{LayoutError, MirrorFault, prove_from_mirror},
    receipt::chain,
};

/// Longest file that is read here.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// How a proof begins.
const PROOF_HEADER: &[u8; 22] = b"c2sp.org/tlog-proof@v1";

/// Fetches an entry with its proof, and writes both as one C2SP `tlog-proof`: the entry stands in
/// its `extra` line.
pub(super) async fn prove(
    auditor: &Auditor,
    log: &str,
    index: u64,
    output: &Path,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let entry = auditor.entry(log, index).await?;
    let (text, assurance) = auditor
        .prove_inclusion(log, index, &entry.leaf_hash())
        .await?;
    let mut proof = LogProof::parse(&text).map_err(|error| not_held(&error))?;
    proof.extra = Some(entry.bytes.clone());
    check_own(output)?;
    replace(output, proof.to_string().as_bytes(), 0o644)?;
    if terminal.is_json() {
        let path = output.display().to_string();
        terminal.json(&json!({"proof": path, "assurance": assurance.words()}))?;
    } else {
        terminal.line(&entry_view::summary(&entry))?;
        terminal.line(&format!("{}: {}", output.display(), assurance.words()))?;
    }
    Ok(Exit::Ok)
}

/// Makes the same from a mirror, with no broker asked.
pub(super) fn prove_offline(
    mirror: &Path,
    keys: &[VerifierKey],
    log: &str,
    index: u64,
    output: &Path,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let origin = (!log.is_empty()).then_some(log);
    let proof = prove_from_mirror(mirror, keys, origin, index).map_err(|error| {
        let usage = matches!(
            error,
            MirrorFault::Range { .. }
                | MirrorFault::UnknownLog { .. }
                | MirrorFault::NoEntries
                | MirrorFault::Layout(LayoutError::Missing { .. })
        );
        let exit = if usage { Exit::Usage } else { Exit::Failure };
        Failure::new(exit, chain(&error))
    })?;
    check_own(output)?;
    replace(output, proof.to_string().as_bytes(), 0o644)?;
    let path = output.display().to_string();
    if terminal.is_json() {
        terminal.json(&json!({"proof": path, "index": index}))?;
    } else {
        terminal.line(&format!("{path}: entry {index}, proved from the mirror"))?;
    }
    Ok(Exit::Ok)
}

impl From<DiskError> for Failure {
    fn from(error: DiskError) -> Self {
        Self::new(Exit::Failure, chain(&error))
    }
}

/// Whether the file is none yet, or a proof, which another one may replace.
fn check_own(output: &Path) -> Result<(), Failure> {
    let mut begins = [0; PROOF_HEADER.len()];
    let read = fs::File::open(output).and_then(|mut file| file.read_exact(&mut begins));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(()) if begins == *PROOF_HEADER => Ok(()),
        Ok(()) | Err(_) => {
            let message = format!("`{}` is there, and is no proof", output.display());
            Err(Failure::new(Exit::Usage, message))
        }
    }
}

/// Checks a proof offline, under a policy.
pub(super) fn verify(
    file: &Path,
    policy: &Path,
    told: Option<&Path>,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let policy = Policy::parse(&read(policy)?).map_err(|error| {
        let message = format!("`{}`: {}", policy.display(), chain(&error));
        Failure::new(Exit::Usage, message)
    })?;
    let proof = LogProof::parse(&read(file)?).map_err(|error| {
        let message = format!("`{}`: {}", file.display(), chain(&error));
        Failure::new(Exit::Failure, message)
    })?;
    let bytes = proof.extra.clone().ok_or_else(|| {
        let message = format!("`{}` holds no entry (its `extra` line)", file.display());
        Failure::new(Exit::Usage, message)
    })?;
    let (checkpoint, cosigned) = proof
        .verify_under(&leaf_hash(&bytes), &policy)
        .map_err(|error| not_held(&error))?;
    let entry = v1::Entry::decode(bytes.as_slice()).map_err(|_| {
        Failure::new(
            Exit::Failure,
            "the proof holds, but its entry can't be read",
        )
    })?;
    let told = told.map(|told| held_against(told, &entry)).transpose()?;
    let entry = LedgerEntry {
        origin: checkpoint.origin.clone(),
        index: proof.index,
        bytes,
        entry,
    };
    let witnesses = witnesses(&cosigned);
    if terminal.is_json() {
        terminal.json(&json!({
            "ok": true,
            "origin": checkpoint.origin,
            "index": proof.index,
            "tree_size": checkpoint.size,
            "cosigned": cosigned.iter().map(cosigned_json).collect::<Vec<_>>(),
            "told": told,
            "entry": entry_view::json(&entry),
        }))?;
        return Ok(Exit::Ok);
    }
    terminal.line(&format!(
        "ok: entry {} of {}, in the tree of {} entries, {witnesses}",
        proof.index, checkpoint.origin, checkpoint.size
    ))?;
    terminal.line(&format!(
        "{}  {}",
        entry_view::time(&entry),
        entry_view::summary(&entry)
    ))?;
    if told.is_some() {
        terminal.line("the bytes in `evidence` are the answer that this entry commits to")?;
    }
    Ok(Exit::Ok)
}

fn witnesses(cosigned: &[Cosigned]) -> String {
    if cosigned.is_empty() {
        return "which no witness cosigned (the policy asks for none)".to_owned();
    }
    let names: Vec<_> = cosigned.iter().map(|one| one.witness.as_str()).collect();
    format!("cosigned by {}", names.join(" and "))
}

fn cosigned_json(one: &Cosigned) -> Json {
    let time = i64::try_from(one.unix_s)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok());
    json!({"witness": one.witness, "time": time.map(|time| time.to_string())})
}

/// Whether what a bank was told is what the entry commits to: `SHA-256(nonce ‖ answer)`.
fn held_against(told: &Path, entry: &v1::Entry) -> Result<Json, Failure> {
    let wrong = |what: &str| {
        let message = format!("`{}`: {what}", told.display());
        Failure::new(Exit::Usage, message)
    };
    let document: Json =
        serde_json::from_str(&read(told)?).map_err(|_| wrong("it is no JSON document"))?;
    let bytes = |field: &str| {
        let text = document.pointer(&format!("/evidence/{field}"))?.as_str()?;
        STANDARD.decode(text).ok()
    };
    let rule =
        "it has no `evidence` with `answer` and `nonce` (what `accord lookup --json` prints)";
    let (answer, nonce) = bytes("answer")
        .zip(bytes("nonce"))
        .ok_or_else(|| wrong(rule))?;
    let mut context = Context::new(&SHA256);
    context.update(&nonce);
    context.update(&answer);
    let digest = context.finish();
    let committed = match &entry.event {
        Some(v1::entry::Event::Access(access)) => access.answer_digest.as_slice(),
        Some(_) | None => return Err(not_this("the entry is no access, and commits to no answer")),
    };
    if committed != digest.as_ref() {
        return Err(not_this(
            "the answer in hand is not the one that this entry commits to",
        ));
    }
    Ok(Json::Bool(true))
}

fn not_this(what: &str) -> Failure {
    Failure::new(Exit::Failure, format!("not ok: {what}"))
}

fn not_held(error: &dyn std::error::Error) -> Failure {
    Failure::new(Exit::Failure, format!("not ok: {}", chain(error)))
}

fn read(path: &Path) -> Result<String, Failure> {
    let failure = |error: &dyn std::error::Error| {
        let message = format!("can't read `{}`", path.display());
        Failure::new(Exit::Usage, message).because(error)
    };
    let len = fs::metadata(path).map_err(|error| failure(&error))?.len();
    if len > FILE_BYTES_MAX {
        let message = format!("`{}` is longer than {FILE_BYTES_MAX} bytes", path.display());
        return Err(Failure::new(Exit::Usage, message));
    }
    fs::read_to_string(path).map_err(|error| failure(&error))
}
