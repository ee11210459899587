//! Why the index can't be used. It is a view: all but the first of these end with a new one.

use std::path::PathBuf;

use crate::ledger::LedgerError;

/// Why the index can't be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// A file or the directory.
    #[error("can't {act} `{}`", .path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// `SQLite` can't do its work, or finds the file damaged.
    #[error("its store can't be used")]
    Store(#[from] rusqlite::Error),
    /// Bytes that are not as they were written.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// It was made by another version, or of another ledger.
    #[error("it is not of this ledger: {0}")]
    Foreign(&'static str),
    /// The ledger can't be read.
    #[error("the ledger can't be read")]
    Ledger(#[from] LedgerError),
    /// Beyond the limit of terms.
    #[error("it has as many different terms as it can have")]
    TooManyTerms,
    /// No state is there yet.
    #[error("it is being looked through")]
    NotReady,
}
