//! Two files of the same time, and newer ones that are refused.
use accord_adapters::csv_export::{Refusal, Reload};
use accord_adapters::source::{Condition, Source as _};
use accord_proto::signal::Signal;
use jiff::SignedDuration;

use crate::common::{EXPORTED, Export, PLAIN, at, file};

const ROW: (&str, &str, &str) = ("07700900001", "15-07-2026", "01-02-2020");
const OTHER: (&str, &str, &str) = ("07700900001", "16-07-2026", "01-02-2020");

fn daily() -> Export {
    let tables = PLAIN.replace(
        "from = \"column\"\nname = \"EXPORTED\"\nformat = \"%Y-%m-%d %H:%M:%S\"",
        "from = \"file_name\"\ntime = \"02:30\"",
    );
    Export::new("file_name = \"subs-%Y-%m-%d.csv\"", &tables)
}

async fn swapped_after(export: &Export) -> jiff::Timestamp {
    let change = export.change(1, Signal::SimSwap).await.unwrap();
    change.changed_in.unwrap().after()
}

#[tokio::test]
async fn another_file_of_the_same_time_does_not_replace_the_one_in_force() {
    let export = Export::plain();
    export.take(file(&[ROW])).await.unwrap();
    let error = export.take(file(&[OTHER])).await.unwrap_err();
    assert!(
        matches!(&error, Refusal::SameTime(time) if *time == at(EXPORTED)),
        "{error}"
    );
    assert_eq!(swapped_after(&export).await, at("2026-07-14T23:00:00Z"));
    // It is refused once.
    let again = export.source.reload_once().await;
    assert!(matches!(again, Ok(Reload::Unchanged)), "{again:?}");
    // Corrected under a later time it is taken.
    let corrected = file(&[OTHER]).replace("02:30:00", "02:31:00");
    export.take(corrected).await.unwrap();
    assert_eq!(swapped_after(&export).await, at("2026-07-15T23:00:00Z"));
}

#[tokio::test]
async fn the_same_file_once_more_is_no_news() {
    let export = Export::plain();
    export.take(file(&[ROW])).await.unwrap();
    export.put("subscribers.csv", file(&[ROW]));
    for _ in 0..2 {
        let again = export.source.reload_once().await;
        assert!(matches!(again, Ok(Reload::Unchanged)), "{again:?}");
    }
}

#[tokio::test]
async fn a_day_that_is_delivered_twice_is_refused_the_second_time() {
    let export = daily();
    let name = "subs-2026-11-21.csv";
    export.put(name, file(&[ROW]));
    export.source.reload_once().await.unwrap();
    export.put(name, file(&[OTHER]));
    let error = export.source.reload_once().await.unwrap_err();
    assert!(matches!(error, Refusal::SameTime(_)), "{error}");
    assert_eq!(swapped_after(&export).await, at("2026-07-14T23:00:00Z"));
}

#[tokio::test]
async fn a_day_that_is_there_under_two_names_is_refused_the_second_time() {
    let export = daily();
    export.put("subs-2026-11-9.csv", file(&[ROW]));
    export.source.reload_once().await.unwrap();
    export.put("subs-2026-11-09.csv", file(&[OTHER]));
    let error = export.source.reload_once().await.unwrap_err();
    assert!(matches!(error, Refusal::SameTime(_)), "{error}");
    assert_eq!(swapped_after(&export).await, at("2026-07-14T23:00:00Z"));
}

#[tokio::test]
async fn a_source_stays_behind_as_long_as_a_newer_file_is_refused() {
    let export = daily();
    export.put("subs-2026-11-20.csv", file(&[ROW; 10]));
    export.source.reload_once().await.unwrap();
    export.put("subs-2026-11-21.csv", file(&[("07700900001", "soon", "")]));
    export.source.reload_once().await.unwrap_err();
    for _ in 0..2 {
        let again = export.source.reload_once().await;
        assert!(matches!(again, Ok(Reload::Unchanged)), "{again:?}");
        let state = export.source.state();
        assert_eq!(state.condition, Condition::Behind);
        assert!(state.why.contains("unreadable"), "{}", state.why);
    }
    export.put("subs-2026-11-21.csv", file(&[ROW; 10]));
    export.source.reload_once().await.unwrap();
    assert_eq!(export.source.state().condition, Condition::Up);
}

#[tokio::test]
async fn files_that_simply_do_not_come_leave_the_source_behind() {
    let export = Export::new("old_after_hours = 30", PLAIN);
    export.take(file(&[ROW])).await.unwrap();
    export
        .clock
        .set(at(EXPORTED) + SignedDuration::from_hours(30));
    assert_eq!(export.source.state().condition, Condition::Up);
    export.clock.step(SignedDuration::from_secs(1));
    let state = export.source.state();
    assert_eq!(state.condition, Condition::Behind);
    assert!(state.why.contains("old_after_hours"), "{}", state.why);
}

#[tokio::test]
async fn names_that_lie_in_the_future_hide_no_file_and_are_not_opened() {
    let export = daily();
    export.put("subs-2026-11-21.csv", file(&[ROW]));
    for year in 2090..2099 {
        // Not even readable as an export.
        export.put(&format!("subs-{year}-12-31.csv"), "nothing");
    }
    let taken = export.source.reload_once().await;
    assert!(matches!(taken, Ok(Reload::Taken(_))), "{taken:?}");
    let refused = export.source.reload_once().await.unwrap_err();
    assert!(matches!(refused, Refusal::Future(_)), "{refused}");
    assert_eq!(export.source.state().condition, Condition::Behind);
}
