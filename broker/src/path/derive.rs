//! Observation to answer, at the granularity that the clause allows and no finer.
//!
//! The rule that everything follows from: *no* within a window holds only as far back as the
//! source watched and only up to `observed_at`; what the interval does not decide is unknown, never
//! no (rule R14).

use accord_proto::{
    agreement::Clause,
    band::AgeBand,
    granularity::Granularity,
    observation::{
        AttackKind, Change, ChangedIn, Forwarding, Observation, Observed, Roaming, Signalling,
        SwapKind,
    },
    reason::Reason,
    signal::Question,
    v1, wire,
};
use jiff::{SignedDuration, Timestamp, civil::Date};

/// A value that a bank may be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Yes or no to the threshold, the date or the condition.
    YesNo(bool),
    /// The age of the last change lies from the younger edge of one to the older edge of the other.
    Band {
        /// The youngest that it can be.
        lowest: AgeBand,
        /// The oldest.
        highest: AgeBand,
        /// There was none for at least so long.
        at_least: bool,
    },
    /// The last change lies in `(after, before]`; without `before` there was none since `after`.
    Interval {
        /// After this.
        after: Option<Timestamp>,
        /// Not later than this.
        before: Option<Timestamp>,
    },
    /// The active forwardings.
    Forwarding(Vec<Forwarding>),
    /// Whether and where the subscriber roams.
    Roaming(Roaming),
}

/// A value with the kind of the swap or attack, where the clause permits it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived {
    /// The value.
    pub value: Value,
    /// The kind of the swap.
    pub swap_kind: Option<SwapKind>,
    /// The kind of the attack.
    pub attack_kind: Option<AttackKind>,
}

impl Derived {
    /// As an answer has it.
    pub(crate) fn to_wire(&self) -> v1::Value {
        use v1::value::Value as Wire;
        let value = match &self.value {
            Value::YesNo(yes) => Wire::YesNo(*yes),
            Value::Band {
                lowest,
                highest,
                at_least,
            } => Wire::Band(v1::Band {
                lowest: lowest.to_wire() as i32,
                highest: highest.to_wire() as i32,
                at_least: *at_least,
            }),
            Value::Interval { after, before } => Wire::Interval(v1::Interval {
                after: after.map(wire::timestamp),
                before: before.map(wire::timestamp),
            }),
            Value::Forwarding(active) => Wire::Forwarding(wire::forwarding_state(active)),
            Value::Roaming(roaming) => Wire::Roaming(wire::roaming_state(*roaming)),
        };
        let swap_kind = self
            .swap_kind
            .map_or(v1::SwapKind::Unspecified, SwapKind::to_wire);
        let attack_kind = self
            .attack_kind
            .map_or(v1::AttackKind::Unspecified, AttackKind::to_wire);
        v1::Value {
            value: Some(value),
            swap_kind: swap_kind as i32,
            attack_kind: attack_kind as i32,
        }
    }
}

/// Derives the answer to one question.
///
/// `threshold_hours` is the clause's threshold that authorise settled on; `None` where the clause
/// is finer than yes or no and the bank asked for the most precise answer.
///
/// # Errors
/// Why what is known gives no answer: too old, not watched for so long, or undecided.
pub fn derive(
    question: &Question,
    threshold_hours: Option<u32>,
    clause: &Clause,
    observation: &Observation,
    now: Timestamp,
) -> Result<Derived, Reason> {
    if now.duration_since(observation.observed_at) > clause.age_max() {
        return Err(Reason::Stale);
    }
    let look = Look {
        at: observation.observed_at,
        now,
    };
    let value = match (&observation.what, question) {
        (Observed::Change(change), Question::SimSwap { .. } | Question::DeviceSwap { .. }) => {
            swap_value(change, threshold_hours, clause, look)?
        }
        (Observed::Change(change), Question::NumberRecycling { since }) => {
            Value::YesNo(changed_since(change, wire::end_of_day(*since), look)?)
        }
        (Observed::Change(change), Question::Tenure { since }) => {
            tenure_value(change, *since, clause, look)?
        }
        (Observed::Forwarding(active), Question::CallForwarding) => {
            forwarding_value(active, clause.granularity)
        }
        (Observed::SomeForwarding(active), Question::CallForwarding) => {
            some_forwarding_value(active, clause.granularity)?
        }
        (Observed::Roaming(roaming), Question::Roaming) => {
            roaming_value(*roaming, clause.granularity)
        }
        (Observed::Signalling(signalling), Question::SignallingAnomaly { since }) => {
            Value::YesNo(attacked_since(signalling, observation.observed_at, *since)?)
        }
        (
            Observed::Change(_)
            | Observed::Forwarding(_)
            | Observed::SomeForwarding(_)
            | Observed::Roaming(_)
            | Observed::Signalling(_),
            _,
        ) => return Err(Reason::NotAvailable),
    };
    Ok(Derived {
        swap_kind: kind_permitted(&observation.what, clause, &value),
        attack_kind: attack_kind_permitted(&observation.what, clause, &value),
        value,
    })
}

