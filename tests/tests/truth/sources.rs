//! Imperfect sources: each watches the same history, and says only what it can know.

mod billing;
mod events;
mod poll;

use accord_adapters::merge::{Said, Trust};
use accord_proto::{
    observation::{Change, ChangedIn, Observation, Observed, SourceClass},
    reason::Reason,
};
use jiff::{SignedDuration, Timestamp};

use super::history::{History, Random, instant};

pub(super) use poll::Poll;

/// The sources of one case.
pub(super) struct Watching {
    said: Vec<Said>,
    /// Those that poll, to know what none of them can see.
    pub(super) polls: Vec<Poll>,
}

impl Watching {
    /// One to four sources of any kinds.
    pub(super) fn new(random: &mut Random, history: &History) -> Self {
        let mut watching = Self {
            said: Vec::new(),
            polls: Vec::new(),
        };
        for _ in 0..random.between(1, 5) {
            watching.add(random, history);
        }
        watching
    }

    fn add(&mut self, random: &mut Random, history: &History) {
        let error = random.one_of([0, 0, 2, 60, 600]);
        let clock = Clock { error };
        let mut trust = Trust {
            clock_error: SignedDuration::from_secs(error),
            stands_for: SignedDuration::from_hours(random.one_of([0, 36, 36, 744])),
            every_subscriber: false,
        };
        let mut poll = None;
        let outcome = match random.between(0, 5) {
            0 | 1 => {
                trust.every_subscriber = random.percent(50);
                poll.insert(Poll::new(random, clock, history)).outcome()
            }
            2 => billing::export(random, clock, history),
            3 => billing::orders(random, clock, history),
            _ => events::stream(random, clock, history),
        };
        let outcome = if random.percent(10) {
            Err(Reason::SourceDown)
        } else {
            self.polls.extend(poll);
            outcome
        };
        self.said.push(Said { trust, outcome });
    }

    pub(super) fn said(&self) -> Vec<Said> {
        self.said.clone()
    }
}

/// A clock that is wrong by at most so many seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    error: i64,
}

impl Clock {
    /// By how much it is wrong, this time.
    fn wrong_by(self, random: &mut Random) -> i64 {
        random.between(-self.error, self.error + 1)
    }
}

/// What a source claims: the last change in `(after, before]`, or none since.
fn observation(
    changed: Option<(Timestamp, Timestamp)>,
    since: Option<Timestamp>,
    observed_at: Timestamp,
) -> Observation {
    let changed_in = changed.map(|(after, before)| ChangedIn::new(after, before).unwrap());
    Observation {
        what: Observed::Change(Change {
            changed_in,
            monitored_since: since,
            kind: None,
        }),
        observed_at,
        source: SourceClass::Network,
    }
}

/// As [`observation`], in seconds.
fn claim(
    changed: Option<(i64, i64)>,
    since: Option<i64>,
    observed_at: i64,
) -> Result<Observation, Reason> {
    let changed = changed.map(|(after, before)| (instant(after), instant(before)));
    Ok(observation(
        changed,
        since.map(instant),
        instant(observed_at),
    ))
}
