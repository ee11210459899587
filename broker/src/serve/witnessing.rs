//! The broker and its witnesses: asked before the ledger opens, and each second from then on.

use std::{sync::Arc, time::Duration};

use accord_proto::{
    c2sp::{Checkpoint, Policy, SigningKey},
    clock::SharedClock,
    subject::Month,
    v1::operation::Kind,
};
use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{acts::record_act, error::StartError};
use crate::{
    config::Config,
    governance::Governance,
    ledger::{Ledger, LedgerError},
    witnesses::{
        AskError, Roots, Round, Turn, WitnessConfig, WitnessMetrics, Witnesses, seen_by_quorum,
    },
};

/// How often the newest checkpoint is cosigned.
const EVERY: Duration = Duration::from_secs(1);
/// Most months that a broker may have slept through; beyond that its witnesses are asked about the
/// newest ones.
const MONTHS_MAX: usize = 24;

/// The witnesses of the configuration, where it names a policy.
pub(super) fn open(config: &Config) -> Result<Option<Arc<Witnesses>>, StartError> {
    let section = &config.witnesses;
    let Some(path) = &section.policy else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(path).map_err(|source| StartError::Read {
        path: path.clone(),
        source,
    })?;
    let policy = Policy::parse(&text).map_err(|error| StartError::Policy {
        path: path.clone(),
        error,
    })?;
    let roots = section.roots.as_deref().map(Roots::read).transpose()?;
    let witnesses = Witnesses::new(WitnessConfig {
        policy,
        roots,
        deadline: Duration::from_millis(u64::from(section.deadline_ms)),
    })?;
    Ok(Some(Arc::new(witnesses)))
}

/// What a quorum has seen of the newest month's log, and of every one after it.
pub(super) async fn seen(
    witnesses: &Witnesses,
    config: &Config,
    key: &SigningKey,
    now: Timestamp,
) -> Result<Vec<Checkpoint>, StartError> {
    let Some(newest) = Ledger::newest_month(&config.ledger.dir)? else {
        // The ledger says itself that it is missing.
        return Ok(Vec::new());
    };
    let mut months: Vec<Month> =
        std::iter::successors(Some(Month::of(now)), |m| Some(m.previous()))
            .take_while(|month| *month >= newest)
            .take(MONTHS_MAX)
            .collect();
    if months.is_empty() {
        months.push(newest);
    }
    let wait = Duration::from_secs(u64::from(config.witnesses.start_seconds_max));
    seen_by_quorum(witnesses, key.verifier(), &months, Instant::now() + wait)
        .await
        .ok_or(StartError::NoQuorum {
            seconds: config.witnesses.start_seconds_max,
        })
}

/// Has each new checkpoint cosigned, until it is dropped.
pub(super) async fn watch(
    witnesses: Arc<Witnesses>,
    ledger: Arc<Ledger>,
    governance: Arc<Governance>,
    clock: SharedClock,
    metrics: WitnessMetrics,
) {
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let now = clock.now();
        match witnesses.round(&ledger, now).await {
            Ok(round) => {
                let lost = witnesses.failing_for(now).unwrap_or_default().as_secs();
                metrics.count(&round, u64::try_from(lost).unwrap_or(0));
                for (witness, error) in &round.failed {
                    warn(witness, error);
                }
                if let Err(error) = turned(&ledger, &round).await {
                    tracing::error!(%error, "can't record a change of the witnesses' quorum");
                }
            }
            Err(error) => tracing::error!(%error, "the ledger can't be shown to its witnesses"),
        }
        let grace = governance.current().agreement().document().witness_grace();
        let lost_for = witnesses.failing_for(now);
        ledger.hold_unwitnessed(lost_for.is_some_and(|lost_for| lost_for >= grace));
    }
}

fn warn(witness: &str, error: &AskError) {
    let error: &dyn std::error::Error = error;
    tracing::warn!(witness, error, "a witness did not cosign");
}

/// The quorum is lost, or found again: an alarm, and an entry.
async fn turned(ledger: &Ledger, round: &Round) -> Result<(), LedgerError> {
    let (kind, detail) = match round.turned {
        None => return Ok(()),
        Some(Turn::Lost) => {
            let why = |(witness, error): &(String, AskError)| format!("{witness}: {error}");
            let why: Vec<_> = round.failed.iter().map(why).collect();
            let detail = format!("no quorum of witnesses cosigned ({})", why.join("; "));
            tracing::error!(detail, "the quorum of witnesses is lost");
            (Kind::WitnessQuorumLost, detail)
        }
        Some(Turn::Found) => {
            tracing::info!("a quorum of witnesses cosigns again");
            let detail = "a quorum of witnesses cosigns again".to_owned();
            (Kind::WitnessQuorumFound, detail)
        }
    };
    record_act(ledger, kind, Vec::new(), detail).await
}
