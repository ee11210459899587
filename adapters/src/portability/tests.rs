use std::{fmt::Write as _, path::Path};

use accord_proto::clock::ManualClock;
use aws_lc_rs::digest::{SHA256, digest};

use super::*;
use crate::merge;

const NOW: &str = "2026-11-26T12:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn number(last: u16) -> Msisdn {
    Msisdn::parse(&format!("+447700900{last:03}")).unwrap()
}

fn write(path: &Path, as_of: &str, rows: &str) {
    let text = format!(
        "accord-portability,1\nas_of,{as_of}\ndays,+00:00,+00:00\nnumber,recipient,ported\n{rows}"
    );
    let mut whole = format!("{text}end,{},", rows.lines().count());
    for byte in digest(&SHA256, text.as_bytes()).as_ref() {
        write!(whole, "{byte:02x}").unwrap();
    }
    std::fs::write(path, whole + "\n").unwrap();
}

fn config(dir: &Path) -> PortabilityConfig {
    PortabilityConfig {
        file: dir.join("portability.csv"),
        own: vec!["north-mobile".to_owned(), "23415".to_owned()],
        rows_max: 100,
        reload_ms: 10,
        sftp: None,
    }
}

fn opened(dir: &Path) -> Arc<Portability> {
    let clock = ManualClock::at(at(NOW));
    Arc::new(Portability::open(config(dir), clock).unwrap())
}

/// With a database of some rows.
fn with_rows(dir: &Path, rows: &str) -> Arc<Portability> {
    write(&dir.join("portability.csv"), "2026-11-26T02:00:00Z", rows);
    let source = opened(dir);
    source.reload().unwrap();
    source
}

async fn sim(source: &Portability, last: u16) -> Result<Observation, Reason> {
    let by = Instant::now() + Duration::from_secs(5);
    let mut answer = source.observe(number(last), &[Signal::SimSwap], by).await;
    answer.signals.remove(0).1
}

fn words(said: &Result<Observation, Reason>) -> String {
    match said {
        Err(reason) => reason.name().to_owned(),
        Ok(observation) => {
            let Observed::Change(change) = &observation.what else {
                panic!("no change");
            };
            let interval = change.changed_in.map_or_else(
                || "none".to_owned(),
                |at| format!("{} {}", at.after(), at.before()),
            );
            let kind = change.kind.map_or("-", SwapKind::name);
            format!("{interval} {kind}")
        }
    }
}

#[tokio::test]
async fn a_number_that_was_lost_is_not_ours_whatever_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let rows = "+447700900001,sud-mobile,2024-05-01\n+447700900100-+447700900199,sud-mobile,\n\
                +447700900150,north-mobile,\n";
    let source = with_rows(dir.path(), rows);
    let by = Instant::now() + Duration::from_secs(5);
    for (last, reason) in [
        (1, Reason::NotOurs),
        (101, Reason::NotOurs),
        // It came back, and nobody knows when.
        (150, Reason::NotAvailable),
        (2, Reason::NotAvailable),
    ] {
        let answer = source.observe(number(last), Signal::ALL, by).await;
        assert_eq!(answer, Observations::all(Signal::ALL, reason), "{last}");
    }
}

#[tokio::test]
async fn a_port_in_is_a_swap_of_its_day_or_minute_and_says_nothing_of_what_came_after() {
    let dir = tempfile::tempdir().unwrap();
    let rows = "+447700900001,north-mobile,2026-11-20\n+447700900002,23415,2026-11-20T10:00:30Z\n\
                +447700900003,north-mobile,2026-11-26\n+447700900004,north-mobile,2026-11-27\n";
    let source = with_rows(dir.path(), rows);
    for (last, interval, until) in [
        (
            1,
            "2026-11-20T00:00:00Z 2026-11-21T00:00:00Z port_in",
            "2026-11-21T00:00:00Z",
        ),
        (
            2,
            "2026-11-20T10:00:00Z 2026-11-20T10:01:00Z port_in",
            "2026-11-20T10:01:00Z",
        ),
        // On a day that is not over.
        (3, "2026-11-26T00:00:00Z 2026-11-26T12:00:00Z port_in", NOW),
    ] {
        let said = sim(&source, last).await;
        assert_eq!(words(&said), interval);
        assert_eq!(said.unwrap().observed_at, at(until));
    }
    // What is planned has not happened.
    assert_eq!(words(&sim(&source, 4).await), "not_available");
}

