//! What an accepted export is taken to say.
use accord_adapters::conformance;
use accord_adapters::source::{Source as _, SourceRestrictions};
use accord_proto::observation::{
    Forwarding, ForwardingCondition, ForwardingTarget, Observed, SourceClass, SwapKind,
};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;

use crate::common::{EXPORTED, Export, PLAIN, at, file, number};

#[tokio::test]
async fn a_day_is_an_interval_in_the_zone_of_the_export() {
    let export = Export::plain();
    let rows = [("07700900001", "15-07-2026", "01-02-2020")];
    export.take(file(&rows)).await.unwrap();
    let observation = export.ask(1, Signal::SimSwap).await.unwrap();
    assert_eq!(observation.observed_at, at(EXPORTED));
    assert_eq!(observation.source, SourceClass::Export);
    let change = export.change(1, Signal::SimSwap).await.unwrap();
    let interval = change.changed_in.unwrap();
    assert_eq!(interval.after(), at("2026-07-14T23:00:00Z"), "summer time");
    assert_eq!(interval.before(), at("2026-07-15T23:00:00Z"));
    assert_eq!(change.monitored_since, Some(at("2015-01-01T00:00:00Z")));
    let tenure = export.change(1, Signal::Tenure).await.unwrap();
    assert_eq!(
        tenure.changed_in.unwrap().after(),
        at("2020-02-01T00:00:00Z")
    );
    assert_eq!(
        tenure,
        export.change(1, Signal::NumberRecycling).await.unwrap()
    );
}

#[tokio::test]
async fn a_day_that_was_not_over_at_the_export_ends_with_it() {
    let export = Export::plain();
    let rows = [("07700900001", "21-11-2026", "01-02-2020")];
    export.take(file(&rows)).await.unwrap();
    let change = export.change(1, Signal::SimSwap).await.unwrap();
    let interval = change.changed_in.unwrap();
    assert_eq!(interval.after(), at("2026-11-21T00:00:00Z"));
    assert_eq!(interval.before(), at(EXPORTED));
}

#[tokio::test]
async fn sentinels_mean_what_is_configured_and_nothing_else() {
    let export = Export::plain();
    let rows = [
        ("07700900001", "01-01-1900", "01-01-1900"),
        ("07700900002", "N/A", "01-01-1900"),
        ("07700900003", "", ""),
    ];
    export.take(file(&rows)).await.unwrap();
    let never = export.change(1, Signal::SimSwap).await.unwrap();
    assert_eq!(never.changed_in, None);
    assert_eq!(never.monitored_since, Some(at("2015-01-01T00:00:00Z")));
    for (last, signal, reason) in [
        (2, Signal::SimSwap, Reason::NotAvailable),
        // No `history_since` for the column: *never* is true for an unknown time only.
        (2, Signal::Tenure, Reason::NotWatched),
        (3, Signal::SimSwap, Reason::NotAvailable),
        (3, Signal::Tenure, Reason::NotAvailable),
        (4, Signal::SimSwap, Reason::UnknownNumber),
    ] {
        assert_eq!(
            export.change(last, signal).await,
            Err(reason),
            "{last} {signal}"
        );
    }
}

#[tokio::test]
async fn a_system_that_knows_the_whole_life_says_so() {
    let tables = PLAIN.replace("2015-01-01", "whole_life");
    let export = Export::new("", &tables);
    let rows = [
        ("07700900001", "01-01-1900", "01-02-2020"),
        ("07700900002", "15-07-2026", "01-02-2020"),
    ];
    export.take(file(&rows)).await.unwrap();
    for last in [1, 2] {
        let change = export.change(last, Signal::SimSwap).await.unwrap();
        assert_eq!(change.monitored_since, None);
    }
}

