//! Compares the adapter's own journal with the ledger's entries about this operator, and names each
//! difference: what was asked and is not on the record, what is on the record and was never asked,
//! what was told otherwise than recorded.
//!
//! ```text
//!   accord audit export (jsonl) ──▶ entries: instance · journal index · digest of the reply ─┐
//!   journal (verified first) ─────▶ records: replies · reports of view-served answers ───────┴▶ differences
//! ```
//!
//! The digest is SHA-256(nonce ‖ reply), which both sides have; what was told stands in neither.
//! A reply that came too late, or beside a hedge to another instance, is used by nobody, so that the
//! ledger has the question and not the reply: it is counted, if an entry of the same bank, purpose
//! and signals stands within [`NEAR`]. That the export's entries are the ledger's is another
//! matter: `accord audit verify` shows that.

mod compare;
mod export;
mod records;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use accord_proto::c2sp::VerifierKey;
use jiff::{SignedDuration, Timestamp};

use crate::journal::{JournalError, Verified};

/// Entry and record of one question are no further apart, clocks included.
pub const NEAR: SignedDuration = SignedDuration::from_secs(60);
/// The most entries, and the most records, that are held in memory.
pub const ITEMS_MAX: usize = 4_000_000;

/// What is compared.
#[derive(Debug)]
pub struct Scope<'a> {
    /// The operator.
    pub operator: &'a str,
    /// This instance.
    pub instance: &'a str,
    /// Folder of the journal.
    pub journal_dir: &'a Path,
    /// The key of its checkpoints.
    pub journal_key: &'a VerifierKey,
    /// The export, JSON lines.
    pub export: &'a Path,
    /// Only what this broker asked; `None`: the adapter has one broker.
    pub broker: Option<&'a str>,
    /// Only from then on; `None`: from the export's first entry.
    pub from: Option<Timestamp>,
    /// Only until then; `None`: until the export's last entry.
    pub until: Option<Timestamp>,
}

/// Why nothing could be compared.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The journal is damaged, or can't be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The export can't be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        error: std::io::Error,
    },
    /// A line is none of such an export.
    #[error("`{}` line {line}: {what}; make it with `accord audit export -o F.jsonl`", path.display())]
    Export {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// Nothing in it is about this operator.
    #[error("`{}` has no entry about {operator}", path.display())]
    Nothing {
        /// The file.
        path: PathBuf,
        /// The operator.
        operator: String,
    },
    /// More than fits.
    #[error("more than {ITEMS_MAX} {what}: narrow it with --from and --until")]
    TooMany {
        /// Of what.
        what: &'static str,
    },
}

/// One difference. It names entries and records by their places, and no subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The journal has a question that no entry is about.
    NotOnRecord {
        /// Index in the journal.
        journal: u64,
        /// When, by the journal.
        at: Timestamp,
        /// Who asked, what for and what.
        asked: String,
    },
    /// An entry names a journal record that is not there.
    NeverAsked {
        /// The entry.
        entry: Place,
        /// The record that it names.
        journal: u64,
        /// Why it can't be that.
        why: &'static str,
    },
    /// The reply on the record is not the one in the journal.
    OtherReply {
        /// The entry.
        entry: Place,
        /// The record that it names.
        journal: u64,
    },
    /// The entry names another bank, purpose or signal than the journal.
    OtherQuestion {
        /// The entry.
        entry: Place,
        /// The record that it names.
        journal: u64,
        /// What differs.
        what: &'static str,
    },
    /// Two entries name the same record.
    Twice {
        /// The later entry.
        entry: Place,
        /// The record.
        journal: u64,
    },
    /// The broker answered from its view and did not report it.
    NotReported {
        /// The entry.
        entry: Place,
    },
    /// The broker reported an answer from its view that is not on the record.
    ReportedOnly {
        /// Index in the journal.
        journal: u64,
        /// The entry that it names.
        entry: Place,
    },
    /// When the adapter attached, the journal had another head than it has now at that size.
    OtherHead {
        /// The entry of the attachment.
        entry: Place,
        /// The size.
        size: u64,
    },
}

/// Where an entry stands in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The log.
    pub origin: String,
    /// The index.
    pub index: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.origin, self.index)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOnRecord { journal, at, asked } => write!(
                f,
                "asked, and not on the record: journal {journal}, {at:.0}, {asked}"
            ),
            Self::NeverAsked {
                entry,
                journal,
                why,
            } => write!(
                f,
                "on the record, and never asked: {entry} names journal {journal}, {why}"
            ),
            Self::OtherReply { entry, journal } => write!(
                f,
                "told otherwise than recorded: {entry} has another digest than journal {journal}"
            ),
            Self::OtherQuestion {
                entry,
                journal,
                what,
            } => write!(
                f,
                "asked otherwise than recorded: {entry} has another {what} than journal {journal}"
            ),
            Self::Twice { entry, journal } => {
                write!(
                    f,
                    "on the record twice: {entry} names journal {journal} again"
                )
            }
            Self::NotReported { entry } => {
                write!(f, "answered from the view, and not reported: {entry}")
            }
            Self::ReportedOnly { journal, entry } => write!(
                f,
                "reported as answered from the view, and not on the record: journal {journal} names {entry}"
            ),
            Self::OtherHead { entry, size } => write!(
                f,
                "the journal had another head: {entry} has it at {size} records"
            ),
        }
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Reconciled {
    /// Each difference.
    pub differences: Vec<Difference>,
    /// The journal.
    pub journal: Verified,
    /// The time that was compared.
    pub from: Timestamp,
    /// Its end.
    pub until: Timestamp,
    /// Entries about the operator in the export.
    pub entries: u64,
    /// Replies that are the same in both.
    pub matched: u64,
    /// Replies that nobody used: too late, or beside a hedge.
    pub unused: u64,
    /// Replies for an authority's report to a subject, which the ledger has as the report.
    pub subject_reports: u64,
    /// Answers from the view, on the record and reported.
    pub from_view: u64,
    /// Answers from the view that may have been reported to another instance.
    pub reported_elsewhere: u64,
    /// Entries that name records which the journal no longer keeps.
    pub no_longer_kept: u64,
    /// Heads of the journal at attachments that are the same.
    pub heads: u64,
    /// Records outside of that time.
    pub outside: u64,
}

/// How many entries about the operator an export has that lies nowhere: for fuzz targets.
///
/// # Errors
/// [`ReconcileError`] if it is no export.
#[cfg(any(test, feature = "test-util"))]
pub fn entries_in(scope: &Scope<'_>, export: &[u8]) -> Result<u64, ReconcileError> {
    Ok(export::read_from(scope, export)?.entries)
}

/// Compares.
///
/// # Errors
/// [`ReconcileError`] if the journal or the export can't be used.
pub fn reconcile(scope: &Scope<'_>) -> Result<Reconciled, ReconcileError> {
    let ledger = export::read(scope)?;
    compare::compare(scope, ledger)
}
