//! Entries that are not a bank's question: each with its salt, appended and awaited.

use accord_proto::v1;
use aws_lc_rs::rand;
use prost::Message as _;

use crate::ledger::{Committed, Ledger, LedgerError};

/// Appends an event and waits until it is durable.
///
/// # Errors
/// If the ledger takes nothing.
pub(crate) async fn record_entry(
    ledger: &Ledger,
    event: v1::entry::Event,
) -> Result<Committed, LedgerError> {
    ledger.append(encode(event)?).await
}

/// An event with a fresh salt, without the time, which the sequencer stamps.
pub(crate) fn encode(event: v1::entry::Event) -> Result<Vec<u8>, LedgerError> {
    let mut salt = vec![0; 32];
    rand::fill(&mut salt).map_err(|_| LedgerError::Random)?;
    Ok(v1::Entry {
        salt,
        event: Some(event),
        time_unix_ms: 0,
    }
    .encode_to_vec())
}
