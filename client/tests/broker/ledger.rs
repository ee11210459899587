//! The ledger of the broker in the tests: two entries.

use accord_proto::{
    c2sp::{SignedNote, SigningKey, checkpoint::Checkpoint, proof::LogProof},
    merkle::{leaf_hash, node_hash},
    v1::{self, audit_service_server::AuditService},
};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status};

use crate::stub::{Broker, refusal};

/// The log's origin.
pub(crate) const LOG: &str = "accord-test/2026-11";

/// The key of the test log: made once, since every stub serves the same log.
pub(crate) fn log_key() -> &'static SigningKey {
    static KEY: std::sync::OnceLock<SigningKey> = std::sync::OnceLock::new();
    KEY.get_or_init(|| SigningKey::generate(LOG).unwrap())
}

/// The test log: two entries.
pub(crate) fn entries() -> [Vec<u8>; 2] {
    let entry = |salt: u8, event: v1::entry::Event| v1::Entry {
        salt: vec![salt; 32],
        event: Some(event),
        time_unix_ms: 1_790_000_000_000,
    };
    let opened = v1::LogOpened {
        origin: LOG.to_owned(),
        ..v1::LogOpened::default()
    };
    let access = v1::Access {
        bank: "first-bank".to_owned(),
        operator: "north-mobile".to_owned(),
        purpose: v1::Purpose::Payment as i32,
        signals: vec![v1::SignalRecord {
            signal: v1::Signal::SimSwap as i32,
            clause: "3.1".to_owned(),
            ..v1::SignalRecord::default()
        }],
        ..v1::Access::default()
    };
    [
        entry(1, v1::entry::Event::LogOpened(opened)).encode_to_vec(),
        entry(2, v1::entry::Event::Access(access)).encode_to_vec(),
    ]
}

fn checkpoint(size: u64) -> SignedNote {
    let [first, second] = entries().map(|entry| leaf_hash(&entry));
    let root = if size == 1 {
        first
    } else {
        node_hash(&first, &second)
    };
    let origin = LOG.to_owned();
    Checkpoint { origin, size, root }.sign(log_key()).unwrap()
}

#[tonic::async_trait]
impl AuditService for Broker {
    type TailStream = ReceiverStream<Result<v1::TailResponse, Status>>;

    async fn get_checkpoint(
        &self,
        _: Request<v1::GetCheckpointRequest>,
    ) -> Result<Response<v1::GetCheckpointResponse>, Status> {
        let checkpoint = checkpoint(2).to_string();
        Ok(Response::new(v1::GetCheckpointResponse { checkpoint }))
    }

    async fn get_entry(
        &self,
        request: Request<v1::GetEntryRequest>,
    ) -> Result<Response<v1::GetEntryResponse>, Status> {
        let request = request.into_inner();
        let mut statements = self.0.seen.statements.lock().unwrap();
        statements.extend(request.statement);
        let entry = entries().into_iter().nth(request.index as usize);
        let entry = entry.ok_or_else(|| refusal(Code::NotFound, 0))?;
        Ok(Response::new(v1::GetEntryResponse { entry }))
    }

    async fn query(
        &self,
        _request: Request<v1::QueryRequest>,
    ) -> Result<Response<v1::QueryResponse>, Status> {
        Err(Status::unimplemented("stub"))
    }

    async fn record_export(
        &self,
        _request: Request<v1::RecordExportRequest>,
    ) -> Result<Response<v1::RecordExportResponse>, Status> {
        Err(Status::unimplemented("stub"))
    }

    async fn prove_inclusion(
        &self,
        request: Request<v1::ProveInclusionRequest>,
    ) -> Result<Response<v1::ProveInclusionResponse>, Status> {
        let index = request.into_inner().index;
        let [first, second] = entries().map(|entry| leaf_hash(&entry));
        let proof = LogProof {
            extra: None,
            index,
            hashes: vec![if index == 0 { second } else { first }],
            checkpoint: checkpoint(2),
        };
        let proof = proof.to_string();
        Ok(Response::new(v1::ProveInclusionResponse { proof }))
    }

    async fn prove_consistency(
        &self,
        _: Request<v1::ProveConsistencyRequest>,
    ) -> Result<Response<v1::ProveConsistencyResponse>, Status> {
        let [_, second] = entries().map(|entry| leaf_hash(&entry));
        Ok(Response::new(v1::ProveConsistencyResponse {
            hashes: vec![second.to_vec()],
            checkpoint: checkpoint(2).to_string(),
        }))
    }

    async fn tail(
        &self,
        request: Request<v1::TailRequest>,
    ) -> Result<Response<Self::TailStream>, Status> {
        let from = request.into_inner().from_index;
        let (to_client, responses) = mpsc::channel(4);
        for (index, entry) in (0..).zip(entries()).filter(|(index, _)| *index >= from) {
            to_client
                .send(Ok(v1::TailResponse {
                    index,
                    entry,
                    origin: LOG.to_owned(),
                }))
                .await
                .unwrap();
        }
        Ok(Response::new(ReceiverStream::new(responses)))
    }
}
