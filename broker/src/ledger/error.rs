//! What the ledger refuses, and why.

use std::io;
use std::path::{Path, PathBuf};

use accord_proto::c2sp::{CheckpointError, KeyError};
use accord_proto::merkle::ProofError;
use accord_proto::segment::ENTRY_BYTES_MAX;

/// What stands against opening, appending to or reading the ledger. A failed write or sync is not
/// here: it ends the process.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The queue is full: try again later.
    #[error("the ledger's queue is full")]
    Full,
    /// The ledger was stopped.
    #[error("the ledger has stopped")]
    Stopped,
    /// The wall clock stepped; appends fail until it is back or the process restarts.
    #[error("the wall clock stepped, so entries can not be timed")]
    ClockStepped,
    /// At start the wall clock is behind the last entry.
    #[error("the wall clock shows {now}, and the last entry was written at {last}")]
    ClockBehind {
        /// The last entry's time.
        last: jiff::Timestamp,
        /// What the clock shows.
        now: jiff::Timestamp,
    },
    /// Too little space is free, or a segment could not be prepared.
    #[error("too little space is free for the ledger")]
    DiskLow,
    /// Longer than the format allows.
    #[error("an entry has at most {ENTRY_BYTES_MAX} bytes, the time stamp included")]
    EntryTooLong,
    /// `init` where a log is already.
    #[error("`{}` holds a ledger already", .dir.display())]
    Exists {
        /// The directory.
        dir: PathBuf,
    },
    /// `open` where no log is.
    #[error("`{}` holds no ledger: `accord-broker ledger init` makes one", .dir.display())]
    Missing {
        /// The directory.
        dir: PathBuf,
    },
    /// Another process has it open.
    #[error("`{}` is in use by another process", .dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// A file could not be read or, outside of the sequencer, written.
    #[error("could not {what} `{}`", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes that are not as they were written.
    #[error("segment `{segment}` is damaged at offset {offset}, entry {entry}: {what}")]
    Damaged {
        /// The segment's file, with its month.
        segment: String,
        /// Where in the file the damaged frame begins.
        offset: u64,
        /// Index of the entry that stands there, or of the next one.
        entry: u64,
        /// What is wrong.
        what: String,
    },
    /// The published checkpoint is no checkpoint of this log.
    #[error("the published checkpoint `{}` is not believed", .path.display())]
    Published {
        /// The file.
        path: PathBuf,
        /// Why.
        source: CheckpointError,
    },
    /// The published checkpoint, which a log always has, is gone.
    #[error(
        "`{}` is missing or empty, and a log is never without it: it was removed, or the disk lost \
         it. Without it nobody can tell whether entries were cut off. Put it back from a backup, or \
         a newer checkpoint of this log that an authority keeps", .path.display()
    )]
    Unpublished {
        /// The file.
        path: PathBuf,
    },
    /// Entries that were signed and published are not there.
    #[error("`{origin}` has {found} entries, but a checkpoint of {published} was published")]
    Shorter {
        /// The log.
        origin: String,
        /// Size of the published checkpoint.
        published: u64,
        /// Entries found.
        found: u64,
    },
    /// The entries are not those that were published.
    #[error("`{origin}` has another root at size {published} than was published")]
    Forked {
        /// The log.
        origin: String,
        /// Size of the published checkpoint.
        published: u64,
    },
    /// A witness knows entries that are not there: the disk was rolled back, or another one has gone
    /// on with this ledger.
    #[error(
        "`{origin}` has {found} entries, but a witness has seen {witnessed}: go on with the disk \
         that holds them"
    )]
    WitnessedMore {
        /// The log.
        origin: String,
        /// Size of the checkpoint that a witness cosigned.
        witnessed: u64,
        /// Entries found.
        found: u64,
    },
    /// The entries are not those that a witness has seen.
    #[error("`{origin}` has another root at size {witnessed} than a witness has seen")]
    WitnessedOther {
        /// The log.
        origin: String,
        /// Size of the checkpoint that a witness cosigned.
        witnessed: u64,
    },
    /// For too long no quorum of witnesses has cosigned.
    #[error("no quorum of witnesses has cosigned for longer than the agreement allows")]
    Unwitnessed,
    /// The signing key is not the one that made this ledger.
    #[error("the signing key is not that of the ledger in `{}`", .dir.display())]
    WrongKey {
        /// The directory.
        dir: PathBuf,
    },
    /// A key that can't be used.
    #[error("a key of the ledger can not be used")]
    Key(#[from] KeyError),
    /// A setting that makes no sense.
    #[error("the ledger's setting {0}")]
    Setting(&'static str),
    /// No randomness.
    #[error("no random")]
    Random,
    /// No log of this origin here.
    #[error("there is no log `{origin}` here")]
    UnknownLog {
        /// What was asked for.
        origin: String,
    },
    /// An index or size beyond the log.
    #[error("the index or size lies beyond the log, which has {size} entries")]
    Range {
        /// Number of entries.
        size: u64,
    },
    /// A proof that was made does not verify, even after the tiles were made anew.
    #[error("no proof could be made that verifies")]
    Proof(#[from] ProofError),
}

impl LedgerError {
    /// For `map_err`: what was tried, on which path.
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            what,
            path: path.to_owned(),
            source,
        }
    }

    /// True where the disk was full.
    pub(super) fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull)
    }
}
