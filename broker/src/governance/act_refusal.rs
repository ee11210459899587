//! Why an authority's act is not taken. Each says what would be.

use accord_proto::agreement::{ActError, NotInForce, NotNow, Target};

use super::life::DOCUMENT_WIRE_BYTES_MAX;

/// Why an authority's act is not taken; nothing changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ActRefusal {
    /// It is no act, or not signed as one.
    #[error("{0}")]
    Act(#[from] ActError),
    /// Another authority's key than the caller's.
    #[error(
        "the act is signed with the key of `{signer}` and sent by `{caller}`: each authority acts \
         with its own key and its own certificate"
    )]
    OtherSigner {
        /// Whose key signed.
        signer: String,
        /// Whose certificate it came with.
        caller: String,
    },
    /// For another broker.
    #[error("the act is for the ledger `{named}`, and this is `{own}`")]
    OtherLog {
        /// As the act has it.
        named: String,
        /// This one.
        own: String,
    },
    /// Made too long ago, or ahead of time.
    #[error(
        "the act was made at {made} and it is {now}: more than ten minutes lie between them; make \
         it again"
    )]
    Stale {
        /// When, by its own account.
        made: jiff::Timestamp,
        /// The broker's time.
        now: jiff::Timestamp,
    },
    /// About another agreement than the one that governs.
    #[error("the act is about {named}, and {governs} governs; make it again")]
    OtherAgreement {
        /// As the act has it.
        named: String,
        /// What does.
        governs: String,
    },
    /// No agreement governs.
    #[error("no agreement is in force, so there is none to {0}")]
    NoAgreement(&'static str),
    /// It is on the record.
    #[error("this very act is on the record already, as entry {index} of {origin}")]
    Replayed {
        /// Where.
        origin: String,
        /// Which entry.
        index: u64,
    },
    /// It does not fit what came before it.
    #[error("{0}")]
    NotNow(#[from] NotNow),
    /// Nobody of that name.
    #[error("there is no `{0}` in the list of parties or in the agreement")]
    UnknownTarget(Target),
    /// The document, in the words of its own error.
    #[error("{0}")]
    Document(String),
    /// Too long for the wire.
    #[error(
        "a document proposed this way is at most {DOCUMENT_WIRE_BYTES_MAX} bytes long; a longer one \
         is signed offline and put in the configured file"
    )]
    TooLong,
    /// An act without its document, or with one that is not for it.
    #[error("document: {0}")]
    DocumentField(&'static str),
    /// Its term is over.
    #[error("{0}")]
    Over(NotInForce),
    /// It is not there any more.
    #[error("the document's file is gone from the broker; propose it again with a higher version")]
    Lost,
}

/// What kind of mistake it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ActFault {
    /// The message.
    Malformed,
    /// The document.
    Document,
    /// Who signed.
    Signer,
    /// When it was made, or about what.
    Stale,
    /// It happened already.
    Replayed,
    /// What came before it.
    NotNow,
}

impl ActRefusal {
    /// What kind of mistake it is.
    pub(crate) const fn fault(&self) -> ActFault {
        match self {
            Self::Act(ActError::Stranger(_) | ActError::Both) | Self::OtherSigner { .. } => {
                ActFault::Signer
            }
            Self::Act(
                ActError::TooLong | ActError::Note(_) | ActError::Line { .. } | ActError::Reason(_),
            )
            | Self::OtherLog { .. }
            | Self::UnknownTarget(_) => ActFault::Malformed,
            Self::Document(_) | Self::TooLong | Self::DocumentField(_) => ActFault::Document,
            Self::Stale { .. } | Self::OtherAgreement { .. } => ActFault::Stale,
            Self::Replayed { .. } => ActFault::Replayed,
            Self::NotNow(_) | Self::NoAgreement(_) | Self::Over(_) | Self::Lost => ActFault::NotNow,
        }
    }
}
