//! A swap that the operator's system tells NATS JetStream (Debian package `nats-server`) reaches a
//! bank's question. Run with `--ignored --nocapture` to see how fast.

use accord_adapters::events::testing::{READER, RealNats};
use accord_client::{Lookup, Outcome, Value};
use accord_proto::{
    clock::{Clock as _, SystemClock},
    purpose::Purpose,
    reason::Reason,
};
use accord_tests::world::{World, WorldFiles, wait_until};
use tempfile::TempDir;
use tokio::time::Instant;

use super::spec;

const SWAPPED: &str = "+447700900001";

#[tokio::test]
#[ignore = "needs nats-server"]
async fn a_swap_that_happens_reaches_a_banks_lookup() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("password"), READER.1).unwrap();
    let server = RealNats::start(dir.path(), None).await.unwrap();
    let producer = server.producer().await.unwrap();
    producer.make_stream(-1).await.unwrap();
    let source = format!(
        r#"kind = "events"
producers = {{ crm = ["swaps"] }}
journal_dir = "north-mobile/events"
journal_key_file = "north-mobile/events.key"
lateness_ms = 0
nats = {{ servers = ["{}"], stream = "EVENTS", user = "{}", password_file = "{}" }}
"#,
        server.url(),
        READER.0,
        dir.path().join("password").display(),
    );
    let files = WorldFiles::write(&dir.path().join("world"), &spec(source)).unwrap();
    let world = World::start(files, SystemClock::shared()).await.unwrap();
    let client = world.client("first-bank").unwrap();
    let asked = || async {
        let lookup = Lookup::about(SWAPPED, Purpose::Payment).sim_swap_within(72);
        let answered = client.lookup(lookup).await.unwrap();
        let [signal] = answered.signals() else {
            panic!("one signal was asked");
        };
        signal.outcome.clone()
    };
    let publish = |kind: &'static str| {
        let at = SystemClock.now();
        let event = format!(
            r#"{{"id":"{kind}","source":"crm","type":"{kind}","time":"{at}","subject":"{SWAPPED}","data":{{"kind":"replacement"}}}}"#
        );
        let producer = producer.clone();
        async move {
            producer.publish(event).await.unwrap();
        }
    };
    publish("heartbeat").await;
    wait_until("the source to be asked", || async {
        matches!(
            asked().await,
            Outcome::Unanswered {
                reason: Reason::NotWatched,
                ..
            }
        )
    })
    .await
    .unwrap();

    let told = Instant::now();
    publish("sim_swap").await;
    wait_until("the bank to know", || async {
        matches!(
            asked().await,
            Outcome::Value {
                value: Value::YesNo(true),
                ..
            }
        )
    })
    .await
    .unwrap();
    println!(
        "from the event to a bank's answer *yes*: {:.0?}",
        told.elapsed()
    );
}
