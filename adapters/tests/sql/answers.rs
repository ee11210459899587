//! What a customer database is taken to say.

use accord_adapters::conformance;
use accord_proto::clock::SystemClock;
use accord_proto::observation::{SourceClass, SwapKind};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use jiff::{SignedDuration, Timestamp};

use super::rig::{Rig, all, ask, change, days, number};

/// 001 had its SIM replaced 2 hours ago; 002 got an eSIM; 003 was ported in; 004 belonged to
/// another before; 005 went over within a family; 006 was registered once more; 007 has ended; 008
/// has two holders at once; 009 has the reason `???`; 010 has nothing but its number.
const SUBSCRIBERS: &str = "
insert into subscription (msisdn, begun, ended, begun_by, sim_at, sim_why, device_at) values
('447700900001', now() - '1000 d'::interval, null, 'NEW', now() - '2 h'::interval, 'REPL', null),
('447700900002', now() - '1000 d'::interval, 'infinity', 'NEW', now() - '30 h'::interval, 'ESIM',
    '2026-10-25 01:30:00'),
('447700900003', now() - '90 d'::interval, null, 'PORTIN', null, null, null),
('447700900004', now() - '2000 d'::interval, now() - '400 d'::interval, 'NEW', null, null, null),
('447700900004', now() - '40 d'::interval, null, 'NEW', null, null, null),
('447700900005', now() - '2000 d'::interval, now() - '100 d'::interval, 'NEW', null, null, null),
('447700900005', now() - '100 d'::interval, null, 'FAMILY', null, null, null),
('447700900006', now() - '2000 d'::interval, now() - '100 d'::interval, 'NEW', null, null, null),
('447700900006', now() - '100 d'::interval, null, 'PREPAID', null, null, null),
('447700900007', now() - '2000 d'::interval, now() - '1 h'::interval, 'NEW', null, null, null),
('447700900008', now() - '2000 d'::interval, null, 'NEW', null, null, null),
('447700900008', now() - '20 d'::interval, null, 'NEW', null, null, null),
('447700900009', now() - '50 d'::interval, null, '???', now() - '9 d'::interval, '???', null),
('447700900010', null, null, null, null, null, null);
";

