//! PostgreSQL: the source beside a prepared statement on as many connections, as `psql` has it: a
//! question waits until the one before it on its connection is answered. The source does so too, or
//! one slow question would hold up those behind it. What it would gain otherwise is shown beside it:
//! the same statement on the same connections, whose questions don't wait.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use accord_adapters::{
    csv_export::fixture::number,
    source::Source as _,
    sql::{
        SqlConfig, SqlSource,
        testing::{RealPostgres, TestingError},
    },
};
use accord_proto::{clock::SystemClock, msisdn::Msisdn, signal::Signal};
use jiff::Timestamp;
use tokio::{sync::Semaphore, time::Instant};
use tokio_postgres::{Client, Config, NoTls, Statement};

use super::{
    IN_FLIGHT, SourceLine, SourcesPlan,
    hlr::{answered, wrong},
    load::{asked, compare},
};
use crate::bench::BenchError;

const SUBSCRIBERS: u64 = 1_000;
const DEADLINE: Duration = Duration::from_secs(5);
const SIGNALS: [Signal; 1] = [Signal::SimSwap];
/// What the source has by default.
const CONNECTIONS: usize = 4;
const USER: &str = "accord_reader";
const PASSWORD: &str = "reader of a benchmark";

/// What `docs/operators/sql.md` has an operator make.
const SCHEMA: &str = "
create table subscription (id bigserial primary key, msisdn text not null, begun timestamptz,
    ended timestamptz, begun_by text, sim_at timestamptz, sim_why text);
create index on subscription (msisdn);
create schema accord;
create view accord.subscriber as
    select id, msisdn, begun, ended, begun_by, sim_at, sim_why from public.subscription;
create role accord_reader login password 'reader of a benchmark';
grant usage on schema accord to accord_reader;
grant select on accord.subscriber to accord_reader;
";

/// The inner error: the system can't be started here.
pub(super) async fn measure(
    plan: SourcesPlan,
    dir: &Path,
) -> Result<Result<Vec<SourceLine>, String>, BenchError> {
    fs::create_dir_all(dir).map_err(BenchError::io("make", dir))?;
    let server = match RealPostgres::start("UTF8").await {
        Ok(server) => server,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let filled = fill(&server).await;
    filled.map_err(|error| wrong("PostgreSQL", &error))?;
    let source = Arc::new(source(&server, dir)?);
    let of_source = asked(source, |source, number| async move {
        let told = source.observe(subscriber(number)?, &SIGNALS, Instant::now() + DEADLINE);
        answered("the SQL source", &told.await.signals)
    });
    let bare = connect(&server).await;
    let bare = Arc::new(bare.map_err(|error| wrong("a bare client of PostgreSQL", &error))?);
    let waiting = asked(Arc::clone(&bare), |bare, number| async move {
        bare.ask_in_turn(number).await
    });
    let pipelined = asked(bare, |bare, number| async move {
        let at = usize::try_from(number).unwrap_or(0) % CONNECTIONS;
        bare.get(at)?.ask(number).await
    });
    let mut lines = Vec::new();
    for in_flight in IN_FLIGHT {
        let names = ("SQL, SIM swap", "prepared statement");
        lines.push(compare(plan, names, in_flight, (&of_source, &waiting), true).await?);
    }
    let names = ("SQL, SIM swap", "the same, pipelined");
    let [.., most] = IN_FLIGHT;
    lines.push(compare(plan, names, most, (&of_source, &pipelined), false).await?);
    Ok(Ok(lines))
}

async fn fill(server: &RealPostgres) -> Result<(), TestingError> {
    let admin = server.admin().await?;
    admin.batch_execute(SCHEMA).await?;
    let insert = "insert into subscription (msisdn, begun, begun_by, sim_at, sim_why) \
        select '99907' || lpad(n::text, 5, '0'), now() - interval '900 days', 'NEW', \
        now() - interval '90 days', 'REPL' from generate_series(0, $1::int - 1) n";
    let rows = i32::try_from(SUBSCRIBERS).unwrap_or(i32::MAX);
    admin.execute(insert, &[&rows]).await?;
    admin.batch_execute("analyze").await?;
    Ok(())
}

fn source(server: &RealPostgres, dir: &Path) -> Result<SqlSource, BenchError> {
    let password = dir.join("password");
    fs::write(&password, PASSWORD).map_err(BenchError::io("write", &password))?;
    let config = format!(
        r#"host = "127.0.0.1"
port = {}
database = "crm"
user = "{USER}"
password_file = {password:?}
query = "select * from accord.subscriber where msisdn = $1"
time_zone = "Europe/London"
number = {{ form = "international" }}
connections = {CONNECTIONS}
columns = {{ sim_changed_at = "sim_at", sim_change_reason = "sim_why", activated_at = "begun", ceased_at = "ended", begin_reason = "begun_by" }}
reasons = {{ REPL = "replacement" }}
begins = {{ NEW = "new_line" }}
"#,
        server.port(),
    );
    let config: Result<SqlConfig, _> = toml::from_str(&config);
    let config = config.map_err(|error| wrong("the SQL source", &error))?;
    let source = SqlSource::open(&config, SystemClock::shared());
    source.map_err(|error| wrong("the SQL source", &error))
}

/// The operator's query, prepared, on each of the connections.
struct Bare {
    connections: Vec<Connection>,
    /// Where questions wait: those that wait for no answer, as the usual pools keep them.
    idle: Mutex<Vec<usize>>,
    permits: Semaphore,
}

struct Connection {
    client: Client,
    statement: Statement,
}

async fn connect(server: &RealPostgres) -> Result<Bare, tokio_postgres::Error> {
    let mut connections = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let mut config = Config::new();
        config.host("127.0.0.1").port(server.port()).dbname("crm");
        config.user(USER).password(PASSWORD);
        let (client, connection) = config.connect(NoTls).await?;
        // It ends with the client.
        tokio::spawn(connection);
        let query = "select sim_at, sim_why from accord.subscriber where msisdn = $1";
        let statement = client.prepare(query).await?;
        connections.push(Connection { client, statement });
    }
    Ok(Bare {
        connections,
        idle: Mutex::new((0..CONNECTIONS).collect()),
        permits: Semaphore::new(CONNECTIONS),
    })
}

