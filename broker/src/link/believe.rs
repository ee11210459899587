//! What of an adapter's reply is believed: only what was asked, once each, and nothing that
//! contradicts itself or lies in the future.

use accord_proto::{
    digest::sha256,
    observation::Observation,
    reason::Reason,
    signal::Signal,
    v1,
    wire::{FieldError, NONCE_BYTES, parse_observation},
};
use jiff::Timestamp;
use prost::Message as _;
use tokio::time::Duration;

/// What the operator said about one signal.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The signal.
    pub signal: Signal,
    /// An observation, or why there is none.
    pub outcome: Result<Observation, Reason>,
}

/// Where the operator has what it said, and the digest of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Which adapter.
    pub instance: String,
    /// Where in its journal.
    pub journal_index: u64,
    /// Of a reply SHA-256(nonce || body), of a batch of changes SHA-256 of all of it.
    pub digest: [u8; 32],
}

impl Said {
    /// As an entry has it.
    pub(crate) fn to_wire(&self, elapsed_us: u32) -> v1::ReplyDigest {
        v1::ReplyDigest {
            instance: self.instance.clone(),
            journal_index: self.journal_index,
            digest: self.digest.to_vec(),
            elapsed_us,
        }
    }

    /// Of a batch, which came as these bytes; `None` if it has no nonce, since its digest could be
    /// tried against numbers.
    pub(crate) fn of_batch(instance: &str, batch: &v1::ChangeBatch, sent: &[u8]) -> Option<Self> {
        (batch.nonce.len() == NONCE_BYTES).then(|| Self {
            instance: instance.to_owned(),
            journal_index: batch.journal_index,
            digest: sha256(&[sent]),
        })
    }
}

/// What binds the operator to a reply.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// What it said.
    pub said: Said,
    /// From asking this adapter to its reply.
    pub elapsed: Duration,
}

/// A reply that is believed.
#[derive(Clone, Debug)]
pub(super) struct Believed {
    pub(super) signals: Vec<Fetched>,
    pub(super) customer_lock: bool,
    pub(super) digest: [u8; 32],
    pub(super) journal_index: u64,
}

/// Checks a reply against what was asked.
///
/// # Errors
/// The field that is not believed; then nothing of the reply is.
pub(super) fn believe(
    reply: &v1::Reply,
    asked: &[Signal],
    now: Timestamp,
) -> Result<Believed, FieldError> {
    if reply.nonce.len() != NONCE_BYTES {
        return Err(FieldError::new("nonce", "32 bytes are required"));
    }
    let body = v1::ReplyBody::decode(reply.body.clone())
        .map_err(|_| FieldError::new("body", "does not decode"))?;
    let mut signals: Vec<Fetched> = Vec::with_capacity(asked.len());
    for said in &body.signals {
        let signal = Signal::from_wire(said.signal)
            .filter(|signal| asked.contains(signal))
            .ok_or_else(|| FieldError::new("signals", "answers what was not asked"))?;
        if signals.iter().any(|earlier| earlier.signal == signal) {
            return Err(FieldError::new(
                "signals",
                format!("answers {signal} twice"),
            ));
        }
        signals.push(Fetched {
            signal,
            outcome: outcome(said, signal, now)?,
        });
    }
    if signals.len() != asked.len() {
        return Err(FieldError::new("signals", "leaves out what was asked"));
    }
    Ok(Believed {
        signals,
        customer_lock: body.customer_lock,
        digest: sha256(&[&reply.nonce, &reply.body]),
        journal_index: reply.journal_index,
    })
}

fn outcome(
    said: &v1::SignalReply,
    signal: Signal,
    now: Timestamp,
) -> Result<Result<Observation, Reason>, FieldError> {
    use v1::signal_reply::Outcome;
    match &said.outcome {
        Some(Outcome::Observation(wire)) => {
            let within = |error: FieldError| {
                FieldError::new(format!("signals.{signal}.{}", error.field), error.rule)
            };
            parse_observation(wire, signal, now).map(Ok).map_err(within)
        }
        Some(Outcome::Reason(reason)) => Reason::from_wire(*reason)
            .filter(|reason| is_operators_to_say(*reason))
            .map(Err)
            .ok_or_else(|| {
                FieldError::new(
                    format!("signals.{signal}.reason"),
                    "not an operator's to give",
                )
            }),
        None => Err(FieldError::new(
            format!("signals.{signal}"),
            "neither answer nor reason",
        )),
    }
}

