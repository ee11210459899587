//! What the answers of each API say: never more precisely than it was told.
//!
//! | API | question | answer → observation |
//! |---|---|---|
//! | SIM Swap, Device Swap | `retrieve-date` | a date → an interval around it; `null` with `monitoredPeriod` → none in so many days; `null` alone → not known |
//! | | `check`, `maxAge` hours, one after the other | `true` → within that time; `false` → none in that time |
//! | Call Forwarding Signal | `call-forwardings` | the conditions; where to is never told |
//! | Device Roaming Status | `retrieve` | the state as of `lastStatusTime` |
//! | Number Recycling, Tenure | `check`, `check-tenure` since a day, one after the other | changed since that day, or not |

use accord_proto::{
    observation::{
        Change, ChangedIn, Forwarding, ForwardingCondition, ForwardingTarget, Observed, Roaming,
    },
    reason::Reason,
    wire::CLOCK_SKEW_MAX,
};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use serde_json::Value;

use super::{
    asked::Asked,
    config::{CamaraConfig, ForwardingOperation, KNOWS_WITHIN_S_MAX, SwapsBy},
    fault::Fault,
    since::Since,
};

/// A day somewhere begins up to 14 hours before it does in UTC, and ends up to 12 after; what the
/// upstream calls a day is not told.
const ZONES: SignedDuration = SignedDuration::from_hours(14);
/// The longest `monitoredPeriod` that is believed: CAMARA's 999 days, and more.
const MONITORED_DAYS_MAX: i64 = 3_650;
/// 1 July 1991. No mobile subscription is older: the first GSM call was made that day.
pub(super) const OLDEST: Timestamp = Timestamp::constant(678_326_400, 0);

/// How questions are asked.
#[derive(Clone, Debug)]
pub(super) struct Manner {
    pub(super) swaps_by: SwapsBy,
    /// The longest first, like the days.
    pub(super) check_hours: Vec<u32>,
    precision: SignedDuration,
    /// How old what the upstream knows may be when it answers.
    knows_within: SignedDuration,
    pub(super) forwarding: ForwardingOperation,
    pub(super) since_days: Vec<u32>,
}

/// What one answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// All that there is to know, and as of when.
    Whole(Observed, Timestamp),
    /// One answer of several.
    Since(Since),
}

impl Manner {
    pub(super) fn new(config: &CamaraConfig) -> Self {
        Self {
            swaps_by: config.swaps_by,
            check_hours: longest_first(&config.check_max_age_hours),
            precision: SignedDuration::from_secs(config.precision_s.into()),
            // Without a word nothing is vouched for that matters; the rules want one.
            knows_within: SignedDuration::from_secs(
                config.knows_within_s.unwrap_or(KNOWS_WITHIN_S_MAX).into(),
            ),
            forwarding: config.forwarding_operation,
            since_days: longest_first(&config.since_days),
        }
    }

    /// What the answer to a question says. It was given at some time from `sent` to `received`, which is no
    /// earlier, by what the upstream knew then. What it does not say has not happened until `knows_within` before.
    pub(super) fn read(
        &self,
        asked: Asked,
        body: &[u8],
        sent: Timestamp,
        received: Timestamp,
    ) -> Result<Heard, Fault> {
        let body = json(body)?;
        let known_to = sent - self.knows_within;
        match asked {
            Asked::SwapDate(field) => self.swap_date(&body, field, sent),
            Asked::SwapCheck(hours) => {
                let window = SignedDuration::from_hours(hours.into());
                Ok(Heard::Since(Since {
                    changed: flag(&body, "swapped")?,
                    // It begins so long before the upstream looked, which is when it did.
                    yes_after: sent - window,
                    no_after: received - window,
                    known_to,
                    received,
                }))
            }
            Asked::Forwarding => {
                let active = Observed::Forwarding(forwardings(&body)?);
                Ok(Heard::Whole(active, known_to))
            }
            Asked::Roaming => {
                let (roaming, at) = roaming(&body, sent)?;
                Ok(Heard::Whole(roaming, at))
            }
            Asked::Recycled(day) => {
                let recycled = flag(&body, "phoneNumberRecycled")?;
                Ok(since_day(recycled, day, known_to, received))
            }
            Asked::Held(day) => {
                let held = flag(&body, "tenureDateCheck")?;
                Ok(since_day(!held, day, known_to, received))
            }
        }
    }

