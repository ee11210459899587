//! What is shown of a log as C2SP `tlog-tiles`: hash tiles and entry bundles.

use std::sync::Arc;

use accord_proto::c2sp::bundle::push_entry;
use accord_proto::c2sp::{Bundle, Tile};
use accord_proto::merkle::{ProofError, root_at};

use super::Ledger;
use super::error::LedgerError;
use super::reads::{parsed, twice};

impl Ledger {
    /// The checkpoint of a log that others are shown, and its size: with `witnessed` the last one
    /// that a quorum of witnesses cosigned (`None` where there is none yet), else the newest.
    ///
    /// # Errors
    /// [`LedgerError::UnknownLog`], or what is wrong with a closed month.
    pub fn shown(
        &self,
        origin: &str,
        witnessed: bool,
    ) -> Result<Option<(Arc<str>, u64)>, LedgerError> {
        let note = match witnessed {
            true => self.cosigned(Some(origin))?,
            false => Some(self.checkpoint(Some(origin))?),
        };
        let Some(note) = note else { return Ok(None) };
        let (_, checkpoint) = parsed(&*self.log(Some(origin))?, &note)?;
        Ok(Some((note, checkpoint.size)))
    }

    /// The bytes of a hash tile of the first `size` entries of a log. It was held against the
    /// hashes above it; where it was wrong, it was made anew from the entries.
    ///
    /// # Errors
    /// [`LedgerError::Range`] for what lies beyond `size`, [`LedgerError::Damaged`],
    /// [`LedgerError::Proof`].
    pub fn tile(&self, origin: &str, tile: Tile, size: u64) -> Result<Vec<u8>, LedgerError> {
        let log = self.log(Some(origin))?;
        let level = u32::from(tile.level()) * 8;
        let there = size.checked_shr(level).unwrap_or(0);
        let end = tile.index().checked_mul(256);
        let end = end.and_then(|first| first.checked_add(u64::from(tile.width())));
        if end.is_none_or(|end| end > there) {
            return Err(LedgerError::Range { size });
        }
        let hashes = twice(|anew| {
            log.read_tree(anew, |reader, newest, note| {
                if size > newest {
                    return Err(LedgerError::Range { size: newest });
                }
                if reader.is_stored() {
                    // Of a month that is over, the right edge lies on the disk as well.
                    let (_, checkpoint) = parsed(&log, &note)?;
                    if root_at(reader, newest)? != checkpoint.root {
                        return Err(ProofError::Root.into());
                    }
                }
                reader.checked_tile(tile.level(), tile.index())
            })
        })?;
        let hashes = hashes.get(..usize::from(tile.width()));
        let hashes = hashes.ok_or(LedgerError::Range { size })?;
        Ok(hashes.as_flattened().to_vec())
    }

    /// The bytes of an entry bundle of the first `size` entries of a log.
    ///
    /// # Errors
    /// [`LedgerError::Range`] for what lies beyond `size`, [`LedgerError::Damaged`],
    /// [`LedgerError::Io`].
    pub fn bundle(&self, origin: &str, bundle: Bundle, size: u64) -> Result<Vec<u8>, LedgerError> {
        let count = u64::from(bundle.width());
        let end = bundle.first().checked_add(count);
        let size = size.min(self.size_of(Some(origin))?);
        if end.is_none_or(|end| end > size) {
            return Err(LedgerError::Range { size });
        }
        let mut bytes = Vec::new();
        for entry in self.entries(Some(origin), bundle.first(), count)? {
            push_entry(&mut bytes, &entry).map_err(|_| LedgerError::EntryTooLong)?;
        }
        Ok(bytes)
    }
}
