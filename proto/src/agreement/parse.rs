//! The agreement's text, parsed: all its mistakes, or a document that has none.

use std::collections::HashMap;

use jiff::SignedDuration;
use toml::de::DeTable;

use super::{
    Clause, ClauseId, Scope, ShareKeys, Term,
    read_clause::read_clause,
    share_keys::{ReadKeys, read_share_keys},
};
use crate::{
    document::{Findings, Mistakes, TableReader, date, integer, text, word},
    party::{PartyId, Role},
};

/// The most clauses of an agreement.
const CLAUSES_MAX: usize = 1000;
/// The most bytes of an agreement's id.
const ID_LEN_MAX: usize = 64;
const TITLE_LEN_MAX: usize = 200;
/// The most banks and operators that an agreement names; with both, its table has 1.4 million
/// cells.
const BANKS_MAX: usize = 500;
const OPERATORS_MAX: usize = 50;
/// For how many hours the broker answers without its witnesses, where the agreement does not say.
const WITNESS_GRACE_HOURS: i64 = 24;
/// A month without witnesses is no witnessing.
const WITNESS_GRACE_HOURS_MAX: i64 = 31 * 24;
/// The longest term in years.
const TERM_YEARS_MAX: i16 = 10;

/// An agreement, parsed and free of mistakes. Whether it is signed is another question: see
/// [`super::SignedAgreement`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgreementDocument {
    header: Header,
    clauses: Vec<Clause>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Header {
    id: String,
    version: u64,
    title: String,
    term: Term,
    telecom_regulator: PartyId,
    central_bank: PartyId,
    witness_grace_hours: i64,
    mirrors: Vec<PartyId>,
    share_keys: ShareKeys,
}

impl AgreementDocument {
    /// Parses the text.
    ///
    /// # Errors
    /// All mistakes, each with its line.
    pub fn parse(text: &str) -> Result<Self, Mistakes> {
        let (mut findings, table) = Findings::parse(text)?;
        findings.only_tables(&table, &["agreement", "clause", "share_keys"]);
        let share_keys = read_share_keys(&mut findings, &table);
        let header = read_header(&mut findings, &table, share_keys);
        let mut clauses = Vec::new();
        let tables = findings.array_of_tables(&table, "clause");
        if tables.len() > CLAUSES_MAX {
            findings.mistake(
                1,
                "clause",
                format!("there are at most {CLAUSES_MAX} clauses"),
            );
        }
        for (line, table) in tables.into_iter().take(CLAUSES_MAX) {
            clauses.extend(read_clause(TableReader::new(
                "clause",
                line,
                table,
                &mut findings,
            )));
        }
        check_ids(&mut findings, &clauses);
        check_overlaps(&mut findings, &clauses);
        check_sizes(&mut findings, &clauses);
        findings.finish()?;
        // Without a header there was a mistake, and `finish` has returned it.
        header
            .map(|header| Self { header, clauses })
            .ok_or_else(Mistakes::unexplained)
    }

    /// Its name, such as `SANDBOX-2026-1`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.header.id
    }

    /// Its version, which rises with each text that the authorities sign, whatever its id.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.header.version
    }

    /// Its heading.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.header.title
    }

    /// When it is in force.
    #[must_use]
    pub const fn term(&self) -> &Term {
        &self.header.term
    }

    /// One of the two that sign it.
    #[must_use]
    pub const fn telecom_regulator(&self) -> &PartyId {
        &self.header.telecom_regulator
    }

    /// The other one.
    #[must_use]
    pub const fn central_bank(&self) -> &PartyId {
        &self.header.central_bank
    }

    /// For how long the broker answers while no quorum of witnesses cosigns its ledger: the
    /// agreement's `witness_grace_hours`, else a day.
    #[must_use]
    pub const fn witness_grace(&self) -> SignedDuration {
        SignedDuration::from_hours(self.header.witness_grace_hours)
    }

    /// The authorities that may keep a whole copy of the ledger: the agreement's `mirrors`, else
    /// none. What stands in it goes beyond any one authority's remit (rule R36), so both must have
    /// agreed to it by name.
    #[must_use]
    pub fn mirrors(&self) -> &[PartyId] {
        &self.header.mirrors
    }

    /// To whom the halves of a closed month's key are sealed.
    #[must_use]
    pub const fn share_keys(&self) -> &ShareKeys {
        &self.header.share_keys
    }

    /// Its clauses, in the order of the text.
    #[must_use]
    pub fn clauses(&self) -> &[Clause] {
        &self.clauses
    }
}

