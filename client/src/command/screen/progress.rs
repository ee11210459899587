//! What became of each line so far.

use accord_proto::reason::Reason;

use super::input::InputLine;
use crate::{Answered, LineError, Outcome, Screened};

/// How a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Every signal has a value.
    Answered,
    /// Refused as a whole, or malformed.
    Refused,
    /// The answer can't be believed.
    NotBelieved,
    /// Some signals have a value.
    PartlyAnswered,
    /// No signal has a value.
    Unanswered,
}

impl Ended {
    pub(super) const ALL: [Self; 5] = [
        Self::Answered,
        Self::PartlyAnswered,
        Self::Unanswered,
        Self::Refused,
        Self::NotBelieved,
    ];

    /// The word in the output.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::NotBelieved => "not_believed",
            Self::PartlyAnswered => "partly_answered",
            Self::Unanswered => "unanswered",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ended| ended.name() == name)
    }
}

/// A result, as far as it matters for what is asked next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) ended: Ended,
    /// What was missing may be there when the line is asked again.
    pub(super) retry: bool,
}

impl Standing {
    pub(super) fn of(screened: &Screened<InputLine>) -> Self {
        match &screened.outcome {
            Ok(answered) => Self::of_answer(answered),
            Err(LineError::Refused(refusal)) => Self {
                ended: Ended::Refused,
                retry: refusal.retry_after.is_some(),
            },
            Err(LineError::Mistrusted(_)) => Self {
                ended: Ended::NotBelieved,
                retry: false,
            },
        }
    }

    fn of_answer(answered: &Answered) -> Self {
        let signals = answered.signals();
        let reasons: Vec<Reason> = signals
            .iter()
            .filter_map(|signal| match &signal.outcome {
                Outcome::Unanswered { reason, .. } => Some(*reason),
                Outcome::Value { .. } => None,
            })
            .collect();
        let ended = match reasons.len() {
            0 => Ended::Answered,
            missing if missing == signals.len() => Ended::Unanswered,
            _ => Ended::PartlyAnswered,
        };
        let retry = reasons.iter().any(|reason| reason.consequence().retry);
        Self { ended, retry }
    }
}

/// A line that has a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) standing: Standing,
    /// How often it was asked.
    pub(super) attempts: u8,
}

/// The lines by their number, a few bytes each: ten million lines take some thirty megabytes.
#[derive(Debug, Default)]
pub(super) struct Progress {
    lines: Vec<Option<Seen>>,
}

impl Progress {
    /// The result that stands, which is the last one.
    pub(super) fn of(&self, line: u64) -> Option<Seen> {
        let at = usize::try_from(line).ok()?;
        self.lines.get(at).copied().flatten()
    }

    pub(super) fn insert(&mut self, line: u64, standing: Standing) {
        let at = usize::try_from(line).unwrap_or(usize::MAX);
        let attempts = self.of(line).map_or(0, |seen| seen.attempts);
        if self.lines.len() <= at {
            self.lines.resize(at.saturating_add(1), None);
        }
        if let Some(seen) = self.lines.get_mut(at) {
            *seen = Some(Seen {
                standing,
                attempts: attempts.saturating_add(1),
            });
        }
    }

    /// Which attempt a line is due for; `None`: its result stands.
    pub(super) fn attempt(&self, line: u64, retry: bool) -> Option<u8> {
        match self.of(line) {
            None => Some(1),
            Some(seen) if retry && seen.standing.retry => Some(seen.attempts.saturating_add(1)),
            Some(_) => None,
        }
    }

    /// How the lines ended.
    pub(super) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for seen in self.lines.iter().flatten() {
            tally.add(seen.standing);
            tally.earlier += 1;
        }
        tally
    }
}

/// How many lines of the whole output ended how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    ended: [u64; Ended::ALL.len()],
    /// Lines that may have a value when they are asked again.
    pub(super) retry: u64,
    /// Lines whose result is of an earlier run.
    pub(super) earlier: u64,
}

impl Tally {
    pub(super) fn of(&self, ended: Ended) -> u64 {
        self.ended.get(ended as usize).copied().unwrap_or(0)
    }

    pub(super) fn total(&self) -> u64 {
        self.ended.iter().sum()
    }

    /// A line has a result; `before` is the one whose place it takes.
    pub(super) fn replace(&mut self, before: Option<Seen>, standing: Standing) {
        if let Some(before) = before {
            self.earlier = self.earlier.saturating_sub(1);
            self.retry = self.retry.saturating_sub(u64::from(before.standing.retry));
            if let Some(count) = self.ended.get_mut(before.standing.ended as usize) {
                *count = count.saturating_sub(1);
            }
        }
        self.add(standing);
    }

    fn add(&mut self, standing: Standing) {
        self.retry += u64::from(standing.retry);
        if let Some(count) = self.ended.get_mut(standing.ended as usize) {
            *count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMED_OUT: Standing = Standing {
        ended: Ended::Unanswered,
        retry: true,
    };
    const ANSWERED: Standing = Standing {
        ended: Ended::Answered,
        retry: false,
    };

    #[test]
    fn the_last_result_of_a_line_stands() {
        let mut progress = Progress::default();
        progress.insert(1, TIMED_OUT);
        progress.insert(2, ANSWERED);
        progress.insert(1, TIMED_OUT);
        assert_eq!(progress.attempt(1, false), None);
        assert_eq!(progress.attempt(1, true), Some(3));
        assert_eq!(progress.attempt(2, true), None);
        assert_eq!(progress.attempt(3, false), Some(1));
        progress.insert(1, ANSWERED);
        assert_eq!(progress.attempt(1, true), None);
        let tally = progress.tally();
        assert_eq!((tally.of(Ended::Answered), tally.total()), (2, 2));
    }

    #[test]
    fn a_result_takes_the_place_of_an_earlier_one_in_the_tally() {
        let mut progress = Progress::default();
        progress.insert(1, TIMED_OUT);
        progress.insert(2, ANSWERED);
        let mut tally = progress.tally();
        assert_eq!((tally.retry, tally.earlier), (1, 2));
        tally.replace(progress.of(1), ANSWERED);
        tally.replace(progress.of(3), ANSWERED);
        assert_eq!((tally.of(Ended::Answered), tally.total()), (3, 3));
        assert_eq!((tally.retry, tally.earlier), (0, 1));
    }

    #[test]
    fn the_counters_stand_in_the_order_of_the_words() {
        for ended in Ended::ALL {
            assert_eq!(Ended::from_name(ended.name()), Some(ended));
            let mut tally = Tally::default();
            let retry = false;
            tally.replace(None, Standing { ended, retry });
            assert_eq!(tally.of(ended), 1);
        }
    }
}
