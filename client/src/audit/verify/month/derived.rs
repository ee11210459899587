//! What is derived from the entries, where it is there: hash tiles and sparse indexes.

use accord_proto::c2sp::Tile;
use accord_proto::c2sp::tiles::{TILE_HASHES, TILE_LEVELS};
use accord_proto::merkle::Hash;
use accord_proto::segment::SparseIndex;

use super::super::{VerifyError, read_if_present};
use super::MonthCheck;

impl MonthCheck<'_> {
    pub(super) fn append(&mut self, leaf: Hash) -> Result<(), VerifyError> {
        let edge = &mut self.edge;
        let mut full = Vec::new();
        self.tree.append_with(leaf, |level, index, hash| {
            if !level.is_multiple_of(TILE_LEVELS) {
                return;
            }
            let tile_level = usize::try_from(level / TILE_LEVELS).unwrap_or(0);
            if edge.len() <= tile_level {
                edge.resize_with(tile_level + 1, Vec::new);
            }
            if let Some(hashes) = edge.get_mut(tile_level) {
                hashes.push(*hash);
                if (index + 1).is_multiple_of(TILE_HASHES) {
                    let level = u8::try_from(tile_level).unwrap_or(u8::MAX);
                    let tile = Tile::full(level, index / TILE_HASHES);
                    full.push((tile, std::mem::take(hashes)));
                }
            }
        });
        for (tile, hashes) in full {
            if self.check_tile(tile, &hashes)? {
                self.log.tiles += 1;
            } else {
                self.log.tiles_missing += 1;
            }
        }
        Ok(())
    }

    /// False if the tile isn't there.
    fn check_tile(&self, tile: Tile, hashes: &[Hash]) -> Result<bool, VerifyError> {
        let path = self.dir.join(tile.path());
        match read_if_present(&path)? {
            None => Ok(false),
            Some(bytes) if bytes == hashes.as_flattened() => Ok(true),
            Some(_) => Err(VerifyError::Derived {
                path,
                what: "a hash tile holds other hashes",
            }),
        }
    }

    /// The partial tiles that a month leaves when it is over.
    pub(super) fn check_edge(&self) -> Result<(), VerifyError> {
        for (level, hashes) in (0_u8..).zip(&self.edge) {
            let width = u16::try_from(hashes.len()).unwrap_or(0);
            let index = Tile::full_count(level, self.tree.size());
            if let Some(tile) = Tile::partial(level, index, width) {
                self.check_tile(tile, hashes)?;
            }
        }
        Ok(())
    }

    pub(super) fn check_index(&self, first: u64) -> Result<(), VerifyError> {
        let path = self.dir.join(format!("{first:020}.index"));
        match read_if_present(&path)? {
            Some(bytes) if SparseIndex::decode(&bytes).as_ref() != Some(&self.index) => {
                Err(VerifyError::Derived {
                    path,
                    what: "a sparse index holds other offsets",
                })
            }
            Some(_) | None => Ok(()),
        }
    }
}