#[tokio::test]
async fn an_unlisted_sentinel_is_not_taken_for_a_date() {
    let export = Export::new("bad_rows_max = 5", PLAIN);
    let rows = [
        ("07700900001", "31-12-1899", "01-02-2020"),
        ("07700900002", "00-00-0000", "01-02-2020"),
        ("07700900003", "31-12-9999", "01-02-2020"),
        ("07700900004", "2026-07-15", "01-02-2020"),
        ("07700900005", "15-07-2026", "01-02-2020"),
    ];
    let report = export.take(file(&rows)).await.unwrap();
    assert_eq!(report.bad_rows, 4);
    assert_eq!(report.bad_cells[0].line, 2);
    assert_eq!(report.bad_cells[0].column, "SIM");
    for last in 1..=4 {
        let answer = export.change(last, Signal::Tenure).await;
        assert_eq!(
            answer,
            Err(Reason::NotAvailable),
            "the whole row is doubtful"
        );
    }
    assert!(export.change(5, Signal::SimSwap).await.is_ok());
    assert_eq!(
        export.change(6, Signal::SimSwap).await,
        Err(Reason::UnknownNumber)
    );
}

#[tokio::test]
async fn absence_proves_nothing_if_a_number_could_not_be_read() {
    let export = Export::new("bad_rows_max = 5", PLAIN);
    let rows = [
        ("07700900001", "15-07-2026", "01-02-2020"),
        ("4.47701E+11", "15-07-2026", "01-02-2020"),
    ];
    export.take(file(&rows)).await.unwrap();
    assert!(export.change(1, Signal::SimSwap).await.is_ok());
    assert_eq!(
        export.change(2, Signal::SimSwap).await,
        Err(Reason::NotAvailable)
    );
}

#[tokio::test]
async fn rows_with_more_or_fewer_cells_are_not_read() {
    let export = Export::new("bad_rows_max = 5", PLAIN);
    let mut text = file(&[("07700900001", "15-07-2026", "01-02-2020")]);
    text.push_str("07700900002;15-07-2026;01-02-2020\n");
    text.push_str("07700900003;;15-07-2026;01-02-2020;2026-11-21 02:30:00\n");
    let report = export.take(text).await.unwrap();
    assert_eq!((report.rows, report.bad_rows), (3, 2));
    for last in [2, 3] {
        let answer = export.change(last, Signal::SimSwap).await;
        assert_eq!(answer, Err(Reason::NotAvailable));
    }
}

#[tokio::test]
async fn identical_rows_are_one_and_differing_rows_contradict() {
    let export = Export::plain();
    let rows = [
        ("07700900001", "15-07-2026", "01-02-2020"),
        ("07700900002", "15-07-2026", "01-02-2020"),
        ("07700900001", "15-07-2026", "01-02-2020"),
        ("+447700900002", "16-07-2026", "01-02-2020"),
    ];
    let report = export.take(file(&rows)).await.unwrap();
    assert_eq!((report.rows, report.numbers), (4, 2));
    assert_eq!((report.identical, report.contradicted), (1, 1));
    assert!(export.change(1, Signal::SimSwap).await.is_ok());
    assert_eq!(
        export.change(2, Signal::SimSwap).await,
        Err(Reason::Contradicted)
    );
    assert_eq!(
        export.change(2, Signal::Tenure).await,
        Err(Reason::Contradicted)
    );
}

const RICH: &str = r#"
[exported_at]
from = "column"
name = "EXPORTED"
format = "%Y-%m-%dT%H:%M:%S%z"

[complete]
by = "final_newline"

[columns]
msisdn = "MSISDN"
sim_changed_at = { name = "SIM", format = "%Y-%m-%d %H:%M" }
sim_change_kind = { name = "KIND", values = { R = "replacement", P = "port_in" } }
activated_at = { name = "ACTIVE", format = "%Y-%m-%d" }
ceased_at = { name = "CEASED", format = "%Y-%m-%d" }
forwarding_unconditional = { name = "CFU", values = { "" = "inactive", VM = "own_voicemail" }, other = "another_number" }
forwarding_busy = { name = "CFB", values = { "0" = "inactive", "1" = "active" } }
opted_out = { name = "OUT", yes = ["Y"], no = ["N", ""] }
swap_locked = { name = "LOCK", yes = ["1"], no = ["0"] }
"#;

const RICH_HEADER: &str = "LOCK;OUT;CFB;CFU;CEASED;ACTIVE;KIND;SIM;NAME;MSISDN;EXPORTED\n";

