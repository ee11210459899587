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

named_enum! {
    /// The kind of an attack by signalling (GSMA FS.11).
    pub enum AttackKind: v1::AttackKind, "kind of attack" {
        /// The network was told that the subscriber is elsewhere.
        LocationHijack = "location_hijack",
        /// Calls or messages were led past the subscriber.
        Interception = "interception",
        /// Somebody asked where the subscriber is, or who.
        Tracking = "tracking",
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

impl Forwarding {
    /// Whether calls may end with somebody else. A target that nobody can tell counts, since it may be
    /// another number.
    #[must_use]
    pub fn leads_elsewhere(&self) -> bool {
        self.target != ForwardingTarget::OwnVoicemail
    }
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

/// The attacks by signalling that passed the operator's firewall. What it blocked is no part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signalling {
    /// The interval of the newest attack; `None`: none since `monitored_since`.
    pub passed_in: Option<ChangedIn>,
    /// Its kind, where known.
    pub kind: Option<AttackKind>,
    /// The alarms have come without a gap since then. An attack may lie before it: a gap that came
    /// later makes nothing undone, but of the gap itself nothing is known.
    pub monitored_since: Timestamp,
}

impl Signalling {
    /// The same with one more attack that passed. The newest of several lies after the latest
    /// `after` and not later than the latest `before`; its kind is known where one of them certainly
    /// is the newest, or all are of one kind.
    #[must_use]
    pub fn with(self, passed_in: ChangedIn, kind: Option<AttackKind>) -> Self {
        let Some(known) = self.passed_in else {
            let passed_in = Some(passed_in);
            return Self {
                passed_in,
                kind,
                ..self
            };
        };
        let both = ChangedIn {
            after: known.after.max(passed_in.after),
            before: known.before.max(passed_in.before),
        };
        let kind = if known.before < passed_in.after {
            kind
        } else if passed_in.before < known.after {
            self.kind
        } else {
            kind.filter(|_| kind == self.kind)
        };
        Self {
            passed_in: Some(both),
            kind,
            ..self
        }
    }
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
    /// For `call_forwarding`, of a source that knows some conditions only: these are active, and of
    /// the others nothing is known. It can answer *yes* and never *no*.
    SomeForwarding(Vec<Forwarding>),
    /// For `roaming`.
    Roaming(Roaming),
    /// For `signalling_anomaly`.
    Signalling(Signalling),
}

impl Observed {
    /// Whether this can answer a signal.
    #[must_use]
    pub const fn suits(&self, signal: Signal) -> bool {
        match signal {
            Signal::SimSwap | Signal::DeviceSwap | Signal::NumberRecycling | Signal::Tenure => {
                matches!(self, Self::Change(_))
            }
            Signal::CallForwarding => {
                matches!(self, Self::Forwarding(_) | Self::SomeForwarding(_))
            }
            Signal::Roaming => matches!(self, Self::Roaming(_)),
            Signal::SignallingAnomaly => matches!(self, Self::Signalling(_)),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn passed(after: i64, before: i64, kind: AttackKind) -> (ChangedIn, Option<AttackKind>) {
        (ChangedIn::new(at(after), at(before)).unwrap(), Some(kind))
    }

    #[test]
    fn the_newest_of_several_attacks_lies_where_all_of_them_allow() {
        use AttackKind::{Interception, LocationHijack, Tracking};
        let watched = Signalling {
            passed_in: None,
            kind: None,
            monitored_since: at(0),
        };
        let of = |attacks: &[(ChangedIn, Option<AttackKind>)]| {
            let all = attacks.iter();
            let all = all.fold(watched, |seen, (within, kind)| seen.with(*within, *kind));
            let within = all.passed_in.unwrap();
            (
                within.after().as_second(),
                within.before().as_second(),
                all.kind,
            )
        };
        let (early, late) = (passed(10, 20, Tracking), passed(30, 30, LocationHijack));
        // In whichever order they come to be known.
        assert_eq!(of(&[early, late]), (30, 30, Some(LocationHijack)));
        assert_eq!(of(&[late, early]), (30, 30, Some(LocationHijack)));
        // Either may be the newest: it may lie as late as the later end of both.
        let (long, short) = (passed(10, 50, Tracking), passed(30, 40, Interception));
        assert_eq!(of(&[long, short]), (30, 50, None));
        assert_eq!(
            of(&[long, passed(30, 40, Tracking)]),
            (30, 50, Some(Tracking))
        );
        // Two at one instant.
        let other = passed(30, 30, Interception);
        assert_eq!(of(&[late, other]), (30, 30, None));
    }
}
