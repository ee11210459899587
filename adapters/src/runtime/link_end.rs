//! How a link ended, and why.

use tonic::Status;

use crate::journal::JournalError;

/// How a link ended.
pub(super) enum LinkEnd {
    /// The adapter stops.
    Stopped,
    /// It broke, and may be made again.
    Lost(Lost),
    /// The journal failed.
    Journal(JournalError),
}

/// Why a link broke.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    #[error("the broker closed the stream")]
    Closed,
    #[error("the broker did not accept the attachment in time")]
    NotWelcomed,
    #[error("the broker said something else before its welcome")]
    NoWelcome,
    #[error("the broker was silent for three heartbeats")]
    Silent,
    #[error("the broker does not read what it is sent")]
    Stuck,
    #[error("the stream broke")]
    Status(#[from] Status),
}

impl From<Lost> for LinkEnd {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost)
    }
}

impl From<JournalError> for LinkEnd {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}
