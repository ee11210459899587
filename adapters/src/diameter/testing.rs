//! A real HSS for tests: python-diameter (PyPI), in a virtual environment under `target/` that is
//! made when it is missing; started on a free port, stopped when dropped. For tests only
//! (`test-util`).

mod client;
mod relay;

use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use accord_proto::msisdn::Msisdn;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::python;

pub use self::client::PythonClient;
pub use self::relay::Relay;

/// What is installed from PyPI.
pub const PACKAGE: &str = "python-diameter==0.9.0";
/// How long a start or a change may take.
pub const WAIT_MAX: Duration = Duration::from_secs(20);
/// The realm of all that is started here.
pub const REALM: &str = "example";
/// The application server that the HSS knows.
pub const SERVER: &str = "as.example";
/// The relay that it knows.
pub const RELAY: &str = "relay.example";
/// Another client that it knows: python-diameter's own.
pub const CLIENT: &str = "client.example";

const STARTS_MAX: usize = 5;
const SCRIPT: &str = include_str!("testing/hss.py");

/// What a helper could not do.
#[derive(Debug, thiserror::Error)]
pub enum TestingError {
    /// Files or processes.
    #[error("can't {0}")]
    Io(&'static str, #[source] io::Error),
    /// It did not come up; its log says why.
    #[error("it did not start; see `{}`", .0.display())]
    NotStarted(PathBuf),
    /// A command that failed, with what it said.
    #[error("a command failed: {0}")]
    Command(String),
}

/// An HSS that runs.
#[derive(Debug)]
pub struct RealHss {
    directory: PathBuf,
    host: String,
    port: u16,
    child: Child,
}

impl RealHss {
    /// Starts one that knows nobody, `hss.example`.
    ///
    /// # Errors
    /// [`TestingError`], for example where there is no python3 or no PyPI.
    pub async fn start(directory: &Path) -> Result<Self, TestingError> {
        Self::start_as(directory, "hss.example").await
    }

    /// Starts one under another name.
    ///
    /// # Errors
    /// [`TestingError`].
    pub async fn start_as(directory: &Path, host: &str) -> Result<Self, TestingError> {
        fs::create_dir_all(directory).map_err(|error| TestingError::Io("make a folder", error))?;
        write(&directory.join("hss.py"), SCRIPT)?;
        write(&directory.join("subscribers.json"), "{}")?;
        for _ in 0..STARTS_MAX {
            let port = free_port()?;
            let child = spawn(directory, host, port).await?;
            let (directory, host) = (directory.to_owned(), host.to_owned());
            let mut hss = Self {
                directory,
                host,
                port,
                child,
            };
            if ready(&mut hss.child, port).await? {
                return Ok(hss);
            }
        }
        Err(TestingError::NotStarted(directory.join("hss.log")))
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The port on loopback.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Replaces what it knows: an object for each number's digits, with `imsi`, `imeisv`, `cs`,
    /// `ps` (what is inside the location), `repository` (a document for each service), or
    /// `experimental` and `result` for a refusal, `redirect` for the HSS that has it, `cx` for AVP 606, `raw` and `encoding`.
    ///
    /// # Errors
    /// [`TestingError::Io`].
    pub fn know(&self, subscribers: &serde_json::Value) -> Result<(), TestingError> {
        let path = self.directory.join("subscribers.json");
        let partial = self.directory.join("subscribers.partial");
        write(&partial, &subscribers.to_string())?;
        fs::rename(partial, path).map_err(|error| TestingError::Io("replace a file", error))
    }

    /// Has it notify of a number.
    ///
    /// # Errors
    /// [`TestingError::Io`].
    pub fn push(&self, msisdn: &Msisdn) -> Result<(), TestingError> {
        let partial = self.directory.join("push.partial");
        write(&partial, msisdn.expose_digits())?;
        let renamed = fs::rename(partial, self.directory.join("push"));
        renamed.map_err(|error| TestingError::Io("replace a file", error))
    }

    /// What it was asked, as it decoded it, and what came of its notifications.
    #[must_use]
    pub fn requests(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.directory.join("requests.jsonl"));
        let text = text.unwrap_or_default();
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines.collect()
    }

