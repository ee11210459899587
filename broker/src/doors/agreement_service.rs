//! `AgreementService`: what governs a party, to that party; and what the authorities do to it.

mod acts;

use std::sync::Arc;

use accord_proto::{
    agreement::{Suspension, Target},
    clock::SharedClock,
    party::{PartyId, Role},
    v1::{
        ActRequest, ActResponse, GetAgreementRequest, GetAgreementResponse, GetDocumentRequest,
        GetDocumentResponse, HistoryRequest, HistoryResponse, Suspended,
        agreement_service_server::AgreementService,
    },
    wire::timestamp,
};
use tonic::{Request, Response, Status};

use super::{peer, status::status};
use crate::{
    governance::{AgreementLife, DOCUMENT_WIRE_BYTES_MAX, Governance, Governed},
    identity::{Peer, TrustStore},
    ledger::Ledger,
    path::{Rates, Refusal},
    refusals::RefusalBook,
};

/// The longest message of this service: a document, its act, and what holds them together.
pub const ACT_MESSAGE_BYTES_MAX: usize = DOCUMENT_WIRE_BYTES_MAX + 16 * 1_024;

/// Every party's door to the agreement.
#[derive(Debug, Clone)]
pub struct AgreementDoor {
    parts: Arc<AgreementParts>,
}

/// What this door works with.
#[derive(Debug)]
pub struct AgreementParts {
    /// Certificates.
    pub trust: Arc<TrustStore>,
    /// What is in force.
    pub governance: Arc<Governance>,
    /// What the authorities do to it.
    pub life: Arc<AgreementLife>,
    /// The record.
    pub ledger: Arc<Ledger>,
    /// Refusals.
    pub refusals: Arc<RefusalBook>,
    /// Calls a second for each party.
    pub rates: Rates,
    /// Time.
    pub clock: SharedClock,
}

impl AgreementDoor {
    /// A door to what is in force.
    #[must_use]
    pub fn new(parts: AgreementParts) -> Self {
        Self {
            parts: Arc::new(parts),
        }
    }

    async fn refuse(&self, peer: &Peer, method: &'static str, refusal: Refusal) -> Status {
        if let Some(party) = peer.party()
            && let Err(unrecorded) = self.parts.refusals.record(party, method, &refusal).await
        {
            return status(&unrecorded);
        }
        status(&refusal)
    }

    /// Who calls. Every registered party may learn what governs it.
    fn caller(&self, peer: &Peer) -> Result<(PartyId, Arc<Governed>), Refusal> {
        let parts = &self.parts;
        let now = parts.clock.now();
        let party = peer.check(&parts.trust, now)?;
        let governed = parts.governance.current();
        governed.check_licence(party, now)?;
        parts
            .rates
            .party(party.org())
            .map_err(|retry_after| Refusal::RateLimited { retry_after })?;
        Ok((party.clone(), governed))
    }

    fn agreement(&self, peer: &Peer) -> Result<GetAgreementResponse, Refusal> {
        let (party, governed) = self.caller(peer)?;
        let signed = governed.signed();
        let (term, standing) = (signed.document().term(), governed.standing());
        let suspensions = standing.suspensions().into_iter();
        let ended = standing.ended(signed.document().version());
        Ok(GetAgreementResponse {
            note: signed.note().to_owned(),
            sha256: signed.sha256().to_vec(),
            effective: Some(timestamp(term.effective_at())),
            expires: Some(timestamp(term.expires_at())),
            suspended: suspensions
                .map(|(target, one)| suspended(&governed, &party, &target, one))
                .collect(),
            ended: ended.map(|ended| timestamp(ended.at)),
        })
    }
}

/// A suspension, as a party may know it: why, only where it concerns the party.
fn suspended(
    governed: &Governed,
    party: &PartyId,
    target: &Target,
    suspension: &Suspension,
) -> Suspended {
    let is_authority = party.role() == Role::Authority;
    let concerns = match target {
        Target::All => true,
        Target::Bank(bank) => party.role() == Role::Bank && party.org() == bank,
        Target::Operator(operator) => party.role() == Role::Operator && party.org() == operator,
        Target::Signal(_) => false,
    };
    let lift_asked = suspension.lift_asked.filter(|_| is_authority);
    Suspended {
        target: target.to_string(),
        by: governed.suspended_by(suspension),
        since: Some(timestamp(suspension.since)),
        reason: match is_authority || concerns {
            true => suspension.reason.clone(),
            false => String::new(),
        },
        lift_asked_by: lift_asked.map_or_else(String::new, |asked| governed.name_of(asked.by)),
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
            Err(refusal) => Err(self
                .refuse(&peer, "AgreementService.GetAgreement", refusal)
                .await),
        }
    }

    async fn act(&self, request: Request<ActRequest>) -> Result<Response<ActResponse>, Status> {
        let peer = peer(&request)?;
        match self.let_act(&peer, request.into_inner()).await {
            Ok(taken) => Ok(Response::new(taken)),
            Err(refusal) => Err(self.refuse(&peer, "AgreementService.Act", refusal).await),
        }
    }

    async fn history(
        &self,
        request: Request<HistoryRequest>,
    ) -> Result<Response<HistoryResponse>, Status> {
        let peer = peer(&request)?;
        match self.past(&peer, request.into_inner()).await {
            Ok(past) => Ok(Response::new(past)),
            Err(refusal) => Err(self.refuse(&peer, acts::HISTORY, refusal).await),
        }
    }

    async fn get_document(
        &self,
        request: Request<GetDocumentRequest>,
    ) -> Result<Response<GetDocumentResponse>, Status> {
        let peer = peer(&request)?;
        match self.document(&peer, request.into_inner()).await {
            Ok(note) => Ok(Response::new(GetDocumentResponse { note })),
            Err(refusal) => Err(self.refuse(&peer, acts::GET_DOCUMENT, refusal).await),
        }
    }
}
