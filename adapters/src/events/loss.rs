//! What was lost of the events, as the operator is shown it: how often, when last, and why.
//!
//! A loss mends itself, since the watch begins again with what the producers tell next. But nothing
//! from before is vouched for any more, and whoever sent what can't be read sends it again. So the source
//! is `behind` until all is watched again, and says what was lost for a day.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::source::{Condition, SourceState};

/// For how long a loss is shown when all is watched again.
const SHOWN: SignedDuration = SignedDuration::from_hours(24);

/// What was lost since the start.
#[derive(Debug, Default)]
pub(super) struct Losses(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    count: u64,
    newest: Option<(Timestamp, String)>,
}

impl Losses {
    /// Something was lost. `why` is in words of ours, and holds nothing of what was lost.
    pub(super) fn note(&self, why: String, now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.count = known.count.saturating_add(1);
        known.newest = Some((now, why));
    }

    /// Tells it, where the source works otherwise. `unwatched` is a producer that was heard, and of
    /// which not all that it carries is watched.
    pub(super) fn tell(&self, state: &mut SourceState, unwatched: Option<&str>, now: Timestamp) {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.lost = Some(known.count);
        // What else is wrong stands before it.
        if !matches!(state.condition, Condition::Up | Condition::Behind) {
            return;
        }
        let newest = known.newest.as_ref();
        let newest =
            newest.filter(|(at, _)| unwatched.is_some() || now.duration_since(*at) < SHOWN);
        let said = match (newest, unwatched) {
            (None, None) => return,
            (Some((at, why)), None) => {
                format!("events were lost at {at:.0}, and nothing from before holds: {why}")
            }
            (Some((at, why)), Some(name)) => format!(
                "events were lost at {at:.0}: {why}; the watch begins again with what `{name}` \
                 tells next"
            ),
            (None, Some(name)) => format!(
                "not all that `{name}` carries is watched; the watch begins with what it tells next"
            ),
        };
        if unwatched.is_some() && state.condition == Condition::Up {
            state.condition = Condition::Behind;
            state.since = newest.map(|(at, _)| *at);
        }
        state.why = if state.why.is_empty() {
            said.into()
        } else {
            format!("{}; {said}", state.why).into()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(of: &Losses, condition: Condition, unwatched: Option<&str>, now: &str) -> SourceState {
        let mut state = SourceState {
            condition,
            ..SourceState::default()
        };
        of.tell(&mut state, unwatched, now.parse().unwrap());
        state
    }

    #[test]
    fn a_loss_is_shown_until_all_is_watched_again_and_for_a_day() {
        let of = Losses::default();
        let start = "2026-11-21T12:00:00Z";
        let state = told(&of, Condition::Up, None, start);
        assert_eq!((state.condition, &*state.why), (Condition::Up, ""));
        assert_eq!(state.lost, Some(0));
        // Lost before the start: the journal knows that, and no more.
        let state = told(&of, Condition::Up, Some("crm"), start);
        assert_eq!(state.condition, Condition::Behind);
        assert!(state.why.contains("`crm`"), "{}", state.why);

        let at: Timestamp = start.parse().unwrap();
        of.note("another one".to_owned(), at);
        of.note("message 7 is no event".to_owned(), at);
        let state = told(&of, Condition::Up, Some("crm"), "2026-11-25T12:00:00Z");
        assert_eq!(state.condition, Condition::Behind);
        assert_eq!((state.since, state.lost), (Some(at), Some(2)));
        assert!(state.why.contains("message 7"), "{}", state.why);
        let state = told(&of, Condition::Up, None, "2026-11-22T11:59:59Z");
        assert_eq!(state.condition, Condition::Up);
        assert!(state.why.contains("message 7"), "{}", state.why);
        let state = told(&of, Condition::Up, None, "2026-11-22T12:00:00Z");
        assert_eq!((&*state.why, state.lost), ("", Some(2)));
        // What stops events altogether is said alone.
        let state = told(&of, Condition::Down, Some("crm"), start);
        assert_eq!((state.condition, &*state.why), (Condition::Down, ""));
    }

    #[test]
    fn of_a_producer_that_is_silent_as_well_both_is_said() {
        let of = Losses::default();
        let at: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        of.note("message 7 is no event".to_owned(), at);
        let mut state = SourceState {
            condition: Condition::Behind,
            why: "no heartbeat".into(),
            ..SourceState::default()
        };
        of.tell(&mut state, Some("crm"), at);
        assert_eq!(state.condition, Condition::Behind);
        assert!(state.why.starts_with("no heartbeat; events were lost"));
    }
}
