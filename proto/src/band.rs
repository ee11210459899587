//! Age bands of a change.

use jiff::SignedDuration;

use crate::v1;

/// One of the 17 age bands that CAMARA SimSwap discussed, 0 (`0–4 h`) to 16 (`over 3 years`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgeBand(u8);

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// Older edge of each band but the last, in seconds, and the band in words.
const EDGES: [(i64, &str); 16] = [
    (4 * HOUR, "0–4 h"),
    (12 * HOUR, "4–12 h"),
    (DAY, "12–24 h"),
    (2 * DAY, "1–2 days"),
    (3 * DAY, "2–3 days"),
    (4 * DAY, "3–4 days"),
    (5 * DAY, "4–5 days"),
    (7 * DAY, "5–7 days"),
    (14 * DAY, "7–14 days"),
    (30 * DAY, "14–30 days"),
    (60 * DAY, "30–60 days"),
    (90 * DAY, "60–90 days"),
    (180 * DAY, "90–180 days"),
    (YEAR, "180–365 days"),
    (2 * YEAR, "1–2 years"),
    (3 * YEAR, "2–3 years"),
];

/// The younger edges in words, for "at least".
const YOUNGER: [&str; 17] = [
    "0 h", "4 h", "12 h", "24 h", "2 days", "3 days", "4 days", "5 days", "7 days", "14 days",
    "30 days", "60 days", "90 days", "180 days", "1 year", "2 years", "3 years",
];

impl AgeBand {
    /// The last band, which has no older edge.
    pub const OLDEST: Self = Self(16);

    /// The band of an age. An age on an edge lies in the older band; a negative age in the first.
    #[must_use]
    pub fn of(age: SignedDuration) -> Self {
        let seconds = age.as_secs();
        let band = EDGES
            .iter()
            .take_while(|(edge, _)| seconds >= *edge)
            .count();
        Self(u8::try_from(band).unwrap_or(16))
    }

    /// In words, such as `0–4 h`.
    #[must_use]
    pub fn words(self) -> &'static str {
        EDGES
            .get(usize::from(self.0))
            .map_or("over 3 years", |(_, words)| words)
    }

    /// The younger edge in words, such as `1 year`.
    #[must_use]
    pub fn younger_edge(self) -> &'static str {
        YOUNGER
            .get(usize::from(self.0))
            .copied()
            .unwrap_or("3 years")
    }

    /// The youngest age in the band.
    #[must_use]
    pub fn youngest_age(self) -> SignedDuration {
        let younger = usize::from(self.0).checked_sub(1);
        let edge = younger.and_then(|at| EDGES.get(at));
        SignedDuration::from_secs(edge.map_or(0, |(edge, _)| *edge))
    }

    /// The age at which the band ends, which lies in the next one; `None` for the last.
    #[must_use]
    pub fn ends_at_age(self) -> Option<SignedDuration> {
        let edge = EDGES.get(usize::from(self.0));
        edge.map(|(edge, _)| SignedDuration::from_secs(*edge))
    }

    /// The wire enum.
    #[must_use]
    pub fn to_wire(self) -> v1::AgeBand {
        v1::AgeBand::try_from(i32::from(self.0) + 1).unwrap_or(v1::AgeBand::Unspecified)
    }

    /// From a wire number.
    #[must_use]
    pub fn from_wire(number: i32) -> Option<Self> {
        let band = u8::try_from(number.checked_sub(1)?).ok()?;
        (band <= Self::OLDEST.0).then_some(Self(band))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_belongs_to_the_older_band() {
        for (seconds, words) in [
            (-5, "0–4 h"),
            (0, "0–4 h"),
            (4 * HOUR - 1, "0–4 h"),
            (4 * HOUR, "4–12 h"),
            (71 * HOUR, "2–3 days"),
            (YEAR, "1–2 years"),
            (3 * YEAR, "over 3 years"),
            (90 * YEAR, "over 3 years"),
        ] {
            assert_eq!(
                AgeBand::of(SignedDuration::from_secs(seconds)).words(),
                words
            );
        }
    }

    #[test]
    fn a_band_begins_where_the_one_before_it_ends() {
        let bands: Vec<_> = (1..=17).filter_map(AgeBand::from_wire).collect();
        let mut ended = Some(SignedDuration::ZERO);
        for band in bands {
            assert_eq!(Some(band.youngest_age()), ended);
            assert_eq!(AgeBand::of(band.youngest_age()), band);
            ended = band.ends_at_age();
            assert!(ended.is_none_or(|end| AgeBand::of(end) > band));
        }
        assert_eq!(ended, None);
    }

    #[test]
    fn every_band_crosses_the_wire() {
        for number in 1..=17 {
            let band = AgeBand::from_wire(number).unwrap();
            assert_eq!(band.to_wire() as i32, number);
        }
        assert_eq!(AgeBand::from_wire(0), None);
        assert_eq!(AgeBand::from_wire(18), None);
    }
}
