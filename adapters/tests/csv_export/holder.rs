//! What the beginning of a line says of its holder: porting is not recycling, and neither is a new
//! contract.
use accord_adapters::csv_export::{CsvConfig, CsvExport};
use accord_proto::clock::ManualClock;
use accord_proto::observation::SwapKind;
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;

use crate::common::{BASE, Export, NOW, PLAIN, at, file};

const BEGINS: &str = "begin_reason = { name = \"BEGUN\", values = { NEW = \"new_holder\", \
    PORT = \"port_in\", MOVE = \"same_holder\" } }\n";
const NEVER: &str = "01-01-1900";

/// A file of [`PLAIN`] and one more column.
fn with(column: &str, rows: &[(&str, &str, &str, &str)]) -> String {
    let plain: Vec<_> = rows.iter().map(|row| (row.0, row.1, row.2)).collect();
    let more = std::iter::once(column).chain(rows.iter().map(|row| row.3));
    let lines = file(&plain);
    let lines = lines.lines().zip(more);
    lines
        .map(|(line, more)| format!("{line};{more}\n"))
        .collect()
}

#[tokio::test]
async fn who_came_with_the_number_or_went_on_is_no_new_holder() {
    let export = Export::new("", &format!("{PLAIN}{BEGINS}"));
    let rows = [
        ("07700900001", NEVER, "18-11-2026", "NEW"),
        ("07700900002", NEVER, "18-11-2026", "PORT"),
        ("07700900003", NEVER, "18-11-2026", "MOVE"),
        ("07700900004", NEVER, "18-11-2026", "?"),
    ];
    let report = export.take(with("BEGUN", &rows)).await.unwrap();
    assert_eq!(report.unmapped_kinds, 1);
    let began = (at("2026-11-18T00:00:00Z"), at("2026-11-19T00:00:00Z"));
    for signal in [Signal::NumberRecycling, Signal::Tenure] {
        let new = export.change(1, signal).await.unwrap().changed_in.unwrap();
        assert_eq!((new.after(), new.before()), began, "{signal}");
        for last in [2, 3] {
            let told = export.change(last, signal).await.unwrap();
            let since = (told.changed_in, told.monitored_since);
            assert_eq!(since, (None, Some(began.1)), "{last} {signal}");
        }
        let unknown = export.change(4, signal).await;
        assert_eq!(unknown, Err(Reason::NotAvailable), "{signal}");
    }
}

#[tokio::test]
async fn a_port_is_a_swap_of_the_sim_and_another_contract_is_none() {
    let export = Export::new("", &format!("{PLAIN}{BEGINS}"));
    let rows = [
        ("07700900001", NEVER, "18-11-2026", "PORT"),
        ("07700900002", NEVER, "18-11-2026", "MOVE"),
        ("07700900003", "15-07-2020", "18-11-2026", "MOVE"),
        ("07700900004", "15-07-2020", "18-11-2026", "PORT"),
    ];
    export.take(with("BEGUN", &rows)).await.unwrap();
    for last in [1, 4] {
        let ported = export.change(last, Signal::SimSwap).await.unwrap();
        let within = ported.changed_in.unwrap();
        assert_eq!(within.after(), at("2026-11-18T00:00:00Z"), "{last}");
        assert_eq!(ported.kind, Some(SwapKind::PortIn), "{last}");
    }
    // Of its card it is not told what was before.
    let moved = export.change(2, Signal::SimSwap).await.unwrap();
    let since = Some(at("2026-11-19T00:00:00Z"));
    assert_eq!((moved.changed_in, moved.monitored_since), (None, since));
    let moved = export.change(3, Signal::SimSwap).await.unwrap();
    let within = moved.changed_in.unwrap();
    assert_eq!(within.after(), at("2020-07-14T23:00:00Z"));
}

#[tokio::test]
async fn without_a_column_of_beginnings_a_sim_that_was_ported_in_on_the_day_tells_it() {
    let kind =
        "sim_change_kind = { name = \"KIND\", values = { P = \"port_in\", R = \"replacement\" } }";
    let export = Export::new("", &format!("{PLAIN}{kind}\n"));
    let rows = [
        ("07700900001", "18-11-2026", "18-11-2026", "P"),
        ("07700900002", "18-11-2026", "18-11-2026", "R"),
        ("07700900003", "18-11-2026", "17-11-2026", "P"),
    ];
    export.take(with("KIND", &rows)).await.unwrap();
    let changed = async |last| {
        let told = export.change(last, Signal::NumberRecycling).await.unwrap();
        told.changed_in.is_some()
    };
    assert!(!changed(1).await, "porting is not recycling");
    assert!(changed(2).await);
    assert!(changed(3).await);
}

#[test]
fn how_a_line_began_is_read_where_it_is_read_when() {
    let (before, _) = PLAIN.split_once("activated_at").unwrap();
    let config = format!(
        "directory = \".\"\nfile_name = \"s.csv\"\nencoding = \"utf-8\"\n{BASE}{before}{BEGINS}"
    );
    let config: CsvConfig = toml::from_str(&config).unwrap();
    let clock = ManualClock::at(NOW.parse().unwrap());
    let error = format!("{:?}", CsvExport::open(config, clock).unwrap_err());
    assert!(error.contains("columns.begin_reason"), "{error}");
}
