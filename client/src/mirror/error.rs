//! Why a mirror does not go on. What it holds stays as it is.

use std::path::PathBuf;

use accord_proto::c2sp::PolicyError;

use super::entries::EntryFault;
use super::layout::LayoutError;
use super::store::StoreError;
use super::verify::MirrorFault;

/// Why a mirror does not go on.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// No connection, or one that broke.
    #[error("no tiles from {endpoint}: {why}")]
    Unreachable {
        /// Where.
        endpoint: String,
        /// What happened, in one line.
        why: String,
    },
    /// The broker said no.
    #[error("the broker refuses `{path}`: {message} ({reason})")]
    Refused {
        /// What was asked for.
        path: String,
        /// The HTTP status.
        status: u16,
        /// The stable word.
        reason: String,
        /// In words.
        message: String,
    },
    /// An answer that can't be one.
    #[error("the answer to `{path}` {what}")]
    Answer {
        /// What was asked for.
        path: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The checkpoint's signatures.
    #[error("the checkpoint of `{origin}` is not believed")]
    Checkpoint {
        /// The log.
        origin: String,
        /// Why.
        #[source]
        source: PolicyError,
    },
    /// The log shows less than it signed before.
    #[error(
        "`{origin}` shows {shown} entries, and this mirror holds {held} under a checkpoint that \
         the log signed: the log was cut, or rolled back{}", evidence(.kept)
    )]
    Shrunk {
        /// The log.
        origin: String,
        /// Entries that it shows.
        shown: u64,
        /// Entries that are here.
        held: u64,
        /// Where the signed checkpoint was kept.
        kept: Option<PathBuf>,
    },
    /// The log shows another history than the one that is here.
    #[error(
        "`{origin}` has forked: its signed checkpoint of {shown} entries does not continue the one \
         of {held} entries that it signed before{}", evidence(.kept)
    )]
    Forked {
        /// The log.
        origin: String,
        /// Entries that it shows.
        shown: u64,
        /// Entries that are here.
        held: u64,
        /// Where the signed checkpoint was kept.
        kept: Option<PathBuf>,
    },
    /// A tile that is not what was signed.
    #[error("the hash tile `{path}` is not what the log signed")]
    Tile {
        /// Which.
        path: String,
    },
    /// An entry that is not what was signed, or breaks a rule.
    #[error("entry {entry} in `{path}`: {fault}")]
    Entry {
        /// The bundle.
        path: String,
        /// The entry.
        entry: u64,
        /// What is wrong.
        fault: EntryFault,
    },
    /// The month before is not shown to the end that the next month names.
    #[error(
        "`{origin}` is shown with {held} entries, but the month after it begins behind its entry \
         {named}"
    )]
    MonthNotShown {
        /// The log.
        origin: String,
        /// Entries that are shown.
        held: u64,
        /// Entries that there were.
        named: u64,
    },
    /// A log that the broker does not have.
    #[error("the broker has no log `{origin}`; it has {known}")]
    UnknownLog {
        /// What was asked for.
        origin: String,
        /// What there is.
        known: String,
    },
    /// A log is no longer shown.
    #[error("the broker no longer shows `{origin}`, of which this mirror holds {held} entries")]
    LogGone {
        /// The log.
        origin: String,
        /// Entries that are here.
        held: u64,
    },
    /// What this mirror holds is damaged.
    #[error("what this mirror holds is damaged; a new one can be begun beside it")]
    Own(#[source] MirrorFault),
    /// The directory.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A thread ended early.
    #[error("the writing of the mirror broke off")]
    BrokeOff,
}

impl From<LayoutError> for MirrorError {
    fn from(error: LayoutError) -> Self {
        Self::Store(error.into())
    }
}

impl MirrorError {
    /// Whether to try again later: nothing was found that is wrong.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::MonthNotShown { .. } => true,
            Self::Refused { status, .. } => matches!(*status, 429 | 503),
            Self::Answer { .. }
            | Self::Checkpoint { .. }
            | Self::Shrunk { .. }
            | Self::Forked { .. }
            | Self::Tile { .. }
            | Self::Entry { .. }
            | Self::UnknownLog { .. }
            | Self::LogGone { .. }
            | Self::Own(_)
            | Self::Store(_)
            | Self::BrokeOff => false,
        }
    }
}

fn evidence(kept: &Option<PathBuf>) -> String {
    let path = kept.as_ref().map(|path| path.display().to_string());
    path.map_or_else(String::new, |path| {
        format!("; the log's own signature on it is kept in `{path}`")
    })
}
