//! What two observations of one signal say of each other: whether who answers from the one that is
//! held would deny what the other one tells.
//!
//! The later `observed_at` alone does not decide: a source that vouches for a later moment may not
//! have heard of what another one has seen. A change that was told stays told until something is said
//! that knows of it; a state (forwarding, roaming) comes and goes.

use accord_proto::observation::{
    AttackKind, ChangedIn, Forwarding, Observation, Observed, SwapKind,
};
use jiff::{SignedDuration, Timestamp};

/// Two swaps that lie so near are one, seen by two; and what is held of it may be so much longer than the
/// other word: a minute more or less moves no answer that counts in hours. Attacks are told by the
/// minute.
const SAME_WITHIN: SignedDuration = SignedDuration::from_mins(1);

/// What becomes of what is held, when something else is said that may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Neither is kept: one is older and says otherwise than the newer one, which does not know of it.
    Neither,
    /// It stays: it is newer, and tells what was said.
    Stays,
    /// What was said takes its place.
    Yields,
}

/// Weighs what is held against what was said.
pub(super) fn verdict(held: &Observation, said: &Observation) -> Verdict {
    if held.observed_at > said.observed_at {
        return match tells(held, said) {
            true => Verdict::Stays,
            false => Verdict::Neither,
        };
    }
    match denies(said, held) {
        true => Verdict::Neither,
        false => Verdict::Yields,
    }
}

/// Whether who answers from `held` tells what `said` does, or what came after it. Either may be the
/// newer one; of an older `said` that nothing happened the newer word counts.
pub(super) fn tells(held: &Observation, said: &Observation) -> bool {
    if let (Some(held_last), Some(said_last)) = (Last::of(held), Last::of(said)) {
        return held_last.tells(&said_last);
    }
    if held.observed_at > said.observed_at && is_quiet(&said.what) {
        return true;
    }
    match (&held.what, &said.what) {
        (Observed::Forwarding(known), Observed::Forwarding(told)) => {
            are_among(told, known) && are_among(known, told)
        }
        (
            Observed::Forwarding(known) | Observed::SomeForwarding(known),
            Observed::SomeForwarding(told),
        ) => are_among(told, known),
        (Observed::Roaming(known), Observed::Roaming(told)) => {
            let country = told.visited_mcc.is_none() || told.visited_mcc == known.visited_mcc;
            known.roaming == told.roaming && country
        }
        (
            Observed::Change(_)
            | Observed::Forwarding(_)
            | Observed::SomeForwarding(_)
            | Observed::Roaming(_)
            | Observed::Signalling(_),
            _,
        ) => false,
    }
}

/// Whether the newer one leaves no room for the change that the older one tells of.
fn denies(newer: &Observation, older: &Observation) -> bool {
    let (Some(newer), Some(older)) = (Last::of(newer), Last::of(older)) else {
        return false;
    };
    let near = newer.near;
    match (newer.within, older.within) {
        (Some(newer), Some(older)) => !meet(newer, older, near) && newer.before() <= older.after(),
        (None, Some(older)) => newer.watched_from < older.before(),
        (_, None) => false,
    }
}

/// The last change of a kind that stays, or the newest attack.
struct Last {
    /// Where it lies; `None`: there was none since `watched_from`.
    within: Option<ChangedIn>,
    kind: Option<Kind>,
    /// That nothing came after it is known from here on.
    watched_from: Timestamp,
    until: Timestamp,
    /// Two that lie so near are one.
    near: SignedDuration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Attack(AttackKind),
    Swap(SwapKind),
}

impl Last {
    /// `None`: it is a state.
    fn of(observation: &Observation) -> Option<Self> {
        let until = observation.observed_at;
        match &observation.what {
            Observed::Change(change) => Some(Self {
                within: change.changed_in,
                kind: change.kind.map(Kind::Swap),
                watched_from: match change.changed_in {
                    // Who knows the last change knows of none that came after it.
                    Some(_) => Timestamp::MIN,
                    None => change.monitored_since.unwrap_or(Timestamp::MIN),
                },
                until,
                near: SAME_WITHIN,
            }),
            Observed::Signalling(seen) => Some(Self {
                within: seen.passed_in,
                kind: seen.kind.map(Kind::Attack),
                watched_from: seen.monitored_since,
                until,
                near: SignedDuration::ZERO,
            }),
            Observed::Forwarding(_) | Observed::SomeForwarding(_) | Observed::Roaming(_) => None,
        }
    }

    fn tells(&self, said: &Self) -> bool {
        let newer = self.until > said.until;
        match (self.within, said.within) {
            (Some(known), Some(told)) if meet(known, told, self.near) => {
                let precise = length(known) <= length(told).saturating_add(self.near);
                let kind = said.kind.is_none() || said.kind == self.kind;
                // Up to a time that it does not know of, it may have been a later one.
                precise && kind && told.before() <= self.until
            }
            (Some(known), Some(told)) => newer && known.after() >= told.before(),
            (Some(known), None) => {
                let before = known.before() <= said.watched_from;
                newer || (before && self.watched_from <= said.watched_from)
            }
            (None, Some(_)) => false,
            (None, None) => newer || self.watched_from <= said.watched_from,
        }
    }
}

/// Whether no bank would hear *yes* of a state.
fn is_quiet(state: &Observed) -> bool {
    match state {
        Observed::Forwarding(active) | Observed::SomeForwarding(active) => {
            !active.iter().any(Forwarding::leads_elsewhere)
        }
        Observed::Roaming(roaming) => !roaming.roaming,
        Observed::Change(_) | Observed::Signalling(_) => false,
    }
}

/// Whether one change can lie in both, or nearly.
fn meet(one: ChangedIn, other: ChangedIn, near: SignedDuration) -> bool {
    let from = one.after().max(other.after());
    let gap = from.duration_since(one.before().min(other.before()));
    let instant = |within: ChangedIn| within.after() == within.before();
    gap < near || (gap.is_zero() && (instant(one) || instant(other)))
}

fn length(within: ChangedIn) -> SignedDuration {
    within.before().duration_since(within.after())
}

fn are_among(some: &[Forwarding], all: &[Forwarding]) -> bool {
    some.iter().all(|one| all.contains(one))
}

#[cfg(test)]
mod tests;