fn gone() -> BenchError {
    BenchError::Child {
        what: "bare client",
    }
}

impl Bare {
    fn get(&self, at: usize) -> Result<&Connection, BenchError> {
        self.connections.get(at).ok_or_else(gone)
    }

    /// On the connection that was used last, of those that wait for no answer.
    async fn ask_in_turn(&self, number: u64) -> Result<(), BenchError> {
        let _permit = self.permits.acquire().await.map_err(|_| gone())?;
        let at = self.idle().pop().ok_or_else(gone)?;
        let asked = self.get(at)?.ask(number).await;
        self.idle().push(at);
        asked
    }

    fn idle(&self) -> MutexGuard<'_, Vec<usize>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    async fn ask(&self, number: u64) -> Result<(), BenchError> {
        let digits = subscriber(number)?;
        let digits = digits.expose_digits();
        let row = self.client.query_one(&self.statement, &[&digits]).await;
        let changed = row.and_then(|row| row.try_get::<_, Moment>(0));
        let Moment(changed) = changed.map_err(|error| wrong("a bare client", &error))?;
        match changed > Timestamp::UNIX_EPOCH {
            true => Ok(()),
            false => Err(BenchError::Child { what: "row" }),
        }
    }
}

/// A `timestamptz`: microseconds since the year 2000.
struct Moment(Timestamp);

impl tokio_postgres::types::FromSql<'_> for Moment {
    fn from_sql(
        _: &tokio_postgres::types::Type,
        raw: &[u8],
    ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        let micros = i64::from_be_bytes(raw.try_into()?);
        let since = jiff::SignedDuration::from_micros(micros);
        Ok(Self(Timestamp::new(946_684_800, 0)?.checked_add(since)?))
    }

    fn accepts(ty: &tokio_postgres::types::Type) -> bool {
        *ty == tokio_postgres::types::Type::TIMESTAMPTZ
    }
}

fn subscriber(row: u64) -> Result<Msisdn, BenchError> {
    number(row % SUBSCRIBERS).map_err(|error| wrong("a number", &error))
}
