//! One event as it comes: a JSON object in the shape of CloudEvents 1.0, whichever way it came.
//!
//! ```json
//! { "id": "8d1f…", "source": "crm", "type": "sim_swap", "time": "2026-11-21T12:00:00Z",
//!   "subject": "+447700900001", "data": { "kind": "replacement" } }
//! ```
//!
//! Attributes and data that are not named here are ignored: producers have reasons of their own.

use std::borrow::Cow;

use accord_proto::{
    msisdn::Msisdn,
    observation::{AttackKind, ForwardingCondition, SwapKind},
};
use jiff::Timestamp;
use serde::Deserialize;

/// The most bytes of one event.
pub const EVENT_BYTES_MAX: usize = 16_384;
/// The most events of one batch.
pub const BATCH_MAX: usize = 256;
/// The most bytes of `id` and of `source`.
pub(super) const NAME_BYTES_MAX: usize = 128;

/// Why a text is no event. It never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// More than [`EVENT_BYTES_MAX`] for each event, or more than [`BATCH_MAX`] events.
    #[error("has more than 16384 bytes, or more than 256 events")]
    Size,
    /// It is no JSON object of this form.
    #[error("is no JSON object with `id`, `source`, `type` and `time`")]
    Shape,
    /// `id` or `source` is empty or too long.
    #[error("`id` and `source` have 1 to 128 bytes")]
    Name,
    /// `time` is no instant.
    #[error("`time` is an instant as in RFC 3339, with its offset")]
    Time,
    /// `subject` is no number.
    #[error("`subject` is a number in E.164 form, with its plus sign")]
    Subject,
    /// `data` lacks what this type needs, or has a word that it can't have.
    #[error("`data` does not fit `type`")]
    Data,
}

/// How a subscription began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// With a new line.
    NewLine,
    /// With a number instead of another one.
    NumberChange,
}

/// Where calls go, or that they go nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// They are not forwarded.
    Cleared,
    /// To another number.
    AnotherNumber,
    /// To the subscriber's own voicemail.
    OwnVoicemail,
    /// It is not told where to.
    Unknown,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// A subscription began.
    Activate(Begun),
    /// A subscription ended.
    Cease,
    /// Another device is used.
    DeviceChange,
    /// A forwarding was set or cleared; without a condition: all of them.
    Forwarding(Option<ForwardingCondition>, Forward),
    /// The firewall saw an attack, and blocked it or did not.
    SignallingAlarm {
        /// Which.
        kind: AttackKind,
        /// It got through.
        passed: bool,
    },
    /// The number came from another operator.
    PortIn,
    /// The number went to another operator.
    PortOut,
    /// Another SIM is used.
    SimSwap(Option<SwapKind>),
}

/// An event, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Unique within its source.
    pub id: String,
    /// Who tells.
    pub source: String,
    /// When it happened, by the producer's clock.
    pub time: Timestamp,
    /// What.
    pub what: What,
}

impl Event {
    /// Whether it tells what happened to a number.
    pub(super) const fn tells_of_subscriber(&self) -> bool {
        matches!(self.what, What::Subscriber(..))
    }
}

/// What an event tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Nothing but that the producer lives and has told all until its time.
    Heartbeat,
    /// A type that is not known here; it is counted and left alone.
    Other,
    /// Something happened to a number.
    Subscriber(Msisdn, Happened),
}

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(borrow)]
    subject: Option<Cow<'a, str>>,
    data: Option<Data>,
}

#[derive(Default, Deserialize)]
struct Data {
    kind: Option<String>,
    condition: Option<String>,
    target: Option<String>,
    action: Option<String>,
}

/// Parses one event.
///
/// # Errors
/// [`EnvelopeError`]
pub fn parse(bytes: &[u8]) -> Result<Event, EnvelopeError> {
    if bytes.len() > EVENT_BYTES_MAX {
        return Err(EnvelopeError::Size);
    }
    // Without this an array of the values, in order, would do as well.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(EnvelopeError::Shape);
    }
    event(serde_json::from_slice(bytes).map_err(|_| EnvelopeError::Shape)?)
}

