//! Operators' real systems as sources, end to end: a bank asks through a broker and an adapter.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers of a test fail by panicking"
)]

mod events;
mod files;
mod sql;

use std::path::Path;

use accord_client::{Client, Lookup, Outcome, Value};
use accord_proto::{clock::SystemClock, purpose::Purpose, reason::Reason};
use accord_tests::world::{NORTH_PREFIX, OperatorSpec, World, WorldFiles, WorldSpec, admin_page};

/// What the bank may ask here.
const AGREEMENT: &str = include_str!("../../samples/real-input.toml");

/// A world with north-mobile, whose adapter reads this source.
fn spec(source: String) -> WorldSpec {
    WorldSpec {
        agreement: AGREEMENT.to_owned(),
        operators: vec![OperatorSpec {
            name: "north-mobile".to_owned(),
            title: "North Mobile".to_owned(),
            ranges: vec![NORTH_PREFIX.to_owned()],
            source,
        }],
        ..WorldSpec::default()
    }
}

/// Whether the SIM was swapped within three days, as the bank is told.
async fn asked(client: &Client, number: &str) -> Result<Value, Reason> {
    let lookup = Lookup::about(number, Purpose::Payment).sim_swap_within(72);
    let answered = client.lookup(lookup).await.unwrap();
    let [signal] = answered.signals() else {
        panic!("one signal was asked");
    };
    match &signal.outcome {
        Outcome::Value { value, .. } => Ok(value.clone()),
        Outcome::Unanswered { reason, .. } => Err(*reason),
    }
}

/// A world with north-mobile, whose clause grants caching for as long as an answer may be old, and a bank
/// that asks there.
struct Cached {
    world: World,
    client: Client,
}

impl Cached {
    async fn start(dir: &Path, source: String) -> Self {
        let mut spec = spec(source);
        let caching = "age_max_minutes = 60\ncaching_minutes = 60";
        spec.agreement = spec.agreement.replacen("age_max_minutes = 60", caching, 1);
        let files = WorldFiles::write(&dir.join("world"), &spec).unwrap();
        let world = World::start(files, SystemClock::shared()).await.unwrap();
        let client = world.client("first-bank").unwrap();
        Self { world, client }
    }

    async fn asked(&self, number: &str) -> Result<Value, Reason> {
        asked(&self.client, number).await
    }

    /// How many answers the broker has given from its view.
    async fn served_from_view(&self) -> u64 {
        let admin = self.world.broker.admin_address();
        let text = admin_page(admin, "/metrics").await.unwrap();
        let name = "accord_view_served_total";
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap().parse().unwrap()
    }
}
