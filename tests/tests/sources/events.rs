//! A swap that the operator's system tells NATS JetStream (Debian package `nats-server`) reaches a
//! bank's question. Run with `--ignored --nocapture` to see how fast.

use accord_adapters::events::testing::{READER, RealNats};
use accord_client::Value;
use accord_proto::{
    clock::{Clock as _, SystemClock},
    reason::Reason,
};
use accord_tests::world::{World, WorldFiles, wait_until};
use jiff::SignedDuration;
use tempfile::TempDir;
use tokio::time::Instant;

use super::{Cached, asked, spec};

const CEASED: &str = "+447700900002";
const LEFT: &str = "+447700900003";
const SWAPPED: &str = "+447700900001";

fn source(server: &RealNats, dir: &TempDir) -> String {
    format!(
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
    )
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn a_swap_that_happens_reaches_a_banks_lookup() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("password"), READER.1).unwrap();
    let server = RealNats::start(dir.path(), None).await.unwrap();
    let producer = server.producer().await.unwrap();
    producer.make_stream(-1).await.unwrap();
    let source = source(&server, &dir);
    let files = WorldFiles::write(&dir.path().join("world"), &spec(source)).unwrap();
    let world = World::start(files, SystemClock::shared()).await.unwrap();
    let client = world.client("first-bank").unwrap();
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
        asked(&client, SWAPPED).await == Err(Reason::NotWatched)
    })
    .await
    .unwrap();

    let told = Instant::now();
    publish("sim_swap").await;
    wait_until("the bank to know", || async {
        asked(&client, SWAPPED).await == Ok(Value::YesNo(true))
    })
    .await
    .unwrap();
    println!(
        "from the event to a bank's answer *yes*: {:.0?}",
        told.elapsed()
    );
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn a_line_that_ends_leaves_or_begins_ends_what_the_broker_answers_from_its_view() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("password"), READER.1).unwrap();
    let server = RealNats::start(dir.path(), None).await.unwrap();
    let producer = server.producer().await.unwrap();
    producer.make_stream(-1).await.unwrap();
    let bank = Cached::start(dir.path(), source(&server, &dir)).await;
    let publish = async |kind: &str, number: &str, ago: i64| {
        let at = SystemClock.now() - SignedDuration::from_secs(ago);
        let event = format!(
            r#"{{"id":"{kind}-{number}","source":"crm","type":"{kind}","time":"{at}","subject":"{number}","data":{{}}}}"#
        );
        producer.publish(event).await.unwrap();
    };
    publish("heartbeat", SWAPPED, 30).await;
    let swapped = Ok(Value::YesNo(true));
    for number in [CEASED, LEFT] {
        publish("sim_swap", number, 20).await;
        let what = "the bank to know of the swap";
        let known = wait_until(what, || async { bank.asked(number).await == swapped });
        known.await.unwrap();
        // And now it is the view that answers.
        let served = bank.served_from_view().await;
        assert_eq!(bank.asked(number).await, swapped);
        assert_eq!(bank.served_from_view().await, served + 1);
    }
    for (kind, number, ago, expected) in [
        ("cease", CEASED, 10, Err(Reason::UnknownNumber)),
        ("port_out", LEFT, 10, Err(Reason::NotOurs)),
        // A new line is a new SIM.
        ("activate", CEASED, 5, Ok(Value::YesNo(true))),
    ] {
        let told = Instant::now();
        publish(kind, number, ago).await;
        let what = format!("the bank to know of the {kind}");
        let known = wait_until(&what, || async { bank.asked(number).await == expected });
        known.await.unwrap();
        println!("from `{kind}` to a bank's answer: {:.0?}", told.elapsed());
    }
}
