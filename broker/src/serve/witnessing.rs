//! The broker and its witnesses: asked before the ledger opens, and each second from then on.

use std::{sync::Arc, time::Duration};

use accord_proto::{
    c2sp::{Checkpoint, Policy, SigningKey, VerifierKey},
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
        AskError, Roots, Round, StartQuestion, Turn, WitnessConfig, WitnessMetrics, Witnesses,
        seen_by_quorum,
    },
};

/// How often the newest checkpoint is cosigned.
const EVERY: Duration = Duration::from_secs(1);
/// Most months that a broker may have slept through; beyond that its witnesses are asked about the
/// newest ones.
const MONTHS_MAX: usize = 24;

/// Since when the quorum fails, in the ledger's directory.
const LOST_SINCE_FILE: &str = "witnesses.lost";

/// The witnesses of the configuration, where it names a policy.
pub(super) fn open(
    config: &Config,
    key: &VerifierKey,
) -> Result<Option<Arc<Witnesses>>, StartError> {
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
    if policy.logs().iter().all(|log| log.key != *key) {
        let rule = format!("names no log `{key}`: nobody who goes by it would believe this ledger");
        return Err(StartError::Config("witnesses.policy", rule));
    }
    let roots = section.roots.as_deref().map(Roots::read).transpose()?;
    let witnesses = Witnesses::new(WitnessConfig {
        policy,
        roots,
        deadline: Duration::from_millis(u64::from(section.deadline_ms)),
        lost_since: config.ledger.dir.join(LOST_SINCE_FILE),
    })?;
    Ok(Some(Arc::new(witnesses)))
}

/// What a quorum has seen of the newest two months' logs, and of every one after them.
pub(super) async fn seen(
    witnesses: &Witnesses,
    config: &Config,
    key: &SigningKey,
    now: Timestamp,
) -> Result<Vec<Checkpoint>, StartError> {
    let dir = &config.ledger.dir;
    let Some(newest) = Ledger::newest_month(dir)? else {
        // The ledger says itself that it is missing.
        return Ok(Vec::new());
    };
    // One before: a ledger that was begun anew under the same key lacks it. One after: a clock may
    // have been set back.
    let last = Month::of(now).max(newest.next());
    let mut months: Vec<Month> = std::iter::successors(Some(last), |month| Some(month.previous()))
        .take_while(|month| *month >= newest)
        .take(MONTHS_MAX)
        .collect();
    months.push(newest.previous());
    let published = Ledger::published(dir, key.verifier(), newest)?;
    let wait = Duration::from_secs(u64::from(config.witnesses.start_seconds_max));
    let question = StartQuestion {
        key: key.verifier(),
        months: &months,
        published: published.as_ref(),
        until: Instant::now() + wait,
    };
    seen_by_quorum(witnesses, question)
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
        let round = match witnesses.round(&ledger, now).await {
            Ok(round) => round,
            Err(error) => {
                tracing::error!(%error, "the ledger can't be shown to its witnesses");
                Round {
                    turned: witnesses.missed(now),
                    ..Round::default()
                }
            }
        };
        let lost = witnesses.failing_for(now).unwrap_or_default().as_secs();
        metrics.count(&round, u64::try_from(lost).unwrap_or(0));
        for (witness, error) in &round.failed {
            warn(witness, error);
        }
        if let Err(error) = turned(&ledger, &round).await {
            tracing::error!(%error, "can't record a change of the witnesses' quorum");
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
