//! A real PostgreSQL for tests: a cluster of its own on a free port, run by an unprivileged user,
//! stopped and removed when dropped. For tests only (`test-util`).

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::{Client, NoTls};

/// Where Debian has the programs of `postgresql-15`.
pub const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

/// How long a start or a stop may take.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

/// The superuser of the cluster.
pub const SUPERUSER: &str = "admin";

const STARTS_MAX: usize = 5;
/// `nobody` and `nogroup` of Debian: PostgreSQL does not run as root.
const NOBODY: u32 = 65_534;

/// What a helper could not do.
#[derive(Debug, thiserror::Error)]
pub enum TestingError {
    /// Files or processes.
    #[error("can't {0}")]
    Io(&'static str, #[source] std::io::Error),
    /// The server did not come up; its log says why.
    #[error("PostgreSQL did not start: {0}")]
    NotStarted(String),
    /// It refused a command.
    #[error("PostgreSQL refused")]
    Refused(#[from] tokio_postgres::Error),
}

fn io(doing: &'static str) -> impl Fn(std::io::Error) -> TestingError {
    move |error| TestingError::Io(doing, error)
}

/// A PostgreSQL that runs.
#[derive(Debug)]
pub struct RealPostgres {
    /// Not below a folder that only root may enter.
    dir: PathBuf,
    port: u16,
    child: Child,
}

impl RealPostgres {
    /// Starts one with an empty database `crm`, of this encoding (`UTF8`, `LATIN1`, `SQL_ASCII`).
    ///
    /// # Errors
    /// [`TestingError`], for example if the package is not installed.
    pub async fn start(encoding: &str) -> Result<Self, TestingError> {
        let dir = own_folder()?;
        let made = program("initdb")
            .args(["--auth-local=trust", "--auth-host=scram-sha-256"])
            .args(["--no-sync", "--locale=C", "--no-instructions"])
            .arg(format!("--encoding={encoding}"))
            .arg(format!("--username={SUPERUSER}"))
            .arg(format!("--pgdata={}", dir.join("data").display()))
            .current_dir(&dir)
            .output()
            .map_err(io("run initdb"))?;
        if !made.status.success() {
            let said = String::from_utf8_lossy(&made.stderr).into_owned();
            return Err(TestingError::NotStarted(said));
        }
        for _ in 0..STARTS_MAX {
            let port = free_port()?;
            let child = spawn(&dir, port)?;
            let mut server = Self {
                dir: dir.clone(),
                port,
                child,
            };
            if server.ready().await? {
                let postgres = server.connect("postgres").await?;
                postgres.batch_execute("create database crm").await?;
                return Ok(server);
            }
            // Another took the port; the folder is still needed.
            server.dir = PathBuf::new();
        }
        Err(TestingError::NotStarted(log(&dir)))
    }

    /// Starts a streaming standby of it, which follows until it is dropped.
    ///
    /// # Errors
    /// [`TestingError`]
    pub async fn standby(&self) -> Result<Self, TestingError> {
        let dir = own_folder()?;
        let port = free_port()?;
        let copied = program("pg_basebackup")
            .args(["--write-recovery-conf", "--wal-method=stream"])
            .args(["--checkpoint=fast", "--no-sync", "--username", SUPERUSER])
            .arg(format!("--host={}", self.dir.display()))
            .arg(format!("--port={}", self.port))
            .arg(format!("--pgdata={}", dir.join("data").display()))
            .current_dir(&dir)
            .output()
            .map_err(io("run pg_basebackup"))?;
        if !copied.status.success() {
            let said = String::from_utf8_lossy(&copied.stderr).into_owned();
            return Err(TestingError::NotStarted(said));
        }
        let child = spawn(&dir, port)?;
        let mut standby = Self { dir, port, child };
        match standby.ready().await? {
            true => Ok(standby),
            false => Err(TestingError::NotStarted(log(&standby.dir))),
        }
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// A superuser's session in `crm`.
    ///
    /// # Errors
    /// [`TestingError::Refused`]
    pub async fn admin(&self) -> Result<Client, TestingError> {
        self.connect("crm").await
    }

    async fn connect(&self, database: &str) -> Result<Client, TestingError> {
        let mut config = tokio_postgres::Config::new();
        config.host_path(&self.dir).port(self.port);
        config.user(SUPERUSER).dbname(database);
        let (client, connection) = config.connect(NoTls).await?;
        // It ends with the client.
        tokio::spawn(connection);
        Ok(client)
    }

    /// Ends every session at once, as a crash would, and waits for the server's end.
    ///
    /// # Errors
    /// [`TestingError::Io`]
    pub fn crash(&mut self) -> Result<(), TestingError> {
        self.signal("QUIT")?;
        self.child.wait().map_err(io("wait for postgres"))?;
        Ok(())
    }

    /// Stops its processes where they are: it takes connections, and answers nothing.
    ///
    /// # Errors
    /// [`TestingError::Io`]
    pub fn freeze(&self) -> Result<(), TestingError> {
        self.signal_all("STOP")
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// [`TestingError::Io`]
    pub fn thaw(&self) -> Result<(), TestingError> {
        self.signal_all("CONT")
    }

    /// Starts it again with its data, on the same port.
    ///
    /// # Errors
    /// [`TestingError`]
    pub async fn restart(&mut self) -> Result<(), TestingError> {
        self.child = spawn(&self.dir, self.port)?;
        if self.ready().await? {
            return Ok(());
        }
        Err(TestingError::NotStarted(log(&self.dir)))
    }

    /// Lets it speak TLS with this certificate and key (PEM), and only TLS over TCP.
    ///
    /// # Errors
    /// [`TestingError`]
    pub async fn require_tls(&self, certificate: &str, key: &str) -> Result<(), TestingError> {
        let data = self.dir.join("data");
        let give = |name: &str, text: &str| {
            let path = data.join(name);
            std::fs::write(&path, text)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
            if is_root() {
                chown(&path, Some(NOBODY), Some(NOBODY))?;
            }
            Ok(())
        };
        let rules = "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n";
        give("server.crt", certificate)
            .and_then(|()| give("server.key", key))
            .and_then(|()| give("pg_hba.conf", rules))
            .map_err(io("write the certificate"))?;
        let admin = self.admin().await?;
        admin.batch_execute("alter system set ssl = on").await?;
        admin.batch_execute("select pg_reload_conf()").await?;
        Ok(())
    }

    fn signal(&self, name: &str) -> Result<(), TestingError> {
        kill(name, &[self.child.id()])
    }

    fn signal_all(&self, name: &str) -> Result<(), TestingError> {
        let own = self.child.id();
        let listed = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children"));
        let mut all = vec![own];
        let listed = listed.map_err(io("list the processes of postgres"))?;
        all.extend(
            listed
                .split_whitespace()
                .filter_map(|id| id.parse::<u32>().ok()),
        );
        kill(name, &all)
    }

    /// Waits until it answers; `false` if it ended instead.
    async fn ready(&mut self) -> Result<bool, TestingError> {
        let deadline = Instant::now() + WAIT_MAX;
        while Instant::now() < deadline {
            let ended = self.child.try_wait().map_err(io("wait for postgres"))?;
            if ended.is_some() {
                return Ok(false);
            }
            if self.connect("postgres").await.is_ok() {
                return Ok(true);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(false)
    }
}

impl Drop for RealPostgres {
    fn drop(&mut self) {
        // It may be gone already; what is left of it goes here.
        let _ = self.thaw();
        let _ = self.signal("QUIT");
        let _ = self.child.wait();
        if self.dir.components().count() > 1 {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

fn kill(name: &str, processes: &[u32]) -> Result<(), TestingError> {
    let status = Command::new("kill")
        .arg(format!("-{name}"))
        .args(processes.iter().map(u32::to_string))
        .stderr(Stdio::null())
        .status();
    status.map_err(io("signal postgres"))?;
    Ok(())
}

fn is_root() -> bool {
    // Who owns the process owns its entry.
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|entry| entry.uid() == 0)
}

/// A program of PostgreSQL's, as a user that it accepts.
fn program(name: &str) -> Command {
    let path = Path::new(PROGRAMS).join(name);
    if !is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(path);
    command
}

fn own_folder() -> Result<PathBuf, TestingError> {
    let mut random = [0; 8];
    let drawn = aws_lc_rs::rand::fill(&mut random);
    drawn.map_err(|_| io("draw a name")(std::io::Error::other("no randomness")))?;
    let name = format!("accord-pg-{:016x}", u64::from_be_bytes(random));
    let dir = std::env::temp_dir().join(name);
    std::fs::create_dir(&dir).map_err(io("make a folder"))?;
    if is_root() {
        chown(&dir, Some(NOBODY), Some(NOBODY)).map_err(io("give the folder away"))?;
    }
    Ok(dir)
}

fn free_port() -> Result<u16, TestingError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(io("find a port"))?;
    let address = listener.local_addr().map_err(io("find a port"))?;
    Ok(address.port())
}

fn log(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("log")).unwrap_or_default()
}

fn spawn(dir: &Path, port: u16) -> Result<Child, TestingError> {
    let log = File::create(dir.join("log")).map_err(io("make the log"))?;
    let setting = |name: &str, value: &str| ["-c".to_owned(), format!("{name}={value}")];
    let child = program("postgres")
        .args(["-D", "data", "-p", &port.to_string()])
        .args(setting("listen_addresses", "127.0.0.1"))
        .args(setting(
            "unix_socket_directories",
            &dir.display().to_string(),
        ))
        .args(setting("fsync", "off"))
        .args(setting("shared_buffers", "16MB"))
        .args(setting("max_connections", "20"))
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(io("make the log"))?)
        .stderr(log)
        .spawn();
    child.map_err(io("start postgres"))
}
