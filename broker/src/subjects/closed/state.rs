//! What there is of a month's key, on the record and on the disk; and why something can't be done.

use accord_proto::{
    shares::{KeyActError, KeyNotNow, MonthKey},
    subject::Month,
    v1::{self, key_month},
    wire::FieldError,
};

use super::{book::Book, files};
use crate::path::Refusal;

/// Whether a month's halves are there.
pub(super) fn closed(key: &MonthKey, found: &files::Months, month: Month) -> Result<(), Refusal> {
    match state(key, found, month) {
        None | Some(key_month::State::Unspecified) => Err(Refusal::NotFound("month")),
        Some(key_month::State::Held) => Err(refusal(month, KeyNotNow::NotSplit.into())),
        Some(key_month::State::Shredded) => Err(refusal(month, KeyNotNow::Shredded.into())),
        Some(key_month::State::Lost) => Err(refused(month, LOST)),
        Some(key_month::State::Split) => Ok(()),
    }
}

/// `None`: the broker knows nothing of such a month.
pub(super) fn state(
    key: &MonthKey,
    found: &files::Months,
    month: Month,
) -> Option<key_month::State> {
    if key.shredded() {
        return Some(key_month::State::Shredded);
    }
    if found.keys.contains(&month) {
        return Some(key_month::State::Held);
    }
    match (key.split(), found.shares.get(&month)) {
        ([], None) => None,
        (split, Some(there)) if !split.is_empty() && split == there => {
            Some(key_month::State::Split)
        }
        (_, _) => Some(key_month::State::Lost),
    }
}

/// How many months' halves are not there as they were split; each is named in the log.
pub(super) fn lost(book: &Book, found: &files::Months) -> usize {
    let mut months: Vec<Month> = book.life().months().collect();
    months.extend(found.shares.keys());
    months.sort_unstable();
    months.dedup();
    let is_lost =
        |month: &Month| state(&book.month(*month), found, *month) == Some(key_month::State::Lost);
    months.retain(is_lost);
    for month in &months {
        tracing::error!(%month, "the sealed halves of this month are gone or damaged: bring them back");
    }
    months.len()
}

pub(super) fn key_month(month: Month, state: key_month::State, key: &MonthKey) -> v1::KeyMonth {
    v1::KeyMonth {
        month: month.to_string(),
        state: state as i32,
        hold_by: key.hold_by().unwrap_or_default().to_owned(),
        lift_asked_by: key.lift_asked_by().iter().cloned().collect(),
        shred_asked_by: key.shred_asked_by().iter().cloned().collect(),
    }
}

/// What is told where a month's halves should be.
pub(super) const LOST: &str = "its sealed halves are not on the broker's disk as they were split: they are \
                    brought back from a backup, or from what the authorities kept";

pub(super) fn refused(month: Month, why: impl Into<String>) -> Refusal {
    let why = why.into();
    Refusal::KeyMonth { month, why }
}

pub(super) fn refusal(month: Month, error: KeyActError) -> Refusal {
    match error {
        KeyActError::NotNow(not_now) => refused(month, not_now.to_string()),
        KeyActError::Malformed
        | KeyActError::Note(_)
        | KeyActError::Differs(_)
        | KeyActError::Stale { .. }
        | KeyActError::Twice(_)
        | KeyActError::OtherEffect => FieldError::new("note", error.to_string()).into(),
    }
}
