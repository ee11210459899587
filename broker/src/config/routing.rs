//! The sections of what says where a number lives: the portability database, and ENUM.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
};

use accord_proto::{
    naptr::{Dialect, Told},
    parties::NumberRange,
    party::OrgName,
};
use serde::Deserialize;

use super::bounds;

/// Suppliers that one broker asks.
const SUPPLIERS_MAX: usize = 16;
/// Servers of one supplier.
const SERVERS_MAX: usize = 4;
/// The most digits of a routing number.
const ROUTING_DIGITS_MAX: usize = 15;
/// The longest name of a supplier, which is a label of metrics.
const NAME_LEN_MAX: usize = 32;
/// The longest zone: of the 253 bytes of a name, digits take thirty.
const ZONE_LEN_MAX: usize = 220;

/// A key and the rule that it breaks.
type Broken = (&'static str, String);

/// The database of ported numbers.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct PortabilitySection {
    /// The file; `docs/portability.md` describes it. Without one there is none.
    pub file: Option<PathBuf>,
    /// The most rows; each takes 12 to 16 bytes of memory.
    pub rows_max: u64,
    /// From recipients as the file names them to operators of the list of parties.
    pub operators: BTreeMap<String, OrgName>,
}

/// Suppliers of portability data that are asked by DNS (RFC 6116).
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct EnumSection {
    /// Answers that are kept, of each supplier.
    pub cache_entries: u32,
    /// In the order in which they are asked.
    pub suppliers: Vec<SupplierSection>,
}

/// One supplier.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct SupplierSection {
    /// For metrics and logs.
    pub name: String,
    /// Behind the reversed digits: `e164.arpa`, or the supplier's own.
    pub zone: String,
    /// Addresses with ports.
    pub servers: Vec<SocketAddr>,
    /// How it answers.
    pub dialect: Dialect,
    /// What the numbers begin with that it is asked about, such as `+44`.
    pub covers: Vec<String>,
    /// What it means that it has no such number.
    pub absent: Absent,
    /// For how long it may take, all servers and tries together.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u32,
    /// Questions on their way to it.
    #[serde(default = "default_in_flight_max")]
    pub in_flight_max: u32,
    /// An answer is kept at least so long.
    #[serde(default = "default_ttl_seconds_min")]
    pub ttl_seconds_min: u32,
    /// And at most so long, whatever it says itself.
    #[serde(default = "default_ttl_seconds_max")]
    pub ttl_seconds_max: u32,
    /// From what it says to operators of the list of parties: `234-15` (MCC and MNC) or, in the dialect
    /// `rfc4694`, what routing numbers begin with (`447700999`).
    pub operators: BTreeMap<String, OrgName>,
}

/// What it means, by contract, that a supplier has no such number.
#[derive(Debug, Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Absent {
    /// The number stayed with the operator of its range.
    NotPorted,
    /// Nothing.
    Unknown,
}

/// The operators as a supplier names them, ready to be looked up.
#[derive(Debug, Clone, Default)]
pub struct SupplierNames {
    networks: BTreeMap<(u16, u16), OrgName>,
    routing: BTreeMap<String, OrgName>,
}

impl SupplierNames {
    /// The operator behind an answer.
    #[must_use]
    pub fn operator(&self, told: &Told) -> Option<OrgName> {
        match told {
            Told::NotPorted => None,
            Told::Network { mcc, mnc } => self.networks.get(&(*mcc, *mnc)).cloned(),
            Told::RoutingNumber(digits) => (1..=digits.len())
                .rev()
                .find_map(|length| self.routing.get(digits.get(..length)?))
                .cloned(),
        }
    }
}

impl Default for PortabilitySection {
    fn default() -> Self {
        Self {
            file: None,
            rows_max: 20_000_000,
            operators: BTreeMap::new(),
        }
    }
}

impl Default for EnumSection {
    fn default() -> Self {
        Self {
            cache_entries: 100_000,
            suppliers: Vec::new(),
        }
    }
}

impl PortabilitySection {
    pub(super) fn check(&self) -> Result<(), Broken> {
        bounds::check([("portability.rows_max", self.rows_max, 1, 200_000_000)])
    }
}

