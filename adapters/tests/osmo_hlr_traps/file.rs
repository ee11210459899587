//! The traps of the HLR's file, beside a scripted control interface.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use accord_adapters::source::{Condition, Source};
use accord_proto::observation::{Change, Observed};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use rusqlite::Connection;

use crate::fake::{Bench, at, number};
use crate::{NEW, OLD, between};

const TABLE: &str = "CREATE TABLE subscriber (id INTEGER PRIMARY KEY, imsi VARCHAR(15) UNIQUE, \
    msisdn VARCHAR(15) UNIQUE, imeisv VARCHAR, imei VARCHAR(14), vlr_number VARCHAR(15), \
    sgsn_number VARCHAR(15), last_lu_seen TIMESTAMP, last_lu_seen_ps TIMESTAMP)";
const DEVICE: &str = "00101700000001";
const OTHER_DEVICE: &str = "00101700000002";

/// The file, as a running HLR holds it open.
struct HlrFile {
    path: PathBuf,
    open: Connection,
    _dir: tempfile::TempDir,
}

impl HlrFile {
    fn make() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hlr.db");
        let open = Connection::open(&path).unwrap();
        open.pragma_update(None, "journal_mode", "WAL").unwrap();
        open.pragma_update(None, "user_version", 6).unwrap();
        open.execute(TABLE, []).unwrap();
        Self {
            path,
            open,
            _dir: dir,
        }
    }

    fn give(&self, last: u16, imsi: &str, imei: &str) {
        let row = "INSERT OR REPLACE INTO subscriber (id, imsi, msisdn, imei, vlr_number, \
            last_lu_seen) VALUES (?1, ?2, ?3, ?4, 'vlr', '2026-11-21 09:00:00')";
        let number = number(last);
        let values = (last, imsi, number.expose_digits(), imei);
        assert_eq!(self.open.execute(row, values).unwrap(), 1);
    }

    fn version(&self, version: i32) {
        let set = self.open.pragma_update(None, "user_version", version);
        set.unwrap();
    }

    async fn bench(&self) -> Bench {
        let path = &self.path;
        let serving = "serving = [{ name = \"vlr\", home = true }]";
        Bench::start(&format!("sqlite_file = {path:?}\n{serving}")).await
    }
}

async fn device(bench: &Bench, last: u16) -> Result<Change, Reason> {
    let what = bench.ask(last, Signal::DeviceSwap).await?.what;
    let Observed::Change(change) = what else {
        panic!("{what:?}");
    };
    Ok(change)
}

#[tokio::test]
async fn a_file_that_cannot_be_read_costs_no_sim_swap() {
    let file = HlrFile::make();
    let bench = file.bench().await;
    file.give(1, OLD, DEVICE);
    bench.hlr.give(1, OLD, "vlr_number\tvlr");
    file.version(8);
    assert_eq!(device(&bench, 1).await, Err(Reason::SourceDown));
    let roaming = bench.ask(1, Signal::Roaming).await;
    assert_eq!(roaming, Err(Reason::SourceDown), "its age is not known");
    assert!(bench.swap(1).await.is_ok());
    assert_eq!(bench.source.poll_once().await.unwrap().devices_unread, 1);
    let state = bench.source.state();
    assert_eq!(state.condition, Condition::Unusable);
    assert!(
        state.why.contains("is of schema version 8"),
        "{}",
        state.why
    );
    assert_eq!(state.observed_to, Some(at(0)), "of SIM swaps");
    file.version(7);
    assert!(device(&bench, 1).await.is_ok());
    assert!(bench.ask(1, Signal::Roaming).await.is_ok());
    assert_eq!(bench.source.state().condition, Condition::Up);
}

/// A file that whoever runs this test may not read. Root is hindered by no mode, but of the kernel's
/// switches, of which some can be set only.
fn unreadable(dir: &Path) -> PathBuf {
    let own = dir.join("unreadable");
    std::fs::write(&own, "SQLite format 3").unwrap();
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o000)).unwrap();
    let switches = [
        "/proc/sys/vm/compact_memory",
        "/proc/sys/net/ipv4/route/flush",
    ];
    let mut files = [own].into_iter().chain(switches.map(PathBuf::from));
    let refused = |path: &PathBuf| {
        let error = std::fs::File::open(path).err();
        error.is_some_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
    };
    files.find(refused).unwrap()
}

