//! The broker as a process of its own, to be killed.

use std::{
    env,
    fs::OpenOptions,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::{Child, Command},
    time::{Duration, timeout},
};

use super::{WorldError, WorldFiles, wait_until};

const LOOK_MAX: Duration = Duration::from_secs(2);

/// A broker in a process of its own. It is killed when this is dropped.
#[derive(Debug)]
pub struct ChildBroker {
    child: Child,
    binary: PathBuf,
}

impl ChildBroker {
    /// Starts `accord-broker serve` on a world's directory and waits until it is ready. Ports that
    /// were left open are chosen and written down first, so that it comes back at the same place.
    /// What it logs is added to `broker.log`.
    ///
    /// # Errors
    /// [`WorldError::BrokerEnded`] if it ends instead.
    pub async fn spawn(binary: &Path, files: &mut WorldFiles) -> Result<Self, WorldError> {
        let mut broker = Self::launch(binary, files, &[])?;
        broker.wait_ready(files).await?;
        Ok(broker)
    }

    /// As [`spawn`](Self::spawn), with more environment, and without waiting.
    ///
    /// # Errors
    /// If the program can't be run.
    pub fn launch(
        binary: &Path,
        files: &mut WorldFiles,
        environment: &[(&str, &str)],
    ) -> Result<Self, WorldError> {
        files.fix_ports()?;
        let log = files.broker_log_path();
        let open = || OpenOptions::new().create(true).append(true).open(&log);
        let child = Command::new(binary)
            .arg("serve")
            .arg("--config")
            .arg(files.broker_config_path())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(open().map_err(WorldError::io("write", &log))?)
            .stderr(open().map_err(WorldError::io("write", &log))?)
            .kill_on_drop(true)
            .spawn()
            .map_err(WorldError::io("run", binary))?;
        Ok(Self {
            child,
            binary: binary.to_owned(),
        })
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// [`WorldError::BrokerEnded`] if it ends instead.
    pub async fn wait_ready(&mut self, files: &WorldFiles) -> Result<(), WorldError> {
        let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, files.admin_port()));
        let mut ended = false;
        wait_until("the broker to be ready", || {
            ended = self.has_ended();
            async move { ended || is_ready(admin).await }
        })
        .await?;
        if ended {
            let log = files.broker_log_path();
            return Err(WorldError::BrokerEnded { log });
        }
        Ok(())
    }

    fn has_ended(&mut self) -> bool {
        self.child
            .try_wait()
            .map_or(true, |status| status.is_some())
    }

    /// The process's id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// `kill -9`, and waits until it is gone.
    ///
    /// # Errors
    /// If the system can't.
    pub async fn kill(mut self) -> Result<(), WorldError> {
        let killed = self.child.kill().await;
        killed.map_err(WorldError::io("kill", &self.binary))
    }

    /// Waits until it ended by itself.
    ///
    /// # Errors
    /// If the system can't.
    pub async fn wait_ended(&mut self) -> Result<ExitStatus, WorldError> {
        let ended = self.child.wait().await;
        ended.map_err(WorldError::io("wait for", &self.binary))
    }

    /// Asks it to drain and end (SIGTERM), and waits until it did.
    ///
    /// # Errors
    /// If the system can't.
    pub async fn terminate(mut self) -> Result<ExitStatus, WorldError> {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM)
                .map_err(|error| WorldError::io("stop", &self.binary)(error.into()))?;
        }
        let ended = self.child.wait().await;
        ended.map_err(WorldError::io("wait for", &self.binary))
    }
}

/// Whether the broker says that it is ready.
async fn is_ready(admin: SocketAddr) -> bool {
    let asked = timeout(LOOK_MAX, admin_page(admin, "/readyz")).await;
    matches!(asked, Ok(Ok(answer)) if answer.starts_with("HTTP/1.1 200"))
}

/// What a broker's admin port answers to `GET path`: the status line and the headers first.
///
/// # Errors
/// If nobody listens there, or hangs up, or the answer is no text.
pub async fn admin_page(admin: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(admin).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// `accord-broker` as it was built beside the running program, which `cargo test --workspace` and
/// `cargo build --workspace` do.
///
/// # Errors
/// [`WorldError::NoSuch`] says where it was looked for.
pub fn broker_binary() -> Result<PathBuf, WorldError> {
    let here = env::current_exe().map_err(WorldError::io("find", Path::new("this program")))?;
    let folders = here.ancestors().skip(1).take(2);
    let found = folders
        .map(|folder| folder.join(format!("accord-broker{}", env::consts::EXE_SUFFIX)))
        .find(|path| path.is_file());
    found.ok_or_else(|| WorldError::NoSuch {
        what: "program `accord-broker` (run `cargo build -p accord-broker`) beside",
        name: here.display().to_string(),
    })
}
