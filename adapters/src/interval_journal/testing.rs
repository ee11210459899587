//! The watch over one number without a file, for tests that feed it millions of samples.

use jiff::{SignedDuration, Timestamp};

use super::entry::{Entry, Known, Outcome, ceil, floor};

/// What the journal would keep of one number.
#[derive(Debug)]
pub struct Watch {
    entry: Option<Entry>,
    gap_max: SignedDuration,
}

impl Watch {
    /// A number that was never seen.
    #[must_use]
    pub const fn new(gap_max: SignedDuration) -> Self {
        Self {
            entry: None,
            gap_max,
        }
    }

    /// As [`IntervalJournal::seen`](super::IntervalJournal::seen).
    pub fn seen(&mut self, identity: u8, sent: Timestamp, received: Timestamp) -> Outcome {
        let (identity, sent, received) = ([identity; 16], floor(sent), ceil(received));
        if let Some(entry) = &mut self.entry {
            return entry.seen(identity, sent, received, self.gap_max);
        }
        self.entry = Some(Entry::first(identity, sent, received));
        Outcome::Began
    }

    /// As [`IntervalJournal::missed`](super::IntervalJournal::missed).
    pub const fn missed(&mut self) {
        if let Some(entry) = &mut self.entry {
            entry.missing = true;
        }
    }

    /// What is known; `None`: it was never seen.
    #[must_use]
    pub fn known(&self) -> Option<Known> {
        self.entry.as_ref().map(Entry::known)
    }
}
