//! A database that is not as it was said to be: each fault has its name, and the bank a reason.

use accord_adapters::source::{Condition, Source as _};
use accord_adapters::sql::{SqlFault, SqlSource};
use accord_proto::clock::{ManualClock, SystemClock};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use jiff::SignedDuration;

use super::rig::{Rig, ask, change};

const ONE: &str = "insert into subscription (msisdn, begun, begun_by, sim_at, sim_why)
    values ('447700900001', '2020-01-01', 'NEW', '2024-01-01', 'REPL')";

/// The name of what is wrong, and what a bank is told.
async fn wrong(rig: &Rig, more: &str) -> (&'static str, Reason) {
    let source = rig.source(more);
    let told = ask(&source, 1, Signal::SimSwap).await.unwrap_err();
    let fault = source.fault().unwrap();
    assert!(!fault.to_string().contains("447700900001"), "{fault}");
    // A probe finds the same, for `accord-adapter check`. It may have to wait for its turn.
    let probed = source.probe().await.unwrap_err();
    assert_eq!(probed.name(), fault.name(), "{more}");
    (fault.name(), told)
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn whatever_is_set_up_wrongly_has_a_name() {
    let rig = Rig::start().await;
    rig.run(ONE).await;
    std::fs::write(rig.dir.path().join("other"), "wrong").unwrap();
    let other = format!("password_file = {:?}", rig.dir.path().join("other"));
    let absent = format!("password_file = {:?}", rig.dir.path().join("absent"));
    for (more, name) in [
        (other.as_str(), "wrong_credentials"),
        (absent.as_str(), "no_password"),
        ("user = \"nobody_knows\"", "wrong_credentials"),
        ("database = \"billing\"", "no_database"),
        (
            "query = \"select * from accord.absent where msisdn = $1\"",
            "schema",
        ),
        (
            "query = \"select * from public.subscription where msisdn = $1\"",
            "forbidden",
        ),
        ("query = \"selekt\"", "schema"),
        ("query = \"select * from accord.subscriber\"", "schema"),
        ("columns = { sim_changed_at = \"sim_from\" }", "schema"),
        ("columns = { sim_changed_at = \"sim_why\" }", "column_type"),
        (
            "query = \"select * from accord.subscriber where id = $1\"",
            "column_type",
        ),
        ("user = \"admin\"", "wrong_credentials"),
        ("port = 1", "unreachable"),
    ] {
        assert_eq!(
            wrong(&rig, more).await,
            (name, Reason::SourceDown),
            "{more}"
        );
    }
    // The value that does not fit is a subscriber's number: it must not be in the message.
    rig.run(
        "create view accord.numbers as select 1::bigint as msisdn, now() as sim_at;
        grant select on accord.numbers to accord_reader",
    )
    .await;
    let cast =
        "query = \"select sim_at from accord.numbers where msisdn = ($1::text || 'x')::bigint\"
columns = { sim_changed_at = \"sim_at\" }";
    let (name, reason) = wrong_when_asked(&rig, cast).await;
    assert_eq!((name, reason), ("failed", Reason::SourceDown));
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_password_that_is_not_given_or_is_empty_is_named() {
    let rig = Rig::start().await;
    let mut config = rig.config("");
    config.password_file = None;
    let source = SqlSource::open(&config, SystemClock::shared()).unwrap();
    let said = source.probe().await.unwrap_err();
    assert_eq!(said.name(), "wrong_credentials", "{said}");
    assert!(said.to_string().contains("asks for a password"), "{said}");
    let empty = rig.dir.path().join("empty");
    std::fs::write(&empty, "\n").unwrap();
    let said = rig.source(&format!("password_file = {empty:?}"));
    let said = said.probe().await.unwrap_err().to_string();
    assert!(said.ends_with("empty` is empty"), "{said}");
}

/// A database that answers, and whose changes can't be followed.
#[tokio::test]
#[ignore = "needs postgresql"]
async fn changes_that_cannot_be_followed_are_told_beside_answers_that_are_good() {
    let rig = Rig::start().await;
    rig.run(ONE).await;
    let changes = |at: &str| {
        let bookmark = rig.dir.path().join("bookmark");
        format!(
            "changes = {{ query = \"select msisdn, changed_at, device_at, id from accord.subscriber\", \
             bookmark_file = {bookmark:?}, msisdn = \"msisdn\", changed_at = \"{at}\", id = \"id\" }}"
        )
    };
    let good = rig.source(&changes("changed_at"));
    assert_eq!(good.try_out().await, Ok(()));
    for (at, name) in [("absent", "schema"), ("device_at", "column_type")] {
        let source = rig.source(&changes(at));
        assert_eq!(source.try_out().await.unwrap_err().name(), name);
        // What is asked is answered, and that does not hide it.
        assert!(ask(&source, 1, Signal::SimSwap).await.is_ok());
        let state = source.state();
        assert_eq!(state.condition, Condition::Unusable);
        assert!(state.why.starts_with("`changes`: "), "{}", state.why);
        assert_eq!(source.fault().unwrap().name(), name);
    }
}

/// As [`wrong`], where only an ask finds it.
async fn wrong_when_asked(rig: &Rig, more: &str) -> (&'static str, Reason) {
    let source = rig.source(more);
    let told = ask(&source, 1, Signal::SimSwap).await.unwrap_err();
    let fault = source.fault().unwrap();
    assert!(!fault.to_string().contains("447700900001"), "{fault}");
    (fault.name(), told)
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_role_that_could_write_is_refused() {
    let rig = Rig::start().await;
    rig.run(ONE).await;
    assert!(ask(&rig.source(""), 1, Signal::SimSwap).await.is_ok());
    for (grant, revoke) in [
        (
            "grant usage on schema public to accord_reader;
            grant insert on subscription to accord_reader",
            "revoke insert on subscription from accord_reader",
        ),
        (
            "grant update (sim_why) on subscription to accord_reader",
            "revoke update (sim_why) on subscription from accord_reader",
        ),
        (
            "alter role accord_reader superuser",
            "alter role accord_reader nosuperuser",
        ),
    ] {
        rig.run(grant).await;
        assert_eq!(wrong(&rig, "").await.0, "role_can_write", "{grant}");
        // Where the operator insists, its session is read-only all the same.
        let warned = rig.source("writable_role = \"warn\"");
        assert!(ask(&warned, 1, Signal::SimSwap).await.is_ok());
        let writing = "query = \"select nextval('subscription_id_seq'), * from accord.subscriber where msisdn = $1\"
writable_role = \"warn\"";
        if grant.contains("superuser") {
            assert_eq!(wrong_when_asked(&rig, writing).await.0, "failed");
        }
        rig.run(revoke).await;
    }
    assert!(ask(&rig.source(""), 1, Signal::SimSwap).await.is_ok());
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_query_that_takes_too_long_costs_its_time_and_is_cancelled() {
    let rig = Rig::start().await;
    rig.run(ONE).await;
    rig.run(
        "create function accord.slow(text) returns text language sql as
        $$ select $1 from pg_sleep(3600) $$",
    )
    .await;
    let slow = "query = \"select * from accord.subscriber where msisdn = accord.slow($1)\"
request_timeout_ms = 300
connections = 1";
    let source = rig.source(slow);
    // More often than there are connections: none is lost.
    for _ in 0..3 {
        assert_eq!(ask(&source, 1, Signal::SimSwap).await, Err(Reason::Timeout));
    }
    assert_eq!(source.fault(), Some(SqlFault::Timeout));
    super::rig::wait_until("the server to leave off", || async {
        let rows = rig.admin.query(
            "select 1 from pg_stat_activity where application_name = 'accord-adapter' and state = 'active'",
            &[],
        );
        rows.await.unwrap().is_empty()
    })
    .await;

    // A lock that is held is waited for no longer either.
    let mut locking = rig.server.admin().await.unwrap();
    let held = locking.transaction().await.unwrap();
    held.batch_execute("lock table subscription").await.unwrap();
    let source = rig.source("request_timeout_ms = 700");
    assert_eq!(ask(&source, 1, Signal::SimSwap).await, Err(Reason::Timeout));
    held.rollback().await.unwrap();
    super::rig::wait_until("the lock to be gone", || async {
        ask(&source, 1, Signal::SimSwap).await.is_ok()
    })
    .await;
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn more_than_anybody_has_is_neither_read_nor_believed() {
    let rig = Rig::start().await;
    rig.run(ONE).await;
    // A text of 64 MiB: the server sends its beginning only, and it is listed nowhere.
    rig.run("update subscription set sim_why = repeat('x', 67108864)")
        .await;
    let source = rig.source("");
    let told = ask(&source, 1, Signal::SimSwap).await.unwrap();
    assert_eq!(change(&told).kind, None);
    assert_eq!(source.oddities().len(), 1);
    // A number with a hundred thousand subscriptions.
    rig.run(
        "insert into subscription (msisdn, begun, ended, begun_by)
        select '447700900002', '2020-01-01', '2021-01-01', 'NEW' from generate_series(1, 100000)",
    )
    .await;
    assert_eq!(
        ask(&source, 2, Signal::SimSwap).await,
        Err(Reason::NotAvailable)
    );
    assert_eq!(
        source.fault(),
        None,
        "that number's fault, and not the source's"
    );
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_server_whose_clock_is_off_is_not_believed() {
    let rig = Rig::start().await;
    rig.run(ONE).await;
    let clock: &dyn accord_proto::clock::Clock = &SystemClock;
    for (seconds, named) in [(60, true), (-60, true), (1, false), (-1, false)] {
        let here = ManualClock::at(clock.now() + SignedDuration::from_secs(seconds));
        let source = rig.source_at("", here.clone());
        let told = ask(&source, 1, Signal::SimSwap).await;
        if named {
            assert_eq!(told, Err(Reason::SourceDown));
            assert_eq!(source.fault().unwrap().name(), "clock_off");
        } else {
            // Nobody vouches for what is still to come.
            let here: &dyn accord_proto::clock::Clock = &*here;
            assert!(told.unwrap().observed_at <= here.now());
        }
    }
}
