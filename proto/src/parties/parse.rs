//! The list's text, parsed: all its mistakes, or parties that have none.

use std::collections::HashMap;

use jiff::Timestamp;
use toml::de::DeTable;

use super::{
    Client, KeyAlgorithm, Licence, LicenceStatus, NotLicensed, NumberRange, TokenKey,
    client::{check_clients, read_clients},
};
use crate::{
    agreement::document_id,
    document::{Findings, Found, Mistakes, TableReader, date, integer, text, word},
    party::{PartyId, Role},
};

const PARTIES_MAX: usize = 1_000;
const NAME_LEN_MAX: usize = 200;
const PEM_LEN_MAX: usize = 2_000;

/// One party of the list. Only the parser makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Party {
    /// Its SPIFFE id: a bank or an operator.
    pub id: PartyId,
    /// The line of its `[[party]]`.
    pub line: usize,
    /// Its name for people.
    pub name: String,
    /// Its licence.
    pub licence: Licence,
    /// Its token keys.
    pub keys: Vec<TokenKey>,
    /// A bank's applications that ask for tokens.
    pub clients: Vec<Client>,
    /// The ranges that an operator serves; empty for a bank.
    pub ranges: Vec<NumberRange>,
}

impl Party {
    /// Whether its licence is valid.
    ///
    /// # Errors
    /// [`NotLicensed`] says why not.
    pub fn licence_in_force(&self, now: Timestamp) -> Result<(), NotLicensed> {
        self.licence.in_force(now)
    }

    /// A token key by its `kid`.
    #[must_use]
    pub fn key(&self, kid: &str) -> Option<&TokenKey> {
        self.keys.iter().find(|key| key.kid() == kid)
    }
}

/// What stands in the list.
#[derive(Debug)]
pub(super) struct PartiesDocument {
    pub(super) id: String,
    pub(super) version: u64,
    pub(super) parties: Vec<Party>,
}

impl PartiesDocument {
    /// Parses the text.
    ///
    /// # Errors
    /// All mistakes, each with its line.
    pub(super) fn parse(text: &str) -> Result<Self, Mistakes> {
        let (mut findings, table) = Findings::parse(text)?;
        findings.only_tables(&table, &["parties", "party"]);
        let header = read_header(&mut findings, &table);
        let tables = findings.array_of_tables(&table, "party");
        if tables.len() > PARTIES_MAX {
            findings.mistake(
                1,
                "party",
                format!("there are at most {PARTIES_MAX} parties"),
            );
        }
        let mut parties = Vec::new();
        let mut kids = HashMap::new();
        for (line, table) in tables.into_iter().take(PARTIES_MAX) {
            let reader = TableReader::new("party", line, table, &mut findings);
            parties.extend(read_party(reader, &mut kids));
        }
        check_unique(&mut findings, &parties);
        check_clients(&mut findings, &parties);
        findings.finish()?;
        let (id, version) = header.ok_or_else(Mistakes::unexplained)?;
        Ok(Self {
            id,
            version,
            parties,
        })
    }
}

fn read_header(findings: &mut Findings, table: &DeTable<'_>) -> Option<(String, u64)> {
    let mut top = TableReader::top(table, findings);
    let (line, table) = top.required_table("parties")?;
    let mut reader = TableReader::new("parties", line, table, findings);
    let id = reader.required("id", word(document_id));
    let version = reader.required("version", integer(1..=i64::MAX));
    reader.finish();
    Some((id?.value, u64::try_from(version?.value).ok()?))
}

fn read_party(
    mut reader: TableReader<'_, '_, '_>,
    kids: &mut HashMap<String, usize>,
) -> Option<Party> {
    let line = reader.line();
    let id = reader.required("id", word(bank_or_operator));
    let name = reader.required("name", text(NAME_LEN_MAX));
    let licence = read_licence(&mut reader);
    let keys = read_keys(&mut reader, kids);
    let clients = read_clients(&mut reader, &keys);
    let ranges = reader.list("ranges", word(NumberRange::parse));
    if let Some(id) = &id {
        check_role(&mut reader, id.value.role(), &keys, ranges.as_ref());
    }
    reader.finish();
    Some(Party {
        id: id?.value,
        line,
        name: name?.value,
        licence: licence?,
        keys,
        clients,
        ranges: ranges.map_or_else(Vec::new, |found| found.value),
    })
}

