//! From a configuration to a broker that serves, part by part, each with its own error.

use std::sync::Arc;

use accord_proto::{c2sp::SigningKey, clock::SharedClock, document::Authorities, v1};
use aws_lc_rs::digest::{SHA256, digest};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::Duration,
};

use super::{
    Running,
    acts::{Acts, record_act},
    admin, authorisation,
    error::StartError,
    gauges::Gauges,
    keys,
    listeners::Listeners,
    recall, routing, witnessing,
};
use crate::{
    anomaly::{self, AnomalyMetrics, Watch, Watcher},
    config::Config,
    doors::Tokens,
    governance::{
        AgreementLife, DocumentFiles, Governance, KeptAgreement, LastLoaded, RecalledLife,
        Reloader, Seen, read_parties, read_ported,
    },
    identity::{Connections, IdentityMetrics, TlsFiles, TokenVerifier, TrustStore, keep_current},
    index::{Index, IndexMetrics},
    ledger::{Ledger, LedgerConfig, LedgerError, Replayed},
    link::Links,
    metrics::Metrics,
    oauth::OauthMetrics,
    refusals::RefusalBook,
    replay::Replays,
    routing::{DatabaseWatch, Routing, RoutingMetrics},
    subjects::{closed::ClosedKeys, state::SubjectState, tag_keys::TagKeys},
    views::{Rebuilt, Views},
    witnesses::{WitnessMetrics, Witnesses},
};

/// Everything that several doors share.
pub(super) struct House {
    pub(super) config: Config,
    pub(super) clock: SharedClock,
    pub(super) trust: Arc<TrustStore>,
    pub(super) tokens: Arc<TokenVerifier>,
    /// Whose issued tokens are taken, where there is a CAMARA door.
    pub(super) issued: Option<Tokens>,
    pub(super) governance: Arc<Governance>,
    pub(super) life: Arc<AgreementLife>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) routing: Arc<Routing>,
    pub(super) links: Arc<Links>,
    pub(super) views: Arc<Views>,
    pub(super) refusals: Arc<RefusalBook>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) watch: Watch,
    pub(super) tag_keys: Arc<TagKeys>,
    pub(super) closed: Arc<ClosedKeys>,
    pub(super) subjects: Arc<SubjectState>,
    pub(super) replays: Arc<Replays>,
    pub(super) index: Arc<Index>,
    pub(super) permits: Arc<Semaphore>,
    /// Where the configuration names some.
    pub(super) witnesses: Option<Arc<Witnesses>>,
}

/// Starts a broker: everything is opened and checked, the start is on the record, and only then
/// does it listen.
///
/// # Errors
/// [`StartError`].
pub async fn start(config: Config, clock: SharedClock) -> Result<Running, StartError> {
    let listeners = Listeners::open(&config).await?;
    let (identity, witnessed) = (IdentityMetrics::default(), WitnessMetrics::default());
    // Looked at first: what changes while it is read is then read again.
    let seen = Seen::look(&document_files(&config));
    let (house, watcher, database) = House::open(config, clock, &identity, &witnessed).await?;
    let reloader = house.reloader(seen);
    reloader.record_start().await?;
    let mut acts = house.acts();
    acts.look().await?;
    let (shutdown, stopping) = watch::channel(false);
    let mut housekeeping = JoinSet::new();
    housekeeping.spawn(watcher.run());
    let connections = Connections::new(house.config.limits.open(), identity);
    housekeeping.spawn(keep_current(
        Arc::clone(&house.trust),
        Arc::clone(&connections),
    ));
    house.keep(&mut housekeeping, reloader, acts);
    house.keep_database(&mut housekeeping, database);
    house.keep_witnessed(&mut housekeeping, witnessed);
    house.keep_tokens(&mut housekeeping);
    let gauges = Gauges::new(&house, stopping.clone());
    let at = listeners.addresses(&house.config);
    let Listeners {
        grpc,
        admin,
        tiles,
        camara,
    } = listeners;
    let path = house.path();
    if let Some(listener) = tiles {
        let door = house.tiles_door();
        housekeeping.spawn(door.serve(listener, Arc::clone(&connections), stopping.clone()));
    }
    if let (Some(listener), Some(door)) = (camara, house.camara_door(&path)) {
        housekeeping.spawn(door.serve(listener, Arc::clone(&connections), stopping.clone()));
    }
    let mut running = Running {
        at,
        shutdown,
        server: tokio::spawn(house.serve(grpc, path, Arc::clone(&connections), stopping)?),
        housekeeping,
        permits: Arc::clone(&house.permits),
        ledger: Arc::clone(&house.ledger),
        links: Arc::clone(&house.links),
        connections,
        views: Arc::clone(&house.views),
        index: Arc::clone(&house.index),
        metrics: Arc::clone(&house.metrics),
        clock: Arc::clone(&house.clock),
        limits: house.config.limits,
    };
    let metrics = Arc::clone(&house.metrics);
    running
        .housekeeping
        .spawn(admin::serve(admin, metrics, gauges));
    tracing::info!(
        grpc = %running.at.grpc,
        admin = %running.at.admin,
        tiles = running.at.tiles.map(tracing::field::display),
        camara = running.at.camara.map(tracing::field::display),
        "ready"
    );
    Ok(running)
}

