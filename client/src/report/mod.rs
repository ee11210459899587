//! The report for the joint committee of the two authorities (rules R22 to R24 and R43): whether
//! banks are served alike, whether operators are there and in time, what is refused and why, what
//! numbers are asked about for, and what detectors and authorities put on the record.
//!
//! ```text
//!   entries ──▶ Tally ──▶ Report ──(for one party: Report::for_party)──▶ table · JSON · HTML
//! ```
//!
//! Everything is counted from entries of the ledger and from nothing else, so whoever holds the same
//! entries gets the same report. How differences between banks are judged stands in [`stats`].

mod activity;
mod audience;
mod banks;
mod html;
mod operators;
mod presence;
pub mod stats;
mod tally;
#[cfg(test)]
mod tests;
mod waits;

pub use html::html;
pub(crate) use html::words::{
    count as count_words, maybe_micros as duration_words, p_value as p_words,
    percent as percent_words,
};
pub use tally::{LISTED_MAX, Tally};

use serde::Serialize;

/// A count; `None`: withheld, since it would tell one party another's volume (rule R25).
pub type Count = Option<u64>;

/// What entries of a period say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// For whom: `authorities`, or the one party that is told others' figures only together.
    pub audience: String,
    /// Which entries could be seen, in words: a remit shows one side only, so a zero of the other
    /// side says nothing.
    pub sight: String,
    /// What was looked at.
    pub period: Period,
    /// All questions.
    pub questions: Questions,
    /// Questions over time: by hour up to three days, by day beyond.
    pub activity: Vec<Activity>,
    /// Each bank.
    pub banks: Vec<Bank>,
    /// Whether a bank is served unlike the others; the same order as `banks`.
    pub fairness: Vec<Fairness>,
    /// Each operator.
    pub operators: Vec<Operator>,
    /// Signals without a value, by reason.
    pub reasons: Vec<Reasoned>,
    /// Calls that were refused as a whole, by reason.
    pub refusals: Vec<Named>,
    /// Questions by purpose.
    pub purposes: Vec<Named>,
    /// What detectors noticed.
    pub anomalies: Vec<Happening>,
    /// What authorities did to the agreement, suspensions among it.
    pub acts: Vec<Happening>,
    /// What happened to the broker: starts, stops, clock steps, witnesses lost and found.
    pub operations: Vec<Happening>,
    /// Who read the ledger, and how often.
    pub readers: Vec<Named>,
    /// How many happenings were left out, since a list holds [`LISTED_MAX`].
    pub unlisted: u64,
}

/// What was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Period {
    /// What was asked for: from is included.
    pub from: Option<String>,
    /// Until is not.
    pub until: Option<String>,
    /// Time of the first entry that was counted.
    pub first: Option<String>,
    /// Time of the last.
    pub last: Option<String>,
    /// Entries counted.
    pub entries: Count,
    /// Logs they are from, by origin.
    pub logs: Vec<String>,
    /// For how long the broker ran, in milliseconds.
    pub broker_ran_ms: u64,
}

/// Questions by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Questions {
    /// Every signal had a value.
    pub answered: Count,
    /// Some had.
    pub partly_answered: Count,
    /// None had.
    pub unanswered: Count,
    /// Refused as a whole, before they became questions.
    pub refused: Count,
}

/// Questions of one hour or day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Activity {
    /// When it begins.
    pub begins: String,
    /// What came of its questions.
    pub questions: Questions,
}

/// One bank.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bank {
    /// Its organisation.
    pub bank: String,
    /// Single questions and lines of screenings, by outcome.
    pub questions: Questions,
    /// How many of them were lines of screenings.
    pub bulk: Count,
    /// Signals without a value since a quota was used up.
    pub quota: Count,
    /// Calls refused since they came too fast.
    pub rate_limited: Count,
    /// Questions with a signal that the service failed: `timeout`, `source_down`, `overloaded` or
    /// `route_unknown`.
    pub failed: Count,
    /// What half of its single questions waited at most, in microseconds.
    pub p50_us: Option<u64>,
    /// What 95 % of them waited at most.
    pub p95_us: Option<u64>,
}

/// Whether a bank is served unlike all others together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fairness {
    /// The bank.
    pub bank: String,
    /// Its waits against the others'; `None`: too few to tell.
    pub waits: Option<Compared>,
    /// Its failed questions against the others'; `None`: too few to tell.
    pub failures: Option<Compared>,
}

/// What a test found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// Standard normal deviate; positive: worse for this bank.
    pub z: f64,
    /// Two-sided p value.
    pub p: f64,
    /// The same, corrected for all tests of this report (Holm).
    pub p_corrected: f64,
    /// Of waits: the probability that a question of this bank waits longer than one of the others;
    /// 0.5: alike.
    pub longer: Option<f64>,
}

impl Compared {
    /// Whether the difference is significant, and large enough to be felt.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.p_corrected >= stats::LEVEL {
            return Verdict::Alike;
        }
        let felt = self
            .longer
            .is_none_or(|longer| (longer - 0.5).abs() >= stats::FELT);
        match (self.z > 0.0, felt) {
            (true, true) => Verdict::Worse,
            (false, true) => Verdict::Better,
            (_, false) => Verdict::Negligible,
        }
    }
}

/// What follows from a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No significant difference.
    Alike,
    /// Significantly better than the others.
    Better,
    /// Significant, but too small to be felt.
    Negligible,
    /// Significantly worse than the others.
    Worse,
}

impl Verdict {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Alike => "no significant difference",
            Self::Better => "significantly better",
            Self::Negligible => "significant, but negligible",
            Self::Worse => "significantly worse",
        }
    }
}

/// One operator.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Operator {
    /// Its organisation.
    pub operator: String,
    /// Signals that it was to answer, and that have a value.
    pub answered: Count,
    /// Not answered in time.
    pub timeout: Count,
    /// Its source could not be reached.
    pub source_down: Count,
    /// Its source was at its ceiling.
    pub overloaded: Count,
    /// Not known to it as the clause asks: stale, not watched, contradicted and the like.
    pub not_known: Count,
    /// Replies that came.
    pub replies: Count,
    /// What half of its replies took at most, in microseconds.
    pub p50_us: Option<u64>,
    /// What 95 % of them took at most.
    pub p95_us: Option<u64>,
    /// Of the time that the broker ran, the share with an adapter attached.
    pub attached: Option<f64>,
    /// Of the signals that it could have answered, the share that was late, down or overloaded.
    pub failed_share: Option<f64>,
    /// Replies that were not believed.
    pub not_believed: Count,
}

/// Signals without a value for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reasoned {
    /// The reason.
    pub reason: String,
    /// Who could have made it otherwise.
    pub fault: &'static str,
    /// How many signals.
    pub signals: Count,
}

/// How many of something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Of what.
    pub name: String,
    /// How many.
    pub count: Count,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Happening {
    /// When.
    pub time: String,
    /// What, in a line.
    pub what: String,
    /// Where it stands.
    pub origin: String,
    /// At which index.
    pub index: u64,
}