/// Parses one event, or an array of events, of which each must be good.
///
/// # Errors
/// [`EnvelopeError`] of the first that is none.
pub fn parse_batch(bytes: &[u8]) -> Result<Vec<Event>, EnvelopeError> {
    if bytes.trim_ascii_start().first() != Some(&b'[') {
        return Ok(vec![parse(bytes)?]);
    }
    if bytes.len() > EVENT_BYTES_MAX * BATCH_MAX {
        return Err(EnvelopeError::Size);
    }
    let raw: Vec<Raw<'_>> = serde_json::from_slice(bytes).map_err(|_| EnvelopeError::Shape)?;
    if raw.len() > BATCH_MAX {
        return Err(EnvelopeError::Size);
    }
    raw.into_iter().map(event).collect()
}

fn event(raw: Raw<'_>) -> Result<Event, EnvelopeError> {
    let named = |name: &str| (1..=NAME_BYTES_MAX).contains(&name.len());
    if !named(&raw.id) || !named(&raw.source) {
        return Err(EnvelopeError::Name);
    }
    let time = raw.time.parse().map_err(|_| EnvelopeError::Time)?;
    let data = raw.data.unwrap_or_default();
    let happened = match raw.kind.as_ref() {
        "heartbeat" => None,
        "activate" => Some(Happened::Activate(match data.kind.as_deref() {
            None | Some("new_line") => Begun::NewLine,
            Some("number_change") => Begun::NumberChange,
            Some(_) => return Err(EnvelopeError::Data),
        })),
        "cease" => Some(Happened::Cease),
        "device_change" => Some(Happened::DeviceChange),
        "forward_cleared" => Some(Happened::Forwarding(condition(&data)?, Forward::Cleared)),
        "forward_set" => Some(forward_set(&data)?),
        "port_in" => Some(Happened::PortIn),
        "port_out" => Some(Happened::PortOut),
        "signalling_alarm" => Some(alarm(&data)?),
        "sim_swap" => Some(Happened::SimSwap(match data.kind.as_deref() {
            None => None,
            Some(name) => Some(SwapKind::from_name(name).ok_or(EnvelopeError::Data)?),
        })),
        _ => {
            return Ok(Event {
                id: raw.id.into_owned(),
                source: raw.source.into_owned(),
                time,
                what: What::Other,
            });
        }
    };
    let what = match happened {
        None => What::Heartbeat,
        Some(happened) => {
            let subject = raw.subject.as_deref().unwrap_or_default();
            let msisdn = Msisdn::parse(subject).map_err(|_| EnvelopeError::Subject)?;
            What::Subscriber(msisdn, happened)
        }
    };
    Ok(Event {
        id: raw.id.into_owned(),
        source: raw.source.into_owned(),
        time,
        what,
    })
}

fn condition(data: &Data) -> Result<Option<ForwardingCondition>, EnvelopeError> {
    let name = data.condition.as_deref();
    name.map(|name| ForwardingCondition::from_name(name).ok_or(EnvelopeError::Data))
        .transpose()
}

fn forward_set(data: &Data) -> Result<Happened, EnvelopeError> {
    // What is set has its condition: nobody sets all four at once without saying so.
    let condition = condition(data)?.ok_or(EnvelopeError::Data)?;
    let target = match data.target.as_deref() {
        None => Forward::Unknown,
        Some("another_number") => Forward::AnotherNumber,
        Some("own_voicemail") => Forward::OwnVoicemail,
        // A number, perhaps, which is none of our business.
        Some(_) => return Err(EnvelopeError::Data),
    };
    Ok(Happened::Forwarding(Some(condition), target))
}