/// The ledger, once a quorum of its witnesses has said how far it had come.
async fn open_ledger(
    config: &Config,
    clock: &SharedClock,
) -> Result<(Arc<Ledger>, Replayed, Option<Arc<Witnesses>>), StartError> {
    let mut with = ledger_config(config)?;
    let witnesses = witnessing::open(config, with.key.verifier())?;
    if let Some(witnesses) = &witnesses {
        with.witnessed = witnessing::seen(witnesses, config, &with.key, clock.now()).await?;
    }
    let (ledger, replayed) = Ledger::open(with, Arc::clone(clock))?;
    Ok((Arc::new(ledger), replayed, witnesses))
}

impl House {
    async fn open(
        config: Config,
        clock: SharedClock,
        identity: &IdentityMetrics,
        witnessed: &WitnessMetrics,
    ) -> Result<(Self, Watcher, Option<DatabaseWatch>), StartError> {
        let (indexed, noticed) = (IndexMetrics::default(), AnomalyMetrics::default());
        let (routed, issuing) = (RoutingMetrics::default(), OauthMetrics::default());
        let metrics = Arc::new(Metrics::new(|registry| {
            noticed.register(registry);
            identity.register(registry);
            witnessed.register(registry);
            indexed.register(registry);
            routed.register(registry);
            issuing.register(registry);
        }));
        let (routing, database) = routing::open(&config, &clock, &routed).await?;
        let (files, domain) = (tls_files(&config), &config.broker.trust_domain);
        let trust = TrustStore::open(files, domain, Arc::clone(&clock), identity.clone())?;
        let (tag_keys, made_key) = TagKeys::open(&config.keys.dir, clock.now())?;
        let (ledger, replayed, witnesses) = open_ledger(&config, &clock).await?;
        let (governance, life) = govern(&config, &ledger, &clock)?;
        let closed = keys::closed(&config.keys, &ledger, &governance)?;
        let subjects = Arc::new(SubjectState::new(config.limits.subjects_max as usize));
        recall::subjects(&ledger, &subjects, &governance.current(), clock.now())?;
        let cache_bytes = u64::from(config.views.cache_mib) << 20;
        let (views, keys) = (&config.views.dir, &config.keys.dir);
        let opened = Views::open(views, &keys.join("view.key"), cache_bytes)?;
        let replay_bytes_max = u64::from(config.replay.mib_max) << 20;
        let replays = Replays::open(&config.replay.dir, replay_bytes_max)?;
        let (limits, book, counted) = (config.limits, Arc::clone(&ledger), Arc::clone(&metrics));
        let refusals = RefusalBook::new(book, counted, limits.refusals_per_second);
        let directory: Arc<Governance> = Arc::clone(&governance);
        let issued = authorisation::open(&config, &governance, &issuing, clock.now())?;
        let (audience, started) = (&config.broker.audience, clock.now());
        let tokens = TokenVerifier::new(audience, directory, identity.clone(), started);
        let tokens = authorisation::verifying(tokens, issued.as_ref());
        let permits = Arc::new(Semaphore::new(limits.questions_in_flight_max as usize));
        let index = Index::start(config.index.dir.clone(), Arc::clone(&ledger), indexed)?;
        let (seen, now) = (Arc::clone(&ledger), clock.now());
        let (watch, watcher) = anomaly::watch(config.anomalies, seen, noticed, now)?;
        let house = Self {
            clock,
            trust,
            tokens: Arc::new(tokens),
            issued,
            governance,
            life,
            ledger,
            routing,
            links: Arc::default(),
            views: opened.views,
            refusals: Arc::new(refusals),
            metrics,
            watch,
            tag_keys: Arc::new(tag_keys),
            closed: Arc::new(closed),
            subjects,
            replays,
            index: Arc::new(index),
            permits,
            witnesses,
            config,
        };
        house
            .record_start(&replayed, made_key, opened.rebuilt)
            .await?;
        keys::split_due(&house.closed, &house.governance, house.clock.now()).await;
        Ok((house, watcher, database))
    }

    /// The start, and what was found at it, on the record before anything is answered.
    async fn record_start(
        &self,
        replayed: &Replayed,
        made_key: bool,
        view_rebuilt: Option<Rebuilt>,
    ) -> Result<(), StartError> {
        use v1::operation::Kind;
        let named = |name: &str, sha256: &[u8]| v1::NamedDigest {
            name: name.to_owned(),
            sha256: sha256.to_vec(),
        };
        let mut digests = vec![named("configuration", &self.config.sha256)];
        if let Some(binary) = binary_digest() {
            digests.push(named("binary", &binary));
        }
        let version = env!("CARGO_PKG_VERSION");
        self.record(Kind::Start, digests, format!("accord-broker {version}"))
            .await?;
        if replayed.recovered > 0 {
            let detail = format!("{} unacknowledged entries", replayed.recovered);
            self.record(Kind::TailRecovered, Vec::new(), detail).await?;
        }
        if made_key {
            let month = self.tag_keys.pair().this_month.month().to_string();
            self.record(Kind::TagKeyCreated, Vec::new(), month).await?;
        }
        if let Some(rebuilt) = view_rebuilt {
            self.metrics.view_rebuilt();
            self.record(Kind::ViewRebuilt, Vec::new(), rebuilt.to_string())
                .await?;
        }
        Ok(())
    }

