//! The hash tiles of one log under one checkpoint, each believed only once the hash above it says
//! so. No tile is read here: whoever has some gives them, and asks what is missing.
//!
//! ```text
//! checkpoint ── root ──▶ right edge (the tiles that are not full) ──▶ full tiles, from above ──▶ leaves
//! ```

use accord_proto::c2sp::tiles::{NodePlace, TILE_HASHES, TILE_LEVELS};
use accord_proto::c2sp::{Checkpoint, Tile};
use accord_proto::merkle::{Frontier, Hash, NodeReader, ProofError, complete_root};

/// Levels of tiles over 2^64 entries.
const LEVELS: u8 = 8;

/// Why hashes are not believed, or can't be yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HashError {
    /// The right edge does not lead to the checkpoint's root.
    Edge,
    /// A tile that does not lead to the hash above it.
    Wrong(Tile),
    /// A tile that must be given first.
    Missing(Tile),
    /// There is no such node.
    Range,
}

impl From<ProofError> for HashError {
    fn from(_: ProofError) -> Self {
        Self::Range
    }
}

/// The tiles of a tree's right edge: those that are not full.
pub(super) fn edge_tiles(size: u64) -> Vec<Tile> {
    let tile = |level: u8| {
        let there = size >> (u32::from(level) * TILE_LEVELS);
        let width = u16::try_from(there % TILE_HASHES).unwrap_or(0);
        Tile::partial(level, there / TILE_HASHES, width)
    };
    (0..LEVELS).filter_map(tile).collect()
}

/// Hashes under a checkpoint. One full tile of each level is kept: a walk from left to right needs
/// no more.
#[derive(Debug)]
pub(super) struct Hashes {
    size: u64,
    /// By level; empty where a level has no tile that is not full.
    edge: Vec<Vec<Hash>>,
    full: Vec<Option<(u64, Vec<Hash>)>>,
}

impl Hashes {
    /// Believes a right edge that leads to the checkpoint's root: the hashes of [`edge_tiles`], in
    /// that order.
    pub(super) fn new(
        checkpoint: &Checkpoint,
        edge: impl IntoIterator<Item = (Tile, Vec<Hash>)>,
    ) -> Result<Self, HashError> {
        let mut hashes = Self {
            size: checkpoint.size,
            edge: vec![Vec::new(); usize::from(LEVELS)],
            full: vec![None; usize::from(LEVELS)],
        };
        for (tile, given) in edge {
            if given.len() != usize::from(tile.width()) {
                return Err(HashError::Wrong(tile));
            }
            if let Some(level) = hashes.edge.get_mut(usize::from(tile.level())) {
                *level = given;
            }
        }
        match Frontier::restore(checkpoint.size, &hashes) {
            Ok(frontier) if frontier.root() == checkpoint.root => Ok(hashes),
            Ok(_) | Err(_) => Err(HashError::Edge),
        }
    }

    /// The tiles of the right edge, for whoever keeps them.
    pub(super) fn edge(&self) -> impl Iterator<Item = (Tile, &[Hash])> {
        let levels = edge_tiles(self.size).into_iter();
        levels.filter_map(|tile| Some((tile, self.tile(tile.level(), tile.index())?)))
    }

    /// What must be given next, so that a tile is known; `None`: it is.
    pub(super) fn missing(&self, level: u8, index: u64) -> Option<Tile> {
        if self.tile(level, index).is_some() {
            return None;
        }
        let above = self.missing(level.checked_add(1)?, index / TILE_HASHES);
        Some(above.unwrap_or_else(|| Tile::full(level, index)))
    }

    /// Believes a full tile that leads to the hash above it. It must be what [`Self::missing`] said.
    pub(super) fn give(&mut self, tile: Tile, hashes: Vec<Hash>) -> Result<(), HashError> {
        let (level, index) = (tile.level(), tile.index());
        let above = self.tile(level + 1, index / TILE_HASHES);
        let above = above.ok_or(HashError::Missing(tile))?;
        let place = usize::try_from(index % TILE_HASHES).unwrap_or(usize::MAX);
        let leads = hashes.len() == 256 && complete_root(&hashes).as_ref() == above.get(place);
        if !leads {
            return Err(HashError::Wrong(tile));
        }
        if let Some(kept) = self.full.get_mut(usize::from(level)) {
            *kept = Some((index, hashes));
        }
        Ok(())
    }

    /// A tile that is known.
    pub(super) fn tile(&self, level: u8, index: u64) -> Option<&[Hash]> {
        let at = usize::from(level);
        if index >= Tile::full_count(level, self.size) {
            let edge = self.edge.get(at)?;
            return (!edge.is_empty()).then_some(edge);
        }
        let (kept, hashes) = self.full.get(at)?.as_ref()?;
        (*kept == index).then_some(hashes)
    }
}

impl NodeReader for Hashes {
    type Error = HashError;

