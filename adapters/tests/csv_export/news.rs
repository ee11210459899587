//! What a new file says otherwise is taken back, of whom somebody asked, and nothing else.
use accord_adapters::source::{Source as _, SourceChange};
use accord_proto::signal::Signal;
use tokio::sync::mpsc;

use crate::common::{Export, file};

type Row = (&'static str, &'static str, &'static str);

const SWAPPED: Row = ("07700900001", "15-07-2024", "01-02-2020");
const KEPT: Row = ("07700900002", "15-07-2024", "01-02-2020");
const NOBODY_ASKED: Row = ("07700900003", "15-07-2024", "01-02-2020");
const CEASED: Row = ("07700900004", "15-07-2024", "01-02-2020");
const RECYCLED: Row = ("07700900005", "01-01-1900", "01-02-2020");
const DOUBTED: Row = ("07700900006", "15-07-2024", "01-02-2020");

/// The number's last digits and the signal of each withdrawal that waits, in order.
fn taken_back(changes: &mut mpsc::Receiver<SourceChange>) -> Vec<(String, Signal)> {
    let mut taken = Vec::new();
    while let Ok(change) = changes.try_recv() {
        assert!(change.observation.is_none() && !change.begins);
        let last = change.msisdn.expose_digits().chars().last();
        taken.push((last.unwrap().to_string(), change.signal));
    }
    taken.sort();
    taken
}

/// A file of the same day, made six hours later.
fn later(rows: &[(&str, &str, &str)]) -> String {
    file(rows).replace("2026-11-21 02:30:00", "2026-11-21 08:30:00")
}

fn all(last: &str) -> impl Iterator<Item = (String, Signal)> {
    Signal::ALL
        .iter()
        .map(move |signal| (last.to_owned(), *signal))
}

#[tokio::test]
async fn what_the_next_file_says_otherwise_of_who_was_asked_about_is_taken_back() {
    let export = Export::plain();
    let mut changes = export.source.changes().unwrap();
    let rows = [SWAPPED, KEPT, NOBODY_ASKED, CEASED, RECYCLED, DOUBTED];
    export.take(file(&rows)).await.unwrap();
    for last in [1, 2, 4, 5, 6, 7] {
        // 7 is in no file.
        let _ = export.ask(last, Signal::SimSwap).await;
    }
    assert_eq!(taken_back(&mut changes), []);
    let other = |row: Row, sim, active| (row.0, sim, active);
    let rows = [
        other(SWAPPED, "19-11-2026", SWAPPED.2),
        KEPT,
        other(NOBODY_ASKED, "19-11-2026", NOBODY_ASKED.2),
        // A new line with the number.
        other(RECYCLED, "01-01-1900", "19-11-2026"),
        DOUBTED,
        other(DOUBTED, "19-11-2026", DOUBTED.2),
    ];
    export.take(later(&rows)).await.unwrap();
    let mut expected = vec![("1".to_owned(), Signal::SimSwap)];
    expected.extend(all("4"));
    expected.extend(all("5"));
    // It contradicts itself now, about its holder too.
    expected.extend(all("6"));
    assert_eq!(taken_back(&mut changes), expected);
}

#[tokio::test]
async fn a_file_once_more_or_a_refused_one_takes_nothing_back() {
    let export = Export::plain();
    let mut changes = export.source.changes().unwrap();
    export.take(file(&[SWAPPED])).await.unwrap();
    export.ask(1, Signal::SimSwap).await.unwrap();
    let swapped = (SWAPPED.0, "19-11-2026", SWAPPED.2);
    // Of the same time: refused.
    export.take(file(&[swapped])).await.unwrap_err();
    assert!(export.source.reload_once().await.is_ok());
    assert_eq!(taken_back(&mut changes), []);
    export.take(later(&[swapped])).await.unwrap();
    assert_eq!(
        taken_back(&mut changes),
        [("1".to_owned(), Signal::SimSwap)]
    );
}

#[tokio::test]
async fn a_swap_on_the_day_of_a_file_is_another_interval_in_a_later_file_of_that_day() {
    let export = Export::plain();
    let mut changes = export.source.changes().unwrap();
    // Swapped on the day of the export, before 02:30; a second time on the same day does not show in
    // the cell.
    let today = (SWAPPED.0, "21-11-2026", SWAPPED.2);
    export.take(file(&[today])).await.unwrap();
    export.ask(1, Signal::SimSwap).await.unwrap();
    export.take(later(&[today])).await.unwrap();
    assert_eq!(
        taken_back(&mut changes),
        [("1".to_owned(), Signal::SimSwap)]
    );
}

#[tokio::test]
async fn what_others_said_before_the_first_file_came_is_asked_for_again() {
    let export = Export::plain();
    let mut changes = export.source.changes().unwrap();
    assert!(export.ask(1, Signal::SimSwap).await.is_err());
    export.take(file(&[SWAPPED])).await.unwrap();
    let expected: Vec<_> = all("1").collect();
    assert_eq!(taken_back(&mut changes), expected);
}

#[tokio::test]
async fn nobody_who_follows_is_no_reason_to_stop_reading_files() {
    let export = Export::plain();
    export.take(file(&[SWAPPED])).await.unwrap();
    // More than may wait.
    for last in 1..=500 {
        let _ = export.ask(last, Signal::SimSwap).await;
    }
    let rows: Vec<_> = (1..=500).map(|last| format!("07700900{last:03}")).collect();
    let rows: Vec<_> = rows
        .iter()
        .map(|number| (number.as_str(), "15-07-2024", "01-02-2020"))
        .collect();
    export.take(later(&rows)).await.unwrap();
    assert!(export.ask(500, Signal::SimSwap).await.is_ok());
}
