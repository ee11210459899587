//! How much each bank asked each operator: one statement for each pair, which bank and operator
//! derive offline, each from its own entries, and get the same to the byte.
//!
//! ```text
//! accord usage statement, version 1
//! bank first-bank
//! operator north-mobile
//! from 2026-11-01T00:00:00Z
//! until 2026-12-01T00:00:00Z
//! accesses 12
//! digest 5f70…                      SHA-256 over origin, index and leaf hash of each access
//! signal answered agreement bank broker nobody operator subscriber unknown
//! roaming 4 0 0 0 0 0 0 0
//! sim_swap 10 0 1 0 0 1 0 0
//! total 14 0 1 0 0 1 0 0
//! ```
//!
//! Only answered signals are billable. The others stand under whoever could have made it otherwise.

use std::collections::BTreeMap;

use accord_proto::{
    reason::{Fault, Reason},
    signal::Signal,
    v1::{self, entry::Event},
};
use aws_lc_rs::digest::{Context, SHA256, digest};
use jiff::Timestamp;

use crate::{LedgerEntry, random::hex};

/// The most pairs of bank and operator; beyond, the entries are not of one country's Accord.
pub const PAIRS_MAX: usize = 100_000;

/// The first line of a statement.
const HEADING: &str = "accord usage statement, version 1";
/// The columns: billable first, then by whose fault a signal has no value.
const COLUMNS: [&str; 8] = [
    "answered",
    "agreement",
    "bank",
    "broker",
    "nobody",
    "operator",
    "subscriber",
    "unknown",
];

/// What became of one signal's questions, in the order of [`COLUMNS`].
type Counts = [u64; COLUMNS.len()];

/// Counts accesses, in the order in which they stand in the ledger.
#[derive(Debug)]
pub struct Usage {
    from: Timestamp,
    until: Timestamp,
    last: Option<(String, u64)>,
    pairs: BTreeMap<(String, String), Pair>,
}

struct Pair {
    accesses: u64,
    digest: Context,
    /// By the name of the signal, so that the order is the same everywhere.
    signals: BTreeMap<String, Counts>,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pair")
            .field("accesses", &self.accesses)
            .finish_non_exhaustive()
    }
}

/// One pair's statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageStatement {
    /// The bank.
    pub bank: String,
    /// The operator.
    pub operator: String,
    /// Accesses counted.
    pub accesses: u64,
    /// Signals answered: what is billable.
    pub answered: u64,
    /// The canonical text.
    pub text: String,
    /// SHA-256 of the text.
    pub sha256: [u8; 32],
}

/// Why entries can't be counted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// Counting something twice, or in another order, would give another statement.
    #[error("entry {index} of {origin} comes again, or after a later one")]
    Order {
        /// The log.
        origin: String,
        /// The entry.
        index: u64,
    },
    /// More pairs than can be.
    #[error("there are more than {PAIRS_MAX} pairs of bank and operator")]
    Pairs,
}

impl Usage {
    /// Counts accesses of a period: from is included, until is not.
    #[must_use]
    pub const fn of(from: Timestamp, until: Timestamp) -> Self {
        Self {
            from,
            until,
            last: None,
            pairs: BTreeMap::new(),
        }
    }

    /// Counts an entry, if it is an access of the period that some operator served.
    ///
    /// # Errors
    /// [`UsageError`].
    pub fn take(&mut self, entry: &LedgerEntry) -> Result<(), UsageError> {
        let later = self.last.as_ref().is_none_or(|(origin, index)| {
            (origin.as_str(), *index) < (entry.origin.as_str(), entry.index)
        });
        if !later {
            return Err(UsageError::Order {
                origin: entry.origin.clone(),
                index: entry.index,
            });
        }
        self.last = Some((entry.origin.clone(), entry.index));
        let Some(Event::Access(access)) = &entry.entry.event else {
            return Ok(());
        };
        let at = i64::try_from(entry.entry.time_unix_ms).unwrap_or(i64::MAX);
        let within = (self.from.as_millisecond()..self.until.as_millisecond()).contains(&at);
        if !within || access.operator.is_empty() {
            return Ok(());
        }
        let key = (access.bank.clone(), access.operator.clone());
        if self.pairs.len() >= PAIRS_MAX && !self.pairs.contains_key(&key) {
            return Err(UsageError::Pairs);
        }
        self.pairs
            .entry(key)
            .or_insert_with(Pair::new)
            .take(entry, access);
        Ok(())
    }

