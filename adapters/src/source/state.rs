//! How a source is, by name, for the operator's status page and metrics.

use std::{
    borrow::Cow,
    fmt,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;

/// How a source is. The names are those of the status page and the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Condition {
    /// It has no data yet: it is being opened, or its first file has not come.
    #[default]
    Starting,
    /// It answers.
    Up,
    /// It answers from data that is older than it should be.
    Behind,
    /// It can't be reached, or does not answer.
    Down,
    /// It refuses our credentials: nothing but a change of them will help.
    Refused,
    /// It answers what can't be used: another version, schema or encoding, a damaged file.
    Unusable,
}

impl Condition {
    /// All, in the order of the status page.
    pub const ALL: [Self; 6] = [
        Self::Starting,
        Self::Up,
        Self::Behind,
        Self::Down,
        Self::Refused,
        Self::Unusable,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Up => "up",
            Self::Behind => "behind",
            Self::Down => "down",
            Self::Refused => "refused_credentials",
            Self::Unusable => "unusable",
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a source says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceState {
    /// How it is.
    pub condition: Condition,
    /// Why, in a few words; empty while it is up and nothing was lost lately. Never an identity, a
    /// number or a secret: it is shown and logged.
    pub why: Cow<'static, str>,
    /// Since when it is so; `None`: since the start.
    pub since: Option<Timestamp>,
    /// The newest instant that it vouches for: the last poll, the time of the file in force, the
    /// last event. `None`: it has none, or answers from the live system.
    pub observed_to: Option<Timestamp>,
    /// How often since the start something was lost of what it is told, so that it vouches for nothing
    /// from before. `None`: it can't lose anything, or would not know.
    pub lost: Option<u64>,
}

/// The state of a source, as its tasks change it.
#[derive(Debug, Default)]
pub struct StateCell(Mutex<SourceState>);

impl StateCell {
    /// What it is now.
    #[must_use]
    pub fn get(&self) -> SourceState {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Sets condition and reason. True if they differ from before, which is when it is worth a line
    /// in the log.
    pub fn set(
        &self,
        condition: Condition,
        why: impl Into<Cow<'static, str>>,
        now: Timestamp,
    ) -> bool {
        let why = why.into();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.condition == condition && state.why == why {
            return false;
        }
        if state.condition != condition {
            state.since = Some(now);
        }
        state.condition = condition;
        state.why = why;
        true
    }

    /// Sets the newest instant that the source vouches for.
    pub fn observed_to(&self, at: Timestamp) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.observed_to = Some(at);
    }
}

/// An error and what caused it, on one line, each said once.
#[must_use]
pub fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Some repeat their cause.
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_keeps_since_when_it_is_so_while_only_the_reason_changes() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let cell = StateCell::default();
        assert!(cell.set(Condition::Down, "refused", at("2026-11-21T12:00:00Z")));
        assert!(!cell.set(Condition::Down, "refused", at("2026-11-21T12:00:01Z")));
        assert!(cell.set(Condition::Down, "timed out", at("2026-11-21T12:00:02Z")));
        let state = cell.get();
        assert_eq!(state.since, Some(at("2026-11-21T12:00:00Z")));
        assert_eq!(state.why, "timed out");
        assert!(cell.set(Condition::Up, "", at("2026-11-21T12:00:03Z")));
        assert_eq!(cell.get().since, Some(at("2026-11-21T12:00:03Z")));
    }
}