/// The kind of the newest attack belongs to a *yes*: with a *no* it would reveal an older one.
fn attack_kind_permitted(what: &Observed, clause: &Clause, value: &Value) -> Option<AttackKind> {
    let Observed::Signalling(signalling) = what else {
        return None;
    };
    let yes = *value == Value::YesNo(true);
    signalling.kind.filter(|_| clause.attack_kind && yes)
}

/// Whether an attack by signalling passed the firewall in `(since, observed_at]`.
///
/// An attack that was seen stays seen. *No* needs more than that the newest one is older: the alarms
/// must have come for the whole time, so a gap in them is never *no*; and there must be a time. A
/// source that last heard from its firewall before the moment has seen nothing of it.
fn attacked_since(
    signalling: &Signalling,
    observed_at: Timestamp,
    since: Timestamp,
) -> Result<bool, Reason> {
    match signalling.passed_in {
        Some(at) if at.after() >= since && at.before() > since => Ok(true),
        Some(at) if at.before() > since => Err(Reason::Undecided),
        Some(_) | None if observed_at <= since => Err(Reason::Stale),
        Some(_) | None if signalling.monitored_since > since => Err(Reason::NotWatched),
        Some(_) | None => Ok(false),
    }
}

/// The kind belongs to a change that the answer speaks of: never with a *no*, which would reveal
/// that there was an older change.
fn kind_permitted(what: &Observed, clause: &Clause, value: &Value) -> Option<SwapKind> {
    let Observed::Change(change) = what else {
        return None;
    };
    let says_change = match value {
        Value::YesNo(changed) => *changed,
        Value::Band { at_least, .. } => !at_least,
        Value::Interval { before, .. } => before.is_some(),
        Value::Forwarding(_) | Value::Roaming(_) => false,
    };
    change.kind.filter(|_| clause.swap_kind && says_change)
}

fn swap_value(
    change: &Change,
    threshold_hours: Option<u32>,
    clause: &Clause,
    look: Look,
) -> Result<Value, Reason> {
    match threshold_hours {
        Some(hours) => {
            let from = before(look.now, SignedDuration::from_hours(i64::from(hours)));
            changed_since(change, from, look).map(Value::YesNo)
        }
        None => age_value(change, clause, look),
    }
}

fn tenure_value(
    change: &Change,
    since: Date,
    clause: &Clause,
    look: Look,
) -> Result<Value, Reason> {
    match clause.granularity {
        Granularity::YesNo => {
            let changed = changed_since(change, wire::end_of_day(since), look);
            changed.map(|changed| Value::YesNo(!changed))
        }
        Granularity::Band | Granularity::Instant | Granularity::State => {
            age_value(change, clause, look)
        }
    }
}

