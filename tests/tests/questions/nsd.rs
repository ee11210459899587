//! A real name server (Debian package `nsd`) on a free port of the loopback, with zones for one test.

use std::{
    fmt::Write as _,
    fs,
    net::{SocketAddr, UdpSocket},
    process::{Child, Command, Stdio},
};

use accord_tests::world::wait_until;
use tempfile::TempDir;

/// A name server, killed when it is dropped.
pub(crate) struct Nsd {
    child: Child,
    pub(crate) address: SocketAddr,
    _dir: TempDir,
}

impl Drop for Nsd {
    fn drop(&mut self) {
        // Its children end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Nsd {
    /// Serves zones, each with its records; one without records has no file, so that the server
    /// answers SERVFAIL.
    pub(crate) async fn serving(zones: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        let address = free_port();
        let at = dir.path().display();
        let mut config = format!(
            "server:\n  ip-address: {}@{}\n  username: \"\"\n  zonesdir: \"{at}\"\n  database: \"\"\n  \
             pidfile: \"{at}/pid\"\n  xfrdfile: \"{at}/xfrd\"\n  xfrdir: \"{at}\"\n  \
             zonelistfile: \"{at}/zones\"\n  server-count: 1\n  do-ip6: no\n\
             remote-control:\n  control-enable: no\n",
            address.ip(),
            address.port()
        );
        for (name, records) in zones {
            write!(
                config,
                "zone:\n  name: \"{name}\"\n  zonefile: \"{name}.zone\"\n"
            )
            .unwrap();
            if !records.is_empty() {
                let zone = format!(
                    "$ORIGIN {name}.\n$TTL 60\n@ IN SOA ns hostmaster 1 3600 600 86400 60\n\
                     @ IN NS ns\nns IN A 127.0.0.1\n{records}\n"
                );
                fs::write(dir.path().join(format!("{name}.zone")), zone).unwrap();
            }
        }
        let path = dir.path().join("nsd.conf");
        fs::write(&path, config).unwrap();
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let child = Command::new("/usr/sbin/nsd")
            .args(["-d", "-c"])
            .arg(&path)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let nsd = Self {
            child,
            address,
            _dir: dir,
        };
        wait_until("nsd to answer", || async { answers(address) })
            .await
            .unwrap();
        nsd
    }
}

/// A port that nobody uses now.
fn free_port() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap()
}

/// Whether something answers a question, whatever it says.
fn answers(address: SocketAddr) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let wait = std::time::Duration::from_millis(100);
    socket.set_read_timeout(Some(wait)).unwrap();
    // A header, and the question for the root's SOA.
    let mut question = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    question.extend([0, 0, 6, 0, 1]);
    socket.send_to(&question, address).is_ok() && socket.recv(&mut [0; 512]).is_ok()
}

/// The record of a number in a zone.
pub(crate) fn naptr(number: &str, result: &str) -> String {
    let digits: Vec<String> = number
        .trim_start_matches('+')
        .chars()
        .rev()
        .map(String::from)
        .collect();
    let name = digits.join(".");
    format!("{name} IN NAPTR 100 10 \"u\" \"E2U+pstn:tel\" \"!^.*$!{result}!\" .\n")
}
