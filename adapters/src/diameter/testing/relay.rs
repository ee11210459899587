//! A real relay: freeDiameterd (Debian package `freediameterd`), between an application server
//! and an HSS.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{REALM, RELAY, SERVER, STARTS_MAX, TestingError, free_port, ready, run, stop, write};

/// The program.
const PROGRAM: &str = "freeDiameterd";

/// A relay that runs: without TLS on one port, with TLS on another.
#[derive(Debug)]
pub struct Relay {
    directory: PathBuf,
    port: u16,
    tls_port: u16,
    child: Child,
}

impl Relay {
    /// Starts one before the HSS on `hss_port`.
    ///
    /// # Errors
    /// [`TestingError`], for example if the package is not installed.
    pub async fn start(directory: &Path, hss_port: u16) -> Result<Self, TestingError> {
        Self::before(directory, &[("hss.example", hss_port)], "").await
    }

    /// Starts one before a server locator on `slf_port`, which it asks first, and the HSS that this one
    /// names for each number (TS 29.328 section 6.7): their names, and their ports.
    ///
    /// # Errors
    /// [`TestingError`].
    pub async fn locating(
        directory: &Path,
        slf_port: u16,
        all: &[(&str, u16)],
    ) -> Result<Self, TestingError> {
        std::fs::create_dir_all(directory)
            .map_err(|error| TestingError::Io("make a folder", error))?;
        let routes = directory.join("routes.conf");
        write(&routes, "* : \"hss.example\" += 10 ;\n")?;
        let extensions = format!(
            "LoadExtension = \"rt_default.fdx\" : \"{}\";\nLoadExtension = \"rt_redirect.fdx\";\n",
            routes.display()
        );
        let servers = [&[("hss.example", slf_port)], all].concat();
        Self::before(directory, &servers, &extensions).await
    }

    async fn before(
        directory: &Path,
        servers: &[(&str, u16)],
        extensions: &str,
    ) -> Result<Self, TestingError> {
        let servers = servers.iter().map(|(host, port)| {
            format!(
                "ConnectPeer = \"{host}\" {{ ConnectTo = \"127.0.0.1\"; Port = {port}; \
                 No_TLS; No_SCTP; No_IPv6; TcTimer = 6; }};\n"
            )
        });
        let more = format!("{extensions}{}", servers.collect::<String>());
        std::fs::create_dir_all(directory)
            .map_err(|error| TestingError::Io("make a folder", error))?;
        make_certificates(directory)?;
        write(
            &directory.join("acl.conf"),
            &format!("ALLOW_OLD_TLS ALLOW_IPSEC {SERVER}\n"),
        )?;
        for _ in 0..STARTS_MAX {
            let (port, tls_port) = (free_port()?, free_port()?);
            let child = spawn(directory, [port, tls_port], &more)?;
            let mut relay = Self {
                directory: directory.to_owned(),
                port,
                tls_port,
                child,
            };
            if ready(&mut relay.child, port).await? {
                return Ok(relay);
            }
        }
        Err(TestingError::NotStarted(log_path(directory)))
    }

    /// `host:port` without TLS.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `host:port` with TLS. The name in the certificate is [`RELAY`].
    #[must_use]
    pub fn tls_address(&self) -> String {
        format!("127.0.0.1:{}", self.tls_port)
    }

    /// A PEM file of its folder: `root.pem`, or `as.pem` and `as.key` for the application server.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// A root, and a certificate for each end, whose names are the Diameter identities.
fn make_certificates(directory: &Path) -> Result<(), TestingError> {
    let openssl = |arguments: &str| {
        run(Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(directory))
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(&format!(
        "req -x509 {key} -keyout root.key -out root.pem -subj /CN=root -days 2"
    ))?;
    for (name, host) in [("relay", RELAY), ("as", SERVER)] {
        write(
            &directory.join(format!("{name}.ext")),
            &format!("subjectAltName=DNS:{host}"),
        )?;
        openssl(&format!(
            "req {key} -keyout {name}.key -out {name}.csr -subj /CN={host}"
        ))?;
        openssl(&format!(
            "x509 -req -in {name}.csr -CA root.pem -CAkey root.key -CAcreateserial -out {name}.pem \
             -days 2 -extfile {name}.ext"
        ))?;
    }
    Ok(())
}

impl Drop for Relay {
    fn drop(&mut self) {
        stop(&mut self.child).ok();
    }
}

fn log_path(directory: &Path) -> PathBuf {
    directory.join("relay.log")
}

fn spawn(directory: &Path, [port, tls_port]: [u16; 2], more: &str) -> Result<Child, TestingError> {
    let at = directory.display();
    let config = format!(
        "Identity = \"{RELAY}\";\nRealm = \"{REALM}\";\nPort = {port};\nSecPort = {tls_port};\n\
         No_SCTP;\nNo_IPv6;\nListenOn = \"127.0.0.1\";\nThreadsPerServer = 1;\nAppServThreads = 1;\n\
         TLS_Cred = \"{at}/relay.pem\", \"{at}/relay.key\";\nTLS_CA = \"{at}/root.pem\";\n\
         LoadExtension = \"acl_wl.fdx\" : \"{at}/acl.conf\";\n{more}"
    );
    write(&directory.join("relay.conf"), &config)?;
    let run = || {
        let log = File::create(log_path(directory))?;
        Command::new(PROGRAM)
            .arg("-c")
            .arg(directory.join("relay.conf"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
    };
    run().map_err(|error| TestingError::Io("start freeDiameterd", error))
}