/// A file of [`RICH`], exported at a time.
fn rich_file(rows: &[&str], at: &str) -> String {
    let at = at.replace('Z', "+0000");
    let rows = rows.iter().map(|row| format!("{row};{at}\n"));
    format!("{RICH_HEADER}{}", rows.collect::<String>())
}

async fn rich(rows: &[&str]) -> Export {
    let export = Export::new("bad_rows_max = 9", RICH);
    export.take(rich_file(rows, EXPORTED)).await.unwrap();
    export
}

#[tokio::test]
async fn columns_may_stand_in_any_order_among_others() {
    let export = rich(&["0;N;0;;;2020-02-01;P;2026-07-15 10:15;Doe;07700900001"]).await;
    let change = export.change(1, Signal::SimSwap).await.unwrap();
    assert_eq!(change.kind, Some(SwapKind::PortIn));
    let interval = change.changed_in.unwrap();
    assert_eq!(
        interval.after(),
        at("2026-07-15T09:15:00Z"),
        "a minute, in its zone"
    );
    assert_eq!(interval.before(), at("2026-07-15T09:16:00Z"));
    assert_eq!(change.monitored_since, Some(interval.after()));
    assert_eq!(export.source.report().unwrap().extra_columns, ["NAME"]);
    assert_eq!(export.source.report().unwrap().exported_at, at(EXPORTED));
}

#[tokio::test]
async fn a_kind_that_is_not_listed_is_no_kind() {
    let export = rich(&["0;N;0;;;2020-02-01;X;2026-07-15 10:15;Doe;07700900001"]).await;
    let change = export.change(1, Signal::SimSwap).await.unwrap();
    assert_eq!(change.kind, None);
    assert_eq!(export.source.report().unwrap().unmapped_kinds, 1);
}

#[tokio::test]
async fn forwarding_says_what_is_active_and_never_that_the_rest_is_not() {
    let export = rich(&[
        "0;N;0;VM;;2020-02-01;;;Doe;07700900001",
        "0;N;1;+447700900999;;2020-02-01;;;Doe;07700900002",
        "0;N;0;;;2020-02-01;;;Doe;07700900003",
        "0;N;2;;;2020-02-01;;;Doe;07700900004",
    ])
    .await;
    let one = |condition, target| Forwarding { condition, target };
    let cfu = ForwardingCondition::Unconditional;
    let observed = export.ask(2, Signal::CallForwarding).await.unwrap().what;
    let another = one(cfu, ForwardingTarget::AnotherNumber);
    let busy = one(ForwardingCondition::Busy, ForwardingTarget::Unknown);
    assert_eq!(observed, Observed::SomeForwarding(vec![another, busy]));
    // Two of four conditions are exported: the others may lead anywhere, so that neither *none* nor
    // *to the own voicemail* is known.
    for last in [1, 3, 4] {
        let answer = export.ask(last, Signal::CallForwarding).await;
        assert_eq!(answer, Err(Reason::NotAvailable));
    }
}

#[tokio::test]
async fn opting_out_covers_each_signal_and_an_unlisted_flag_answers_nothing() {
    let export = rich(&[
        "1;Y;0;;;2020-02-01;R;2026-07-15 10:15;Doe;07700900001",
        "1;N;0;;;2020-02-01;R;2026-07-15 10:15;Doe;07700900002",
        "0;?;0;;;2020-02-01;R;2026-07-15 10:15;Doe;07700900003",
        "0;Y;0;;;garbage;R;2026-07-15 10:15;Doe;07700900004",
    ])
    .await;
    let signals = [Signal::SimSwap, Signal::CallForwarding, Signal::Tenure];
    for (last, opted_out) in [(3, false), (4, true)] {
        let answer = export.all(last, &signals).await;
        assert_eq!((answer.opted_out, answer.customer_lock), (opted_out, false));
        for (signal, observed) in answer.signals {
            assert_eq!(observed, Err(Reason::NotAvailable), "{last} {signal}");
        }
    }
    // What is known of who has opted out is said all the same: a clause may override an opt-out,
    // which the source can't know.
    for (last, opted_out) in [(1, true), (2, false)] {
        let answer = export.all(last, &signals).await;
        assert_eq!((answer.opted_out, answer.customer_lock), (opted_out, true));
        assert!(answer.signals[0].1.is_ok());
    }
}

