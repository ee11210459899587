//! Answers in words, the same wherever a person reads one.

use accord_proto::{
    band::AgeBand,
    observation::{Forwarding, ForwardingCondition, ForwardingTarget, Roaming, SwapKind},
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
        Outcome::Value { value, swap_kind } => {
            let mut words = value_words(&outcome.question, value, place);
            if let Some(kind) = swap_kind {
                words = format!("{words} ({})", swap_kind_words(*kind));
            }
            words
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
        Value::Forwarding(active) => active
            .iter()
            .any(|forwarding| forwarding.target != ForwardingTarget::OwnVoicemail),
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
        Value::YesNo(yes) if place == Place::Cell => if *yes { "yes" } else { "no" }.to_owned(),
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
        (Question::CallForwarding, true) => "calls are forwarded".to_owned(),
        (Question::CallForwarding, false) => "calls are not forwarded".to_owned(),
        (Question::Roaming, true) => "roaming".to_owned(),
        (Question::Roaming, false) => "not roaming".to_owned(),
        (Question::NumberRecycling { since }, true) => format!("another holder since {since}"),
        (Question::NumberRecycling { since }, false) | (Question::Tenure { since }, true) => {
            format!("same holder since {since}")
        }
        (Question::Tenure { since }, false) => format!("not the same holder since {since}"),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(question: Question, value: Value) -> SignalOutcome {
        SignalOutcome {
            question,
            outcome: Outcome::Value {
                value,
                swap_kind: None,
            },
            clause: Some("3.1".to_owned()),
            observed_at: None,
            source: None,
            customer_lock: false,
        }
    }

    fn swap(threshold_hours: Option<u32>, value: Value) -> SignalOutcome {
        outcome(Question::SimSwap { threshold_hours }, value)
    }

    fn band(lowest: i64, highest: i64, at_least: bool) -> Value {
        Value::Band {
            lowest: AgeBand::of(SignedDuration::from_hours(lowest)),
            highest: AgeBand::of(SignedDuration::from_hours(highest)),
            at_least,
        }
    }

    fn assert_words(outcome: &SignalOutcome, cell: &str, line: &str) {
        assert_eq!(outcome_words(outcome, Place::Cell), cell);
        assert_eq!(outcome_words(outcome, Place::Line), line);
    }

    #[test]
    fn each_kind_of_age_has_its_words() {
        let years_9 = 9 * 365 * 24;
        let since = Value::Interval {
            after: "2026-11-01T00:00:00Z".parse().ok(),
            before: None,
        };
        let told = "no change since 2026-11-01 00:00:00Z";
        for (value, cell, line) in [
            (band(1, 1, false), "0–4 h", "0–4 h ago"),
            (
                band(1, 13, false),
                "0–4 h to 12–24 h",
                "0–4 h to 12–24 h ago",
            ),
            (band(years_9, years_9, false), "> 3 years", "> 3 years ago"),
            (band(24 * 400, years_9, true), "> 1 year", "> 1 year"),
            (since, told, told),
        ] {
            assert_words(&swap(None, value), cell, line);
        }
        let no = swap(Some(72), Value::YesNo(false));
        assert_words(&no, "no", "no change within 72 h");
        let yes = swap(None, Value::YesNo(true));
        assert_words(&yes, "yes", "changed within the clause's window");
    }

    #[test]
    fn each_kind_of_state_has_its_words() {
        let none = outcome(Question::CallForwarding, Value::Forwarding(vec![]));
        assert_words(&none, "none", "none");
        let always = Forwarding {
            condition: ForwardingCondition::Unconditional,
            target: ForwardingTarget::AnotherNumber,
        };
        let words = "always, to another number";
        let always = outcome(Question::CallForwarding, Value::Forwarding(vec![always]));
        assert_words(&always, words, words);
        let abroad = Value::Roaming(Roaming {
            roaming: true,
            visited_mcc: Some(61),
        });
        let abroad = outcome(Question::Roaming, abroad);
        let line = "roaming, mobile country code 061";
        assert_words(&abroad, "yes, country code 061", line);
        let since = "2024-01-31".parse().unwrap();
        let recycled = outcome(Question::NumberRecycling { since }, Value::YesNo(true));
        assert_words(&recycled, "yes", "another holder since 2024-01-31");
    }

    #[test]
    fn a_reason_says_whether_somebody_decided_so() {
        assert_eq!(
            unanswered_words(Reason::Timeout, ""),
            "unknown: timeout (the operator did not answer in time)"
        );
        assert_eq!(
            unanswered_words(Reason::NotAuthorised, "clause 4.2 allows roaming only"),
            "refused: not_authorised (clause 4.2 allows roaming only)"
        );
    }

    #[test]
    fn a_young_change_alarms_and_an_old_one_does_not() {
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let date = "2024-01-31".parse().unwrap();
        let tenure = Question::Tenure { since: date };
        let unanswered = SignalOutcome {
            outcome: Outcome::Unanswered {
                reason: Reason::Timeout,
                detail: String::new(),
            },
            ..swap(None, Value::YesNo(true))
        };
        for (outcome, expected) in [
            (swap(Some(72), Value::YesNo(true)), Mood::Alarm),
            (swap(Some(72), Value::YesNo(false)), Mood::Calm),
            (swap(None, band(71, 71, false)), Mood::Alarm),
            (swap(None, band(73, 73, false)), Mood::Calm),
            (swap(None, band(1, 1, true)), Mood::Calm),
            (outcome(tenure, Value::YesNo(true)), Mood::Calm),
            (outcome(tenure, Value::YesNo(false)), Mood::Alarm),
            (unanswered, Mood::Unknown),
        ] {
            assert_eq!(mood(&outcome, now), expected, "{outcome:?}");
        }
    }

    #[test]
    fn an_age_is_told_in_its_own_unit() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for (seconds, words) in [
            (-3, "now"),
            (5, "5 s ago"),
            (600, "10 min ago"),
            (7_300, "2 h ago"),
            (864_000, "10 days ago"),
        ] {
            let at = now - SignedDuration::from_secs(seconds);
            assert_eq!(age_words(at, now), words);
        }
    }
}
