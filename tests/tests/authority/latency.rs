//! How long a question took is on the record, and how long its operator.

use accord_client::{Client, Lookup, Scope};
use accord_proto::{
    purpose::Purpose,
    v1::{self, entry::Event},
};
use accord_tests::world::{World, WorldFiles, WorldSpec};
use prost::Message as _;
use tempfile::TempDir;
use tokio::time::Duration;

/// The number whose operator takes 600 ms.
const SLOW: &str = "+447700900010";
const SLOW_US: u32 = 600_000;

async fn started() -> (TempDir, World) {
    let dir = TempDir::new().unwrap();
    let spec = WorldSpec::default();
    let files = WorldFiles::write(dir.path(), &spec).unwrap();
    let world = World::start(files, spec.clock).await.unwrap();
    (dir, world)
}

fn access(world: &World, index: u64) -> v1::Access {
    let bytes = world.broker.ledger().entry(None, index).unwrap();
    match v1::Entry::decode(bytes.as_slice()).unwrap().event {
        Some(Event::Access(access)) => access,
        other => panic!("{other:?}"),
    }
}

async fn asked(world: &World, client: &Client, lookup: Lookup) -> v1::Access {
    let patience = Duration::from_secs(20);
    let answered = client.lookup_within(lookup, patience).await.unwrap();
    access(world, answered.receipt.index)
}

#[tokio::test]
async fn what_a_bank_waited_for_and_what_its_operator_took_of_it_are_on_the_record() {
    let (_dir, world) = started().await;
    let client = world.client("first-bank").unwrap();
    let slow = Lookup::about(SLOW, Purpose::Payment).sim_swap();
    let slow = asked(&world, &client, slow).await;
    assert!(slow.replies[0].elapsed_us >= SLOW_US, "{slow:?}");
    assert!(slow.elapsed_us >= slow.replies[0].elapsed_us, "{slow:?}");

    // What the view serves has no reply to be timed, and still took some time.
    let again = Lookup::about(SLOW, Purpose::Payment).sim_swap();
    let again = asked(&world, &client, again).await;
    assert!(again.signals[0].from_view && again.replies.is_empty());
    assert!(again.elapsed_us >= 1, "{again:?}");

    // What is refused signal by signal asks nobody.
    let refused = Lookup::about(SLOW, Purpose::Payment).device_swap();
    let refused = asked(&world, &client, refused).await;
    assert!(refused.replies.is_empty() && refused.elapsed_us >= 1);
}

#[tokio::test]
async fn a_line_of_a_screening_is_timed_too() {
    let (_dir, world) = started().await;
    let client = world.client("first-bank").unwrap();
    let lines = ["+447700900010", "+447700900100", "+447700900101"]
        .map(|number| ((), Lookup::about(number, Purpose::Payment).sim_swap()));
    let scope = Scope::new([Purpose::Payment]);
    let mut results = client.screen(scope, tokio_stream::iter(lines));
    let mut timed = Vec::new();
    while let Some(result) = results.next().await {
        let answered = result.unwrap().outcome.unwrap();
        let access = access(&world, answered.receipt.index);
        assert!(access.bulk);
        assert!(access.elapsed_us >= access.replies[0].elapsed_us);
        timed.push(access.replies[0].elapsed_us);
    }
    timed.sort_unstable();
    assert!(timed[0] >= 1 && timed[2] >= SLOW_US, "{timed:?}");
}
