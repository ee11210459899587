//! What every source's observation must be, whatever it was read from.

use accord_proto::{observation::Observation, signal::Signal, wire};
use jiff::Timestamp;

/// A broker believes it, and reads the same as was written.
pub fn believed(signal: Signal, said: &Observation, now: Timestamp) {
    let written = wire::observation(said);
    let read = wire::parse_observation(&written, signal, now);
    assert_eq!(read.as_ref(), Ok(said));
}
