//! Observations: as they travel, and parsed with what they must not say.

use jiff::{SignedDuration, Timestamp};

use super::{FieldError, parse_timestamp, timestamp};
use crate::{
    observation::{
        AttackKind, Change, ChangedIn, Forwarding, ForwardingCondition, ForwardingTarget,
        Observation, Observed, Roaming, Signalling, SourceClass, SwapKind,
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
        Observed::SomeForwarding(active) => What::SomeForwarding(forwarding_state(active)),
        Observed::Roaming(roaming) => What::Roaming(roaming_state(*roaming)),
        Observed::Signalling(signalling) => What::Signalling(v1::SignallingObservation {
            after: signalling.passed_in.map(|within| timestamp(within.after())),
            before: signalling
                .passed_in
                .map(|within| timestamp(within.before())),
            monitored_since: Some(timestamp(signalling.monitored_since)),
            kind: signalling
                .kind
                .map_or(v1::AttackKind::Unspecified, AttackKind::to_wire) as i32,
        }),
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
        Some(What::SomeForwarding(state)) => Observed::SomeForwarding(parse_forwarding(state)?),
        Some(What::Roaming(state)) => Observed::Roaming(parse_roaming(*state)?),
        Some(What::Signalling(signalling)) => {
            Observed::Signalling(parse_signalling(signalling, observed_at)?)
        }
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

/// An optional instant of a message.
fn instant(
    field: String,
    wire: Option<&prost_types::Timestamp>,
) -> Result<Option<Timestamp>, FieldError> {
    wire.map(|at| parse_timestamp(at).ok_or_else(|| FieldError::new(field, "not an instant")))
        .transpose()
}

/// An interval that ends before the source stopped looking, or none.
fn interval(
    what: &str,
    after: Option<&prost_types::Timestamp>,
    before: Option<&prost_types::Timestamp>,
    observed_at: Timestamp,
) -> Result<Option<ChangedIn>, FieldError> {
    let after = instant(format!("{what}.after"), after)?;
    let before = instant(format!("{what}.before"), before)?;
    let end = |rule| FieldError::new(format!("{what}.before"), rule);
    match (after, before) {
        (Some(after), Some(before)) => {
            let within = ChangedIn::new(after, before)
                .ok_or_else(|| end("the interval ends before it begins"))?;
            if before > observed_at {
                return Err(end("the change lies after observed_at"));
            }
            Ok(Some(within))
        }
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => {
            Err(FieldError::new(what, "an interval has both ends or none"))
        }
    }
}

/// Since when was watched.
fn monitored_since(
    what: &str,
    wire: Option<&prost_types::Timestamp>,
    observed_at: Timestamp,
) -> Result<Option<Timestamp>, FieldError> {
    let field = || format!("{what}.monitored_since");
    let since = instant(field(), wire)?;
    if since.is_some_and(|since| since > observed_at) {
        return Err(FieldError::new(field(), "lies after observed_at"));
    }
    Ok(since)
}

fn parse_signalling(
    wire: &v1::SignallingObservation,
    observed_at: Timestamp,
) -> Result<Signalling, FieldError> {
    const WHAT: &str = "signalling";
    let (after, before) = (wire.after.as_ref(), wire.before.as_ref());
    let passed_in = interval(WHAT, after, before, observed_at)?;
    let since = monitored_since(WHAT, wire.monitored_since.as_ref(), observed_at)?;
    let monitored_since = since
        .ok_or_else(|| FieldError::new("signalling.monitored_since", "an instant is required"))?;
    let kind = match wire.kind {
        0 => None,
        number => Some(
            AttackKind::from_wire(number)
                .ok_or_else(|| FieldError::new("signalling.kind", "an unknown kind of attack"))?,
        ),
    };
    if kind.is_some() && passed_in.is_none() {
        return Err(FieldError::new("signalling.kind", "only with an attack"));
    }
    Ok(Signalling {
        passed_in,
        kind,
        monitored_since,
    })
}

fn parse_change(
    wire: &v1::ChangeObservation,
    observed_at: Timestamp,
) -> Result<Change, FieldError> {
    const WHAT: &str = "change";
    let (after, before) = (wire.after.as_ref(), wire.before.as_ref());
    let changed_in = interval(WHAT, after, before, observed_at)?;
    let monitored_since = monitored_since(WHAT, wire.monitored_since.as_ref(), observed_at)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-21T{text}Z").parse().unwrap()
    }

    fn seen() -> Observation {
        let signalling = Signalling {
            passed_in: ChangedIn::new(at("11:00:00"), at("11:01:00")),
            kind: Some(AttackKind::LocationHijack),
            monitored_since: at("10:00:00"),
        };
        Observation {
            what: Observed::Signalling(signalling),
            observed_at: at("12:00:00"),
            source: SourceClass::Events,
        }
    }

    fn parse(change: impl Fn(&mut v1::SignallingObservation)) -> Result<Observation, String> {
        let mut wire = observation(&seen());
        if let Some(v1::observation::What::Signalling(signalling)) = &mut wire.what {
            change(signalling);
        }
        parse_observation(&wire, Signal::SignallingAnomaly, at("12:00:01"))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn some_forwardings_never_become_all_of_them_on_the_way() {
        let active = vec![Forwarding {
            condition: ForwardingCondition::Busy,
            target: ForwardingTarget::Unknown,
        }];
        for what in [
            Observed::Forwarding(active.clone()),
            Observed::SomeForwarding(active),
        ] {
            let seen = Observation { what, ..seen() };
            let wire = observation(&seen);
            let parsed = parse_observation(&wire, Signal::CallForwarding, at("12:00:01"));
            assert_eq!(parsed, Ok(seen));
        }
    }

    #[test]
    fn what_a_firewall_let_pass_is_believed_only_if_it_makes_sense() {
        assert_eq!(parse(|_| {}), Ok(seen()));
        let late = Some(timestamp(at("12:00:01")));
        let refused = |change: &dyn Fn(&mut v1::SignallingObservation)| parse(change).unwrap_err();
        for (error, rule) in [
            (refused(&|seen| seen.before = late), "after observed_at"),
            (refused(&|seen| seen.after = late), "ends before it begins"),
            (refused(&|seen| seen.after = None), "both ends or none"),
            (
                refused(&|seen| seen.monitored_since = late),
                "after observed_at",
            ),
            (refused(&|seen| seen.monitored_since = None), "is required"),
            (refused(&|seen| seen.kind = 9), "an unknown kind"),
            (
                refused(&|seen| (seen.after, seen.before) = (None, None)),
                "only with an attack",
            ),
        ] {
            assert!(
                error.starts_with("signalling") && error.contains(rule),
                "{error}"
            );
        }
        let wire = observation(&seen());
        let other = parse_observation(&wire, Signal::Roaming, at("12:00:01"));
        assert_eq!(other.unwrap_err().rule, "does not answer roaming");
    }
}