#[tokio::test]
async fn opt_outs_and_locks_are_told_whole_and_follow_the_export_in_force() {
    assert!(Export::plain().source.restrictions().is_none());
    let export = Export::new("bad_rows_max = 9", RICH);
    let told = export.source.restrictions().unwrap();
    assert!(told.borrow().is_none(), "nothing is known yet");
    let take = async |rows: &[&str], at: &str| export.take(rich_file(rows, at)).await.map(drop);
    let rows = [
        "1;Y;0;;;2020-02-01;R;2026-07-15 10:15;Doe;07700900001",
        "1;N;0;;;2020-02-01;R;2026-07-15 10:15;Doe;07700900002",
        "0;Y;0;;;garbage;R;2026-07-15 10:15;Doe;07700900004",
    ];
    take(&rows, EXPORTED).await.unwrap();
    let expected = SourceRestrictions {
        opted_out: vec![number(1), number(4)],
        swap_locked: vec![number(1), number(2)],
    };
    assert!(told.borrow().as_deref() == Some(&expected));
    // A file that is refused changes nothing.
    assert!(take(&rows[..1], EXPORTED).await.is_err());
    assert!(told.borrow().as_deref() == Some(&expected));
    let rows = [rows[2], rows[2], "0;N;0;;;2020-02-01;;;Doe;07700900001"];
    take(&rows, "2026-11-21T04:00:00Z").await.unwrap();
    let expected = SourceRestrictions {
        opted_out: vec![number(4)],
        swap_locked: Vec::new(),
    };
    assert!(told.borrow().as_deref() == Some(&expected));
}

#[tokio::test]
async fn a_number_that_ended_is_unknown_and_one_that_will_end_is_not() {
    let export = rich(&[
        "0;N;0;;2026-11-01;2020-02-01;R;2026-07-15 10:15;Doe;07700900001",
        "0;N;0;;2026-12-01;2020-02-01;R;2026-07-15 10:15;Doe;07700900002",
    ])
    .await;
    assert_eq!(
        export.change(1, Signal::SimSwap).await,
        Err(Reason::UnknownNumber)
    );
    assert_eq!(
        export.change(1, Signal::Tenure).await,
        Err(Reason::UnknownNumber)
    );
    assert!(export.change(2, Signal::SimSwap).await.is_ok());
}

#[tokio::test]
async fn a_former_holder_does_not_contradict_the_present_one() {
    let export = rich(&[
        "0;N;0;;2025-11-01;2010-02-01;R;2020-07-15 10:15;Doe;07700900001",
        "0;N;0;;;2026-02-01;R;2026-07-15 10:15;Roe;07700900001",
        "0;N;0;;2026-11-01;2010-02-01;R;2020-07-15 10:15;Doe;07700900002",
        "0;N;0;;;2026-02-01;R;2026-07-15 10:15;Roe;07700900002",
    ])
    .await;
    let tenure = export.change(1, Signal::Tenure).await.unwrap();
    assert_eq!(
        tenure.changed_in.unwrap().after(),
        at("2026-02-01T00:00:00Z")
    );
    let overlapping = export.change(2, Signal::Tenure).await;
    assert_eq!(
        overlapping,
        Err(Reason::Contradicted),
        "both held it at once"
    );
    let report = export.source.report().unwrap();
    assert_eq!((report.former, report.contradicted), (1, 1));
}

#[tokio::test]
async fn it_keeps_the_rules_of_every_source() {
    let export = Export::plain();
    let rows = [
        ("07700900001", "15-07-2026", "01-02-2020"),
        ("07700900002", "01-01-1900", "N/A"),
        ("07700900003", "21-11-2026", "21-11-2026"),
    ];
    export.take(file(&rows)).await.unwrap();
    for last in 1..=4 {
        let time = std::time::Duration::from_secs(5);
        let examined =
            conformance::examine(&export.source, number(last), time, &*export.clock).await;
        assert_eq!(examined.faults, Vec::<String>::new(), "{last}");
    }
}
