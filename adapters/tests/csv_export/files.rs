//! Which exports are taken, which are refused, and what stays in force.
use accord_adapters::csv_export::{Refusal, Reload};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use jiff::SignedDuration;

use crate::common::{EXPORTED, Export, HEADER, PLAIN, at, file, refusal, set_written};

const GOOD: (&str, &str, &str) = ("07700900001", "15-07-2026", "01-02-2020");

fn with_complete(complete: &str) -> String {
    PLAIN.replace("by = \"final_newline\"", complete)
}

#[tokio::test]
async fn before_the_first_file_the_source_is_down() {
    let export = Export::plain();
    assert!(matches!(
        export.source.reload_once().await,
        Err(Refusal::Absent)
    ));
    assert_eq!(
        export.ask(1, Signal::SimSwap).await,
        Err(Reason::SourceDown)
    );
}

#[tokio::test]
async fn a_missing_or_renamed_column_refuses_the_file() {
    let export = Export::plain();
    for header in [
        "MSISDN;SIM;EXPORTED",
        "MSISDN;SIM_DATE;ACTIVE;EXPORTED",
        "msisdn;SIM;ACTIVE;EXPORTED",
    ] {
        let text = file(&[GOOD]).replace(HEADER, header);
        let refusal = refusal(&export, text).await;
        assert!(matches!(&refusal, Refusal::Header { .. }), "{refusal}");
    }
    let renamed = file(&[GOOD]).replace("SIM", "SIM_DATE");
    assert_eq!(
        refusal(&export, renamed).await.to_string(),
        "the header lacks `SIM` (of its 4 columns, 1 are not mapped)"
    );
    let twice = file(&[GOOD]).replace("ACTIVE;", "ACTIVE;SIM;");
    assert!(matches!(refusal(&export, twice).await, Refusal::HeaderTwice(name) if name == "SIM"));
}

#[tokio::test]
async fn a_file_without_a_header_does_not_show_its_first_subscriber() {
    let export = Export::plain();
    let text = file(&[GOOD, GOOD]).replace(&format!("{HEADER}\n"), "");
    assert!(matches!(
        refusal(&export, text).await,
        Refusal::Header { .. }
    ));
}

#[tokio::test]
async fn another_encoding_or_delimiter_refuses_the_file() {
    let export = Export::plain();
    let latin = b"MSISDN;SIM;ACTIVE;EXPORTED;NOM\xe9\n";
    assert!(matches!(
        refusal(&export, latin).await,
        Refusal::Encoding(_)
    ));
    let utf_16: Vec<u8> = file(&[GOOD])
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert!(matches!(
        refusal(&export, utf_16).await,
        Refusal::Encoding(_)
    ));
    let comma = file(&[GOOD]).replace(';', ",");
    assert!(matches!(
        refusal(&export, comma).await,
        Refusal::Header { .. }
    ));
}

#[tokio::test]
async fn each_configured_encoding_is_taken() {
    let text = file(&[GOOD])
        .replace("EXPORTED\n", "EXPORTED;NOMÉ\n")
        .replace(":00\n", ":00;é\n");
    let utf_16 = format!("\u{feff}{text}");
    let latin: Vec<u8> = text
        .chars()
        .map(|char| u8::try_from(u32::from(char)).unwrap())
        .collect();
    for (encoding, bytes) in [
        ("utf-8", text.clone().into_bytes()),
        ("utf-8", utf_16.clone().into_bytes()),
        ("windows-1252", latin.clone()),
        ("iso-8859-1", latin),
        (
            "utf-16",
            utf_16.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        ),
        (
            "utf-16be",
            utf_16.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        ),
    ] {
        let export = Export::new(&format!("encoding = {encoding:?}"), PLAIN);
        let report = export.take(bytes).await.unwrap();
        assert_eq!(report.extra_columns, ["NOMÉ"], "{encoding}");
        assert!(export.change(1, Signal::SimSwap).await.is_ok());
    }
}

#[tokio::test]
async fn a_file_cut_off_is_refused() {
    let export = Export::plain();
    let text = file(&[GOOD, GOOD]);
    let cut = text.len() - 5;
    assert!(matches!(
        refusal(&export, text.split_at(cut).0).await,
        Refusal::Partial(_) | Refusal::ExportTime(_)
    ));
    let unended = text.trim_end();
    assert!(matches!(
        refusal(&export, unended).await,
        Refusal::Partial(_)
    ));
    assert!(matches!(refusal(&export, "").await, Refusal::Empty));
    assert!(matches!(
        refusal(&export, format!("{HEADER}\n")).await,
        Refusal::Empty
    ));
}

