//! A real OpenSSH server for tests (Debian package `openssh-server`), on a free port of the loopback,
//! with keys of its own, stopped when dropped. For tests only (`test-util`).

use std::{
    fs::{self, File, Permissions},
    io,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::time::Instant;

/// The program.
pub const PROGRAM: &str = "/usr/sbin/sshd";
/// How long a start may take.
pub const WAIT_MAX: Duration = Duration::from_secs(10);

const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What a helper could not do.
#[derive(Debug, thiserror::Error)]
pub enum TestingError {
    /// Files or processes.
    #[error("can't {0}")]
    Io(&'static str, #[source] io::Error),
    /// The server did not come up; its log says why.
    #[error("sshd did not start; see `{}`", .0.display())]
    NotStarted(PathBuf),
}

/// A server that runs as whoever runs the test, and lets in one key.
#[derive(Debug)]
pub struct RealSshd {
    directory: PathBuf,
    port: u16,
    child: Child,
}

fn failed(act: &'static str) -> impl Fn(io::Error) -> TestingError {
    move |error| TestingError::Io(act, error)
}

impl RealSshd {
    /// Starts one whose files lie in `directory/files`.
    ///
    /// # Errors
    /// [`TestingError`], for example if the package is not installed.
    pub fn start(directory: &Path) -> Result<Self, TestingError> {
        // It insists on this one where it is run by root.
        let made = fs::create_dir_all("/run/sshd");
        if let Err(error) = made
            && error.kind() != io::ErrorKind::PermissionDenied
        {
            return Err(failed("make /run/sshd")(error));
        }
        fs::create_dir_all(directory.join("files")).map_err(failed("make a directory"))?;
        for name in ["host", "client", "stranger"] {
            make_key(&directory.join(name))?;
        }
        let known = directory.join("known");
        fs::copy(directory.join("client.pub"), &known).map_err(failed("copy a key"))?;
        fs::set_permissions(&known, Permissions::from_mode(0o600)).map_err(failed("lock a key"))?;
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed("find a port"))?;
        let port = free.local_addr().map_err(failed("find a port"))?.port();
        drop(free);
        let child = launch(directory, port)?;
        let mut server = Self {
            directory: directory.to_owned(),
            port,
            child,
        };
        server.wait()?;
        Ok(server)
    }

    fn wait(&mut self) -> Result<(), TestingError> {
        let limit = Instant::now() + WAIT_MAX;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let ended = self.child.try_wait().map_err(failed("look at sshd"))?;
            if ended.is_some() || Instant::now() > limit {
                return Err(TestingError::NotStarted(self.directory.join("log")));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Stops it, and every connection that it has.
    pub fn stop(&mut self) {
        // Each connection is a child with a session of its own.
        let connections = children(self.child.id());
        let _ = self.child.kill();
        let _ = self.child.wait();
        for pid in connections {
            let pid = pid.to_string();
            let _ = Command::new("kill").args(["-KILL", &pid]).status();
        }
    }

    /// Starts it again, at the same port.
    ///
    /// # Errors
    /// [`TestingError`].
    pub fn restart(&mut self) -> Result<(), TestingError> {
        self.stop();
        self.child = launch(&self.directory, self.port)?;
        self.wait()
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Where the files lie that it offers.
    #[must_use]
    pub fn files(&self) -> PathBuf {
        self.directory.join("files")
    }

    /// The `sftp` section of a source, with the right key.
    ///
    /// # Errors
    /// [`TestingError`].
    pub fn section(&self) -> Result<String, TestingError> {
        let host_key = self.host_key()?;
        let user = whoami()?;
        Ok(format!(
            "host = \"127.0.0.1\"\nport = {}\nuser = \"{user}\"\nhost_key = \"{host_key}\"\n\
             key_file = \"{}\"\ndirectory = \"{}\"\nevery_ms = 50\nrequest_seconds_max = 20\n",
            self.port,
            self.directory.join("client").display(),
            self.files().display()
        ))
    }

    /// Its public key.
    ///
    /// # Errors
    /// [`TestingError`].
    pub fn host_key(&self) -> Result<String, TestingError> {
        let text = fs::read_to_string(self.directory.join("host.pub"));
        let text = text.map_err(failed("read a key"))?;
        Ok(text
            .split_ascii_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" "))
    }
}

impl Drop for RealSshd {
    fn drop(&mut self) {
        self.stop();
    }
}

/// All processes below one.
fn children(of: u32) -> Vec<u32> {
    let listed = fs::read_to_string(format!("/proc/{of}/task/{of}/children"));
    let listed = listed.unwrap_or_default();
    let direct = listed
        .split_ascii_whitespace()
        .filter_map(|pid| pid.parse().ok());
    direct
        .flat_map(|pid: u32| std::iter::once(pid).chain(children(pid)))
        .collect()
}

fn launch(directory: &Path, port: u16) -> Result<Child, TestingError> {
    let at = directory.display();
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host\nPidFile none\n\
         AuthorizedKeysFile {at}/known\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\nPermitRootLogin yes\n\
         Subsystem sftp internal-sftp\nLogLevel VERBOSE\n"
    );
    let path = directory.join("sshd_config");
    fs::write(&path, config).map_err(failed("write a configuration"))?;
    let log = File::create(directory.join("log")).map_err(failed("make a log"))?;
    Command::new(PROGRAM)
        .args(["-D", "-e", "-f"])
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map_err(failed("start sshd"))
}

fn make_key(path: &Path) -> Result<(), TestingError> {
    if path.exists() {
        return Ok(());
    }
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(path)
        .stdin(Stdio::null())
        .status()
        .map_err(failed("run ssh-keygen"))?;
    match made.success() {
        true => Ok(()),
        false => Err(failed("make a key")(io::Error::other("ssh-keygen failed"))),
    }
}

fn whoami() -> Result<String, TestingError> {
    let output = Command::new("id").arg("-un").output();
    let output = output.map_err(failed("run id"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
