//! Proofs of many entries under one checkpoint, from the hash tiles that every party may have: a
//! tile proves 256 entries, where each would be a question of its own.

use std::collections::BTreeMap;

use accord_proto::c2sp::tiles::{TILE_BYTES, hashes_of};
use accord_proto::c2sp::{Checkpoint, Tile};
use accord_proto::merkle::{Hash, prove_inclusion};

use super::error::MirrorError;
use super::follow::source;
use super::hashes::{HashError, Hashes, edge_tiles};
use super::https::Https;
use crate::connected::ConnectError;
use crate::profile::{LoadedProfile, PartySection};

/// Where proofs come from.
#[derive(Debug)]
pub struct TileProofs {
    source: Https,
    logs: BTreeMap<String, Hashes>,
}

impl TileProofs {
    /// Nothing is asked yet. The tiles are where the profile says.
    ///
    /// # Errors
    /// [`ConnectError`]: the profile names no tiles, or its keys can't be used.
    pub fn new(profile: &LoadedProfile, party: &PartySection) -> Result<Self, ConnectError> {
        Ok(Self {
            source: source(profile, party, None, None)?,
            logs: BTreeMap::new(),
        })
    }

    /// Proves under this checkpoint of its log from here on; its signature is the caller's to check.
    ///
    /// # Errors
    /// [`MirrorError`]: the tiles do not lead to its root, or don't come.
    pub async fn under(&mut self, checkpoint: &Checkpoint) -> Result<(), MirrorError> {
        let origin = &checkpoint.origin;
        let mut edge = Vec::new();
        for tile in edge_tiles(checkpoint.size) {
            edge.push((tile, self.fetch(origin, tile).await?));
        }
        let paths: Vec<_> = edge.iter().map(|(tile, _)| tile.path()).collect();
        let hashes = Hashes::new(checkpoint, edge).map_err(|_| MirrorError::Tile {
            path: paths.join("` or `"),
        })?;
        self.logs.insert(origin.clone(), hashes);
        Ok(())
    }

    /// The audit path of an entry, the leaf's sibling first. Ask in the order of indices: of each
    /// level the last tile is kept.
    ///
    /// # Errors
    /// [`MirrorError`]; [`MirrorError::UnknownLog`] before [`under`](Self::under).
    pub async fn prove(
        &mut self,
        Checkpoint { origin, size, .. }: &Checkpoint,
        index: u64,
    ) -> Result<Vec<Hash>, MirrorError> {
        loop {
            let hashes = self.logs.get(origin);
            let hashes = hashes.ok_or_else(|| MirrorError::UnknownLog {
                origin: origin.clone(),
                known: self.logs.keys().cloned().collect::<Vec<_>>().join(", "),
            })?;
            let tile = match prove_inclusion(hashes, index, *size) {
                Ok(path) => return Ok(path),
                Err(HashError::Missing(tile)) => tile,
                Err(HashError::Edge | HashError::Range | HashError::Wrong(_)) => {
                    return Err(MirrorError::Answer {
                        path: format!("/{origin}/checkpoint"),
                        what: "covers no such entry",
                    });
                }
            };
            let given = self.fetch(origin, tile).await?;
            let taken = self.logs.get_mut(origin).map(|log| log.give(tile, given));
            if !matches!(taken, Some(Ok(()))) {
                return Err(MirrorError::Tile { path: tile.path() });
            }
        }
    }

    async fn fetch(&self, origin: &str, tile: Tile) -> Result<Vec<Hash>, MirrorError> {
        let path = tile.path();
        let bytes = self
            .source
            .get(&format!("/{origin}/{path}"), TILE_BYTES)
            .await?;
        let hashes = hashes_of(&bytes).filter(|hashes| hashes.len() == usize::from(tile.width()));
        hashes.ok_or(MirrorError::Tile { path })
    }
}
