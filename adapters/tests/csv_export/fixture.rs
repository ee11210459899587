//! An export of 100,000 subscribers, and configurations that are refused.
use std::time::Duration;

use accord_adapters::csv_export::{CsvConfig, CsvExport, Reload, fixture};
use accord_adapters::source::Source;
use accord_proto::clock::ManualClock;
use accord_proto::signal::Signal;
use jiff::Timestamp;
use tokio::time::Instant;

const ROWS: u64 = 100_000;

fn exported() -> Timestamp {
    "2026-11-21T02:30:00Z".parse().unwrap()
}

#[tokio::test]
async fn a_hundred_thousand_subscribers_are_taken_and_each_answers() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = Vec::new();
    fixture::write_fixture(ROWS, 7, exported(), &mut bytes).unwrap();
    std::fs::write(dir.path().join(fixture::FILE_NAME), bytes).unwrap();
    let config: CsvConfig = toml::from_str(&fixture::config(dir.path())).unwrap();
    let source = CsvExport::open(config, ManualClock::at(exported())).unwrap();
    let Reload::Taken(report) = source.reload_once().await.unwrap() else {
        panic!("not taken");
    };
    assert_eq!((report.rows, report.numbers), (ROWS, ROWS));
    let signals = [Signal::SimSwap, Signal::DeviceSwap, Signal::Tenure];
    assert!(
        signals
            .iter()
            .all(|signal| source.signals().contains(signal))
    );
    for row in 0..ROWS {
        let number = fixture::number(row).unwrap();
        let deadline = Instant::now() + Duration::from_secs(1);
        let answer = source.observe(number, &signals, deadline).await;
        assert!(
            answer.signals.iter().all(|(_, observed)| observed.is_ok()),
            "row {row}"
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_file() {
    let make = |seed| {
        let mut bytes = Vec::new();
        fixture::write_fixture(50, seed, exported(), &mut bytes).unwrap();
        bytes
    };
    assert_eq!(make(1), make(1));
    assert_ne!(make(1), make(2));
}

#[test]
fn a_configuration_that_would_have_to_guess_is_refused() {
    let good = fixture::config(std::path::Path::new("/srv/export"));
    let open = |text: &str| {
        let config: CsvConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        let opened = CsvExport::open(config, ManualClock::at(exported()));
        opened.map(|_| ()).map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            source.unwrap_or_default()
        })
    };
    assert_eq!(open(&good), Ok(()));
    for (from, to, key) in [
        ("\"utf-8\"", "\"auto\"", "`encoding`"),
        ("\"UTC\"", "\"Mars/Olympus\"", "`time_zone`"),
        ("delimiter = \";\"", "delimiter = \"é\"", "`delimiter`"),
        ("\"N/A\"", "\"01-01-1900\"", "`never`"),
        ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d", "`exported_at.format`"),
        (
            "SIM_DATE\", format = \"%d-%m-%Y\"",
            "SIM_DATE\", format = \"%d-%m\"",
            "`columns.sim_changed_at`",
        ),
        ("2015-01-01", "always", "`columns.sim_changed_at`"),
        ("\"END\"", "\"\"", "`complete.text`"),
        ("\"999\"", "\"0\"", "`number.country_code`"),
        ("subscribers.csv", "subs-%Y.csv", "`file_name`"),
        ("[number]", "[number]\nguess = true", "guess"),
    ] {
        assert!(good.contains(from), "{from}");
        let error = open(&good.replace(from, to)).unwrap_err();
        assert!(error.contains(key), "{key}: {error}");
    }
}