impl EnumSection {
    pub(super) fn check(&self) -> Result<(), Broken> {
        bounds::check([("enum.cache_entries", self.cache_entries, 1, 10_000_000)])?;
        if self.suppliers.len() > SUPPLIERS_MAX {
            let rule = format!("at most {SUPPLIERS_MAX}");
            return Err(("enum.suppliers", rule));
        }
        let mut names = BTreeSet::new();
        for supplier in &self.suppliers {
            let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            let name = &supplier.name;
            if !(1..=NAME_LEN_MAX).contains(&name.len()) || !name.bytes().all(good) {
                let rule = format!("1 to {NAME_LEN_MAX} of letters, digits, `-` and `_`");
                return Err(("enum.suppliers.name", rule));
            }
            if !names.insert(name) {
                let rule = format!("`{name}` stands twice");
                return Err(("enum.suppliers.name", rule));
            }
            supplier.check()?;
        }
        Ok(())
    }
}

impl SupplierSection {
    fn check(&self) -> Result<(), Broken> {
        let broken = |key, rule: &str| Err((key, format!("`{}`: {rule}", self.name)));
        let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
        let zone = self.zone.trim_end_matches('.');
        if !(1..=ZONE_LEN_MAX).contains(&zone.len())
            || !zone.bytes().all(named)
            || zone
                .split('.')
                .any(|label| !(1..=63).contains(&label.len()))
        {
            return broken("enum.suppliers.zone", "a domain name");
        }
        if !(1..=SERVERS_MAX).contains(&self.servers.len()) {
            return broken("enum.suppliers.servers", "1 to 4 addresses with ports");
        }
        if self.covers.is_empty() || self.covers.iter().any(|it| NumberRange::parse(it).is_err()) {
            let rule = "at least one of `+` and the digits with which numbers begin";
            return broken("enum.suppliers.covers", rule);
        }
        if !(1..=10_000).contains(&self.timeout_ms) {
            return broken("enum.suppliers.timeout_ms", "1 to 10000");
        }
        if !(1..=10_000).contains(&self.in_flight_max) {
            return broken("enum.suppliers.in_flight_max", "1 to 10000");
        }
        if self.ttl_seconds_min > self.ttl_seconds_max || self.ttl_seconds_max > 604_800 {
            let rule = "at least `ttl_seconds_min`, at most 604800";
            return broken("enum.suppliers.ttl_seconds_max", rule);
        }
        self.parse_names().map(drop)
    }

    /// The operators, ready to be looked up. What `check` refused is not among them.
    #[must_use]
    pub fn names(&self) -> SupplierNames {
        self.parse_names().unwrap_or_default()
    }

    fn parse_names(&self) -> Result<SupplierNames, Broken> {
        let mut names = SupplierNames::default();
        for (key, operator) in &self.operators {
            let taken = match self.dialect {
                Dialect::Rfc4694 => {
                    let digits = key.bytes().all(|byte| byte.is_ascii_digit())
                        && (1..=ROUTING_DIGITS_MAX).contains(&key.len());
                    digits
                        && names
                            .routing
                            .insert(key.clone(), operator.clone())
                            .is_none()
                }
                Dialect::KeyValue | Dialect::ImsSip => network(key).is_some_and(|network| {
                    // `01` and `001` are one number to suppliers that pad.
                    names.networks.insert(network, operator.clone()).is_none()
                }),
            };
            if !taken {
                let rule = match self.dialect {
                    Dialect::Rfc4694 => "`{key}`: the first digits of routing numbers",
                    Dialect::KeyValue | Dialect::ImsSip => {
                        "`{key}`: MCC and MNC such as `234-15`, each once"
                    }
                };
                let rule = format!("`{}`: {}", self.name, rule.replace("{key}", key));
                return Err(("enum.suppliers.operators", rule));
            }
        }
        Ok(names)
    }
}

/// `234-15` as two numbers.
fn network(key: &str) -> Option<(u16, u16)> {
    let (mcc, mnc) = key.split_once('-')?;
    let code = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let good = digits && lengths.contains(&text.len());
        good.then(|| text.parse().ok()).flatten()
    };
    Some((code(mcc, 3..=3)?, code(mnc, 2..=3)?))
}

const fn default_timeout_ms() -> u32 {
    300
}

const fn default_in_flight_max() -> u32 {
    256
}

const fn default_ttl_seconds_min() -> u32 {
    0
}

const fn default_ttl_seconds_max() -> u32 {
    3_600
}
