//! `accord audit check-export`: whether an export is what was exported, with nobody's help.
//!
//! The file alone shows a line that was changed by hand. That lines were left out, or the footer
//! rewritten, shows only in the ledger, where the file's hash was recorded with its statement.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use accord_proto::{
    c2sp::{CheckpointError, Policy, PolicyError, SignedNote},
    merkle::Hash,
    party::PartyId,
    v1::{self, entry::Event},
};
use jiff::Timestamp;
use serde_json::json;

use super::{
    super::{
        args::Whom,
        exit::{Exit, Failure},
        mirror,
        terminal::Terminal,
    },
    args,
    source::{directory, format_of, read_export, signed_by},
};
use crate::{LedgerEntry, export::Checked, footer::Footer, random::hex};

/// Each exported leaf, at its place.
type Leaves = BTreeMap<(String, u64), Hash>;

/// Where the export is on the record.
type Place = (String, u64);

/// Checks an export.
pub(super) fn run(
    whom: &Whom,
    args: &args::CheckExport,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let format = format_of(&args.file, args.format)?;
    let mut leaves = Leaves::new();
    let checked = read_export(&args.file, format, &mut |entry| {
        let leaf = entry.leaf_hash();
        leaves.insert((entry.origin, entry.index), leaf);
        Ok(())
    })?;
    let signed = match &args.policy {
        Some(policy) => Signed::Cosigned(cosigned_under(&checked, &mirror::read_policy(policy)?)?),
        None if signed_by(&checked, whom)? => Signed::ByLog,
        None => Signed::Unchecked,
    };
    let recorded = match &args.dir {
        Some(dir) => Some(find(&checked, leaves, dir, whom, terminal)?),
        None => None,
    };
    if terminal.is_json() {
        let footer: serde_json::Map<_, _> = checked
            .footer
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect();
        terminal.json(&json!({
            "ok": true,
            "entries": checked.entries,
            "sha256": hex(&checked.sha256),
            "proved": checked.proved,
            "checkpoints_signed": signed != Signed::Unchecked,
            "cosigned": match &signed {
                Signed::Cosigned(witnesses) => witnesses.iter().collect(),
                Signed::ByLog | Signed::Unchecked => Vec::new(),
            },
            "recorded": recorded.map(|(origin, index)| json!({"origin": origin, "index": index})),
            "footer": footer,
        }))?;
        return Ok(Exit::Ok);
    }
    show(&checked, &signed, recorded.as_ref(), terminal)?;
    Ok(Exit::Ok)
}

/// Who vouches for the checkpoints.
#[derive(PartialEq, Eq)]
enum Signed {
    ByLog,
    /// The log, and for each checkpoint enough witnesses: these at least once.
    Cosigned(BTreeSet<String>),
    Unchecked,
}

/// The witnesses of a policy under which each checkpoint is believed.
fn cosigned_under(checked: &Checked, policy: &Policy) -> Result<BTreeSet<String>, Failure> {
    let mut witnesses = BTreeSet::new();
    for (origin, note) in &checked.checkpoints {
        let opened = SignedNote::parse(note).map_err(CheckpointError::from);
        let opened = opened.map_err(PolicyError::from);
        let (_, cosigned) = opened
            .and_then(|note| policy.open(&note))
            .map_err(|error| {
                let message = format!("the checkpoint of {origin} is not believed");
                Failure::new(Exit::Failure, message).because(&error)
            })?;
        witnesses.extend(cosigned.into_iter().map(|one| one.witness));
    }
    Ok(witnesses)
}

