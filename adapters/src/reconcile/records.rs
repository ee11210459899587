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

/// The keyed pseudonym of a number.
pub(super) type Subject = [u8; 16];

/// A question in the journal.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) index: u64,
    pub(super) at: Timestamp,
    pub(super) bank: String,
    /// As on the wire; 0: none that is known.
    pub(super) purpose: i32,
    pub(super) signals: usize,
    /// The number's pseudonym in this journal.
    pub(super) subject: Subject,
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
    /// A batch of changes was sent.
    Sent(Sent),
}

/// A batch as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) sequence: u64,
    pub(super) digest: [u8; 32],
    pub(super) told: Vec<Told>,
    /// When the broker acknowledged it, if it did.
    pub(super) accepted: Option<Timestamp>,
}

/// One change of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) subject: Subject,
    /// As a bit.
    pub(super) signal: usize,
    pub(super) withdrawn: bool,
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
    sequence: Option<u64>,
    batch: Option<String>,
    subject: Option<String>,
    #[serde(default)]
    told: Vec<ToldLine>,
    origin: Option<String>,
    entry: Option<u64>,
}

#[derive(Deserialize)]
struct ToldLine {
    subject: String,
    signal: String,
    #[serde(default)]
    withdrawn: bool,
}

/// Verifies the journal, and takes what is asked for while it does.
pub(super) fn read(scope: &Scope<'_>, sizes: &HashSet<u64>) -> Result<Records, ReconcileError> {
    let mut records: HashMap<u64, Record> = HashMap::new();
    // The last sending of each batch, until it is acknowledged.
    let mut sent = HashMap::new();
    let mut heads = HashMap::new();
    let mut held = 0;
    let verified = journal::verify_each(scope.journal_dir, scope.journal_key, |line, head| {
        if sizes.contains(&head.size) {
            heads.insert(head.size, head.hash);
        }
        let Ok(line) = serde_json::from_slice::<Line>(line) else {
            return Err("not a record of this version");
        };
        let of_another = scope.broker.is_some_and(|broker| line.broker != broker);
        if of_another {
            return Ok(());
        }
        if line.event == "changes_accepted" {
            let index = line.sequence.and_then(|sequence| sent.remove(&sequence));
            let record = index.and_then(|index| records.get_mut(&index));
            if let Some(What::Sent(sent)) = record.map(|record| &mut record.what) {
                sent.accepted = Some(line.at);
            }
        } else if let Some(record) = record(line)? {
            held += 1;
            if let What::Sent(batch) = &record.what {
                held += batch.told.len();
                sent.insert(batch.sequence, record.index);
            }
            if held <= ITEMS_MAX {
                records.insert(record.index, record);
            }
        }
        Ok(())
    })?;
    if held > ITEMS_MAX {
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
        "changes_sent" => {
            let digest = line.batch.as_deref().and_then(accord_proto::hex::decode);
            What::Sent(Sent {
                sequence: line.sequence.ok_or("a batch without its number")?,
                digest: digest.ok_or("a batch without its digest")?,
                told: line.told.iter().map(told).collect::<Result<_, _>>()?,
                accepted: None,
            })
        }
        _ => return Ok(None),
    };
    let signals = line.signals.iter();
    let signals = signals.filter_map(|name| Signal::from_name(name));
    Ok(Some(Record {
        index: line.index,
        at: line.at,
        bank: line.bank,
        purpose: line.purpose.map_or(0, |purpose| purpose.to_wire() as i32),
        subject: match &line.subject {
            Some(subject) => pseudonym(subject)?,
            None => [0; 16],
        },
        signals: signals.fold(0, |bits, one| bits | signal_bit(one)),
        what,
    }))
}

fn told(line: &ToldLine) -> Result<Told, &'static str> {
    Ok(Told {
        subject: pseudonym(&line.subject)?,
        signal: Signal::from_name(&line.signal).map_or(0, signal_bit),
        withdrawn: line.withdrawn,
    })
}

fn pseudonym(text: &str) -> Result<Subject, &'static str> {
    accord_proto::hex::decode(text).ok_or("a pseudonym has 32 digits")
}