    /// Kills it and waits for its end.
    ///
    /// # Errors
    /// [`TestingError::Io`].
    pub fn stop(&mut self) -> Result<(), TestingError> {
        stop(&mut self.child)
    }

    /// Has it say goodbye to its peers and end.
    ///
    /// # Errors
    /// [`TestingError`].
    pub async fn retire(&mut self) -> Result<(), TestingError> {
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        asked.map_err(|error| TestingError::Io("signal the HSS", error))?;
        let deadline = Instant::now() + WAIT_MAX;
        while Instant::now() < deadline {
            let ended = self.child.try_wait();
            if ended
                .map_err(|error| TestingError::Io("wait for the HSS", error))?
                .is_some()
            {
                return Ok(());
            }
            sleep(Duration::from_millis(10)).await;
        }
        self.stop()
    }

    /// Starts it again on the same port.
    ///
    /// # Errors
    /// [`TestingError`].
    pub async fn restart(&mut self) -> Result<(), TestingError> {
        self.stop()?;
        for _ in 0..STARTS_MAX {
            self.child = spawn(&self.directory, &self.host, self.port).await?;
            if ready(&mut self.child, self.port).await? {
                return Ok(());
            }
        }
        Err(TestingError::NotStarted(self.directory.join("hss.log")))
    }
}

impl Drop for RealHss {
    fn drop(&mut self) {
        self.stop().ok();
    }
}

async fn spawn(directory: &Path, host: &str, port: u16) -> Result<Child, TestingError> {
    let python = python().await?;
    let run = || {
        let log = File::create(directory.join("hss.log"))?;
        Command::new(python)
            .arg(directory.join("hss.py"))
            .arg(directory)
            .args([&port.to_string(), host, REALM, SERVER, RELAY, CLIENT])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
    };
    run().map_err(|error| TestingError::Io("start the HSS", error))
}

/// Waits until a port is open; `false` if the process ended instead.
async fn ready(child: &mut Child, port: u16) -> Result<bool, TestingError> {
    let deadline = Instant::now() + WAIT_MAX;
    while Instant::now() < deadline {
        let ended = child.try_wait();
        if ended
            .map_err(|error| TestingError::Io("wait for a process", error))?
            .is_some()
        {
            return Ok(false);
        }
        if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return Ok(true);
        }
        sleep(Duration::from_millis(10)).await;
    }
    stop(child)?;
    Ok(false)
}

fn stop(child: &mut Child) -> Result<(), TestingError> {
    let stopped = child.kill().and_then(|()| child.wait());
    stopped.map_err(|error| TestingError::Io("stop a process", error))?;
    Ok(())
}

fn free_port() -> Result<u16, TestingError> {
    let bound = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    let address = bound.map_err(|error| TestingError::Io("find a free port", error))?;
    Ok(address.port())
}

fn write(path: &Path, text: &str) -> Result<(), TestingError> {
    fs::write(path, text).map_err(|error| TestingError::Io("write a file", error))
}

/// The python of the virtual environment, which is made if it is missing.
///
/// # Errors
/// [`TestingError::Io`], with what was said.
pub async fn python() -> Result<PathBuf, TestingError> {
    let make = || python::environment("python-diameter", &[PACKAGE]);
    let made = tokio::task::spawn_blocking(make).await;
    let home = made.unwrap_or_else(|error| Err(error.into()));
    let home = home.map_err(|error| TestingError::Io("install python-diameter", error))?;
    Ok(home.join("bin/python"))
}

fn run(command: &mut Command) -> Result<(), TestingError> {
    let ran = command.stdin(Stdio::null()).output();
    let ran = ran.map_err(|error| TestingError::Io("run openssl", error))?;
    if ran.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    Err(TestingError::Command(said))
}
