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
        (Observed::Forwarding(all), Observed::SomeForwarding(some))
        | (Observed::SomeForwarding(some), Observed::Forwarding(all)) => {
            some_of_all(all, some).map(Observed::Forwarding)
        }
        (Observed::SomeForwarding(one), Observed::SomeForwarding(other)) => {
            either(one, other).map(Observed::SomeForwarding)
        }
        (Observed::Roaming(one), Observed::Roaming(other)) => {
            roaming(*one, *other).map(Observed::Roaming)
        }
        (
            Observed::Change(_)
            | Observed::Forwarding(_)
            | Observed::SomeForwarding(_)
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
    one.iter()
        .map(|forwarding| one_target(*forwarding, of(other, forwarding)?))
        .collect()
}

/// All, with what only those know that know some.
fn some_of_all(all: &[Forwarding], some: &[Forwarding]) -> Option<Vec<Forwarding>> {
    if some.iter().any(|forwarding| of(all, forwarding).is_none()) {
        return None;
    }
    all.iter()
        .map(|forwarding| match of(some, forwarding) {
            Some(said) => one_target(*forwarding, said),
            None => Some(*forwarding),
        })
        .collect()
}

/// What one of two knows of which neither knows all.
fn either(one: &[Forwarding], other: &[Forwarding]) -> Option<Vec<Forwarding>> {
    let more = other.iter().filter(|said| of(one, said).is_none());
    let mut both = one
        .iter()
        .map(|forwarding| match of(other, forwarding) {
            Some(said) => one_target(*forwarding, said),
            None => Some(*forwarding),
        })
        .collect::<Option<Vec<_>>>()?;
    both.extend(more);
    Some(both)
}

/// The forwarding of the same condition.
fn of(list: &[Forwarding], forwarding: &Forwarding) -> Option<Forwarding> {
    let same = |candidate: &&Forwarding| candidate.condition == forwarding.condition;
    list.iter().find(same).copied()
}

fn one_target(one: Forwarding, other: Forwarding) -> Option<Forwarding> {
    let target = match (one.target, other.target) {
        (ForwardingTarget::Unknown, known) | (known, ForwardingTarget::Unknown) => known,
        (known, said) if known == said => known,
        (ForwardingTarget::AnotherNumber | ForwardingTarget::OwnVoicemail, _) => return None,
    };
    let condition = one.condition;
    Some(Forwarding { condition, target })
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

#[cfg(test)]
mod tests {
    use accord_proto::observation::ForwardingCondition::{Busy, NoReply, Unconditional};

    use super::*;

    #[test]
    fn who_knows_some_conditions_neither_shortens_nor_completes_a_list() {
        let forwarding = |condition, target| Forwarding { condition, target };
        use ForwardingTarget::{AnotherNumber, Unknown};
        let all = |active: &[Forwarding]| Observed::Forwarding(active.to_vec());
        let some = |active: &[Forwarding]| Observed::SomeForwarding(active.to_vec());
        let (busy, vague) = (forwarding(Busy, AnotherNumber), forwarding(Busy, Unknown));
        let always = forwarding(Unconditional, AnotherNumber);
        let no_reply = forwarding(NoReply, AnotherNumber);
        for said in [
            [all(&[always, vague]), some(&[busy])],
            [some(&[busy]), all(&[always, vague])],
        ] {
            assert_eq!(agree(&said[0], &said[1]), Some(all(&[always, busy])));
        }
        assert_eq!(agree(&all(&[always]), &some(&[busy])), None);
        assert_eq!(
            agree(&some(&[vague, always]), &some(&[busy, no_reply])),
            Some(some(&[busy, always, no_reply]))
        );
    }
}
