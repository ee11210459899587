//! An adapter killed while it is asked: its signals get a reason, at once, and no question an error.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use accord_client::{Client, Lookup};
use accord_proto::{clock::SystemClock, purpose::Purpose, reason::Reason};
use accord_tests::world::{World, WorldFiles, WorldSpec, wait_until};
use tempfile::TempDir;
use tokio::time::Instant;

use super::rig::{adapter_process, get, program, unanswered, value_of};

/// Questions on their way when the adapter is killed.
const QUESTIONS: u16 = 20;
/// Long before the operator's time of 10 s in this world is up.
const QUICKLY: Duration = Duration::from_secs(3);

fn about(number: &str) -> Lookup {
    Lookup::about(number, Purpose::Payment).sim_swap()
}

async fn world(dir: &TempDir) -> World {
    let spec = WorldSpec::default().limit("operator_deadline_ms", 10_000);
    let files = WorldFiles::write(dir.path(), &spec).unwrap();
    World::start(files, SystemClock::shared()).await.unwrap()
}

async fn wait_in_flight(world: &World, count: f64) {
    let admin = world.broker.admin_address();
    let waited = wait_until("questions on their way", || async {
        let (_, text) = get(admin, "/metrics").await;
        value_of(&text, "accord_questions_in_flight") == Some(count)
    });
    waited.await.unwrap();
}

/// Waits until the north answers.
async fn wait_north(client: &Client) {
    let waited = wait_until("the adapter of the north", || async {
        let answered = client.lookup(about("+447700900002")).await.unwrap();
        unanswered(&answered).is_none()
    });
    waited.await.unwrap();
}

/// What the killed adapter's journal is worth.
fn verify_journal(config: &Path) {
    let output = Command::new(program("accord-adapter"))
        .arg("verify-journal")
        .arg("--config")
        .arg(config)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("ok"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_to_an_adapter_that_is_killed_get_a_reason_at_once() {
    let dir = TempDir::new().unwrap();
    let mut world = world(&dir).await;
    // The adapter of the north as a process of its own, which `kill -9` ends as the system does.
    world.kill_adapter("north-mobile").await.unwrap();
    let config = world.files.adapter_config_path("north-mobile");
    let log = dir.path().join("adapter.log");
    let mut north = adapter_process(&config, &log);
    let client = world.client("first-bank").unwrap();
    wait_north(&client).await;
    let asking: Vec<_> = (0..QUESTIONS)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                let within = Duration::from_secs(15);
                client.lookup_within(about("+447700900011"), within).await
            })
        })
        .collect();
    wait_in_flight(&world, f64::from(QUESTIONS)).await;
    let before = world.broker.ledger().size();
    let killed = Instant::now();
    north.kill().await.unwrap();
    for asked in asking {
        let answered = asked.await.unwrap().unwrap();
        let reason = unanswered(&answered).unwrap();
        assert!(
            matches!(reason, Reason::SourceDown | Reason::Timeout),
            "{reason:?}"
        );
        assert!(answered.receipt.index >= before);
    }
    assert!(killed.elapsed() < QUICKLY, "{:?}", killed.elapsed());
    verify_journal(&config);

    // The other operator is not touched, and this one's numbers have a reason until it is back.
    let answered = client.lookup(about("+33639980001")).await.unwrap();
    assert_eq!(unanswered(&answered), None);
    let answered = client.lookup(about("+447700900003")).await.unwrap();
    let reason = unanswered(&answered).unwrap();
    assert!(
        matches!(reason, Reason::SourceDown | Reason::NotCovered),
        "{reason:?}"
    );

    let _north = adapter_process(&config, &log);
    wait_north(&client).await;
}
