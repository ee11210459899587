//! What the bank is told, parsed and held against what it asked.

use std::fmt;

use accord_proto::{
    band::AgeBand,
    observation::{Forwarding, Roaming, SourceClass, SwapKind},
    reason::Reason,
    signal::{Question, Signal},
    v1, wire,
};
use bytes::Bytes;
use jiff::Timestamp;
use prost::Message as _;

use crate::{question::Asked, receipt::Receipt};

/// An answer that was believed: it fits the question, and its receipt was checked.
#[derive(Clone)]
pub struct Answered {
    /// What the bank is told.
    pub answer: Answer,
    /// What proves that this access is on the record.
    pub receipt: Receipt,
    /// 32 bytes that only the bank has. The ledger's entry holds `SHA-256(nonce ‖ answer_bytes)`.
    pub nonce: [u8; 32],
    /// The exact bytes of the answer. Keep them with nonce and receipt if you may ever have to
    /// prove what you were told.
    pub answer_bytes: Bytes,
}

impl Answered {
    /// One outcome for each signal asked, in the order asked.
    #[must_use]
    pub fn signals(&self) -> &[SignalOutcome] {
        &self.answer.signals
    }
}

impl fmt::Debug for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answered")
            .field("answer", &self.answer)
            .field("receipt", &self.receipt)
            .field("nonce", &"[secret]")
            .finish_non_exhaustive()
    }
}

/// The answer to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When the broker answered.
    pub answered_at: Timestamp,
    /// The agreement in force then.
    pub agreement: String,
    /// Its version.
    pub agreement_version: u64,
    /// How the operator was found; `None` where it was not.
    pub routing_basis: Option<RoutingBasis>,
    /// One for each signal asked, in the order asked.
    pub signals: Vec<SignalOutcome>,
    /// The id of the question.
    pub request_id: String,
}

/// How the number was routed to its operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoutingBasis {
    /// By ENUM (RFC 6116).
    Enum,
    /// It is listed as ported.
    Ported,
    /// By the longest number-range prefix.
    Prefix,
}

impl RoutingBasis {
    /// The word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enum => "enum",
            Self::Ported => "ported",
            Self::Prefix => "prefix",
        }
    }

    fn from_wire(number: i32) -> Option<Self> {
        match v1::RoutingBasis::try_from(number) {
            Ok(v1::RoutingBasis::Enum) => Some(Self::Enum),
            Ok(v1::RoutingBasis::Ported) => Some(Self::Ported),
            Ok(v1::RoutingBasis::Prefix) => Some(Self::Prefix),
            Ok(v1::RoutingBasis::Unspecified) | Err(_) => None,
        }
    }
}

/// What became of one signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalOutcome {
    /// What was asked.
    pub question: Question,
    /// The value, or why there is none.
    pub outcome: Outcome,
    /// The clause (one numbered permission of the agreement) that allowed or forbade it.
    pub clause: Option<String>,
    /// Until when the operator's source vouches for the value.
    pub observed_at: Option<Timestamp>,
    /// What kind of system it came from.
    pub source: Option<SourceClass>,
    /// The subscriber has asked for a lock against swaps.
    pub customer_lock: bool,
}

impl SignalOutcome {
    /// The signal asked.
    #[must_use]
    pub const fn signal(&self) -> Signal {
        self.question.signal()
    }

    /// The value, where there is one.
    #[must_use]
    pub const fn value(&self) -> Option<&Value> {
        match &self.outcome {
            Outcome::Value { value, .. } => Some(value),
            Outcome::Unanswered { .. } => None,
        }
    }
}

/// A value, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered.
    Value {
        /// At the granularity that the clause allows.
        value: Value,
        /// The kind of a swap, where the clause permits it and the operator knows it.
        swap_kind: Option<SwapKind>,
    },
    /// Not answered.
    Unanswered {
        /// For programs.
        reason: Reason,
        /// For people; may be empty.
        detail: String,
    },
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// The age of the last change, from the younger edge of `lowest` to the older edge of
    /// `highest`; with `at_least`, no change was seen for as long as the source watched.
    Band {
        /// The youngest band that is possible.
        lowest: AgeBand,
        /// The oldest band that is possible.
        highest: AgeBand,
        /// Only the younger edge of `lowest` is known.
        at_least: bool,
    },
    /// The active forwardings, none or more.
    Forwarding(Vec<Forwarding>),
    /// The last change lies in `(after, before]`; without `before`, there was none since `after`.
    Interval {
        /// Not before this.
        after: Option<Timestamp>,
        /// Not after this.
        before: Option<Timestamp>,
    },
    /// Whether and where the subscriber roams.
    Roaming(Roaming),
    /// Yes or no to what was asked.
    YesNo(bool),
}

/// Why what came back is not believed. No text repeats an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistrust {
    /// A part that must be there is missing or malformed.
    #[error("`{0}` is missing or malformed")]
    Malformed(&'static str),
    /// The answer is to another question.
    #[error("the answer is to another question: `{0}` differs")]
    OtherQuestion(&'static str),
    /// The receipt comes from a log that is not ours.
    #[error("the receipt's origin `{found}` is not of the log `{expected}`")]
    Origin {
        /// As it came.
        found: String,
        /// As configured.
        expected: String,
    },
    /// A proof was asked for and does not hold.
    #[error("the receipt's proof does not hold: {0}")]
    Proof(String),
}

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
