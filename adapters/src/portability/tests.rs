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
    assert!(matches!(
        source.reload(),
        Err(PortabilityError::Open { .. })
    ));
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

/// The numbers of which something waits to be taken back, and how often: of each all signals.
fn taken_back(changes: &mut mpsc::Receiver<SourceChange>) -> Vec<u16> {
    let mut taken = Vec::new();
    while let Ok(change) = changes.try_recv() {
        assert_eq!(change.observation, None);
        taken.push(
            (0..999)
                .find(|last| number(*last) == change.msisdn)
                .unwrap(),
        );
    }
    taken.sort_unstable();
    let each = taken.chunk_by(|one, other| one == other);
    each.map(|all| {
        assert_eq!(all.len(), Signal::ALL.len());
        all[0]
    })
    .collect()
}

#[tokio::test]
async fn what_was_told_of_a_number_that_left_or_came_is_taken_back_when_it_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portability.csv");
    let stays = "+447700900005,sud-mobile,2024-05-01\n+447700900006,north-mobile,2024-05-01\n";
    write(&path, "2026-11-26T02:00:00Z", stays);
    let clock = ManualClock::at(at(NOW));
    let source = Arc::new(Portability::open(config(dir.path()), clock.clone()).unwrap());
    let mut changes = source.changes().unwrap();
    let reload = || Arc::clone(&source).reload_now();
    reload().await.unwrap();
    for last in [1, 2, 4, 5, 6, 7, 150] {
        let _ = sim(&source, last).await;
    }
    assert!(taken_back(&mut changes).is_empty());
    // The same once more, as of later.
    write(&path, "2026-11-26T03:00:00Z", stays);
    reload().await.unwrap();
    assert!(taken_back(&mut changes).is_empty());
    // 1 leaves, 2 comes, 4 leaves by its range; of 3, which left too, nobody was told anything; 6 came on
    // another day than was said; and 7 leaves the day after tomorrow.
    let rows = "+447700900001,sud-mobile,2026-11-26\n+447700900002,north-mobile,2026-11-26\n\
                +447700900003-+447700900004,sud-mobile,2026-11-26\n\
                +447700900005,sud-mobile,2024-05-01\n+447700900006,north-mobile,2024-05-02\n\
                +447700900007,sud-mobile,2026-11-28\n\
                +447700900100-+447700900199,sud-mobile,2026-11-29T10:30:00Z\n";
    write(&path, "2026-11-26T04:00:00Z", rows);
    reload().await.unwrap();
    assert_eq!(taken_back(&mut changes), [1, 2, 4, 6]);
    // What was planned comes without another file.
    let tell = async |now: &str| {
        clock.set(at(now));
        source.tell_planned().await;
    };
    for (now, moved) in [
        ("2026-11-27T23:59:59Z", &[][..]),
        ("2026-11-28T00:00:00Z", &[7]),
        ("2026-11-28T00:00:01Z", &[]),
        ("2026-11-29T10:29:59Z", &[]),
        ("2026-11-29T10:30:00Z", &[150]),
        ("2026-11-30T00:00:00Z", &[]),
    ] {
        tell(now).await;
        assert_eq!(taken_back(&mut changes), moved, "{now}");
    }
    assert_eq!(words(&sim(&source, 7).await), "not_ours");
}

#[tokio::test]
async fn what_others_said_before_the_first_database_is_taken_back_where_the_number_moved() {
    let dir = tempfile::tempdir().unwrap();
    let source = opened(dir.path());
    let mut changes = source.changes().unwrap();
    for last in [1, 2] {
        assert_eq!(words(&sim(&source, last).await), "source_down");
    }
    let lost = "+447700900001,sud-mobile,2024-05-01\n";
    write(&dir.path().join("portability.csv"), NOW, lost);
    let watching = tokio::spawn(Arc::clone(&source).watch());
    let first = tokio::time::timeout(Duration::from_secs(20), changes.recv()).await;
    assert!(first.unwrap().unwrap().msisdn == number(1));
    while words(&sim(&source, 1).await) != "not_ours" {
        tokio::task::yield_now().await;
    }
    watching.abort();
    let rest = std::iter::from_fn(|| changes.try_recv().ok());
    assert!(rest.into_iter().all(|change| change.msisdn == number(1)));
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
