//! The test numbers, as data: `docs/test-numbers.md`, sandbox and tests print them from here.

use accord_proto::{
    msisdn::{Msisdn, MsisdnError},
    observation::{
        AttackKind::{self, LocationHijack, Tracking},
        Forwarding,
        ForwardingCondition::{Busy, NoReply, NotReachable, Unconditional},
        ForwardingTarget::{AnotherNumber, OwnVoicemail, Unknown},
        SwapKind::{self, Esim, NewLine, NumberChange, PortIn, Replacement},
    },
    reason::Reason,
};

/// One test number of a virtual operator.
#[derive(Clone, Copy, Debug)]
pub struct TestNumber {
    /// The last three digits.
    pub digits: u16,
    /// What happened to this subscriber, in words.
    pub story: &'static str,
    /// The same as data.
    pub life: Life,
}

impl TestNumber {
    /// The whole number under an operator's prefix, such as `+447700900`.
    ///
    /// # Errors
    /// If the prefix and three digits make no number.
    pub fn msisdn(&self, prefix: &str) -> Result<Msisdn, MsisdnError> {
        Msisdn::parse(&format!("{prefix}{:03}", self.digits))
    }
}

/// What a virtual operator knows about a subscriber. All times are seconds before now.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    /// The last change of SIM.
    pub sim: Known,
    /// The last change of device.
    pub device: Known,
    /// The last change of holder.
    pub holder: Known,
    /// The active forwardings; `None`: the source never knows.
    pub forwarding: Option<&'static [Forwarding]>,
    /// Where the subscriber is.
    pub place: Place,
    /// The newest attack by signalling that passed the firewall: between these two, the older one
    /// first, and its kind.
    pub attacked: Option<(i64, i64, AttackKind)>,
    /// Since when the firewall's alarms have come without a gap.
    pub firewall_watched_s: i64,
    /// How old the observations are; negative: from the future.
    pub observed_ago_s: i64,
    /// The subscriber has asked for a lock against swaps.
    pub locked: bool,
    /// How the source behaves when asked.
    pub manner: Manner,
}

/// What is known about a last change.
#[derive(Clone, Copy, Debug)]
pub enum Known {
    /// It happened then; the source knows the whole life of the number.
    At(i64, Option<SwapKind>),
    /// It lies between the two, the older one first.
    Between(i64, i64, Option<SwapKind>),
    /// None since the source began to watch.
    NoneSince(i64),
    /// The sources of the operator disagree.
    Contradicted,
}

/// Where a subscriber is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the home network.
    Home,
    /// In a network of the country where the other virtual operator is at home.
    Abroad,
    /// The source never knows.
    NotKnown,
}

/// How the source behaves when asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It answers at once.
    Prompt,
    /// It answers after so many milliseconds.
    Slow(u64),
    /// It answers after every deadline.
    Mute,
    /// It has this reason for every signal.
    Refuses(Reason),
}

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

const VOICEMAIL: &[Forwarding] = &[to_voicemail(Busy), to_voicemail(NoReply)];
const DIVERTED: &[Forwarding] = &[to_another(Unconditional)];
const UNREACHABLE: &[Forwarding] = &[Forwarding {
    condition: NotReachable,
    target: Unknown,
}];
const EVERYTHING: &[Forwarding] = &[
    to_another(Unconditional),
    to_another(Busy),
    to_voicemail(NoReply),
    to_another(NotReachable),
];

const fn to_voicemail(condition: accord_proto::observation::ForwardingCondition) -> Forwarding {
    Forwarding {
        condition,
        target: OwnVoicemail,
    }
}

const fn to_another(condition: accord_proto::observation::ForwardingCondition) -> Forwarding {
    Forwarding {
        condition,
        target: AnotherNumber,
    }
}

/// A line that its holder took four years ago, and nothing since.
const QUIET: Life = new_line(4 * YEAR);

const fn new_line(ago_s: i64) -> Life {
    Life {
        sim: Known::At(ago_s, Some(NewLine)),
        device: Known::At(ago_s, None),
        holder: Known::At(ago_s, None),
        forwarding: Some(&[]),
        place: Place::Home,
        attacked: None,
        firewall_watched_s: YEAR,
        observed_ago_s: 0,
        locked: false,
        manner: Manner::Prompt,
    }
}

const fn sim_swapped(ago_s: i64, kind: SwapKind) -> Life {
    Life {
        sim: Known::At(ago_s, Some(kind)),
        ..QUIET
    }
}

const fn behaves(manner: Manner) -> Life {
    Life { manner, ..QUIET }
}

const fn row(digits: u16, story: &'static str, life: Life) -> TestNumber {
    TestNumber {
        digits,
        story,
        life,
    }
}

