//! The last step: from a receipt to the bytes that leave.

use std::sync::Arc;

use accord_proto::v1;
use prost::Message as _;
use tokio::task::spawn_blocking;

use super::{Answered, parts::Parts, record::Receipt, refusal::Refusal};
use crate::replay::Ticket;

/// Makes the response and keeps it for repeats.
pub(super) async fn release(parts: &Parts, receipt: Receipt, ticket: Ticket) -> Answered {
    let Receipt {
        answer,
        nonce,
        committed,
        proof,
        ..
    } = receipt;
    let origin = committed.origin.to_string();
    let proof = if proof {
        prove(parts, origin.clone(), committed.index).await
    } else {
        String::new()
    };
    let receipt = v1::Receipt {
        origin,
        index: committed.index,
        leaf_hash: committed.leaf_hash.to_vec(),
        proof,
    };
    let response = v1::LookupResponse {
        answer: answer.into(),
        nonce: nonce.to_vec().into(),
        receipt: Some(receipt),
    };
    if ticket.is_kept() {
        ticket.complete(&response.encode_to_vec(), parts.clock.now());
    }
    Answered { response }
}

/// A whole proof, which reads files. The entry is durable whether or not it can be proved now, so a
/// failure leaves the short receipt, whose proof can be fetched later.
async fn prove(parts: &Parts, origin: String, index: u64) -> String {
    let ledger = Arc::clone(&parts.ledger);
    let proof = spawn_blocking(move || ledger.prove_inclusion(Some(&origin), index)).await;
    match proof {
        Ok(Ok(proof)) => proof,
        Ok(Err(error)) => {
            tracing::error!(%error, index, "an entry can't be proved now");
            String::new()
        }
        Err(error) => {
            tracing::error!(%error, index, "a proof broke off");
            String::new()
        }
    }
}

/// The answer that the first asking got.
pub(super) fn repeat(response: &[u8]) -> Result<Answered, Refusal> {
    v1::LookupResponse::decode(response)
        .map(|response| Answered { response })
        .map_err(|_| Refusal::NotReady("a kept answer is damaged"))
}
