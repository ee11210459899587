//! What the beginning of a line says of its SIM and its device.
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;

use crate::common::{EXPORTED, Export, PLAIN, at, file};

#[tokio::test]
async fn a_line_begins_with_a_swap_whatever_the_column_of_swaps_says() {
    let export = Export::plain();
    let rows = [
        ("07700900001", "01-01-1900", "18-11-2026"),
        ("07700900002", "15-07-2020", "18-11-2026"),
        ("07700900003", "15-07-2026", "01-02-2020"),
        ("07700900004", "01-01-1900", "N/A"),
        ("07700900005", "15-07-2026", "N/A"),
    ];
    export.take(file(&rows)).await.unwrap();
    for (last, day) in [
        (1, "2026-11-18T00:00:00Z"),
        (2, "2026-11-18T00:00:00Z"),
        (3, "2026-07-14T23:00:00Z"),
        (5, "2026-07-14T23:00:00Z"),
    ] {
        let change = export.change(last, Signal::SimSwap).await.unwrap();
        assert_eq!(change.changed_in.unwrap().after(), at(day), "{last}");
    }
    // Of a line of which it is not known when it began, *never* can't be said.
    let unknown = export.change(4, Signal::SimSwap).await;
    assert_eq!(unknown, Err(Reason::NotAvailable));
}

/// Number, device date and activation date of each row, as [`file`] writes SIM dates.
fn devices() -> String {
    PLAIN.replace("sim_changed_at", "device_changed_at")
}

#[tokio::test]
async fn a_device_is_known_from_the_beginning_of_its_line_and_not_from_before() {
    let devices = devices();
    let whole_life = devices.replace(
        "history_since = \"2015-01-01\"",
        "history_since = \"whole_life\"",
    );
    for (tables, since) in [
        (&devices, Some("2015-01-01T00:00:00Z")),
        (&whole_life, None),
    ] {
        let export = Export::new("", tables);
        let rows = [
            // Never changed: in no device of this line. It began three days ago, or long ago.
            ("07700900001", "01-01-1900", "18-11-2026"),
            ("07700900002", "01-01-1900", "01-02-2010"),
            // In a device of somebody else's, and of its own.
            ("07700900003", "15-07-2020", "18-11-2026"),
            ("07700900004", "15-07-2026", "01-02-2020"),
            // On the day on which it began.
            ("07700900005", "18-11-2026", "18-11-2026"),
            ("07700900006", "01-01-1900", "N/A"),
            ("07700900007", "15-07-2026", "N/A"),
        ];
        export.take(file(&rows)).await.unwrap();
        let began = at("2026-11-19T00:00:00Z");
        for last in [1, 3] {
            let told = export.change(last, Signal::DeviceSwap).await.unwrap();
            assert_eq!(told.changed_in, None, "{last}");
            assert_eq!(told.monitored_since, Some(began), "{last}");
        }
        let old = export.change(2, Signal::DeviceSwap).await.unwrap();
        let since = at(since.unwrap_or("2010-02-02T00:00:00Z"));
        assert_eq!((old.changed_in, old.monitored_since), (None, Some(since)));
        for (last, after, before) in [
            (4, "2026-07-14T23:00:00Z", "2026-07-15T23:00:00Z"),
            (5, "2026-11-18T00:00:00Z", "2026-11-19T00:00:00Z"),
            (7, "2026-07-14T23:00:00Z", "2026-07-15T23:00:00Z"),
        ] {
            let told = export.change(last, Signal::DeviceSwap).await.unwrap();
            let within = told.changed_in.unwrap();
            assert_eq!(
                (within.after(), within.before()),
                (at(after), at(before)),
                "{last}"
            );
        }
        // It may have begun this morning.
        let unknown = export.change(6, Signal::DeviceSwap).await;
        assert_eq!(unknown, Err(Reason::NotAvailable));
        let told = export.ask(1, Signal::DeviceSwap).await.unwrap();
        assert_eq!(told.observed_at, at(EXPORTED));
    }
}

#[tokio::test]
async fn without_a_column_of_beginnings_a_device_is_known_for_as_long_as_its_column_says() {
    let devices = devices();
    let (tables, _) = devices.split_once("activated_at").unwrap();
    let export = Export::new("", tables);
    let rows = [("07700900001", "01-01-1900", "18-11-2026")];
    export.take(file(&rows)).await.unwrap();
    let told = export.change(1, Signal::DeviceSwap).await.unwrap();
    assert_eq!(told.monitored_since, Some(at("2015-01-01T00:00:00Z")));
}
