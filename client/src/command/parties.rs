//! `accord parties`: the signed list of who takes part.
//!
//! ```text
//!   FILE ─ check ─▶ places ─ add · rotate ─▶ edits ─ shown ─ check ─▶ FILE, unsigned ─ sign ─▶ FILE
//! ```

pub(super) mod args;
mod change;
mod edits;
mod list;
mod places;
mod written;

use std::path::Path;

use accord_proto::{parties::Parties, party::Role};
use serde_json::json;

use self::args::PartiesCommand;
use super::{
    exit::{Exit, Failure},
    signing,
    terminal::Terminal,
};

/// Checks, shows, changes or signs the list of parties.
pub(super) fn run(command: &PartiesCommand, terminal: &mut Terminal) -> Result<Exit, Failure> {
    match command {
        PartiesCommand::Check { file } => check(file, terminal),
        PartiesCommand::List { file } => list::list(file, terminal),
        PartiesCommand::Add(what) => change::add(what, terminal),
        PartiesCommand::Rotate(args) => change::rotate(args, terminal),
        PartiesCommand::Sign { file, key, output } => {
            sign(file, key, output.as_deref().unwrap_or(file), terminal)
        }
    }
}

fn check(file: &Path, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let parties = match Parties::check(signing::note(file)?.text()) {
        Ok(parties) => parties,
        Err(mistakes) => return signing::report(file, &mistakes, terminal),
    };
    if terminal.is_json() {
        for party in &parties {
            let keys: Vec<&str> = party.keys.iter().map(|key| key.kid()).collect();
            terminal.json(&json!({
                "id": party.id.to_string(),
                "name": party.name,
                "licence": party.licence.status.name(),
                "keys": keys,
                "ranges": party.ranges.len(),
            }))?;
        }
        return Ok(Exit::Ok);
    }
    let rows: Vec<_> = parties
        .iter()
        .map(|party| {
            let keys: Vec<&str> = party.keys.iter().map(|key| key.kid()).collect();
            let has = match party.id.role() {
                Role::Operator => format!("{} ranges", party.ranges.len()),
                Role::Authority | Role::Bank | Role::Broker => keys.join(", "),
            };
            let cells = [
                party.id.to_string(),
                party.name.clone(),
                party.licence.status.name().to_owned(),
                has,
            ];
            cells.map(Into::into).to_vec()
        })
        .collect();
    terminal.table(&["party", "name", "licence", "keys or ranges"], &rows)?;
    Ok(Exit::Ok)
}

fn sign(file: &Path, key: &Path, to: &Path, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let note = signing::note(file)?;
    let parties = match Parties::check(note.text()) {
        Ok(parties) => parties,
        Err(mistakes) => return signing::report(file, &mistakes, terminal),
    };
    let key = signing::signing_key(key)?;
    let signers = signing::sign(note, &key, to)?;
    if terminal.is_json() {
        terminal.json(&json!({"file": to.display().to_string(), "signatures": signers}))?;
    } else {
        terminal.line(&format!(
            "{} parties, signed by {}; banks are believed with the central bank's signature, \
             operators with the telecom regulator's",
            parties.len(),
            signers.join(" and ")
        ))?;
    }
    Ok(Exit::Ok)
}
