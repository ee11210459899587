//! `AgreementService`: what governs a party, to that party.

use std::sync::Arc;

use accord_proto::{
    clock::SharedClock,
    v1::{GetAgreementRequest, GetAgreementResponse, agreement_service_server::AgreementService},
    wire::timestamp,
};
use tonic::{Request, Response, Status};

use super::{peer, status::status};
use crate::{
    governance::Governance,
    identity::{Peer, TrustStore},
    path::{Rates, Refusal},
    refusals::RefusalBook,
};

const METHOD: &str = "AgreementService.GetAgreement";

/// Every party's door to the agreement.
#[derive(Debug, Clone)]
pub struct AgreementDoor {
    trust: Arc<TrustStore>,
    governance: Arc<Governance>,
    refusals: Arc<RefusalBook>,
    rates: Arc<Rates>,
    clock: SharedClock,
}

impl AgreementDoor {
    /// A door to what is in force, at these rates for each party.
    #[must_use]
    pub const fn new(
        trust: Arc<TrustStore>,
        governance: Arc<Governance>,
        refusals: Arc<RefusalBook>,
        rates: Arc<Rates>,
        clock: SharedClock,
    ) -> Self {
        Self {
            trust,
            governance,
            refusals,
            rates,
            clock,
        }
    }

    async fn refuse(&self, peer: &Peer, refusal: Refusal) -> Status {
        if let Some(party) = peer.party()
            && let Err(unrecorded) = self.refusals.record(party, METHOD, &refusal).await
        {
            return status(&unrecorded);
        }
        status(&refusal)
    }

    fn agreement(&self, peer: &Peer) -> Result<GetAgreementResponse, Refusal> {
        let now = self.clock.now();
        let party = peer.check(&self.trust, now)?;
        let governed = self.governance.current();
        governed.check_licence(party, now)?;
        self.rates
            .party(party.org())
            .map_err(|retry_after| Refusal::RateLimited { retry_after })?;
        let signed = governed.signed();
        let term = signed.document().term();
        Ok(GetAgreementResponse {
            note: signed.note().to_owned(),
            sha256: signed.sha256().to_vec(),
            effective: Some(timestamp(term.effective_at())),
            expires: Some(timestamp(term.expires_at())),
        })
    }
}

#[tonic::async_trait]
impl AgreementService for AgreementDoor {
    async fn get_agreement(
        &self,
        request: Request<GetAgreementRequest>,
    ) -> Result<Response<GetAgreementResponse>, Status> {
        let peer = peer(&request)?;
        match self.agreement(&peer) {
            Ok(agreement) => Ok(Response::new(agreement)),
            Err(refusal) => Err(self.refuse(&peer, refusal).await),
        }
    }
}
