//! Answers in words, the same wherever a person reads one.

use accord_proto::{
    band::AgeBand,
    observation::{
        AttackKind, Forwarding, ForwardingCondition, ForwardingTarget, Roaming, SwapKind,
    },
    reason::{Fault, Reason},
    signal::{Question, Signal},
};
use jiff::{SignedDuration, Timestamp};

use crate::answer::{Outcome, SignalOutcome, Value};

/// Where the words will stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a column whose heading says what was asked: `no`.
    Cell,
    /// On its own: `no change within 72 h`.
    Line,
}

/// How an outcome is to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// A reason for care: the number may not be in the customer's hands.
    Alarm,
    /// Nothing suspicious.
    Calm,
    /// Not answered, since it is not known.
    Unknown,
    /// Not answered, since it may not be.
    Withheld,
}

/// Intervals shorter than this are told as an instant.
const INSTANT_S_MAX: i64 = 60;
/// A change younger than this is a reason for care: the SIM swap frauds known happen within days.
const RECENT_HOURS: i64 = 72;

/// An outcome in words.
#[must_use]
pub fn outcome_words(outcome: &SignalOutcome, place: Place) -> String {
    let mut words = match &outcome.outcome {
        Outcome::Value {
            value,
            swap_kind,
            attack_kind,
        } => {
            let words = value_words(&outcome.question, value, place);
            let attack = attack_kind.map(attack_kind_words);
            match swap_kind.map(swap_kind_words).or(attack) {
                Some(kind) => format!("{words} ({kind})"),
                None => words,
            }
        }
        Outcome::Unanswered { reason, detail } => unanswered_words(*reason, detail),
    };
    if outcome.customer_lock && place == Place::Line {
        words.push_str("; locked against swaps");
    }
    words
}

/// Why there is no value: `refused` where somebody decided so, else `unknown`.
#[must_use]
pub fn unanswered_words(reason: Reason, detail: &str) -> String {
    let consequence = reason.consequence();
    let verb = match consequence.fault {
        Fault::Agreement | Fault::Bank | Fault::Subscriber => "refused",
        Fault::Broker | Fault::Nobody | Fault::Operator => "unknown",
    };
    let why = if detail.is_empty() {
        consequence.meaning
    } else {
        detail
    };
    format!("{verb}: {reason} ({why})")
}

/// How an outcome is to be seen, for its colour.
#[must_use]
pub fn mood(outcome: &SignalOutcome, now: Timestamp) -> Mood {
    let value = match &outcome.outcome {
        Outcome::Value { value, .. } => value,
        Outcome::Unanswered { reason, .. } => {
            return match reason.consequence().fault {
                Fault::Agreement | Fault::Bank | Fault::Subscriber => Mood::Withheld,
                Fault::Broker | Fault::Nobody | Fault::Operator => Mood::Unknown,
            };
        }
    };
    let alarm = match value {
        Value::YesNo(yes) => *yes != (outcome.signal() == Signal::Tenure),
        Value::Band {
            lowest, at_least, ..
        } => {
            let recent = SignedDuration::from_hours(RECENT_HOURS);
            !at_least && *lowest < AgeBand::of(recent)
        }
        Value::Interval { before, .. } => before.is_some_and(|before| {
            now.duration_since(before) < SignedDuration::from_hours(RECENT_HOURS)
        }),
        Value::Forwarding(active) => active.iter().any(Forwarding::leads_elsewhere),
        Value::Roaming(roaming) => roaming.roaming,
    };
    if alarm { Mood::Alarm } else { Mood::Calm }
}

/// What was asked, as a heading: `device swap ≤ 72 h`.
#[must_use]
pub fn question_words(question: &Question) -> String {
    match question {
        Question::SimSwap { threshold_hours } => swap_heading("SIM swap", *threshold_hours),
        Question::DeviceSwap { threshold_hours } => swap_heading("device swap", *threshold_hours),
        Question::CallForwarding => "call forwarding".to_owned(),
        Question::Roaming => "roaming".to_owned(),
        Question::NumberRecycling { since } => format!("recycled since {since}"),
        Question::Tenure { since } => format!("same holder since {since}"),
        Question::SignallingAnomaly { since } => {
            format!("signalling attack since {}", minute_words(*since))
        }
    }
}

fn swap_heading(what: &str, threshold_hours: Option<u32>) -> String {
    threshold_hours.map_or_else(|| what.to_owned(), |hours| format!("{what} ≤ {hours} h"))
}

/// How long ago something was: `4 s ago`, `3 h ago`, `12 days ago`.
#[must_use]
pub fn age_words(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs();
    match seconds {
        ..=0 => "now".to_owned(),
        1..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        172_800.. => format!("{} days ago", seconds / 86_400),
    }
}

fn value_words(question: &Question, value: &Value, place: Place) -> String {
    match value {
        Value::YesNo(yes) if place == Place::Cell => yes_no_cell(question, *yes).to_owned(),
        Value::YesNo(yes) => yes_no_words(question, *yes),
        Value::Band {
            lowest,
            highest,
            at_least,
        } => band_words(*lowest, *highest, *at_least, place),
        Value::Interval { after, before } => interval_words(*after, *before),
        Value::Forwarding(active) => forwarding_words(active),
        Value::Roaming(roaming) => roaming_words(*roaming, place),
    }
}

