//! One connection: who the adapter is, what the session may do, and whether the server is one
//! whose word can be taken.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use accord_proto::secret::Secret;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::{AsyncMessage, CancelToken, Client, Config, Connection, NoTls, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::config::{SqlConfig, WritableRole};
use super::fault::SqlFault;
use super::plan::{NO_ROW, Plan};
use crate::source::words;
use crate::tls_files;

/// The most bytes of a password file or variable.
const PASSWORD_BYTES_MAX: usize = 4_096;
/// How long the server may be asked to cancel.
const CANCEL_MAX: Duration = Duration::from_secs(1);
/// The session's locks are not waited for for longer.
const LOCK_TIMEOUT_MS: u64 = 500;

/// The time of a standby, asked before the data so that it claims no more than they hold.
const REPLAYED: &str = "select pg_last_xact_replay_timestamp()";

/// How many relations the role could write to; a superuser could write to all of them.
const WRITABLE: &str = "select count(*) from pg_catalog.pg_class c \
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
     where c.relkind in ('r', 'p', 'v', 'm', 'f') \
     and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\\_t%' \
     and pg_catalog.has_schema_privilege(n.oid, 'USAGE') \
     and (pg_catalog.has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE') \
       or pg_catalog.has_any_column_privilege(c.oid, 'INSERT, UPDATE'))";
const SUPERUSER: &str = "select rolsuper from pg_catalog.pg_roles where rolname = current_user";

/// A connection that is ready to be asked. Dropping it closes it at once, whatever the server does.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) client: Client,
    pub(super) lookup: Statement,
    /// What the server is, where the lookup has no row to say so.
    pub(super) no_row: Statement,
    /// What tells how far a standby has replayed; `None` on a primary.
    pub(super) replayed: Option<Statement>,
    task: JoinHandle<()>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Makes connections.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    plan: Arc<Plan>,
}

#[derive(Clone)]
enum Tls {
    Off,
    On(MakeRustlsConnect),
}

impl Connector {
    pub(super) const fn new(plan: Arc<Plan>) -> Self {
        Self { plan }
    }

    /// Connects, prepares, and looks whether role and types are as they must be. `woken` is told
    /// of each notification. The caller bounds the time.
    ///
    /// # Errors
    /// [`SqlFault`] names what is wrong.
    pub(super) async fn connect(
        &self,
        application: &str,
        woken: Option<Arc<Notify>>,
    ) -> Result<Live, SqlFault> {
        let config = &self.plan.config;
        let mut settings = settings(config, self.plan.request_timeout)?;
        settings.application_name(application);
        let (client, task) = match tls(config)? {
            Tls::Off => {
                let (client, connection) = settings.connect(NoTls).await?;
                (client, tokio::spawn(drive(connection, woken)))
            }
            Tls::On(tls) => {
                let (client, connection) = settings.connect(tls).await?;
                (client, tokio::spawn(drive(connection, woken)))
            }
        };
        // From here on a failure must not leave the task behind.
        let half = AbortOnDrop(Some(task));
        client.batch_execute(&self.session()).await?;
        let superuser: bool = client.query_one(SUPERUSER, &[]).await?.try_get(0)?;
        let writable: i64 = client.query_one(WRITABLE, &[]).await?.try_get(0)?;
        if superuser || writable > 0 {
            match config.writable_role {
                WritableRole::Refuse => return Err(SqlFault::RoleCanWrite(writable)),
                WritableRole::Warn => {
                    tracing::warn!(
                        superuser,
                        tables = writable,
                        "the database role could write"
                    );
                }
            }
        }
        let lookup = client.prepare(&self.plan.lookup).await?;
        self.plan.check_types(&lookup)?;
        let no_row = client.prepare(NO_ROW).await?;
        let row = client.query_one(&no_row, &[]).await?;
        let replayed = if row.try_get(1)? {
            Some(client.prepare(REPLAYED).await?)
        } else {
            None
        };
        let task = half.release();
        Ok(Live {
            client,
            lookup,
            no_row,
            replayed,
            task,
        })
    }

