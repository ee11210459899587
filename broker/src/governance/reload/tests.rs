//! When the broker says that its agreement expires soon.

use std::{
    io,
    sync::{Mutex, PoisonError},
};

use accord_proto::{
    agreement::SignedAgreement,
    c2sp::{SignedNote, SigningKey},
    clock::ManualClock,
    document::Authorities,
    parties::Parties,
};
use jiff::Timestamp;

use super::*;
use crate::{
    governance::{Governing, RecalledLife},
    ledger::LedgerConfig,
    metrics::Snapshot,
};

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// What a piece of work logs.
    fn of(work: impl FnOnce()) -> String {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, work);
        let bytes = log.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }
}

/// A text signed by both authorities.
fn signed(text: &str, keys: &[SigningKey; 2]) -> String {
    let mut note = SignedNote::unsigned(text).unwrap();
    for key in keys {
        note.sign(key).unwrap();
    }
    note.to_string()
}

const AGREEMENT: &str = include_str!("../../../../tests/samples/one-clause.toml");
const PARTIES: &str = include_str!("../../../../tests/samples/one-operator.toml");

/// A reloader whose agreement expires at the end of 2026, in a directory.
fn reloader(dir: &std::path::Path, clock: &Arc<ManualClock>) -> Reloader {
    let keys =
        ["telecom-regulator", "central-bank"].map(|name| SigningKey::generate(name).unwrap());
    let [telecom, central] = keys.each_ref().map(|key| key.verifier().clone());
    let authorities = Authorities::new(telecom, central).unwrap();
    let agreement = SignedAgreement::open(&signed(AGREEMENT, &keys), &authorities, None).unwrap();
    let parties = Parties::open(&signed(PARTIES, &keys), &authorities, None).unwrap();
    let governing = Governing {
        agreement: Arc::new(agreement),
        waits: false,
    };
    let key = SigningKey::generate("accord.test").unwrap();
    let shared: SharedClock = clock.clone();
    Ledger::init(&dir.join("ledger"), &key, &[], &shared).unwrap();
    let config = LedgerConfig::new(dir.join("ledger"), key);
    let (ledger, _) = Ledger::open(config, shared.clone()).unwrap();
    let life = RecalledLife::open(dir, &ledger, &authorities).unwrap();
    let governance = Governance::new(authorities, governing, parties, &[], None, &life);
    let files = DocumentFiles {
        agreement: dir.join("agreement.toml"),
        parties: dir.join("parties.toml"),
        ported: None,
    };
    Reloader::new(
        files.clone(),
        KeptAgreement::beside_keys(dir),
        Seen::look(&files),
        Arc::new(governance),
        Arc::new(ledger),
        Arc::new(Metrics::new(|_| {})),
        shared,
    )
}

fn days_left(reloader: &Reloader) -> i64 {
    let snapshot = Snapshot {
        ledger: reloader.ledger.stats(),
        ledger_ready: true,
        view_failures: 0,
        view_in_use: true,
        subjects: 0,
        tag_keys_unsplit: 0,
        key_halves_lost: 0,
        replays: 0,
        questions_in_flight: 0,
    };
    let text = reloader.loader.metrics.text(&snapshot);
    let mut lines = text.lines();
    let line = lines.find_map(|line| line.strip_prefix("accord_agreement_days_left "));
    line.unwrap().parse().unwrap()
}

#[test]
fn the_end_of_the_agreement_is_told_thirty_seven_and_one_day_before_it_once_each() {
    let dir = tempfile::tempdir().unwrap();
    let at = |text: &str| -> Timestamp { text.parse().unwrap() };
    let clock = ManualClock::at(at("2026-11-26T12:00:00Z"));
    let mut reloader = reloader(dir.path(), &clock);
    for (now, days, warns) in [
        ("2026-11-26T12:00:00Z", 35, None),
        ("2026-12-02T00:00:00Z", 30, Some(30)),
        ("2026-12-02T00:00:01Z", 29, None),
        ("2026-12-24T23:59:59Z", 7, None),
        ("2026-12-25T00:00:00Z", 7, Some(7)),
        ("2026-12-30T00:00:00Z", 2, None),
        ("2026-12-31T00:00:00Z", 1, Some(1)),
        ("2026-12-31T23:00:00Z", 0, None),
        ("2027-01-02T00:00:00Z", -1, None),
    ] {
        clock.set(at(now));
        let said = Log::of(|| {
            reloader.warn();
            reloader.warn();
        });
        let told: Vec<&str> = said.lines().collect();
        assert_eq!(told.len(), usize::from(warns.is_some()), "{now}: {said}");
        if let Some(warns) = warns {
            assert!(said.contains(" WARN "), "{said}");
            let fields = format!("days={warns} expires=2027-01-01");
            assert!(said.contains(&fields), "{said}");
        }
        assert_eq!(days_left(&reloader), days, "{now}");
    }
}