    async fn record(
        &self,
        kind: v1::operation::Kind,
        digests: Vec<v1::NamedDigest>,
        detail: String,
    ) -> Result<(), LedgerError> {
        record_act(&self.ledger, kind, digests, detail).await
    }

    /// Who replaces the documents that were read after `seen` was looked at.
    fn reloader(&self, seen: Seen) -> Reloader {
        Reloader::new(
            document_files(&self.config),
            KeptAgreement::beside_keys(&self.config.keys.dir),
            seen,
            Arc::clone(&self.governance),
            Arc::clone(&self.ledger),
            Arc::clone(&self.metrics),
            Arc::clone(&self.clock),
        )
    }

    /// Has the ledger witnessed, where the configuration names some witnesses.
    fn keep_witnessed(&self, housekeeping: &mut JoinSet<()>, witnessed: WitnessMetrics) {
        if let Some(witnesses) = &self.witnesses {
            housekeeping.spawn(witnessing::watch(
                Arc::clone(witnesses),
                Arc::clone(&self.ledger),
                Arc::clone(&self.governance),
                Arc::clone(&self.clock),
                witnessed,
            ));
        }
    }

    fn acts(&self) -> Acts {
        Acts::new(
            Arc::clone(&self.trust),
            Arc::clone(&self.ledger),
            Arc::clone(&self.clock),
        )
    }
}

pub(super) fn tls_files(config: &Config) -> TlsFiles {
    TlsFiles {
        certificate: config.tls.certificate.clone(),
        key: config.tls.key.clone(),
        client_roots: config.tls.client_roots.clone(),
        revocation_lists: config.tls.revocation_lists.clone(),
    }
}

pub(super) fn authorities(config: &Config) -> Result<Authorities, StartError> {
    let authorities = config.authorities();
    authorities.map_err(|(key, rule)| StartError::Config(key, rule))
}

fn document_files(config: &Config) -> DocumentFiles {
    DocumentFiles {
        agreement: config.documents.agreement.clone(),
        parties: config.documents.parties.clone(),
        ported: config.documents.ported.clone(),
    }
}

/// The signed documents, under the keys that the ledger pins, and what the authorities have done:
/// what they suspended stays so before the first question comes.
fn govern(
    config: &Config,
    ledger: &Arc<Ledger>,
    clock: &SharedClock,
) -> Result<(Arc<Governance>, Arc<AgreementLife>), StartError> {
    let authorities = authorities(config)?;
    let configured = [authorities.telecom_regulator(), authorities.central_bank()];
    if !configured
        .iter()
        .all(|key| ledger.authorities().contains(key))
    {
        return Err(StartError::OtherAuthorities);
    }
    let LastLoaded { agreement, parties } = recall::documents(ledger)?;
    let life = RecalledLife::open(&config.keys.dir, ledger, &authorities)?;
    let files = &config.documents;
    let kept = KeptAgreement::beside_keys(&config.keys.dir);
    let activated = life.activated();
    let now = clock.now();
    let governing = kept.start(&files.agreement, &authorities, agreement, activated, now)?;
    let parties = read_parties(&files.parties, &authorities, parties)?;
    let ported = read_ported(files.ported.as_deref())?;
    let governance = Arc::new(Governance::new(
        authorities,
        governing,
        parties,
        &ported,
        agreement,
        &life,
    ));
    let (ledger, clock) = (Arc::clone(ledger), Arc::clone(clock));
    let life = AgreementLife::new(life, Arc::clone(&governance), ledger, clock);
    Ok((governance, Arc::new(life)))
}

pub(super) fn ledger_config(config: &Config) -> Result<LedgerConfig, StartError> {
    let path = &config.ledger.signing_key;
    let text = std::fs::read_to_string(path).map_err(|source| StartError::Read {
        path: path.clone(),
        source,
    })?;
    let key = SigningKey::parse(text.trim()).map_err(|error| StartError::SigningKey {
        path: path.clone(),
        error,
    })?;
    let mut ledger = LedgerConfig::new(&config.ledger.dir, key);
    ledger.segment_bytes = u64::from(config.ledger.segment_mib) << 20;
    ledger.free_bytes_min = config.ledger.free_mib_min << 20;
    ledger.clock_step_max = Duration::from_secs(u64::from(config.ledger.clock_step_seconds_max));
    Ok(ledger)
}

fn binary_digest() -> Option<Vec<u8>> {
    let binary = std::fs::read(std::env::current_exe().ok()?).ok()?;
    Some(digest(&SHA256, &binary).as_ref().to_vec())
}
