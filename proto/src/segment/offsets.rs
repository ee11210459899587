//! The sparse index beside a segment: where each 256th entry begins.

use super::{Frame, FrameKind};
use crate::c2sp::tiles::TILE_HASHES;

/// Offsets of the entries whose index is a multiple of 256. Derived: it can be made from the
/// segment at any time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SparseIndex(Vec<u32>);

impl SparseIndex {
    /// Remembers a frame, if the index holds it.
    pub fn note(&mut self, offset: u64, frame: &Frame<'_>) {
        if frame.kind == FrameKind::Entry && frame.index.is_multiple_of(TILE_HASHES) {
            self.0.push(u32::try_from(offset).unwrap_or(u32::MAX));
        }
    }

    /// Where to begin to look for an entry, in a segment whose first entry is `first_index`;
    /// `None`: at the segment's beginning.
    #[must_use]
    pub fn floor(&self, first_index: u64, index: u64) -> Option<u64> {
        let after = index.checked_sub(first_index.next_multiple_of(TILE_HASHES))?;
        let at = usize::try_from(after / TILE_HASHES).ok()?;
        self.0.get(at).map(|offset| u64::from(*offset))
    }

    /// The bytes of the file: offsets and a CRC-32C, little-endian.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.0.iter().flat_map(|o| o.to_le_bytes()).collect();
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the bytes of the file; `None` if they are not as they were written.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (bytes, crc) = bytes.split_last_chunk::<4>()?;
        let (offsets, rest) = bytes.as_chunks::<4>();
        let sound = rest.is_empty() && crc32c::crc32c(bytes) == u32::from_le_bytes(*crc);
        sound.then(|| Self(offsets.iter().map(|o| u32::from_le_bytes(*o)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_survives_its_bytes_and_notices_a_flipped_bit() {
        let index = SparseIndex(vec![100, 200, 300]);
        let bytes = index.encode();
        assert_eq!(SparseIndex::decode(&bytes), Some(index));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SparseIndex::decode(&flipped), None);
        }
    }

    #[test]
    fn an_entry_is_looked_for_at_or_before_its_place() {
        let index = SparseIndex(vec![100, 200]);
        assert_eq!(index.floor(10, 255), None);
        assert_eq!(index.floor(10, 256), Some(100));
        assert_eq!(index.floor(10, 511), Some(100));
        assert_eq!(index.floor(10, 600), Some(200));
        assert_eq!(index.floor(10, 900), None);
        assert_eq!(index.floor(0, 3), Some(100));
    }
}
