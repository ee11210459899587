//! What the bank is told, parsed and held against what it asked.

mod parse;

use std::fmt;

use accord_proto::{
    band::AgeBand,
    observation::{AttackKind, Forwarding, Roaming, SourceClass, SwapKind},
    reason::Reason,
    signal::{Question, Signal},
    v1,
};
use bytes::Bytes;
use jiff::Timestamp;

use crate::receipt::Receipt;
pub(crate) use parse::parse_answer;

/// An answer that was believed: it fits the question, and its receipt was checked.
#[derive(Clone)]
pub struct Answered {
    /// What the bank is told.
    pub answer: Answer,
    /// What proves that this access is on the record.
    pub receipt: Receipt,
    /// 32 bytes that only the bank has. The ledger's entry holds `SHA-256(nonce ‖ answer_bytes)`.
    pub nonce: [u8; 32],
    /// The exact bytes of the answer. Keep them with nonce and receipt if you may ever have to
    /// prove what you were told.
    pub answer_bytes: Bytes,
}

impl Answered {
    /// One outcome for each signal asked, in the order asked.
    #[must_use]
    pub fn signals(&self) -> &[SignalOutcome] {
        &self.answer.signals
    }

    /// What became of one signal; `None` where it was not asked.
    #[must_use]
    pub fn of(&self, signal: Signal) -> Option<&SignalOutcome> {
        let mut signals = self.answer.signals.iter();
        signals.find(|outcome| outcome.signal() == signal)
    }

    /// The value of one signal; `None` where it has none, for whatever reason: unknown is never *no*.
    #[must_use]
    pub fn value_of(&self, signal: Signal) -> Option<&Value> {
        self.of(signal).and_then(SignalOutcome::value)
    }
}

impl fmt::Debug for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answered")
            .field("answer", &self.answer)
            .field("receipt", &self.receipt)
            .field("nonce", &"[secret]")
            .finish_non_exhaustive()
    }
}

/// The answer to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When the broker answered.
    pub answered_at: Timestamp,
    /// The agreement in force then.
    pub agreement: String,
    /// Its version.
    pub agreement_version: u64,
    /// How the operator was found; `None` where that is not told.
    pub routing_basis: Option<RoutingBasis>,
    /// As of when: when the portability database was made, or the ENUM supplier answered. `None`
    /// where neither was looked at.
    pub routing_as_of: Option<Timestamp>,
    /// One for each signal asked, in the order asked.
    pub signals: Vec<SignalOutcome>,
    /// The id of the question.
    pub request_id: String,
}

/// How the number was routed to its operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoutingBasis {
    /// By ENUM (RFC 6116).
    Enum,
    /// It is listed as ported.
    Ported,
    /// By the longest number-range prefix.
    Prefix,
}

impl RoutingBasis {
    /// The word, for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enum => "enum",
            Self::Ported => "ported",
            Self::Prefix => "prefix",
        }
    }

    fn from_wire(number: i32) -> Option<Self> {
        match v1::RoutingBasis::try_from(number) {
            Ok(v1::RoutingBasis::Enum) => Some(Self::Enum),
            Ok(v1::RoutingBasis::Ported) => Some(Self::Ported),
            Ok(v1::RoutingBasis::Prefix) => Some(Self::Prefix),
            Ok(v1::RoutingBasis::Unspecified) | Err(_) => None,
        }
    }
}

/// What became of one signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalOutcome {
    /// What was asked.
    pub question: Question,
    /// The value, or why there is none.
    pub outcome: Outcome,
    /// The clause (one numbered permission of the agreement) that allowed or forbade it.
    pub clause: Option<String>,
    /// Until when the operator's source vouches for the value.
    pub observed_at: Option<Timestamp>,
    /// What kind of system it came from.
    pub source: Option<SourceClass>,
    /// The subscriber has asked for a lock against swaps.
    pub customer_lock: bool,
}

impl SignalOutcome {
    /// The signal asked.
    #[must_use]
    pub const fn signal(&self) -> Signal {
        self.question.signal()
    }

    /// The value, where there is one.
    #[must_use]
    pub const fn value(&self) -> Option<&Value> {
        match &self.outcome {
            Outcome::Value { value, .. } => Some(value),
            Outcome::Unanswered { .. } => None,
        }
    }
}

/// A value, or why there is none: there is no third.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered.
    #[non_exhaustive]
    Value {
        /// At the granularity that the clause allows.
        value: Value,
        /// The kind of a swap, where the clause permits it and the operator knows it.
        swap_kind: Option<SwapKind>,
        /// The kind of the newest attack by signalling, likewise.
        attack_kind: Option<AttackKind>,
    },
    /// Not answered.
    Unanswered {
        /// For programs.
        reason: Reason,
        /// For people; may be empty.
        detail: String,
    },
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// The age of the last change, from the younger edge of `lowest` to the older edge of
    /// `highest`; with `at_least`, no change was seen for as long as the source watched.
    Band {
        /// The youngest band that is possible.
        lowest: AgeBand,
        /// The oldest band that is possible.
        highest: AgeBand,
        /// Only the younger edge of `lowest` is known.
        at_least: bool,
    },
    /// The active forwardings, none or more.
    Forwarding(Vec<Forwarding>),
    /// The last change lies in `(after, before]`; without `before`, there was none since `after`.
    Interval {
        /// Not before this.
        after: Option<Timestamp>,
        /// Not after this.
        before: Option<Timestamp>,
    },
    /// Whether and where the subscriber roams.
    Roaming(Roaming),
    /// Yes or no to what was asked; of call forwarding, whether calls may end with somebody else.
    YesNo(bool),
}

/// Why what came back is not believed. No text repeats an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mistrust {
    /// A part that must be there is missing or malformed.
    #[error("`{0}` is missing or malformed")]
    Malformed(&'static str),
    /// The answer is to another question.
    #[error("the answer is to another question: `{0}` differs")]
    OtherQuestion(&'static str),
    /// The receipt comes from a log that is not ours.
    #[error("the receipt's origin `{found}` is not of the log `{expected}`")]
    Origin {
        /// As it came.
        found: String,
        /// As configured.
        expected: String,
    },
    /// A proof was asked for and does not hold.
    #[error("the receipt's proof does not hold: {0}")]
    Proof(String),
}