fn yes_no_cell(question: &Question, yes: bool) -> &'static str {
    // Below "call forwarding" a "no" would read as none at all; own voicemail is a *no* too.
    let forwarding = question.signal() == Signal::CallForwarding;
    match (forwarding, yes) {
        (true, true) => "maybe to others",
        (true, false) => "not to others",
        (false, true) => "yes",
        (false, false) => "no",
    }
}

fn yes_no_words(question: &Question, yes: bool) -> String {
    let window = |hours: Option<u32>| {
        hours.map_or_else(
            || "the clause's window".to_owned(),
            |hours| format!("{hours} h"),
        )
    };
    match (question, yes) {
        (
            Question::SimSwap { threshold_hours } | Question::DeviceSwap { threshold_hours },
            true,
        ) => format!("changed within {}", window(*threshold_hours)),
        (
            Question::SimSwap { threshold_hours } | Question::DeviceSwap { threshold_hours },
            false,
        ) => format!("no change within {}", window(*threshold_hours)),
        (Question::CallForwarding, true) => "calls may go to somebody else".to_owned(),
        (Question::CallForwarding, false) => "calls go to nobody else".to_owned(),
        (Question::Roaming, true) => "roaming".to_owned(),
        (Question::Roaming, false) => "not roaming".to_owned(),
        (Question::NumberRecycling { since }, true) => format!("another holder since {since}"),
        (Question::NumberRecycling { since }, false) | (Question::Tenure { since }, true) => {
            format!("same holder since {since}")
        }
        (Question::Tenure { since }, false) => format!("not the same holder since {since}"),
        (Question::SignallingAnomaly { since }, yes) => {
            let what = if yes { "an" } else { "no" };
            let since = minute_words(*since);
            format!("{what} attack passed the signalling firewall since {since}")
        }
    }
}

fn band_words(lowest: AgeBand, highest: AgeBand, at_least: bool, place: Place) -> String {
    let oldest = AgeBand::OLDEST;
    let ago = if place == Place::Line { " ago" } else { "" };
    if at_least {
        // No change was seen for as long as the source watched.
        format!("> {}", lowest.younger_edge())
    } else if lowest == highest && lowest == oldest {
        format!("> {}{ago}", lowest.younger_edge())
    } else if lowest == highest {
        format!("{}{ago}", lowest.words())
    } else {
        format!("{} to {}{ago}", lowest.words(), highest.words())
    }
}

fn interval_words(after: Option<Timestamp>, before: Option<Timestamp>) -> String {
    match (after, before) {
        (Some(after), Some(before)) if before.duration_since(after).as_secs() < INSTANT_S_MAX => {
            format!("changed at {}", instant_words(before))
        }
        (Some(after), Some(before)) => format!(
            "changed between {} and {}",
            instant_words(after),
            instant_words(before)
        ),
        (None, Some(before)) => format!("changed before {}", instant_words(before)),
        (Some(after), None) => format!("no change since {}", instant_words(after)),
        (None, None) => "no change known".to_owned(),
    }
}

/// `2026-11-21 12:00:05Z`.
#[must_use]
pub fn instant_words(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// `2026-11-21 12:03Z`: moments are asked by the minute.
fn minute_words(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%MZ").to_string()
}

fn forwarding_words(active: &[Forwarding]) -> String {
    if active.is_empty() {
        return "none".to_owned();
    }
    let one = |forwarding: &Forwarding| {
        let when = match forwarding.condition {
            ForwardingCondition::Unconditional => "always",
            ForwardingCondition::Busy => "when busy",
            ForwardingCondition::NoReply => "on no reply",
            ForwardingCondition::NotReachable => "when not reachable",
        };
        let to = match forwarding.target {
            ForwardingTarget::AnotherNumber => "to another number",
            ForwardingTarget::OwnVoicemail => "to own voicemail",
            ForwardingTarget::Unknown => "the operator can't tell where",
        };
        format!("{when}, {to}")
    };
    active.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn roaming_words(roaming: Roaming, place: Place) -> String {
    match (roaming.roaming, roaming.visited_mcc) {
        (false, _) if place == Place::Cell => "no".to_owned(),
        (false, _) => "not roaming".to_owned(),
        (true, None) if place == Place::Cell => "yes".to_owned(),
        (true, None) => "roaming".to_owned(),
        (true, Some(mcc)) if place == Place::Cell => format!("yes, country code {mcc:03}"),
        (true, Some(mcc)) => format!("roaming, mobile country code {mcc:03}"),
    }
}

fn swap_kind_words(kind: SwapKind) -> &'static str {
    match kind {
        SwapKind::Replacement => "a new card",
        SwapKind::PortIn => "ported in",
        SwapKind::Esim => "eSIM",
        SwapKind::NumberChange => "number change",
        SwapKind::NewLine => "a new line",
    }
}

fn attack_kind_words(kind: AttackKind) -> &'static str {
    match kind {
        AttackKind::LocationHijack => "location hijacked",
        AttackKind::Interception => "intercepted",
        AttackKind::Tracking => "tracked",
    }
}

#[cfg(test)]
mod tests;
