//! Why the HLR's file can't be read, each a state with a name.

use std::path::PathBuf;

use accord_proto::reason::Reason;

use crate::{source::Condition, unreached::in_words};

/// What is wrong with the file. It names no subscriber.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// Not there, or not readable for this user.
    #[error(
        "can't open `{}`: {}; this user needs read access to it, its -wal and its -shm",
        path.display(),
        in_words(*kind)
    )]
    Closed {
        /// The file.
        path: PathBuf,
        /// Why not.
        kind: std::io::ErrorKind,
    },
    /// It is a copy, for the HLR runs and its log is not beside the file.
    #[error("`{}` has no -wal file beside it although the HLR runs: it is a copy; name the file that the HLR itself uses", .0.display())]
    Copy(PathBuf),
    /// The log was copied without the index that goes with it.
    #[error("`{}` has a -wal file and no -shm file: it is a copy; name the file that the HLR itself uses", .0.display())]
    CopyOfLog(PathBuf),
    /// Not SQLite, or damaged.
    #[error("`{}` is no SQLite database, or a damaged one", .0.display())]
    Damaged(PathBuf),
    /// A table or a column is missing, though the version is a known one.
    #[error("`{}` is of schema version {version}, and yet its table `subscriber` lacks {what}", path.display())]
    Drifted {
        /// The file.
        path: PathBuf,
        /// Its `user_version`.
        version: i64,
        /// What is missing.
        what: &'static str,
    },
    /// No tables at all.
    #[error("`{}` is an empty database: a copy of it without its -wal file holds nothing; name the file that the HLR itself uses", .0.display())]
    Empty(PathBuf),
    /// Somebody holds it locked.
    #[error("`{}` stays locked by another program", .0.display())]
    Locked(PathBuf),
    /// Too many wait for it.
    #[error("too many questions wait for the HLR's database")]
    Queue,
    /// It did not answer in time.
    #[error("`{}` could not be read in time", .0.display())]
    Slow(PathBuf),
    /// The program is stopping.
    #[error("the program is stopping")]
    Stopped,
    /// The thread can't be started.
    #[error("can't start the thread that reads the HLR's database: {0}")]
    Thread(std::io::ErrorKind),
    /// A schema that this program does not know.
    #[error("`{}` is of schema version {found}, and this program knows {known:?}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its `user_version`.
        found: i64,
        /// The versions that are known.
        known: &'static [i64],
    },
}

impl DatabaseError {
    /// How a source is whose file is in this state.
    pub(in crate::osmo_hlr) const fn condition(&self) -> Condition {
        match self {
            Self::Closed {
                kind: std::io::ErrorKind::PermissionDenied,
                ..
            } => Condition::Refused,
            Self::Closed { .. }
            | Self::Locked(_)
            | Self::Queue
            | Self::Slow(_)
            | Self::Stopped
            | Self::Thread(_) => Condition::Down,
            Self::Copy(_)
            | Self::CopyOfLog(_)
            | Self::Damaged(_)
            | Self::Drifted { .. }
            | Self::Empty(_)
            | Self::Version { .. } => Condition::Unusable,
        }
    }

    /// What a bank is told of the signals that stand in the file.
    pub(in crate::osmo_hlr) const fn reason(&self) -> Reason {
        match self {
            Self::Queue => Reason::Overloaded,
            Self::Slow(_) => Reason::Timeout,
            Self::Closed { .. }
            | Self::Copy(_)
            | Self::CopyOfLog(_)
            | Self::Damaged(_)
            | Self::Drifted { .. }
            | Self::Empty(_)
            | Self::Locked(_)
            | Self::Stopped
            | Self::Thread(_)
            | Self::Version { .. } => Reason::SourceDown,
        }
    }
}
