//! How an observation lies in the view: whether the SIM was locked then, in one byte, and its wire
//! form, which is small and checked when it is read. Where it was withdrawn, another byte and the
//! microsecond until which nothing is kept.

use accord_proto::{observation::Observation, signal::Signal, v1, wire};
use jiff::Timestamp;
use prost::Message as _;

use crate::link::restrictions::NumberDigest;

/// What the view knows of one signal of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What was observed.
    pub observation: Observation,
    /// The operator said then that the subscriber has locked the SIM.
    pub customer_lock: bool,
}

pub(super) fn key(digest: &NumberDigest, signal: Signal) -> [u8; 17] {
    let mut key = [0; 17];
    let parts = digest
        .iter()
        .copied()
        .chain(std::iter::once(signal.to_wire() as u8));
    for (to, from) in key.iter_mut().zip(parts) {
        *to = from;
    }
    key
}

/// The signal of a key; `None` for a key that is no observation's.
pub(super) fn signal(key: &[u8]) -> Option<Signal> {
    let key = <&[u8; 17]>::try_from(key).ok()?;
    key.last()
        .and_then(|number| Signal::from_wire(i32::from(*number)))
}

pub(super) fn encode(observation: &Observation, customer_lock: bool) -> Vec<u8> {
    let mut bytes = vec![u8::from(customer_lock)];
    bytes.extend(wire::observation(observation).encode_to_vec());
    bytes
}

/// The first byte of what was withdrawn.
const WITHDRAWN: u8 = 2;

pub(super) fn encode_withdrawn(until: Timestamp) -> Vec<u8> {
    let mut bytes = vec![WITHDRAWN];
    bytes.extend(until.as_microsecond().to_be_bytes());
    bytes
}

/// Until when nothing is kept; `None` if nothing was withdrawn.
pub(super) fn decode_withdrawn(bytes: &[u8]) -> Option<Timestamp> {
    let (first, micros) = bytes.split_first()?;
    let micros = i64::from_be_bytes(micros.try_into().ok()?);
    let until = Timestamp::from_microsecond(micros).ok()?;
    (*first == WITHDRAWN).then_some(until)
}

pub(super) fn decode(bytes: &[u8], signal: Signal) -> Option<Kept> {
    let (lock, bytes) = bytes.split_first()?;
    let customer_lock = match lock {
        0 => false,
        1 => true,
        _ => return None,
    };
    let wire = v1::Observation::decode(bytes).ok()?;
    // It was checked against the clock when it came; only damage can make it fail now.
    let observation = wire::parse_observation(&wire, signal, Timestamp::MAX).ok()?;
    Some(Kept {
        observation,
        customer_lock,
    })
}

#[cfg(test)]
mod tests {
    use accord_proto::observation::{Observed, Roaming, SourceClass};

    use super::*;
    use crate::views::Views;

    #[test]
    fn a_lock_is_kept_until_the_operator_says_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("view.key");
        let opened = Views::open(&dir.path().join("view"), &key, 1 << 20).unwrap();
        let views = opened.views;
        let what = Observed::Roaming(Roaming {
            roaming: false,
            visited_mcc: None,
        });
        let seen = Observation {
            what,
            observed_at: Timestamp::UNIX_EPOCH,
            source: SourceClass::Network,
        };
        let said = |lock| {
            views.keep(&[1; 16], Signal::Roaming, &seen, lock);
            let kept = views.find(&[1; 16], Signal::Roaming).unwrap();
            assert_eq!(kept.observation, seen);
            kept.customer_lock
        };
        let locks = [None, Some(true), None, Some(false), None].map(said);
        assert_eq!(locks, [false, true, true, false, false]);
    }

    #[test]
    fn a_record_without_the_byte_of_the_lock_is_as_good_as_none() {
        let roaming = Signal::Roaming;
        assert_eq!(decode(&[], roaming), None);
        // How a record began before there was one: the tag of its first field.
        assert_eq!(decode(&[0x0a, 0], roaming), None);
    }
}
