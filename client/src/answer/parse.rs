//! Parses an answer and holds it against its question.

use accord_proto::{
    band::AgeBand,
    observation::{AttackKind, SourceClass, SwapKind},
    reason::Reason,
    signal::{Question, Signal},
    v1, wire,
};
use bytes::Bytes;
use prost::Message as _;

use super::{Answer, Mistrust, Outcome, RoutingBasis, SignalOutcome, Value};
use crate::question::Asked;

/// Parses a response and holds it against the question. The receipt is checked by the caller.
pub(crate) fn parse_answer(bytes: &Bytes, asked: &Asked) -> Result<Answer, Mistrust> {
    let wire = v1::Answer::decode(bytes.as_ref()).map_err(|_| Mistrust::Malformed("answer"))?;
    if wire.request_id != asked.request.request_id {
        return Err(Mistrust::OtherQuestion("request_id"));
    }
    if wire.signals.len() != asked.questions.len() {
        return Err(Mistrust::OtherQuestion("signals"));
    }
    let answered_at = wire
        .answered_at
        .as_ref()
        .and_then(wire::parse_timestamp)
        .ok_or(Mistrust::Malformed("answered_at"))?;
    let signals = asked.questions.iter().zip(wire.signals);
    Ok(Answer {
        answered_at,
        agreement: wire.agreement,
        agreement_version: wire.agreement_version,
        routing_basis: RoutingBasis::from_wire(wire.routing_basis),
        routing_as_of: wire.routing_as_of.as_ref().and_then(wire::parse_timestamp),
        signals: signals
            .map(|(question, signal)| parse_signal(question, signal))
            .collect::<Result<_, _>>()?,
        request_id: wire.request_id,
    })
}

fn parse_signal(question: &Question, wire: v1::SignalAnswer) -> Result<SignalOutcome, Mistrust> {
    use v1::signal_answer::Outcome as Wire;
    if Signal::from_wire(wire.signal) != Some(question.signal()) {
        return Err(Mistrust::OtherQuestion("signals"));
    }
    let outcome = match wire.outcome {
        Some(Wire::Value(value)) => Outcome::Value {
            swap_kind: SwapKind::from_wire(value.swap_kind),
            attack_kind: AttackKind::from_wire(value.attack_kind),
            value: parse_value(question.signal(), value)?,
        },
        Some(Wire::Unanswered(why)) => Outcome::Unanswered {
            reason: Reason::from_wire(why.reason).ok_or(Mistrust::Malformed("reason"))?,
            detail: why.detail,
        },
        None => return Err(Mistrust::Malformed("outcome")),
    };
    Ok(SignalOutcome {
        question: *question,
        outcome,
        clause: (!wire.clause.is_empty()).then_some(wire.clause),
        observed_at: wire.observed_at.as_ref().and_then(wire::parse_timestamp),
        source: SourceClass::from_wire(wire.source),
        customer_lock: wire.customer_lock,
    })
}

fn parse_value(signal: Signal, wire: v1::Value) -> Result<Value, Mistrust> {
    use v1::value::Value as Wire;
    let about_change = matches!(
        signal,
        Signal::SimSwap | Signal::DeviceSwap | Signal::NumberRecycling | Signal::Tenure
    );
    let value = wire.value.ok_or(Mistrust::Malformed("value"))?;
    let (value, suits) = match value {
        Wire::YesNo(yes) => (Value::YesNo(yes), true),
        Wire::Band(band) => (parse_band(band)?, about_change),
        Wire::Interval(interval) => (parse_interval(interval)?, about_change),
        Wire::Forwarding(state) => {
            let active =
                wire::parse_forwarding(&state).map_err(|_| Mistrust::Malformed("forwarding"))?;
            (Value::Forwarding(active), signal == Signal::CallForwarding)
        }
        Wire::Roaming(state) => {
            let roaming = wire::parse_roaming(state).map_err(|_| Mistrust::Malformed("roaming"))?;
            (Value::Roaming(roaming), signal == Signal::Roaming)
        }
    };
    if suits {
        Ok(value)
    } else {
        Err(Mistrust::Malformed("value"))
    }
}

fn parse_band(wire: v1::Band) -> Result<Value, Mistrust> {
    let band = |number| AgeBand::from_wire(number).ok_or(Mistrust::Malformed("band"));
    let (lowest, highest) = (band(wire.lowest)?, band(wire.highest)?);
    if lowest > highest {
        return Err(Mistrust::Malformed("band"));
    }
    Ok(Value::Band {
        lowest,
        highest,
        at_least: wire.at_least,
    })
}

