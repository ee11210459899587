//! C2SP `tlog-tiles`: where the hashes of a tree lie, 256 to a tile of 8,192 bytes.

use crate::merkle::{Hash, complete_root};

/// Hashes of a full tile.
pub const TILE_HASHES: u64 = 256;
/// Tree levels that one level of tiles spans.
pub const TILE_LEVELS: u32 = 8;
/// Bytes of a full tile.
pub const TILE_BYTES: usize = 8192;
/// Highest level of tiles that the format knows.
const LEVEL_MAX: u8 = 63;

/// A tile of hashes: number `index` of `level`, holding its first `width` hashes. The hashes at
/// tile level L are the nodes at tree level 8 L.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile {
    level: u8,
    index: u64,
    width: u16,
}

impl Tile {
    /// A full tile.
    #[must_use]
    pub const fn full(level: u8, index: u64) -> Self {
        Self {
            level,
            index,
            width: 256,
        }
    }

    /// A tile with its first `width` hashes, 1 to 256.
    #[must_use]
    pub const fn partial(level: u8, index: u64, width: u16) -> Option<Self> {
        if width == 0 || width > 256 || level > LEVEL_MAX {
            return None;
        }
        Some(Self {
            level,
            index,
            width,
        })
    }

    /// The tile level.
    #[must_use]
    pub const fn level(self) -> u8 {
        self.level
    }

    /// The tile's number in its level.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.index
    }

    /// How many hashes it holds.
    #[must_use]
    pub const fn width(self) -> u16 {
        self.width
    }

    /// The path below the log's prefix, such as `tile/0/x001/x234/067` or `tile/1/000.p/12`.
    #[must_use]
    pub fn path(self) -> String {
        let mut path = format!("tile/{}/{}", self.level, index_path(self.index));
        if self.width < 256 {
            path.push_str(&format!(".p/{}", self.width));
        }
        path
    }

    /// Reads a path, in the one spelling that the format allows.
    #[must_use]
    pub fn parse_path(path: &str) -> Option<Self> {
        let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let (index, width) = parse_index(rest)?;
        let tile = Self::partial(level.parse().ok()?, index, width)?;
        // Only the canonical spelling comes back the same.
        (tile.path() == path).then_some(tile)
    }

    /// Number of full tiles at `level` of a tree of `size` leaves.
    #[must_use]
    pub const fn full_count(level: u8, size: u64) -> u64 {
        let shift = (level as u32 + 1) * TILE_LEVELS;
        if shift >= u64::BITS { 0 } else { size >> shift }
    }
}

/// The number and the width in the last part of a path. Whoever calls holds the spelling against
/// the canonical one.
pub(super) fn parse_index(path: &str) -> Option<(u64, u16)> {
    let (number, width) = match path.split_once(".p/") {
        Some((number, width)) => (number, width.parse().ok()?),
        None => (path, 256),
    };
    let index = number.split('/').try_fold(0_u64, |index, part| {
        let digits = part.strip_prefix('x').unwrap_or(part);
        let part: u64 = (digits.len() == 3).then(|| digits.parse().ok())??;
        index.checked_mul(1000)?.checked_add(part)
    })?;
    Some((index, width))
}

/// The last part of a path.
pub(super) fn index_path(index: u64) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    path
}

/// A node as seen from the tile that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodePlace {
    /// The tile level.
    pub level: u8,
    /// The tile's number in its level.
    pub tile: u64,
    /// First hash of the tile below the node.
    pub first: usize,
    /// How many hashes of the tile lie below the node: a power of two up to 128.
    pub count: usize,
}

impl NodePlace {
    /// Where the node at tree `level` and `index` is found.
    #[must_use]
    pub fn of(level: u32, index: u64) -> Self {
        let below = level % TILE_LEVELS;
        let first = index << below;
        Self {
            level: u8::try_from(level / TILE_LEVELS).unwrap_or(LEVEL_MAX),
            tile: first / TILE_HASHES,
            first: usize::try_from(first % TILE_HASHES).unwrap_or_default(),
            count: 1 << below,
        }
    }

    /// The node's hash, from the hashes of its tile. `None` if the tile is too short.
    #[must_use]
    pub fn hash(&self, tile: &[Hash]) -> Option<Hash> {
        complete_root(tile.get(self.first..self.first + self.count)?)
    }
}

/// The hashes of a tile's bytes; `None` unless they are 1 to 256 whole hashes.
#[must_use]
pub fn hashes_of(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    let fits = rest.is_empty() && (1..=256).contains(&hashes.len());
    fits.then(|| hashes.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        assert_eq!(Tile::full(0, 1_234_067).path(), "tile/0/x001/x234/067");
        assert_eq!(Tile::full(1, 0).path(), "tile/1/000");
        assert_eq!(
            Tile::partial(0, 1000, 12).unwrap().path(),
            "tile/0/x001/000.p/12"
        );
    }

    #[test]
    fn only_canonical_paths_are_read() {
        for path in ["tile/0/x001/x234/067", "tile/3/999.p/255"] {
            assert_eq!(Tile::parse_path(path).unwrap().path(), path);
        }
        for path in [
            "tile/0/67",
            "tile/0/x000/067",
            "tile/00/067",
            "tile/0/067.p/256",
            "tile/0/067.p/0",
            "tile/64/067",
            "tile/0/001/067",
            "/tile/0/067",
            "tile/0/+67",
        ] {
            assert_eq!(Tile::parse_path(path), None, "{path}");
        }
    }

    #[test]
    fn a_node_is_found_in_its_tile() {
        assert_eq!(
            NodePlace::of(9, 129),
            NodePlace {
                level: 1,
                tile: 1,
                first: 2,
                count: 2
            }
        );
        assert_eq!(Tile::full_count(0, 511), 1);
        assert_eq!(Tile::full_count(1, 65_536), 1);
        assert_eq!(Tile::full_count(63, u64::MAX), 0);
    }
}
