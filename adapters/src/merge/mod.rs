//! What several sources say about one signal, made one: the narrowest interval that all support,
//! or a reason. Nothing here asks, waits or reads a clock.
//!
//! **What a source claims.** About a last change: that *at least one* change lies in `(after,
//! before]`, and that *none* lies in `(before, observed_at]`; or, without a change, that none lies
//! in `(monitored_since, observed_at]`. About a state: that it was so at `observed_at`.
//!
//! **What is made of it.**
//!
//! ```text
//!   export   ●━━━━━━━━━━━ none ━━━━━━━━━━━━━━━┥ 02:30
//!   HLR                           ┝━━━━ none ━━━━━━┥(A, B]┝━━ none ━━┥ now
//!   merged                                          (A, B]             as of now
//! ```
//!
//! - Quiet times that touch are one: what the export says up to 02:30 and the HLR from then on holds
//!   from the export's beginning until now.
//! - An interval with a change is cut by the quiet times of the others. Where nothing of it is left,
//!   one of them is wrong, and nobody here can say which: [`Reason::Contradicted`].
//! - The last change lies after the newest lower bound of a change, and before the quiet time that
//!   ends now.
//! - Where quiet times do not touch, the older source has the longer answer and the newer one the
//!   fresher. The longer stands, as of *its* `observed_at`, if it is not older than
//!   [`Trust::stands_for`] and nobody has seen a change since: a source that has only just begun
//!   to watch a number must not take away what was known before.
//! - Clocks differ: each bound is first moved by [`Trust::clock_error`] to where it claims less, so
//!   that an order's instant and the network's own change seconds later are one change.
//! - A source that says *undecided* has seen that something is under way: whatever else is known, the
//!   answer can be *yes* and never *no*.
//! - An attack by signalling that one firewall let pass is an attack, and *none* takes all of them.
//! - A state is the newest one. Two that were observed at the same time and differ contradict.
//! - A source that is down, slow, at its ceiling or never knows it takes nothing from the others.
//!
//! The result is a claim of the same form, so the broker derives from it as from a single source's.

mod change;
mod reasons;
mod signalling;
mod state;
#[cfg(test)]
mod tests;

use accord_proto::{
    observation::{Observation, Observed},
    reason::Reason,
    signal::Signal,
    wire::CLOCK_SKEW_MAX,
};
use jiff::{SignedDuration, Timestamp};

/// How far a source is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trust {
    /// How far its instants may lie from the true ones: its clock's error, and for a billing system
    /// the time between an order and the network's own change.
    pub clock_error: SignedDuration,
    /// How old what it says may be and still stand beside a newer source that has watched for less.
    pub stands_for: SignedDuration,
    /// It has every subscriber of the operator, so that a number which it does not know is none.
    pub every_subscriber: bool,
}

impl Trust {
    /// A source with a true clock, which may lack subscribers that another has.
    pub const PLAIN: Self = Self {
        clock_error: SignedDuration::ZERO,
        stands_for: SignedDuration::from_hours(36),
        every_subscriber: false,
    };
}

/// What one source said about the signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// How far it is believed.
    pub trust: Trust,
    /// What it said.
    pub outcome: Result<Observation, Reason>,
}

/// One observation out of several, or why there is none.
///
/// One source that has a true clock is passed on as it is. `now` is the adapter's own clock: no change
/// that was heard of lies after it.
///
/// # Errors
/// [`Reason::Contradicted`] where the sources exclude each other; else the reason of those which
/// gave one, the most telling first.
pub fn merge(signal: Signal, said: &[Said], now: Timestamp) -> Result<Observation, Reason> {
    if let [one] = said
        && (one.trust.clock_error.is_zero() || one.outcome.is_err())
    {
        return one.outcome.clone();
    }
    let usable = |observation: &Observation, trust: &Trust| {
        observation.what.suits(signal) && is_possible(observation, trust, now)
    };
    let observed: Vec<(&Observation, Trust)> = said
        .iter()
        .filter_map(|one| Some((one.outcome.as_ref().ok()?, one.trust)))
        .filter(|(observation, trust)| usable(observation, trust))
        .collect();
    let reasons = said.iter().filter_map(|one| match &one.outcome {
        Err(reason) => Some((*reason, one.trust)),
        Ok(observation) if usable(observation, &one.trust) => None,
        Ok(_) => Some((Reason::SourceDown, one.trust)),
    });
    let reasons = reasons.collect::<Vec<_>>();
    if observed.is_empty() {
        return Err(reasons::most_telling(&reasons));
    }
    let doubt = reasons::beside(&reasons)?;
    match signal {
        Signal::SimSwap | Signal::DeviceSwap | Signal::NumberRecycling | Signal::Tenure => {
            change::merge(&observed, doubt, now)
        }
        Signal::CallForwarding | Signal::Roaming => {
            if doubt {
                return Err(Reason::Undecided);
            }
            state::merge(&observed)
        }
        Signal::SignallingAnomaly => signalling::merge(&observed, &reasons, doubt, now),
    }
}

/// Whether a broker could believe it: nothing later than it was observed, nothing from the future.
fn is_possible(observation: &Observation, trust: &Trust, now: Timestamp) -> bool {
    let at = observation.observed_at;
    let latest = later(now, trust.clock_error.saturating_add(CLOCK_SKEW_MAX));
    let ends = match &observation.what {
        Observed::Change(change) => {
            let before = change.changed_in.map(|within| within.before());
            before.max(change.monitored_since)
        }
        Observed::Signalling(seen) => {
            let before = seen.passed_in.map(|within| within.before());
            before.max(Some(seen.monitored_since))
        }
        Observed::Forwarding(_) | Observed::SomeForwarding(_) | Observed::Roaming(_) => None,
    };
    at <= latest && ends.is_none_or(|ends| ends <= at)
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn earlier(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}
