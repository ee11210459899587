//! A real osmo-hlr for tests: started on an address of its own, changed through its control
//! interface, stopped when dropped. For tests only (`test-util`).

mod gsup;

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use accord_proto::msisdn::Msisdn;
use tokio::time::Instant;

use super::ctrl::{CtrlClient, CtrlError, Reply};

/// The program, from the Debian package of the same name.
pub const PROGRAM: &str = "osmo-hlr";

/// How long a start or a change may take.
pub const WAIT_MAX: Duration = Duration::from_secs(10);

const DATABASE: &str = "hlr.db";
const STARTS_MAX: usize = 5;
const CTRL_PORT: u16 = 4259;
const GSUP_PORT: u16 = 4222;

/// What a helper could not do.
#[derive(Debug, thiserror::Error)]
pub enum TestingError {
    /// Files or processes.
    #[error("can't {0}")]
    Io(&'static str, #[source] std::io::Error),
    /// The HLR did not come up; its log says why.
    #[error("osmo-hlr did not start; see `{}`", .0.display())]
    NotStarted(PathBuf),
    /// The control interface.
    #[error("the control interface failed")]
    Ctrl(#[from] CtrlError),
    /// The HLR refused a change.
    #[error("osmo-hlr refused: {0}")]
    Refused(String),
}

/// An osmo-hlr that runs. Its ports are fixed (4259 CTRL, 4258 VTY, 4222 GSUP; version 1.5 can't
/// change them), so each has its own address in 127.0.0.0/8.
#[derive(Debug)]
pub struct RealHlr {
    directory: PathBuf,
    address: Ipv4Addr,
    child: Child,
}

impl RealHlr {
    /// Starts one with an empty database in `directory`.
    ///
    /// # Errors
    /// [`TestingError`], for example if the package is not installed.
    pub async fn start(directory: &Path) -> Result<Self, TestingError> {
        for _ in 0..STARTS_MAX {
            let address = free_address()?;
            let child = spawn(directory, address)?;
            let directory = directory.to_owned();
            let mut hlr = Self {
                directory,
                address,
                child,
            };
            if hlr.ready().await? {
                return Ok(hlr);
            }
        }
        Err(TestingError::NotStarted(directory.join("osmo-hlr.log")))
    }

    /// `host:port` of the control interface.
    #[must_use]
    pub fn ctrl_address(&self) -> String {
        format!("{}:{CTRL_PORT}", self.address)
    }

    /// `host:port` for VLRs and SGSNs (GSUP).
    #[must_use]
    pub fn gsup_address(&self) -> String {
        format!("{}:{GSUP_PORT}", self.address)
    }

    /// An administrator's client.
    #[must_use]
    pub fn admin(&self) -> Admin {
        Admin(CtrlClient::new(self.ctrl_address()))
    }

    /// Its SQLite file.
    #[must_use]
    pub fn sqlite_file(&self) -> PathBuf {
        self.directory.join(DATABASE)
    }

    /// Asks it to end, as an administrator does, and waits until it has: its database is then
    /// whole, without a log beside it.
    ///
    /// # Errors
    /// [`TestingError::Io`].
    pub async fn close(&mut self) -> Result<(), TestingError> {
        let io = |error| TestingError::Io("close osmo-hlr", error);
        let pid = self.child.id().to_string();
        Command::new("kill").arg(pid).status().map_err(io)?;
        let deadline = Instant::now() + WAIT_MAX;
        while self.child.try_wait().map_err(io)?.is_none() {
            if Instant::now() > deadline {
                return Err(io(std::io::ErrorKind::TimedOut.into()));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Kills it and waits for its end.
    ///
    /// # Errors
    /// [`TestingError::Io`].
    pub fn stop(&mut self) -> Result<(), TestingError> {
        let stopped = self.child.kill().and_then(|()| self.child.wait());
        stopped.map_err(|error| TestingError::Io("stop osmo-hlr", error))?;
        Ok(())
    }

    /// Starts it again with its database, on the same address.
    ///
    /// # Errors
    /// [`TestingError`].
    pub async fn restart(&mut self) -> Result<(), TestingError> {
        self.stop()?;
        self.child = spawn(&self.directory, self.address)?;
        if self.ready().await? {
            return Ok(());
        }
        Err(TestingError::NotStarted(
            self.directory.join("osmo-hlr.log"),
        ))
    }

    /// Waits until it answers; `false` if it ended instead.
    async fn ready(&mut self) -> Result<bool, TestingError> {
        let deadline = Instant::now() + WAIT_MAX;
        while Instant::now() < deadline {
            let ended = self.child.try_wait();
            let ended = ended.map_err(|error| TestingError::Io("wait for osmo-hlr", error))?;
            if ended.is_some() {
                return Ok(false);
            }
            if tokio::net::TcpStream::connect(self.ctrl_address())
                .await
                .is_ok()
            {
                return Ok(true);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(false)
    }
}

impl Drop for RealHlr {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// An administrator of an HLR. Version 1.5 knows a subscriber by IMSI.
#[derive(Debug)]
pub struct Admin(CtrlClient);

impl Admin {
    /// Makes a subscriber without a number.
    ///
    /// # Errors
    /// [`TestingError`].
    pub async fn create(&self, imsi: &str) -> Result<(), TestingError> {
        self.set(format!("subscriber.create {imsi}")).await
    }

    /// Gives a number to a subscriber. Refused while another has it.
    ///
    /// # Errors
    /// [`TestingError`].
    pub async fn give(&self, imsi: &str, msisdn: &Msisdn) -> Result<(), TestingError> {
        let digits = msisdn.expose_digits();
        self.set(format!("subscriber.by-imsi-{imsi}.msisdn {digits}"))
            .await
    }

    /// Takes the number from a subscriber.
    ///
    /// # Errors
    /// [`TestingError`].
    pub async fn take(&self, imsi: &str) -> Result<(), TestingError> {
        self.set(format!("subscriber.by-imsi-{imsi}.msisdn none"))
            .await
    }

    /// Moves a number from one subscriber to another, in the only order that works.
    ///
    /// # Errors
    /// [`TestingError`].
    pub async fn swap(&self, from: &str, to: &str, msisdn: &Msisdn) -> Result<(), TestingError> {
        self.take(from).await?;
        self.give(to, msisdn).await
    }

    /// Deletes a subscriber.
    ///
    /// # Errors
    /// [`TestingError`].
    pub async fn delete(&self, imsi: &str) -> Result<(), TestingError> {
        self.set(format!("subscriber.delete {imsi}")).await
    }

    async fn set(&self, assignment: String) -> Result<(), TestingError> {
        match self.0.set(assignment, Instant::now() + WAIT_MAX).await? {
            Reply::Value(_) => Ok(()),
            Reply::Refused(text) => Err(TestingError::Refused(text)),
        }
    }
}

/// Any address of 127.0.0.0/8 outside 127.0.0.0/16; who happens to use it makes the start fail,
/// and another is tried.
fn free_address() -> Result<Ipv4Addr, TestingError> {
    let mut random = [0; 3];
    let no_random = |_| TestingError::Io("draw an address", std::io::Error::other("no randomness"));
    aws_lc_rs::rand::fill(&mut random).map_err(no_random)?;
    let [second, third, fourth] = random;
    Ok(Ipv4Addr::new(
        127,
        second.clamp(1, 254),
        third,
        fourth.clamp(1, 254),
    ))
}

fn spawn(directory: &Path, address: Ipv4Addr) -> Result<Child, TestingError> {
    let config = format!(
        "log stderr\n logging filter all 1\n logging color 0\n logging level set-all notice\n\
         line vty\n bind {address}\nctrl\n bind {address}\nhlr\n store-imei\n gsup\n  bind ip {address}\n"
    );
    let run = || {
        std::fs::write(directory.join("osmo-hlr.cfg"), config)?;
        let log = File::create(directory.join("osmo-hlr.log"))?;
        Command::new(PROGRAM)
            .args(["-c", "osmo-hlr.cfg", "-l", DATABASE, "-s"])
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
    };
    run().map_err(|error| TestingError::Io("start osmo-hlr", error))
}