fn parse_interval(wire: v1::Interval) -> Result<Value, Mistrust> {
    let instant = |at: &Option<_>| at.as_ref().and_then(wire::parse_timestamp);
    let (after, before) = (instant(&wire.after), instant(&wire.before));
    let ends_early = matches!((after, before), (Some(after), Some(before)) if before < after);
    if ends_early || (after.is_none() && before.is_none()) {
        return Err(Mistrust::Malformed("interval"));
    }
    Ok(Value::Interval { after, before })
}

#[cfg(test)]
mod tests {
    use accord_proto::{clock::ManualClock, purpose::Purpose};

    use jiff::Timestamp;

    use super::*;
    use crate::question::Lookup;

    fn asked() -> Asked {
        let clock = ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap());
        let lookup = Lookup::about("+447700900001", Purpose::Payment)
            .sim_swap()
            .call_forwarding()
            .request_id("r1");
        lookup.check(&(clock as _)).ok().unwrap()
    }

    fn signal(signal: v1::Signal, value: v1::value::Value) -> v1::SignalAnswer {
        v1::SignalAnswer {
            signal: signal as i32,
            outcome: Some(v1::signal_answer::Outcome::Value(v1::Value {
                value: Some(value),
                swap_kind: v1::SwapKind::Esim as i32,
                attack_kind: 0,
            })),
            ..v1::SignalAnswer::default()
        }
    }

    fn good() -> v1::Answer {
        let band = v1::Band {
            lowest: 1,
            highest: 3,
            at_least: false,
        };
        v1::Answer {
            answered_at: Some(prost_types_of(1_790_000_000)),
            signals: vec![
                signal(v1::Signal::SimSwap, v1::value::Value::Band(band)),
                signal(
                    v1::Signal::CallForwarding,
                    v1::value::Value::Forwarding(v1::ForwardingState::default()),
                ),
            ],
            request_id: "r1".to_owned(),
            ..v1::Answer::default()
        }
    }

    fn prost_types_of(seconds: i64) -> prost_types::Timestamp {
        wire::timestamp(Timestamp::from_second(seconds).unwrap())
    }

    fn parse(answer: &v1::Answer) -> Result<Answer, Mistrust> {
        parse_answer(&answer.encode_to_vec().into(), &asked())
    }

    #[test]
    fn an_answer_that_fits_its_question_is_believed() {
        let answer = parse(&good()).unwrap();
        assert_eq!(answer.signals.len(), 2);
        assert_eq!(answer.signals[1].value(), Some(&Value::Forwarding(vec![])));
        assert!(matches!(
            answer.signals[0].outcome,
            Outcome::Value {
                swap_kind: Some(SwapKind::Esim),
                ..
            }
        ));
    }

    #[test]
    fn an_answer_to_another_question_is_not_believed() {
        let mut other_id = good();
        other_id.request_id = "r2".to_owned();
        let mut fewer = good();
        fewer.signals.pop();
        let mut swapped = good();
        swapped.signals.reverse();
        for answer in [other_id, fewer, swapped] {
            assert!(matches!(parse(&answer), Err(Mistrust::OtherQuestion(_))));
        }
    }

    #[test]
    fn a_value_that_makes_no_sense_is_not_believed() {
        let roaming = v1::value::Value::Roaming(v1::RoamingState::default());
        let upside_down = v1::value::Value::Band(v1::Band {
            lowest: 3,
            highest: 1,
            at_least: false,
        });
        let unknown = v1::value::Value::Band(v1::Band {
            lowest: 0,
            highest: 99,
            at_least: false,
        });
        let backwards = v1::value::Value::Interval(v1::Interval {
            after: Some(prost_types_of(20)),
            before: Some(prost_types_of(10)),
        });
        for value in [roaming, upside_down, unknown, backwards] {
            let mut answer = good();
            answer.signals[0] = signal(v1::Signal::SimSwap, value);
            assert!(matches!(parse(&answer), Err(Mistrust::Malformed(_))));
        }
        let mut nothing = good();
        nothing.signals[0].outcome = None;
        assert_eq!(parse(&nothing), Err(Mistrust::Malformed("outcome")));
    }
}
