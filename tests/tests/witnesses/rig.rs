//! A world whose broker has witnesses: real ones, and some that misbehave.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use accord_client::witness::Witness;
use accord_proto::{
    c2sp::{Checkpoint, Cosigner, Policy, SignedNote, VerifierKey},
    clock::SystemClock,
    v1::{entry::Event, operation::Kind},
};
use accord_tests::world::{
    CENTRAL_BANK, RunningWitness, World, WorldError, WorldFiles, WorldSpec, admin_page, wait_until,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// A witness that misbehaves.
#[derive(Clone, Copy)]
pub(crate) enum Fake {
    /// It takes a connection and says nothing.
    NeverAnswers,
    /// It claims to have seen a larger log.
    HasSeenMore,
    /// It has nothing, takes nothing: a proxy's page, or somebody on the way.
    FindsNothing,
    /// Its signature is over another text.
    SignsSomethingElse,
}

pub(crate) struct Rig {
    dir: TempDir,
    pub(crate) spec: WorldSpec,
    witnesses: BTreeMap<String, Place>,
    policy: String,
    /// More of the broker's `[witnesses]`.
    pub(crate) section: String,
}

struct Place {
    address: SocketAddr,
    running: Option<RunningWitness>,
}

impl Rig {
    /// Real witnesses that run, and a policy about them. An empty `quorum` leaves the policy open.
    pub(crate) async fn new(names: &[&str], quorum: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let spec = WorldSpec::default();
        WorldFiles::write(dir.path(), &spec).unwrap();
        let log = fs::read_to_string(dir.path().join("ledger/log.vkey")).unwrap();
        let mut rig = Self {
            policy: format!("log {log}"),
            witnesses: BTreeMap::new(),
            dir,
            spec,
            section: String::new(),
        };
        for name in names {
            rig.run_witness(name).await;
            let line = rig.witnesses[*name].running.as_ref().unwrap().policy_line();
            rig.policy.push_str(&line);
        }
        if !quorum.is_empty() {
            rig.finish_policy(quorum);
        }
        rig
    }

    pub(crate) fn finish_policy(&mut self, quorum: &str) {
        self.policy.push_str(quorum);
        fs::write(self.path("witnesses.policy"), &self.policy).unwrap();
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy::parse(&self.policy).unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs a real witness, at its old place if it had one.
    pub(crate) async fn run_witness(&mut self, name: &str) {
        let log = fs::read_to_string(self.path("ledger/log.vkey")).unwrap();
        let log = VerifierKey::parse(log.trim()).unwrap();
        let at = self.witnesses.get(name).map(|place| place.address);
        let clock = SystemClock::shared();
        let running = RunningWitness::start(&self.path(name), name, log, at, clock).await;
        let running = running.unwrap();
        let place = Place {
            address: running.address(),
            running: Some(running),
        };
        self.witnesses.insert(name.to_owned(), place);
    }

    /// Ends a witness, and waits until its directory is free.
    pub(crate) async fn stop_witness(&mut self, name: &str) {
        drop(self.witnesses.get_mut(name).unwrap().running.take());
        let dir = self.path(name);
        wait_until("the witness to end", || async {
            Witness::open(&dir, Vec::new(), SystemClock::shared()).is_ok()
        })
        .await
        .unwrap();
    }

    /// Puts a real witness into the policy under another URL.
    pub(crate) fn add_at(&mut self, name: &str, url: &str) {
        let line = self.witnesses[name].running.as_ref().unwrap().policy_line();
        let (witness, _) = line.rsplit_once(' ').unwrap();
        writeln!(self.policy, "{witness} {url}").unwrap();
    }

    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        self.witnesses[name].address
    }

    pub(crate) async fn add_fake(&mut self, name: &str, fake: Fake) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cosigner = Cosigner::generate(&format!("{name}.example/w")).unwrap();
        writeln!(
            self.policy,
            "witness {name} {} http://{address}",
            cosigner.key()
        )
        .unwrap();
        let cosigner = Arc::new(cosigner);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(misbehave(stream, fake, Arc::clone(&cosigner)));
            }
        });
    }

    pub(crate) async fn start(&self) -> Result<World, WorldError> {
        let files = WorldFiles::write(self.dir.path(), &self.spec)?;
        let path = files.broker_config_path();
        let mut config = fs::read_to_string(&path).unwrap();
        config.push_str(
            "\n[witnesses]\npolicy = \"witnesses.policy\"\ndeadline_ms = 500\nstart_seconds_max = 2\n",
        );
        config.push_str(&self.section);
        fs::write(&path, config).unwrap();
        World::start(files, self.spec.clock.clone()).await
    }

    /// The checkpoint that is shown.
    pub(crate) async fn note(&self, world: &World) -> SignedNote {
        world
            .authority()
            .unwrap()
            .checkpoint("")
            .await
            .unwrap()
            .note
    }

    pub(crate) async fn shown(&self, world: &World) -> Checkpoint {
        Checkpoint::parse(self.note(world).await.text()).unwrap()
    }

    /// Waits until what is shown covers an index and is cosigned.
    pub(crate) async fn cosigned_beyond(&self, world: &World, index: u64) {
        let policy = self.policy();
        wait_until("a cosigned checkpoint", || async {
            let opened = policy.open(&self.note(world).await);
            opened.is_ok_and(|(checkpoint, _)| checkpoint.size > index)
        })
        .await
        .unwrap();
    }

    pub(crate) async fn operations(&self, world: &World) -> Vec<Kind> {
        let mut tail = world.authority().unwrap().tail("", 0, true).await.unwrap();
        let mut kinds = Vec::new();
        while let Some(entry) = tail.next().await.unwrap() {
            kinds.extend(crate::kind(&entry.entry));
        }
        kinds
    }

    /// How many refusals are on the record, which the central bank reads: it was banks who asked.
    pub(crate) async fn refusals(&self, world: &World) -> usize {
        let mut tail = world
            .auditor(CENTRAL_BANK)
            .unwrap()
            .tail("", 0, true)
            .await
            .unwrap();
        let mut count = 0;
        while let Some(entry) = tail.next().await.unwrap() {
            count += usize::from(matches!(entry.entry.event, Some(Event::RefusedCall(_))));
        }
        count
    }

    pub(crate) async fn recorded(&self, world: &World, kind: Kind) {
        wait_until("an act of the broker on the record", || async {
            self.operations(world).await.contains(&kind)
        })
        .await
        .unwrap();
    }

    /// What the admin port answers, its headers first.
    pub(crate) async fn admin(&self, world: &World, path: &str) -> String {
        admin_page(world.broker.admin_address(), path)
            .await
            .unwrap()
    }

    /// The sum of a metric over its labels.
    pub(crate) async fn metric(&self, world: &World, name: &str) -> u64 {
        let text = self.admin(world, "/metrics").await;
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }
}

async fn misbehave(mut stream: TcpStream, fake: Fake, cosigner: Arc<Cosigner>) {
    let mut request = vec![0; 64 * 1024];
    let read = stream.read(&mut request).await.unwrap_or(0);
    let asks = request
        .get(..read)
        .is_some_and(|request| request.starts_with(b"GET"));
    let (status, body) = match fake {
        // It claims to know nothing, which is not believed of it.
        _ if asks => ("404 Not Found", "nothing\n".to_owned()),
        Fake::NeverAnswers => return std::future::pending().await,
        Fake::FindsNothing => ("404 Not Found", "nothing\n".to_owned()),
        Fake::HasSeenMore => ("409 Conflict", "1000000\n".to_owned()),
        Fake::SignsSomethingElse => {
            let line = cosigner.cosign("another/2026-11\n1\nx\n", 1);
            ("200 OK", format!("{line}\n"))
        }
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    // The broker may have gone.
    let _ = stream.write_all(answer.as_bytes()).await;
}

pub(crate) fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
