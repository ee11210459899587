//! How many changes go into one batch, and how long its message and its nonce are: the one rule for
//! who sends batches and who reads them.

/// The bytes of the nonce of a batch, or of a reply, that an adapter chooses at random: so that nobody
/// can try its digest against numbers.
pub const NONCE_BYTES: usize = 32;
/// The most changes of one batch.
pub const CHANGES_MAX: usize = 256;
/// The most bytes of one change that can be believed, its place in the batch included.
const CHANGE_BYTES_MAX: usize = 128;
/// The most bytes of what stands around the changes: the sequence number, the nonce, and the message.
const AROUND_BYTES_MAX: usize = 128;
/// The most bytes of a message with a full batch: whatever a broker's limit on messages, it reads so
/// much of an adapter.
pub const CHANGES_BYTES_MAX: usize = CHANGES_MAX * CHANGE_BYTES_MAX + AROUND_BYTES_MAX;

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::v1;

    /// An instant of the most bytes: a negative number has ten.
    fn long_ago() -> Option<prost_types::Timestamp> {
        Some(prost_types::Timestamp {
            seconds: i64::MIN,
            nanos: 999_999_999,
        })
    }

    fn longest(what: v1::observation::What) -> v1::Change {
        v1::Change {
            msisdn: "+447700900000000".to_owned(),
            signal: v1::Signal::SignallingAnomaly as i32,
            observation: Some(v1::Observation {
                what: Some(what),
                observed_at: long_ago(),
                source: v1::SourceClass::Virtual as i32,
            }),
            withdrawn: false,
        }
    }

    #[test]
    fn a_full_batch_of_the_longest_changes_fits_into_its_message() {
        use v1::observation::What;
        let forwarding = v1::Forwarding {
            condition: v1::ForwardingCondition::NotReachable as i32,
            target: v1::ForwardingTarget::AnotherNumber as i32,
        };
        for what in [
            What::Change(v1::ChangeObservation {
                after: long_ago(),
                before: long_ago(),
                monitored_since: long_ago(),
                kind: v1::SwapKind::NewLine as i32,
            }),
            What::Signalling(v1::SignallingObservation {
                after: long_ago(),
                before: long_ago(),
                monitored_since: long_ago(),
                kind: v1::AttackKind::LocationHijack as i32,
            }),
            // One for each condition.
            What::SomeForwarding(v1::ForwardingState {
                active: vec![forwarding; 4],
            }),
            What::Roaming(v1::RoamingState {
                roaming: true,
                visited_mcc: 999,
            }),
        ] {
            let changes = vec![longest(what); CHANGES_MAX];
            let batch = v1::ChangeBatch {
                sequence: u64::MAX,
                changes,
                nonce: vec![7; 32],
                journal_index: u64::MAX,
            };
            let message = v1::AdapterMessage {
                message: Some(v1::adapter_message::Message::Changes(
                    batch.encode_to_vec().into(),
                )),
            };
            assert!(message.encoded_len() <= CHANGES_BYTES_MAX);
        }
    }
}
