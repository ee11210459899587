//! Many questions over one stream: on the wire, with the client library, and with the command.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod bounds;
mod command;
mod identity;
mod lines;
mod raw;
mod resume;

use std::{collections::BTreeMap, time::Duration};

use accord_client::{Screened, Screening};
use accord_proto::{clock::SystemClock, v1};
use accord_tests::world::{World, WorldFiles, WorldSpec};
use prost::Message as _;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// For how long nothing may happen before it counts as standing still.
const STILL: Duration = Duration::from_millis(700);
const LOOK_EVERY: Duration = Duration::from_millis(20);

async fn start(spec: WorldSpec) -> (TempDir, World) {
    let dir = TempDir::new().unwrap();
    let files = WorldFiles::write(dir.path(), &spec).unwrap();
    let world = World::start(files, SystemClock::shared()).await.unwrap();
    (dir, world)
}

/// Every entry of the ledger, without leaving one.
fn entries(world: &World) -> Vec<v1::entry::Event> {
    let ledger = world.broker.ledger();
    let entries = ledger.entries(None, 0, u64::MAX).unwrap();
    entries
        .iter()
        .map(|entry| v1::Entry::decode(entry.as_slice()).unwrap().event.unwrap())
        .collect()
}

/// How many questions are on the record.
fn access_count(world: &World) -> usize {
    let entries = entries(world);
    let access = |event: &&v1::entry::Event| matches!(event, v1::entry::Event::Access(_));
    entries.iter().filter(access).count()
}

/// Waits until a value does not change any more, and gives it.
async fn settled(mut look: impl FnMut() -> usize) -> usize {
    let until = Instant::now() + accord_tests::world::WAIT_MAX;
    let (mut last, mut since) = (look(), Instant::now());
    while since.elapsed() < STILL {
        assert!(Instant::now() < until, "it never stands still: {last}");
        sleep(LOOK_EVERY).await;
        let now = look();
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    last
}

/// All results, each under the tag of its line.
async fn collect(results: &mut Screening<u32>, at_most: usize) -> BTreeMap<u32, Screened<u32>> {
    let mut collected = BTreeMap::new();
    while collected.len() < at_most
        && let Some(result) = results.next().await
    {
        let result = result.unwrap();
        let tag = result.tag;
        assert!(
            collected.insert(tag, result).is_none(),
            "line {tag} has two results"
        );
    }
    collected
}
