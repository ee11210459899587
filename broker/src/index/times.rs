//! When the entries of a block were made. Times in a log never go back.

/// Bytes of the first time, and of what each entry's is behind it.
const FIRST_BYTES: usize = 8;
const DELTA_BYTES: usize = 4;

/// The times of a block, in milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Times(Vec<u64>);

impl Times {
    pub(super) fn push(&mut self, unix_ms: u64) {
        self.0.push(unix_ms);
    }

    /// How many entries are before a time.
    pub(super) fn before(&self, unix_ms: u64) -> usize {
        self.0.partition_point(|time| *time < unix_ms)
    }

    /// The first time.
    pub(super) fn first(&self) -> Option<u64> {
        self.0.first().copied()
    }

    /// A block lies in one month, so that four bytes hold what a time is behind the first one.
    pub(super) fn encode(&self) -> Vec<u8> {
        let first = self.first().unwrap_or(0);
        let mut bytes = Vec::with_capacity(FIRST_BYTES + self.0.len() * DELTA_BYTES);
        bytes.extend_from_slice(&first.to_le_bytes());
        for time in &self.0 {
            let delta = u32::try_from(time.saturating_sub(first)).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&delta.to_le_bytes());
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (first, deltas) = bytes.split_first_chunk::<FIRST_BYTES>()?;
        let (deltas, rest) = deltas.as_chunks::<DELTA_BYTES>();
        let first = u64::from_le_bytes(*first);
        let times = deltas
            .iter()
            .map(|delta| first.saturating_add(u64::from(u32::from_le_bytes(*delta))));
        rest.is_empty().then(|| Self(times.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_their_bytes_and_are_counted() {
        let mut times = Times::default();
        for time in [1_000, 1_000, 1_002, 2_678_400_999] {
            times.push(time);
        }
        let decoded = Times::decode(&times.encode()).unwrap();
        assert_eq!(decoded, times);
        assert_eq!(decoded.before(1_000), 0);
        assert_eq!(decoded.before(1_001), 2);
        assert_eq!(decoded.before(u64::MAX), 4);
        assert_eq!(Times::decode(&[0; 9]), None);
    }
}
