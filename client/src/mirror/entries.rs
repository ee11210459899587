//! The entries of one log, in order: each held against its hash, its time against the one before,
//! and entry 0 against the month before.

use accord_proto::c2sp::{BundleEntries, BundleError, Checkpoint, SignedNote, VerifierKey};
use accord_proto::merkle::{Hash, leaf_hash};
use accord_proto::segment::time_of;
use accord_proto::v1;
use prost::Message as _;

/// What is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryFault {
    /// Not the bytes that the hash tile over it says.
    #[error("it is not the entry that was signed: its hash is another one")]
    Hash,
    /// The bundle's bytes.
    #[error("{0}")]
    Bundle(#[from] BundleError),
    /// Fewer or more entries than the bundle must have.
    #[error("the bundle has another number of entries than it must have")]
    Count,
    /// An entry without a time stamp.
    #[error("the entry has no time")]
    NoTime,
    /// Time went back.
    #[error("the entry's time goes back")]
    TimeBack,
    /// Entry 0.
    #[error("{0}")]
    Opening(&'static str),
}

/// Where in a log something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) index: u64,
    pub(super) fault: EntryFault,
}

/// What a month must continue.
#[derive(Clone, Debug, Default)]
pub(super) struct Before {
    /// The last checkpoint of the month before; `None` where that month is not at hand.
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) last_ms: u64,
    pub(super) authorities: Option<Vec<String>>,
}

/// Entries that follow each other.
#[derive(Debug)]
pub(super) struct Entries<'a> {
    origin: &'a str,
    keys: &'a [VerifierKey],
    before: &'a Before,
    /// Time of the last entry.
    pub(super) last_ms: u64,
    /// The authorities that entry 0 pins, once it was read.
    pub(super) authorities: Option<Vec<String>>,
    /// What entry 0 says of the month before, once it was read; `None`: there was none.
    pub(super) previous: Option<Checkpoint>,
}

impl<'a> Entries<'a> {
    pub(super) fn new(origin: &'a str, keys: &'a [VerifierKey], before: &'a Before) -> Self {
        Self {
            origin,
            keys,
            before,
            last_ms: before.last_ms,
            authorities: None,
            previous: None,
        }
    }

    /// Checks a bundle whose first entry has this index, against the hashes over it.
    pub(super) fn bundle(
        &mut self,
        first: u64,
        bytes: &[u8],
        hashes: &[Hash],
    ) -> Result<(), Wrong> {
        let mut entries = BundleEntries::new(bytes);
        let mut index = first;
        for hash in hashes {
            let wrong = |fault| Wrong { index, fault };
            let entry = entries.next().ok_or_else(|| wrong(EntryFault::Count))?;
            let entry = entry.map_err(|error| wrong(error.into()))?;
            if leaf_hash(entry) != *hash {
                return Err(wrong(EntryFault::Hash));
            }
            let time = time_of(entry).ok_or_else(|| wrong(EntryFault::NoTime))?;
            if time < self.last_ms {
                return Err(wrong(EntryFault::TimeBack));
            }
            if index == 0 {
                self.opening(entry)
                    .map_err(|what| wrong(EntryFault::Opening(what)))?;
            }
            self.last_ms = time;
            index += 1;
        }
        match entries.next() {
            None => Ok(()),
            Some(_) => Err(Wrong {
                index,
                fault: EntryFault::Count,
            }),
        }
    }

    fn opening(&mut self, entry: &[u8]) -> Result<(), &'static str> {
        let event = v1::Entry::decode(entry).ok().and_then(|entry| entry.event);
        let Some(v1::entry::Event::LogOpened(opened)) = event else {
            return Err("entry 0 does not open the log");
        };
        if opened.origin != self.origin {
            return Err("entry 0 opens another log");
        }
        if !opened.previous_checkpoint.is_empty() {
            let note = SignedNote::parse(&opened.previous_checkpoint)
                .map_err(|_| "entry 0 names no checkpoint of the month before")?;
            let previous = Checkpoint::open(&note, self.keys)
                .map_err(|_| "entry 0 names a checkpoint that no known key of the log signed")?;
            self.previous = Some(previous);
        }
        let (before, named) = (&self.before.checkpoint, &self.previous);
        if let Some(before) = before {
            let named = named
                .as_ref()
                .ok_or("entry 0 names no month before, and there is one")?;
            // That the month before is not here to its end, whoever follows the log says itself.
            let same = named.origin == before.origin;
            if !same || (named.size == before.size && named.root != before.root) {
                return Err("entry 0 continues another month than the one before");
            }
            if named.size < before.size {
                return Err("the month before has entries behind the end that entry 0 names");
            }
        }
        if let Some(pinned) = &self.before.authorities
            && *pinned != opened.authority_vkeys
        {
            return Err("entry 0 pins other authorities than the month before");
        }
        self.authorities = Some(opened.authority_vkeys);
        Ok(())
    }
}
