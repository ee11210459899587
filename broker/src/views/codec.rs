//! How an observation lies in the view.
//!
//! | Bytes | What |
//! |---|---|
//! | 1 | [`UNLOCKED`] or [`LOCKED`]: whether the operator said that the SIM is |
//! | 8 | index, in the adapter's journal, of the reply or batch that said it |
//! | 32 | its digest |
//! | 1, and so many | length and name of the adapter's instance |
//! | the rest | the observation's wire form, which is small and checked when it is read |
//!
//! Where it was withdrawn: [`WITHDRAWN`], and the microsecond until which nothing is kept, in 8 bytes.
//! Before they named what they rest on, records began with other bytes; such a record is as good as none.

use accord_proto::{observation::Observation, signal::Signal, v1, wire};
use jiff::Timestamp;
use prost::Message as _;

use crate::link::{Said, restrictions::NumberDigest};

/// What the view knows of one signal of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What was observed.
    pub observation: Observation,
    /// The operator said then that the subscriber has locked the SIM.
    pub customer_lock: bool,
    /// What of the operator it rests on.
    pub rests_on: Said,
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

/// The first byte of an observation of a SIM that is not locked against swaps.
const UNLOCKED: u8 = 4;
/// The first byte of an observation of one that is.
const LOCKED: u8 = 5;

pub(super) fn encode(observation: &Observation, customer_lock: bool, rests_on: &Said) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(RECORD_BYTES);
    bytes.push(if customer_lock { LOCKED } else { UNLOCKED });
    bytes.extend(rests_on.journal_index.to_be_bytes());
    bytes.extend(rests_on.digest);
    // A name has at most 64 bytes: the link takes no longer one.
    let instance = rests_on.instance.as_bytes();
    let instance = instance.get(..usize::from(u8::MAX)).unwrap_or(instance);
    bytes.push(instance.len() as u8);
    bytes.extend(instance);
    bytes.extend(wire::observation(observation).encode_to_vec());
    bytes
}

/// What most records take: the fixed part, a short name and an observation.
const RECORD_BYTES: usize = 128;

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
    let customer_lock = match *lock {
        UNLOCKED => false,
        LOCKED => true,
        _ => return None,
    };
    let (journal_index, bytes) = bytes.split_first_chunk::<8>()?;
    let (digest, bytes) = bytes.split_first_chunk::<32>()?;
    let (length, bytes) = bytes.split_first()?;
    let (instance, bytes) = bytes.split_at_checked(usize::from(*length))?;
    let wire = v1::Observation::decode(bytes).ok()?;
    // It was checked against the clock when it came; only damage can make it fail now.
    let observation = wire::parse_observation(&wire, signal, Timestamp::MAX).ok()?;
    Some(Kept {
        observation,
        customer_lock,
        rests_on: Said {
            instance: str::from_utf8(instance).ok()?.to_owned(),
            journal_index: u64::from_be_bytes(*journal_index),
            digest: *digest,
        },
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
        let (digest, signal, rests_on) = ([1; 16], Signal::Roaming, rests_on(1));
        // What is pushed says nothing of a lock.
        let said = |lock| {
            match lock {
                Some(lock) => views.keep(&digest, signal, &seen, lock, &rests_on),
                None => views.push(&digest, signal, &seen, &rests_on, seen.observed_at),
            }
            let kept = views.find(&digest, signal).unwrap();
            assert_eq!(kept.observation, seen);
            kept.customer_lock
        };
        let locks = [None, Some(true), None, Some(false), None].map(said);
        assert_eq!(locks, [false, true, true, false, false]);
    }

    fn rests_on(journal_index: u64) -> Said {
        Said {
            instance: "north-mobile-a".to_owned(),
            journal_index,
            digest: [9; 32],
        }
    }

    fn roaming(observed_at: Timestamp) -> Observation {
        Observation {
            what: Observed::Roaming(Roaming {
                roaming: true,
                visited_mcc: Some(208),
            }),
            observed_at,
            source: SourceClass::Network,
        }
    }

    #[test]
    fn what_a_record_rests_on_comes_back_whatever_the_instance_is_called() {
        for (instance, index) in [("a".to_owned(), 0), ("x".repeat(64), u64::MAX)] {
            let said = Said {
                instance,
                ..rests_on(index)
            };
            let seen = roaming(Timestamp::UNIX_EPOCH);
            let bytes = encode(&seen, true, &said);
            let kept = decode(&bytes, Signal::Roaming).unwrap();
            assert_eq!((kept.rests_on, kept.customer_lock), (said, true));
            assert_eq!(kept.observation, seen);
            // Cut anywhere before the observation it is as good as none.
            let fixed = bytes.len() - wire::observation(&seen).encode_to_vec().len();
            for cut in 0..fixed {
                assert_eq!(decode(&bytes[..cut], Signal::Roaming), None);
            }
        }
    }

    #[test]
    fn a_record_takes_less_than_ninety_bytes_beside_the_name_of_its_instance() {
        let now = "2026-11-21T12:00:00.123456Z".parse().unwrap();
        let bytes = encode(&roaming(now), false, &rests_on(1 << 40));
        assert!(bytes.len() - "north-mobile-a".len() < 90, "{}", bytes.len());
    }

    #[test]
    fn a_record_that_names_nothing_that_it_rests_on_is_as_good_as_none() {
        let observation = wire::observation(&roaming(Timestamp::UNIX_EPOCH)).encode_to_vec();
        for lock in [0, 1] {
            let before = [&[lock], observation.as_slice()].concat();
            assert_eq!(decode(&before, Signal::Roaming), None);
        }
    }

    #[test]
    fn a_record_without_the_byte_of_the_lock_is_as_good_as_none() {
        let roaming = Signal::Roaming;
        assert_eq!(decode(&[], roaming), None);
        // How a record began before there was one: the tag of its first field.
        assert_eq!(decode(&[0x0a, 0], roaming), None);
    }
}
