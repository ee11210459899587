//! What the steps of the path work with.

use std::{sync::Arc, time::Duration};

use accord_proto::clock::SharedClock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::{Rates, refusal::Refusal};
use crate::{
    anomaly::Watch,
    governance::Governance,
    identity::{TokenVerifier, TrustStore},
    ledger::{Ledger, LedgerError},
    link::Links,
    metrics::Metrics,
    refusals::RefusalBook,
    replay::Replays,
    routing::Routing,
    subjects::{state::SubjectState, tag_keys::TagKeys},
    views::Views,
};

/// Why nothing is asked any more.
pub(crate) const DRAINING: Refusal = Refusal::NotReady("it is shutting down");

/// Limits of the path.
#[derive(Clone, Copy, Debug)]
pub struct PathLimits {
    /// For how long an operator may take.
    pub operator_deadline: Duration,
    /// What the caller's deadline leaves for recording and sending.
    pub release_margin: Duration,
}

/// What the steps of the path work with.
#[derive(Debug)]
pub struct Parts {
    /// Certificates.
    pub trust: Arc<TrustStore>,
    /// Tokens.
    pub tokens: Arc<TokenVerifier>,
    /// Agreement, parties and routes in force.
    pub governance: Arc<Governance>,
    /// What routes numbers beside the documents.
    pub routing: Arc<Routing>,
    /// Adapters attached.
    pub links: Arc<Links>,
    /// Fresh observations.
    pub views: Arc<Views>,
    /// The record.
    pub ledger: Arc<Ledger>,
    /// Refusals, within each party's budget.
    pub refusals: Arc<RefusalBook>,
    /// Answers of the last ten minutes.
    pub replays: Arc<Replays>,
    /// How often each subject was asked about.
    pub subjects: Arc<SubjectState>,
    /// The months' keys.
    pub tag_keys: Arc<TagKeys>,
    /// Rates of banks and clauses.
    pub rates: Rates,
    /// Time.
    pub clock: SharedClock,
    /// Limits.
    pub limits: PathLimits,
    /// Who looks for the unusual.
    pub watch: Watch,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// One permit for each question in flight; closed when the broker drains.
    pub permits: Arc<Semaphore>,
}

impl Parts {
    /// Admits one more question into the path. A line of a screening waits for its turn; a single
    /// question is refused at once when the path is full, so that its bank can decide without it.
    pub(super) async fn permit(&self, bulk: bool) -> Result<OwnedSemaphorePermit, Refusal> {
        if self.ledger.is_unwitnessed() {
            return Err(LedgerError::Unwitnessed.into());
        }
        let permits = Arc::clone(&self.permits);
        if bulk {
            return permits.acquire_owned().await.map_err(|_| DRAINING);
        }
        permits.try_acquire_owned().map_err(|error| match error {
            TryAcquireError::Closed => DRAINING,
            TryAcquireError::NoPermits => Refusal::Overloaded,
        })
    }
}
