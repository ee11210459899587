//! A view that was damaged, not closed, or gone: counted, on the record, and the broker serves on.

use std::{
    fs,
    path::{Path, PathBuf},
};

use accord_client::Lookup;
use accord_proto::{purpose::Purpose, v1::operation::Kind};
use accord_tests::world::WorldSpec;

use super::{
    record::Record,
    rig::{Rig, unanswered},
};

/// Asks about some numbers under a clause that lets the broker answer from its view.
async fn ask(rig: &Rig) {
    let client = rig.client("first-bank");
    for subscriber in 100..140 {
        let lookup = Lookup::about(format!("+447700900{subscriber}"), Purpose::Payment);
        let answered = client.lookup(lookup.sim_swap()).await.unwrap();
        assert_eq!(unanswered(&answered), None);
    }
}

/// A world whose view holds something, and whose broker has ended.
async fn with_view() -> Rig {
    let mut rig = Rig::new(&WorldSpec::default());
    let broker = rig.broker().await;
    rig.attach_adapters().await;
    ask(&rig).await;
    assert_eq!(rig.metric("accord_view_served_total").await, 0.0);
    ask(&rig).await;
    assert!(
        rig.metric("accord_view_served_total").await > 0.0,
        "the view was not used"
    );
    assert!(broker.terminate().await.unwrap().success());
    rig
}

fn set_aside(rig: &Rig) -> PathBuf {
    rig.files.dir().join("view.damaged-1")
}

/// Damages the view as told and starts the broker again.
async fn is_rebuilt_after(damage: impl FnOnce(&Path)) {
    let mut rig = with_view().await;
    damage(&rig.files.dir().join("view"));
    let broker = rig.broker().await;
    assert_eq!(
        rig.metric("accord_views_rebuilt_total").await,
        1.0,
        "{}",
        rig.log()
    );
    assert!(set_aside(&rig).is_dir());
    assert!(rig.log().contains("damaged"), "{}", rig.log());
    rig.attach_adapters().await;
    ask(&rig).await;
    ask(&rig).await;
    assert!(
        rig.metric("accord_view_served_total").await > 0.0,
        "the new view is not used"
    );
    assert_eq!(rig.metric("accord_view_failures").await, 0.0);
    assert!(broker.terminate().await.unwrap().success());
    let record = Record::read(&rig.files);
    assert_eq!(record.operations(Kind::ViewRebuilt), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_was_not_closed_or_is_gone_is_counted_and_on_the_record() {
    let mut rig = with_view().await;
    rig.broker().await.kill().await.unwrap();
    let broker = rig.broker().await;
    let rebuilt = "accord_views_rebuilt_total";
    assert_eq!(rig.metric(rebuilt).await, 1.0, "{}", rig.log());
    assert!(broker.terminate().await.unwrap().success());
    fs::remove_dir_all(rig.files.dir().join("view")).unwrap();
    let broker = rig.broker().await;
    assert_eq!(rig.metric(rebuilt).await, 1.0, "{}", rig.log());
    assert!(broker.terminate().await.unwrap().success());
    let broker = rig.broker().await;
    assert_eq!(rig.metric(rebuilt).await, 0.0, "{}", rig.log());
    assert!(broker.terminate().await.unwrap().success());
    assert!(!set_aside(&rig).exists());
    let record = Record::read(&rig.files);
    assert_eq!(record.operations(Kind::ViewRebuilt), 2);
}

fn overwrite(path: &Path, from: usize, to: usize) {
    let mut bytes = fs::read(path).unwrap();
    let to = to.min(bytes.len());
    for byte in &mut bytes[from..to] {
        *byte = byte.wrapping_mul(31).wrapping_add(0x5a);
    }
    fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_whose_configuration_was_overwritten_is_rebuilt() {
    is_rebuilt_after(|view| overwrite(&view.join("conf"), 0, usize::MAX)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_whose_bytes_were_overwritten_is_rebuilt() {
    is_rebuilt_after(|view| overwrite(&view.join("db"), 0, usize::MAX)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_whose_beginning_was_overwritten_is_rebuilt() {
    is_rebuilt_after(|view| overwrite(&view.join("db"), 0, 2_000)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_was_cut_is_rebuilt() {
    is_rebuilt_after(|view| {
        let db = fs::OpenOptions::new()
            .write(true)
            .open(view.join("db"))
            .unwrap();
        db.set_len(db.metadata().unwrap().len() / 3 + 17).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_with_another_ones_snapshot_is_rebuilt() {
    is_rebuilt_after(|view| {
        fs::write(view.join("snap.7FFFFFFFFFFFFFFF"), [7; 100]).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_a_crash_left_half_written_costs_nothing() {
    let mut rig = with_view().await;
    let left = rig
        .files
        .dir()
        .join("view/snap.00000000000ABCDE.generating");
    fs::write(&left, b"half of a snap").unwrap();
    let broker = rig.broker().await;
    assert!(!left.exists());
    assert_eq!(rig.metric("accord_views_rebuilt_total").await, 0.0);
    assert!(!set_aside(&rig).exists());
    rig.attach_adapters().await;
    ask(&rig).await;
    assert!(
        rig.metric("accord_view_served_total").await > 0.0,
        "the view was lost"
    );
    assert!(broker.terminate().await.unwrap().success());
}
