//! Which entries name a subject: rows of many subjects each, chosen by the first bits of the tag,
//! since a row of its own for each subject would cost several times the space. They are made when
//! a large block is full; until then each block has a row of its mentions.

use std::collections::BTreeMap;

use super::bits::BLOCK_ENTRIES;

/// Entries of a large block: fewer in tests, so that some get full.
pub(super) const LARGE_BLOCK_ENTRIES: u64 = if cfg!(test) { 1 << 14 } else { 1 << 19 };
/// Blocks of a large block.
pub(super) const BLOCKS_OF_LARGE: u64 = LARGE_BLOCK_ENTRIES / BLOCK_ENTRIES;
/// How many rows share the subjects of a large block: so many that a row fits into a page.
const BUCKETS: u16 = 4_096;
/// Bytes of a tag that are kept. What is found is held against the entry, which has all of it.
const TAG_BYTES: usize = 8;
/// Bytes of one mention: of the tag, and the offset in the large block.
const MENTION_BYTES: usize = TAG_BYTES + 4;

/// The part of a tag that is kept, and its bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Short {
    pub(super) bucket: u16,
    tag: [u8; TAG_BYTES],
}

impl Short {
    /// `None` for bytes that are no tag.
    pub(super) fn of(tag: &[u8]) -> Option<Self> {
        let tag = *tag.first_chunk::<TAG_BYTES>()?;
        let [first, second, ..] = tag;
        let bucket = u16::from_be_bytes([first, second]) % BUCKETS;
        Some(Self { bucket, tag })
    }
}

/// The mentions of a row, by bucket.
pub(super) fn by_bucket<'r>(rows: impl Iterator<Item = &'r [u8]>) -> BTreeMap<u16, Vec<u8>> {
    let mut buckets: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
    for row in rows {
        for mention in row.as_chunks::<MENTION_BYTES>().0 {
            if let Some(short) = Short::of(mention) {
                let bucket = buckets.entry(short.bucket).or_default();
                bucket.extend_from_slice(mention);
            }
        }
    }
    buckets
}

/// Adds a mention to a row.
pub(super) fn mention(row: &mut Vec<u8>, short: Short, offset: u32) {
    row.extend_from_slice(&short.tag);
    row.extend_from_slice(&offset.to_le_bytes());
}

/// The offsets of a subject in a row, growing.
pub(super) fn mentions(row: &[u8], short: Short) -> impl Iterator<Item = u32> + '_ {
    let (mentions, _) = row.as_chunks::<MENTION_BYTES>();
    mentions.iter().filter_map(move |mention| {
        let (tag, offset) = mention.split_first_chunk::<TAG_BYTES>()?;
        let offset = offset.first_chunk::<4>()?;
        (*tag == short.tag).then(|| u32::from_le_bytes(*offset))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_found_among_others_of_its_bucket() {
        let short = |last: u8| Short::of(&[1, 2, 3, 4, 5, 6, 7, last, 9, 9]).unwrap();
        assert_eq!(short(1).bucket, short(2).bucket);
        let mut row = Vec::new();
        for (tag, offset) in [(1, 5), (2, 6), (1, 70_000)] {
            mention(&mut row, short(tag), offset);
        }
        assert_eq!(mentions(&row, short(1)).collect::<Vec<_>>(), [5, 70_000]);
        assert_eq!(mentions(&row, short(3)).count(), 0);
        assert_eq!(Short::of(&[1; 7]), None);
        let buckets = by_bucket([row.as_slice()].into_iter());
        assert_eq!(buckets, BTreeMap::from([(short(1).bucket, row)]));
    }
}
