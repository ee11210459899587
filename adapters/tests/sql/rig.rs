//! A customer database as `docs/operators/sql.md` sets it up, and a source that reads it.

use std::future::Future;
use std::time::Duration;

use accord_adapters::source::{Observations, Source as _};
use accord_adapters::sql::testing::RealPostgres;
use accord_adapters::sql::{SqlConfig, SqlSource};
use accord_proto::clock::{SharedClock, SystemClock};
use accord_proto::msisdn::Msisdn;
use accord_proto::observation::{Change, Observation, Observed};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_postgres::Client;

pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// The tables of an operator, and what `docs/operators/sql.md` adds to them.
const SCHEMA: &str = "
create table subscription (
    id bigserial primary key,
    msisdn text not null,
    begun timestamptz,
    ended timestamptz,
    begun_by text,
    sim_at timestamptz,
    sim_why text,
    device_at timestamp,
    changed_at timestamptz not null default now());
create index on subscription (msisdn);
create index on subscription (changed_at, id);
create schema accord;
create view accord.subscriber as
    select id, msisdn, begun, ended, begun_by, sim_at, sim_why, device_at, changed_at
    from public.subscription;
create function accord_notify() returns trigger language plpgsql as
    $$ begin perform pg_notify('accord_changes', ''); return null; end $$;
create trigger accord_notify after insert or update or delete on subscription
    for each statement execute function accord_notify();
create role accord_reader login password 'correct horse battery staple';
grant usage on schema accord to accord_reader;
grant select on accord.subscriber to accord_reader;
";

pub(crate) struct Rig {
    pub(crate) server: RealPostgres,
    pub(crate) admin: Client,
    pub(crate) dir: TempDir,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::encoded("UTF8").await
    }

    pub(crate) async fn encoded(encoding: &str) -> Self {
        let server = RealPostgres::start(encoding).await.unwrap();
        let admin = server.admin().await.unwrap();
        admin.batch_execute(SCHEMA).await.unwrap();
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("password"), format!("{PASSWORD}\n")).unwrap();
        Self { server, admin, dir }
    }

    /// The configuration, with some lines replaced or added.
    pub(crate) fn config(&self, more: &str) -> SqlConfig {
        let lines = format!(
            r#"host = "127.0.0.1"
port = {port}
database = "crm"
user = "accord_reader"
password_file = {password:?}
query = "select * from accord.subscriber where msisdn = $1"
time_zone = "Europe/London"
number = {{ form = "international" }}
columns = {{ sim_changed_at = "sim_at", sim_change_reason = "sim_why", device_changed_at = "device_at", activated_at = "begun", ceased_at = "ended", begin_reason = "begun_by" }}
reasons = {{ REPL = "replacement", ESIM = "esim" }}
begins = {{ NEW = "new_line", PORTIN = "port_in", NUMBER = "number_change", FAMILY = "transfer", PREPAID = "re_registration" }}
policy = {{ transfer = "new_holder", re_registration = "same_holder" }}
history = {{ device = "2020-01-01" }}
request_timeout_ms = 2000"#,
            port = self.server.port(),
            password = self.dir.path().join("password"),
        );
        let key = |line: &str| line.split(" = ").next().unwrap().to_owned();
        let replaced: Vec<String> = more.lines().map(key).collect();
        let kept = lines.lines().filter(|line| !replaced.contains(&key(line)));
        let text: Vec<&str> = kept.chain(more.lines()).collect();
        toml::from_str(&text.join("\n")).unwrap()
    }

    pub(crate) fn source(&self, more: &str) -> SqlSource {
        self.source_at(more, SystemClock::shared())
    }

    pub(crate) fn source_at(&self, more: &str, clock: SharedClock) -> SqlSource {
        SqlSource::open(&self.config(more), clock).unwrap()
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.admin.batch_execute(sql).await.unwrap();
    }
}

pub(crate) fn number(last: u16) -> Msisdn {
    Msisdn::parse(&format!("+447700900{last:03}")).unwrap()
}

pub(crate) async fn all(source: &SqlSource, msisdn: Msisdn) -> Observations {
    let deadline = Instant::now() + Duration::from_secs(10);
    source.observe(msisdn, source.signals(), deadline).await
}

pub(crate) async fn ask(
    source: &SqlSource,
    last: u16,
    signal: Signal,
) -> Result<Observation, Reason> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let told = source.observe(number(last), &[signal], deadline).await;
    assert_eq!(told.signals.len(), 1);
    told.signals.into_iter().next().unwrap().1
}

pub(crate) fn change(observation: &Observation) -> Change {
    let Observed::Change(change) = observation.what else {
        panic!("no change: {observation:?}");
    };
    change
}

/// The age of the last change in days, if it is known to the second.
pub(crate) fn days(observation: &Observation) -> Option<i64> {
    let within = change(observation).changed_in?;
    assert_eq!(within.after(), within.before(), "an instant");
    let age = observation.observed_at.duration_since(within.before());
    Some((age.as_secs() + 43_200) / 86_400)
}

/// Polls a condition, for half a minute at most.
pub(crate) async fn wait_until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
