//! A source that polls: the real interval journal, fed with samples of the history.

use accord_adapters::interval_journal::{Outcome, testing::Watch};
use accord_proto::{observation::Observation, reason::Reason};
use jiff::{SignedDuration, Timestamp};

use super::{super::history::*, Clock, observation};

/// The most samples of one case.
const SAMPLES_MAX: i64 = 24;

/// One source and its samples.
pub(crate) struct Poll {
    watch: Watch,
    wrong_by: i64,
    gap_max: i64,
    /// When each sample was truly taken, and what it found.
    samples: Vec<(i64, u8)>,
    missing_now: bool,
}

impl Poll {
    /// Polls at some pace up to now, or until it went down; with outages, delays, and a clock that is
    /// wrong.
    pub(super) fn new(random: &mut Random, clock: Clock, history: &History) -> Self {
        let every = random.one_of([60, 600, HOUR, 6 * HOUR, DAY]);
        let gap_max = every * random.one_of([2, 3, 10]);
        let wrong_by = clock.wrong_by(random);
        let samples = random.between(1, SAMPLES_MAX);
        let mut at = HORIZON - random.one_of([0, 0, every, DAY]) - every * samples;
        let mut poll = Self {
            watch: Watch::new(SignedDuration::from_secs(gap_max)),
            wrong_by,
            gap_max,
            samples: Vec::new(),
            missing_now: false,
        };
        while at <= HORIZON - 4 {
            poll.sample(random, history, at.max(0));
            at += every + random.between(0, every / 4 + 1);
            if random.percent(8) {
                at += random.between(every, 20 * every);
            }
        }
        // Some are asked live.
        if random.percent(50) {
            poll.sample(random, history, HORIZON - 4);
        }
        poll
    }

    fn sample(&mut self, random: &mut Random, history: &History, sent: i64) {
        let took = random.between(0, 4);
        let taken = sent + random.between(0, took + 1);
        let clock = |at: i64| instant(at + self.wrong_by);
        match history.identity(taken) {
            Some(identity) => {
                let outcome = self.watch.seen(identity, clock(sent), clock(sent + took));
                if outcome != Outcome::Overtaken {
                    self.samples.push((taken, identity));
                }
                self.missing_now = false;
            }
            None => {
                self.watch.missed();
                self.missing_now = true;
            }
        }
    }

    /// What it says: as the osmo-hlr source does of a number that is missing now.
    pub(super) fn outcome(&self) -> Result<Observation, Reason> {
        let known = self.watch.known().ok_or(Reason::UnknownNumber)?;
        if self.missing_now {
            return Err(Reason::Undecided);
        }
        let changed = known
            .changed_in
            .map(|within| (within.after(), within.before()));
        let since: Option<Timestamp> = Some(known.monitored_since);
        Ok(observation(changed, since, known.observed_at))
    }

    /// Whether a change came and went between two of its samples that are no gap apart.
    pub(crate) fn cannot_see(&self, change: i64) -> bool {
        self.samples.windows(2).any(|pair| {
            let [(before, old), (after, new)] = [pair[0], pair[1]];
            let around = before < change && change <= after;
            // A sample may take four seconds at either end.
            around && old == new && after - before <= self.gap_max + 8
        })
    }
}
