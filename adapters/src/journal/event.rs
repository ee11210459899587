//! What a record says, and how it is written.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// Bytes that are written in lower-case hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hex<const N: usize>(pub [u8; N]);

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0_u8; 64];
        let digits = b"0123456789abcdef";
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            let nibbles = [byte >> 4, byte & 15];
            for (to, nibble) in pair.iter_mut().zip(nibbles) {
                *to = digits.get(usize::from(nibble)).copied().unwrap_or(b'?');
            }
        }
        let text = text.get(..2 * N).unwrap_or_default();
        serializer.serialize_str(std::str::from_utf8(text).unwrap_or_default())
    }
}

/// Who asked what, for whom, why and under which clauses.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Asked<'a> {
    /// The broker's endpoint.
    pub broker: &'a str,
    /// The bank.
    pub bank: &'a str,
    /// For whom, if not for itself.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub on_behalf_of: &'a str,
    /// Why; absent if the broker gave none that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<&'a str>,
    /// The signals, by name.
    pub signals: &'a [&'a str],
    /// One clause for each signal asked, in the broker's order.
    pub clauses: &'a [&'a str],
    /// Keyed pseudonym of the number; zeros if it was none.
    pub subject: Hex<16>,
}

/// Whom a pushed change was about, and which signal; never the value.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Told {
    /// Keyed pseudonym of the number; zeros if it was none.
    pub subject: Hex<16>,
    /// The signal, by name.
    pub signal: &'static str,
    /// What was said before holds no more.
    #[serde(skip_serializing_if = "is_false")]
    pub withdrawn: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's signature of a condition"
)]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// What happened.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event<'a> {
    /// The adapter started.
    Start {
        /// Name and version.
        software: &'a str,
        /// Name of the instance.
        instance: &'a str,
    },
    /// The adapter answered.
    Reply {
        /// The question.
        #[serde(flatten)]
        asked: Asked<'a>,
        /// SHA-256(nonce ‖ body), as it stands in the broker's ledger.
        reply: Hex<32>,
    },
    /// The broker answered from its view.
    ServedFromView {
        /// The question.
        #[serde(flatten)]
        asked: Asked<'a>,
        /// The broker's log.
        origin: &'a str,
        /// The entry in it.
        entry: u64,
    },
    /// A batch of pushed changes was made.
    Changes {
        /// Its sequence number.
        sequence: u64,
        /// How many changes.
        changes: usize,
        /// SHA-256 of the batch as it is kept, its nonce included.
        batch: Hex<32>,
    },
    /// A batch was sent to a broker, without whoever had opted out by then.
    ChangesSent {
        /// The broker's endpoint.
        broker: &'a str,
        /// Its sequence number.
        sequence: u64,
        /// Whom it was about.
        told: &'a [Told],
        /// SHA-256 of exactly what was sent, as it stands in the broker's ledger.
        batch: Hex<32>,
    },
    /// The broker said that what was last sent of a batch is on the record.
    ChangesAccepted {
        /// The broker's endpoint.
        broker: &'a str,
        /// Its sequence number.
        sequence: u64,
    },
    /// A restriction was imposed or lifted.
    Restriction {
        /// `opted_out`, `swap_locked` or `kill_switch`.
        kind: &'a str,
        /// Whose, for the first two.
        #[serde(skip_serializing_if = "Option::is_none")]
        subject: Option<Hex<16>>,
        /// Which bank, for a kill switch; absent: all.
        #[serde(skip_serializing_if = "Option::is_none")]
        bank: Option<&'a str>,
        /// Which signal, for a kill switch; absent: all.
        #[serde(skip_serializing_if = "Option::is_none")]
        signal: Option<&'a str>,
        /// It ends.
        lifted: bool,
    },
    /// The head before this record, signed.
    Checkpoint {
        /// A C2SP signed note.
        note: &'a str,
    },
    /// The adapter stopped in good order.
    Stop {},
}

/// One line of a journal file.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    pub(super) index: u64,
    pub(super) at: Timestamp,
    #[serde(flatten)]
    pub(super) event: &'a Event<'a>,
    pub(super) prev: Hex<32>,
}