    fn swap_date(
        &self,
        body: &Value,
        field: &'static str,
        sent: Timestamp,
    ) -> Result<Heard, Fault> {
        let date = body
            .get(field)
            .ok_or(Fault::unusable("an answer lacks its date"))?;
        let known_to = sent - self.knows_within;
        if date.is_null() {
            // Never swapped, not told by law, or no longer known: the number of days alone says what
            // is known.
            let days = body.get("monitoredPeriod").and_then(Value::as_i64);
            let days = days.filter(|days| (1..=MONITORED_DAYS_MAX).contains(days));
            let days = days.ok_or(Fault::told(Reason::NotAvailable, "the date is not told"))?;
            let since = sent - SignedDuration::from_hours(days * 24);
            if since >= known_to {
                return Err(Fault::told(
                    Reason::Stale,
                    "it has monitored for no longer than it takes to know",
                ));
            }
            let change = Change {
                changed_in: None,
                monitored_since: Some(since),
                kind: None,
            };
            return Ok(Heard::Whole(Observed::Change(change), known_to));
        }
        let at = instant(date, sent)?;
        let after = at.checked_sub(self.precision).unwrap_or(at);
        let before = at.checked_add(self.precision).unwrap_or(at);
        let before = before.min(sent.max(after));
        let change = Change {
            changed_in: ChangedIn::new(after, before),
            // It is the last one, so the upstream knows what came after it.
            monitored_since: Some(after.min(sent)),
            kind: None,
        };
        Ok(Heard::Whole(Observed::Change(change), known_to.max(before)))
    }
}

/// The body of an answer.
pub(super) fn json(body: &[u8]) -> Result<Value, Fault> {
    serde_json::from_slice(body).map_err(|_| Fault::unusable("an answer is no JSON"))
}

/// In the order in which they are asked.
fn longest_first(some: &[u32]) -> Vec<u32> {
    let mut some = some.to_vec();
    some.sort_unstable_by_key(|one| std::cmp::Reverse(*one));
    some
}

/// Whether the holder changed since a day, wherever that day began and ended.
fn since_day(changed: bool, since: Date, known_to: Timestamp, received: Timestamp) -> Heard {
    let midnight = |date: Date| {
        let zoned = date.to_zoned(TimeZone::UTC);
        zoned.map_or(Timestamp::MIN, |zoned| zoned.timestamp())
    };
    let begins = midnight(since).checked_sub(ZONES).unwrap_or(Timestamp::MIN);
    let ends = midnight(since.tomorrow().unwrap_or(since));
    let ends = ends
        .checked_add(ZONES)
        .unwrap_or(Timestamp::MAX)
        .min(received);
    Heard::Since(Since {
        changed,
        yes_after: begins,
        no_after: ends,
        known_to,
        received,
    })
}

pub(super) fn flag(body: &Value, field: &'static str) -> Result<bool, Fault> {
    let flag = body.get(field).and_then(Value::as_bool);
    flag.ok_or(Fault::unusable("an answer lacks its yes or no"))
}

/// An instant with its zone, neither from the future nor from before there were mobile phones.
fn instant(value: &Value, sent: Timestamp) -> Result<Timestamp, Fault> {
    let parsed = value
        .as_str()
        .and_then(|text| text.parse::<Timestamp>().ok());
    let at = parsed.ok_or(Fault::unusable("an instant has no zone, or is none"))?;
    if at < OLDEST || at.duration_since(sent) > CLOCK_SKEW_MAX {
        return Err(Fault::unusable("an instant that can't be"));
    }
    Ok(at.min(sent))
}

pub(super) fn forwardings(body: &Value) -> Result<Vec<Forwarding>, Fault> {
    let unusable = Fault::unusable("a list of forwardings that can't be");
    let words = body.as_array().ok_or(unusable)?;
    if words.as_slice() == [Value::from("inactive")] {
        return Ok(Vec::new());
    }
    let mut active: Vec<Forwarding> = Vec::new();
    for word in words {
        let condition = match word.as_str() {
            Some("unconditional") => ForwardingCondition::Unconditional,
            Some("conditional_busy") => ForwardingCondition::Busy,
            Some("conditional_no_answer") => ForwardingCondition::NoReply,
            Some("conditional_not_reachable") => ForwardingCondition::NotReachable,
            Some(_) | None => return Err(unusable),
        };
        if active.iter().any(|known| known.condition == condition) {
            return Err(unusable);
        }
        active.push(Forwarding {
            condition,
            target: ForwardingTarget::Unknown,
        });
    }
    // CAMARA: at least one word, and `inactive` alone.
    if active.is_empty() {
        Err(unusable)
    } else {
        Ok(active)
    }
}

fn roaming(body: &Value, sent: Timestamp) -> Result<(Observed, Timestamp), Fault> {
    let roaming = flag(body, "roaming")?;
    let at = body.get("lastStatusTime").unwrap_or(&Value::Null);
    let at = instant(at, sent)?;
    // A mobile country code as an integer; 901 and such are no country and a network all the same.
    let code = body.get("countryCode").and_then(Value::as_u64);
    let code = code.and_then(|code| u16::try_from(code).ok());
    let visited_mcc = code.filter(|code| roaming && (1..=999).contains(code));
    let state = Roaming {
        roaming,
        visited_mcc,
    };
    Ok((Observed::Roaming(state), at))
}

#[cfg(test)]
mod tests;
