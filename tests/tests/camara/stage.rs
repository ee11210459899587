//! A world for one test, with somebody who asks.

use accord_tests::world::{OPEN_GATEWAY_BANK, OPEN_GATEWAY_CLIENT, World, WorldFiles, WorldSpec};
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::client::{Client, Connection, Told};

/// Every scope of the client.
pub(crate) const ALL: &str = "sim-swap device-swap \
    call-forwarding-signal:unconditional-call-forwardings:read \
    call-forwarding-signal:call-forwardings:read device-roaming-status:read number-recycling:check \
    kyc-tenure:check-tenure";

pub(crate) const CHECK: &str = "/sim-swap/v2/check";
pub(crate) const RETRIEVE_DATE: &str = "/sim-swap/v2/retrieve-date";

/// A world in a directory that goes when the test ends.
pub(crate) struct Stage {
    // Dropped in this order: first what runs, then where it ran.
    pub(crate) world: World,
    pub(crate) dir: TempDir,
}

impl Stage {
    pub(crate) async fn sandbox() -> Self {
        Self::of(&WorldSpec::default()).await
    }

    pub(crate) async fn of(spec: &WorldSpec) -> Self {
        let spec = WorldSpec {
            camara_port: Some(0),
            ..spec.clone()
        }
        .limit("refusals_per_second", 1_000);
        let dir = TempDir::new().unwrap();
        let files = WorldFiles::write(dir.path(), &spec).unwrap();
        let world = World::start(files, spec.clock.clone()).await.unwrap();
        Self { world, dir }
    }

    /// A connection of a party.
    pub(crate) async fn connect(&self, party: &str, http2: bool) -> Connection {
        let address = self.world.broker.camara_address().unwrap();
        Connection::new(self.dir.path(), party, address, http2).await
    }

    /// The open-gateway bank's application.
    pub(crate) fn client(&self) -> Client {
        self.client_of(OPEN_GATEWAY_BANK, OPEN_GATEWAY_CLIENT)
    }

    pub(crate) fn client_of(&self, bank: &str, id: &str) -> Client {
        Client {
            id: id.to_owned(),
            kid: format!("{bank}-1"),
            key_file: self.dir.path().join(format!("pki/{bank}.token.key")),
            url: self.world.files.camara_url().unwrap(),
            clock: self.world.files.spec().clock.clone(),
        }
    }

    /// Somebody who asks with a token about nobody in particular.
    pub(crate) async fn asker(&self) -> Asker {
        self.asking(OPEN_GATEWAY_BANK, OPEN_GATEWAY_CLIENT, ALL)
            .await
    }

    pub(crate) async fn asking(&self, bank: &str, client: &str, scopes: &str) -> Asker {
        let mut door = self.connect(bank, true).await;
        let client = self.client_of(bank, client);
        let token = client.two_legged(&mut door, scopes).await;
        Asker { door, token }
    }

    /// Somebody who asks with a token about one number.
    pub(crate) async fn asker_about(&self, number: &str) -> Asker {
        let mut door = self.connect(OPEN_GATEWAY_BANK, true).await;
        let token = self.client().three_legged(&mut door, number, ALL).await;
        Asker { door, token }
    }
}

/// A connection, and a token for it.
pub(crate) struct Asker {
    pub(crate) door: Connection,
    pub(crate) token: String,
}

impl Asker {
    /// Asks with a body.
    pub(crate) async fn ask(&mut self, path: &str, body: &Json) -> Told {
        self.ask_with(path, &[], body.to_string().as_bytes()).await
    }

    /// Asks with any bytes, and more headers.
    pub(crate) async fn ask_with(
        &mut self,
        path: &str,
        more: &[(&str, &str)],
        body: &[u8],
    ) -> Told {
        let bearer = format!("Bearer {}", self.token);
        let mut headers = vec![
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        headers.extend(more);
        self.door.send("POST", path, &headers, body).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Told {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("authorization", bearer.as_str())];
        self.door.send("GET", path, &headers, b"").await
    }
}

/// A number of `north-mobile` by its last three digits.
pub(crate) fn north(digits: u16) -> String {
    format!("+447700900{digits:03}")
}
