//! The records of the journal, all of one length, so that damage can be told from an unfinished
//! write.
//!
//! ```text
//!   0      1       2..4  4..48          48..64    64..72  72..80     80..88  88..96  96..100
//!   kind   flags   0     sealed number  identity  since   last_same  after   before  CRC-32C
//! ```
//! Integers are little-endian. A sweep has `last_same` only. The CRC covers what stands before it.

use super::entry::Entry;
use super::keys::{SEALED_LEN, Sealed};

/// Length of each record in bytes.
pub(super) const FRAME_LEN: usize = 100;

const BODY_LEN: usize = FRAME_LEN - 4;
const KIND_STATE: u8 = 1;
const KIND_SWEEP: u8 = 2;
const FLAG_MISSING: u8 = 1;
const FLAG_CHANGED: u8 = 2;
const FLAG_DISTRUSTED: u8 = 4;

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// All about one number.
    State { sealed: Sealed, entry: Entry },
    /// Each number that was not missing was still the same at `at`.
    Sweep { at: i64 },
}

impl Frame {
    pub(super) fn encode(&self, to: &mut Vec<u8>) {
        let start = to.len();
        match self {
            Self::State { sealed, entry } => {
                let mut flags = 0;
                for (set, flag) in [
                    (entry.missing, FLAG_MISSING),
                    (entry.changed.is_some(), FLAG_CHANGED),
                    (entry.distrusted, FLAG_DISTRUSTED),
                ] {
                    flags |= if set { flag } else { 0 };
                }
                let (after, before) = entry.changed.unwrap_or_default();
                to.extend([KIND_STATE, flags, 0, 0]);
                to.extend(sealed);
                to.extend(entry.identity);
                for time in [entry.since, entry.last_same, after, before] {
                    to.extend(time.to_le_bytes());
                }
            }
            Self::Sweep { at } => {
                to.extend([KIND_SWEEP, 0, 0, 0]);
                to.extend([0; SEALED_LEN + 16 + 8]);
                to.extend(at.to_le_bytes());
                to.extend([0; 16]);
            }
        }
        let crc = crc32c::crc32c(to.get(start..).unwrap_or_default());
        to.extend(crc.to_le_bytes());
    }

    /// `None`: unfinished or damaged.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, crc) = bytes.split_at_checked(BODY_LEN)?;
        if crc32c::crc32c(body) != u32::from_le_bytes(crc.try_into().ok()?) {
            return None;
        }
        let (head, rest) = body.split_first_chunk::<4>()?;
        let (sealed, rest) = rest.split_first_chunk::<SEALED_LEN>()?;
        let (identity, rest) = rest.split_first_chunk::<16>()?;
        let (since, rest) = rest.split_first_chunk::<8>()?;
        let (last_same, rest) = rest.split_first_chunk::<8>()?;
        let (after, rest) = rest.split_first_chunk::<8>()?;
        let (before, _) = rest.split_first_chunk::<8>()?;
        let [kind, flags, ..] = *head;
        let last_same = i64::from_le_bytes(*last_same);
        match kind {
            KIND_STATE => {
                let changed = (i64::from_le_bytes(*after), i64::from_le_bytes(*before));
                let entry = Entry {
                    identity: *identity,
                    since: i64::from_le_bytes(*since),
                    last_same,
                    received: last_same,
                    changed: (flags & FLAG_CHANGED != 0).then_some(changed),
                    missing: flags & FLAG_MISSING != 0,
                    distrusted: flags & FLAG_DISTRUSTED != 0,
                };
                let sealed = *sealed;
                Some(Self::State { sealed, entry })
            }
            KIND_SWEEP => Some(Self::Sweep { at: last_same }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was() {
        let mut entry = Entry::first([7; 16], -5, -5);
        entry.changed = Some((-9, 12));
        entry.missing = true;
        for frame in [
            Frame::State {
                sealed: [3; SEALED_LEN],
                entry,
            },
            Frame::Sweep { at: 123 },
        ] {
            let mut bytes = Vec::new();
            frame.encode(&mut bytes);
            assert_eq!(bytes.len(), FRAME_LEN);
            assert!(Frame::decode(&bytes).is_some());
            for index in 0..FRAME_LEN {
                bytes[index] ^= 1;
                assert_eq!(Frame::decode(&bytes), None, "byte {index}");
                bytes[index] ^= 1;
            }
        }
    }
}
