//! What lies on the disk between two runs, and what is made of it.

use std::path::Path;

use crate::fake::{Bench, at};
use crate::{NEW, OLD};

#[tokio::test]
async fn neither_number_nor_imsi_is_on_the_disk() {
    let bench = Bench::start("").await;
    bench.hlr.give(1, OLD, "");
    bench.swap(1).await.unwrap();
    bench.hlr.give(1, NEW, "");
    bench.wait(10);
    bench.swap(1).await.unwrap();
    bench.source.poll_once().await.unwrap();
    let journal = std::fs::read(bench.dir.path().join("journal/intervals.journal")).unwrap();
    assert!(journal.len() > 200, "something was written");
    for secret in ["7700900001", "9017000000000", "0000000001"] {
        let found = journal
            .windows(secret.len())
            .any(|bytes| bytes == secret.as_bytes());
        assert!(!found, "{secret}");
    }
}

fn damage(dir: &Path, byte: usize) {
    let path = dir.join("journal/intervals.journal");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[byte] ^= 1;
    std::fs::write(&path, bytes).unwrap();
}

#[tokio::test]
async fn a_damaged_journal_restarts_each_watch() {
    let bench = Bench::start("").await;
    for last in 1..=3 {
        bench.hlr.give(last, &format!("90170000000000{last}"), "");
        bench.swap(last).await.unwrap();
        bench.source.poll_once().await.unwrap();
    }
    // The second record of many; what came after it is not believed.
    damage(bench.dir.path(), 32 + 150);
    let bench = bench.restart_after(10);
    let change = bench.swap(1).await.unwrap();
    assert_eq!(
        (change.changed_in, change.monitored_since),
        (None, Some(at(10)))
    );
    assert!(
        bench
            .dir
            .path()
            .join("journal/intervals.journal.damaged")
            .exists()
    );
    let change = bench.swap(3).await.unwrap();
    assert_eq!(change.monitored_since, Some(at(10)));
    bench.source.poll_once().await.unwrap();
    let bench = bench.restart_after(10);
    assert_eq!(
        bench.swap(3).await.unwrap().monitored_since,
        Some(at(10)),
        "whole again"
    );
}

#[tokio::test]
async fn an_unfinished_record_at_the_end_is_dropped() {
    let bench = Bench::start("").await;
    bench.hlr.give(1, OLD, "");
    bench.swap(1).await.unwrap();
    bench.source.poll_once().await.unwrap();
    let path = bench.dir.path().join("journal/intervals.journal");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend([7; 40]);
    std::fs::write(&path, bytes).unwrap();
    let bench = bench.restart_after(10);
    assert_eq!(bench.swap(1).await.unwrap().monitored_since, Some(at(0)));
    bench.source.poll_once().await.unwrap();
    let bench = bench.restart_after(10);
    assert_eq!(bench.swap(1).await.unwrap().monitored_since, Some(at(0)));
}