/// Band or interval, never looking further back than the clause allows (rule R13).
fn age_value(change: &Change, clause: &Clause, look: Look) -> Result<Value, Reason> {
    let now = look.now;
    let days = i64::from(clause.look_back_days);
    let horizon = (days > 0).then(|| before(now, SignedDuration::from_hours(days * 24)));
    let within_reach = change
        .changed_in
        .filter(|at| horizon.is_none_or(|from| at.after() >= from));
    let watched_from = match (change.changed_in, within_reach) {
        // The last change lies beyond the horizon, or straddles it: it is only told that there was
        // none since.
        (Some(at), None) => later(horizon, Some(at.before())),
        (None, None) => later(horizon, change.monitored_since),
        (_, Some(_)) => None,
    };
    if watched_from.is_some_and(|from| from >= look.at) {
        // "None since" a moment that nobody looked after.
        let straddles = change.changed_in.is_some_and(|at| at.before() >= look.at);
        return Err(match straddles {
            true => Reason::Undecided,
            false => Reason::Stale,
        });
    }
    match clause.granularity {
        Granularity::Band => Ok(band(within_reach, watched_from, now)),
        Granularity::Instant => Ok(match within_reach {
            Some(at) => Value::Interval {
                after: Some(at.after()),
                before: Some(at.before()),
            },
            None => Value::Interval {
                after: watched_from,
                before: None,
            },
        }),
        Granularity::YesNo | Granularity::State => Err(Reason::OutOfRange),
    }
}

fn band(changed: Option<ChangedIn>, watched_from: Option<Timestamp>, now: Timestamp) -> Value {
    match changed {
        Some(at) => Value::Band {
            lowest: AgeBand::of(now.duration_since(at.before())),
            highest: AgeBand::of(now.duration_since(at.after())),
            at_least: false,
        },
        None => Value::Band {
            lowest: watched_from.map_or(AgeBand::OLDEST, |from| {
                AgeBand::of(now.duration_since(from))
            }),
            highest: AgeBand::OLDEST,
            at_least: true,
        },
    }
}

/// When somebody last looked, and when it is asked what was seen.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// `observed_at`: of what came later nothing is known.
    pub at: Timestamp,
    /// Now.
    pub now: Timestamp,
}

/// Whether the last change lies after `from`.
///
/// Only a whole interval on one side of `from` decides; so does a watch that began before it. *No* is
/// said of `(from, observed_at]`, so there must be such a time: who looked last before `from` has seen
/// nothing of what is asked. Of a time that has not begun yet there is nothing to be seen.
///
/// # Errors
/// Why it is not decided.
pub fn changed_since(change: &Change, from: Timestamp, look: Look) -> Result<bool, Reason> {
    let unseen = look.at <= from && from < look.now;
    match change.changed_in {
        Some(at) if at.after() >= from && at.before() > from => Ok(true),
        Some(at) if at.before() > from => Err(Reason::Undecided),
        Some(_) | None if unseen => Err(Reason::Stale),
        Some(_) => Ok(false),
        None if change.monitored_since.is_none_or(|since| since <= from) => Ok(false),
        None => Err(Reason::NotWatched),
    }
}

fn forwarding_value(active: &[Forwarding], granularity: Granularity) -> Value {
    match granularity {
        Granularity::State => Value::Forwarding(active.to_vec()),
        // A bank that may know yes or no is told whether calls may end with somebody else. A
        // target that the operator can't tell counts, since it may be another number.
        Granularity::YesNo | Granularity::Band | Granularity::Instant => {
            Value::YesNo(active.iter().any(Forwarding::leads_elsewhere))
        }
    }
}

/// Where not each condition is known, one that leads elsewhere is a *yes*, and nothing is a *no*; a
/// list would read as if it were all.
fn some_forwarding_value(active: &[Forwarding], granularity: Granularity) -> Result<Value, Reason> {
    match granularity {
        Granularity::YesNo | Granularity::Band | Granularity::Instant
            if active.iter().any(Forwarding::leads_elsewhere) =>
        {
            Ok(Value::YesNo(true))
        }
        Granularity::State | Granularity::YesNo | Granularity::Band | Granularity::Instant => {
            Err(Reason::NotAvailable)
        }
    }
}

fn roaming_value(roaming: Roaming, granularity: Granularity) -> Value {
    match granularity {
        Granularity::State => Value::Roaming(roaming),
        Granularity::YesNo | Granularity::Band | Granularity::Instant => {
            Value::YesNo(roaming.roaming)
        }
    }
}

fn before(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.checked_sub(span).unwrap_or(Timestamp::MIN)
}

fn later(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).max()
}

#[cfg(test)]
pub(crate) mod tests;
