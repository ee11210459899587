//! The check of a token that was seen before, alone: in this process, over a real connection.

use std::{hint::black_box, net::Ipv4Addr, path::Path, sync::Arc};

use accord_broker::{
    config::Config,
    governance::read_parties,
    identity::{
        AcceptLimits, ConnectionLimits, Connections, IdentityMetrics, Incoming, KeyDirectory,
        Presented, Registered, Speaks, TlsFiles, TokenVerifier, TrustStore,
    },
};
use accord_proto::{
    camara::ClientId,
    clock::{Clock as _, SystemClock},
    parties::{Parties, TokenKey},
    party::PartyId,
    purpose::Purpose,
};
use tokio::{net::TcpListener, time::Instant};
use tokio_stream::StreamExt as _;

use super::super::{BenchError, rig::Rig};

/// Checks of one measurement.
const CHECKS: u32 = 1_000_000;

/// The list of the rig's parties.
#[derive(Debug)]
struct Register(Parties);

impl KeyDirectory for Register {
    fn generation(&self) -> u64 {
        1
    }

    fn key(&self, party: &PartyId, kid: &str) -> Option<TokenKey> {
        self.0.party(party)?.key(kid).cloned()
    }

    fn client(&self, id: &ClientId) -> Option<Registered> {
        let (party, client) = self.0.client(id)?;
        Some(Registered {
            party: party.id.clone(),
            client: client.clone(),
        })
    }
}

/// What one check costs, in microseconds: the token was verified once, and is remembered.
pub(super) async fn cost_us(rig: &Rig) -> Result<f64, BenchError> {
    let broken = |why: &str| BenchError::Answer {
        what: "the check of a token",
        why: why.to_owned(),
    };
    let config = Config::read(&rig.dir().join("broker.toml"))?;
    let authorities = config.authorities().map_err(|(_, rule)| broken(&rule))?;
    let parties = read_parties(&config.documents.parties, &authorities, None);
    let parties = parties.map_err(|error| broken(&error.to_string()))?;
    let metrics = IdentityMetrics::default();
    let files = TlsFiles {
        certificate: config.tls.certificate.clone(),
        key: config.tls.key.clone(),
        client_roots: config.tls.client_roots.clone(),
        revocation_lists: config.tls.revocation_lists.clone(),
    };
    let domain = &config.broker.trust_domain;
    let trust = TrustStore::open(files, domain, SystemClock::shared(), metrics.clone());
    let trust = trust.map_err(|error| broken(&error.to_string()))?;
    let loopback = Path::new("127.0.0.1:0");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.map_err(BenchError::io("listen on", loopback))?;
    let at = listener.local_addr();
    let at = at.map_err(BenchError::io("listen on", loopback))?;
    let one = ConnectionLimits {
        per_party_max: 1,
        per_address_max: 1,
    };
    let connections = Connections::new(one, metrics.clone());
    let limits = AcceptLimits::default();
    let mut incoming = Incoming::listen(listener, Speaks::Grpc, trust, connections, limits, |_| ());
    let _client = rig.dialler.stream(at, b"h2").await?;
    let Some(Ok(stream)) = incoming.next().await else {
        return Err(broken("the connection was not taken"));
    };
    let peer = Arc::clone(stream.peer());
    let tokens = TokenVerifier::new(
        &config.broker.audience,
        Arc::new(Register(parties)),
        metrics,
        SystemClock.now(),
    );
    let bearer = rig.tokens.bearer(Purpose::Payment)?;
    let token = bearer.to_str().unwrap_or_default();
    let presented = Presented::bearer(token.trim_start_matches("Bearer "));
    let now = SystemClock.now();
    let begun = Instant::now();
    for _ in 0..CHECKS {
        let checked = tokens.verify(&peer, Some(black_box(&presented)), now);
        black_box(checked.map_err(|error| broken(&error.to_string()))?);
    }
    Ok(begun.elapsed().as_secs_f64() * 1e6 / f64::from(CHECKS))
}