fn read_header(
    findings: &mut Findings,
    table: &DeTable<'_>,
    share_keys: Option<ReadKeys>,
) -> Option<Header> {
    let mut top = TableReader::top(table, findings);
    let (line, table) = top.required_table("agreement")?;
    let mut reader = TableReader::new("agreement", line, table, findings);
    let id = reader.required("id", word(document_id));
    let version = reader.required("version", integer(1..=i64::MAX));
    let title = reader.required("title", text(TITLE_LEN_MAX));
    let effective = reader.required("effective", date);
    let expires = reader.required("expires", date);
    let telecom_regulator = reader.required("telecom_regulator", word(authority));
    let central_bank = reader.required("central_bank", word(authority));
    let grace = reader.optional("witness_grace_hours", integer(0..=WITNESS_GRACE_HOURS_MAX));
    let mirrors = reader.list("mirrors", word(authority));
    let mut term = None;
    if let (Some(effective), Some(expires)) = (effective, expires) {
        term = Term::new(effective.value, expires.value);
        if term.is_none() {
            let rule = "lies after `effective`: it is the first day no longer in force";
            reader.mistake(expires.line, "expires", rule);
        } else if expires.value.year() - effective.value.year() > TERM_YEARS_MAX {
            let rule = format!("lies at most {TERM_YEARS_MAX} years after `effective`");
            reader.mistake(expires.line, "expires", rule);
        }
    }
    if let (Some(one), Some(other)) = (&telecom_regulator, &central_bank) {
        if one.value == other.value {
            let rule = "is another authority than `telecom_regulator`: two sign";
            reader.mistake(other.line, "central_bank", rule);
        } else if one.value.trust_domain() != other.value.trust_domain() {
            let rule = "has the same trust domain as `telecom_regulator`";
            reader.mistake(other.line, "central_bank", rule);
        }
        for stranger in mirrors.iter().flat_map(|found| &found.value) {
            if *stranger != one.value && *stranger != other.value {
                let line = mirrors.as_ref().map_or(line, |found| found.line);
                let rule = format!(
                    "names `telecom_regulator` or `central_bank`, and `{stranger}` is neither"
                );
                reader.mistake(line, "mirrors", rule);
            }
        }
    }
    reader.finish();
    let share_keys = share_keys?;
    if let (Some(one), Some(other)) = (&telecom_regulator, &central_bank)
        && one.value != other.value
    {
        share_keys.check_names(findings, &one.value, &other.value);
    }
    Some(Header {
        id: id?.value,
        version: u64::try_from(version?.value).ok()?,
        title: title?.value,
        term: term?,
        telecom_regulator: telecom_regulator?.value,
        central_bank: central_bank?.value,
        witness_grace_hours: grace.map_or(WITNESS_GRACE_HOURS, |grace| grace.value),
        mirrors: mirrors.map(|found| found.value).unwrap_or_default(),
        share_keys: share_keys.keys(),
    })
}

/// An id of an agreement or of a list of parties: it stands in ledger entries and file names.
pub(crate) fn document_id(id: &str) -> Result<String, String> {
    let well_formed = (1..=ID_LEN_MAX).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    well_formed
        .then(|| id.to_owned())
        .ok_or_else(|| format!("is 1 to {ID_LEN_MAX} of 0-9, a-z, A-Z, `.` and `-`"))
}

fn authority(uri: &str) -> Result<PartyId, String> {
    let id = PartyId::parse(uri).map_err(|error| error.to_string())?;
    match id.role() {
        Role::Authority => Ok(id),
        Role::Bank | Role::Broker | Role::Operator => Err(format!(
            "is an authority, `spiffe://<trust-domain>/authority/<organisation>`, not a {}",
            id.role()
        )),
    }
}

fn check_ids(findings: &mut Findings, clauses: &[Clause]) {
    let mut lines: HashMap<&ClauseId, usize> = HashMap::new();
    for clause in clauses {
        if let Some(first) = lines.insert(&clause.id, clause.line) {
            let rule = format!(
                "`{}` is the number of the clause on line {first} too",
                clause.id
            );
            findings.mistake(clause.line, "clause.id", rule);
        }
    }
}

/// Two clauses over the same question would leave it open which one holds.
fn check_overlaps(findings: &mut Findings, clauses: &[Clause]) {
    for (at, later) in clauses.iter().enumerate() {
        for earlier in clauses.iter().take(at) {
            let Some(both) = shared(earlier, later) else {
                continue;
            };
            let rule = format!(
                "clause {} covers what clause {} on line {} covers already: {both}",
                later.id, earlier.id, earlier.line
            );
            findings.mistake(later.line, "clause", rule);
        }
    }
}

/// The first question that both clauses cover, in words.
fn shared(one: &Clause, other: &Clause) -> Option<String> {
    let signal = one
        .signals
        .iter()
        .find(|signal| other.signals.contains(signal))?;
    let purpose = one
        .purposes
        .iter()
        .find(|purpose| other.purposes.contains(purpose))?;
    let bank = shared_org(&one.banks, &other.banks)?;
    let operator = shared_org(&one.operators, &other.operators)?;
    Some(format!(
        "bank {bank}, operator {operator}, {signal}, {purpose}"
    ))
}

fn shared_org(one: &Scope, other: &Scope) -> Option<String> {
    match (one, other) {
        (Scope::All, Scope::All) => Some("*".to_owned()),
        (Scope::All, Scope::Named(names)) | (Scope::Named(names), Scope::All) => {
            names.first().map(ToString::to_string)
        }
        (Scope::Named(names), Scope::Named(others)) => names
            .iter()
            .find(|name| others.contains(name))
            .map(ToString::to_string),
    }
}

fn check_sizes(findings: &mut Findings, clauses: &[Clause]) {
    let count = |scope: fn(&Clause) -> &Scope| {
        let names = clauses.iter().flat_map(|clause| scope(clause).named());
        names.collect::<std::collections::HashSet<_>>().len()
    };
    if count(|clause| &clause.banks) > BANKS_MAX {
        let rule = format!("all clauses together name at most {BANKS_MAX}; `*` names all");
        findings.mistake(1, "clause.banks", rule);
    }
    if count(|clause| &clause.operators) > OPERATORS_MAX {
        let rule = format!("all clauses together name at most {OPERATORS_MAX}; `*` names all");
        findings.mistake(1, "clause.operators", rule);
    }
}
