//! The hash tree: its right edge in memory, full tiles on disk, and proofs from both.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use accord_proto::c2sp::tiles::{NodePlace, TILE_HASHES, TILE_LEVELS, Tile, hashes_of};
use accord_proto::merkle::{Frontier, Hash, NodeReader, ProofError, complete_root};

use super::error::LedgerError;
use super::layout;
use super::month::MonthLog;

/// A tile that has just become full.
pub(super) type FullTile = (Tile, Arc<Vec<Hash>>);

/// The right edge: the nodes that appending needs, and the tiles that are not full yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    frontier: Frontier,
    edge: Vec<Vec<Hash>>,
}

impl Tree {
    /// Appends a leaf hash; tiles that become full go to `full`.
    pub(super) fn append(&mut self, leaf: Hash, full: &mut Vec<FullTile>) {
        let edge = &mut self.edge;
        self.frontier.append_with(leaf, |level, index, hash| {
            if !level.is_multiple_of(TILE_LEVELS) {
                return;
            }
            let tile_level = usize::try_from(level / TILE_LEVELS).unwrap_or(0);
            if edge.len() <= tile_level {
                edge.resize_with(tile_level + 1, Vec::new);
            }
            let Some(hashes) = edge.get_mut(tile_level) else {
                return;
            };
            hashes.push(*hash);
            if (index + 1).is_multiple_of(TILE_HASHES) {
                let level = u8::try_from(tile_level).unwrap_or(u8::MAX);
                let tile = Tile::full(level, index / TILE_HASHES);
                full.push((tile, Arc::new(std::mem::take(hashes))));
            }
        });
    }

    /// Number of leaves.
    pub(super) const fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root.
    pub(super) fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// The nodes that appending needs, for a batch that isn't durable yet.
    pub(super) const fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// The tiles that are not full yet, by level.
    pub(super) fn edge(&self) -> &[Vec<Hash>] {
        &self.edge
    }

    /// The right edge of a stored log, cut off at `size`. `leaves` are the leaf hashes after the
    /// last full tile.
    pub(super) fn restore(
        log: &MonthLog,
        size: u64,
        leaves: Vec<Hash>,
    ) -> Result<Self, LedgerError> {
        let below = TreeReader::stored(log, size, false);
        let mut edge = vec![leaves];
        for level in 1_u8..8 {
            let count = size >> (u32::from(level) * TILE_LEVELS);
            if count == 0 {
                break;
            }
            let first = Tile::full_count(level, size) * TILE_HASHES;
            let hash_of = |index| below.tile_root(level - 1, index);
            edge.push((first..count).map(hash_of).collect::<Result<_, _>>()?);
        }
        let reader = TreeReader {
            edge: Some(&edge),
            ..TreeReader::stored(log, size, false)
        };
        let frontier = Frontier::restore(size, &reader)?;
        Ok(Self { frontier, edge })
    }
}

/// Tiles that a reader has come by, by level and index.
type Seen = HashMap<(u8, u64), Arc<Vec<Hash>>>;

/// Nodes of the first `size` leaves of a log.
pub(super) struct TreeReader<'a> {
    log: &'a MonthLog,
    size: u64,
    edge: Option<&'a [Vec<Hash>]>,
    /// Make every tile anew from the entries, since one on disk is wrong.
    anew: bool,
    seen: RefCell<Seen>,
}

impl<'a> TreeReader<'a> {
    /// Everything from disk.
    pub(super) fn stored(log: &'a MonthLog, size: u64, anew: bool) -> Self {
        Self {
            log,
            size,
            edge: None,
            anew,
            seen: RefCell::default(),
        }
    }

    /// What isn't full comes from the edge.
    pub(super) fn with_edge(log: &'a MonthLog, tree: &'a Tree, anew: bool) -> Self {
        Self {
            edge: Some(tree.edge()),
            ..Self::stored(log, tree.size(), anew)
        }
    }

