//! The path of one question.
//!
//! ```text
//!   authenticate → route → authorise → limit → fetch → minimise → record → answer
//!      Asked       Routed   Permitted  Admitted Observed Minimised  Receipt   Answered
//! ```
//!
//! Each step takes what the step before made, and only that step can make its own: the types have a
//! private seal. So no adapter is asked without a permit, and no answer leaves without a receipt.
//! The path outlives the connection (`detached`) and holds its concurrency permit until its entry is
//! durable: a bank that hangs up still leaves its entry, and drain waits for it.

mod authenticate;
mod authorise;
mod bulk;
pub mod derive;
mod detached;
mod fetch;
mod limit;
mod minimise;
mod parts;
mod record;
mod refusal;
mod release;
mod route;

use std::sync::Arc;

use accord_proto::{camara::Operation, v1};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use self::{bulk::BulkTurns, detached::Detached};
use crate::{
    identity::{Caller, Peer, Presented},
    replay::Claim,
};

pub use limit::rates::Rates;
pub(crate) use parts::DRAINING;
pub use parts::{Parts, PathLimits};
pub use record::restore_subjects;
pub use refusal::{Class, Refusal};

/// The path, with all that its steps need.
#[derive(Debug, Clone)]
pub struct Path {
    parts: Arc<Parts>,
    bulk: Arc<BulkTurns>,
}

/// One question as a door received it.
pub struct Call {
    /// Whose connection.
    pub peer: Arc<Peer>,
    /// The token, and what came with it.
    pub presented: Option<Presented>,
    /// The question.
    pub request: v1::LookupRequest,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
    /// The operation of CAMARA that was called, where one was.
    pub operation: Option<Operation>,
    /// Part of a screening.
    pub bulk: bool,
    /// The method, for the record.
    pub method: &'static str,
}

/// An answer whose entry is durable. Only the last step makes one.
pub struct Answered {
    response: v1::LookupResponse,
}

impl Answered {
    /// What leaves.
    #[must_use]
    pub fn into_response(self) -> v1::LookupResponse {
        self.response
    }
}

impl std::fmt::Debug for Answered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[answer]")
    }
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

impl Path {
    /// A path of these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let bulk = BulkTurns::new(parts.permits.available_permits());
        Self {
            parts: Arc::new(parts),
            bulk: Arc::new(bulk),
        }
    }

    /// What the steps work with.
    #[must_use]
    pub fn parts(&self) -> &Arc<Parts> {
        &self.parts
    }

    /// Whether the broker takes no more questions, since it is about to go.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.parts.permits.is_closed()
    }

    /// Whether somebody may ask at all, and what its token grants.
    ///
    /// # Errors
    /// The [`Refusal`] that a question would get; it is not on the record yet.
    pub fn admit(
        &self,
        peer: &Peer,
        presented: Option<&Presented>,
    ) -> Result<Arc<Caller>, Refusal> {
        let now = self.parts.clock.now();
        authenticate::caller(&self.parts, peer, presented, now).map(|(caller, _)| caller)
    }

    /// Puts a refusal on the record; what is told is the refusal, or that it can't be recorded. A
    /// peer without a certificate is known by what it presented, if that is in order.
    pub async fn refused(
        &self,
        peer: &Peer,
        presented: Option<&Presented>,
        method: &'static str,
        refusal: Refusal,
    ) -> Refusal {
        let Some(party) = authenticate::party(&self.parts, peer, presented) else {
            return refusal;
        };
        match self.parts.refusals.record(&party, method, &refusal).await {
            Ok(()) => refusal,
            Err(unrecorded) => unrecorded,
        }
    }

    /// Asks one question, detached from whoever waits for it.
    ///
    /// # Errors
    /// A [`Refusal`] of the whole question, which is on the record where a known party sent it.
    pub async fn ask(&self, call: Call) -> Result<Answered, Refusal> {
        let (parts, bulk) = (Arc::clone(&self.parts), Arc::clone(&self.bulk));
        let path = Detached::new(async move {
            let began = Instant::now();
            let party = authenticate::party(&parts, &call.peer, call.presented.as_ref());
            let method = call.method;
            let _turn = match (&party, call.bulk) {
                (Some(party), true) => bulk.turn(party.org()).await,
                (Some(_) | None, _) => None,
            };
            let outcome = match parts.permit(call.bulk).await {
                // A line of a screening waits for its turn by design: it counts from when it was
                // taken up.
                Ok(permit) if call.bulk => steps(&parts, call, Instant::now(), permit).await,
                Ok(permit) => steps(&parts, call, began, permit).await,
                Err(refusal) => Err(refusal),
            };
            let unrecorded = match (&outcome, party) {
                (Err(refusal), Some(party)) => {
                    parts.refusals.record(&party, method, refusal).await.err()
                }
                (Ok(_) | Err(_), _) => None,
            };
            let outcome = unrecorded.map_or(outcome, Err);
            parts.metrics.asked(&outcome, began.elapsed().as_secs_f64());
            outcome
        });
        path.await.unwrap_or(Err(Refusal::NotReady(
            "the path of this question broke off",
        )))
    }
}

/// The whole path on one screen.
async fn steps(
    parts: &Parts,
    call: Call,
    arrived: Instant,
    _permit: OwnedSemaphorePermit,
) -> Result<Answered, Refusal> {
    let asked = authenticate::authenticate(parts, call, arrived)?;
    limit::in_rate(parts, &asked).await?;
    let ticket = match asked.claim(parts).await {
        Claim::Fresh(ticket) => ticket,
        Claim::Repeat(response) => return release::repeat(&response),
        Claim::Reused | Claim::InFlight => return Err(Refusal::RequestIdReused),
    };
    let routed = route::route(parts, asked).await;
    let permitted = authorise::authorise(routed);
    let admitted = limit::limit(parts, permitted).await;
    let observed = fetch::fetch(parts, admitted).await;
    let recorded = {
        // From here until it has its place on the record nothing changes in force.
        let _held = parts.governance.held();
        record::record(parts, minimise::minimise(parts, observed))?
    };
    let receipt = recorded.await?;
    Ok(release::release(parts, receipt, ticket).await)
}
