//! Between wire messages and nouns: the one place where a message is parsed.
//!
//! Each parser names the field at fault, so that a refusal can say it.

mod changes;
mod observation;

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

use crate::{
    msisdn::{Msisdn, MsisdnError},
    party::{OrgName, OrgNameError},
    purpose::Purpose,
    signal::{Question, Signal, whole_minute},
    v1,
};

pub use changes::{CHANGES_BYTES_MAX, CHANGES_MAX, NONCE_BYTES};
pub use observation::{
    CLOCK_SKEW_MAX, forwarding_state, observation, parse_forwarding, parse_observation,
    parse_roaming, roaming_state,
};

/// The most bytes of a reference that a bank gives.
pub const REFERENCE_LEN_MAX: usize = 128;
/// The most bytes of a request id, a correlation id or an instance name.
pub const ID_LEN_MAX: usize = 64;
/// The longest window that can be asked: CAMARA's 2400 h and more, ten years.
pub const THRESHOLD_HOURS_MAX: u32 = 87_600;

/// A field that breaks a rule. The text never repeats the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} breaks a rule: {rule}")]
pub struct FieldError {
    /// Path of the field, such as `signals[2].sim_swap.threshold_hours`.
    pub field: String,
    /// The rule, lower case, no full stop.
    pub rule: String,
}

impl FieldError {
    /// A field and the rule that it breaks.
    pub fn new(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            rule: rule.into(),
        }
    }
}

impl From<MsisdnError> for FieldError {
    fn from(error: MsisdnError) -> Self {
        Self::new("msisdn", error.to_string())
    }
}

/// A bank's question, parsed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lookup {
    /// The number.
    pub msisdn: Msisdn,
    /// Why.
    pub purpose: Purpose,
    /// What, in the order asked, each signal once.
    pub questions: Vec<Question>,
    /// For whom, if not for itself.
    pub on_behalf_of: Option<OrgName>,
    /// The bank's reference of the customer.
    pub customer_ref: Option<String>,
    /// The consent on file.
    pub consent_ref: Option<String>,
    /// The bank's id of this question.
    pub request_id: Option<String>,
    /// Whether a whole proof is wanted.
    pub proof: bool,
}

impl Lookup {
    /// Parses a request. `now` bounds dates and moments.
    ///
    /// # Errors
    /// The first field that breaks a rule.
    pub fn parse(request: v1::LookupRequest, now: Timestamp) -> Result<Self, FieldError> {
        let msisdn = Msisdn::parse(&request.msisdn)?;
        let purpose = Purpose::from_wire(request.purpose)
            .ok_or_else(|| FieldError::new("purpose", "exactly one known purpose is required"))?;
        let questions = parse_questions(&request.signals, now)?;
        let on_behalf_of = optional(request.on_behalf_of)
            .map(|name| OrgName::parse(&name))
            .transpose()
            .map_err(|error: OrgNameError| FieldError::new("on_behalf_of", error.to_string()))?;
        let proof = match v1::ReceiptKind::try_from(request.receipt) {
            Ok(v1::ReceiptKind::Unspecified | v1::ReceiptKind::Short) => false,
            Ok(v1::ReceiptKind::Proof) => true,
            Err(_) => return Err(FieldError::new("receipt", "unknown kind of receipt")),
        };
        Ok(Self {
            msisdn,
            purpose,
            questions,
            on_behalf_of,
            customer_ref: reference("customer_ref", request.customer_ref, REFERENCE_LEN_MAX)?,
            consent_ref: reference("consent_ref", request.consent_ref, REFERENCE_LEN_MAX)?,
            request_id: reference("request_id", request.request_id, ID_LEN_MAX)?,
            proof,
        })
    }
}