#[tokio::test]
async fn a_trailer_must_be_there_and_count_right_and_be_last() {
    let export = Export::new("", &with_complete("by = \"trailer\"\ntext = \"END\""));
    let text = file(&[GOOD]);
    assert!(matches!(refusal(&export, &text).await, Refusal::Partial(_)));
    let counted = refusal(&export, format!("{text}END;2\n")).await;
    assert!(matches!(
        counted,
        Refusal::Count {
            found: 1,
            declared: 2
        }
    ));
    let wordy = refusal(&export, format!("{text}END;all\n")).await;
    assert!(matches!(wordy, Refusal::Partial(_)));
    let early = refusal(&export, format!("{HEADER}\nEND;0\n07700900001;;;\n")).await;
    assert!(matches!(early, Refusal::Partial(_)));
    assert_eq!(export.take(format!("{text}END;1")).await.unwrap().rows, 1);
}

#[tokio::test]
async fn a_marker_must_be_there_and_newer_and_count_right() {
    let export = Export::new("", &with_complete("by = \"done_file\""));
    export.put("subscribers.csv", file(&[GOOD]));
    set_written(&export.path("subscribers.csv"), EXPORTED);
    assert!(matches!(
        export.source.reload_once().await,
        Err(Refusal::NotDone)
    ));
    export.put("subscribers.csv.done", "");
    set_written(&export.path("subscribers.csv.done"), "2026-11-20T02:31:00Z");
    let stale = export.source.reload_once().await;
    assert!(matches!(stale, Err(Refusal::NotDone)), "yesterday's marker");
    export.put("subscribers.csv.done", "2\n");
    assert!(matches!(
        export.source.reload_once().await,
        Err(Refusal::Count { .. })
    ));
    assert!(matches!(
        export.source.reload_once().await,
        Ok(Reload::Unchanged)
    ));
    export.put("subscribers.csv", file(&[GOOD, GOOD]));
    export.put("subscribers.csv.done", "2\n");
    assert!(matches!(
        export.source.reload_once().await,
        Ok(Reload::Taken(_))
    ));
}

#[tokio::test]
async fn a_quote_that_is_not_closed_refuses_the_file() {
    let export = Export::new("bad_rows_max = 100", PLAIN);
    let text = file(&[GOOD, GOOD, GOOD]).replacen("07700900001", "\"07700900001", 1);
    assert!(matches!(
        refusal(&export, text).await,
        Refusal::OpenQuote(2)
    ));
}

#[tokio::test]
async fn one_unreadable_row_more_than_allowed_refuses_the_file() {
    let export = Export::new("bad_rows_max = 1", PLAIN);
    let bad = ("07700900002", "yesterday", "01-02-2020");
    assert_eq!(export.take(file(&[GOOD, bad])).await.unwrap().bad_rows, 1);
    let refused = refusal(&export, file(&[bad, GOOD, bad])).await;
    assert_eq!(
        refused.to_string(),
        "more than 1 rows are unreadable; the first: line 2, column `SIM`: is no date of the format"
    );
    assert!(
        export.change(1, Signal::SimSwap).await.is_ok(),
        "the old data stay"
    );
}

#[tokio::test]
async fn one_row_more_than_the_limit_refuses_the_file() {
    let export = Export::new("rows_max = 2", PLAIN);
    for rows in [vec![GOOD; 3], vec![GOOD; 20]] {
        let refused = refusal(&export, file(&rows)).await;
        assert!(matches!(refused, Refusal::TooMany(2)), "{refused}");
    }
    assert_eq!(export.take(file(&[GOOD; 2])).await.unwrap().rows, 2);
    let refused = refusal(&export, file(&[GOOD; 3])).await;
    assert!(matches!(refused, Refusal::TooMany(2)), "{refused}");
}

#[tokio::test]
async fn a_file_that_shrank_is_refused_and_the_old_data_keep_their_time() {
    let export = Export::plain();
    let rows: Vec<String> = (0..100).map(|last| format!("07700900{last:03}")).collect();
    let rows: Vec<_> = rows
        .iter()
        .map(|number| (number.as_str(), GOOD.1, GOOD.2))
        .collect();
    export.take(file(&rows)).await.unwrap();
    export.clock.step(SignedDuration::from_hours(24));
    let later = |rows: &[_]| file(rows).replace("2026-11-21", "2026-11-22");
    let refused = refusal(&export, later(&rows[..89])).await;
    assert!(matches!(
        refused,
        Refusal::Shrunk {
            found: 89,
            before: 100,
            ..
        }
    ));
    let observation = export.ask(99, Signal::SimSwap).await.unwrap();
    assert_eq!(observation.observed_at, at(EXPORTED));
    assert_eq!(export.take(later(&rows[..90])).await.unwrap().rows, 90);
    assert_eq!(
        export.ask(99, Signal::SimSwap).await,
        Err(Reason::UnknownNumber)
    );
}