    fn node(&self, level: u32, index: u64) -> Result<Hash, HashError> {
        let place = NodePlace::of(level, index);
        match self.tile(place.level, place.tile) {
            Some(hashes) => place.hash(hashes).ok_or(HashError::Range),
            None => match self.missing(place.level, place.tile) {
                Some(tile) => Err(HashError::Missing(tile)),
                None => Err(HashError::Range),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use accord_proto::merkle::{leaf_hash, prove_inclusion, root_at, verify_inclusion};

    use super::*;

    /// All tiles of a tree, and its checkpoint.
    fn tree(size: u64) -> (HashMap<Tile, Vec<Hash>>, Checkpoint) {
        let mut levels: Vec<Vec<Hash>> = vec![Vec::new(); 8];
        let mut frontier = Frontier::new();
        for index in 0..size {
            frontier.append_with(leaf_hash(&index.to_be_bytes()), |level, _, hash| {
                if level % 8 == 0 {
                    levels[level as usize / 8].push(*hash);
                }
            });
        }
        let mut tiles = HashMap::new();
        for (level, hashes) in (0_u8..).zip(&levels) {
            for (index, tile) in (0_u64..).zip(hashes.chunks(256)) {
                let width = u16::try_from(tile.len()).unwrap();
                tiles.insert(Tile::partial(level, index, width).unwrap(), tile.to_vec());
            }
        }
        let checkpoint = Checkpoint {
            origin: "log".to_owned(),
            size,
            root: frontier.root(),
        };
        (tiles, checkpoint)
    }

    fn opened(tiles: &HashMap<Tile, Vec<Hash>>, checkpoint: &Checkpoint) -> Hashes {
        let edge = edge_tiles(checkpoint.size).into_iter();
        Hashes::new(checkpoint, edge.map(|tile| (tile, tiles[&tile].clone()))).unwrap()
    }

    fn fill(hashes: &mut Hashes, tiles: &HashMap<Tile, Vec<Hash>>, level: u8, index: u64) {
        while let Some(tile) = hashes.missing(level, index) {
            hashes.give(tile, tiles[&tile].clone()).unwrap();
        }
    }

    #[test]
    fn every_leaf_of_trees_of_all_shapes_is_reached() {
        for size in [1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 66_000] {
            let (tiles, checkpoint) = tree(size);
            let mut hashes = opened(&tiles, &checkpoint);
            for index in 0..size.div_ceil(256) {
                fill(&mut hashes, &tiles, 0, index);
                let tile = hashes.tile(0, index).unwrap();
                for (leaf, hash) in (index * 256..).zip(tile) {
                    assert_eq!(*hash, leaf_hash(&leaf.to_be_bytes()), "{size}: {leaf}");
                }
            }
        }
    }

    #[test]
    fn an_older_tree_is_found_in_a_newer_one() {
        let (tiles, checkpoint) = tree(66_000);
        for old in [1, 256, 300, 65_535, 65_536, 65_900, 66_000] {
            let (_, older) = tree(old);
            let mut hashes = opened(&tiles, &checkpoint);
            let root = loop {
                match root_at(&hashes, old) {
                    Ok(root) => break root,
                    Err(HashError::Missing(tile)) => {
                        hashes.give(tile, tiles[&tile].clone()).unwrap()
                    }
                    Err(error) => panic!("{error:?}"),
                }
            };
            assert_eq!(root, older.root, "{old}");
        }
    }

    #[test]
    fn one_changed_hash_is_never_believed() {
        let (tiles, checkpoint) = tree(65_600);
        for tile in edge_tiles(checkpoint.size) {
            let mut wrong = tiles.clone();
            wrong.get_mut(&tile).unwrap()[0][7] ^= 1;
            let edge = edge_tiles(checkpoint.size).into_iter();
            let opened = Hashes::new(&checkpoint, edge.map(|tile| (tile, wrong[&tile].clone())));
            assert_eq!(opened.unwrap_err(), HashError::Edge, "{tile:?}");
        }
        let mut hashes = opened(&tiles, &checkpoint);
        let above = hashes.missing(0, 3).unwrap();
        assert_eq!(above, Tile::full(1, 0));
        let mut wrong = tiles[&above].clone();
        wrong[255][31] ^= 0x80;
        assert_eq!(hashes.give(above, wrong), Err(HashError::Wrong(above)));
        let short = tiles[&above][..255].to_vec();
        assert_eq!(hashes.give(above, short), Err(HashError::Wrong(above)));
        assert_eq!(hashes.missing(0, 3), Some(above));
        // A tile whose parent is not known is not looked at.
        let early = Tile::full(0, 3);
        assert_eq!(
            hashes.give(early, tiles[&early].clone()),
            Err(HashError::Missing(early))
        );
    }

    #[test]
    fn proofs_are_made_from_tiles_that_are_given_when_asked_for() {
        let (tiles, checkpoint) = tree(66_000);
        for index in [0, 255, 256, 65_535, 65_536, 65_999] {
            let mut given = 0;
            let mut edges = opened(&tiles, &checkpoint);
            let proof = loop {
                match prove_inclusion(&edges, index, checkpoint.size) {
                    Ok(proof) => break proof,
                    Err(HashError::Missing(tile)) => {
                        given += 1;
                        edges.give(tile, tiles[&tile].clone()).unwrap();
                    }
                    Err(error) => panic!("{error:?}"),
                }
            };
            assert!(given <= 3, "{given} tiles for {index}");
            let leaf = leaf_hash(&index.to_be_bytes());
            verify_inclusion(&leaf, index, checkpoint.size, &proof, &checkpoint.root).unwrap();
        }
    }
}
