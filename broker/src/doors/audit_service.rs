//! `AuditService`: reading the ledger. Each read of entries is itself an entry.

mod export;
mod query;
mod reader;
mod tail;

use std::sync::Arc;

use accord_proto::{
    clock::SharedClock,
    merkle::Hash,
    v1::{
        self, GetCheckpointRequest, GetCheckpointResponse, GetEntryRequest, GetEntryResponse,
        ProveConsistencyRequest, ProveConsistencyResponse, ProveInclusionRequest,
        ProveInclusionResponse, TailRequest, audit_service_server::AuditService,
    },
};
use tonic::{Request, Response, Status};

pub use self::tail::Tails;
use self::{
    export::RECORD_EXPORT,
    query::QUERY,
    tail::{TAIL, TailStream, Tailing},
};
use super::{peer, proving, read_blocking, status::status};
use crate::{
    entry::record_entry,
    governance::Governance,
    identity::{Peer, TrustStore},
    index::Index,
    ledger::{Ledger, LedgerError},
    path::{Rates, Refusal},
    refusals::RefusalBook,
    subjects::tag_keys::TagKeys,
};

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
    /// The list of parties.
    pub governance: Arc<Governance>,
    /// The record.
    pub ledger: Arc<Ledger>,
    /// What finds entries in it.
    pub index: Arc<Index>,
    /// From a number to its tags.
    pub tag_keys: Arc<TagKeys>,
    /// Refusals.
    pub refusals: Arc<RefusalBook>,
    /// Calls a second for each party: each read makes an entry.
    pub rates: Rates,
    /// Tails open, for each party.
    pub tails: Tails,
    /// Whether checkpoints are shown only once a quorum of witnesses has cosigned them.
    pub witnessed: bool,
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

    /// The ledger reads files, so it is read where that may block.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Ledger) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let ledger = Arc::clone(&self.parts.ledger);
        read_blocking(move || read(&ledger)).await
    }

    /// The log that a request means. It is pinned at once: between two looks a month may end.
    fn pinned(&self, named: &str) -> String {
        if named.is_empty() {
            self.parts.ledger.origin()
        } else {
            named.to_owned()
        }
    }

    async fn entry(&self, peer: &Peer, request: &GetEntryRequest) -> Result<Vec<u8>, Refusal> {
        let reader = self.reader(peer, request.statement.as_ref())?;
        let (origin, index) = (self.pinned(&request.origin), request.index);
        let log = origin.clone();
        let entry = self
            .read(move |ledger| ledger.entry(Some(&log), index))
            .await?;
        if !reader.sight.sees(&entry) {
            return Err(Refusal::NotFound("index"));
        }
        let read = v1::AuditRead {
            party: reader.party.to_string(),
            method: "AuditService.GetEntry".to_owned(),
            first_index: index,
            entries: 1,
            origin,
            statement: Some(reader.statement.to_wire()),
            filter: None,
        };
        self.record_read(read).await?;
        Ok(entry)
    }

    async fn checkpoint(&self, peer: &Peer, named: &str) -> Result<Arc<str>, Refusal> {
        self.caller(peer)?;
        let log = self.pinned(named);
        match self.cosigned(&log).await? {
            Some(cosigned) => Ok(cosigned),
            None => self.read(move |ledger| ledger.checkpoint(Some(&log))).await,
        }
    }

    /// The last checkpoint of a log that a quorum of witnesses cosigned; `None` in a broker without
    /// witnesses. What they have not seen is not shown.
    async fn cosigned(&self, log: &str) -> Result<Option<Arc<str>>, Refusal> {
        if !self.parts.witnessed {
            return Ok(None);
        }
        let log = log.to_owned();
        let cosigned = self.read(move |ledger| ledger.cosigned(Some(&log))).await?;
        match cosigned {
            Some(cosigned) => Ok(Some(cosigned)),
            None => Err(Refusal::NotReady(
                "no quorum of witnesses has cosigned this log yet",
            )),
        }
    }

    async fn inclusion(
        &self,
        peer: &Peer,
        request: &ProveInclusionRequest,
    ) -> Result<String, Refusal> {
        self.caller(peer)?;
        let (log, index) = (self.pinned(&request.origin), request.index);
        proving::prove(&self.parts.ledger, self.parts.witnessed, &log, index).await
    }

    async fn consistency(
        &self,
        peer: &Peer,
        request: &ProveConsistencyRequest,
    ) -> Result<(Vec<Hash>, Arc<str>), Refusal> {
        self.caller(peer)?;
        let log = self.pinned(&request.origin);
        let (old, new) = (request.old_size, request.new_size);
        let Some(cosigned) = self.cosigned(&log).await? else {
            return self
                .read(move |ledger| ledger.prove_consistency(Some(&log), old, new))
                .await;
        };
        self.read(move |ledger| ledger.prove_cosigned_consistency(&log, old, new, cosigned))
            .await
    }

    async fn tail(&self, peer: Arc<Peer>, request: TailRequest) -> Result<TailStream, Refusal> {
        let reader = self.reader(&peer, request.statement.as_ref())?;
        let open = self.parts.tails.open(&reader.party)?;
        let (origin, index) = (self.pinned(&request.origin), request.from_index);
        // An unknown origin is refused before the read is on the record.
        let log = origin.clone();
        let end = self.read(move |ledger| ledger.size_of(Some(&log))).await?;
        let read = v1::AuditRead {
            party: reader.party.to_string(),
            method: TAIL.to_owned(),
            first_index: index,
            entries: 0,
            origin: origin.clone(),
            statement: Some(reader.statement.to_wire()),
            filter: None,
        };
        self.record_read(read).await?;
        let tailing = Tailing {
            parts: Arc::clone(&self.parts),
            peer,
            reader,
            origin,
            index,
            once: request.once.then_some(end),
            open,
        };
        Ok(tailing.start())
    }

    async fn record_read(&self, read: v1::AuditRead) -> Result<(), Refusal> {
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

#[tonic::async_trait]
impl AuditService for AuditDoor {
    type TailStream = TailStream;

    async fn get_checkpoint(
        &self,
        request: Request<GetCheckpointRequest>,
    ) -> Result<Response<GetCheckpointResponse>, Status> {
        let peer = peer(&request)?;
        match self.checkpoint(&peer, &request.get_ref().origin).await {
            Ok(checkpoint) => Ok(Response::new(GetCheckpointResponse {
                checkpoint: checkpoint.to_string(),
            })),
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

    async fn query(
        &self,
        request: Request<v1::QueryRequest>,
    ) -> Result<Response<v1::QueryResponse>, Status> {
        let peer = peer(&request)?;
        match self.search(&peer, request.get_ref()).await {
            Ok(found) => Ok(Response::new(found)),
            Err(refusal) => Err(self.refuse(&peer, QUERY, refusal).await),
        }
    }

    async fn record_export(
        &self,
        request: Request<v1::RecordExportRequest>,
    ) -> Result<Response<v1::RecordExportResponse>, Status> {
        let peer = peer(&request)?;
        match self.export(&peer, request.get_ref()).await {
            Ok(recorded) => Ok(Response::new(recorded)),
            Err(refusal) => Err(self.refuse(&peer, RECORD_EXPORT, refusal).await),
        }
    }

    async fn prove_inclusion(
        &self,
        request: Request<ProveInclusionRequest>,
    ) -> Result<Response<ProveInclusionResponse>, Status> {
        let peer = peer(&request)?;
        match self.inclusion(&peer, request.get_ref()).await {
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
        match self.consistency(&peer, request.get_ref()).await {
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
            Err(refusal) => Err(self.refuse(&peer, TAIL, refusal).await),
        }
    }
}
