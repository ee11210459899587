//! What an operator's source says, with its limits.

use jiff::Timestamp;

use crate::{named::named_enum, signal::Signal, v1};

named_enum! {
    /// What kind of system an observation came from.
    pub enum SourceClass: v1::SourceClass, "source class" {
        /// HLR, HSS or UDM.
        Network = "network",
        /// Billing or customer system.
        Billing = "billing",
        /// A periodic export.
        Export = "export",
        /// A stream of events.
        Events = "events",
        /// Another operator or aggregator.
        Upstream = "upstream",
        /// A virtual operator.
        Virtual = "virtual",
    }
}

named_enum! {
    /// The kind of a swap (rule R15).
    pub enum SwapKind: v1::SwapKind, "swap kind" {
        /// A new card for the same subscription.
        Replacement = "replacement",
        /// The number came from another operator.
        PortIn = "port_in",
        /// An eSIM profile was issued.
        Esim = "esim",
        /// The subscriber changed the number.
        NumberChange = "number_change",
        /// A new subscription.
        NewLine = "new_line",
    }
}

named_enum! {
    /// When calls are forwarded (3GPP TS 22.082).
    pub enum ForwardingCondition: v1::ForwardingCondition, "forwarding condition" {
        /// CFU.
        Unconditional = "unconditional",
        /// CFB.
        Busy = "busy",
        /// CFNRy.
        NoReply = "no_reply",
        /// CFNRc.
        NotReachable = "not_reachable",
    }
}

/// Where calls are forwarded to, as far as a bank may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ForwardingTarget {
    /// Any other number.
    AnotherNumber,
    /// The subscriber's own voicemail.
    OwnVoicemail,
    /// The operator can't tell.
    Unknown,
}

/// One active forwarding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Forwarding {
    /// When.
    pub condition: ForwardingCondition,
    /// Where to.
    pub target: ForwardingTarget,
}

/// The interval `(after, before]`, which holds the last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangedIn {
    after: Timestamp,
    before: Timestamp,
}

impl ChangedIn {
    /// An interval; `None` if it would end before it begins.
    #[must_use]
    pub fn new(after: Timestamp, before: Timestamp) -> Option<Self> {
        (after <= before).then_some(Self { after, before })
    }

    /// A change at a known instant.
    #[must_use]
    pub const fn at(instant: Timestamp) -> Self {
        Self {
            after: instant,
            before: instant,
        }
    }

    /// The change happened after this (or exactly then, where the interval is an instant).
    #[must_use]
    pub const fn after(&self) -> Timestamp {
        self.after
    }

    /// The change happened not later than this.
    #[must_use]
    pub const fn before(&self) -> Timestamp {
        self.before
    }
}

/// The last change of SIM, device or holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The interval of the last change; `None`: none since `monitored_since`.
    pub changed_in: Option<ChangedIn>,
    /// Watched without a gap since then; `None`: the source knows the number's whole life.
    pub monitored_since: Option<Timestamp>,
    /// The kind of a swap, where known.
    pub kind: Option<SwapKind>,
}

/// Whether the subscriber is in a visited network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roaming {
    /// Registered in a visited network.
    pub roaming: bool,
    /// Mobile country code of the visited network (ITU-T E.212).
    pub visited_mcc: Option<u16>,
}

/// What was observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observed {
    /// For `sim_swap`, `device_swap`, `number_recycling` and `tenure` (the last two: of holder).
    Change(Change),
    /// For `call_forwarding`: the active ones.
    Forwarding(Vec<Forwarding>),
    /// For `roaming`.
    Roaming(Roaming),
}

impl Observed {
    /// Whether this can answer a signal.
    #[must_use]
    pub const fn suits(&self, signal: Signal) -> bool {
        match signal {
            Signal::SimSwap | Signal::DeviceSwap | Signal::NumberRecycling | Signal::Tenure => {
                matches!(self, Self::Change(_))
            }
            Signal::CallForwarding => matches!(self, Self::Forwarding(_)),
            Signal::Roaming => matches!(self, Self::Roaming(_)),
        }
    }
}

/// What an operator's source says about one signal of one number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// What was observed.
    pub what: Observed,
    /// Until when the source vouches for it.
    pub observed_at: Timestamp,
    /// What kind of system it came from.
    pub source: SourceClass,
}
