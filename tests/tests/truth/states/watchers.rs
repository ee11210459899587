//! True lives of a state, and imperfect sources that watch it.

use accord_adapters::merge::{Said, Trust};
use accord_proto::{
    observation::{
        Forwarding, ForwardingCondition, ForwardingTarget, Observation, Observed, Roaming,
        SourceClass,
    },
    reason::Reason,
    signal::Signal,
};
use jiff::{SignedDuration, Timestamp};

use super::{
    super::history::{DAY, HORIZON, HOUR, Random, instant},
    SETTLES_WITHIN, second,
};

/// How many states there are: nothing, the harmless one, and two that a thief would choose.
const STATES: i64 = 4;

/// What truly was, from second to second.
#[derive(Debug)]
pub(super) struct Life {
    /// When it changed, and into what; before the first nothing was so.
    changes: Vec<(i64, u8)>,
}

/// What an answer may say.
pub(super) struct Truly {
    pub(super) may_be_yes: bool,
    pub(super) may_be_no: bool,
}

impl Life {
    /// Up to twelve changes, many of them not long ago.
    pub(super) fn new(random: &mut Random) -> Self {
        let mut changes = Vec::new();
        let mut at = HORIZON - random.one_of([5, 30, 700, HOUR, 4 * HOUR, 2 * DAY, 10 * DAY]);
        let mut state = 0;
        while changes.len() < 12 && at < HORIZON {
            let next = u8::try_from(random.between(0, STATES)).unwrap();
            if next != state {
                changes.push((at, next));
                state = next;
            }
            at += random.one_of([7, 60, 600, HOUR, 6 * HOUR, DAY]) + random.between(0, 30);
        }
        Self { changes }
    }

    pub(super) fn now() -> Timestamp {
        instant(HORIZON)
    }

    fn at(&self, second: i64) -> u8 {
        let happened = self.changes.partition_point(|(at, _)| *at <= second);
        happened
            .checked_sub(1)
            .map_or(0, |last| self.changes[last].1)
    }

    /// Every state that held at some second in between, both included.
    fn between(&self, from: i64, until: i64) -> Vec<u8> {
        let after = self
            .changes
            .iter()
            .filter(|(at, _)| from < *at && *at <= until);
        let mut states: Vec<u8> = after.map(|(_, state)| *state).collect();
        states.push(self.at(from));
        states
    }

    /// What was true about the instant that the answer speaks of: before it by what a system takes to
    /// learn of a change, and after it by what the clock of the source that it came from may be off
    /// in both directions.
    pub(super) fn answers_about(&self, signal: Signal, said: &[Said], at: Timestamp) -> Truly {
        let of_source = said.iter().filter_map(|said| {
            let error = said.trust.clock_error;
            let observed_at = said.outcome.as_ref().ok()?.observed_at;
            (observed_at - error == at).then_some(error.as_secs())
        });
        let error = of_source.max().unwrap_or(0);
        let from = second(at) - SETTLES_WITHIN;
        let states = self.between(from, second(at) + 2 * error);
        let harmless = |state: &u8| {
            // The own voicemail.
            *state == 0 || (*state == 1 && signal == Signal::CallForwarding)
        };
        Truly {
            may_be_yes: states.iter().any(|state| *state > 0),
            may_be_no: states.iter().any(harmless),
        }
    }

    /// Whether anything changed about the time that the newest of them speak of.
    pub(super) fn changed_about(&self, said: &[Said]) -> bool {
        let observed = said.iter().filter_map(|said| said.outcome.as_ref().ok());
        let Some(newest) = observed.map(|one| one.observed_at).max() else {
            return false;
        };
        let errors = said.iter().map(|said| said.trust.clock_error.as_secs());
        let error = errors.max().unwrap_or(0);
        let reach = 4 * error + 2 * SETTLES_WITHIN;
        let (from, until) = (second(newest) - reach, second(newest) + reach);
        self.between(from, until).len() > 1
    }
}

/// One to four sources of any kinds.
pub(super) fn said(random: &mut Random, signal: Signal, life: &Life) -> Vec<Said> {
    let count = random.between(1, 5);
    (0..count).map(|_| one(random, signal, life)).collect()
}

fn one(random: &mut Random, signal: Signal, life: &Life) -> Said {
    let error = random.one_of([0, 0, 2, 60, 600]);
    let trust = Trust {
        clock_error: SignedDuration::from_secs(error),
        ..Trust::PLAIN
    };
    let wrong_by = random.between(-error, error + 1);
    // Asked live, polled, told by events that may be late, exported at night, or long gone.
    let age = match random.between(0, 5) {
        0 | 1 => random.between(0, 4),
        2 => random.between(0, 2 * HOUR),
        3 => random.between(0, DAY),
        _ => random.between(0, 4 * DAY),
    };
    let taken = HORIZON - age;
    let outcome = if random.percent(8) {
        Err(Reason::SourceDown)
    } else if random.percent(8) {
        Err(Reason::NotAvailable)
    } else if age < 4 && life.between(HORIZON - 60, HORIZON).len() > 1 && random.percent(50) {
        // It sees that something is under way.
        Err(Reason::Undecided)
    } else {
        // What it says of an instant is what it had learnt by then.
        let learnt = taken - random.one_of([0, 0, 3, SETTLES_WITHIN]);
        let blurred = random.percent(20);
        Ok(Observation {
            what: observed(signal, life.at(learnt), blurred),
            observed_at: instant(taken + wrong_by),
            source: SourceClass::Network,
        })
    };
    Said { trust, outcome }
}

/// A state as a source says it; `blurred`: it can't tell the target or the country.
fn observed(signal: Signal, state: u8, blurred: bool) -> Observed {
    if signal == Signal::Roaming {
        let mcc = match state {
            0 => None,
            1 => Some(208),
            2 => Some(262),
            _ => Some(310),
        };
        return Observed::Roaming(Roaming {
            roaming: state > 0,
            visited_mcc: mcc.filter(|_| !blurred),
        });
    }
    let (condition, target) = match state {
        0 => return Observed::Forwarding(Vec::new()),
        1 => (ForwardingCondition::NoReply, ForwardingTarget::OwnVoicemail),
        2 => (
            ForwardingCondition::NoReply,
            ForwardingTarget::AnotherNumber,
        ),
        _ => (
            ForwardingCondition::Unconditional,
            ForwardingTarget::AnotherNumber,
        ),
    };
    let target = if blurred {
        ForwardingTarget::Unknown
    } else {
        target
    };
    Observed::Forwarding(vec![Forwarding { condition, target }])
}
