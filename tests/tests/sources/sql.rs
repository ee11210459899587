//! A swap in an operator's customer database (Debian package `postgresql-15`) reaches a bank's question.

use accord_adapters::sql::testing::RealPostgres;
use accord_client::Value;
use accord_proto::{clock::SystemClock, reason::Reason};
use accord_tests::world::{World, WorldFiles, wait_until};
use tempfile::TempDir;

use super::{asked, spec};

const ONE: &str = "+447700900001";

/// What `docs/operators/sql.md` has an operator make.
const SCHEMA: &str = "
create table subscription (id bigserial primary key, msisdn text not null, begun timestamptz,
    ended timestamptz, begun_by text, sim_at timestamptz, sim_why text,
    changed_at timestamptz not null default now());
create index on subscription (msisdn);
create schema accord;
create view accord.subscriber as
    select id, msisdn, begun, ended, begun_by, sim_at, sim_why, changed_at from public.subscription;
create role accord_reader login password 'reader of a test';
grant usage on schema accord to accord_reader;
grant select on accord.subscriber to accord_reader;
insert into subscription (msisdn, begun, begun_by, sim_at, sim_why)
    values ('447700900001', '2020-01-01', 'NEW', '2020-01-01', 'NEW');
";

fn source(port: u16, password: &std::path::Path) -> String {
    format!(
        r#"kind = "sql"
host = "127.0.0.1"
port = {port}
database = "crm"
user = "accord_reader"
password_file = {password:?}
query = "select * from accord.subscriber where msisdn = $1"
time_zone = "UTC"
number = {{ form = "international" }}
columns = {{ sim_changed_at = "sim_at", sim_change_reason = "sim_why", activated_at = "begun", ceased_at = "ended", begin_reason = "begun_by" }}
reasons = {{ REPL = "replacement", NEW = "new_line" }}
begins = {{ NEW = "new_line" }}
changes = {{ query = "select msisdn, changed_at, id from accord.subscriber", bookmark_file = "north-mobile/sql.bookmark", poll_ms = 200 }}
"#
    )
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_swap_in_the_database_reaches_a_banks_lookup_and_a_database_that_is_gone_is_a_reason() {
    let mut server = RealPostgres::start("UTF8").await.unwrap();
    let admin = server.admin().await.unwrap();
    admin.batch_execute(SCHEMA).await.unwrap();
    let dir = TempDir::new().unwrap();
    let password = dir.path().join("password");
    std::fs::write(&password, "reader of a test").unwrap();
    let spec = spec(source(server.port(), &password));
    let files = WorldFiles::write(&dir.path().join("world"), &spec).unwrap();
    let world = World::start(files, SystemClock::shared()).await.unwrap();
    let client = world.client("first-bank").unwrap();
    let asked = async |number| asked(&client, number).await;
    wait_until("the database to be asked", || async {
        asked(ONE).await == Ok(Value::YesNo(false))
    })
    .await
    .unwrap();
    assert_eq!(asked("+447700900002").await, Err(Reason::UnknownNumber));

    let swap = "update subscription set sim_at = now(), sim_why = 'REPL', changed_at = now()";
    admin.batch_execute(swap).await.unwrap();
    wait_until("the bank to know", || async {
        asked(ONE).await == Ok(Value::YesNo(true))
    })
    .await
    .unwrap();

    server.crash().unwrap();
    wait_until("the database to be missed", || async {
        asked(ONE).await == Err(Reason::SourceDown)
    })
    .await
    .unwrap();
    server.restart().await.unwrap();
    wait_until("the bank to know again", || async {
        asked(ONE).await == Ok(Value::YesNo(true))
    })
    .await
    .unwrap();
}