    /// The statements, by bank and operator.
    #[must_use]
    pub fn finish(self) -> Vec<UsageStatement> {
        let (from, until) = (self.from, self.until);
        self.pairs
            .into_iter()
            .map(|((bank, operator), pair)| pair.state(bank, operator, from, until))
            .collect()
    }
}

impl Pair {
    fn new() -> Self {
        Self {
            accesses: 0,
            digest: Context::new(&SHA256),
            signals: BTreeMap::new(),
        }
    }

    fn take(&mut self, entry: &LedgerEntry, access: &v1::Access) {
        self.accesses += 1;
        // A name can't hold a line's end, so no two accesses write the same bytes.
        self.digest.update(entry.origin.as_bytes());
        self.digest.update(b"\n");
        self.digest.update(&entry.index.to_be_bytes());
        self.digest.update(&entry.leaf_hash());
        for record in &access.signals {
            let name = Signal::from_wire(record.signal).map_or_else(
                || format!("unknown_{}", record.signal),
                |s| s.name().to_owned(),
            );
            let counts = self.signals.entry(name).or_default();
            if let Some(count) = counts.get_mut(column(record.reason)) {
                *count += 1;
            }
        }
    }

    fn state(
        self,
        bank: String,
        operator: String,
        from: Timestamp,
        until: Timestamp,
    ) -> UsageStatement {
        let accesses = self.accesses;
        let mut text = format!(
            "{HEADING}\nbank {bank}\noperator {operator}\nfrom {from}\nuntil {until}\n\
             accesses {accesses}\ndigest {}\nsignal {}\n",
            hex(self.digest.finish().as_ref()),
            COLUMNS.join(" ")
        );
        let mut total = Counts::default();
        for (signal, counts) in &self.signals {
            line(&mut text, signal, counts);
            for (sum, count) in total.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        line(&mut text, "total", &total);
        let mut sha256 = [0; 32];
        let hash = digest(&SHA256, text.as_bytes());
        sha256
            .iter_mut()
            .zip(hash.as_ref())
            .for_each(|(to, from)| *to = *from);
        let [answered, ..] = total;
        UsageStatement {
            bank,
            operator,
            accesses,
            answered,
            text,
            sha256,
        }
    }
}

fn line(text: &mut String, name: &str, counts: &Counts) {
    text.push_str(name);
    for count in counts {
        text.push(' ');
        text.push_str(&count.to_string());
    }
    text.push('\n');
}

/// The column of a reason; what a newer version calls a reason is *unknown* and never *answered*.
fn column(reason: i32) -> usize {
    if reason == v1::Reason::Unspecified as i32 {
        return 0;
    }
    let name = Reason::from_wire(reason)
        .map_or("unknown", |reason| fault_name(reason.consequence().fault));
    COLUMNS
        .iter()
        .position(|column| *column == name)
        .unwrap_or(7)
}

/// Whose fault, in a word.
pub(crate) const fn fault_name(fault: Fault) -> &'static str {
    match fault {
        Fault::Agreement => "agreement",
        Fault::Bank => "bank",
        Fault::Broker => "broker",
        Fault::Nobody => "nobody",
        Fault::Operator => "operator",
        Fault::Subscriber => "subscriber",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(index: u64, bank: &str, operator: &str, reasons: &[v1::Reason]) -> LedgerEntry {
        let signals = reasons.iter().map(|reason| v1::SignalRecord {
            signal: v1::Signal::SimSwap as i32,
            reason: *reason as i32,
            ..v1::SignalRecord::default()
        });
        let access = v1::Access {
            bank: bank.to_owned(),
            operator: operator.to_owned(),
            signals: signals.collect(),
            ..v1::Access::default()
        };
        LedgerEntry {
            origin: "accord.example/2026-11".to_owned(),
            index,
            bytes: index.to_be_bytes().to_vec(),
            entry: v1::Entry {
                time_unix_ms: 1_000 + index,
                event: Some(Event::Access(access)),
                ..v1::Entry::default()
            },
        }
    }

    fn usage() -> Usage {
        Usage::of(
            Timestamp::from_millisecond(0).unwrap(),
            Timestamp::from_millisecond(2_000).unwrap(),
        )
    }

    #[test]
    fn a_statement_has_this_text_and_no_other() {
        use v1::Reason::{Quota, Timeout, Unspecified};
        let mut usage = usage();
        for entry in [
            access(1, "first-bank", "north-mobile", &[Unspecified, Quota]),
            access(2, "first-bank", "north-mobile", &[Timeout]),
            access(3, "first-bank", "", &[Quota]),
            access(1_000, "first-bank", "north-mobile", &[Unspecified]),
        ] {
            usage.take(&entry).unwrap();
        }
        let statements = usage.finish();
        assert_eq!(statements.len(), 1, "who asked no operator owes none");
        let lines: Vec<_> = statements[0].text.lines().collect();
        assert_eq!(
            lines,
            [
                "accord usage statement, version 1",
                "bank first-bank",
                "operator north-mobile",
                "from 1970-01-01T00:00:00Z",
                "until 1970-01-01T00:00:02Z",
                "accesses 2",
                lines[6],
                "signal answered agreement bank broker nobody operator subscriber unknown",
                "sim_swap 1 0 1 0 0 1 0 0",
                "total 1 0 1 0 0 1 0 0",
            ]
        );
        assert_eq!((lines[6].len(), statements[0].answered), (71, 1));
    }

    #[test]
    fn the_digest_names_the_very_entries() {
        let of = |entries: &[LedgerEntry]| {
            let mut usage = usage();
            entries.iter().for_each(|entry| usage.take(entry).unwrap());
            usage.finish().remove(0)
        };
        let answered = [v1::Reason::Unspecified];
        let one = access(1, "first-bank", "north-mobile", &answered);
        let two = access(2, "first-bank", "north-mobile", &answered);
        let elsewhere = access(2, "second-bank", "north-mobile", &answered);
        // What others asked in between is not in it, so both sides get the same.
        assert_eq!(
            of(&[one.clone(), elsewhere]),
            of(std::slice::from_ref(&one))
        );
        let mut other = one.clone();
        other.bytes.push(0);
        assert_ne!(of(&[one]).sha256, of(&[other]).sha256);
        assert_eq!(of(&[two]).accesses, 1);
    }

    #[test]
    fn an_entry_that_comes_twice_or_too_late_is_refused() {
        let mut usage = usage();
        let entry = |index| access(index, "first-bank", "north-mobile", &[]);
        usage.take(&entry(5)).unwrap();
        for index in [5, 4] {
            let refused = usage.take(&entry(index)).unwrap_err();
            assert!(matches!(refused, UsageError::Order { index: at, .. } if at == index));
        }
        // The next month's log begins with index 0.
        let mut next = entry(0);
        next.origin = "accord.example/2026-12".to_owned();
        usage.take(&next).unwrap();
    }

    #[test]
    fn a_reason_of_a_newer_version_is_not_billed() {
        let mut usage = usage();
        let mut entry = access(1, "first-bank", "north-mobile", &[v1::Reason::Quota]);
        if let Some(Event::Access(access)) = &mut entry.entry.event {
            access.signals[0].reason = 99;
        }
        usage.take(&entry).unwrap();
        let statement = usage.finish().remove(0);
        assert!(
            statement.text.contains("\nsim_swap 0 0 0 0 0 0 0 1\n"),
            "{}",
            statement.text
        );
    }
}
