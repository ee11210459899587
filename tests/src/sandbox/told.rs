//! What was told about a number, as cells.

use std::collections::{BTreeMap, BTreeSet};

use accord_client::{
    Answered, Outcome, SignalOutcome,
    words::{Mood, Place, mood, outcome_words, unanswered_words},
};
use accord_proto::{reason::Reason, signal::Signal};
use jiff::Timestamp;

use super::{
    ask::Told,
    table::{Cell, Row},
};

/// What the tables say in one word, with its meaning.
#[derive(Debug, Default)]
pub(super) struct Legend {
    words: BTreeMap<&'static str, String>,
    /// Explained in a row of its own already.
    explained: BTreeSet<&'static str>,
}

impl Legend {
    /// What is left to explain.
    pub(super) fn words(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        let left = |(word, _): &(&&'static str, &String)| !self.explained.contains(*word);
        let words = self.words.iter().filter(left);
        words.map(|(word, meaning)| (*word, meaning.as_str()))
    }
}

/// What stands in a swap's cell when the subscriber asked for a lock.
const LOCKED: &str = "; locked";

/// The row of one number. Reasons that it names go into the legend.
pub(super) fn row(label: String, told: &Told, now: Timestamp, legend: &mut Legend) -> Row {
    let whole = |text: String, mood: Mood| {
        Row::Whole(
            label.clone().into(),
            Cell {
                text,
                mood: Some(mood),
            },
        )
    };
    let answered = match &told.result {
        Ok(answered) => answered,
        Err(error) => return whole(error.to_string(), Mood::Withheld),
    };
    if let Some((reason, detail)) = one_reason(answered) {
        let first = answered.signals().first();
        let mood = first.map_or(Mood::Unknown, |signal| mood(signal, now));
        legend.explained.insert(reason.name());
        return whole(unanswered_words(reason, detail), mood);
    }
    let signals = answered.signals().iter();
    let cells = signals.map(|signal| Cell {
        text: cell_words(signal, legend),
        mood: Some(mood(signal, now)),
    });
    Row::Cells(std::iter::once(label.into()).chain(cells).collect())
}

/// The reason that all signals share, where none has a value.
fn one_reason(answered: &Answered) -> Option<(Reason, &str)> {
    let mut reasons = answered
        .signals()
        .iter()
        .map(|signal| match &signal.outcome {
            Outcome::Unanswered { reason, detail } => Some((*reason, detail.as_str())),
            Outcome::Value { .. } => None,
        });
    let first = reasons.next()??;
    reasons.all(|other| other == Some(first)).then_some(first)
}

fn cell_words(signal: &SignalOutcome, legend: &mut Legend) -> String {
    match &signal.outcome {
        Outcome::Value { .. } => {
            let mut words = outcome_words(signal, Place::Cell);
            if signal.customer_lock && signal.signal() == Signal::SimSwap {
                words.push_str(LOCKED);
                let meaning = "the subscriber has asked for a lock against swaps".to_owned();
                legend.words.entry("locked").or_insert(meaning);
            }
            words
        }
        Outcome::Unanswered { reason, detail } => {
            let words = unanswered_words(*reason, detail);
            let (short, meaning) = words.split_once(" (").unwrap_or((&words, ""));
            let meaning = meaning.trim_end_matches(')').to_owned();
            legend.words.entry(reason.name()).or_insert(meaning);
            short.to_owned()
        }
    }
}

/// Numbers by their last digits, runs of them together: `000–006, 008`.
pub(super) fn runs(digits: &[u16]) -> String {
    let mut runs: Vec<(u16, u16)> = Vec::new();
    for &next in digits {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == next => *last = next,
            Some(_) | None => runs.push((next, next)),
        }
    }
    let words = runs.iter().map(|(first, last)| {
        if first == last {
            format!("{first:03}")
        } else {
            format!("{first:03}–{last:03}")
        }
    });
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_numbers_are_told_by_their_ends() {
        assert_eq!(runs(&[0, 1, 2, 7, 9, 10]), "000–002, 007, 009–010");
        assert_eq!(runs(&[]), "");
    }
}
