//! The authorities' acts as the ledger has them.

use std::path::Path;

use accord_proto::{
    agreement::{ActError, NotNow},
    v1::{self, entry::Event},
};
use jiff::Timestamp;

pub use crate::acts_file::At;
use crate::{
    acts_file::{ActsFile, Recorded, read_at},
    ledger::{Ledger, LedgerError},
};

/// The name of the file that says where they lie, beside the broker's keys.
const NAME: &str = "agreement-acts";
const HEADING: &str = "accord agreement acts v1";
const AGREEMENT_ACT_TAG: u8 = (13 << 3) | 2;

/// An act on the record.
#[derive(Clone, Debug)]
pub struct RecordedAct {
    /// Where.
    pub at: At,
    /// When the ledger stamped it.
    pub time: Timestamp,
    /// What.
    pub act: v1::AgreementAct,
}

/// Why the acts on the record do not become a state.
#[derive(Debug, thiserror::Error)]
pub enum LifeError {
    /// The ledger.
    #[error("{0}")]
    Ledger(#[from] LedgerError),
    /// An act that its author did not sign.
    #[error("entry {index} of {origin} is no act of an authority: {error}")]
    Act {
        /// Where.
        origin: String,
        /// Which entry.
        index: u64,
        /// Why.
        error: ActError,
    },
    /// An act that can't have happened then.
    #[error("entry {index} of {origin} can't have happened there: {error}")]
    Order {
        /// Where.
        origin: String,
        /// Which entry.
        index: u64,
        /// Why.
        error: NotNow,
    },
}

/// The file that says where the acts lie, in the directory of the broker's keys.
pub(super) fn acts_file(keys: &Path) -> ActsFile {
    ActsFile::new(keys.join(NAME), HEADING, AGREEMENT_ACT_TAG)
}

/// Every act on the record, oldest first.
///
/// # Errors
/// If the ledger can't be read.
pub(super) fn recall(file: &ActsFile, ledger: &Ledger) -> Result<Vec<RecordedAct>, LedgerError> {
    Ok(file.recall(ledger)?.into_iter().filter_map(act).collect())
}

/// The act in one entry; `None` if it holds something else.
pub(super) fn read_act(ledger: &Ledger, at: &At) -> Result<Option<RecordedAct>, LedgerError> {
    Ok(read_at(ledger, at, AGREEMENT_ACT_TAG)?.and_then(act))
}

fn act(recorded: Recorded) -> Option<RecordedAct> {
    let Recorded { at, time, event } = recorded;
    let Event::AgreementAct(act) = event else {
        return None;
    };
    Some(RecordedAct { at, time, act })
}
