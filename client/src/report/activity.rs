//! Questions over time.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Activity, Questions};

/// Up to so many hours are shown one by one; beyond, day by day.
const HOURS_MAX: u64 = 72;
/// Beyond so many hours, whatever makes [`BARS_MAX`] stretches of the whole.
const DAYS_HOURS_MAX: u64 = 24 * BARS_MAX;
const BARS_MAX: u64 = 400;
pub(super) const HOUR_MS: u64 = 3_600_000;

/// What came of the questions of one hour: answered, partly, not, refused.
pub(super) type Hour = [u64; 4];

pub(super) fn total<'a>(hours: impl Iterator<Item = &'a Hour>) -> Questions {
    let mut sum: Hour = [0; 4];
    for hour in hours {
        for (sum, count) in sum.iter_mut().zip(hour) {
            *sum += count;
        }
    }
    let [answered, partly_answered, unanswered, refused] = sum.map(Some);
    Questions {
        answered,
        partly_answered,
        unanswered,
        refused,
    }
}

/// By hour, or by day where that would be too many; hours without a question among them.
pub(super) fn activity(hours: &BTreeMap<u64, Hour>) -> Vec<Activity> {
    let (Some(first), Some(last)) = (hours.keys().next(), hours.keys().next_back()) else {
        return Vec::new();
    };
    let span = last - first;
    let step = if span < HOURS_MAX {
        1
    } else if span < DAYS_HOURS_MAX {
        24
    } else {
        span / BARS_MAX + 1
    };
    let mut rows = Vec::new();
    let mut at = first / step * step;
    while at <= *last {
        rows.push(Activity {
            begins: instant(at * HOUR_MS).unwrap_or_default(),
            questions: total(hours.range(at..at + step).map(|(_, hour)| hour)),
        });
        at += step;
    }
    rows
}

pub(super) fn instant(ms: u64) -> Option<String> {
    let ms = i64::try_from(ms).ok()?;
    Some(Timestamp::from_millisecond(ms).ok()?.to_string())
}
