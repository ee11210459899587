//! Whose tokens are taken, from the configuration: the authorisation server of this broker, or another
//! in its place.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::{
    task::JoinSet,
    time::{Duration, MissedTickBehavior, interval},
};

use super::{StartError, assemble::House};
use crate::{
    config::{CamaraSection, Config},
    doors::{Bodies, OauthEnd, Tokens},
    governance::Governance,
    identity::TokenVerifier,
    oauth::{AuthorisationServer, ExternalServer, JwksWatch, OauthMetrics, OauthSettings},
    path::Rates,
};

/// How often the file of another server's keys is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often it is forgotten what no longer has to be remembered.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Makes our server ready, or reads the other's keys; `None` where there is no CAMARA door.
pub(super) fn open(
    config: &Config,
    governance: &Arc<Governance>,
    metrics: &OauthMetrics,
    now: Timestamp,
) -> Result<Option<Tokens>, StartError> {
    let Some(section) = &config.camara else {
        return Ok(None);
    };
    if let Some(other) = external(section, metrics)? {
        return Ok(Some(Tokens::Other(Arc::new(other))));
    }
    let settings = OauthSettings {
        url: section.url.clone(),
        audience: config.broker.audience.clone(),
        token_seconds: section.token_seconds,
    };
    let rates = Rates::new(config.limits.bank_per_second);
    let governance = Arc::clone(governance);
    let server = AuthorisationServer::new(settings, governance, rates, metrics.clone(), now)?;
    Ok(Some(Tokens::Own(Arc::new(server))))
}

fn external(
    section: &CamaraSection,
    metrics: &OauthMetrics,
) -> Result<Option<ExternalServer>, StartError> {
    let other = section.authorization_server.as_ref();
    let open = |other: &crate::config::AuthorizationServerSection| {
        ExternalServer::open(&other.issuer, &other.jwks, metrics.clone())
    };
    Ok(other.map(open).transpose()?)
}

/// What [`open`] would read, for who only looks.
pub(super) fn check(config: &Config) -> Result<(), StartError> {
    let section = config.camara.as_ref();
    let checked = section.map(|section| external(section, &OauthMetrics::default()));
    checked.transpose().map(drop)
}

/// A verifier that takes these tokens too.
pub(super) fn verifying(verifier: TokenVerifier, tokens: Option<&Tokens>) -> TokenVerifier {
    match tokens {
        None => verifier,
        Some(Tokens::Own(server)) => verifier.and_of(Arc::clone(server) as _),
        Some(Tokens::Other(server)) => verifier.and_of(Arc::clone(server) as _),
    }
}

impl House {
    /// The authorisation server's end of the CAMARA door.
    pub(super) fn oauth_end(&self, section: &CamaraSection) -> Option<OauthEnd> {
        Some(OauthEnd {
            tokens: self.issued.clone()?,
            url: section.url.clone(),
            trust: Arc::clone(&self.trust),
            verifier: Arc::clone(&self.tokens),
            bodies: Bodies::default(),
            refusals: Arc::clone(&self.refusals),
            clock: Arc::clone(&self.clock),
        })
    }

    /// Keeps another server's keys current, and what ours remembers small.
    pub(super) fn keep_tokens(&self, housekeeping: &mut JoinSet<()>) {
        let (ledger, clock) = (Arc::clone(&self.ledger), Arc::clone(&self.clock));
        match self.issued.clone() {
            None => {}
            Some(Tokens::Own(server)) => {
                housekeeping.spawn(async move {
                    let mut tick = interval(SWEEP_EVERY);
                    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
                    loop {
                        tick.tick().await;
                        server.sweep(clock.now());
                    }
                });
            }
            Some(Tokens::Other(server)) => {
                housekeeping.spawn(async move {
                    let mut watch = JwksWatch::of(server);
                    let mut look = interval(LOOK_EVERY);
                    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
                    loop {
                        look.tick().await;
                        if let Err(error) = watch.tick(&ledger).await {
                            tracing::error!(%error, "can't record new keys; they are not in force");
                        }
                    }
                });
            }
        }
    }
}
