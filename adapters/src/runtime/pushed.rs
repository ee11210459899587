//! A batch of changes as it is sent to one broker: with a nonce, on the journal, and as the bytes that
//! both sides digest.

use accord_proto::{digest::sha256, msisdn::Msisdn, signal::Signal, v1, wire::NONCE_BYTES};
use aws_lc_rs::rand;
use bytes::Bytes;
use prost::Message as _;

use super::Shared;
use crate::journal::{Event, Hex, JournalError, Told};

/// A nonce, so that nobody can try the digest of a batch against numbers.
pub(super) fn nonce() -> Result<Vec<u8>, JournalError> {
    let mut nonce = vec![0; NONCE_BYTES];
    rand::fill(&mut nonce).map_err(|_| JournalError::Failed)?;
    Ok(nonce)
}

/// SHA-256 of an encoded batch.
pub(super) fn batch_digest(body: &[u8]) -> Hex<32> {
    Hex(sha256(&[body]))
}

/// Puts what is sent now of a batch on the journal, and returns the bytes that leave. What was left
/// out since it was made is not in it, so each sending has its own record and digest.
pub(super) fn seal(
    shared: &Shared,
    broker: &str,
    mut batch: v1::ChangeBatch,
) -> Result<Bytes, JournalError> {
    if batch.nonce.len() != NONCE_BYTES {
        // It was kept by an older version.
        batch.nonce = nonce()?;
    }
    let told: Vec<Told> = batch.changes.iter().map(|one| told(shared, one)).collect();
    let mut sent = Bytes::new();
    shared.journal.append_as(|journal_index| {
        batch.journal_index = journal_index;
        sent = batch.encode_to_vec().into();
        Event::ChangesSent {
            broker,
            sequence: batch.sequence,
            told: &told,
            batch: batch_digest(&sent),
        }
    })?;
    Ok(sent)
}

fn told(shared: &Shared, change: &v1::Change) -> Told {
    let msisdn = Msisdn::parse(&change.msisdn).ok();
    Told {
        subject: msisdn.map_or(Hex([0; 16]), |msisdn| shared.journal.subject(&msisdn)),
        signal: Signal::from_wire(change.signal).map_or("unknown", Signal::name),
        withdrawn: change.withdrawn,
    }
}
