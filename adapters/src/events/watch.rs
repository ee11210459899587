//! How far the stream is known, and since when without a gap.
//!
//! The producer's times alone decide, so that a replay comes to the same: an event or a heartbeat
//! says that all until its time, less what may come late, has been told. A silence longer than
//! `gap_max` is a gap, since nobody knows what a producer that was down has lost.

use jiff::SignedDuration;

use super::line::Micros;

/// Where the stream is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Watch {
    /// Watched without a gap since then; zero: not at all.
    pub(super) since: Micros,
    /// The newest time that an event or a heartbeat had.
    pub(super) newest: Micros,
    /// When the stream was made, if it is one of NATS.
    pub(super) stream_made: Micros,
    /// The newest message of the stream that was taken.
    pub(super) sequence: u64,
}

/// How time is taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How much later than another one an event may come.
    pub(super) lateness: Micros,
    /// The longest silence that is no gap.
    pub(super) gap_max: Micros,
}

/// Microseconds of a duration.
pub(super) fn micros(of: SignedDuration) -> Micros {
    Micros::try_from(of.as_micros()).unwrap_or(Micros::MAX)
}

impl Watch {
    /// How many numbers stand on the disk.
    pub(super) const NUMBERS: usize = 4;

    /// An event or a heartbeat of this time came.
    pub(super) fn heard(&mut self, at: Micros, pace: Pace) {
        let silent = at.saturating_sub(self.newest) > pace.gap_max;
        if self.since == 0 || silent {
            // What happened a little later may have been told before the watch began.
            self.since = at.max(self.newest).saturating_add(pace.lateness);
        }
        self.newest = self.newest.max(at);
    }

    /// Something was lost: the watch begins again with what comes next.
    pub(super) const fn restart(&mut self) {
        self.since = 0;
    }

    /// All until then has been told.
    pub(super) const fn observed_to(&self, pace: Pace) -> Micros {
        self.newest.saturating_sub(pace.lateness)
    }

    /// In the order on the disk.
    pub(super) const fn to_numbers(self) -> [i64; Self::NUMBERS] {
        [
            self.since,
            self.newest,
            self.stream_made,
            self.sequence.cast_signed(),
        ]
    }

    /// From the order on the disk.
    pub(super) const fn from_numbers(numbers: [i64; Self::NUMBERS]) -> Self {
        let [since, newest, stream_made, sequence] = numbers;
        Self {
            since,
            newest,
            stream_made,
            sequence: sequence.cast_unsigned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        lateness: 5,
        gap_max: 100,
    };

    #[test]
    fn a_silence_is_a_gap_and_a_late_event_is_none() {
        let mut watch = Watch::default();
        watch.heard(1_000, PACE);
        assert_eq!((watch.since, watch.observed_to(PACE)), (1_005, 995));
        watch.heard(1_100, PACE);
        watch.heard(1_050, PACE);
        assert_eq!((watch.since, watch.observed_to(PACE)), (1_005, 1_095));
        watch.heard(1_201, PACE);
        assert_eq!(watch.since, 1_206);
        watch.restart();
        watch.heard(1_150, PACE);
        assert_eq!(
            watch.since, 1_206,
            "no earlier than what was lost may reach"
        );
        assert_eq!(Watch::from_numbers(watch.to_numbers()), watch);
    }
}