#[tokio::test]
async fn beside_a_network_that_has_watched_since_the_port_or_a_later_swap_is_the_last() {
    let dir = tempfile::tempdir().unwrap();
    let source = with_rows(dir.path(), "+447700900001,north-mobile,2026-11-20\n");
    let ported = sim(&source, 1).await;
    let beside = |since: &str, changed_in: Option<(&str, &str)>| {
        let changed_in = changed_in.and_then(|(lo, hi)| ChangedIn::new(at(lo), at(hi)));
        let network = Observation {
            what: Observed::Change(Change {
                changed_in,
                monitored_since: Some(at(since)),
                kind: changed_in.map(|_| SwapKind::Replacement),
            }),
            observed_at: at(NOW),
            source: SourceClass::Network,
        };
        let said = [Ok(network), ported.clone()].map(|outcome| merge::Said {
            trust: merge::Trust::PLAIN,
            outcome,
        });
        merge::merge(Signal::SimSwap, &said, at(NOW))
    };
    let merged = beside("2026-11-23T00:00:00Z", None);
    assert_eq!(
        words(&merged),
        "2026-11-20T00:00:00Z 2026-11-23T00:00:00Z -"
    );
    let later = Some(("2026-11-25T00:00:00Z", "2026-11-25T01:00:00Z"));
    let merged = beside("2026-11-23T00:00:00Z", later);
    assert_eq!(
        words(&merged),
        "2026-11-25T00:00:00Z 2026-11-25T01:00:00Z replacement"
    );
    // It watched over the port and saw nothing: one of the two is wrong.
    assert_eq!(words(&beside("2026-11-01T00:00:00Z", None)), "contradicted");
}

#[tokio::test]
async fn without_a_database_it_is_down_and_a_bad_one_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portability.csv");
    let source = opened(dir.path());
    assert_eq!(source.state().condition, Condition::Starting);
    assert!(matches!(source.reload(), Err(PortabilityError::Open(_))));
    assert_eq!(source.state().condition, Condition::Down);
    assert_eq!(words(&sim(&source, 1).await), "source_down");
    std::fs::write(&path, "number,recipient").unwrap();
    assert!(matches!(source.reload(), Err(PortabilityError::Read(_))));
    assert_eq!(source.state().condition, Condition::Unusable);
    let lost = "+447700900001,sud-mobile,2024-05-01\n";
    write(&path, "2026-11-26T02:00:00Z", lost);
    let watching = tokio::spawn(Arc::clone(&source).watch());
    let limit = Instant::now() + Duration::from_secs(20);
    while words(&sim(&source, 1).await) != "not_ours" {
        assert!(Instant::now() < limit, "the database was not read");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    watching.abort();
    let state = source.state();
    assert_eq!(state.condition, Condition::Up);
    assert_eq!(state.observed_to, Some(at("2026-11-26T02:00:00Z")));
    write(&path, "2026-11-25T02:00:00Z", "");
    assert!(matches!(source.reload(), Err(PortabilityError::Older(_))));
    assert_eq!(source.state().condition, Condition::Behind);
    assert_eq!(words(&sim(&source, 1).await), "not_ours");
    write(&path, "2026-11-26T03:00:00Z", "");
    source.reload().unwrap();
    assert_eq!(words(&sim(&source, 1).await), "not_available");
}

#[test]
fn each_rule_is_named_by_its_key() {
    let good = config(Path::new("."));
    let with = |change: &dyn Fn(&mut PortabilityConfig)| {
        let mut config = good.clone();
        change(&mut config);
        match config.check() {
            Ok(_) => Ok(()),
            Err(FilesConfigError::Rule { key, .. }) => Err(key),
            Err(error @ FilesConfigError::Sftp(_)) => panic!("{error}"),
        }
    };
    assert_eq!(with(&|_| ()), Ok(()));
    assert_eq!(with(&|config| config.own.clear()), Err("own"));
    assert_eq!(with(&|config| config.rows_max = 0), Err("rows_max"));
    assert_eq!(with(&|config| config.reload_ms = 1), Err("reload_ms"));
}
