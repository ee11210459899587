//! How long things took, in little memory: counts by logarithmic buckets.
//!
//! A bucket is at most 1/128 of its value wide, so a percentile is told to within 0.4 %. The counts
//! of two histograms can be ranked against each other; what lies in one bucket is a tie.

use std::collections::BTreeMap;

/// Sub-buckets of each doubling.
const SUB: u32 = 128;
/// log2 of it.
const SUB_BITS: u32 = 7;

/// A histogram of microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    counts: BTreeMap<u32, u64>,
    total: u64,
}

impl Waits {
    /// Adds one, in microseconds. 0 stands for *not measured* and is left out.
    pub fn add(&mut self, elapsed_us: u32) {
        if elapsed_us > 0 {
            *self.counts.entry(bucket(elapsed_us)).or_default() += 1;
            self.total += 1;
        }
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.counts {
            *self.counts.entry(*bucket).or_default() += count;
        }
        self.total += other.total;
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.total
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The value that so many percent do not exceed (nearest rank), in microseconds.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<u64> {
        let rank = self.total.saturating_mul(percent).div_ceil(100).max(1);
        let mut seen = 0;
        self.counts.iter().find_map(|(bucket, count)| {
            seen += count;
            (seen >= rank).then(|| middle(*bucket))
        })
    }

    /// Counts by bucket, smallest first.
    pub(super) fn counts(&self) -> &BTreeMap<u32, u64> {
        &self.counts
    }
}

/// The bucket of a value: the value itself below [`SUB`], then [`SUB`] to each doubling.
const fn bucket(value: u32) -> u32 {
    if value < SUB {
        return value;
    }
    let shift = u32::BITS - 1 - value.leading_zeros() - SUB_BITS;
    shift * SUB + (value >> shift)
}

/// The middle of a bucket.
fn middle(bucket: u32) -> u64 {
    if bucket < SUB * 2 {
        return u64::from(bucket);
    }
    let shift = bucket / SUB - 1;
    let low = u64::from(bucket - shift * SUB) << shift;
    low + (1 << shift) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_tells_its_value_to_within_a_half_percent() {
        let mut last = 0;
        let mut value: u32 = 1;
        while value < u32::MAX / 2 {
            let found = bucket(value);
            assert!(found >= last, "{value}");
            last = found;
            let middle = middle(found) as f64;
            let off = (middle - f64::from(value)).abs() / f64::from(value);
            assert!(off <= 0.0040, "{value}: {middle}");
            value += 1 + value / 97;
        }
        assert!(middle(bucket(u32::MAX)) > u64::from(u32::MAX) * 99 / 100);
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let mut waits = Waits::default();
        assert_eq!(waits.percentile(50), None);
        (1..=100).for_each(|value| waits.add(value));
        assert_eq!(waits.percentile(50), Some(50));
        assert_eq!(waits.percentile(95), Some(95));
        assert_eq!(waits.percentile(100), Some(100));
        waits.add(0);
        assert_eq!(waits.len(), 100, "what nobody measured is no wait of 0");
        let mut twice = waits.clone();
        twice.merge(&waits);
        assert_eq!((twice.len(), twice.percentile(95)), (200, Some(95)));
    }
}
