//! The records of the journal that the ledger must know of.

use std::collections::{HashMap, HashSet};

use accord_proto::{purpose::Purpose, signal::Signal};
use jiff::Timestamp;
use serde::Deserialize;

use super::{ITEMS_MAX, ReconcileError, Scope};
use crate::{
    journal::{self, Verified},
    source::signal_bit,
};

/// The clause of what an authority asks to report to a subject.
const SUBJECT_REPORT: &str = "subject-report";

/// A question in the journal.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) index: u64,
    pub(super) at: Timestamp,
    pub(super) bank: String,
    /// As on the wire; 0: none that is known.
    pub(super) purpose: i32,
    pub(super) signals: usize,
    pub(super) what: What,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// It was answered, with this digest.
    Reply([u8; 32]),
    /// It was answered for an authority that reports to the subject.
    SubjectReport,
    /// The broker answered from its view, and this is its entry.
    FromView { origin: String, entry: u64 },
}

/// All that is compared of a journal.
#[derive(Debug)]
pub(super) struct Records {
    pub(super) verified: Verified,
    /// By index.
    pub(super) records: HashMap<u64, Record>,
    /// The head at each size that was asked for.
    pub(super) heads: HashMap<u64, [u8; 32]>,
}

#[derive(Deserialize)]
struct Line {
    index: u64,
    at: Timestamp,
    event: String,
    #[serde(default)]
    broker: String,
    #[serde(default)]
    bank: String,
    purpose: Option<Purpose>,
    #[serde(default)]
    signals: Vec<String>,
    #[serde(default)]
    clauses: Vec<String>,
    reply: Option<String>,
    origin: Option<String>,
    entry: Option<u64>,
}

/// Verifies the journal, and takes what is asked for while it does.
pub(super) fn read(scope: &Scope<'_>, sizes: &HashSet<u64>) -> Result<Records, ReconcileError> {
    let mut records = HashMap::new();
    let mut heads = HashMap::new();
    let mut too_many = false;
    let verified = journal::verify_each(scope.journal_dir, scope.journal_key, |line, head| {
        if sizes.contains(&head.size) {
            heads.insert(head.size, head.hash);
        }
        let Ok(line) = serde_json::from_slice::<Line>(line) else {
            return Err("not a record of this version");
        };
        let of_another = scope.broker.is_some_and(|broker| line.broker != broker);
        if let (Some(record), false) = (record(line)?, of_another) {
            too_many |= records.len() >= ITEMS_MAX;
            if !too_many {
                records.insert(record.index, record);
            }
        }
        Ok(())
    })?;
    if too_many {
        return Err(ReconcileError::TooMany { what: "records" });
    }
    Ok(Records {
        verified,
        records,
        heads,
    })
}

fn record(line: Line) -> Result<Option<Record>, &'static str> {
    let what = match line.event.as_str() {
        "reply" if line.clauses.iter().any(|clause| clause == SUBJECT_REPORT) => {
            What::SubjectReport
        }
        "reply" => {
            let digest = line.reply.as_deref().and_then(accord_proto::hex::decode);
            What::Reply(digest.ok_or("a reply without its digest")?)
        }
        "served_from_view" => What::FromView {
            origin: line.origin.ok_or("a report without its log")?,
            entry: line.entry.ok_or("a report without its entry")?,
        },
        _ => return Ok(None),
    };
    let signals = line.signals.iter();
    let signals = signals.filter_map(|name| Signal::from_name(name));
    Ok(Some(Record {
        index: line.index,
        at: line.at,
        bank: line.bank,
        purpose: line.purpose.map_or(0, |purpose| purpose.to_wire() as i32),
        signals: signals.fold(0, |bits, one| bits | signal_bit(one)),
        what,
    }))
}
