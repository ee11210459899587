//! Why a fault could not be tried.

use std::{io, path::Path, path::PathBuf};

use accord_broker::ledger::LedgerError;
use accord_proto::c2sp::{CheckpointError, KeyError};

use crate::world::WorldError;

/// Why the table could not be made. What a fault did to the ledger is never here: that is a row.
#[derive(Debug, thiserror::Error)]
pub enum SoakError {
    /// A file or a system call.
    #[error("can't {act} `{path}`")]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The ledger's key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A ledger that was not harmed yet.
    #[error("a ledger that was not harmed yet")]
    Ledger(#[from] LedgerError),
    /// A checkpoint of a ledger that was not harmed yet.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A program that must be there.
    #[error("`{program}` is not there or failed: {why}")]
    Program {
        /// Which.
        program: String,
        /// What it said.
        why: String,
    },
    /// What a fault needs and the setting did not give.
    #[error("{0}")]
    Setting(String),
    /// A whole Accord.
    #[error(transparent)]
    World(#[from] WorldError),
}

impl SoakError {
    pub(super) fn io(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { act, path, source }
    }

    /// The error and its causes, on one line.
    #[must_use]
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// An error and its causes, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
