//! States: the newest, unless another of the same time differs.

use accord_proto::{
    observation::{Forwarding, ForwardingTarget, Observation, Observed, Roaming},
    reason::Reason,
};
use jiff::SignedDuration;

use super::{Trust, earlier, later};

/// Two systems learn of a change of state within this, beyond the errors of their clocks.
const SETTLES_WITHIN: SignedDuration = SignedDuration::from_secs(10);

pub(super) fn merge(observed: &[(&Observation, Trust)]) -> Result<Observation, Reason> {
    let newest = observed
        .iter()
        .max_by_key(|(observation, trust)| earlier(observation.observed_at, trust.clock_error));
    let (newest, newest_trust) = newest.ok_or(Reason::NotAvailable)?;
    let mut merged = (*newest).clone();
    for (other, trust) in observed {
        let errors = trust.clock_error.saturating_add(newest_trust.clock_error);
        let known_until = later(other.observed_at, errors.saturating_add(SETTLES_WITHIN));
        if known_until >= newest.observed_at {
            merged.what = agree(&merged.what, &other.what).ok_or(Reason::Contradicted)?;
        }
    }
    // True at some instant that near; vouched for no later than that.
    merged.observed_at = earlier(newest.observed_at, newest_trust.clock_error);
    Ok(merged)
}

/// What both say, with what only one of them knows; `None` if they exclude each other.
fn agree(one: &Observed, other: &Observed) -> Option<Observed> {
    match (one, other) {
        (Observed::Forwarding(one), Observed::Forwarding(other)) => {
            forwardings(one, other).map(Observed::Forwarding)
        }
        (Observed::Roaming(one), Observed::Roaming(other)) => {
            roaming(*one, *other).map(Observed::Roaming)
        }
        (
            Observed::Change(_)
            | Observed::Forwarding(_)
            | Observed::Roaming(_)
            | Observed::Signalling(_),
            _,
        ) => None,
    }
}

fn forwardings(one: &[Forwarding], other: &[Forwarding]) -> Option<Vec<Forwarding>> {
    if one.len() != other.len() {
        return None;
    }
    let both = |forwarding: &Forwarding| {
        let same = |candidate: &&Forwarding| candidate.condition == forwarding.condition;
        let candidate = other.iter().find(same)?;
        let target = match (forwarding.target, candidate.target) {
            (ForwardingTarget::Unknown, known) | (known, ForwardingTarget::Unknown) => known,
            (known, said) if known == said => known,
            (ForwardingTarget::AnotherNumber | ForwardingTarget::OwnVoicemail, _) => return None,
        };
        let condition = forwarding.condition;
        Some(Forwarding { condition, target })
    };
    one.iter().map(both).collect()
}

fn roaming(one: Roaming, other: Roaming) -> Option<Roaming> {
    let same_country = match (one.visited_mcc, other.visited_mcc) {
        (Some(one), Some(other)) => one == other,
        (None, _) | (_, None) => true,
    };
    (one.roaming == other.roaming && same_country).then_some(Roaming {
        roaming: one.roaming,
        visited_mcc: one.visited_mcc.or(other.visited_mcc),
    })
}
