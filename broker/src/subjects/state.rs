//! How often a bank asked about a subject, and with which threshold.
//!
//! Two rules stand on this. Inside the clause's window a (bank, subject, signal) may use one
//! threshold or one date, so that many yes/no questions can't be folded into a date. And a clause
//! may allow only so many questions a day about one subject (rule R30).
//!
//! governor can't do either: it can't be rebuilt from the ledger at start, nor look up a subject
//! under last month's tag.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::Mutex,
};

use accord_proto::{party::OrgName, signal::Signal, subject::SubjectTag};
use jiff::{SignedDuration, Timestamp};

/// What is counted together.
#[derive(Clone, Copy, Debug, Hash)]
pub enum Scope<'a> {
    /// Thresholds and dates of one signal.
    Parameter(Signal),
    /// Questions under one clause.
    Clause(&'a str),
}

/// One use: a parameter, or one of a day's questions.
#[derive(Clone, Copy, Debug)]
pub struct Use<'a> {
    /// Who asked.
    pub bank: &'a OrgName,
    /// What is counted together.
    pub scope: Scope<'a>,
    /// How many uses fit into the window; for parameters the same one does not count again.
    pub uses_max: u16,
    /// The window.
    pub window: SignedDuration,
}

/// A subject under one month's key, and what is asked of it.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// The tag under that key.
    pub tag: SubjectTag,
    /// The threshold or the date asked (any hash of it under that key); 0 where only the number of
    /// uses counts.
    pub parameter: u32,
}

/// State of all subjects, bounded.
#[derive(Debug)]
pub struct SubjectState {
    shards: Vec<Mutex<HashMap<u64, Slot>>>,
    hasher: RandomState,
    shard_len_max: usize,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    /// Minutes since 1970: from then on the slot is void.
    until_minute: u32,
    parameter: u32,
    uses: u16,
}

/// Why a use does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// Another parameter was used inside the window, or the day's questions are used up.
    Used,
    /// The table is full of live slots.
    Full,
}

const SHARDS: usize = 64;

impl SubjectState {
    /// A table for at most `len_max` live slots.
    #[must_use]
    pub fn new(len_max: usize) -> Self {
        Self {
            shards: std::iter::repeat_with(Mutex::default)
                .take(SHARDS)
                .collect(),
            hasher: RandomState::new(),
            shard_len_max: len_max.div_ceil(SHARDS),
        }
    }

    /// Takes one use, if it fits. The subject comes under this month's key first, then under last
    /// month's.
    ///
    /// # Errors
    /// [`NoRoom`] if it does not fit; nothing changed.
    pub fn take(&self, subjects: &[Subject], use_: Use<'_>, now: Timestamp) -> Result<(), NoRoom> {
        for earlier in subjects.iter().skip(1) {
            if self
                .look(earlier.tag, use_, now)
                .is_some_and(|slot| !fits(slot, use_, earlier.parameter))
            {
                return Err(NoRoom::Used);
            }
        }
        let Some(subject) = subjects.first() else {
            return Err(NoRoom::Used);
        };
        let key = self.key(subject.tag, use_);
        let Some(mut shard) = self.shard(key) else {
            return Err(NoRoom::Full);
        };
        match shard
            .get_mut(&key)
            .filter(|slot| slot.until_minute > minute(now))
        {
            Some(slot) if !fits(*slot, use_, subject.parameter) => Err(NoRoom::Used),
            Some(slot) => {
                slot.uses = slot.uses.saturating_add(1);
                Ok(())
            }
            None => {
                if shard.len() >= self.shard_len_max {
                    shard.retain(|_, slot| slot.until_minute > minute(now));
                    if shard.len() >= self.shard_len_max {
                        return Err(NoRoom::Full);
                    }
                }
                shard.insert(key, fresh(use_, subject.parameter, now));
                Ok(())
            }
        }
    }

    /// Gives a use back: nothing was told, so nothing was used.
    pub fn give_back(&self, tag: SubjectTag, use_: Use<'_>) {
        let key = self.key(tag, use_);
        let Some(mut shard) = self.shard(key) else {
            return;
        };
        if let Some(slot) = shard.get_mut(&key) {
            slot.uses = slot.uses.saturating_sub(1);
            if slot.uses == 0 {
                shard.remove(&key);
            }
        }
    }

    /// Puts a use of the past back, at start-up, from the ledger. `at` is when it was used.
    pub fn restore(&self, subject: Subject, use_: Use<'_>, at: Timestamp) {
        let key = self.key(subject.tag, use_);
        let Some(mut shard) = self.shard(key) else {
            return;
        };
        let restored = fresh(use_, subject.parameter, at);
        let room = shard.len() < self.shard_len_max;
        match shard.get_mut(&key) {
            Some(slot) if slot.until_minute > minute(at) => {
                slot.uses = slot.uses.saturating_add(1);
            }
            Some(slot) => *slot = restored,
            None if room => {
                shard.insert(key, restored);
            }
            None => {}
        }
    }

