//! A bank's applications that ask the authorisation server for tokens: `[[party.client]]`.

use std::collections::HashMap;

use super::{Party, TokenKey};
use crate::{
    camara::{ClientId, DpvPurpose, Scopes},
    document::{Findings, TableReader, word},
    party::Role,
    purpose::Purpose,
};

/// Clients of one bank.
const CLIENTS_MAX: usize = 100;
/// Purposes of one client.
const PURPOSES_MAX: usize = 20;

/// A registered client. Only the parser makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Client {
    /// Its `client_id`.
    pub id: ClientId,
    /// The line of its `[[party.client]]`.
    pub line: usize,
    /// The purposes that it may state, and which of the agreement's each of them is.
    pub purposes: Vec<(DpvPurpose, Purpose)>,
    /// The most that it may ask for.
    pub scopes: Scopes,
    /// The `kid`s of its bank's keys that it signs with; empty: any of them.
    pub keys: Vec<String>,
}

impl Client {
    /// The purpose of the agreement that a stated one is.
    #[must_use]
    pub fn purpose(&self, stated: &DpvPurpose) -> Option<Purpose> {
        let found = self.purposes.iter().find(|(known, _)| known == stated);
        found.map(|(_, purpose)| *purpose)
    }

    /// Whether it may sign with a key of its bank.
    #[must_use]
    pub fn may_sign_with(&self, kid: &str) -> bool {
        self.keys.is_empty() || self.keys.iter().any(|known| known == kid)
    }
}

pub(super) fn read_clients(reader: &mut TableReader<'_, '_, '_>, keys: &[TokenKey]) -> Vec<Client> {
    let tables = reader.tables("client");
    if tables.len() > CLIENTS_MAX {
        let rule = format!("a bank has at most {CLIENTS_MAX} clients");
        reader.mistake(reader.line(), "client", rule);
    }
    tables
        .into_iter()
        .take(CLIENTS_MAX)
        .filter_map(|(line, table)| read_client(reader.inner("party.client", line, table), keys))
        .collect()
}

fn read_client(mut reader: TableReader<'_, '_, '_>, keys: &[TokenKey]) -> Option<Client> {
    let line = reader.line();
    let id = reader.required("id", word(ClientId::parse));
    let purposes = read_purposes(&mut reader);
    let scopes = reader.required_list("scopes", word(parse_scope));
    let kid = |kid: &str| {
        let known = keys.iter().any(|key| key.kid() == kid);
        known.then(|| kid.to_owned()).ok_or(
            "is no `kid` of this party: each names one of its `[[party.keys]]`; without `keys` the \
             client may sign with any of them",
        )
    };
    let keys = reader.list("keys", word(kid));
    if reader.holds_empty_list("keys") {
        let rule = "names at least one; leave it out for all keys of the party";
        reader.mistake(line, "keys", rule);
    }
    reader.finish();
    Some(Client {
        id: id?.value,
        line,
        purposes,
        scopes: scopes
            .value
            .into_iter()
            .fold(Scopes::default(), Scopes::union),
        keys: keys.map_or_else(Vec::new, |found| found.value),
    })
}

fn read_purposes(reader: &mut TableReader<'_, '_, '_>) -> Vec<(DpvPurpose, Purpose)> {
    let Some((line, table)) = reader.required_table("purposes") else {
        return Vec::new();
    };
    let mut reader = reader.inner("party.client.purposes", line, table);
    let words = reader.words();
    if words.is_empty() || words.len() > PURPOSES_MAX {
        let rule = format!(
            "names 1 to {PURPOSES_MAX} purposes, such as `\"dpv:FraudPreventionAndDetection\" = \
             \"payment\"`"
        );
        reader.mistake(line, "purposes", rule);
    }
    let mut purposes = Vec::new();
    for (line, stated, ours) in words.into_iter().take(PURPOSES_MAX) {
        let ours =
            word(|name| Purpose::from_name(name).ok_or("is no purpose of the agreement"))(ours);
        match (DpvPurpose::parse(stated), ours) {
            (Ok(stated), Ok(ours)) => purposes.push((stated, ours)),
            (Err(error), _) => reader.mistake(line, "purposes", error.to_string()),
            (Ok(stated), Err(rule)) => reader.mistake(line, stated.as_str(), rule),
        }
    }
    purposes
}

fn parse_scope(name: &str) -> Result<Scopes, String> {
    Scopes::of(name).ok_or_else(|| {
        let all: Vec<_> = Scopes::all().collect();
        format!("is no scope; they are {}", all.join(", "))
    })
}

/// Clients belong to banks, and a name to one client.
pub(super) fn check_clients(findings: &mut Findings, parties: &[Party]) {
    let mut names: HashMap<&ClientId, usize> = HashMap::new();
    for party in parties {
        for client in &party.clients {
            if party.id.role() != Role::Bank {
                let rule = "belongs to banks: nobody else asks";
                findings.mistake(client.line, "party.client", rule);
            }
            if let Some(first) = names.insert(&client.id, client.line) {
                let rule = format!("`{}` is the client on line {first} already", client.id);
                findings.mistake(client.line, "party.client.id", rule);
            }
        }
    }
}