fn show(
    checked: &Checked,
    signed: &Signed,
    recorded: Option<&Place>,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    for (name, value) in &checked.footer {
        terminal.line(&format!("{name}: {value}"))?;
    }
    let signatures = match signed {
        Signed::ByLog => "the checkpoints are signed by the log".to_owned(),
        Signed::Cosigned(witnesses) if witnesses.is_empty() => {
            "the checkpoints are signed by the log (the policy asks for no cosignature)".to_owned()
        }
        Signed::Cosigned(witnesses) => {
            let names: Vec<_> = witnesses.iter().map(String::as_str).collect();
            let names = names.join(" and ");
            format!("the checkpoints are signed by the log, and cosigned by {names}")
        }
        Signed::Unchecked => {
            "no key of the log is known here, so the checkpoints' signatures are unchecked"
                .to_owned()
        }
    };
    terminal.line(&format!(
        "{} entries; each line says what its entry says; {signatures}",
        checked.entries
    ))?;
    if checked.proved > 0 {
        terminal.line(&format!(
            "{} of them are proved to be in their log, under these checkpoints",
            checked.proved
        ))?;
    }
    let sha256 = hex(&checked.sha256);
    terminal.line(&match recorded {
        Some((origin, index)) => format!(
            "whole and unchanged: every entry is in the ledger, and SHA-256 {sha256} is on the \
             record with this footer: {origin} entry {index}"
        ),
        None => format!(
            "whether lines were left out or the footer was rewritten is NOT checked: give --dir, or \
             find SHA-256 {sha256} on the record (accord audit query --kind export)"
        ),
    })?;
    Ok(())
}

/// Finds each leaf at its place in a ledger's directory or mirror, and the record of the export.
fn find(
    checked: &Checked,
    mut leaves: Leaves,
    dir: &Path,
    whom: &Whom,
    terminal: &Terminal,
) -> Result<Place, Failure> {
    let mut recorded = None;
    directory(dir, whom, terminal, &mut |entry| {
        if let Some(export) = record_of(&entry, checked) {
            agrees(export, checked)?;
            recorded = Some((entry.origin.clone(), entry.index));
        }
        let leaf = entry.leaf_hash();
        let (origin, index) = (entry.origin, entry.index);
        match leaves.remove(&(origin.clone(), index)) {
            Some(exported) if exported != leaf => Err(Failure::new(
                Exit::Failure,
                format!("entry {index} of {origin} is another one in the ledger"),
            )),
            Some(_) | None => Ok(()),
        }
    })?;
    if let Some(((origin, index), _)) = leaves.first_key_value() {
        let message = format!("entry {index} of {origin} is not in `{}`", dir.display());
        return Err(Failure::new(Exit::Failure, message));
    }
    recorded.ok_or_else(|| {
        let message = format!(
            "no export of this SHA-256 is on the record in `{}`: lines were left out, the footer was \
             rewritten, or that copy ends before the export",
            dir.display()
        );
        Failure::new(Exit::Failure, message)
    })
}

fn record_of<'a>(entry: &'a LedgerEntry, checked: &Checked) -> Option<&'a v1::Export> {
    match &entry.entry.event {
        Some(Event::Export(export)) if export.sha256 == checked.sha256 => Some(export),
        Some(_) | None => None,
    }
}

/// The file says of itself what is on the record of it. What the exporter put into the file before it
/// was hashed is the file's, so a footer that never was the recorded statement is found too.
fn agrees(export: &v1::Export, checked: &Checked) -> Result<(), Failure> {
    let differs = |what: &str| {
        let message = format!("the export's {what} is not the one on the record");
        Err(Failure::new(Exit::Failure, message))
    };
    if export.entries != checked.entries {
        return differs("number of entries");
    }
    let Ok(owner) = PartyId::parse(&export.party) else {
        return differs("owner");
    };
    // The time at which the file was made is the file's own.
    let stated = export.statement.clone().unwrap_or_default();
    for (name, recorded) in Footer::of(&owner, &stated, Timestamp::UNIX_EPOCH).pairs() {
        let of_file = checked.footer.iter().find(|(of, _)| of == name);
        if name != "made" && of_file.is_some_and(|(_, value)| *value != recorded) {
            return differs(name);
        }
    }
    Ok(())
}
