//! A client that hangs up in the middle of a call leaves its entry.

use accord_client::Lookup;
use accord_proto::{
    clock::SystemClock,
    purpose::Purpose,
    v1::{self, entry::Event},
};
use accord_tests::world::{World, WorldFiles, WorldSpec, wait_until};
use prost::Message as _;
use tempfile::TempDir;

use super::rig::{get, value_of};

fn accesses_since(world: &World, index: u64) -> Vec<v1::Access> {
    let ledger = world.broker.ledger();
    let entries = ledger.entries(None, index, 1_000).unwrap();
    let decode = |bytes: &Vec<u8>| v1::Entry::decode(bytes.as_slice()).unwrap().event;
    let mut accesses = Vec::new();
    for entry in &entries {
        if let Some(Event::Access(access)) = decode(entry) {
            accesses.push(access);
        }
    }
    accesses
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_in_mid_call_leaves_its_entry() {
    let dir = TempDir::new().unwrap();
    let files = WorldFiles::write(dir.path(), &WorldSpec::default()).unwrap();
    let world = World::start(files, SystemClock::shared()).await.unwrap();
    let client = world.client("first-bank").unwrap();
    let before = world.broker.ledger().size();
    // The last three digits 010: answered after 600 ms.
    let lookup = Lookup::about("+447700900010", Purpose::Payment).sim_swap();
    let calling = tokio::spawn({
        let client = client.clone();
        async move { client.lookup(lookup).await.map(drop) }
    });
    let admin = world.broker.admin_address();
    let in_flight = wait_until("the question to be on its way", || async {
        let (_, text) = get(admin, "/metrics").await;
        value_of(&text, "accord_questions_in_flight") == Some(1.0)
    });
    in_flight.await.unwrap();
    assert_eq!(accesses_since(&world, before).len(), 0);
    calling.abort();
    assert!(calling.await.unwrap_err().is_cancelled());
    // The connection goes as well, not only the call.
    drop(client);
    let recorded = wait_until("the entry of the call that nobody waits for", || async {
        !accesses_since(&world, before).is_empty()
    });
    recorded.await.unwrap();
    let accesses = accesses_since(&world, before);
    let [access] = accesses.as_slice() else {
        panic!("{accesses:?}")
    };
    assert_eq!(
        (access.bank.as_str(), access.operator.as_str()),
        ("first-bank", "north-mobile")
    );
    assert_eq!(
        access.signals[0].reason(),
        v1::Reason::Unspecified,
        "it was answered"
    );
    assert_eq!(access.answer_digest.len(), 32);
}
