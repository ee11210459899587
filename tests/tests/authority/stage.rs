//! A world for one test of reading, and callers that send what the library would not.

use std::{fs, ops::Deref};

use accord_client::{Answered, Lookup};
use accord_proto::v1::{self, audit_service_client::AuditServiceClient, entry::Event};
use accord_tests::world::{World, WorldFiles, WorldSpec, wait_until};
use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use prost::Message as _;
use tempfile::TempDir;
use tokio::time::Duration;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// A debug build on a busy machine may take this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A world in a directory that goes when the test ends.
pub(crate) struct Stage {
    // Dropped in this order: first what runs, then where it ran.
    world: World,
    dir: TempDir,
}

impl Deref for Stage {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl Stage {
    /// The sandbox. Each refusal is on the record by itself.
    pub(crate) async fn sandbox() -> Self {
        Self::started(TempDir::new().unwrap()).await
    }

    /// In a directory in which a sandbox may have run before.
    pub(crate) async fn started(dir: TempDir) -> Self {
        let spec = WorldSpec::default().limit("refusals_per_second", 1_000);
        let files = WorldFiles::write(dir.path(), &spec).unwrap();
        Self::of(dir, files, spec).await
    }

    /// A world that is written already.
    pub(crate) async fn of(dir: TempDir, files: WorldFiles, spec: WorldSpec) -> Self {
        let world = World::start(files, spec.clock).await.unwrap();
        let stage = Self { world, dir };
        // From here on nothing is added unless somebody does something.
        let loaded = || async {
            stage.since(0).iter().any(
                |event| matches!(event, Event::DocumentLoaded(loaded) if loaded.kind == "parties"),
            )
        };
        wait_until("the documents on the record", loaded)
            .await
            .unwrap();
        stage
    }

    /// Stops all of it. The directory is there for as long as it is held.
    pub(crate) async fn stopped(self) -> (TempDir, WorldFiles) {
        let (files, _) = self.world.stop().await.unwrap();
        (self.dir, files)
    }

    /// The world, to be changed.
    pub(crate) const fn world_mut(&mut self) -> &mut World {
        &mut self.world
    }

    /// Now.
    pub(crate) fn now(&self) -> Timestamp {
        self.files.spec().clock.now()
    }

    /// The day so many days from now.
    pub(crate) fn in_days(&self, days: i32) -> Date {
        day(self.now()).saturating_add(days.days())
    }

    /// What an operator's adapter put into its journal.
    pub(crate) fn journal(&self, operator: &str) -> String {
        let dir = self
            .files
            .dir()
            .join(format!("adapters/{operator}/journal"));
        let files = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        files
            .map(|file| fs::read_to_string(file).unwrap_or_default())
            .collect()
    }

    /// How many entries there are.
    pub(crate) fn size(&self) -> u64 {
        self.broker.ledger().size_of(None).unwrap()
    }

    /// One entry's event.
    pub(crate) fn event(&self, index: u64) -> Event {
        let bytes = self.broker.ledger().entry(None, index).unwrap();
        v1::Entry::decode(bytes.as_slice()).unwrap().event.unwrap()
    }

    /// The events from an index on.
    pub(crate) fn since(&self, index: u64) -> Vec<Event> {
        (index..self.size()).map(|at| self.event(at)).collect()
    }

    /// A bank asks.
    pub(crate) async fn ask(&self, bank: &str, lookup: Lookup) -> Answered {
        let client = self.client(bank).unwrap();
        client.lookup_within(lookup, PATIENCE).await.unwrap()
    }

    /// A party that sends any message.
    pub(crate) async fn raw(&self, party: &str) -> AuditServiceClient<Channel> {
        AuditServiceClient::new(self.channel(party).await)
    }

    /// A connection with a party's certificate.
    pub(crate) async fn channel(&self, party: &str) -> Channel {
        let pem = |name: &str| fs::read(self.files.dir().join("pki").join(name)).unwrap();
        let identity =
            Identity::from_pem(pem(&format!("{party}.pem")), pem(&format!("{party}.key")));
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(pem("ca.pem")))
            .identity(identity)
            .domain_name("localhost");
        let url = format!("https://{}", self.broker.grpc_address());
        let endpoint = Endpoint::from_shared(url).unwrap().tls_config(tls).unwrap();
        endpoint.connect().await.unwrap()
    }
}

/// The day of an instant, UTC.
pub(crate) fn day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}