fn alarm(data: &Data) -> Result<Happened, EnvelopeError> {
    let kind = data.kind.as_deref().and_then(AttackKind::from_name);
    let kind = kind.ok_or(EnvelopeError::Data)?;
    let passed = match data.action.as_deref() {
        Some("passed") => true,
        Some("blocked") => false,
        Some(_) | None => return Err(EnvelopeError::Data),
    };
    Ok(Happened::SignallingAlarm { kind, passed })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(more: &str) -> String {
        format!(
            r#"{{"id":"1","source":"crm","time":"2026-11-21T12:00:00+01:00","subject":"+447700900001",{more}}}"#
        )
    }

    fn happened(more: &str) -> Result<Happened, EnvelopeError> {
        match parse(text(more).as_bytes())?.what {
            What::Subscriber(_, happened) => Ok(happened),
            What::Heartbeat | What::Other => panic!("no subscriber's"),
        }
    }

    #[test]
    fn each_type_is_read() {
        for (more, expected) in [
            (r#""type":"sim_swap""#, Happened::SimSwap(None)),
            (
                r#""type":"sim_swap","data":{"kind":"esim","channel":"shop 12"}"#,
                Happened::SimSwap(Some(SwapKind::Esim)),
            ),
            (r#""type":"activate""#, Happened::Activate(Begun::NewLine)),
            (r#""type":"cease","specversion":"1.0""#, Happened::Cease),
            (r#""type":"port_in","data":null"#, Happened::PortIn),
            (r#""type":"port_out","data":{}"#, Happened::PortOut),
            (r#""type":"device_change""#, Happened::DeviceChange),
            (
                r#""type":"forward_cleared""#,
                Happened::Forwarding(None, Forward::Cleared),
            ),
            (
                r#""type":"forward_set","data":{"condition":"busy","target":"own_voicemail"}"#,
                Happened::Forwarding(Some(ForwardingCondition::Busy), Forward::OwnVoicemail),
            ),
            (
                r#""type":"signalling_alarm","data":{"kind":"interception","action":"passed"}"#,
                Happened::SignallingAlarm {
                    kind: AttackKind::Interception,
                    passed: true,
                },
            ),
        ] {
            assert_eq!(happened(more), Ok(expected), "{more}");
        }
        let other = parse(text(r#""type":"tariff_change""#).as_bytes()).unwrap();
        assert_eq!(other.what, What::Other);
        let time: Timestamp = "2026-11-21T11:00:00Z".parse().unwrap();
        assert_eq!(other.time, time);
    }

    #[test]
    fn what_is_no_event_is_named_and_not_repeated() {
        for (more, error) in [
            (r#""type":1"#, EnvelopeError::Shape),
            (r#""type":"sim_swap","id":"2""#, EnvelopeError::Shape),
            (
                r#""type":"sim_swap","data":{"kind":"stolen"}"#,
                EnvelopeError::Data,
            ),
            (r#""type":"forward_set""#, EnvelopeError::Data),
            (
                r#""type":"forward_set","data":{"condition":"busy","target":"+447700900002"}"#,
                EnvelopeError::Data,
            ),
            (
                r#""type":"signalling_alarm","data":{"kind":"tracking"}"#,
                EnvelopeError::Data,
            ),
        ] {
            let refused = happened(more).unwrap_err();
            assert_eq!(refused, error, "{more}");
            assert!(!refused.to_string().contains("7700900"));
        }
        for (whole, error) in [
            ("", EnvelopeError::Shape),
            ("{", EnvelopeError::Shape),
            (
                r#"["1","crm","cease","2026-11-21T12:00:00Z","+447700900001",{}]"#,
                EnvelopeError::Shape,
            ),
            (
                r#"{"id":"","source":"a","type":"heartbeat","time":"2026-11-21T12:00:00Z"}"#,
                EnvelopeError::Name,
            ),
            (
                r#"{"id":"1","source":"a","type":"heartbeat","time":"2026-11-21T12:00:00"}"#,
                EnvelopeError::Time,
            ),
            (
                r#"{"id":"1","source":"a","type":"cease","time":"2026-11-21T12:00:00Z"}"#,
                EnvelopeError::Subject,
            ),
            (
                r#"{"id":"1","source":"a","type":"cease","time":"2026-11-21T12:00:00Z","subject":"07700900001"}"#,
                EnvelopeError::Subject,
            ),
        ] {
            assert_eq!(parse(whole.as_bytes()), Err(error), "{whole}");
        }
        assert_eq!(
            parse(&vec![b' '; EVENT_BYTES_MAX + 1]),
            Err(EnvelopeError::Size)
        );
        let many = format!(
            "[{}]",
            vec![text(r#""type":"cease""#); BATCH_MAX + 1].join(",")
        );
        assert_eq!(parse_batch(many.as_bytes()), Err(EnvelopeError::Size));
        let two = format!(" [{0},{0}]", text(r#""type":"cease""#));
        assert_eq!(parse_batch(two.as_bytes()).unwrap().len(), 2);
    }
}
