//! `AuditService`: reading the ledger. Each read of entries is itself an entry.

mod visible;

use std::{pin::Pin, sync::Arc};

use accord_proto::{
    clock::SharedClock,
    party::PartyId,
    v1::{
        self, GetCheckpointRequest, GetCheckpointResponse, GetEntryRequest, GetEntryResponse,
        ProveConsistencyRequest, ProveConsistencyResponse, ProveInclusionRequest,
        ProveInclusionResponse, TailRequest, TailResponse, audit_service_server::AuditService,
    },
};
use tokio::sync::mpsc;
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status};

use self::visible::visible;
use super::{peer, status::status};
use crate::{
    entry::record_entry,
    governance::Governance,
    identity::{Peer, TrustStore},
    ledger::Ledger,
    path::{Rates, Refusal},
    refusals::RefusalBook,
};

/// Entries on their way to a reader.
const TAIL_LEN_MAX: usize = 64;

/// The auditors' door.
#[derive(Debug, Clone)]
pub struct AuditDoor {
    parts: Arc<AuditParts>,
}

/// What the auditors' door works with.
#[derive(Debug)]
pub struct AuditParts {
    /// Certificates.
    pub trust: Arc<TrustStore>,
    /// Register.
    pub governance: Arc<Governance>,
    /// The record.
    pub ledger: Arc<Ledger>,
    /// Refusals.
    pub refusals: Arc<RefusalBook>,
    /// Calls a second for each party: each read makes an entry.
    pub rates: Rates,
    /// Time.
    pub clock: SharedClock,
}

impl AuditDoor {
    /// A door to the ledger.
    #[must_use]
    pub fn new(parts: AuditParts) -> Self {
        Self {
            parts: Arc::new(parts),
        }
    }

    /// Who reads. Every registered party may; what it sees is another matter.
    fn reader(&self, peer: &Peer) -> Result<PartyId, Refusal> {
        let parts = &self.parts;
        let now = parts.clock.now();
        let party = peer.check(&parts.trust, now)?;
        parts.governance.current().check_licence(party, now)?;
        parts
            .rates
            .party(party.org())
            .map_err(|retry_after| Refusal::RateLimited { retry_after })?;
        Ok(party.clone())
    }

    async fn entry(&self, peer: &Peer, request: &GetEntryRequest) -> Result<Vec<u8>, Refusal> {
        let party = self.reader(peer)?;
        let entry = self
            .parts
            .ledger
            .entry(origin(&request.origin), request.index)?;
        if !visible(&entry, &party) {
            return Err(Refusal::NotFound("index"));
        }
        self.record_read(&party, "AuditService.GetEntry", request.index, 1)
            .await?;
        Ok(entry)
    }

    async fn tail(&self, peer: Arc<Peer>, request: TailRequest) -> Result<TailStream, Refusal> {
        let party = self.reader(&peer)?;
        // An unknown origin is refused before the read is on the record.
        let end = self.parts.ledger.size_of(origin(&request.origin))?;
        self.record_read(&party, "AuditService.Tail", request.from_index, 0)
            .await?;
        let (out, stream) = mpsc::channel(TAIL_LEN_MAX);
        let tailing = Tailing {
            parts: Arc::clone(&self.parts),
            peer,
            party,
            request,
            end,
            out,
        };
        tokio::spawn(tailing.run());
        Ok(Box::pin(ReceiverStream::new(stream)))
    }

    async fn record_read(
        &self,
        party: &PartyId,
        method: &str,
        first_index: u64,
        entries: u64,
    ) -> Result<(), Refusal> {
        let read = v1::AuditRead {
            party: party.to_string(),
            method: method.to_owned(),
            first_index,
            entries,
        };
        record_entry(&self.parts.ledger, v1::entry::Event::AuditRead(read)).await?;
        Ok(())
    }

    async fn refuse(&self, peer: &Peer, method: &'static str, refusal: Refusal) -> Status {
        if let Some(party) = peer.party()
            && let Err(unrecorded) = self.parts.refusals.record(party, method, &refusal).await
        {
            return status(&unrecorded);
        }
        status(&refusal)
    }
}

/// The entries of a tail.
pub(super) type TailStream = Pin<Box<dyn Stream<Item = Result<TailResponse, Status>> + Send>>;

/// A reader that follows the log.
struct Tailing {
    parts: Arc<AuditParts>,
    peer: Arc<Peer>,
    party: PartyId,
    request: TailRequest,
    /// The end when the reading began.
    end: u64,
    out: mpsc::Sender<Result<TailResponse, Status>>,
}

