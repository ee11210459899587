//! What a source has told, as far as that is needed to take it back.
//!
//! A broker keeps answers where a clause grants caching, and so holds only what this adapter was asked.
//! A source that learns by itself that it would say something else now compares the numbers that it was
//! asked about, and no others: of a subscriber whom no bank has asked about, nothing leaves, and of the
//! numbers of other operators in a national list, nothing either.
//!
//! Where a source has the data of before, what an answer was is not kept, only of whom: before and after
//! are held against each other when the data change. After a start nobody knows what was told before it; that ages out at the broker, as
//! every answer does.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use accord_proto::{
    agreement::AGE_MAX_MINUTES_MAX,
    msisdn::Msisdn,
    observation::{Observation, Observed},
    reason::Reason,
    signal::Signal,
};
use jiff::{SignedDuration, Timestamp};

use super::{Observations, SourceChange, signal_bit};

/// The most numbers of one generation, of which there are two.
const GENERATION_MAX: usize = 500_000;
/// No clause lets an answer be older.
const KEPT_MAX: SignedDuration = SignedDuration::from_mins(AGE_MAX_MINUTES_MAX as i64);
/// The most withdrawals at once. A broker makes an entry of 256 of them, and takes 256 entries at once
/// and ten a second: what happens meanwhile must not wait behind a file that changed altogether.
pub(crate) const WITHDRAWALS_MAX: usize = 20_000;

/// The numbers that were told of lately, each with something to know of it again.
pub(crate) struct Told<V>(Mutex<Generations<V>>);

struct Generations<V> {
    young: HashMap<Msisdn, V>,
    old: HashMap<Msisdn, V>,
    began: Option<Timestamp>,
}

impl<V> Default for Told<V> {
    fn default() -> Self {
        Self(Mutex::new(Generations {
            young: HashMap::new(),
            old: HashMap::new(),
            began: None,
        }))
    }
}

/// Numbers are no matter for a log.
impl<V> std::fmt::Debug for Told<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Told")
    }
}

impl<V: Copy> Told<V> {
    /// Remembers a number. To be called before the data are looked at, so that it is among those that are
    /// compared when the data change meanwhile.
    pub(crate) fn note(&self, msisdn: Msisdn, value: V) {
        self.note_in(msisdn, value, GENERATION_MAX);
    }

    fn note_in(&self, msisdn: Msisdn, value: V, most: usize) {
        let mut all = self.all();
        if all.young.len() >= most && !all.young.contains_key(&msisdn) {
            all.old = std::mem::take(&mut all.young);
        }
        all.young.insert(msisdn, value);
    }

    /// What was noted of a number last.
    pub(crate) fn of(&self, msisdn: &Msisdn) -> Option<V> {
        let all = self.all();
        let noted = all.young.get(msisdn).or_else(|| all.old.get(msisdn));
        noted.copied()
    }

    /// Forgets a number.
    pub(crate) fn forget(&self, msisdn: &Msisdn) {
        let mut all = self.all();
        all.young.remove(msisdn);
        all.old.remove(msisdn);
    }

    /// All numbers; those of long ago go, since no broker holds anything of them.
    pub(crate) fn numbers(&self, now: Timestamp) -> Vec<Msisdn> {
        let mut all = self.all();
        let began = *all.began.get_or_insert(now);
        let young = &all.young;
        let old = all.old.keys().filter(|msisdn| !young.contains_key(msisdn));
        let both = young.keys().chain(old).copied().collect();
        if now.duration_since(began) >= KEPT_MAX {
            all.old = std::mem::take(&mut all.young);
            all.began = Some(now);
        }
        both
    }

    fn all(&self) -> MutexGuard<'_, Generations<V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Withdrawals that belong together: of one file, or of one sweep.
#[derive(Default)]
pub(crate) struct Withdrawals {
    found: Vec<(Msisdn, usize)>,
    count: usize,
    left_out: usize,
}

impl Withdrawals {
    /// Takes signals of a number back.
    pub(crate) fn add(&mut self, msisdn: Msisdn, signals: &[Signal]) {
        if signals.is_empty() {
            return;
        }
        if self.count + signals.len() > WITHDRAWALS_MAX {
            self.left_out += signals.len();
            return;
        }
        self.count += signals.len();
        let bits = signals.iter().fold(0, |bits, one| bits | signal_bit(*one));
        self.found.push((msisdn, bits));
    }

    /// Takes back what of `before` is not said any more.
    pub(crate) fn compare(&mut self, msisdn: Msisdn, before: &Observations, after: &Observations) {
        self.add(msisdn, &differing(before, after));
    }

    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// How many signals of numbers there were too many.
    pub(crate) const fn left_out(&self) -> usize {
        self.left_out
    }

    pub(super) fn into_changes(self) -> impl Iterator<Item = SourceChange> {
        self.found.into_iter().flat_map(|(msisdn, bits)| {
            let signals = Signal::ALL.iter();
            let signals = signals.filter(move |signal| bits & signal_bit(**signal) != 0);
            signals.map(move |signal| SourceChange::withdrawal(msisdn, *signal))
        })
    }
}

/// The signals of which something else is said than before. Where the line is another one, or there is
/// none any more, nothing that anybody said of the number holds: all signals.
fn differing(before: &Observations, after: &Observations) -> Vec<Signal> {
    let mut signals = Vec::new();
    for (signal, was) in &before.signals {
        let now = after.signals.iter().find(|(of, _)| of == signal);
        let Some((_, now)) = now else { continue };
        if is_same(was, now) {
            continue;
        }
        let holder = matches!(signal, Signal::NumberRecycling | Signal::Tenure);
        if holder || is_nobody(was) || is_nobody(now) {
            return Signal::ALL.to_vec();
        }
        signals.push(*signal);
    }
    signals
}

/// Whether what was said still is true. That it holds as of a later moment now, or since an earlier one,
/// makes it none the less so.
fn is_same(was: &Result<Observation, Reason>, now: &Result<Observation, Reason>) -> bool {
    match (was, now) {
        (Ok(was), Ok(now)) => match (&was.what, &now.what) {
            (Observed::Change(was), Observed::Change(now)) => {
                (was.changed_in, was.kind) == (now.changed_in, now.kind)
            }
            (was, now) => was == now,
        },
        // Neither is anything that a broker keeps; but that the number is nobody's, it says of all.
        (Err(_), Err(_)) => is_nobody(was) == is_nobody(now),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    }
}

const fn is_nobody(said: &Result<Observation, Reason>) -> bool {
    matches!(said, Err(Reason::UnknownNumber | Reason::NotOurs))
}

#[cfg(test)]
mod tests;
