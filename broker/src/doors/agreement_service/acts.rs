//! What the two authorities call, and nobody else.

use std::sync::Arc;

use accord_proto::{
    agreement::{AgreementDocument, Proposal, SignedAgreement},
    c2sp::SignedNote,
    document::text_sha256,
    party::{PartyId, Role},
    v1::{
        self, ActRequest, ActResponse, GetDocumentRequest, HistoryRequest, HistoryResponse,
        PastAct, ProposedDocument,
    },
    wire::{FieldError, timestamp},
};
use tokio::task::spawn_blocking;

use super::AgreementDoor;
use crate::{
    entry::record_entry,
    governance::{AgreementLife, At, Governed, Past, RecordedAct},
    identity::Peer,
    path::Refusal,
};

/// The methods, for the record.
pub(super) const HISTORY: &str = "AgreementService.History";
pub(super) const GET_DOCUMENT: &str = "AgreementService.GetDocument";

impl AgreementDoor {
    /// Which authority calls.
    fn authority(&self, peer: &Peer) -> Result<(PartyId, Arc<Governed>), Refusal> {
        let (party, governed) = self.caller(peer)?;
        match party.role() {
            Role::Authority => Ok((party, governed)),
            role @ (Role::Bank | Role::Broker | Role::Operator) => Err(Refusal::Role {
                role,
                allowed: "authorities",
            }),
        }
    }

    /// The life of the agreement blocks, so it is looked at where that may be.
    async fn with_life<T: Send + 'static>(
        &self,
        work: impl FnOnce(&AgreementLife) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let life = Arc::clone(&self.parts.life);
        let done = spawn_blocking(move || work(&life)).await;
        done.unwrap_or(Err(Refusal::NotReady("this call broke off")))
    }

    /// Lets an authority act.
    pub(super) async fn let_act(
        &self,
        peer: &Peer,
        request: ActRequest,
    ) -> Result<ActResponse, Refusal> {
        let (party, _) = self.authority(peer)?;
        let taken = self
            .with_life(move |life| life.act(&party, &request.act, &request.document))
            .await?;
        Ok(ActResponse {
            kind: taken.kind as i32,
            origin: taken.origin,
            index: taken.index,
        })
    }

    /// What the authorities did, and where the agreement stands.
    pub(super) async fn past(
        &self,
        peer: &Peer,
        request: HistoryRequest,
    ) -> Result<HistoryResponse, Refusal> {
        let (party, governed) = self.authority(peer)?;
        let skip = usize::try_from(request.skip).unwrap_or(usize::MAX);
        let (past, notes) = self
            .with_life(move |life| {
                let past = life.past(skip)?;
                let note = |one: &Proposal| life.document(&one.sha256);
                let notes: Vec<_> = past.proposals.iter().map(note).collect();
                Ok((past, notes))
            })
            .await?;
        let Past {
            acts,
            total,
            proposals,
            waiting,
        } = past;
        let first = acts.first().map(|recorded| recorded.at.clone());
        self.record_read(&party, HISTORY, first, acts.len()).await?;
        let proposals = proposals.iter().zip(&notes);
        Ok(HistoryResponse {
            acts: acts.into_iter().map(past_act).collect(),
            total: total as u64,
            proposed: proposals
                .map(|(one, note)| proposed(&governed, one, note.as_deref()))
                .collect(),
            waiting: waiting.iter().map(|one| waits(one)).collect(),
        })
    }

    /// One document.
    pub(super) async fn document(
        &self,
        peer: &Peer,
        request: GetDocumentRequest,
    ) -> Result<String, Refusal> {
        let (party, _) = self.authority(peer)?;
        let sha256: [u8; 32] = request
            .sha256
            .try_into()
            .map_err(|_| FieldError::new("sha256", "32 bytes"))?;
        let note = self
            .with_life(move |life| life.document(&sha256).ok_or(Refusal::NotFound("sha256")))
            .await?;
        self.record_read(&party, GET_DOCUMENT, None, 0).await?;
        Ok(note)
    }

    /// The authorities' reads are entries too.
    async fn record_read(
        &self,
        party: &PartyId,
        method: &str,
        first: Option<At>,
        entries: usize,
    ) -> Result<(), Refusal> {
        let ledger = &self.parts.ledger;
        let (origin, first_index) = match first {
            Some(At { origin, index }) => (origin, index),
            None => (ledger.origin(), 0),
        };
        let read = v1::AuditRead {
            party: party.to_string(),
            method: method.to_owned(),
            first_index,
            entries: entries as u64,
            origin,
            ..v1::AuditRead::default()
        };
        record_entry(ledger, v1::entry::Event::AuditRead(read)).await?;
        Ok(())
    }
}

fn past_act(recorded: RecordedAct) -> PastAct {
    PastAct {
        origin: recorded.at.origin,
        index: recorded.at.index,
        time: Some(timestamp(recorded.time)),
        act: Some(recorded.act),
    }
}

fn proposed(governed: &Governed, proposal: &Proposal, note: Option<&str>) -> ProposedDocument {
    let other = proposal.signed_by_both.then(|| proposal.by.other());
    let signers = [proposal.by].into_iter().chain(other);
    let document = note
        .and_then(|note| SignedNote::parse(note).ok())
        .and_then(|note| AgreementDocument::parse(note.text()).ok());
    ProposedDocument {
        agreement: proposal.agreement.clone(),
        version: proposal.version,
        sha256: proposal.sha256.to_vec(),
        signed_by: signers.map(|signer| governed.name_of(signer)).collect(),
        effective: document.map(|document| timestamp(document.term().effective_at())),
    }
}

fn waits(agreement: &SignedAgreement) -> ProposedDocument {
    let document = agreement.document();
    let note = SignedNote::parse(agreement.note());
    ProposedDocument {
        agreement: document.id().to_owned(),
        version: document.version(),
        sha256: note.map_or_else(|_| Vec::new(), |note| text_sha256(note.text()).to_vec()),
        signed_by: agreement.signers().to_vec(),
        effective: Some(timestamp(document.term().effective_at())),
    }
}