impl Tailing {
    async fn run(self) {
        if let Err(refusal) = self.follow().await {
            let refusals = &self.parts.refusals;
            let recorded = refusals.record(&self.party, "AuditService.Tail", &refusal);
            let told = recorded.await.err().unwrap_or(refusal);
            let _ = self.out.send(Err(status(&told))).await;
        }
    }

    /// Certificate and licence are looked at again for each entry.
    fn check(&self) -> Result<(), Refusal> {
        let now = self.parts.clock.now();
        let party = self.peer.check(&self.parts.trust, now)?;
        self.parts.governance.current().check_licence(party, now)
    }

    async fn follow(&self) -> Result<(), Refusal> {
        let mut grown = self.parts.ledger.subscribe();
        let origin = origin(&self.request.origin);
        let mut index = self.request.from_index;
        loop {
            let size = match self.request.once {
                true => self.end,
                false => self.parts.ledger.size_of(origin)?,
            };
            while index < size {
                self.check()?;
                let entry = self.parts.ledger.entry(origin, index)?;
                if visible(&entry, &self.party)
                    && self
                        .out
                        .send(Ok(TailResponse { index, entry }))
                        .await
                        .is_err()
                {
                    return Ok(());
                }
                index += 1;
            }
            if self.request.once {
                return Ok(());
            }
            tokio::select! {
                more = grown.changed() => if more.is_err() { return Ok(()) },
                () = self.out.closed() => return Ok(()),
            }
        }
    }
}

/// The current log, unless another is named.
fn origin(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

#[tonic::async_trait]
impl AuditService for AuditDoor {
    type TailStream = TailStream;

    async fn get_checkpoint(
        &self,
        request: Request<GetCheckpointRequest>,
    ) -> Result<Response<GetCheckpointResponse>, Status> {
        let peer = peer(&request)?;
        let checkpoint = self.reader(&peer).and_then(|_| {
            let origin = origin(&request.get_ref().origin);
            Ok(self.parts.ledger.checkpoint(origin)?.to_string())
        });
        match checkpoint {
            Ok(checkpoint) => Ok(Response::new(GetCheckpointResponse { checkpoint })),
            Err(refusal) => Err(self
                .refuse(&peer, "AuditService.GetCheckpoint", refusal)
                .await),
        }
    }

    async fn get_entry(
        &self,
        request: Request<GetEntryRequest>,
    ) -> Result<Response<GetEntryResponse>, Status> {
        let peer = peer(&request)?;
        match self.entry(&peer, request.get_ref()).await {
            Ok(entry) => Ok(Response::new(GetEntryResponse { entry })),
            Err(refusal) => Err(self.refuse(&peer, "AuditService.GetEntry", refusal).await),
        }
    }

    async fn prove_inclusion(
        &self,
        request: Request<ProveInclusionRequest>,
    ) -> Result<Response<ProveInclusionResponse>, Status> {
        let peer = peer(&request)?;
        let proof = self.reader(&peer).and_then(|_| {
            let request = request.get_ref();
            Ok(self
                .parts
                .ledger
                .prove_inclusion(origin(&request.origin), request.index)?)
        });
        match proof {
            Ok(proof) => Ok(Response::new(ProveInclusionResponse { proof })),
            Err(refusal) => Err(self
                .refuse(&peer, "AuditService.ProveInclusion", refusal)
                .await),
        }
    }

    async fn prove_consistency(
        &self,
        request: Request<ProveConsistencyRequest>,
    ) -> Result<Response<ProveConsistencyResponse>, Status> {
        let peer = peer(&request)?;
        let proof = self.reader(&peer).and_then(|_| {
            let request = request.get_ref();
            let origin = origin(&request.origin);
            Ok(self
                .parts
                .ledger
                .prove_consistency(origin, request.old_size, request.new_size)?)
        });
        match proof {
            Ok((hashes, checkpoint)) => {
                let hashes = hashes.into_iter().map(|hash| hash.to_vec()).collect();
                Ok(Response::new(ProveConsistencyResponse {
                    hashes,
                    checkpoint: checkpoint.to_string(),
                }))
            }
            Err(refusal) => Err(self
                .refuse(&peer, "AuditService.ProveConsistency", refusal)
                .await),
        }
    }

    async fn tail(&self, request: Request<TailRequest>) -> Result<Response<TailStream>, Status> {
        let peer = peer(&request)?;
        match Self::tail(self, Arc::clone(&peer), request.into_inner()).await {
            Ok(stream) => Ok(Response::new(stream)),
            Err(refusal) => Err(self.refuse(&peer, "AuditService.Tail", refusal).await),
        }
    }
}
