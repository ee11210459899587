//! What the detectors knew before the broker was started again, from its ledger: who asked how much,
//! whom, and when. Which neighbours of a range were asked is not in the ledger, whose numbers are
//! pseudonyms, so that one detector begins anew; its window is an hour.

use accord_proto::{
    party::OrgName,
    subject::Month,
    v1::{self, entry::Event},
};
use jiff::Timestamp;
use prost::Message as _;

use super::detectors::{Detectors, Sight};
use crate::{
    entry::{ACCESS_TAG, scan_events},
    ledger::{Ledger, LedgerError},
};

/// The most entries that are looked at, the newest ones: some seconds at start. Where they reach
/// back less far than a detector looks, it learns the rest anew.
const ENTRIES_MAX: u64 = 1_000_000;

/// Shows the detectors the questions of the last while. What they tell of them was told then.
pub(super) fn recall(
    detectors: &mut Detectors,
    ledger: &Ledger,
    now: Timestamp,
) -> Result<u64, LedgerError> {
    let since = now
        .checked_sub(detectors.memory())
        .unwrap_or(Timestamp::MIN);
    let since = since.max(reach(ledger, ENTRIES_MAX)?);
    let mut seen = 0;
    scan_events(ledger, since, ACCESS_TAG, |entry, at| {
        if let Some(Event::Access(access)) = entry.event
            && see(detectors, &access, at)
        {
            seen += 1;
        }
    })?;
    Ok(seen)
}

fn see(detectors: &mut Detectors, access: &v1::Access, at: Timestamp) -> bool {
    let (Ok(bank), Ok(tag), Some(tag_month)) = (
        OrgName::parse(&access.bank),
        <[u8; 16]>::try_from(access.subject_tag.as_slice()),
        Month::parse(&access.tag_month),
    ) else {
        return false;
    };
    detectors.see(&Sight {
        bank: &bank,
        application: &access.application,
        digits: None,
        tag,
        tag_month,
        at,
    });
    true
}

/// The time of the entry that has so many behind it, over all months; of the first, where there are
/// fewer.
fn reach(ledger: &Ledger, mut entries: u64) -> Result<Timestamp, LedgerError> {
    for origin in ledger.origins()?.into_iter().rev() {
        let size = ledger.size_of(Some(&origin))?;
        if size >= entries {
            let bytes = ledger.entry(Some(&origin), size - entries)?;
            let ms = v1::Entry::decode(bytes.as_slice()).map_or(0, |entry| entry.time_unix_ms);
            let at = i64::try_from(ms).ok();
            return Ok(at
                .and_then(|ms| Timestamp::from_millisecond(ms).ok())
                .unwrap_or(Timestamp::MIN));
        }
        entries -= size;
    }
    Ok(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use accord_proto::{
        c2sp::SigningKey,
        clock::{ManualClock, SharedClock},
    };
    use jiff::SignedDuration;

    use super::*;
    use crate::{config::AnomaliesSection, ledger::LedgerConfig};

    fn access(bank: &str) -> Vec<u8> {
        let access = v1::Access {
            bank: bank.to_owned(),
            application: "app".to_owned(),
            subject_tag: vec![1; 16],
            tag_month: "2026-11".to_owned(),
            ..v1::Access::default()
        };
        let entry = v1::Entry {
            salt: vec![7; 32],
            event: Some(Event::Access(access)),
            time_unix_ms: 0,
        };
        entry.encode_to_vec()
    }

    #[test]
    fn so_many_entries_are_looked_at_and_not_more_over_the_turn_of_a_month_too() {
        let dir = tempfile::tempdir().unwrap();
        let key = SigningKey::generate("accord.test").unwrap();
        let start: Timestamp = "2026-10-31T23:00:00Z".parse().unwrap();
        let clock = ManualClock::at(start);
        let shared: SharedClock = clock.clone();
        Ledger::init(dir.path(), &key, &[], &shared).unwrap();
        let config = LedgerConfig {
            clock_step_max: std::time::Duration::from_secs(86_400),
            ..LedgerConfig::new(dir.path(), key)
        };
        let (ledger, _) = Ledger::open(config, shared).unwrap();
        // One each half an hour: the second month begins, with an entry of its own, at the third.
        for at in 0..5 {
            clock.set(start + SignedDuration::from_mins(30 * at));
            ledger.append_blocking(access("first-bank")).unwrap();
        }
        let after = |minutes| start + SignedDuration::from_mins(minutes);
        for (entries, begins) in [
            (1, after(120)),
            (3, after(60)),
            (4, after(60)),
            (5, after(30)),
        ] {
            assert_eq!(reach(&ledger, entries).unwrap(), begins, "{entries}");
        }
        assert_eq!(reach(&ledger, 100).unwrap(), Timestamp::MIN);
        let limits = AnomaliesSection::default();
        let now = after(121);
        let mut detectors = Detectors::new(limits);
        assert_eq!(recall(&mut detectors, &ledger, now).unwrap(), 5);
        // What is older than any detector looks is left out.
        let later = now + SignedDuration::from_hours(24 * 60);
        let mut detectors = Detectors::new(limits);
        assert_eq!(recall(&mut detectors, &ledger, later).unwrap(), 0);
        ledger.append_blocking(access("not a bank's name")).unwrap();
        let mut detectors = Detectors::new(limits);
        assert_eq!(recall(&mut detectors, &ledger, now).unwrap(), 5);
    }
}