    fn tile(&self, level: u8, index: u64) -> Result<Arc<Vec<Hash>>, LedgerError> {
        if let Some(hashes) = self.seen.borrow().get(&(level, index)) {
            return Ok(Arc::clone(hashes));
        }
        let hashes = self.find_tile(level, index)?;
        self.seen
            .borrow_mut()
            .insert((level, index), Arc::clone(&hashes));
        Ok(hashes)
    }

    /// Whether all of it comes from the disk, the right edge too.
    pub(super) const fn is_stored(&self) -> bool {
        self.edge.is_none()
    }

    /// A tile's hashes, held against those above them: up to the right edge, which no tile lies
    /// above.
    pub(super) fn checked_tile(
        &self,
        level: u8,
        index: u64,
    ) -> Result<Arc<Vec<Hash>>, LedgerError> {
        let hashes = self.tile(level, index)?;
        if index < Tile::full_count(level, self.size) {
            let above = self.checked_tile(level + 1, index / TILE_HASHES)?;
            let place = usize::try_from(index % TILE_HASHES).unwrap_or(usize::MAX);
            if complete_root(&hashes).as_ref() != above.get(place) {
                return Err(ProofError::Root.into());
            }
        }
        Ok(hashes)
    }

    fn find_tile(&self, level: u8, index: u64) -> Result<Arc<Vec<Hash>>, LedgerError> {
        let full = index < Tile::full_count(level, self.size);
        if let (false, Some(edge)) = (full, self.edge) {
            let hashes = edge.get(usize::from(level)).cloned();
            return Ok(Arc::new(hashes.unwrap_or_default()));
        }
        let there = self.size >> (u32::from(level) * TILE_LEVELS);
        let width = there.saturating_sub(index * TILE_HASHES).min(TILE_HASHES);
        let tile = u16::try_from(width)
            .ok()
            .and_then(|width| Tile::partial(level, index, width))
            .ok_or(ProofError::Range)?;
        if !self.anew {
            if let Some(hashes) = self.log.pending_tile(tile) {
                return Ok(hashes);
            }
            let bytes = layout::read_if_present(&self.log.dir.join(tile.path()))?;
            let hashes = bytes.and_then(|bytes| hashes_of(&bytes));
            if let Some(hashes) = hashes.filter(|hashes| hashes.len() == usize::from(tile.width()))
            {
                return Ok(Arc::new(hashes));
            }
        }
        let hashes = self.make_tile(level, index, width)?;
        if full {
            write_tile(self.log, tile, &hashes)?;
        }
        Ok(Arc::new(hashes))
    }

    /// A tile is derived: from the entries, or from the tiles below it.
    fn make_tile(&self, level: u8, index: u64, width: u64) -> Result<Vec<Hash>, LedgerError> {
        let first = index * TILE_HASHES;
        if level > 0 {
            return (first..first + width)
                .map(|below| self.tile_root(level - 1, below))
                .collect();
        }
        let mut hashes = Vec::new();
        self.log.read_entries(first, width, |_, frame| {
            hashes.push(frame.leaf_hash());
            Ok(())
        })?;
        Ok(hashes)
    }

    fn tile_root(&self, level: u8, index: u64) -> Result<Hash, LedgerError> {
        let tile = self.tile(level, index)?;
        complete_root(&tile).ok_or_else(|| ProofError::Range.into())
    }
}

impl NodeReader for TreeReader<'_> {
    type Error = LedgerError;

    fn node(&self, level: u32, index: u64) -> Result<Hash, LedgerError> {
        let place = NodePlace::of(level, index);
        let tile = self.tile(place.level, place.tile)?;
        place.hash(&tile).ok_or_else(|| ProofError::Range.into())
    }
}

/// Writes a tile, unless the same one is there already.
pub(super) fn write_tile(log: &MonthLog, tile: Tile, hashes: &[Hash]) -> Result<(), LedgerError> {
    let path = log.dir.join(tile.path());
    let bytes = hashes.as_flattened();
    if layout::read_if_present(&path)?.as_deref() == Some(bytes) {
        return Ok(());
    }
    layout::write_derived(&path, bytes)
}
