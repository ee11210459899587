//! What an adapter said that waits for its turn on the record, so that a loop in it can't fill the
//! ledger, and nothing else that it says waits.

use std::collections::{HashSet, VecDeque};

use tokio::time::Instant;

use super::{CHANGE_CREDIT, batch::Batch};
use crate::link::restrictions::{KILL_SWITCHES_MAX, KillSwitch};

/// The most entries that may wait: all of an operator's kill switches, set and lifted, and as many
/// batches as were granted.
const WAITING_MAX: usize = 2 * KILL_SWITCHES_MAX + CHANGE_CREDIT as usize;

/// One thing that waits.
pub(super) enum Paced {
    /// Changes, which are in the view once they are on the record.
    Changes(Batch),
    /// A kill switch that ends once that is on the record.
    Lift(KillSwitch),
    /// Every lift before this one is made: what the adapter restricts takes the place of what its
    /// instance restricted before.
    Settle,
    /// A kill switch that is in force already.
    Stop(KillSwitch),
}

/// What waits, in the order of its turns.
#[derive(Default)]
pub(super) struct Waiting {
    turns: VecDeque<(Instant, Paced)>,
    /// The lifts that are still meant: a stop that comes before its lift's turn takes the lift back.
    lifting: HashSet<KillSwitch>,
    batches: usize,
}

impl Waiting {
    /// When the next turn is, if anything waits.
    pub(super) fn due(&self) -> Option<Instant> {
        self.turns.front().map(|(at, _)| *at)
    }

    /// Adds what comes next.
    ///
    /// # Errors
    /// Why the stream ends: more waits than may.
    pub(super) fn push(&mut self, at: Instant, paced: Paced) -> Result<(), &'static str> {
        if self.turns.len() >= WAITING_MAX {
            return Err("it changes kill switches faster than they can be recorded");
        }
        match &paced {
            Paced::Changes(_) if self.batches >= CHANGE_CREDIT as usize => {
                return Err("it sends more batches of changes than it was granted");
            }
            Paced::Changes(_) => self.batches += 1,
            Paced::Lift(switch) => {
                self.lifting.insert(switch.clone());
            }
            Paced::Settle | Paced::Stop(_) => {}
        }
        self.turns.push_back((at, paced));
        Ok(())
    }

    /// Takes what has waited longest.
    pub(super) fn pop(&mut self) -> Option<Paced> {
        while let Some((_, paced)) = self.turns.pop_front() {
            match &paced {
                Paced::Changes(_) => self.batches = self.batches.saturating_sub(1),
                Paced::Lift(switch) if !self.lifting.remove(switch) => continue,
                Paced::Lift(_) | Paced::Settle | Paced::Stop(_) => {}
            }
            return Some(paced);
        }
        None
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Whether this switch is about to be lifted.
    pub(super) fn lifts(&self, switch: &KillSwitch) -> bool {
        self.lifting.contains(switch)
    }

    /// The switch is to stay.
    pub(super) fn take_back(&mut self, switch: &KillSwitch) {
        self.lifting.remove(switch);
    }
}

#[cfg(test)]
mod tests {
    use accord_proto::party::OrgName;

    use super::*;

    fn switch(bank: &str) -> KillSwitch {
        KillSwitch {
            bank: Some(OrgName::parse(bank).unwrap()),
            signal: None,
        }
    }

    #[tokio::test]
    async fn a_stop_takes_back_the_lift_before_it() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        waiting.push(now, Paced::Lift(switch("a-bank"))).unwrap();
        waiting.push(now, Paced::Lift(switch("b-bank"))).unwrap();
        assert!(waiting.lifts(&switch("a-bank")));
        waiting.take_back(&switch("a-bank"));
        assert!(!waiting.lifts(&switch("a-bank")));
        let Some(Paced::Lift(next)) = waiting.pop() else {
            panic!("the other lift was expected");
        };
        assert_eq!(next, switch("b-bank"));
        assert!(waiting.pop().is_none() && waiting.is_empty());
    }

    #[tokio::test]
    async fn no_more_waits_than_was_granted_or_could_be_set() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        let batch = || {
            Paced::Changes(Batch {
                sequence: 1,
                said: None,
                changes: Vec::new(),
            })
        };
        for _ in 0..CHANGE_CREDIT {
            waiting.push(now, batch()).unwrap();
        }
        assert!(waiting.push(now, batch()).is_err());
        assert!(matches!(waiting.pop(), Some(Paced::Changes(_))));
        waiting.push(now, batch()).unwrap();
        while waiting.push(now, Paced::Stop(switch("a-bank"))).is_ok() {}
        assert_eq!(waiting.turns.len(), WAITING_MAX);
    }
}
