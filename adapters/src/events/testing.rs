//! A real nats-server for tests, with JetStream on a free port, stopped when dropped. For tests
//! only (`test-util`).

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use async_nats::{
    ConnectOptions,
    jetstream::{
        self,
        consumer::{self, PullConsumer},
        stream::RetentionPolicy,
    },
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::time::Instant;

/// The program, from the Debian package of the same name.
pub const PROGRAM: &str = "nats-server";

/// How long a start may take.
pub const WAIT_MAX: Duration = Duration::from_secs(20);

/// The user of the producer, who may do everything.
pub const PRODUCER: (&str, &str) = ("producer", "producer of a test");

/// The user of the adapter, who may read.
pub const READER: (&str, &str) = ("accord", "reader of a test");

/// What a helper could not do.
#[derive(Debug, thiserror::Error)]
pub enum TestingError {
    /// Files or processes.
    #[error("can't {0}")]
    Io(&'static str, #[source] std::io::Error),
    /// The server did not come up; its log says why.
    #[error("nats-server did not start: {0}")]
    NotStarted(String),
    /// It refused something.
    #[error("nats-server refused: {0}")]
    Refused(String),
}

fn io(doing: &'static str) -> impl Fn(std::io::Error) -> TestingError {
    move |error| TestingError::Io(doing, error)
}

/// A nats-server that runs.
#[derive(Debug)]
pub struct RealNats {
    dir: PathBuf,
    port: u16,
    child: Child,
}

impl RealNats {
    /// Starts one with nothing in it, and its files in `dir`. `tls` is its certificate and key.
    ///
    /// # Errors
    /// [`TestingError`], for example if the package is not installed.
    pub async fn start(dir: &Path, tls: Option<(&Path, &Path)>) -> Result<Self, TestingError> {
        let tls = tls.map_or_else(String::new, |(certificate, key)| {
            format!("tls {{ cert_file: {certificate:?}, key_file: {key:?} }}\n")
        });
        Self::start_with(dir, &tls).await
    }

    /// The same, with TLS, and it wants a certificate of each client that leads to these roots.
    ///
    /// # Errors
    /// [`TestingError`]
    pub async fn start_strict(
        dir: &Path,
        (certificate, key): (&Path, &Path),
        roots: &Path,
    ) -> Result<Self, TestingError> {
        let tls = format!(
            "tls {{ cert_file: {certificate:?}, key_file: {key:?}, ca_file: {roots:?}, \
             verify: true }}\n"
        );
        Self::start_with(dir, &tls).await
    }

    async fn start_with(dir: &Path, tls: &str) -> Result<Self, TestingError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(io("find a port"))?;
        let port = listener.local_addr().map_err(io("find a port"))?.port();
        drop(listener);
        let users = [PRODUCER, READER].map(|(user, password)| {
            // What `docs/operators/events.md` grants.
            let rights = if user == READER.0 {
                ", permissions: { publish: [ \"$JS.API.STREAM.INFO.EVENTS\", \
                 \"$JS.API.CONSUMER.INFO.EVENTS.accord-adapter\", \
                 \"$JS.API.CONSUMER.DELETE.EVENTS.accord-adapter\", \
                 \"$JS.API.CONSUMER.CREATE.EVENTS.accord-adapter\", \
                 \"$JS.API.CONSUMER.CREATE.EVENTS.accord-adapter.>\", \
                 \"$JS.API.CONSUMER.DURABLE.CREATE.EVENTS.accord-adapter\", \
                 \"$JS.API.CONSUMER.MSG.NEXT.EVENTS.accord-adapter\", \
                 \"$JS.ACK.EVENTS.accord-adapter.>\" ], subscribe: [ \"_INBOX.>\" ] }"
            } else {
                ""
            };
            format!("{{ user: {user:?}, password: {password:?}{rights} }}")
        });
        let config = format!(
            "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: {:?} }}\n{tls}\
             authorization {{ users: [ {} ] }}\n",
            dir.join("store"),
            users.join(", ")
        );
        std::fs::write(dir.join("nats.conf"), config).map_err(io("write the configuration"))?;
        let mut server = Self {
            child: spawn(dir)?,
            dir: dir.to_owned(),
            port,
        };
        server.ready().await?;
        Ok(server)
    }

    /// `nats://host:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The producer, connected.
    ///
    /// # Errors
    /// [`TestingError::Refused`]
    pub async fn producer(&self) -> Result<Producer, TestingError> {
        let (user, password) = PRODUCER;
        let options = ConnectOptions::with_user_and_password(user.into(), password.into());
        let client = options.connect(self.url()).await;
        Ok(Producer(jetstream::new(client.map_err(refused)?)))
    }

    /// Kills it and waits for its end.
    ///
    /// # Errors
    /// [`TestingError::Io`]
    pub fn stop(&mut self) -> Result<(), TestingError> {
        let stopped = self.child.kill().and_then(|()| self.child.wait());
        stopped.map(drop).map_err(io("stop nats-server"))
    }

    /// Starts it again with what it has kept, on the same port.
    ///
    /// # Errors
    /// [`TestingError`]
    pub async fn restart(&mut self) -> Result<(), TestingError> {
        self.stop()?;
        self.child = spawn(&self.dir)?;
        self.ready().await
    }

    async fn ready(&mut self) -> Result<(), TestingError> {
        let deadline = Instant::now() + WAIT_MAX;
        while Instant::now() < deadline {
            if self
                .child
                .try_wait()
                .map_err(io("wait for nats-server"))?
                .is_some()
            {
                break;
            }
            let address = (Ipv4Addr::LOCALHOST, self.port);
            if tokio::net::TcpStream::connect(address).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        Err(TestingError::NotStarted(log))
    }
}

/// Who tells events. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Producer(jetstream::Context);

impl Producer {
    /// Makes the stream `EVENTS`, which keeps no more messages than this; -1: all.
    ///
    /// # Errors
    /// [`TestingError::Refused`]
    pub async fn make_stream(&self, messages_max: i64) -> Result<(), TestingError> {
        self.make(messages_max, RetentionPolicy::Limits).await
    }

    /// Makes the stream `EVENTS` as a work queue, which keeps what is not acknowledged.
    ///
    /// # Errors
    /// [`TestingError::Refused`]
    pub async fn make_work_queue(&self) -> Result<(), TestingError> {
        self.make(-1, RetentionPolicy::WorkQueue).await
    }

    async fn make(
        &self,
        max_messages: i64,
        retention: RetentionPolicy,
    ) -> Result<(), TestingError> {
        let config = jetstream::stream::Config {
            name: "EVENTS".to_owned(),
            subjects: vec!["crm.>".to_owned()],
            max_messages,
            retention,
            ..jetstream::stream::Config::default()
        };
        self.0.create_stream(config).await.map_err(refused)?;
        Ok(())
    }

    /// How many messages the stream has.
    ///
    /// # Errors
    /// [`TestingError::Refused`]
    pub async fn messages(&self) -> Result<u64, TestingError> {
        let stream = self.0.get_stream("EVENTS").await.map_err(refused)?;
        Ok(stream.cached_info().state.messages)
    }

    /// A consumer, as the server has it.
    ///
    /// # Errors
    /// [`TestingError::Refused`]: also while there is none of this name.
    pub async fn consumer(&self, durable: &str) -> Result<consumer::Info, TestingError> {
        let stream = self.0.get_stream("EVENTS").await.map_err(refused)?;
        stream.consumer_info(durable).await.map_err(refused)
    }

    /// A consumer that may be another's, to take messages from.
    ///
    /// # Errors
    /// [`TestingError::Refused`]: also while there is none of this name.
    pub async fn pull(&self, durable: &str) -> Result<PullConsumer, TestingError> {
        let stream = self.0.get_stream("EVENTS").await.map_err(refused)?;
        stream.get_consumer(durable).await.map_err(refused)
    }

    /// Takes a message from a consumer that is another's, and does not acknowledge it; how many it was.
    ///
    /// # Errors
    /// [`TestingError::Refused`]
    pub async fn steal(&self, durable: &str) -> Result<usize, TestingError> {
        let consumer = self.pull(durable).await?;
        let batch = consumer.batch().max_messages(1).expires(WAIT_MAX);
        let batch = batch.messages().await.map_err(refused)?;
        Ok(batch.count().await)
    }

    /// Deletes it.
    ///
    /// # Errors
    /// [`TestingError::Refused`]
    pub async fn delete_stream(&self) -> Result<(), TestingError> {
        self.0.delete_stream("EVENTS").await.map_err(refused)?;
        Ok(())
    }

    /// Publishes a text, or what is none, and waits until the stream has it.
    ///
    /// # Errors
    /// [`TestingError::Refused`]
    pub async fn publish(&self, event: impl Into<Bytes>) -> Result<(), TestingError> {
        let sent = self.0.publish("crm.events", event.into()).await;
        sent.map_err(refused)?.await.map_err(refused)?;
        Ok(())
    }
}

fn refused(error: impl std::fmt::Display) -> TestingError {
    TestingError::Refused(error.to_string())
}

impl Drop for RealNats {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

fn spawn(dir: &Path) -> Result<Child, TestingError> {
    let log = File::create(dir.join("log")).map_err(io("make the log"))?;
    Command::new(PROGRAM)
        .args(["-c", "nats.conf"])
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(io("make the log"))?)
        .stderr(log)
        .spawn()
        .map_err(io("start nats-server"))
}
