//! A world that runs, all of it in this process.

use std::collections::BTreeMap;

use accord_broker::{
    config::Config,
    serve::{self, Drained, Running},
};
use accord_client::{
    Auditor, Client,
    profile::{LoadedProfile, PartySection, ProfileRole},
};
use accord_proto::clock::SharedClock;
use jiff::tz::TimeZone;

use super::{
    RunningAdapter, RunningWitness, WorldError, WorldFiles, ports::Ports, wait_until, witnesses,
};

/// A broker in this process, and the adapters of all operators.
#[derive(Debug)]
pub struct World {
    /// The directory.
    pub files: WorldFiles,
    /// The broker.
    pub broker: Running,
    adapters: BTreeMap<String, RunningAdapter>,
    clock: SharedClock,
    profile: LoadedProfile,
    /// They outlive the broker, which asks them to the end.
    _witnesses: Vec<RunningWitness>,
}

impl World {
    /// Starts broker and adapters, and waits until every adapter is attached.
    ///
    /// # Errors
    /// [`WorldError`] says which part did not start.
    pub async fn start(mut files: WorldFiles, clock: SharedClock) -> Result<Self, WorldError> {
        let witnesses = match files.spec().witnessed {
            true => witnesses::start_all(&files, &clock).await?,
            false => Vec::new(),
        };
        let config = Config::read(&files.broker_config_path())?;
        let broker = serve::start(config, clock.clone()).await?;
        let tiles = broker.tiles_address().map_or(0, |address| address.port());
        files.set_ports(Ports {
            grpc: broker.grpc_address().port(),
            admin: broker.admin_address().port(),
            tiles,
            camara: files.camara_port(),
        })?;
        let profile = LoadedProfile::load(files.dir())?;
        let operators = files.spec().operators.iter();
        let operators: Vec<_> = operators.map(|operator| operator.name.clone()).collect();
        let mut world = Self {
            files,
            broker,
            adapters: BTreeMap::new(),
            clock,
            profile,
            _witnesses: witnesses,
        };
        for operator in operators {
            world.start_adapter(&operator).await?;
        }
        Ok(world)
    }

    /// Starts an operator's adapter, again if it was killed, and waits until it is attached.
    ///
    /// # Errors
    /// [`WorldError`].
    pub async fn start_adapter(&mut self, operator: &str) -> Result<(), WorldError> {
        let config = self.files.adapter_config_path(operator);
        let mut adapter = RunningAdapter::start(&config, self.clock.clone()).await?;
        adapter.wait_attached().await?;
        self.adapters.insert(operator.to_owned(), adapter);
        self.wait_links(operator, true).await
    }

    /// Ends an operator's adapter as a crash would, and waits until the broker noticed.
    ///
    /// # Errors
    /// [`WorldError::NoSuch`], [`WorldError::TimedOut`].
    pub async fn kill_adapter(&mut self, operator: &str) -> Result<(), WorldError> {
        let adapter = self.adapters.remove(operator);
        let no_such = || WorldError::no_such("adapter of", operator);
        adapter.ok_or_else(no_such)?.kill().await;
        self.wait_links(operator, false).await
    }

    async fn wait_links(&self, operator: &str, attached: bool) -> Result<(), WorldError> {
        let what = format!("the broker to notice the adapter of {operator}");
        wait_until(&what, || async {
            let links = self.broker.links().attached();
            let count = links.iter().find(|(name, _)| name.as_str() == operator);
            count.is_some_and(|(_, count)| *count > 0) == attached
        })
        .await
    }

    /// An operator's adapter.
    ///
    /// # Errors
    /// [`WorldError::NoSuch`].
    pub fn adapter(&self, operator: &str) -> Result<&RunningAdapter, WorldError> {
        let adapter = self.adapters.get(operator);
        adapter.ok_or_else(|| WorldError::no_such("adapter of", operator))
    }

    /// A client that asks as a bank.
    ///
    /// # Errors
    /// [`WorldError`].
    pub fn client(&self, bank: &str) -> Result<Client, WorldError> {
        Ok(self.profile.client(self.profile.profile.party(bank)?)?)
    }

    /// A client that reads the ledger as a party.
    ///
    /// # Errors
    /// [`WorldError`].
    pub fn auditor(&self, party: &str) -> Result<Auditor, WorldError> {
        self.stating(self.profile.profile.party(party)?)
    }

    /// A client that reads the ledger as an authority.
    ///
    /// # Errors
    /// [`WorldError`].
    pub fn authority(&self) -> Result<Auditor, WorldError> {
        self.stating(self.profile.profile.first(ProfileRole::Authority)?)
    }

    /// Whoever reads states what the world's `statement.toml` says.
    fn stating(&self, party: &PartySection) -> Result<Auditor, WorldError> {
        let today = self.clock.now().to_zoned(TimeZone::UTC).date();
        let statement = self.profile.statement(today)?;
        Ok(self.profile.auditor(party)?.stating(statement))
    }

    /// The clients' profile.
    #[must_use]
    pub const fn profile(&self) -> &LoadedProfile {
        &self.profile
    }

    /// Drains the broker and stops the adapters. Clients that still hold a connection are left
    /// behind after the broker's drain time.
    ///
    /// # Errors
    /// If an adapter did not end well.
    pub async fn stop(self) -> Result<(WorldFiles, Drained), WorldError> {
        let stop_adapters = async {
            let mut outcome = Ok(());
            for adapter in self.adapters.into_values() {
                outcome = outcome.and(adapter.stop().await);
            }
            outcome
        };
        let (drained, stopped) = tokio::join!(self.broker.drain(), stop_adapters);
        stopped.map(|()| (self.files, drained))
    }
}

#[cfg(test)]
mod tests {
    use accord_client::Lookup;
    use accord_proto::{clock::SystemClock, purpose::Purpose};
    use tempfile::TempDir;

    use super::*;
    use crate::world::WorldSpec;

    async fn started(dir: &TempDir) -> World {
        let files = WorldFiles::write(dir.path(), &WorldSpec::default()).unwrap();
        World::start(files, SystemClock::shared()).await.unwrap()
    }

    #[tokio::test]
    async fn a_world_answers_stops_and_starts_again_in_the_same_place() {
        let dir = TempDir::new().unwrap();
        let mut indexes = Vec::new();
        for _ in 0..2 {
            let world = started(&dir).await;
            let client = world.client("first-bank").unwrap();
            for number in ["+447700900001", "+33639980001"] {
                let lookup = Lookup::about(number, Purpose::Payment).sim_swap();
                let answered = client.lookup(lookup).await.unwrap();
                assert!(answered.signals()[0].value().is_some(), "{answered:?}");
                indexes.push(answered.receipt.index);
            }
            drop(client);
            let (_, drained) = world.stop().await.unwrap();
            assert!(drained.questions && drained.connections, "{drained:?}");
        }
        assert!(indexes.is_sorted(), "{indexes:?}");
    }

    #[tokio::test]
    async fn an_adapter_that_was_killed_comes_back() {
        let dir = TempDir::new().unwrap();
        let mut world = started(&dir).await;
        world.kill_adapter("north-mobile").await.unwrap();
        assert!(world.adapter("north-mobile").is_err());
        world.start_adapter("north-mobile").await.unwrap();
        let client = world.client("first-bank").unwrap();
        let lookup = Lookup::about("+447700900001", Purpose::Payment).sim_swap();
        let answered = client.lookup(lookup).await.unwrap();
        assert!(answered.signals()[0].value().is_some(), "{answered:?}");
    }
}