fn optional(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn reference(
    field: &'static str,
    text: String,
    len_max: usize,
) -> Result<Option<String>, FieldError> {
    if text.len() > len_max {
        return Err(FieldError::new(field, format!("at most {len_max} bytes")));
    }
    if text.chars().any(char::is_control) {
        return Err(FieldError::new(field, "no control characters"));
    }
    Ok(optional(text))
}

fn parse_questions(
    wire: &[v1::SignalQuestion],
    now: Timestamp,
) -> Result<Vec<Question>, FieldError> {
    if wire.is_empty() || wire.len() > Signal::ALL.len() {
        return Err(FieldError::new("signals", "1 to 7 signals are asked"));
    }
    let mut questions: Vec<Question> = Vec::with_capacity(wire.len());
    for (at, question) in wire.iter().enumerate() {
        let parsed = parse_question(question, now).map_err(|error| {
            FieldError::new(format!("signals[{at}].{}", error.field), error.rule)
        })?;
        if questions
            .iter()
            .any(|earlier| earlier.signal() == parsed.signal())
        {
            let signal = parsed.signal();
            return Err(FieldError::new(
                format!("signals[{at}]"),
                format!("{signal} is asked twice"),
            ));
        }
        questions.push(parsed);
    }
    Ok(questions)
}

fn parse_question(wire: &v1::SignalQuestion, now: Timestamp) -> Result<Question, FieldError> {
    use v1::signal_question::Signal as Wire;
    let wire = wire
        .signal
        .as_ref()
        .ok_or_else(|| FieldError::new("signal", "a known signal is required"))?;
    let today = now.to_zoned(TimeZone::UTC).date();
    Ok(match wire {
        Wire::SimSwap(swap) => Question::SimSwap {
            threshold_hours: threshold("sim_swap", *swap)?,
        },
        Wire::DeviceSwap(swap) => Question::DeviceSwap {
            threshold_hours: threshold("device_swap", *swap)?,
        },
        Wire::CallForwarding(_) => Question::CallForwarding,
        Wire::Roaming(_) => Question::Roaming,
        Wire::NumberRecycling(date) => Question::NumberRecycling {
            since: since("number_recycling", date, today)?,
        },
        Wire::Tenure(date) => Question::Tenure {
            since: since("tenure", date, today)?,
        },
        Wire::SignallingAnomaly(moment) => Question::SignallingAnomaly {
            since: moment_asked("signalling_anomaly", moment, now)?,
        },
    })
}

fn threshold(signal: &str, wire: v1::SwapQuestion) -> Result<Option<u32>, FieldError> {
    if wire.threshold_hours > THRESHOLD_HOURS_MAX {
        let field = format!("{signal}.threshold_hours");
        return Err(FieldError::new(
            field,
            format!("at most {THRESHOLD_HOURS_MAX} hours"),
        ));
    }
    Ok((wire.threshold_hours > 0).then_some(wire.threshold_hours))
}

fn since(signal: &str, wire: &v1::SinceQuestion, today: Date) -> Result<Date, FieldError> {
    let field = || format!("{signal}.since");
    let date: Date = (wire.since.len() == 10)
        .then(|| wire.since.parse().ok())
        .flatten()
        .ok_or_else(|| FieldError::new(field(), "a calendar date such as 2024-01-31"))?;
    if date > today {
        return Err(FieldError::new(field(), "not in the future"));
    }
    Ok(date)
}

/// A moment asked. A bank's clock may be a little ahead of ours, as an adapter's may.
fn moment_asked(
    signal: &str,
    wire: &v1::MomentQuestion,
    now: Timestamp,
) -> Result<Timestamp, FieldError> {
    let field = || format!("{signal}.since");
    let moment = wire
        .since
        .as_ref()
        .and_then(parse_timestamp)
        .ok_or_else(|| FieldError::new(field(), "an instant is required"))?;
    if moment != whole_minute(moment) {
        return Err(FieldError::new(
            field(),
            "a whole minute, such as 2026-11-21T12:03:00Z: round down",
        ));
    }
    if moment.duration_since(now) > CLOCK_SKEW_MAX {
        return Err(FieldError::new(field(), "not in the future"));
    }
    Ok(moment)
}

/// The wire form of an instant.
#[must_use]
pub fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.as_second(),
        nanos: at.subsec_nanosecond(),
    }
}

