//! What the broker learns from its own ledger at start: the newest documents, and which quotas and
//! thresholds are in use.

use accord_proto::{
    agreement::Clause,
    document::Loaded,
    v1::{Entry, entry::Event},
};
use jiff::{SignedDuration, Timestamp};
use prost::Message as _;

use crate::{
    governance::{Governed, LastLoaded},
    ledger::{Ledger, LedgerError},
    path::restore_subjects,
    subjects::state::SubjectState,
};

/// A month's log begins with what is in force, so the newest documents are in this month's or the
/// last one's.
const DOCUMENTS_REACH: SignedDuration = SignedDuration::from_hours(62 * 24);

/// The first bytes of an entry: its salt, 32 bytes long. Then comes the event's tag.
const EVENT_TAG_AT: usize = 34;
const ACCESS_TAG: u8 = (3 << 3) | 2;
const DOCUMENT_LOADED_TAG: u8 = (7 << 3) | 2;

/// The newest documents in force that the ledger knows of.
pub(super) fn documents(ledger: &Ledger, now: Timestamp) -> Result<LastLoaded, LedgerError> {
    let mut last = LastLoaded::default();
    scan(
        ledger,
        before(now, DOCUMENTS_REACH),
        DOCUMENT_LOADED_TAG,
        |entry, _| {
            let Some(Event::DocumentLoaded(loaded)) = entry.event else {
                return;
            };
            let Ok(sha256) = <[u8; 32]>::try_from(loaded.sha256.as_slice()) else {
                return;
            };
            if !loaded.refused.is_empty() {
                return;
            }
            let found = Some(Loaded {
                version: loaded.version,
                sha256,
            });
            match loaded.kind.as_str() {
                "agreement" => last.agreement = found,
                "parties" => last.parties = found,
                _ => {}
            }
        },
    )?;
    Ok(last)
}

/// Puts the uses of the longest window back.
pub(super) fn subjects(
    ledger: &Ledger,
    subjects: &SubjectState,
    governed: &Governed,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let window = |clause: &Clause| {
        let daily = clause.per_subject_per_day.map_or(0, |_| 24);
        i64::from(clause.threshold_window_hours.max(daily))
    };
    let clauses = governed.agreement().clauses();
    let longest = clauses
        .iter()
        .map(|clause| window(clause))
        .max()
        .unwrap_or(0);
    let since = before(now, SignedDuration::from_hours(longest));
    scan(ledger, since, ACCESS_TAG, |entry, at| {
        if let Some(Event::Access(access)) = entry.event {
            restore_subjects(subjects, governed, &access, at);
        }
    })
}

fn scan(
    ledger: &Ledger,
    since: Timestamp,
    tag: u8,
    mut found: impl FnMut(Entry, Timestamp),
) -> Result<(), LedgerError> {
    ledger.scan_since(since, |stored| {
        // Decoding costs more than reading, so other events are passed over undecoded.
        if stored.bytes.get(EVENT_TAG_AT) != Some(&tag) {
            return;
        }
        if let Ok(entry) = Entry::decode(stored.bytes) {
            found(entry, stored.time);
        }
    })
}

fn before(now: Timestamp, span: SignedDuration) -> Timestamp {
    now.checked_sub(span).unwrap_or(Timestamp::MIN)
}