#[tokio::test]
#[ignore = "needs postgresql"]
async fn swaps_holders_and_devices_follow_from_the_subscriptions() {
    let rig = Rig::start().await;
    rig.run(SUBSCRIBERS).await;
    let source = rig.source("");

    let swapped = ask(&source, 1, Signal::SimSwap).await.unwrap();
    assert_eq!(swapped.source, SourceClass::Billing);
    assert_eq!(change(&swapped).kind, Some(SwapKind::Replacement));
    let within = change(&swapped).changed_in.unwrap();
    let age = swapped.observed_at.duration_since(within.before());
    assert_eq!(age.as_secs() / 60, 120, "to the minute");
    let esim = ask(&source, 2, Signal::SimSwap).await.unwrap();
    assert_eq!(change(&esim).kind, Some(SwapKind::Esim));

    // A port is a swap, and no change of holder.
    let ported = ask(&source, 3, Signal::SimSwap).await.unwrap();
    assert_eq!(change(&ported).kind, Some(SwapKind::PortIn));
    assert_eq!(days(&ported), Some(90));
    let ported = change(&ask(&source, 3, Signal::NumberRecycling).await.unwrap());
    assert_eq!(ported.changed_in, None);
    assert!(ported.monitored_since.is_some());

    for (last, held) in [(1, 1000), (4, 40), (5, 100), (6, 2000)] {
        for signal in [Signal::NumberRecycling, Signal::Tenure] {
            let told = ask(&source, last, signal).await.unwrap();
            assert_eq!(days(&told), Some(held), "{last} {signal}");
        }
    }

    let reasons = [
        (7, Reason::UnknownNumber),
        (8, Reason::Contradicted),
        (11, Reason::UnknownNumber),
    ];
    for (last, reason) in reasons {
        for (_, said) in all(&source, number(last)).await.signals {
            assert_eq!(said, Err(reason), "{last}");
        }
    }

    // Unlisted texts are counted and not guessed.
    let odd = ask(&source, 9, Signal::SimSwap).await.unwrap();
    assert_eq!((days(&odd), change(&odd).kind), (Some(9), None));
    assert_eq!(
        ask(&source, 9, Signal::Tenure).await,
        Err(Reason::NotAvailable)
    );
    assert!(
        source
            .oddities()
            .iter()
            .any(|(column, ..)| *column == "columns.begin_reason")
    );

    // Nothing recorded is not *never*.
    assert_eq!(
        ask(&source, 10, Signal::SimSwap).await,
        Err(Reason::NotWatched)
    );
    assert_eq!(
        ask(&source, 10, Signal::Tenure).await,
        Err(Reason::NotAvailable)
    );
    // A local time that was twice: 01:30 BST and 01:30 GMT.
    let device = change(&ask(&source, 2, Signal::DeviceSwap).await.unwrap());
    let within = device.changed_in.unwrap();
    assert_eq!(within.after(), "2026-10-25T00:30:00Z".parse().unwrap());
    assert_eq!(within.before(), "2026-10-25T01:30:00Z".parse().unwrap());

    for last in 1..=11 {
        let limit = std::time::Duration::from_secs(10);
        let examined = conformance::examine(&source, number(last), limit, &SystemClock).await;
        assert!(examined.faults.is_empty(), "{last}: {:?}", examined.faults);
    }
    assert_eq!(source.fault(), None);
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_device_is_known_from_the_beginning_of_the_holders_line_and_not_from_before() {
    let rig = Rig::start().await;
    rig.run(SUBSCRIBERS).await;
    let source = rig.source("");
    // It may have begun today.
    assert_eq!(
        ask(&source, 10, Signal::DeviceSwap).await,
        Err(Reason::NotAvailable)
    );
    // A device is known since the line began, and not from before: 006 has its holder of 2,000 days.
    let history: Timestamp = "2020-01-01T00:00:00Z".parse().unwrap();
    for (last, began) in [(3, 90), (4, 40), (5, 100), (6, 2000)] {
        let told = ask(&source, last, Signal::DeviceSwap).await.unwrap();
        let ago = SignedDuration::from_hours(began * 24);
        let began = (told.observed_at - ago).max(history);
        let since = change(&told).monitored_since.unwrap();
        assert_eq!(change(&told).changed_in, None, "{last}");
        assert!(
            began.duration_since(since).abs() < SignedDuration::from_mins(5),
            "{last}"
        );
    }
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn absurd_dates_are_not_believed_and_say_which_column() {
    let rig = Rig::start().await;
    rig.run(
        "insert into subscription (msisdn, begun, begun_by, sim_at) values
        ('447700900001', '2020-01-01', 'NEW', '1900-01-01'),
        ('447700900002', '2020-01-01', 'NEW', '9999-12-31'),
        ('447700900003', '2020-01-01', 'NEW', 'infinity'),
        ('447700900004', '2020-01-01', 'NEW', now() + interval '1 day'),
        ('447700900005', '2020-01-01', 'NEW', '4713-01-01 BC'),
        ('447700900006', '2020-01-01', 'NEW', '294276-12-31'),
        ('447700900007', '9999-12-31', 'NEW', null)",
    )
    .await;
    let source = rig.source("");
    for last in 1..=6 {
        let said = ask(&source, last, Signal::SimSwap).await;
        assert_eq!(said, Err(Reason::NotAvailable), "{last}");
        // The other columns are as good as ever.
        assert!(ask(&source, last, Signal::Tenure).await.is_ok(), "{last}");
    }
    assert_eq!(
        ask(&source, 7, Signal::Tenure).await,
        Err(Reason::NotAvailable)
    );
    let oddities = source.oddities();
    let sim: u64 = oddities
        .iter()
        .filter(|(column, ..)| *column == "sim_changed_at")
        .map(|(_, _, count)| count)
        .sum();
    assert_eq!(sim, 6, "{oddities:?}");

    // What the operator says is a sentinel is one.
    let source = rig.source("never = [\"1900-01-01\"]");
    let first = ask(&source, 1, Signal::SimSwap).await.unwrap();
    assert_eq!(change(&first).kind, Some(SwapKind::NewLine));
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_row_holds_no_longer_than_its_own_column_says() {
    let rig = Rig::start().await;
    rig.run(
        "insert into subscription (msisdn, begun, begun_by, sim_at) values
        ('447700900001', now() - interval '9 d', 'NEW', now() - interval '20 h'),
        ('447700900002', now() - interval '9 d', 'NEW', now() - interval '1 h');
        drop view accord.subscriber;
        create view accord.subscriber as select *, now() - interval '5 h' as refreshed
        from public.subscription; grant select on accord.subscriber to accord_reader",
    )
    .await;
    let source = rig.source(
        "columns = { sim_changed_at = \"sim_at\", activated_at = \"begun\", observed_at = \"refreshed\" }",
    );
    let told = ask(&source, 1, Signal::SimSwap).await.unwrap();
    let clock: &dyn accord_proto::clock::Clock = &SystemClock;
    let age = clock.now().duration_since(told.observed_at);
    assert_eq!(age.as_secs() / 3_600, 5);
    // A change after the table was filled can't be in it.
    assert_eq!(
        ask(&source, 2, Signal::SimSwap).await,
        Err(Reason::NotAvailable)
    );
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn text_of_another_encoding_is_converted_or_counted() {
    // The server converts what it knows the encoding of.
    let latin = Rig::encoded("LATIN1").await;
    latin
        .run(
            "insert into subscription (msisdn, begun, begun_by, sim_at, sim_why) values
            ('447700900001', '2020-01-01', 'NEW', '2024-01-01', 'défectueuse')",
        )
        .await;
    let reasons = "reasons = { \"défectueuse\" = \"replacement\" }";
    let told = ask(&latin.source(reasons), 1, Signal::SimSwap)
        .await
        .unwrap();
    assert_eq!(change(&told).kind, Some(SwapKind::Replacement));
    drop(latin);

    // Of SQL_ASCII it knows nothing, and sends nothing that is no UTF-8.
    let ascii = Rig::encoded("SQL_ASCII").await;
    ascii
        .run(
            "insert into subscription (msisdn, begun, begun_by, sim_at, sim_why) values
            ('447700900001', '2020-01-01', 'NEW', '2024-01-01',
            convert_from('\\x64e966', 'SQL_ASCII'))",
        )
        .await;
    let source = ascii.source(reasons);
    let told = ask(&source, 1, Signal::SimSwap).await;
    assert_eq!(told, Err(Reason::NotAvailable));
    assert_eq!(
        source.fault(),
        None,
        "that number's fault, and not the source's"
    );
    assert_eq!(source.oddities(), [("query", "encoding", 1)]);
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn numbers_are_asked_for_as_the_source_writes_them() {
    let rig = Rig::start().await;
    rig.run(
        "insert into subscription (msisdn, begun, begun_by) values
        ('07700900001', '2020-01-01', 'NEW'), ('+447700900002', '2020-01-01', 'NEW')",
    )
    .await;
    let national = rig
        .source("number = { form = \"national\", country_code = \"44\", national_prefix = \"0\" }");
    assert!(ask(&national, 1, Signal::Tenure).await.is_ok());
    let french = accord_proto::msisdn::Msisdn::parse("+33639980001").unwrap();
    for (_, said) in all(&national, french).await.signals {
        assert_eq!(said, Err(Reason::UnknownNumber));
    }
    let plus = rig.source("number = { form = \"plus\" }");
    assert!(ask(&plus, 2, Signal::Tenure).await.is_ok());
}
