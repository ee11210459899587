//! One page: what the index finds, read from the ledger, and held against search and sight again.

use accord_proto::v1::Entry;
use prost::Message as _;

use super::{Begin, error::IndexError};
use crate::ledger::Ledger;

/// Bytes of entries in a page: what goes beyond is for the next one.
const PAGE_BYTES_MAX: usize = 2 * 1_024 * 1_024;
/// Entries that lie so near to each other are read in one go; the ledger finds every 256th at once.
const RUN_ENTRIES: u64 = 256;

/// An entry that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundEntry {
    /// The origin of its log.
    pub origin: String,
    /// Its index in it.
    pub index: u64,
    /// Its exact bytes.
    pub bytes: Vec<u8>,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Page {
    /// Oldest first.
    pub entries: Vec<FoundEntry>,
    /// Where the next page begins; `None`: there are no more at present.
    pub next: Option<Begin>,
    /// How far the index had come: the newest log that it knew, and how many of its entries.
    pub indexed: (String, u64),
}

/// Reads the entries at places of growing order, as far as they fit into a page, and keeps what is
/// really wanted.
pub(super) fn read(
    ledger: &Ledger,
    places: &[Begin],
    keep: impl Fn(&Entry) -> bool,
) -> Result<(Vec<FoundEntry>, Option<Begin>), IndexError> {
    let mut entries = Vec::new();
    let mut bytes = 0;
    let mut rest = places;
    while let Some((origin, first)) = rest.first() {
        let run_end = (first / RUN_ENTRIES + 1) * RUN_ENTRIES;
        let near = |place: &Begin| place.0 == *origin && place.1 < run_end;
        let count = rest.iter().take_while(|place| near(place)).count();
        let (run, after) = rest.split_at(count);
        rest = after;
        let last = run.last().map_or(*first, |(_, last)| *last);
        let read = ledger.entries(Some(origin), *first, last - first + 1)?;
        for (index, entry) in (*first..).zip(read) {
            let wanted = run.binary_search_by_key(&index, |(_, at)| *at).is_ok();
            if !wanted || !Entry::decode(entry.as_slice()).is_ok_and(|entry| keep(&entry)) {
                continue;
            }
            if bytes + entry.len() > PAGE_BYTES_MAX && !entries.is_empty() {
                return Ok((entries, Some((origin.clone(), index))));
            }
            bytes += entry.len();
            entries.push(FoundEntry {
                origin: origin.clone(),
                index,
                bytes: entry,
            });
        }
    }
    Ok((entries, None))
}
