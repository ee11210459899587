//! Entries that are not a bank's question: each with its salt, appended and awaited.

use accord_proto::v1;
use aws_lc_rs::rand;
use jiff::Timestamp;
use prost::Message as _;

use crate::ledger::{Committed, Ledger, LedgerError};

/// The first bytes of an entry: its salt, 32 bytes long. Then comes the event's tag.
const EVENT_TAG_AT: usize = 34;
/// Tag bytes of events: the field's number, and its wire type.
pub(crate) const ACCESS_TAG: u8 = (3 << 3) | 2;
pub(crate) const DOCUMENT_LOADED_TAG: u8 = (7 << 3) | 2;
pub(crate) const KEY_ACT_TAG: u8 = (14 << 3) | 2;

/// Shows the entries of one kind of event from a moment on, oldest first, over all months. Reads
/// files, so it blocks.
///
/// # Errors
/// What is wrong with the ledger.
pub(crate) fn scan_events(
    ledger: &Ledger,
    since: Timestamp,
    tag: u8,
    mut found: impl FnMut(v1::Entry, Timestamp),
) -> Result<(), LedgerError> {
    ledger.scan_since(since, |stored| {
        // Decoding costs more than reading, so other events are passed over undecoded.
        if !is_event(stored.bytes, tag) {
            return;
        }
        if let Ok(entry) = v1::Entry::decode(stored.bytes) {
            found(entry, stored.time);
        }
    })
}

/// Whether an entry is of a kind of event.
pub(crate) fn is_event(entry: &[u8], tag: u8) -> bool {
    entry.get(EVENT_TAG_AT) == Some(&tag)
}

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
