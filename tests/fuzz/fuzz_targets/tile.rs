//! C2SP `tlog-tiles`: each tile has one path, and a tile's bytes are whole hashes.

#![no_main]

use accord_proto::c2sp::tiles::{Tile, hashes_of};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(hashes) = hashes_of(data) {
        assert_eq!(hashes.as_flattened(), data);
    }
    if let Ok(path) = str::from_utf8(data)
        && let Some(tile) = Tile::parse_path(path)
    {
        assert_eq!(tile.path(), path);
        assert!((1..=256).contains(&tile.width()));
    }
});
