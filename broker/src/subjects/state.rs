//! How often a bank asked about a subject, and with which threshold.
//!
//! Three rules stand on this. Inside the clause's window a (bank, subject, signal) may use one
//! threshold or one date, so that many yes/no questions can't be folded into a date. Of moments
//! there may be several, as one payment follows another, but not over the same time: another moment
//! is not earlier than the last question, so that no two of the answers are about one stretch of
//! time and none narrows down what another said. And only so many questions a day may be asked about one subject for one purpose (rule R30), whichever clauses
//! allow them.
//!
//! governor can't do either: it can't be rebuilt from the ledger at start, nor look up a subject
//! under last month's tag.

mod banks;

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, RandomState},
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU32, Ordering},
    },
};

use accord_proto::{party::OrgName, purpose::Purpose, signal::Signal, subject::SubjectTag};
use jiff::{SignedDuration, Timestamp};

use self::banks::Banks;

use crate::unpoisoned;

/// What is counted together.
#[derive(Clone, Copy, Debug, Hash)]
pub enum Scope {
    /// Moments, which are asked of one signal only.
    Moment,
    /// Thresholds and dates of one signal.
    Parameter(Signal),
    /// A day's questions for one purpose.
    Purpose(Purpose),
}

/// One use: a parameter, or one of a day's questions.
#[derive(Clone, Copy, Debug)]
pub struct Use<'a> {
    /// Who asked.
    pub bank: &'a OrgName,
    /// What is counted together.
    pub scope: Scope,
    /// How many uses fit into the window; for parameters and moments the same one does not count
    /// again.
    pub uses_max: u16,
    /// The window.
    pub window: SignedDuration,
}

/// A subject under one month's key, and what is asked of it.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// The tag under that key.
    pub tag: SubjectTag,
    /// The threshold, the date (any hash of it under that key) or the minute of the moment asked; 0
    /// where only the number of uses counts.
    pub parameter: u32,
}

/// State of all subjects, bounded. Trees and no hash tables: a table that has just doubled holds
/// twice what it needs, and all shards double together.
#[derive(Debug)]
pub struct SubjectState {
    shards: Vec<Mutex<BTreeMap<u64, Slot>>>,
    hasher: RandomState,
    shard_len_max: usize,
    banks: Banks,
    /// When void slots were last removed.
    swept_minute: AtomicU32,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    /// Minutes since 1970: from then on the slot is void.
    until_minute: u32,
    /// When it was last used.
    used_minute: u32,
    parameter: u32,
    uses: u16,
    bank: u16,
}

/// Why a use does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// Another parameter was used inside the window, the moment lies before the last question, or
    /// the day's questions are used up.
    Used,
    /// The bank's share of the table, or the whole of it, is full of live slots.
    Full,
}

const SHARDS: usize = 64;

impl SubjectState {
    /// A table for at most `len_max` live slots, of which one bank may hold half: one bank's
    /// screening must not lock the others out.
    #[must_use]
    pub fn new(len_max: usize) -> Self {
        Self {
            shards: std::iter::repeat_with(Mutex::default)
                .take(SHARDS)
                .collect(),
            hasher: RandomState::new(),
            shard_len_max: len_max.div_ceil(SHARDS),
            banks: Banks::new((len_max / 2).max(1)),
            swept_minute: AtomicU32::new(0),
        }
    }

    /// Takes one use, if it fits. The subject comes under this month's key first, then under last
    /// month's.
    ///
    /// # Errors
    /// [`NoRoom`] if it does not fit; nothing changed.
    pub fn take(&self, subjects: &[Subject], use_: Use<'_>, now: Timestamp) -> Result<(), NoRoom> {
        match self.try_take(subjects, use_, now) {
            Err(NoRoom::Full) if self.sweep(now) => self.try_take(subjects, use_, now),
            settled => settled,
        }
    }

    /// Whether so many uses of the day were made, the question's own among them, and no more.
    #[must_use]
    pub fn is_within(&self, subjects: &[Subject], use_: Use<'_>, now: Timestamp) -> bool {
        let slots = subjects
            .iter()
            .filter_map(|subject| self.look(subject.tag, use_, now));
        let uses = slots.fold(0_u16, |uses, slot| uses.saturating_add(slot.uses));
        uses <= use_.uses_max
    }

