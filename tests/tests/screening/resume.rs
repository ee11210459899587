//! Streams that break and go on.

use accord_client::{Lookup, Scope};
use accord_proto::{clock::SystemClock, purpose::Purpose};
use accord_tests::world::{World, WorldFiles, WorldSpec};
use tempfile::TempDir;

use super::{
    access_count, collect,
    raw::{Raw, line, token},
    start,
};

const QUIET: u32 = 100;

#[tokio::test]
async fn a_message_over_the_limit_ends_its_stream_which_resumes_without_second_entries() {
    let (_dir, world) = start(WorldSpec::default()).await;
    let token = token(&world, "first-bank", 240);
    let mut stream = Raw::open(&world, "first-bank", &token).await.unwrap();
    let mut first = Vec::new();
    for number in QUIET..QUIET + 3 {
        let told = stream.ask(line(&format!("line-{number}"), number)).await;
        first.push(told.answer().clone());
    }
    // Whether these are still answered is open; that they can be asked again is not.
    for number in QUIET + 3..QUIET + 6 {
        stream.send(line(&format!("line-{number}"), number)).await;
    }
    let mut long = line("long", QUIET);
    long.question.as_mut().unwrap().customer_ref = "c".repeat(70 << 10);
    stream.send(long).await;
    let ended = loop {
        match stream.next().await {
            Ok(told) => assert!(told.answer().receipt.is_some()),
            Err(status) => break status,
        }
    };
    assert_eq!(ended.code(), tonic::Code::ResourceExhausted, "{ended:?}");

    let mut resumed = Raw::open(&world, "first-bank", &token).await.unwrap();
    for (at, number) in (QUIET..QUIET + 6).enumerate() {
        let told = resumed.ask(line(&format!("line-{number}"), number)).await;
        if let Some(first) = first.get(at) {
            assert!(told.answer() == first, "the same answer, nonce and receipt");
        }
    }
    assert_eq!(access_count(&world), 6);
}

#[tokio::test]
async fn the_library_goes_on_after_the_broker_was_restarted() {
    const LINES: u32 = 800;
    let dir = TempDir::new().unwrap();
    let spec = WorldSpec::default()
        .limit("screen_in_flight_max", 32)
        .limit("drain_seconds_max", 6);
    let mut files = WorldFiles::write(dir.path(), &spec).unwrap();
    files.fix_ports().unwrap();
    let world = World::start(files, SystemClock::shared()).await.unwrap();
    let client = world.client("first-bank").unwrap();
    let lines = (QUIET..QUIET + LINES).map(|number| {
        let lookup = Lookup::about(format!("+447700900{number:03}"), Purpose::Payment);
        (number, lookup.roaming())
    });
    let scope = Scope::new([Purpose::Payment]);
    let mut results = client.screen(scope, tokio_stream::iter(lines));
    let before = collect(&mut results, 100).await;
    // The client goes on while the broker goes and comes.
    let rest = tokio::spawn(async move { collect(&mut results, usize::MAX).await });
    let (files, drained) = world.stop().await.unwrap();
    assert!(drained.questions);
    assert!(!rest.is_finished(), "the broker went in the middle");
    let world = World::start(files, SystemClock::shared()).await.unwrap();
    let rest = rest.await.unwrap();
    assert!(
        rest.keys().all(|tag| !before.contains_key(tag)),
        "a line has two results"
    );
    let all: Vec<_> = before.values().chain(rest.values()).collect();
    assert_eq!(all.len(), LINES as usize);
    let refused: Vec<_> = all
        .iter()
        .filter(|result| result.outcome.is_err())
        .collect();
    assert!(
        refused.is_empty(),
        "{} refused, such as {:?}",
        refused.len(),
        refused[0]
    );
    // Those whose answer was lost with the broker are asked twice, and so on the record twice.
    let on_record = access_count(&world);
    assert!(
        (LINES as usize..=LINES as usize + 32).contains(&on_record),
        "{on_record}"
    );
}