/// The last millisecond of a day, UTC, which is what *since a day* means on the wire: a holder whose
/// contract began that day has held the number since (CAMARA NumberRecycling: the contract's own day is
/// not recycled).
#[must_use]
pub fn end_of_day(date: Date) -> Timestamp {
    let next = date.tomorrow().ok();
    let next = next.and_then(|next| next.to_zoned(TimeZone::UTC).ok());
    next.map_or(Timestamp::MAX, |next| {
        let end = next.timestamp().checked_sub(SignedDuration::from_millis(1));
        end.unwrap_or(Timestamp::MIN)
    })
}

/// Parses an instant.
#[must_use]
pub fn parse_timestamp(wire: &prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(wire.seconds, wire.nanos).ok()
}

/// The wire form of a question.
#[must_use]
pub fn question(question: &Question) -> v1::SignalQuestion {
    use v1::signal_question::Signal as Wire;
    let swap = |hours: &Option<u32>| v1::SwapQuestion {
        threshold_hours: hours.unwrap_or(0),
    };
    let from = |date: &Date| v1::SinceQuestion {
        since: date.to_string(),
    };
    let signal = match question {
        Question::SimSwap { threshold_hours } => Wire::SimSwap(swap(threshold_hours)),
        Question::DeviceSwap { threshold_hours } => Wire::DeviceSwap(swap(threshold_hours)),
        Question::CallForwarding => Wire::CallForwarding(v1::CallForwardingQuestion {}),
        Question::Roaming => Wire::Roaming(v1::RoamingQuestion {}),
        Question::NumberRecycling { since } => Wire::NumberRecycling(from(since)),
        Question::Tenure { since } => Wire::Tenure(from(since)),
        Question::SignallingAnomaly { since } => Wire::SignallingAnomaly(v1::MomentQuestion {
            since: Some(timestamp(*since)),
        }),
    };
    v1::SignalQuestion {
        signal: Some(signal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-21T12:03:30Z";

    fn since(text: &str) -> Result<Question, FieldError> {
        let now = NOW.parse().unwrap();
        let asked = Question::SignallingAnomaly {
            since: text.parse().unwrap(),
        };
        parse_question(&question(&asked), now)
    }

    #[test]
    fn a_moment_is_a_whole_minute_of_the_past() {
        let at = |text: &str| Question::SignallingAnomaly {
            since: text.parse().unwrap(),
        };
        for text in ["2026-11-21T12:03:00Z", "2020-01-01T00:00:00Z"] {
            assert_eq!(since(text), Ok(at(text)));
        }
        for (text, rule) in [
            ("2026-11-21T12:02:01Z", "a whole minute"),
            ("2026-11-21T12:02:00.000000001Z", "a whole minute"),
            ("2026-11-21T12:04:00Z", "not in the future"),
        ] {
            let error = since(text).unwrap_err();
            assert_eq!(error.field, "signalling_anomaly.since");
            assert!(error.rule.starts_with(rule), "{error}");
        }
        let none = v1::SignalQuestion {
            signal: Some(v1::signal_question::Signal::SignallingAnomaly(
                v1::MomentQuestion { since: None },
            )),
        };
        let error = parse_question(&none, NOW.parse().unwrap()).unwrap_err();
        assert_eq!(error.field, "signalling_anomaly.since");
    }

    #[test]
    fn a_banks_clock_may_be_a_little_ahead() {
        let asked = question(&Question::SignallingAnomaly {
            since: "2026-11-21T12:04:00Z".parse().unwrap(),
        });
        let almost = "2026-11-21T12:03:58.5Z".parse().unwrap();
        assert!(parse_question(&asked, almost).is_ok());
    }
}