    fn try_take(&self, subjects: &[Subject], use_: Use<'_>, now: Timestamp) -> Result<(), NoRoom> {
        let mut earlier_uses = 0;
        for earlier in subjects.iter().skip(1) {
            if let Some(slot) = self.look(earlier.tag, use_, now) {
                if !fits(slot, use_, earlier.parameter, 0) {
                    return Err(NoRoom::Used);
                }
                earlier_uses += slot.uses;
            }
        }
        let subject = subjects.first().ok_or(NoRoom::Used)?;
        let key = self.key(subject.tag, use_);
        let mut shard = self.shard(key).ok_or(NoRoom::Full)?;
        let fresh = self
            .fresh(use_, subject.parameter, now)
            .ok_or(NoRoom::Full)?;
        match shard
            .get_mut(&key)
            .filter(|slot| slot.until_minute > minute(now))
        {
            Some(slot) if !fits(*slot, use_, subject.parameter, earlier_uses) => Err(NoRoom::Used),
            Some(slot) => {
                slot.again(use_, fresh);
                Ok(())
            }
            None if !fits(
                Slot { uses: 0, ..fresh },
                use_,
                subject.parameter,
                earlier_uses,
            ) =>
            {
                Err(NoRoom::Used)
            }
            None => self.insert(&mut shard, key, fresh),
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
            if slot.uses == 0
                && let Some(removed) = shard.remove(&key)
            {
                self.banks.release(removed.bank);
            }
        }
    }

    /// Puts a use of the past back, at start-up, from the ledger. `at` is when it was used. False
    /// if there is no room for it.
    pub fn restore(&self, subject: Subject, use_: Use<'_>, at: Timestamp) -> bool {
        let key = self.key(subject.tag, use_);
        let Some(mut shard) = self.shard(key) else {
            return false;
        };
        let Some(restored) = self.fresh(use_, subject.parameter, at) else {
            return false;
        };
        match shard.get_mut(&key) {
            Some(slot) if slot.until_minute > minute(at) => {
                slot.again(use_, restored);
                true
            }
            Some(slot) => {
                *slot = restored;
                true
            }
            None => self.insert(&mut shard, key, restored).is_ok(),
        }
    }

    /// Live and void slots.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| unpoisoned::lock(shard).len())
            .sum()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn insert(&self, shard: &mut BTreeMap<u64, Slot>, key: u64, slot: Slot) -> Result<(), NoRoom> {
        if shard.len() >= self.shard_len_max || !self.banks.has_room(slot.bank) {
            return Err(NoRoom::Full);
        }
        if let Some(void) = shard.insert(key, slot) {
            self.banks.release(void.bank);
        }
        self.banks.take(slot.bank);
        Ok(())
    }

    /// Removes void slots, at most once a minute; true if it did.
    fn sweep(&self, now: Timestamp) -> bool {
        if self.swept_minute.swap(minute(now), Ordering::Relaxed) == minute(now) {
            return false;
        }
        for shard in &self.shards {
            unpoisoned::lock(shard).retain(|_, slot| {
                let live = slot.until_minute > minute(now);
                if !live {
                    self.banks.release(slot.bank);
                }
                live
            });
        }
        true
    }

    fn fresh(&self, use_: Use<'_>, parameter: u32, now: Timestamp) -> Option<Slot> {
        let until = now.checked_add(use_.window).unwrap_or(Timestamp::MAX);
        let until_minute = minute(until).saturating_add(1);
        Some(Slot {
            until_minute,
            used_minute: minute(now),
            parameter,
            uses: 1,
            bank: self.banks.index(use_.bank)?,
        })
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

    fn shard(&self, key: u64) -> Option<MutexGuard<'_, BTreeMap<u64, Slot>>> {
        let at = usize::try_from(key % SHARDS as u64).ok()?;
        Some(unpoisoned::lock(self.shards.get(at)?))
    }
}

impl Slot {
    /// One more use. A threshold binds for a window from its last use, so that a second one can't
    /// slip in right after the first window's end; a day's questions count from the first.
    fn again(&mut self, use_: Use<'_>, fresh: Self) {
        self.uses = self.uses.saturating_add(1);
        self.used_minute = self.used_minute.max(fresh.used_minute);
        match use_.scope {
            Scope::Moment | Scope::Parameter(_) => {
                self.parameter = fresh.parameter;
                self.until_minute = self.until_minute.max(fresh.until_minute);
            }
            Scope::Purpose(_) => {}
        }
    }
}

const fn fits(slot: Slot, use_: Use<'_>, parameter: u32, earlier_uses: u16) -> bool {
    match use_.scope {
        Scope::Moment => slot.parameter == parameter || parameter >= slot.used_minute,
        Scope::Parameter(_) => slot.parameter == parameter,
        Scope::Purpose(_) => slot.uses.saturating_add(earlier_uses) < use_.uses_max,
    }
}

/// Whole minutes since 1970.
#[must_use]
pub(crate) fn minute(at: Timestamp) -> u32 {
    u32::try_from(at.as_second() / 60).unwrap_or(0)
}

#[cfg(test)]
mod tests;
