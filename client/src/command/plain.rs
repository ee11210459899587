//! Values as plain text for programs: what a cell of CSV holds.

use accord_proto::{
    band::AgeBand,
    observation::{Forwarding, ForwardingTarget},
};
use jiff::Timestamp;

use crate::Value;

/// The younger edge of each age band in hours, by its number on the wire less one.
const YOUNGER_HOURS: [u32; 17] = [
    0, 4, 12, 24, 48, 72, 96, 120, 168, 336, 720, 1_440, 2_160, 4_320, 8_760, 17_520, 26_280,
];

/// The value, without spaces.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::YesNo(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::Band {
            lowest,
            highest,
            at_least,
        } => {
            let from = younger_hours(*lowest, 0).unwrap_or(0);
            let to = younger_hours(*highest, 1).filter(|_| !at_least);
            to.map_or_else(|| format!("{from}h.."), |to| format!("{from}h..{to}h"))
        }
        Value::Interval { after, before } => {
            let instant =
                |at: &Option<Timestamp>| at.map_or_else(|| "..".to_owned(), |at| at.to_string());
            format!("{}/{}", instant(after), instant(before))
        }
        Value::Forwarding(active) if active.is_empty() => "none".to_owned(),
        Value::Forwarding(active) => {
            let active: Vec<String> = active.iter().map(forwarding).collect();
            active.join(";")
        }
        Value::Roaming(roaming) => match (roaming.roaming, roaming.visited_mcc) {
            (false, _) => "home".to_owned(),
            (true, None) => "abroad".to_owned(),
            (true, Some(mcc)) => format!("abroad:{mcc:03}"),
        },
    }
}

/// The younger edge of a band or, one further on, its older edge, which the last band has not.
fn younger_hours(band: AgeBand, further: usize) -> Option<u32> {
    let number = usize::try_from(band.to_wire() as i32).ok()?;
    let at = number.checked_sub(1)? + further;
    YOUNGER_HOURS.get(at).copied()
}

fn forwarding(forwarding: &Forwarding) -> String {
    let target = match forwarding.target {
        ForwardingTarget::AnotherNumber => "another_number",
        ForwardingTarget::OwnVoicemail => "own_voicemail",
        ForwardingTarget::Unknown => "unknown",
    };
    format!("{}:{target}", forwarding.condition.name())
}

#[cfg(test)]
mod tests {
    use accord_proto::observation::{ForwardingCondition, Roaming};
    use jiff::SignedDuration;

    use super::*;

    fn band(hours: u32) -> AgeBand {
        AgeBand::of(SignedDuration::from_hours(i64::from(hours)))
    }

    #[test]
    fn the_edges_are_those_of_the_bands() {
        for (number, hours) in (1..).zip(YOUNGER_HOURS) {
            assert_eq!(band(hours).to_wire() as i32, number);
            let younger =
                SignedDuration::from_hours(i64::from(hours)) - SignedDuration::from_secs(1);
            let before = AgeBand::of(younger).to_wire() as i32;
            assert_eq!(before, (number - 1).max(1), "{hours}");
        }
    }

    #[test]
    fn each_kind_of_value_is_one_word() {
        let interval = |after: &str, before: &str| Value::Interval {
            after: after.parse().ok(),
            before: before.parse().ok(),
        };
        let ages = |lowest, highest, at_least| Value::Band {
            lowest: band(lowest),
            highest: band(highest),
            at_least,
        };
        let forwarded = |condition, target| Forwarding { condition, target };
        let (first, second) = ("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z");
        for (told, word) in [
            (Value::YesNo(true), "yes"),
            (Value::YesNo(false), "no"),
            (ages(5, 5, false), "4h..12h"),
            (ages(5, 13, false), "4h..24h"),
            (ages(30_000, 30_000, false), "26280h.."),
            (ages(9_000, 30_000, true), "8760h.."),
            (
                interval(first, second),
                "2026-11-01T00:00:00Z/2026-11-02T00:00:00Z",
            ),
            (interval(first, ""), "2026-11-01T00:00:00Z/.."),
            (interval("", second), "../2026-11-02T00:00:00Z"),
            (Value::Forwarding(vec![]), "none"),
            (
                Value::Forwarding(vec![
                    forwarded(
                        ForwardingCondition::Unconditional,
                        ForwardingTarget::AnotherNumber,
                    ),
                    forwarded(ForwardingCondition::Busy, ForwardingTarget::OwnVoicemail),
                ]),
                "unconditional:another_number;busy:own_voicemail",
            ),
            (
                Value::Roaming(Roaming {
                    roaming: true,
                    visited_mcc: Some(61),
                }),
                "abroad:061",
            ),
        ] {
            assert_eq!(value(&told), word);
        }
    }
}
