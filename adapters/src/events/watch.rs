//! How far a producer's word is known, and since when without a gap.
//!
//! The producer's times alone decide, so that a replay comes to the same: an event or a heartbeat
//! says that all until its time, less what may come late, has been told. A silence longer than
//! `gap_max` is a gap, since nobody knows what a producer that was down has lost.

use jiff::SignedDuration;

use super::config::Carried;
use super::line::Micros;

/// What one producer has told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// The newest time that an event or a heartbeat had.
    pub(super) newest: Micros,
    /// Of each thing that it carries, in the order of [`Carried::ALL`]: watched without a gap since
    /// then; zero: not at all.
    since: [Micros; Carried::ALL.len()],
}

/// How far one thing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Watch {
    /// Watched without a gap since then; zero: not at all.
    pub(super) since: Micros,
    /// The newest time that was heard.
    pub(super) newest: Micros,
}

/// Where in a stream of NATS the adapter is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// When the stream was made; zero: none was read yet.
    pub(super) stream_made: Micros,
    /// The newest message that was taken.
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
    /// All until then has been told.
    pub(super) const fn observed_to(&self, pace: Pace) -> Micros {
        self.newest.saturating_sub(pace.lateness)
    }
}

impl Told {
    /// How many numbers stand on the disk.
    pub(super) const NUMBERS: usize = 1 + Carried::ALL.len();

    /// An event or a heartbeat of this time came.
    ///
    /// What was heard before may come again at any time, so that only a new time says that the word
    /// goes on behind what was lost.
    pub(super) fn heard(&mut self, at: Micros, carries: &[Carried], pace: Pace) {
        let new = at > self.newest;
        let silent = at.saturating_sub(self.newest) > pace.gap_max;
        for (of, since) in Carried::ALL.iter().zip(&mut self.since) {
            if carries.contains(of) && (silent || (*since == 0 && new)) {
                // What happened a little later may have been told before the watch began.
                *since = at.saturating_add(pace.lateness);
            }
        }
        self.newest = self.newest.max(at);
    }

    /// Something was lost: the watch begins again with what comes next.
    pub(super) const fn restart(&mut self) {
        self.since = [0; Carried::ALL.len()];
    }

    /// How far one thing is known that it carries.
    pub(super) fn watch(&self, carried: Carried) -> Watch {
        let mut all = Carried::ALL.iter().zip(self.since);
        let since = all.find_map(|(of, since)| (*of == carried).then_some(since));
        Watch {
            since: since.unwrap_or_default(),
            newest: self.newest,
        }
    }

    /// Without what is carried no more.
    pub(super) fn only(mut self, carries: &[Carried]) -> Self {
        for (of, since) in Carried::ALL.iter().zip(&mut self.since) {
            if !carries.contains(of) {
                *since = 0;
            }
        }
        self
    }

    /// In the order on the disk.
    pub(super) const fn to_numbers(self) -> [Micros; Self::NUMBERS] {
        let [one, two, three, four, five] = self.since;
        [self.newest, one, two, three, four, five]
    }

    /// From the order on the disk.
    pub(super) const fn from_numbers(numbers: [Micros; Self::NUMBERS]) -> Self {
        let [newest, since @ ..] = numbers;
        Self { newest, since }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        lateness: 5,
        gap_max: 100,
    };

    fn heard(told: &mut Told, at: Micros) -> (Micros, Micros) {
        told.heard(at, &[Carried::Swaps], PACE);
        let watch = told.watch(Carried::Swaps);
        (watch.since, watch.observed_to(PACE))
    }

    #[test]
    fn a_silence_is_a_gap_and_a_late_event_is_none() {
        let mut told = Told::default();
        assert_eq!(heard(&mut told, 1_000), (1_005, 995));
        heard(&mut told, 1_100);
        assert_eq!(heard(&mut told, 1_050), (1_005, 1_095));
        assert_eq!(heard(&mut told, 1_201).0, 1_206);
        assert_eq!(told.watch(Carried::Devices).since, 0, "not carried");
        assert_eq!(Told::from_numbers(told.to_numbers()), told);
    }

    #[test]
    fn what_comes_again_does_not_begin_the_watch_before_what_was_lost() {
        let mut told = Told::default();
        heard(&mut told, 1_000);
        told.restart();
        assert_eq!(heard(&mut told, 1_000).0, 0, "heard before the loss");
        assert_eq!(heard(&mut told, 990).0, 0);
        assert_eq!(heard(&mut told, 1_060).0, 1_065);
    }
}