    /// What holds for the whole session. The server's own limit is a second one behind the
    /// adapter's: it holds when a cancel request gets lost.
    fn session(&self) -> String {
        let timeout = self.plan.request_timeout.as_millis();
        // Checked to be a zone's name, which has no quotes.
        let zone = &self.plan.config.time_zone;
        format!(
            "set default_transaction_read_only = on; set statement_timeout = {timeout}; \
             set lock_timeout = {LOCK_TIMEOUT_MS}; \
             set idle_in_transaction_session_timeout = {timeout}; set timezone = '{zone}'"
        )
    }

    /// Asks the server, on a connection of its own, to leave off what another is doing.
    pub(super) async fn cancel(&self, token: CancelToken) {
        let cancel = async {
            match tls(&self.plan.config)? {
                Tls::Off => token.cancel_query(NoTls).await?,
                Tls::On(tls) => token.cancel_query(tls).await?,
            }
            Ok::<_, SqlFault>(())
        };
        // Where it can't be asked, its statement timeout does the same.
        let _ = tokio::time::timeout(CANCEL_MAX, cancel).await;
    }
}

struct AbortOnDrop(Option<JoinHandle<()>>);

impl AbortOnDrop {
    fn release(mut self) -> JoinHandle<()> {
        self.0.take().unwrap_or_else(|| tokio::spawn(async {}))
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
        }
    }
}

/// Moves the bytes of a connection until it ends.
async fn drive<S, T>(mut connection: Connection<S, T>, woken: Option<Arc<Notify>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match poll_fn(|cx| connection.poll_message(cx)).await {
            Some(Ok(AsyncMessage::Notification(_))) => {
                if let Some(woken) = &woken {
                    woken.notify_one();
                }
            }
            // A notice may repeat a value, so it is not logged.
            Some(Ok(_)) => {}
            // Whoever waits for an answer is told.
            Some(Err(_)) | None => break,
        }
    }
    // Whoever waits for a notification would wait for ever.
    if let Some(woken) = &woken {
        woken.notify_one();
    }
}

fn settings(config: &SqlConfig, timeout: Duration) -> Result<Config, SqlFault> {
    let mut settings = Config::new();
    settings
        .host(&config.host)
        .port(config.port)
        .dbname(&config.database)
        .user(&config.user)
        .connect_timeout(timeout)
        .keepalives_idle(Duration::from_secs(30));
    settings.ssl_mode(if config.tls.is_some() {
        SslMode::Require
    } else {
        SslMode::Disable
    });
    if let Some(password) = password(config)? {
        settings.password(password.expose());
    }
    Ok(settings)
}

/// Read for each connection, so that it can be changed.
fn password(config: &SqlConfig) -> Result<Option<Secret<String>>, SqlFault> {
    let (text, from) = if let Some(path) = &config.password_file {
        let from = format!("`{}`", path.display());
        let read = std::fs::read_to_string(path);
        let failed = |error| SqlFault::NoPassword(format!("can't read {from}: {error}"));
        (read.map_err(failed)?, from)
    } else if let Some(name) = &config.password_env {
        let from = format!("the variable `{name}`");
        let read = std::env::var(name);
        let failed = |_| SqlFault::NoPassword(format!("{from} is not set"));
        (read.map_err(failed)?, from)
    } else {
        return Ok(None);
    };
    let password = text.trim_end_matches(['\n', '\r']);
    if password.is_empty() {
        return Err(SqlFault::NoPassword(format!("{from} is empty")));
    }
    if password.len() > PASSWORD_BYTES_MAX {
        let rule = format!("{from} has more than {PASSWORD_BYTES_MAX} bytes");
        return Err(SqlFault::NoPassword(rule));
    }
    Ok(Some(Secret::new(password.to_owned())))
}

fn tls(config: &SqlConfig) -> Result<Tls, SqlFault> {
    let Some(files) = &config.tls else {
        return Ok(Tls::Off);
    };
    let identity = files.certificate.as_deref().zip(files.key.as_deref());
    let client = tls_files::client_config(&files.roots, identity);
    let client = client.map_err(|error| SqlFault::Tls(words(&error)))?;
    Ok(Tls::On(MakeRustlsConnect::new(client)))
}
