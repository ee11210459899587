//! Which entries of a block a term stands for.

/// Entries of a block.
pub(super) const BLOCK_ENTRIES: u64 = 8_192;
/// Words of a block's bits.
const WORDS: usize = 128;
/// Bytes of a block's bits as they are stored.
const BITMAP_BYTES: usize = WORDS * 8;

/// A set of offsets in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bits([u64; WORDS]);

impl Default for Bits {
    fn default() -> Self {
        Self([0; WORDS])
    }
}

impl Bits {
    /// Adds an offset; one beyond the block is left out.
    pub(super) fn add(&mut self, offset: u16) {
        if let Some(word) = self.0.get_mut(usize::from(offset / 64)) {
            *word |= 1 << (offset % 64);
        }
    }

    pub(super) fn holds(&self, offset: u16) -> bool {
        let word = self.0.get(usize::from(offset / 64));
        word.is_some_and(|word| word >> (offset % 64) & 1 == 1)
    }

    /// Keeps what the other has too.
    pub(super) fn keep(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word &= other;
        }
    }

    /// The offsets, growing.
    pub(super) fn offsets(&self) -> impl Iterator<Item = u16> + '_ {
        (0_u16..).zip(&self.0).flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let offset = u16::try_from(left.trailing_zeros())
                    .ok()
                    .filter(|_| left != 0)?;
                left &= left - 1;
                Some(at * 64 + offset)
            })
        })
    }

    fn count(&self) -> usize {
        let ones = self.0.iter().map(|word| word.count_ones());
        ones.sum::<u32>() as usize
    }

    /// A list of offsets of two bytes each where that is shorter than all the bits.
    pub(super) fn encode(&self) -> Vec<u8> {
        if self.count() * 2 < BITMAP_BYTES {
            self.offsets().flat_map(u16::to_le_bytes).collect()
        } else {
            self.0.iter().flat_map(|word| word.to_le_bytes()).collect()
        }
    }

    /// Reads what [`encode`](Self::encode) made.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut bits = Self::default();
        if bytes.len() == BITMAP_BYTES {
            for (word, bytes) in bits.0.iter_mut().zip(bytes.as_chunks::<8>().0) {
                *word = u64::from_le_bytes(*bytes);
            }
            return Some(bits);
        }
        let (offsets, rest) = bytes.as_chunks::<2>();
        if !rest.is_empty() || bytes.len() > BITMAP_BYTES {
            return None;
        }
        for offset in offsets {
            bits.add(u16::from_le_bytes(*offset));
        }
        (bits.count() == offsets.len()).then_some(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(offsets: impl IntoIterator<Item = u16>) -> Bits {
        let mut bits = Bits::default();
        offsets.into_iter().for_each(|offset| bits.add(offset));
        bits
    }

    #[test]
    fn few_and_many_offsets_survive_their_bytes() {
        for set in [
            vec![],
            vec![0],
            vec![0, 63, 64, 8_191],
            (0..511).collect(),
            (0..512).collect(),
            (0..8_192).collect::<Vec<u16>>(),
        ] {
            let encoded = bits(set.clone()).encode();
            assert!(encoded.len() <= BITMAP_BYTES);
            let decoded = Bits::decode(&encoded).unwrap();
            assert_eq!(decoded.offsets().collect::<Vec<_>>(), set);
        }
    }

    #[test]
    fn bytes_that_are_no_set_are_refused() {
        assert_eq!(Bits::decode(&[1]), None);
        assert_eq!(Bits::decode(&[1, 0, 1, 0]), None);
        assert_eq!(Bits::decode(&[0, 0x20]), None);
        assert_eq!(Bits::decode(&[0; BITMAP_BYTES + 2]), None);
    }

    #[test]
    fn what_both_have_is_kept() {
        let mut kept = bits([1, 2, 3, 8_000]);
        kept.keep(&bits([2, 3, 4]));
        assert_eq!(kept, bits([2, 3]));
        assert!(kept.holds(3) && !kept.holds(4));
    }
}
