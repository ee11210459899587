//! Compares the adapter's own journal with the ledger's entries about this operator, and names each
//! difference: what was asked and is not on the record, what is on the record and was never asked,
//! what was told or pushed otherwise than recorded.
//!
//! ```text
//!   accord audit export (jsonl) ──▶ entries: instance · journal index · digest of reply or batch ──┐
//!   journal (verified first) ─────▶ records: replies · batches · reports of view-served answers ───┴▶ differences
//! ```
//!
//! The digests are SHA-256(nonce ‖ reply), and SHA-256 of a batch with its nonce, which both sides
//! have; what was told stands in neither. A reply that came too late, or beside a hedge to another
//! instance, is used by nobody, so that the ledger has the question and not the reply: it is counted,
//! if an entry of the same bank, purpose and signals, which says that such an ask came to nothing,
//! stands within [`NEAR`]. An answer from the view names the reply or the batch that it rests on, which
//! must be there, about that signal and, where the answer was reported here, that number, and not taken
//! back before. A batch that was sent and not acknowledged need not be on the record: it is
//! sent again. That the export's entries are the ledger's is another
//! matter: `accord audit verify` shows that.

mod compare;
mod difference;
mod excuses;
mod export;
mod pushes;
mod records;
#[cfg(test)]
mod tests;
mod views;

use std::path::{Path, PathBuf};

use accord_proto::c2sp::VerifierKey;
use jiff::{SignedDuration, Timestamp};

pub use difference::{Difference, Place};

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
    /// Pushed batches that are the same in both.
    pub pushed: u64,
    /// Batches that were sent, neither acknowledged nor on the record.
    pub unacknowledged: u64,
    /// Batches on the record without a digest: of an adapter of an older version.
    pub without_digest: u64,
    /// Answers from the view, on the record and reported.
    pub from_view: u64,
    /// Signals answered from the view, on what this instance said.
    pub grounded: u64,
    /// Of these, such as were said before a later push of the same number's signal, which the broker
    /// had acknowledged. That may have said the same; from the digests nobody can tell.
    pub pushed_since: u64,
    /// Signals answered from the view, on what another instance said.
    pub grounded_elsewhere: u64,
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
