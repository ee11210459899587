//! A ledger whose disk is full: nothing is answered, and nothing that was answered is lost.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use accord_client::{Answered, CallError, Client, Lookup};
use accord_proto::{clock::SystemClock, purpose::Purpose};
use accord_tests::world::{World, WorldFiles, WorldSpec, wait_until};
use tempfile::TempDir;
use tonic::Code;

use super::{
    record::{Record, Told, head, verify},
    rig::{Rig, get},
};

const MIB: u64 = 1 << 20;
/// Space that the free-space mark leaves, and more than that, which is taken.
const LEFT_MIB: u64 = 16;
const TAKEN_MIB: u64 = 24;

fn about(number: &str) -> Lookup {
    Lookup::about(number, Purpose::Payment).sim_swap()
}

/// Asks once; `None` where the broker is not ready.
async fn ask(client: &Client) -> Option<Answered> {
    match client.lookup(about("+447700900001")).await {
        Ok(answered) => Some(answered),
        Err(CallError::Refused(refusal)) => {
            assert_eq!(
                (refusal.code, refusal.reason.as_str()),
                (Code::Unavailable, "NOT_READY")
            );
            None
        }
        Err(CallError::Unreachable { source, .. }) => {
            assert!(source.message().contains("not ready"), "{source}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// How many signals were asked, by outcome.
fn signals(metrics: &str) -> Vec<String> {
    let lines = metrics.lines().map(str::to_owned);
    lines
        .filter(|line| line.starts_with("accord_signals_total{"))
        .collect()
}

fn free_mib(dir: &Path) -> u64 {
    let stat = rustix::fs::statvfs(dir).unwrap();
    stat.f_bavail * stat.f_frsize / MIB
}

fn take(path: &Path, mib: u64) {
    let file = File::create(path).unwrap();
    let flags = rustix::fs::FallocateFlags::empty();
    rustix::fs::fallocate(&file, flags, 0, mib * MIB).unwrap();
}

/// A disk that other programs leave alone, where there is one.
fn quiet_dir() -> TempDir {
    TempDir::new_in("/dev/shm").unwrap_or_else(|_| TempDir::new().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn below_the_free_space_mark_the_broker_is_not_ready_and_answers_nothing() {
    let dir = quiet_dir();
    let spec = WorldSpec {
        segment_mib: 1,
        // What the world itself takes is far less.
        free_mib_min: free_mib(dir.path()) - LEFT_MIB,
        ..WorldSpec::default()
    };
    let files = WorldFiles::write(dir.path(), &spec).unwrap();
    let world = World::start(files, SystemClock::shared()).await.unwrap();
    let client = world.client("first-bank").unwrap();
    let admin = world.broker.admin_address();
    assert!(ask(&client).await.is_some());
    assert_eq!(get(admin, "/readyz").await.0, 200);

    let ballast = dir.path().join("ballast");
    take(&ballast, TAKEN_MIB);
    let waited = wait_until("the broker to be not ready", || async {
        get(admin, "/readyz").await.0 == 503
    });
    waited.await.unwrap();
    let (_, said) = get(admin, "/readyz").await;
    let why = "not ready: too little space is free for the ledger\n";
    assert!(said.ends_with(why), "{said}");
    let (_, metrics) = get(admin, "/metrics").await;
    assert!(metrics.contains("accord_ledger_ready 0"), "{metrics}");
    let counted = signals(&metrics);
    assert_eq!(counted.len(), 1, "{metrics}");
    let size = world.broker.ledger().size();
    assert!(
        ask(&client).await.is_none(),
        "an answer left without its entry"
    );
    assert_eq!(world.broker.ledger().size(), size);
    let (_, metrics) = get(admin, "/metrics").await;
    assert_eq!(
        signals(&metrics),
        counted,
        "what nobody was told is not counted"
    );
    assert_eq!(
        get(admin, "/healthz").await.0,
        200,
        "it lives, and waits for space"
    );

    fs::remove_file(&ballast).unwrap();
    let waited = wait_until("the broker to be ready again", || async {
        get(admin, "/readyz").await.0 == 200
    });
    waited.await.unwrap();
    let answered = ask(&client).await.unwrap();
    assert!(answered.receipt.index >= size);
}

/// A small disk, mounted while this lives.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    fn mount(at: &Path, mib: u32) -> Self {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={mib}m,mode=700"),
                "tmpfs",
            ])
            .arg(at)
            .status()
            .unwrap();
        assert!(mounted.success(), "only root may mount");
        Self { at: at.to_owned() }
    }

    /// Fills it to the last byte; returns the file to remove.
    fn fill(&self) -> PathBuf {
        let ballast = self.at.join("ballast");
        let mut file = File::create(&ballast).unwrap();
        let piece = [0x55; 4_096];
        while file.write_all(&piece).is_ok() {}
        assert!(free_mib(&self.at) == 0);
        ballast
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open keeps it.
        drop(Command::new("umount").arg("-l").arg(&self.at).status());
    }
}

/// Asks from several tasks until each was told that the broker is not ready.
async fn ask_until_full(rig: &Rig) -> Vec<Told> {
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let client = rig.client("first-bank");
            tokio::spawn(async move {
                let mut answers = Vec::new();
                while let Some(answered) = ask(&client).await {
                    answers.push(answered);
                }
                answers
            })
        })
        .collect();
    let mut told = Vec::new();
    for task in tasks {
        let answers = task.await.unwrap().into_iter();
        told.extend(answers.map(|answered| Told {
            bank: "first-bank".to_owned(),
            answered,
        }));
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root"]
async fn on_a_full_disk_no_answer_leaves_without_its_entry_and_nothing_is_lost() {
    let dir = TempDir::new().unwrap();
    let disk = SmallDisk::mount(&dir.path().join("ledger"), 8);
    let spec = WorldSpec {
        segment_mib: 1,
        free_mib_min: 0,
        ..WorldSpec::default()
    };
    let spec = spec.limit("bank_per_second", 1_000_000);
    let mut rig = Rig::in_dir(dir, &spec);
    let broker = rig.broker().await;
    rig.attach_adapters().await;
    let ready = wait_until("the spare segment", || async {
        disk.at
            .join("spare.segment")
            .metadata()
            .is_ok_and(|file| file.len() == MIB)
    });
    ready.await.unwrap();
    let ballast = disk.fill();
    let mut told = ask_until_full(&rig).await;
    assert!(!told.is_empty());
    assert_eq!(get(rig.admin(), "/readyz").await.0, 503);
    assert_eq!(get(rig.admin(), "/healthz").await.0, 200);

    // Space is freed: it goes on by itself, without a question that would first be refused.
    fs::remove_file(&ballast).unwrap();
    let ready = wait_until("the broker to be ready again", || async {
        get(rig.admin(), "/readyz").await.0 == 200
    });
    ready.await.unwrap();
    let answered = ask(&rig.client("first-bank")).await.unwrap();
    told.push(Told {
        bank: "first-bank".to_owned(),
        answered,
    });

    // Full again, and killed there.
    let ballast = disk.fill();
    told.extend(ask_until_full(&rig).await);
    broker.kill().await.unwrap();
    let heads = [head(&rig.files)];
    fs::remove_file(&ballast).unwrap();
    let broker = rig.broker().await;
    rig.attach_adapters().await;
    let answered = ask(&rig.client("first-bank")).await.unwrap();
    told.push(Told {
        bank: "first-bank".to_owned(),
        answered,
    });
    assert!(broker.terminate().await.unwrap().success());
    verify(&rig.files);
    let record = Record::read(&rig.files);
    record.assert_holds(&told);
    Record::assert_each_its_own(&told);
    record.assert_in_order();
    record.assert_continues(&heads);
    drop(record);
    drop(disk);
}
