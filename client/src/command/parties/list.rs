//! `accord parties list`.

use std::path::Path;

use accord_proto::{
    parties::{Client, Licence, Parties, Party},
    party::Role,
};
use serde_json::{Value, json};

use super::{
    super::{
        exit::{Exit, Failure},
        signing,
        terminal::Terminal,
    },
    places::Places,
};

/// Shows who is on a list, and the clients of the banks.
pub(super) fn list(file: &Path, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let note = signing::note(file)?;
    let parties = match Parties::check(note.text()) {
        Ok(parties) => parties,
        Err(mistakes) => return signing::report(file, &mistakes, terminal),
    };
    if terminal.is_json() {
        for party in &parties {
            terminal.json(&party_json(party))?;
        }
        return Ok(Exit::Ok);
    }
    let rows: Vec<Vec<_>> = parties
        .iter()
        .map(|party| party_row(party).map(Into::into).to_vec())
        .collect();
    terminal.table(
        &["party", "role", "licence", "keys", "clients or ranges"],
        &rows,
    )?;
    let clients = parties
        .iter()
        .flat_map(|party| party.clients.iter().map(move |client| (party, client)));
    let rows: Vec<Vec<_>> = clients
        .map(|(party, client)| client_row(party, client).map(Into::into).to_vec())
        .collect();
    if !rows.is_empty() {
        terminal.line("")?;
        terminal.table(&["client", "bank", "purposes", "keys", "scopes"], &rows)?;
    }
    let version = Places::find(note.text()).and_then(|places| {
        let version = note.text().get(places.version)?;
        Some(format!("version {version}, "))
    });
    let signers: Vec<_> = note.signatures().iter().map(|one| one.name()).collect();
    let signed = match signers.as_slice() {
        [] => "signed by nobody".to_owned(),
        signers => format!("signed by {} (not verified here)", signers.join(" and ")),
    };
    terminal.note(&format!("{}{signed}", version.unwrap_or_default()));
    Ok(Exit::Ok)
}

fn party_row(party: &Party) -> [String; 5] {
    let has = match party.id.role() {
        Role::Operator => party.ranges.iter().map(ToString::to_string).collect(),
        Role::Authority | Role::Bank | Role::Broker => names(&party.clients),
    };
    [
        party.id.org().to_string(),
        party.id.role().to_string(),
        licence(&party.licence),
        kids(party).join(", "),
        has.join(", "),
    ]
}

fn client_row(party: &Party, client: &Client) -> [String; 5] {
    let purposes = client.purposes.iter();
    let purposes = purposes.map(|(stated, ours)| format!("{stated} = {ours}"));
    let keys = match client.keys.as_slice() {
        [] => "any of its bank's".to_owned(),
        keys => keys.join(", "),
    };
    [
        client.id.to_string(),
        party.id.org().to_string(),
        purposes.collect::<Vec<_>>().join(", "),
        keys,
        client.scopes.to_string(),
    ]
}

fn licence(licence: &Licence) -> String {
    let until = licence
        .until
        .map_or_else(String::new, |until| format!(" until {until}"));
    let (number, status, from) = (&licence.number, licence.status, licence.from);
    format!("{number}, {status}, from {from}{until}")
}

fn kids(party: &Party) -> Vec<&str> {
    party.keys.iter().map(|key| key.kid()).collect()
}

fn names(clients: &[Client]) -> Vec<String> {
    clients.iter().map(|client| client.id.to_string()).collect()
}

fn party_json(party: &Party) -> Value {
    let clients = party.clients.iter().map(|client| {
        let purposes = client.purposes.iter();
        let purposes = purposes.map(|(stated, ours)| (stated.to_string(), ours.name().into()));
        json!({
            "id": client.id.as_str(),
            "purposes": Value::Object(purposes.collect()),
            "scopes": client.scopes.iter().collect::<Vec<_>>(),
            "keys": client.keys,
        })
    });
    let licence = &party.licence;
    json!({
        "id": party.id.to_string(),
        "name": party.name,
        "role": party.id.role().name(),
        "licence": {
            "number": licence.number,
            "supervisor": licence.supervisor,
            "from": licence.from.to_string(),
            "until": licence.until.map(|until| until.to_string()),
            "status": licence.status.name(),
        },
        "keys": kids(party),
        "ranges": party.ranges.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "clients": clients.collect::<Vec<_>>(),
    })
}