#[tokio::test]
async fn the_size_of_the_last_file_is_remembered_over_a_restart() {
    let state = tempfile::tempdir().unwrap();
    let state_file = state.path().join("state.json");
    let mut export = Export::new(&format!("state_file = {state_file:?}"), PLAIN);
    export.take(file(&[GOOD; 10])).await.unwrap();
    export.restart();
    let refused = refusal(&export, file(&[GOOD])).await;
    assert!(matches!(refused, Refusal::Shrunk { before: 10, .. }));
    assert_eq!(
        export.ask(1, Signal::SimSwap).await,
        Err(Reason::SourceDown)
    );
}

#[tokio::test]
async fn a_file_from_the_future_waits_and_an_older_one_is_refused() {
    let export = Export::plain();
    export.clock.set(at("2026-11-21T02:00:00Z"));
    let refused = refusal(&export, file(&[GOOD])).await;
    assert!(matches!(refused, Refusal::Future(_)));
    export.clock.set(at("2026-11-21T03:00:00Z"));
    assert!(matches!(
        export.source.reload_once().await,
        Ok(Reload::Taken(_))
    ));
    let older = file(&[GOOD]).replace("2026-11-21", "2026-11-20");
    assert!(matches!(refusal(&export, older).await, Refusal::Older(_)));
    assert_eq!(export.source.report().unwrap().exported_at, at(EXPORTED));
}

#[tokio::test]
async fn the_time_of_the_export_is_one_for_the_whole_file() {
    let export = Export::plain();
    let text = format!("{}07700900002;;;2026-11-21 02:31:00\n", file(&[GOOD]));
    assert!(matches!(
        refusal(&export, text).await,
        Refusal::ExportTime(3)
    ));
}

#[tokio::test]
async fn a_refused_file_is_not_read_again_until_it_changes() {
    let export = Export::plain();
    let bad = file(&[("07700900001", "soon", "")]);
    assert!(matches!(
        refusal(&export, &bad).await,
        Refusal::BadRows { .. }
    ));
    assert!(matches!(
        export.source.reload_once().await,
        Ok(Reload::Unchanged)
    ));
    assert!(export.take(file(&[GOOD])).await.is_ok());
    assert!(matches!(
        export.source.reload_once().await,
        Ok(Reload::Unchanged)
    ));
}

const NAMED: &str = r#"
[exported_at]
from = "file_name"
time = "02:30"

[complete]
by = "final_newline"

[columns]
msisdn = "MSISDN"
sim_changed_at = { name = "SIM", format = "%d-%m-%Y" }
"#;

#[tokio::test]
async fn the_newest_name_counts_and_out_of_order_days_do_not() {
    let export = Export::new("file_name = \"subs-%Y%m%d.csv\"", NAMED);
    let swapped = |date| file(&[("07700900001", date, "")]);
    export.put("subs-20261120.csv", swapped("20-11-2025"));
    export.put("subs-20261119.csv", swapped("19-11-2025"));
    export.put("notes.txt", "nothing");
    let Reload::Taken(report) = export.source.reload_once().await.unwrap() else {
        panic!("not taken");
    };
    assert_eq!(report.exported_at, at("2026-11-20T02:30:00Z"));
    export.put("subs-20261118.csv", swapped("18-11-2025"));
    assert_eq!(
        export.source.reload_once().await.unwrap(),
        Reload::Unchanged
    );
    export.put("subs-20261121.csv", swapped("21-11-2025"));
    assert!(matches!(
        export.source.reload_once().await,
        Ok(Reload::Taken(_))
    ));
    let change = export.change(1, Signal::SimSwap).await.unwrap();
    assert_eq!(
        change.changed_in.unwrap().after(),
        at("2025-11-21T00:00:00Z")
    );
}

#[tokio::test]
async fn at_the_start_yesterdays_file_is_better_than_a_broken_one() {
    let export = Export::new("file_name = \"subs-%Y%m%d.csv\"", NAMED);
    export.put("subs-20261120.csv", file(&[GOOD]));
    export.put("subs-20261121.csv", "garbage");
    assert!(matches!(
        export.source.reload_once().await,
        Ok(Reload::Taken(_))
    ));
    let observed = export.ask(1, Signal::SimSwap).await.unwrap();
    assert_eq!(observed.observed_at, at("2026-11-20T02:30:00Z"));
    assert_eq!(
        export.source.reload_once().await.unwrap(),
        Reload::Unchanged
    );
}

#[tokio::test]
async fn the_watch_takes_a_file_by_itself() {
    let export = Export::new("reload_ms = 10", PLAIN);
    export.put("subscribers.csv", file(&[GOOD]));
    let taken = async {
        while export.source.report().is_none() {
            tokio::task::yield_now().await;
        }
    };
    let watched = async {
        tokio::select! {
            () = export.source.watch() => {}
            () = taken => {}
        }
    };
    let waited = tokio::time::timeout(std::time::Duration::from_secs(10), watched).await;
    assert!(waited.is_ok());
    assert!(export.change(1, Signal::SimSwap).await.is_ok());
}
