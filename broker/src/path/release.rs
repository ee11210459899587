//! The last step: from a receipt to the bytes that leave.

use accord_proto::v1;
use prost::Message as _;

use super::{Answered, parts::Parts, record::Receipt, refusal::Refusal};
use crate::replay::Ticket;

/// Makes the response and keeps it for repeats.
pub(super) fn release(parts: &Parts, receipt: Receipt, ticket: Ticket) -> Answered {
    let Receipt {
        answer,
        nonce,
        committed,
        proof,
        ..
    } = receipt;
    let origin = committed.origin.to_string();
    let proof = proof
        .then(|| {
            parts
                .ledger
                .prove_inclusion(Some(&origin), committed.index)
                .ok()
        })
        .flatten()
        .unwrap_or_default();
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

/// The answer that the first asking got.
pub(super) fn repeat(response: &[u8]) -> Result<Answered, Refusal> {
    v1::LookupResponse::decode(response)
        .map(|response| Answered { response })
        .map_err(|_| Refusal::NotReady("a kept answer is damaged"))
}