#[tokio::test]
async fn a_file_that_this_user_may_not_read_is_refused_and_read_when_it_may() {
    let file = HlrFile::make();
    file.give(1, OLD, DEVICE);
    let dir = tempfile::tempdir().unwrap();
    let (closed, now) = (dir.path().join("closed"), dir.path().join("now"));
    std::fs::create_dir(&closed).unwrap();
    symlink(unreadable(dir.path()), closed.join("hlr.db")).unwrap();
    symlink(&closed, &now).unwrap();
    let path = now.join("hlr.db");
    let serving = "serving = [{ name = \"vlr\", home = true }]";
    let bench = Bench::start(&format!("sqlite_file = {path:?}\n{serving}")).await;
    bench.hlr.give(1, OLD, "vlr_number\tvlr");
    let said = |why: &str| {
        let path = path.display();
        format!(
            "can't open `{path}`: {why}; this user needs read access to it, its -wal and its -shm"
        )
    };
    let turned = async |condition: Condition, why: &str| {
        assert_eq!(device(&bench, 1).await, Err(Reason::SourceDown), "{why}");
        let roaming = bench.ask(1, Signal::Roaming).await;
        assert_eq!(roaming, Err(Reason::SourceDown), "{why}");
        assert!(bench.swap(1).await.is_ok(), "{why}");
        assert_eq!(bench.source.poll_once().await.unwrap().devices_unread, 1);
        let state = bench.source.state();
        assert_eq!((state.condition, state.why), (condition, said(why).into()));
    };
    turned(Condition::Refused, "permission denied").await;
    std::fs::remove_file(closed.join("hlr.db")).unwrap();
    turned(Condition::Down, "no such file or directory").await;
    std::fs::create_dir(closed.join("hlr.db")).unwrap();
    turned(Condition::Down, "is a directory").await;
    // As after the administrator's `setfacl`.
    std::fs::remove_file(&now).unwrap();
    symlink(file.path.parent().unwrap(), &now).unwrap();
    assert_eq!(
        device(&bench, 1).await.unwrap().monitored_since,
        Some(at(0))
    );
    assert!(bench.ask(1, Signal::Roaming).await.is_ok());
    assert_eq!(bench.source.state().condition, Condition::Up);
}

#[tokio::test]
async fn a_file_that_tells_of_another_card_or_registration_is_contradicted() {
    let file = HlrFile::make();
    let bench = file.bench().await;
    file.give(1, NEW, DEVICE);
    bench.hlr.give(1, OLD, "vlr_number\tvlr");
    assert_eq!(device(&bench, 1).await, Err(Reason::Contradicted));
    assert_eq!(bench.hlr.asked().len(), 2, "looked again before saying so");
    let roaming = bench.ask(1, Signal::Roaming).await;
    assert_eq!(roaming, Err(Reason::Contradicted));
    assert!(bench.swap(1).await.is_ok());
    bench.source.poll_once().await.unwrap();
    file.give(1, OLD, DEVICE);
    bench.hlr.give(1, OLD, "vlr_number\tvlr-elsewhere");
    assert_eq!(device(&bench, 1).await, Err(Reason::Contradicted));
    bench.hlr.give(1, OLD, "vlr_number\tvlr");
    assert_eq!(device(&bench, 1).await.unwrap().changed_in, None);
}

#[tokio::test]
async fn what_a_poll_could_not_read_it_does_not_vouch_for() {
    let file = HlrFile::make();
    let bench = file.bench().await;
    for last in [1, 2] {
        let imsi = if last == 1 { OLD } else { NEW };
        file.give(last, imsi, &format!("0010170000000{last}"));
        bench.hlr.give(last, imsi, "vlr_number\tvlr");
        bench.swap(last).await.unwrap();
        device(&bench, last).await.unwrap();
    }
    bench.wait(10);
    bench.source.poll_once().await.unwrap();
    bench.wait(10);
    file.version(8);
    let sweep = bench.source.poll_once().await.unwrap();
    assert_eq!((sweep.devices_unread, sweep.missing), (2, 0));
    file.version(6);
    file.give(1, OLD, OTHER_DEVICE.replace('2', "9").as_str());
    bench.wait(10);
    let sweep = bench.source.poll_once().await.unwrap();
    assert_eq!((sweep.devices_changed, sweep.changed), (1, 0));
    let changed = device(&bench, 1).await.unwrap();
    assert_eq!(changed.changed_in, between(10, 30), "not from 20");
    let same = device(&bench, 2).await.unwrap();
    assert_eq!((same.changed_in, same.monitored_since), (None, Some(at(0))));
}

#[tokio::test]
async fn a_file_unread_for_longer_than_a_gap_restarts_the_watch_of_devices_alone() {
    let file = HlrFile::make();
    let bench = file.bench().await;
    file.give(1, OLD, DEVICE);
    bench.hlr.give(1, OLD, "vlr_number\tvlr");
    bench.swap(1).await.unwrap();
    device(&bench, 1).await.unwrap();
    file.version(8);
    for _ in 0..4 {
        bench.wait(20);
        bench.source.poll_once().await.unwrap();
    }
    file.version(6);
    assert_eq!(
        device(&bench, 1).await.unwrap().monitored_since,
        Some(at(80))
    );
    assert_eq!(bench.swap(1).await.unwrap().monitored_since, Some(at(0)));
}

#[tokio::test]
async fn a_restart_keeps_cards_and_devices_and_neither_is_on_the_disk() {
    let file = HlrFile::make();
    let bench = file.bench().await;
    file.give(1, OLD, DEVICE);
    bench.hlr.give(1, OLD, "vlr_number\tvlr");
    bench.swap(1).await.unwrap();
    device(&bench, 1).await.unwrap();
    bench.source.poll_once().await.unwrap();
    file.give(1, OLD, OTHER_DEVICE);
    let bench = bench.restart_after(30);
    assert_eq!(device(&bench, 1).await.unwrap().changed_in, between(0, 30));
    let journal = bench.dir.path().join("journal/device/intervals.journal");
    let journal = std::fs::read(journal).unwrap();
    assert!(journal.len() > 200, "something was written");
    for secret in [DEVICE, OTHER_DEVICE, OLD, "7700900001"] {
        let found = journal
            .windows(secret.len())
            .any(|bytes| bytes == secret.as_bytes());
        assert!(!found, "{secret}");
    }
}