    /// Live and void slots.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards
            .iter()
            .filter_map(|shard| shard.lock().ok())
            .map(|shard| shard.len())
            .sum()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn look(&self, tag: SubjectTag, use_: Use<'_>, now: Timestamp) -> Option<Slot> {
        let key = self.key(tag, use_);
        let shard = self.shard(key)?;
        shard
            .get(&key)
            .copied()
            .filter(|slot| slot.until_minute > minute(now))
    }

    /// A 64-bit keyed hash stands for (bank, subject, scope): it is a quarter of the size of the
    /// key itself, and a collision, which nobody without the process's hash key can seek, refuses a
    /// question at worst.
    fn key(&self, tag: SubjectTag, use_: Use<'_>) -> u64 {
        self.hasher.hash_one((tag, use_.bank, use_.scope))
    }

    fn shard(&self, key: u64) -> Option<std::sync::MutexGuard<'_, HashMap<u64, Slot>>> {
        let at = usize::try_from(key % SHARDS as u64).ok()?;
        self.shards.get(at)?.lock().ok()
    }
}

const fn fits(slot: Slot, use_: Use<'_>, parameter: u32) -> bool {
    match use_.scope {
        Scope::Parameter(_) => slot.parameter == parameter,
        Scope::Clause(_) => slot.uses < use_.uses_max,
    }
}

fn fresh(use_: Use<'_>, parameter: u32, now: Timestamp) -> Slot {
    let until = now.checked_add(use_.window).unwrap_or(Timestamp::MAX);
    Slot {
        until_minute: minute(until).saturating_add(1),
        parameter,
        uses: 1,
    }
}

fn minute(at: Timestamp) -> u32 {
    u32::try_from(at.as_second() / 60).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-21T12:00:00Z";

    fn bank() -> OrgName {
        OrgName::parse("first-bank").unwrap()
    }

    fn threshold(bank: &OrgName) -> Use<'_> {
        let scope = Scope::Parameter(Signal::SimSwap);
        Use {
            bank,
            scope,
            uses_max: 1,
            window: SignedDuration::from_hours(24),
        }
    }

    fn daily(bank: &OrgName) -> Use<'_> {
        let scope = Scope::Clause("4.2");
        Use {
            bank,
            scope,
            uses_max: 1,
            window: SignedDuration::from_hours(24),
        }
    }

    fn subject(tag: u8, parameter: u32) -> Subject {
        Subject {
            tag: SubjectTag([tag; 16]),
            parameter,
        }
    }

    #[test]
    fn a_second_threshold_inside_the_window_does_not_fit() {
        let (state, bank, now) = (SubjectState::new(100), bank(), NOW.parse().unwrap());
        let (day, three_days) = ([subject(1, 24)], [subject(1, 72)]);
        assert_eq!(state.take(&day, threshold(&bank), now), Ok(()));
        assert_eq!(state.take(&day, threshold(&bank), now), Ok(()));
        assert_eq!(
            state.take(&three_days, threshold(&bank), now),
            Err(NoRoom::Used)
        );
        let later = now + SignedDuration::from_hours(25);
        assert_eq!(state.take(&three_days, threshold(&bank), later), Ok(()));
    }

    #[test]
    fn one_question_a_day_is_one_question_a_day() {
        let (state, bank, now) = (SubjectState::new(100), bank(), NOW.parse().unwrap());
        assert_eq!(state.take(&[subject(1, 0)], daily(&bank), now), Ok(()));
        assert_eq!(
            state.take(&[subject(1, 0)], daily(&bank), now),
            Err(NoRoom::Used)
        );
        assert_eq!(state.take(&[subject(2, 0)], daily(&bank), now), Ok(()));
    }

    #[test]
    fn what_was_not_told_was_not_used() {
        let (state, bank, now) = (SubjectState::new(100), bank(), NOW.parse().unwrap());
        state.take(&[subject(1, 0)], daily(&bank), now).unwrap();
        state.give_back(subject(1, 0).tag, daily(&bank));
        assert_eq!(state.take(&[subject(1, 0)], daily(&bank), now), Ok(()));
    }

    #[test]
    fn last_months_tag_still_counts() {
        let (state, bank, now) = (SubjectState::new(100), bank(), NOW.parse().unwrap());
        let both = [subject(1, 0), subject(2, 0)];
        state.restore(both[1], daily(&bank), now - SignedDuration::from_hours(2));
        assert_eq!(state.take(&both, daily(&bank), now), Err(NoRoom::Used));
    }

    #[test]
    fn a_full_table_refuses_until_slots_are_void() {
        let (state, bank, now) = (SubjectState::new(64), bank(), NOW.parse().unwrap());
        let full = (0..=255)
            .filter(|tag| state.take(&[subject(*tag, 0)], daily(&bank), now) == Err(NoRoom::Full))
            .count();
        assert!(full > 0 && state.len() <= 64, "{full} {}", state.len());
        let later = now + SignedDuration::from_hours(25);
        assert_eq!(state.take(&[subject(255, 0)], daily(&bank), later), Ok(()));
    }
}
