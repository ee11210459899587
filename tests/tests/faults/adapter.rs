//! An adapter killed while it is asked: its signals get a reason, at once, and no question an error.

use std::time::Duration;

use accord_client::Lookup;
use accord_proto::{clock::SystemClock, purpose::Purpose, reason::Reason};
use accord_tests::world::{World, WorldFiles, WorldSpec, wait_until};
use tempfile::TempDir;
use tokio::time::Instant;

use super::rig::{get, unanswered, value_of};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_to_an_adapter_that_is_killed_get_a_reason_at_once() {
    let dir = TempDir::new().unwrap();
    let mut world = world(&dir).await;
    let client = world.client("first-bank").unwrap();
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
    world.kill_adapter("north-mobile").await.unwrap();
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

    // The other operator is not touched, and this one's numbers have a reason until it is back.
    let answered = client.lookup(about("+33639980001")).await.unwrap();
    assert_eq!(unanswered(&answered), None);
    let answered = client.lookup(about("+447700900002")).await.unwrap();
    let reason = unanswered(&answered).unwrap();
    assert!(
        matches!(reason, Reason::SourceDown | Reason::NotCovered),
        "{reason:?}"
    );

    world.start_adapter("north-mobile").await.unwrap();
    let answered = client.lookup(about("+447700900002")).await.unwrap();
    assert_eq!(unanswered(&answered), None, "{answered:?}");
}
