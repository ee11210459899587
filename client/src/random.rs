//! Random ids and jitter.

pub(crate) use accord_proto::hex::encode as hex;
use std::time::Duration;

use aws_lc_rs::rand;

/// 128 random bits in hexadecimal, for `jti` and request ids.
pub(crate) fn id() -> String {
    hex(&bytes::<16>())
}

/// A random part of a duration, from half of it to the whole.
pub(crate) fn jittered(whole: Duration) -> Duration {
    let [random] = bytes::<1>();
    let half = whole / 2;
    half + half * u32::from(random) / 255
}

pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // It fails only where the system has no randomness at all; then ids repeat, and the broker
    // refuses a repeated id with other content.
    let _ = rand::fill(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_jitter_stays_within_its_bounds() {
        assert_ne!(id(), id());
        assert_eq!(id().len(), 32);
        for _ in 0..100 {
            let waited = jittered(Duration::from_millis(100));
            assert!((50..=100).contains(&waited.as_millis()));
        }
    }
}
