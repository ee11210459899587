//! What journal and ledger may differ in, each with its words.

use std::fmt;

use jiff::Timestamp;

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
    /// A pushed batch that the broker acknowledged is in no entry.
    PushNotOnRecord {
        /// Index in the journal.
        journal: u64,
        /// When it was acknowledged, by the journal.
        at: Timestamp,
        /// Its number.
        sequence: u64,
    },
    /// An entry of pushed changes names a journal record that is no such batch.
    NeverPushed {
        /// The entry.
        entry: Place,
        /// The record that it names.
        journal: u64,
        /// Why it can't be that.
        why: &'static str,
    },
    /// The batch on the record is not the one in the journal.
    OtherPush {
        /// The entry.
        entry: Place,
        /// The record that it names.
        journal: u64,
        /// What differs.
        what: &'static str,
    },
    /// The broker answered from its view and did not report it.
    NotReported {
        /// The entry.
        entry: Place,
    },
    /// The broker answered from its view, and the entry does not say what that rests on.
    RestsOnNothing {
        /// The entry.
        entry: Place,
    },
    /// What the entry of an answer from the view names is not there, or says something else.
    NeverSaid {
        /// The entry.
        entry: Place,
        /// The record that it names.
        journal: u64,
        /// Why it can't be that.
        why: &'static str,
    },
    /// What an answer from the view rests on had been taken back.
    TakenBack {
        /// The entry.
        entry: Place,
        /// The record that it names.
        journal: u64,
        /// The record of the batch that took it back, which the broker had acknowledged.
        by: u64,
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

impl Difference {
    /// What it is, in the words of `docs/operators/README.md`.
    #[must_use]
    pub const fn title(&self) -> &'static str {
        match self {
            Self::NotOnRecord { .. } => "asked, and not on the record",
            Self::NeverAsked { .. } => "on the record, and never asked",
            Self::OtherReply { .. } => "told otherwise than recorded",
            Self::OtherQuestion { .. } => "asked otherwise than recorded",
            Self::Twice { .. } => "on the record twice",
            Self::PushNotOnRecord { .. } => "pushed and acknowledged, and not on the record",
            Self::NeverPushed { .. } => "on the record, and never pushed",
            Self::OtherPush { .. } => "pushed otherwise than recorded",
            Self::NotReported { .. } => "answered from the view, and not reported",
            Self::RestsOnNothing { .. } => "answered from the view, on nothing that is named",
            Self::NeverSaid { .. } => "answered from the view, on what was never said",
            Self::TakenBack { .. } => "answered from the view, on what had been taken back",
            Self::ReportedOnly { .. } => {
                "reported as answered from the view, and not on the record"
            }
            Self::OtherHead { .. } => "the journal had another head",
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.title())?;
        match self {
            Self::NotOnRecord { journal, at, asked } => {
                write!(f, "journal {journal}, {at:.0}, {asked}")
            }
            Self::NeverAsked {
                entry,
                journal,
                why,
            }
            | Self::NeverPushed {
                entry,
                journal,
                why,
            }
            | Self::NeverSaid {
                entry,
                journal,
                why,
            } => write!(f, "{entry} names journal {journal}, {why}"),
            Self::OtherReply { entry, journal } => {
                write!(f, "{entry} has another digest than journal {journal}")
            }
            Self::OtherQuestion {
                entry,
                journal,
                what,
            }
            | Self::OtherPush {
                entry,
                journal,
                what,
            } => write!(f, "{entry} has another {what} than journal {journal}"),
            Self::Twice { entry, journal } => write!(f, "{entry} names journal {journal} again"),
            Self::PushNotOnRecord {
                journal,
                at,
                sequence,
            } => write!(f, "journal {journal}, {at:.0}, batch {sequence}"),
            Self::NotReported { entry } | Self::RestsOnNothing { entry } => write!(f, "{entry}"),
            Self::TakenBack { entry, journal, by } => write!(
                f,
                "{entry} names journal {journal}, taken back by journal {by}"
            ),
            Self::ReportedOnly { journal, entry } => write!(f, "journal {journal} names {entry}"),
            Self::OtherHead { entry, size } => write!(f, "{entry} has it at {size} records"),
        }
    }
}