/// Every test number, in the order of its digits. Every other number of the range is a plausible
/// quiet subscriber, made from its digits by [`quiet`].
#[rustfmt::skip]
pub const TEST_NUMBERS: &[TestNumber] = &[
    row(0, "quiet for 4 years", QUIET),
    row(1, "SIM replaced 2 hours ago", sim_swapped(2 * HOUR, Replacement)),
    row(2, "moved to an eSIM 30 hours ago", sim_swapped(30 * HOUR, Esim)),
    row(3, "ported in 90 days ago", sim_swapped(90 * DAY, PortIn)),
    row(4, "calls always forwarded to another number; SIM unchanged for the 400 days watched",
        Life { sim: Known::NoneSince(400 * DAY), forwarding: Some(DIVERTED), ..QUIET }),
    row(5, "calls forwarded to own voicemail on busy and no reply",
        Life { forwarding: Some(VOICEMAIL), ..QUIET }),
    row(6, "roaming abroad", Life { place: Place::Abroad, ..QUIET }),
    row(7, "recycled: a new holder since 40 days", new_line(40 * DAY)),
    row(8, "device changed 5 hours ago",
        Life { device: Known::At(5 * HOUR, None), ..QUIET }),
    row(9, "SIM replaced and device changed 1 hour ago",
        Life { device: Known::At(HOUR, None), ..sim_swapped(HOUR, Replacement) }),
    row(10, "quiet, but the source takes 600 ms", behaves(Manner::Slow(600))),
    row(11, "the source never answers in time", behaves(Manner::Mute)),
    row(12, "the source is down", behaves(Manner::Refuses(Reason::SourceDown))),
    row(13, "the subscriber has opted out", behaves(Manner::Refuses(Reason::OptedOut))),
    row(14, "quiet, and the subscriber has locked the SIM against swaps",
        Life { locked: true, ..QUIET }),
    row(15, "no such subscriber", behaves(Manner::Refuses(Reason::UnknownNumber))),
    row(16, "ported out to another operator", behaves(Manner::Refuses(Reason::NotOurs))),
    row(17, "SIM and device changed 60 to 80 hours ago: undecided for 72 hours", Life {
        sim: Known::Between(80 * HOUR, 60 * HOUR, None),
        device: Known::Between(80 * HOUR, 60 * HOUR, None),
        ..QUIET
    }),
    row(18, "watched for three days only, unchanged since", Life {
        sim: Known::NoneSince(3 * DAY),
        device: Known::NoneSince(3 * DAY),
        holder: Known::NoneSince(3 * DAY),
        firewall_watched_s: 3 * DAY,
        ..QUIET
    }),
    row(19, "quiet, but observed 45 days ago: stale",
        Life { observed_ago_s: 45 * DAY, ..QUIET }),
    row(20, "the operator's sources disagree on SIM and holder",
        Life { sim: Known::Contradicted, holder: Known::Contradicted, ..QUIET }),
    row(21, "the source is overloaded", behaves(Manner::Refuses(Reason::Overloaded))),
    row(22, "quiet; this source never knows forwarding or roaming",
        Life { forwarding: None, place: Place::NotKnown, ..QUIET }),
    row(23, "the holder took the line 2 years ago", new_line(2 * YEAR)),
    row(24, "recycled yesterday, with a new SIM", new_line(DAY)),
    row(25, "every kind of forwarding at once",
        Life { forwarding: Some(EVERYTHING), ..QUIET }),
    row(26, "calls forwarded while not reachable, nobody knows where to",
        Life { forwarding: Some(UNREACHABLE), ..QUIET }),
    row(27, "the subscriber took this number instead of an old one 10 days ago",
        sim_swapped(10 * DAY, NumberChange)),
    row(28, "SIM replaced between two nightly exports, observed 12 hours ago", Life {
        sim: Known::Between(36 * HOUR, 12 * HOUR, None),
        observed_ago_s: 12 * HOUR,
        ..QUIET
    }),
    row(29, "under attack: SIM and device changed 20 minutes ago, calls diverted, roaming, and an \
             attack passed the signalling firewall", Life {
        device: Known::At(20 * MINUTE, None),
        forwarding: Some(DIVERTED),
        place: Place::Abroad,
        attacked: Some((20 * MINUTE, 20 * MINUTE, LocationHijack)),
        ..sim_swapped(20 * MINUTE, Replacement)
    }),
    row(30, "SIM replaced 71 hours ago", sim_swapped(71 * HOUR, Replacement)),
    row(31, "SIM replaced 73 hours ago", sim_swapped(73 * HOUR, Replacement)),
    row(32, "the source's clock is an hour ahead: not believed",
        Life { observed_ago_s: -HOUR, ..QUIET }),
    row(33, "locked, and yet the SIM was replaced 3 hours ago",
        Life { locked: true, ..sim_swapped(3 * HOUR, Replacement) }),
    row(34, "suspended by the operator", behaves(Manner::Refuses(Reason::Suspended))),
    row(35, "quiet, but a false update of location passed the signalling firewall 10 minutes ago",
        Life { attacked: Some((10 * MINUTE, 10 * MINUTE, LocationHijack)), ..QUIET }),
    row(36, "tracked through the signalling firewall, 40 to 20 minutes ago",
        Life { attacked: Some((40 * MINUTE, 20 * MINUTE, Tracking)), ..QUIET }),
    row(37, "quiet, but the signalling firewall has been heard for 5 minutes only",
        Life { firewall_watched_s: 5 * MINUTE, ..QUIET }),
];

/// A plausible subscriber without a story: held for one to eight years, SIM at least 200 days old,
/// device at least 100, voicemail for every other one.
#[must_use]
pub fn quiet(digits: u16) -> Life {
    let spread = |factor: i64, days: i64| (i64::from(digits) * factor % days) * DAY;
    let holder = 365 * DAY + spread(37, 2_555);
    let sim = holder.min(200 * DAY + spread(101, 1_500));
    let device = holder.min(100 * DAY + spread(53, 900));
    let kind = if sim == holder { NewLine } else { Replacement };
    Life {
        sim: Known::At(sim, Some(kind)),
        device: Known::At(device, None),
        holder: Known::At(holder, None),
        forwarding: Some(if digits.is_multiple_of(2) {
            VOICEMAIL
        } else {
            &[]
        }),
        ..QUIET
    }
}