fn bank_or_operator(uri: &str) -> Result<PartyId, String> {
    let id = PartyId::parse(uri).map_err(|error| error.to_string())?;
    match id.role() {
        Role::Bank | Role::Operator => Ok(id),
        Role::Authority | Role::Broker => Err(format!(
            "is a bank or an operator, not a {}: only they are licensed",
            id.role()
        )),
    }
}

fn check_role(
    reader: &mut TableReader<'_, '_, '_>,
    role: Role,
    keys: &[TokenKey],
    ranges: Option<&Found<Vec<NumberRange>>>,
) {
    let line = reader.line();
    match (role, ranges) {
        (Role::Bank, Some(ranges)) => {
            reader.mistake(
                ranges.line,
                "ranges",
                "belongs to operators: a bank serves no numbers",
            );
        }
        (Role::Operator, None) => {
            let rule = "is required of an operator; `[]` if all its numbers are ported in";
            reader.mistake(line, "ranges", rule);
        }
        (Role::Authority | Role::Bank | Role::Broker | Role::Operator, _) => {}
    }
    if role == Role::Bank && keys.is_empty() {
        let rule = "at least one `[[party.keys]]` is required of a bank, which signs its tokens";
        reader.mistake(line, "keys", rule);
    }
}

fn read_licence(reader: &mut TableReader<'_, '_, '_>) -> Option<Licence> {
    let (line, table) = reader.required_table("licence")?;
    let mut reader = reader.inner("party.licence", line, table);
    let number = reader.required("number", text(NAME_LEN_MAX));
    let supervisor = reader.required("supervisor", text(NAME_LEN_MAX));
    let from = reader.required("from", date);
    let until = reader.optional("until", date);
    let status = reader.required("status", word(LicenceStatus::parse));
    if let (Some(from), Some(until)) = (&from, &until)
        && from.value >= until.value
    {
        let rule = "lies after `from`: it is the first day no longer licensed";
        reader.mistake(until.line, "until", rule);
    }
    reader.finish();
    Some(Licence {
        number: number?.value,
        supervisor: supervisor?.value,
        from: from?.value,
        until: until.map(|found| found.value),
        status: status?.value,
    })
}

fn read_keys(
    reader: &mut TableReader<'_, '_, '_>,
    kids: &mut HashMap<String, usize>,
) -> Vec<TokenKey> {
    let mut keys = Vec::new();
    for (line, table) in reader.tables("keys") {
        let mut reader = reader.inner("party.keys", line, table);
        let kid = reader.required("kid", word(parse_kid));
        let algorithm = reader.required("alg", word(KeyAlgorithm::parse));
        let pem = reader.required("public_key", text(PEM_LEN_MAX));
        if let Some(kid) = &kid
            && let Some(first) = kids.insert(kid.value.clone(), kid.line)
        {
            let rule = format!("`{}` is the name of the key on line {first} too", kid.value);
            reader.mistake(kid.line, "kid", rule);
        }
        if let (Some(kid), Some(algorithm), Some(pem)) = (kid, algorithm, pem) {
            match TokenKey::new(&kid.value, algorithm.value, &pem.value) {
                Ok(key) => keys.push(key),
                Err(error) => reader.mistake(pem.line, "public_key", error.to_string()),
            }
        }
        reader.finish();
    }
    keys
}

fn parse_kid(kid: &str) -> Result<String, String> {
    let well_formed = (1..=TokenKey::KID_LEN_MAX).contains(&kid.len())
        && kid
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    well_formed.then(|| kid.to_owned()).ok_or_else(|| {
        format!(
            "is 1 to {} of 0-9, a-z, A-Z, `.`, `_` and `-`",
            TokenKey::KID_LEN_MAX
        )
    })
}

fn check_unique(findings: &mut Findings, parties: &[Party]) {
    let mut ids: HashMap<&PartyId, usize> = HashMap::new();
    let mut ranges: HashMap<&NumberRange, usize> = HashMap::new();
    for party in parties {
        if let Some(first) = ids.insert(&party.id, party.line) {
            let rule = format!("`{}` stands on line {first} already", party.id);
            findings.mistake(party.line, "party.id", rule);
        }
        for range in &party.ranges {
            if let Some(first) = ranges.insert(range, party.line) {
                let rule = format!("`{range}` is served by the operator on line {first} already");
                findings.mistake(party.line, "party.ranges", rule);
            }
        }
        let domain = parties.first().map(|first| first.id.trust_domain());
        if domain.is_some_and(|domain| domain != party.id.trust_domain()) {
            let rule = "has another trust domain than the first party";
            findings.mistake(party.line, "party.id", rule);
        }
    }
}
