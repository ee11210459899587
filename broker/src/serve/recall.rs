//! What the broker learns from its own ledger at start: the newest documents, and which quotas and
//! thresholds are in use.

use accord_proto::{agreement::Clause, document::Loaded, v1::entry::Event};
use jiff::{SignedDuration, Timestamp};

use crate::{
    entry::{ACCESS_TAG, DOCUMENT_LOADED_TAG, scan_events},
    governance::{Governed, LastLoaded},
    ledger::{Ledger, LedgerError},
    path::restore_subjects,
    subjects::state::SubjectState,
};

/// A log begins with what is in force, unless the broker ended at that moment: then the log before
/// does. So many logs are looked at, however old they are.
const DOCUMENTS_LOGS: usize = 2;

/// The newest documents in force that the ledger knows of.
pub(super) fn documents(ledger: &Ledger) -> Result<LastLoaded, LedgerError> {
    let newest = documents_since(ledger, newest_logs_begin(ledger)?)?;
    if newest.agreement.is_some() && newest.parties.is_some() {
        return Ok(newest);
    }
    // Nothing was in force for long, while a new agreement waited: then no new log says what was.
    documents_since(ledger, Timestamp::MIN)
}

fn documents_since(ledger: &Ledger, since: Timestamp) -> Result<LastLoaded, LedgerError> {
    let mut last = LastLoaded::default();
    scan_events(ledger, since, DOCUMENT_LOADED_TAG, |entry, _| {
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
    })?;
    Ok(last)
}

/// When the oldest of the newest logs began: its month's first instant.
fn newest_logs_begin(ledger: &Ledger) -> Result<Timestamp, LedgerError> {
    let origins = ledger.origins()?;
    let oldest = origins.iter().rev().take(DOCUMENTS_LOGS).next_back();
    Ok(oldest
        .and_then(|origin| origin.rsplit('/').next())
        .and_then(|month| format!("{month}-01T00:00:00Z").parse().ok())
        .unwrap_or(Timestamp::MIN))
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
    let mut left_out = 0_u64;
    scan_events(ledger, since, ACCESS_TAG, |entry, at| {
        if let Some(Event::Access(access)) = entry.event
            && !restore_subjects(subjects, governed, &access, at)
        {
            left_out += 1;
        }
    })?;
    if left_out > 0 {
        tracing::error!(
            left_out,
            "not every quota in use found room; raise `limits.subjects_max`"
        );
    }
    Ok(())
}

fn before(now: Timestamp, span: SignedDuration) -> Timestamp {
    now.checked_sub(span).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use accord_proto::{
        c2sp::SigningKey,
        clock::{ManualClock, SharedClock},
        v1,
    };
    use prost::Message as _;

    use super::*;
    use crate::ledger::LedgerConfig;

    #[test]
    fn documents_are_remembered_over_a_pause_of_half_a_year() {
        let dir = tempfile::tempdir().unwrap();
        let key = SigningKey::generate("accord.test").unwrap();
        let clock = ManualClock::at("2026-01-31T23:00:00Z".parse().unwrap());
        let shared: SharedClock = clock.clone();
        Ledger::init(dir.path(), &key, &[], &shared).unwrap();
        let loaded = v1::DocumentLoaded {
            kind: "agreement".to_owned(),
            version: 7,
            sha256: vec![7; 32],
            ..v1::DocumentLoaded::default()
        };
        let entry = v1::Entry {
            salt: vec![1; 32],
            event: Some(Event::DocumentLoaded(loaded)),
            time_unix_ms: 0,
        };
        let open = || {
            Ledger::open(
                LedgerConfig::new(dir.path(), key.renamed("accord.test").unwrap()),
                shared.clone(),
            )
        };
        let (ledger, _) = open().unwrap();
        ledger.append_blocking(entry.encode_to_vec()).unwrap();
        drop(ledger);
        clock.set("2026-08-01T00:00:00Z".parse().unwrap());
        let (ledger, _) = open().unwrap();
        let last = documents(&ledger).unwrap();
        assert_eq!(last.agreement.unwrap().version, 7);
    }
}
