//! What is learnt of the last change by asking *since when* again and again, from the longest time ago
//! to the shortest.
//!
//! ```text
//!   ───────────────┬──────────────┬──────────────┬─────────▶ now
//!            since 730 d     since 365 d     since 90 d
//!               yes             yes             no
//!                                └── the change ──┘
//! ```
//!
//! Most numbers kept their holder and their SIM, so the first *no*, which ends it, is mostly the first
//! answer. No answer is asked for that an earlier one gave, so none can contradict another; and since
//! each *yes* came before the *no* was asked for, they are together true as of what the *no* knew.

use accord_proto::observation::{Change, ChangedIn, Observed};
use jiff::Timestamp;

/// The answer to one question since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Since {
    pub(super) changed: bool,
    /// *Yes* says: a change in `(yes_after, received]`.
    pub(super) yes_after: Timestamp,
    pub(super) received: Timestamp,
    /// *No* says: none in `(no_after, known_to]`, which is nothing where that is empty.
    pub(super) no_after: Timestamp,
    /// What the upstream says may be as old as this.
    pub(super) known_to: Timestamp,
}

/// What is known so far, and as of when.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known(Option<(Change, Timestamp)>);

impl Known {
    /// Takes one more answer, to a question since a shorter time ago. True: nothing more is to be
    /// learnt.
    pub(super) fn take(&mut self, said: Since) -> bool {
        let before = self.0.and_then(|(change, _)| change.monitored_since);
        let (changed_in, since, observed_at) = match (said.changed, before) {
            (true, _) => (
                ChangedIn::new(said.yes_after, said.received),
                said.yes_after,
                said.received,
            ),
            // Whatever it knew of when it said *yes* lies before the time of which it says *no*.
            (false, Some(before)) if before < said.no_after => (
                ChangedIn::new(before, said.no_after),
                before,
                said.known_to.max(said.no_after),
            ),
            // The clock was put back in between, by more than the times differ. The *yes* stands, and of
            // which time the *no* was nobody can say.
            (false, Some(_)) => return true,
            (false, None) if said.known_to <= said.no_after => return true,
            (false, None) => (None, said.no_after, said.known_to),
        };
        let change = Change {
            changed_in,
            monitored_since: Some(since),
            kind: None,
        };
        self.0 = Some((change, observed_at));
        !said.changed
    }

    /// Whether there was an answer that says anything.
    pub(super) const fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// What there is to tell, if there was an answer that says anything.
    pub(super) fn told(self) -> Option<(Observed, Timestamp)> {
        self.0.map(|(change, at)| (Observed::Change(change), at))
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const DAY: i64 = 24;

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn days(ago: i64) -> Timestamp {
        now() - SignedDuration::from_hours(ago * DAY)
    }

    /// What an upstream that knows of changes so many days ago answers, in turn, one hour later each.
    fn learnt(changes: &[i64], since: &[i64]) -> (usize, Change, Timestamp) {
        let mut known = Known::default();
        for (asked, since) in since.iter().enumerate() {
            let sent = now() + SignedDuration::from_mins(i64::try_from(asked).unwrap());
            let done = known.take(Since {
                changed: changes.iter().any(|change| change < since),
                yes_after: days(*since),
                received: sent + SignedDuration::from_secs(1),
                no_after: days(*since),
                known_to: sent,
            });
            if done {
                let (change, at) = known.0.unwrap();
                return (asked + 1, change, at);
            }
        }
        let (change, at) = known.0.unwrap();
        (since.len(), change, at)
    }

    #[test]
    fn whoever_kept_the_number_costs_one_question() {
        let (asked, change, at) = learnt(&[], &[730, 365, 90, 30]);
        assert_eq!((asked, at), (1, now()));
        assert_eq!(change.changed_in, None);
        assert_eq!(change.monitored_since, Some(days(730)));
    }

    #[test]
    fn the_last_change_lies_between_the_last_yes_and_the_no_whatever_came_before() {
        for changes in [&[200][..], &[200, 500, 600], &[91], &[364, 700]] {
            let (asked, change, at) = learnt(changes, &[730, 365, 90, 30]);
            assert_eq!((asked, at), (3, now() + SignedDuration::from_mins(2)));
            let within = change.changed_in.unwrap();
            assert_eq!((within.after(), within.before()), (days(365), days(90)));
            let last = days(*changes.iter().min().unwrap());
            assert!(within.after() < last && last <= within.before());
            assert_eq!(change.monitored_since, Some(days(365)));
        }
    }

    #[test]
    fn a_change_after_the_shortest_time_has_it_and_the_answer_as_its_bounds() {
        let (asked, change, at) = learnt(&[3], &[730, 30]);
        let received = now() + SignedDuration::from_mins(1) + SignedDuration::from_secs(1);
        let within = change.changed_in.unwrap();
        assert_eq!((asked, at), (2, received));
        assert_eq!((within.after(), within.before()), (days(30), received));
    }

    #[test]
    fn a_no_of_a_time_that_the_upstream_may_not_know_yet_bounds_the_yes_and_vouches_for_nothing() {
        // It knows what happened until two days ago.
        let said = |changed, since, received| Since {
            changed,
            yes_after: days(since),
            received,
            no_after: days(since),
            known_to: days(2),
        };
        let mut known = Known::default();
        assert!(!known.take(said(true, 30, now())));
        assert!(known.take(said(false, 1, now())));
        let (change, at) = known.0.unwrap();
        let within = change.changed_in.unwrap();
        assert_eq!((within.after(), within.before()), (days(30), days(1)));
        assert_eq!(at, days(1));
        // Alone it tells nothing.
        let mut known = Known::default();
        assert!(known.take(said(false, 1, now())));
        assert!(known.told().is_none());
    }

    #[test]
    fn a_yes_stays_a_yes_when_the_clock_is_put_back() {
        let hours = |ago| now() - SignedDuration::from_hours(ago);
        let said = |changed, window, at: Timestamp| Since {
            changed,
            yes_after: at - SignedDuration::from_hours(window),
            received: at,
            no_after: at - SignedDuration::from_hours(window),
            known_to: at,
        };
        // Windows of 25 and 24 hours; in between the clock is put back by an hour and more.
        for back in [1, 2] {
            let mut known = Known::default();
            assert!(!known.take(said(true, 25, now())));
            let yes = known.told();
            assert!(known.take(said(false, 24, hours(back))));
            assert_eq!(known.told(), yes, "{back} hours");
        }
    }
}
