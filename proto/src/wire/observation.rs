//! Observations: as they travel, and parsed with what they must not say.

use jiff::{SignedDuration, Timestamp};

use super::{FieldError, parse_timestamp, timestamp};
use crate::{
    observation::{
        Change, ChangedIn, Forwarding, ForwardingCondition, ForwardingTarget, Observation,
        Observed, Roaming, SourceClass, SwapKind,
    },
    signal::Signal,
    v1,
};

/// How far in the future an observation may lie: clocks of two companies are never equal.
pub const CLOCK_SKEW_MAX: SignedDuration = SignedDuration::from_secs(2);

/// The wire form of an observation.
#[must_use]
pub fn observation(observation: &Observation) -> v1::Observation {
    use v1::observation::What;
    let what = match &observation.what {
        Observed::Change(change) => What::Change(v1::ChangeObservation {
            after: change.changed_in.map(|within| timestamp(within.after())),
            before: change.changed_in.map(|within| timestamp(within.before())),
            monitored_since: change.monitored_since.map(timestamp),
            kind: change
                .kind
                .map_or(v1::SwapKind::Unspecified, SwapKind::to_wire) as i32,
        }),
        Observed::Forwarding(active) => What::Forwarding(forwarding_state(active)),
        Observed::Roaming(roaming) => What::Roaming(roaming_state(*roaming)),
    };
    v1::Observation {
        what: Some(what),
        observed_at: Some(timestamp(observation.observed_at)),
        source: observation.source.to_wire() as i32,
    }
}

/// The wire form of active forwardings.
#[must_use]
pub fn forwarding_state(active: &[Forwarding]) -> v1::ForwardingState {
    let active = active.iter().map(|forwarding| v1::Forwarding {
        condition: forwarding.condition.to_wire() as i32,
        target: match forwarding.target {
            ForwardingTarget::AnotherNumber => v1::ForwardingTarget::AnotherNumber,
            ForwardingTarget::OwnVoicemail => v1::ForwardingTarget::OwnVoicemail,
            ForwardingTarget::Unknown => v1::ForwardingTarget::Unspecified,
        } as i32,
    });
    v1::ForwardingState {
        active: active.collect(),
    }
}

/// The wire form of a roaming state.
#[must_use]
pub fn roaming_state(roaming: Roaming) -> v1::RoamingState {
    v1::RoamingState {
        roaming: roaming.roaming,
        visited_mcc: roaming.visited_mcc.map_or(0, u32::from),
    }
}

/// Parses an observation and believes none that contradicts itself or lies in the future.
///
/// # Errors
/// The field and the rule that it breaks.
pub fn parse_observation(
    wire: &v1::Observation,
    signal: Signal,
    now: Timestamp,
) -> Result<Observation, FieldError> {
    use v1::observation::What;
    let observed_at = wire
        .observed_at
        .as_ref()
        .and_then(parse_timestamp)
        .ok_or_else(|| FieldError::new("observed_at", "an instant is required"))?;
    if observed_at.duration_since(now) > CLOCK_SKEW_MAX {
        return Err(FieldError::new("observed_at", "lies in the future"));
    }
    let source = SourceClass::from_wire(wire.source)
        .ok_or_else(|| FieldError::new("source", "a known source class is required"))?;
    let what = match wire.what.as_ref() {
        Some(What::Change(change)) => Observed::Change(parse_change(change, observed_at)?),
        Some(What::Forwarding(state)) => Observed::Forwarding(parse_forwarding(state)?),
        Some(What::Roaming(state)) => Observed::Roaming(parse_roaming(*state)?),
        None => return Err(FieldError::new("what", "an observation is required")),
    };
    if !what.suits(signal) {
        return Err(FieldError::new("what", format!("does not answer {signal}")));
    }
    Ok(Observation {
        what,
        observed_at,
        source,
    })
}

fn parse_change(
    wire: &v1::ChangeObservation,
    observed_at: Timestamp,
) -> Result<Change, FieldError> {
    let instant = |field: &'static str, wire: &Option<prost_types::Timestamp>| {
        wire.as_ref()
            .map(|at| parse_timestamp(at).ok_or_else(|| FieldError::new(field, "not an instant")))
            .transpose()
    };
    let after = instant("change.after", &wire.after)?;
    let before = instant("change.before", &wire.before)?;
    let monitored_since = instant("change.monitored_since", &wire.monitored_since)?;
    let changed_in = match (after, before) {
        (Some(after), Some(before)) => Some(ChangedIn::new(after, before).ok_or_else(|| {
            FieldError::new("change.before", "the interval ends before it begins")
        })?),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return Err(FieldError::new(
                "change",
                "an interval has both ends or none",
            ));
        }
    };
    if changed_in.is_some_and(|within| within.before() > observed_at) {
        return Err(FieldError::new(
            "change.before",
            "the change lies after observed_at",
        ));
    }
    if monitored_since.is_some_and(|since| since > observed_at) {
        return Err(FieldError::new(
            "change.monitored_since",
            "lies after observed_at",
        ));
    }
    let kind = match wire.kind {
        0 => None,
        number => Some(
            SwapKind::from_wire(number)
                .ok_or_else(|| FieldError::new("change.kind", "an unknown kind of swap"))?,
        ),
    };
    Ok(Change {
        changed_in,
        monitored_since,
        kind,
    })
}

/// Parses active forwardings.
///
/// # Errors
/// The field and the rule that it breaks.
pub fn parse_forwarding(wire: &v1::ForwardingState) -> Result<Vec<Forwarding>, FieldError> {
    if wire.active.len() > ForwardingCondition::ALL.len() {
        return Err(FieldError::new(
            "forwarding.active",
            "at most one for each condition",
        ));
    }
    let parse = |forwarding: &v1::Forwarding| {
        let condition = ForwardingCondition::from_wire(forwarding.condition).ok_or_else(|| {
            FieldError::new(
                "forwarding.active.condition",
                "a known condition is required",
            )
        })?;
        let target = match v1::ForwardingTarget::try_from(forwarding.target) {
            Ok(v1::ForwardingTarget::OwnVoicemail) => ForwardingTarget::OwnVoicemail,
            Ok(v1::ForwardingTarget::AnotherNumber) => ForwardingTarget::AnotherNumber,
            Ok(v1::ForwardingTarget::Unspecified) | Err(_) => ForwardingTarget::Unknown,
        };
        Ok(Forwarding { condition, target })
    };
    wire.active.iter().map(parse).collect()
}

/// Parses a roaming state.
///
/// # Errors
/// The field and the rule that it breaks.
pub fn parse_roaming(wire: v1::RoamingState) -> Result<Roaming, FieldError> {
    let visited_mcc = match u16::try_from(wire.visited_mcc) {
        Ok(0) => None,
        Ok(mcc @ 1..=999) => Some(mcc),
        Ok(_) | Err(_) => {
            return Err(FieldError::new(
                "roaming.visited_mcc",
                "a mobile country code has 3 digits",
            ));
        }
    };
    if visited_mcc.is_some() && !wire.roaming {
        return Err(FieldError::new("roaming.visited_mcc", "only while roaming"));
    }
    Ok(Roaming {
        roaming: wire.roaming,
        visited_mcc,
    })
}
