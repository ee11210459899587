//! What witnesses have seen of the ledger: at start it must all be there, and what a quorum
//! cosigned is kept beside the log.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use accord_proto::c2sp::{Checkpoint, SignedNote, VerifierKey};
use accord_proto::merkle::{Hash, NodeReader, root_at};
use accord_proto::subject::Month;
use tokio::sync::futures::Notified;

use super::Ledger;
use super::error::LedgerError;
use super::layout;
use super::month::MonthLog;
use super::reads::parsed;

/// The last checkpoint that a quorum of witnesses cosigned.
const COSIGNED_FILE: &str = "checkpoint.cosigned";

/// That a log holds what witnesses have seen of it.
pub(super) fn check<R>(
    log: &MonthLog,
    size: u64,
    reader: &R,
    witnessed: &[Checkpoint],
) -> Result<(), LedgerError>
where
    R: NodeReader<Error = LedgerError>,
{
    for seen in witnessed.iter().filter(|seen| *seen.origin == *log.origin) {
        let origin = || log.origin.to_string();
        if seen.size > size {
            return Err(LedgerError::WitnessedMore {
                origin: origin(),
                witnessed: seen.size,
                found: size,
            });
        }
        if root_at(reader, seen.size)? != seen.root {
            return Err(LedgerError::WitnessedOther {
                origin: origin(),
                witnessed: seen.size,
            });
        }
    }
    Ok(())
}

/// That witnesses have seen no month that is not there.
pub(super) fn check_months(months: &[Month], witnessed: &[Checkpoint]) -> Result<(), LedgerError> {
    let missing = |seen: &&Checkpoint| {
        let month = seen.origin.rsplit_once('/');
        let month = month.and_then(|(_, month)| Month::parse(month));
        month.is_none_or(|month| !months.contains(&month))
    };
    match witnessed.iter().find(missing) {
        Some(seen) => Err(LedgerError::WitnessedMore {
            origin: seen.origin.clone(),
            witnessed: seen.size,
            found: 0,
        }),
        None => Ok(()),
    }
}

impl Ledger {
    /// The newest month that has a log in this directory; `None` where there is none.
    ///
    /// # Errors
    /// [`LedgerError::Io`].
    pub fn newest_month(dir: &Path) -> Result<Option<Month>, LedgerError> {
        if !dir.is_dir() {
            return Ok(None);
        }
        Ok(layout::list_months(dir)?.pop())
    }

    /// The checkpoint of a month as it was published last, before the ledger is opened.
    ///
    /// # Errors
    /// [`LedgerError`]: it is missing or damaged.
    pub fn published(
        dir: &Path,
        key: &VerifierKey,
        month: Month,
    ) -> Result<Option<SignedNote>, LedgerError> {
        let (_, text) = MonthLog::new(dir, key.name(), month).published(key)?;
        Ok(SignedNote::parse(&text).ok())
    }

    /// Keeps a checkpoint that a quorum of witnesses cosigned. It is derived: they can be asked
    /// again.
    ///
    /// # Errors
    /// [`LedgerError::UnknownLog`], [`LedgerError::Io`].
    pub fn keep_cosigned(&self, origin: &str, note: &str) -> Result<(), LedgerError> {
        layout::write_derived(&self.cosigned_path(origin)?, note.as_bytes())?;
        self.cosigned_kept.notify_waiters();
        Ok(())
    }

    /// Ready once another cosigned checkpoint is kept, of whatever log.
    pub fn cosigned_next(&self) -> Notified<'_> {
        self.cosigned_kept.notified()
    }

    /// The last checkpoint of a log that a quorum of witnesses cosigned, where there is one.
    ///
    /// # Errors
    /// [`LedgerError::UnknownLog`], [`LedgerError::Io`].
    pub fn cosigned(&self, origin: Option<&str>) -> Result<Option<Arc<str>>, LedgerError> {
        let log = self.log(origin)?;
        let bytes = layout::read_if_present(&self.cosigned_path(&log.origin)?)?;
        let note = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        // One that a power cut or a flipped bit spoilt is as good as none.
        Ok(note
            .filter(|note| log.is_signed(note, &self.key))
            .map(Into::into))
    }

    /// As [`Self::prove_inclusion`], against the last checkpoint that a quorum of witnesses
    /// cosigned; `None` where that does not cover the entry yet.
    ///
    /// # Errors
    /// As [`Self::prove_inclusion`].
    pub fn prove_cosigned(
        &self,
        origin: Option<&str>,
        index: u64,
    ) -> Result<Option<String>, LedgerError> {
        let log = self.log(origin)?;
        if let Some(cosigned) = self.cosigned(Some(&log.origin))? {
            let (note, checkpoint) = parsed(&log, &cosigned)?;
            if index < checkpoint.size {
                return self.prove_under(&log, index, note, &checkpoint).map(Some);
            }
        }
        let size = self.size_of(Some(&log.origin))?;
        if index >= size {
            return Err(LedgerError::Range { size });
        }
        Ok(None)
    }

    /// As [`Self::prove_consistency`], up to a checkpoint that a quorum of witnesses cosigned.
    ///
    /// # Errors
    /// As [`Self::prove_consistency`]; [`LedgerError::Range`] beyond that checkpoint.
    pub fn prove_cosigned_consistency(
        &self,
        origin: &str,
        old: u64,
        new: u64,
        cosigned: Arc<str>,
    ) -> Result<(Vec<Hash>, Arc<str>), LedgerError> {
        let (_, Checkpoint { size, .. }) = parsed(&*self.log(Some(origin))?, &cosigned)?;
        let new = if new == 0 { size } else { new };
        if new > size {
            return Err(LedgerError::Range { size });
        }
        let (hashes, _) = self.prove_consistency(Some(origin), old, new)?;
        Ok((hashes, cosigned))
    }

    /// For longer than the agreement allows no quorum of witnesses has cosigned, or one has again.
    /// Entries are taken all the same: refusals, reads and the broker's own acts stay on the record.
    pub fn hold_unwitnessed(&self, unwitnessed: bool) {
        self.unwitnessed.store(unwitnessed, Ordering::Relaxed);
    }

    /// Whether questions may not be answered, for want of witnesses.
    #[must_use]
    pub fn is_unwitnessed(&self) -> bool {
        self.unwitnessed.load(Ordering::Relaxed)
    }

    fn cosigned_path(&self, origin: &str) -> Result<PathBuf, LedgerError> {
        Ok(self.log(Some(origin))?.dir.join(COSIGNED_FILE))
    }
}
