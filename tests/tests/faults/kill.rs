//! `kill -9` under load: every answer that a client received has its entry.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use accord_client::{Client, Lookup};
use accord_proto::purpose::Purpose;
use accord_tests::world::{NORTH_PREFIX, SUD_PREFIX, WorldSpec, wait_until};
use tokio::time::{Instant, sleep};

use super::{
    record::{Record, Told, head},
    rig::{Rig, unanswered},
};

/// Clients that ask at once, of each bank.
const TASKS: usize = 3;
/// A question that is lost with the broker is asked again with the same request id.
const DEADLINE: Duration = Duration::from_secs(3);
/// Killed adapters come back with a short pause, as after an upgrade; their own pause between two
/// dials has grown to seconds by then.
const ADAPTERS_ANEW_EVERY: usize = 8;
/// Rounds between two offline verifications.
const VERIFY_EVERY: usize = 20;

/// What the clients received so far.
#[derive(Default)]
struct Load {
    told: Mutex<Vec<Told>>,
    received: AtomicUsize,
    stop: AtomicBool,
}

impl Load {
    /// Asks until it is stopped. What failed is asked again, with the same request id.
    async fn ask(self: Arc<Self>, client: Client, bank: &'static str, task: usize) {
        let mut question = 0_usize;
        while !self.stop.load(Ordering::Relaxed) {
            let subscriber = 100 + (question * 7 + task * 131) % 900;
            let prefix = if question.is_multiple_of(3) && bank == "first-bank" {
                SUD_PREFIX
            } else {
                NORTH_PREFIX
            };
            let lookup = Lookup::about(format!("{prefix}{subscriber}"), Purpose::Payment)
                .request_id(format!("{bank}-{task}-{question}"));
            let lookup = if bank == "first-bank" {
                lookup.sim_swap()
            } else {
                lookup.sim_swap_within(72)
            };
            if let Ok(answered) = client.lookup_within(lookup, DEADLINE).await {
                let bank = bank.to_owned();
                self.told.lock().unwrap().push(Told { bank, answered });
                self.received.fetch_add(1, Ordering::Relaxed);
                question += 1;
            }
        }
    }

    async fn wait_for_more(&self) {
        let before = self.received.load(Ordering::Relaxed);
        let waited = wait_until("an answer from the broker that came back", || async {
            self.received.load(Ordering::Relaxed) > before
        });
        waited.await.unwrap();
    }
}

/// Kills and starts the broker `rounds` times under load, and holds everything that was received
/// against the ledger.
#[expect(
    clippy::print_stdout,
    reason = "how much was tried is part of the result"
)]
async fn every_answer_survives(rounds: usize) {
    let spec = WorldSpec {
        segment_mib: 1,
        ..WorldSpec::default()
    };
    let mut rig = Rig::new(&spec);
    let load = Arc::new(Load::default());
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        for bank in ["first-bank", "second-bank"] {
            let asking = Arc::clone(&load).ask(rig.client(bank), bank, task);
            tasks.push(tokio::spawn(asking));
        }
    }
    let began = Instant::now();
    let mut heads = Vec::new();
    for round in 0..rounds {
        if round % ADAPTERS_ANEW_EVERY == 0 {
            rig.start_adapters().await;
        }
        // Some are killed before they are ready, some at work.
        if round % 5 == 4 {
            let broker = rig.launch(&[]);
            sleep(Duration::from_millis(
                u64::try_from(round * 13 % 150).unwrap(),
            ))
            .await;
            broker.kill().await.unwrap();
        }
        let broker = rig.broker().await;
        load.wait_for_more().await;
        sleep(Duration::from_millis(
            u64::try_from(round * 29 % 80).unwrap(),
        ))
        .await;
        broker.kill().await.unwrap();
        if rounds < VERIFY_EVERY || round % VERIFY_EVERY == 0 {
            heads.push(head(&rig.files));
        }
    }
    load.stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    heads.push(head(&rig.files));
    let record = Record::read(&rig.files);
    let told = load.told.lock().unwrap();
    assert!(
        told.len() >= rounds,
        "{} answers in {rounds} rounds",
        told.len()
    );
    let values = told
        .iter()
        .filter(|told| unanswered(&told.answered).is_none());
    assert!(values.count() > 0, "no adapter ever answered");
    record.assert_holds(&told);
    Record::assert_each_its_own(&told);
    record.assert_in_order();
    record.assert_continues(&heads);
    assert!(record.accesses() >= told.len());
    assert!(!rig.log().contains("panicked"), "{}", rig.log());
    let (entries, took) = (record.entries.len(), began.elapsed());
    println!(
        "{rounds} kills, {} answers, {entries} entries, {took:.1?}",
        told.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_that_a_client_received_outlives_five_kills() {
    every_answer_survives(5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long"]
async fn every_answer_that_a_client_received_outlives_two_hundred_kills() {
    every_answer_survives(200).await;
}
