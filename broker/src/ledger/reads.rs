//! Reading the ledger: checkpoints, entries, proofs, and the replay of recent entries. All of it
//! reads files, so call it from a thread that may block.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use accord_proto::c2sp::{Checkpoint, SignedNote, VerifierKey};
use accord_proto::merkle::{Hash, prove_consistency, root_at, verify_consistency};
use accord_proto::segment::{FrameKind, time_of};
use accord_proto::subject::Month;
use accord_proto::v1;
use jiff::Timestamp;
use prost::Message as _;
use tokio::sync::watch;

use super::error::LedgerError;
use super::layout::{self, segment_path};
use super::month::MonthLog;
use super::scan;
use super::{Head, Ledger, time_at};

/// An entry as it is stored.
#[derive(Debug)]
pub struct StoredEntry<'a> {
    /// The log's origin.
    pub origin: &'a str,
    /// The entry's index in that log.
    pub index: u64,
    /// When the sequencer stamped it.
    pub time: Timestamp,
    /// The exact bytes, a serialised `v1::Entry`: the leaf.
    pub bytes: &'a [u8],
}

/// In each of these, `origin` is a log's origin, and `None` the current log.
impl Ledger {
    pub(super) fn log(&self, origin: Option<&str>) -> Result<Arc<MonthLog>, LedgerError> {
        let current = self.current.load_full();
        let Some(origin) = origin.filter(|origin| **origin != *current.origin) else {
            return Ok(current);
        };
        let unknown = || LedgerError::UnknownLog {
            origin: origin.chars().take(80).collect(),
        };
        let month = origin
            .strip_prefix(self.key.name())
            .and_then(|rest| rest.strip_prefix('/'))
            .and_then(Month::parse)
            .filter(|month| *month < current.month)
            .ok_or_else(unknown)?;
        {
            let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(log) = closed.get(origin) {
                return Ok(Arc::clone(log));
            }
        }
        if !self.root.join(month.to_string()).is_dir() {
            return Err(unknown());
        }
        let log = Arc::new(MonthLog::open_closed(&self.root, &self.key, month)?);
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        closed.insert(origin.to_owned(), Arc::clone(&log));
        Ok(log)
    }

    /// The newest signed checkpoint of a log.
    ///
    /// # Errors
    /// [`LedgerError::UnknownLog`], or what is wrong with a closed month.
    pub fn checkpoint(&self, origin: Option<&str>) -> Result<Arc<str>, LedgerError> {
        let log = self.log(origin)?;
        let checkpoint = Arc::clone(&log.state().checkpoint);
        Ok(checkpoint)
    }

