//! Telling damage from a write that never finished.

use super::{Decoded, FrameKind, decode};

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;
/// Bytes of a frame before its kind.
const KIND_AT: usize = 16;

/// What lies behind a broken frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beyond {
    /// How many sound checkpoint frames of this log.
    pub checkpoints: usize,
    /// Size of the last of them.
    pub last_size: u64,
    /// A whole sector of zeros lies before the last of them: a write that the disk never finished,
    /// since segments are filled with zeros beforehand. Damage doesn't look like this.
    pub unwritten_sector: bool,
}

impl Beyond {
    /// True if the broken frame belongs to a batch that nobody had a receipt for: no checkpoint
    /// follows, or one whose own batch has a hole and that was never published.
    #[must_use]
    pub const fn never_finished(&self, published_size: u64) -> bool {
        match self.checkpoints {
            0 => true,
            1 => self.unwritten_sector && published_size < self.last_size,
            _ => false,
        }
    }
}

/// Looks in a whole segment for checkpoints of `origin` larger than `size` behind the broken frame
/// at offset `start`.
#[must_use]
pub fn look_beyond(segment: &[u8], start: usize, origin: &str, size: u64) -> Beyond {
    let mut beyond = Beyond::default();
    let mut last_at = start;
    let text = format!("\u{1}{origin}\n");
    let mut at = start;
    while let Some(rest) = segment.get(at + KIND_AT..) {
        let mut windows = rest.windows(text.len());
        let Some(found) = windows.position(|window| window == text.as_bytes()) else {
            break;
        };
        at += found;
        if let Ok(Decoded::Frame(frame)) = decode(segment.get(at..).unwrap_or_default())
            && frame.kind == FrameKind::Checkpoint
            && frame.index > size
        {
            beyond.checkpoints += 1;
            beyond.last_size = frame.index;
            last_at = at;
        }
        at += 1;
    }
    let first_sector = start / SECTOR_BYTES * SECTOR_BYTES;
    let region = segment.get(first_sector..last_at).unwrap_or_default();
    let mut sectors = region.chunks_exact(SECTOR_BYTES);
    beyond.unwritten_sector = sectors.any(|sector| sector.iter().all(|byte| *byte == 0));
    beyond
}

#[cfg(test)]
mod tests {
    use super::super::{encode_checkpoint, encode_entry};
    use super::*;

    fn segment() -> (Vec<u8>, usize) {
        let mut bytes = Vec::new();
        encode_entry(&mut bytes, 0, &[1; 3000], 9).unwrap();
        encode_checkpoint(&mut bytes, 1, "a/2026-11\n1\n").unwrap();
        let second = bytes.len();
        encode_entry(&mut bytes, 1, &[1; 3000], 9).unwrap();
        encode_checkpoint(&mut bytes, 2, "a/2026-11\n2\n").unwrap();
        (bytes, second)
    }

    #[test]
    fn a_flipped_bit_is_damage_and_a_hole_in_the_last_batch_is_not() {
        let (mut bytes, second) = segment();
        bytes[second + 20] ^= 1;
        let flipped = look_beyond(&bytes, second, "a/2026-11", 1);
        assert_eq!((flipped.checkpoints, flipped.last_size), (1, 2));
        assert!(!flipped.never_finished(0));
        bytes[3584..4096].fill(0);
        let hole = look_beyond(&bytes, second, "a/2026-11", 1);
        assert!(hole.never_finished(1));
        assert!(!hole.never_finished(2));
    }

    #[test]
    fn a_hole_before_two_checkpoints_is_damage() {
        let (mut bytes, _) = segment();
        bytes[512..1024].fill(0);
        let hole = look_beyond(&bytes, 0, "a/2026-11", 0);
        assert_eq!((hole.checkpoints, hole.unwritten_sector), (2, true));
        assert!(!hole.never_finished(0));
    }

    #[test]
    fn another_logs_checkpoints_do_not_count() {
        let (bytes, second) = segment();
        let beyond = look_beyond(&bytes, second, "b/2026-11", 1);
        assert_eq!(beyond.checkpoints, 0);
    }
}
