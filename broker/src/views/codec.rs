//! How an observation lies in the view: its wire form, which is small and checked when it is read.

use accord_proto::{observation::Observation, signal::Signal, v1, wire};
use jiff::Timestamp;
use prost::Message as _;

use crate::link::restrictions::NumberDigest;

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

pub(super) fn encode(observation: &Observation) -> Vec<u8> {
    wire::observation(observation).encode_to_vec()
}

pub(super) fn decode(bytes: &[u8], signal: Signal) -> Option<Observation> {
    let wire = v1::Observation::decode(bytes).ok()?;
    // It was checked against the clock when it came; only damage can make it fail now.
    wire::parse_observation(&wire, signal, Timestamp::MAX).ok()
}