    /// Number of entries of the current log.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.current.load().state().size
    }

    /// The origins of all logs, oldest first.
    ///
    /// # Errors
    /// [`LedgerError::Io`].
    pub fn origins(&self) -> Result<Vec<String>, LedgerError> {
        let months = layout::list_months(&self.root)?;
        let name = self.key.name();
        Ok(months
            .iter()
            .map(|month| format!("{name}/{month}"))
            .collect())
    }

    /// How far the current log has come, and each change of it.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Head> {
        self.head.clone()
    }

    /// The exact bytes of an entry.
    ///
    /// # Errors
    /// [`LedgerError::Range`] beyond the end, [`LedgerError::Damaged`], [`LedgerError::Io`].
    pub fn entry(&self, origin: Option<&str>, index: u64) -> Result<Vec<u8>, LedgerError> {
        let mut entries = self.entries(origin, index, 1)?;
        entries.pop().ok_or_else(|| LedgerError::Range {
            size: self.size_of(origin).unwrap_or(0),
        })
    }

    /// Number of entries of a log.
    ///
    /// # Errors
    /// [`LedgerError::UnknownLog`], or what is wrong with a closed month.
    pub fn size_of(&self, origin: Option<&str>) -> Result<u64, LedgerError> {
        Ok(self.log(origin)?.state().size)
    }

    /// The current log's origin.
    #[must_use]
    pub fn origin(&self) -> String {
        self.current.load().origin.to_string()
    }

    /// Up to `count_max` entries from an index on; fewer at the end of the log.
    ///
    /// # Errors
    /// [`LedgerError::UnknownLog`], [`LedgerError::Damaged`], [`LedgerError::Io`].
    pub fn entries(
        &self,
        origin: Option<&str>,
        from: u64,
        count_max: u64,
    ) -> Result<Vec<Vec<u8>>, LedgerError> {
        let log = self.log(origin)?;
        let left = log.state().size.saturating_sub(from);
        let mut entries = Vec::new();
        log.read_entries(from, count_max.min(left), |_, frame| {
            entries.push(frame.payload().to_vec());
            Ok(())
        })?;
        Ok(entries)
    }

    /// An RFC 6962 proof that the tree of `new` entries continues that of `old`, and the newest
    /// checkpoint. `new` 0 stands for the newest checkpoint's size.
    ///
    /// # Errors
    /// [`LedgerError::Range`], [`LedgerError::Proof`], [`LedgerError::Damaged`].
    pub fn prove_consistency(
        &self,
        origin: Option<&str>,
        old: u64,
        new: u64,
    ) -> Result<(Vec<Hash>, Arc<str>), LedgerError> {
        let log = self.log(origin)?;
        twice(|anew| {
            log.read_tree(anew, |reader, size, note| {
                let new = if new == 0 { size } else { new };
                if new > size || old > new {
                    return Err(LedgerError::Range { size });
                }
                let (_, checkpoint) = parsed(&log, &note)?;
                let (old_root, new_root) = (root_at(reader, old)?, root_at(reader, new)?);
                let hashes = prove_consistency(reader, old, new)?;
                verify_consistency((old, &old_root), (new, &new_root), &hashes)?;
                // That both lie in the signed tree.
                let rest = prove_consistency(reader, new, size)?;
                let signed = (size, &checkpoint.root);
                verify_consistency((new, &new_root), signed, &rest)?;
                Ok((hashes, Arc::clone(&note)))
            })
        })
    }

    /// Shows every entry from `since` on, oldest first, over all months: the
    /// start-up replay of what is kept in memory. Older segments are skipped by their first entry's time.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], [`LedgerError::Io`].
    pub fn scan_since(
        &self,
        since: Timestamp,
        mut each: impl FnMut(&StoredEntry<'_>),
    ) -> Result<(), LedgerError> {
        let since_ms = u64::try_from(since.as_millisecond()).unwrap_or(0);
        for month in layout::list_months(&self.root)? {
            if month < Month::of(since) {
                continue;
            }
            let log = self.log(Some(&format!("{}/{month}", self.key.name())))?;
            let size = log.state().size;
            let from = first_since(&log, since_ms)?;
            log.read_entries(from, size.saturating_sub(from), |index, frame| {
                let time = time_of(frame.payload()).unwrap_or(0);
                if time >= since_ms {
                    each(&StoredEntry {
                        origin: &log.origin,
                        index,
                        time: time_at(time),
                        bytes: frame.payload(),
                    });
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// First index of the last segment that begins before `since`; 0 where none does.
fn first_since(log: &MonthLog, since_ms: u64) -> Result<u64, LedgerError> {
    let firsts: Vec<u64> = log.state().segments.iter().map(|s| s.first).collect();
    for first in firsts.into_iter().rev() {
        let path = segment_path(&log.dir, first);
        let mut time = None;
        if let Some((_, header_len)) = scan::read_header(&path)? {
            scan::scan(&path, header_len, |_, frame| {
                if frame.kind == FrameKind::Entry {
                    time = time_of(frame.payload());
                }
                Ok(ControlFlow::Break(()))
            })?;
        }
        if time.is_some_and(|time| time < since_ms) {
            return Ok(first);
        }
    }
    Ok(0)
}

/// Tries with the tiles as they are, then with tiles made from the entries.
pub(super) fn twice<T>(attempt: impl Fn(bool) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
    match attempt(false) {
        Err(LedgerError::Proof(_)) => {
            tracing::warn!("hash tiles are wrong, made anew");
            attempt(true)
        }
        other => other,
    }
}

pub(super) fn parsed(log: &MonthLog, note: &str) -> Result<(SignedNote, Checkpoint), LedgerError> {
    let opened = SignedNote::parse(note)
        .map_err(accord_proto::c2sp::CheckpointError::from)
        .and_then(|note| Ok((Checkpoint::parse(note.text())?, note)));
    match opened {
        Ok((checkpoint, note)) => Ok((note, checkpoint)),
        Err(source) => Err(LedgerError::Published {
            path: log.dir.clone(),
            source,
        }),
    }
}

/// Reads entry 0: the authorities that it pins, and that it continues the month before, under the
/// same authorities.
pub(super) fn chain(
    root: &Path,
    key: &VerifierKey,
    log: &MonthLog,
) -> Result<Arc<[VerifierKey]>, LedgerError> {
    let opened = opening(log)?;
    let mut months = layout::list_months(root)?;
    months.retain(|month| *month < log.month);
    let (mut checkpoint, mut vkeys) = (Arc::from(""), opened.authority_vkeys.clone());
    if let Some(month) = months.pop() {
        let previous = MonthLog::open_closed(root, key, month)?;
        vkeys = opening(&previous)?.authority_vkeys;
        checkpoint = Arc::clone(&previous.state().checkpoint);
    }
    if opened.previous_checkpoint != *checkpoint {
        let what = "entry 0 does not continue the month before";
        return Err(damaged_opening(log, what));
    }
    if opened.authority_vkeys != vkeys {
        let what = "entry 0 pins other authorities than the month before";
        return Err(damaged_opening(log, what));
    }
    let keys: Result<Vec<_>, _> = vkeys.iter().map(|key| VerifierKey::parse(key)).collect();
    Ok(keys?.into())
}

/// What a log begins with.
fn opening(log: &MonthLog) -> Result<v1::LogOpened, LedgerError> {
    let mut first = Vec::new();
    log.read_entries(0, 1, |_, frame| {
        first = frame.payload().to_vec();
        Ok(())
    })?;
    let damaged = |what| damaged_opening(log, what);
    let entry =
        v1::Entry::decode(first.as_slice()).map_err(|_| damaged("entry 0 can not be read"))?;
    let Some(v1::entry::Event::LogOpened(opened)) = entry.event else {
        return Err(damaged("entry 0 does not open the log"));
    };
    if *opened.origin != *log.origin {
        return Err(damaged("entry 0 opens another log"));
    }
    Ok(opened)
}

fn damaged_opening(log: &MonthLog, what: &str) -> LedgerError {
    LedgerError::Damaged {
        segment: layout::segment_label(&segment_path(&log.dir, 0)),
        offset: 0,
        entry: 0,
        what: what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use accord_proto::c2sp::SigningKey;
    use accord_proto::clock::{ManualClock, SharedClock};

    use super::*;
    use crate::ledger::create::{Opening, create_month};
    use crate::ledger::{LedgerConfig, Replayed};

    /// Opens a ledger of November and of a December that pins an authority.
    fn open_with(december: impl FnOnce(&SigningKey) -> VerifierKey) -> Result<Replayed, String> {
        let dir = tempfile::tempdir().unwrap();
        let clock: SharedClock = ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap());
        let key = SigningKey::generate("accord-test").unwrap();
        let authority = SigningKey::generate("central-bank").unwrap();
        let pinned = authority.verifier().clone();
        Ledger::init(dir.path(), &key, &[pinned], &clock).unwrap();
        let november = dir.path().join("2026-11").join(layout::CHECKPOINT_FILE);
        let opening = Opening {
            key: &key,
            month: Month::parse("2026-12").unwrap(),
            time_unix_ms: u64::try_from(clock.now().as_millisecond()).unwrap(),
            authorities: &[december(&authority)],
            previous_checkpoint: &std::fs::read_to_string(november).unwrap(),
        };
        create_month(dir.path(), &opening).unwrap();
        let opened = Ledger::open(LedgerConfig::new(dir.path(), key), clock);
        opened
            .map(|(_, replayed)| replayed)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_month_that_pins_other_authorities_than_the_one_before_refuses_to_start() {
        let same = open_with(|authority| authority.verifier().clone());
        assert_eq!(same.unwrap().size, 1);
        let other = open_with(|_| {
            let stranger = SigningKey::generate("central-bank").unwrap();
            stranger.verifier().clone()
        });
        let error = other.unwrap_err();
        assert!(
            error.contains("2026-12/00000000000000000000.segment")
                && error.contains("pins other authorities than the month before"),
            "{error}"
        );
    }
}
