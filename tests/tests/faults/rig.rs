//! A world whose broker is a process of its own.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
};

use accord_client::{Answered, Auditor, Client, Outcome, profile::LoadedProfile};
use accord_proto::reason::Reason;
use accord_tests::world::{
    ChildBroker, RunningAdapter, WAIT_MAX, WorldFiles, WorldSpec, admin_page, broker_binary,
    wait_until,
};
use jiff::tz::TimeZone;
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::Instant,
};

/// A world's directory, its clients, and the adapters that run in this process.
pub(crate) struct Rig {
    pub(crate) files: WorldFiles,
    pub(crate) adapters: BTreeMap<String, RunningAdapter>,
    profile: LoadedProfile,
    _dir: TempDir,
}

impl Rig {
    pub(crate) fn new(spec: &WorldSpec) -> Self {
        Self::in_dir(TempDir::new().unwrap(), spec)
    }

    pub(crate) fn in_dir(dir: TempDir, spec: &WorldSpec) -> Self {
        let mut files = WorldFiles::write(dir.path(), spec).unwrap();
        files.fix_ports().unwrap();
        let profile = LoadedProfile::load(files.dir()).unwrap();
        Self {
            files,
            adapters: BTreeMap::new(),
            profile,
            _dir: dir,
        }
    }

    /// The broker, ready.
    pub(crate) async fn broker(&mut self) -> ChildBroker {
        let broker = ChildBroker::spawn(&program("accord-broker"), &mut self.files).await;
        broker.unwrap_or_else(|error| panic!("{}\n{}", error.chain(), self.log()))
    }

    /// The broker with more environment, not ready yet.
    pub(crate) fn launch(&mut self, environment: &[(&str, &str)]) -> ChildBroker {
        ChildBroker::launch(&program("accord-broker"), &mut self.files, environment).unwrap()
    }

    /// What the broker logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.files.broker_log_path()).unwrap_or_default()
    }

    /// Starts every operator's adapter anew; those that ran are killed.
    pub(crate) async fn start_adapters(&mut self) {
        for operator in self.files.spec().operators.clone() {
            if let Some(old) = self.adapters.remove(&operator.name) {
                old.kill().await;
            }
            let adapter = self.started(&operator.name).await;
            self.adapters.insert(operator.name, adapter);
        }
    }

    /// A journal is free again only when the last task of a killed adapter has ended.
    async fn started(&self, operator: &str) -> RunningAdapter {
        let config = self.files.adapter_config_path(operator);
        let until = Instant::now() + WAIT_MAX;
        loop {
            match RunningAdapter::start(&config, self.files.spec().clock.clone()).await {
                Ok(adapter) => return adapter,
                Err(error) if Instant::now() >= until => panic!("{}", error.chain()),
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }

    /// As [`start_adapters`](Self::start_adapters), and waits until the broker has them all.
    pub(crate) async fn attach_adapters(&mut self) {
        self.start_adapters().await;
        for adapter in self.adapters.values_mut() {
            adapter.wait_attached().await.unwrap();
        }
    }

    pub(crate) fn client(&self, bank: &str) -> Client {
        let party = self.profile.profile.party(bank).unwrap();
        self.profile.client(party).unwrap()
    }

    pub(crate) fn auditor(&self, party: &str) -> Auditor {
        let party = self.profile.profile.party(party).unwrap();
        let now = self.files.spec().clock.now();
        let statement = self.profile.statement(now.to_zoned(TimeZone::UTC).date());
        let auditor = self.profile.auditor(party).unwrap();
        auditor.stating(statement.unwrap())
    }

    pub(crate) const fn admin(&self) -> SocketAddr {
        SocketAddr::new(
            std::net::IpAddr::V4(Ipv4Addr::LOCALHOST),
            self.files.admin_port(),
        )
    }

    /// The value of a metric without labels.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let (_, text) = get(self.admin(), "/metrics").await;
        value_of(&text, name).unwrap_or_else(|| panic!("no metric {name} in\n{text}"))
    }

    /// Waits until so many questions are on their way.
    pub(crate) async fn wait_in_flight(&self, count: f64) {
        let what = format!("{count} questions on their way");
        let waited = wait_until(&what, || async {
            self.metric("accord_questions_in_flight").await >= count
        })
        .await;
        waited.unwrap();
    }
}

/// The value of a metric without labels.
pub(crate) fn value_of(text: &str, name: &str) -> Option<f64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line?.trim().parse().ok()
}

/// A program as it was built beside this test, which `cargo test --workspace` does.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = broker_binary().unwrap().with_file_name(name);
    assert!(path.is_file(), "build `{name}` first");
    path
}

/// An operator's adapter as a process of its own. What it logs is added to `log`; it is killed when
/// this is dropped.
pub(crate) fn adapter_process(config: &Path, log: &Path) -> Child {
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .unwrap();
    Command::new(program("accord-adapter"))
        .arg("run")
        .arg("--config")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Status and body of a page of the admin port; 0 where nobody answers.
pub(crate) async fn get(admin: SocketAddr, path: &str) -> (u16, String) {
    let answer = admin_page(admin, path).await.unwrap_or_default();
    let status = answer.get(9..12).and_then(|digits| digits.parse().ok());
    (status.unwrap_or(0), answer)
}

/// The reason why the first signal has no value; `None` where it has one.
pub(crate) fn unanswered(answered: &Answered) -> Option<Reason> {
    match &answered.signals()[0].outcome {
        Outcome::Value { .. } => None,
        Outcome::Unanswered { reason, .. } => Some(*reason),
    }
}

/// Every file below a directory.
pub(crate) fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Copies a directory.
pub(crate) fn copy_dir(from: &Path, to: &Path) {
    for path in files_below(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(&path, &target).unwrap();
    }
}