/// An operator speaks of its subscribers and its systems, never of routes, clauses or quotas.
const fn is_operators_to_say(reason: Reason) -> bool {
    match reason {
        Reason::NotOurs
        | Reason::OptedOut
        | Reason::Suspended
        | Reason::UnknownNumber
        | Reason::NotAvailable
        | Reason::NotWatched
        | Reason::Undecided
        | Reason::Contradicted
        | Reason::Stale
        | Reason::Timeout
        | Reason::SourceDown
        | Reason::Overloaded => true,
        Reason::NotCovered
        | Reason::RouteUnknown
        | Reason::NotContracted
        | Reason::NotAuthorised
        | Reason::ConsentMissing
        | Reason::OutOfRange
        | Reason::Quota => false,
    }
}

#[cfg(test)]
mod tests {
    use accord_proto::{
        observation::{Change, ChangedIn, Observed, Roaming, SourceClass},
        wire,
    };
    use jiff::SignedDuration;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn swap(observed_at: Timestamp) -> Observation {
        let changed_in = Some(ChangedIn::at(observed_at - SignedDuration::from_hours(2)));
        let change = Change {
            changed_in,
            monitored_since: None,
            kind: None,
        };
        Observation {
            what: Observed::Change(change),
            observed_at,
            source: SourceClass::Virtual,
        }
    }

    fn said(signal: Signal, observation: v1::Observation) -> v1::SignalReply {
        let outcome = Some(v1::signal_reply::Outcome::Observation(observation));
        v1::SignalReply {
            signal: signal.to_wire() as i32,
            outcome,
        }
    }

    fn reply(signals: Vec<v1::SignalReply>) -> v1::Reply {
        let body = v1::ReplyBody {
            signals,
            customer_lock: false,
        }
        .encode_to_vec()
        .into();
        v1::Reply {
            id: 1,
            body,
            nonce: vec![7; 32],
            journal_index: 9,
        }
    }

    fn refused(reply: &v1::Reply, asked: &[Signal]) -> String {
        believe(reply, asked, now()).unwrap_err().to_string()
    }

    #[test]
    fn believes_what_was_asked() {
        let reply = reply(vec![said(Signal::SimSwap, wire::observation(&swap(now())))]);
        let believed = believe(&reply, &[Signal::SimSwap], now()).unwrap();
        assert_eq!(believed.signals[0].outcome, Ok(swap(now())));
        assert_eq!(believed.journal_index, 9);
    }

    #[test]
    fn does_not_believe_what_was_not_asked() {
        let reply = reply(vec![said(Signal::SimSwap, wire::observation(&swap(now())))]);
        assert!(refused(&reply, &[Signal::DeviceSwap]).contains("not asked"));
    }

    #[test]
    fn does_not_believe_a_signal_answered_twice_or_left_out() {
        let one = said(Signal::SimSwap, wire::observation(&swap(now())));
        let twice = reply(vec![one.clone(), one.clone()]);
        assert!(refused(&twice, &[Signal::SimSwap, Signal::DeviceSwap]).contains("twice"));
        let short = reply(vec![one]);
        assert!(refused(&short, &[Signal::SimSwap, Signal::DeviceSwap]).contains("leaves out"));
    }

    #[test]
    fn does_not_believe_the_future() {
        let ahead = swap(now() + SignedDuration::from_secs(30));
        let reply = reply(vec![said(Signal::SimSwap, wire::observation(&ahead))]);
        assert!(refused(&reply, &[Signal::SimSwap]).contains("future"));
    }

    #[test]
    fn does_not_believe_an_interval_that_ends_before_it_begins() {
        let change = v1::ChangeObservation {
            after: Some(wire::timestamp(now() - SignedDuration::from_hours(1))),
            before: Some(wire::timestamp(now() - SignedDuration::from_hours(2))),
            monitored_since: None,
            kind: 0,
        };
        let mut observation = wire::observation(&swap(now()));
        observation.what = Some(v1::observation::What::Change(change));
        let reply = reply(vec![said(Signal::SimSwap, observation)]);
        assert!(refused(&reply, &[Signal::SimSwap]).contains("ends before it begins"));
    }

    #[test]
    fn does_not_believe_an_answer_of_the_wrong_kind() {
        let what = Observed::Roaming(Roaming {
            roaming: false,
            visited_mcc: None,
        });
        let odd = Observation {
            what,
            observed_at: now(),
            source: SourceClass::Virtual,
        };
        let reply = reply(vec![said(Signal::SimSwap, wire::observation(&odd))]);
        assert!(refused(&reply, &[Signal::SimSwap]).contains("does not answer"));
    }

    #[test]
    fn does_not_believe_a_reason_that_is_the_brokers_to_give() {
        let outcome = Some(v1::signal_reply::Outcome::Reason(v1::Reason::Quota as i32));
        let signal = Signal::SimSwap.to_wire() as i32;
        let reply = reply(vec![v1::SignalReply { signal, outcome }]);
        assert!(refused(&reply, &[Signal::SimSwap]).contains("not an operator's"));
    }
}
