//! Searching the ledger, and putting what was taken from it on the record.

use std::time::Duration;

use accord_proto::v1;
use tonic::transport::Channel;

use super::{Auditor, LedgerEntry, audit, request};
use crate::{answer::Mistrust, refusal::CallError};

/// The most entries of a page.
pub const PAGE_SIZE_MAX: u32 = 1_000;
/// The most bytes of a page: a broker sends at most 2 MiB of entries, and an entry that alone is
/// longer than what is left of them goes with the next page.
const PAGE_BYTES_MAX: usize = 4 * 1_024 * 1_024;
/// How long a page may take: the broker bounds its work for each, and refuses who comes too fast
/// with the time to come back, which is waited for.
const PAGE_S_MAX: u64 = 20;

/// A page of entries that a filter matches.
#[derive(Clone, Debug)]
pub struct QueryPage {
    /// Oldest first. A page may hold fewer than were asked for, or none, and not be the last.
    pub entries: Vec<LedgerEntry>,
    /// What to ask for next; `None`: this was the last one.
    pub next: Option<String>,
    /// Up to where the broker's index had come: origin and size.
    pub indexed: (String, u64),
    /// Where a number was searched: the months of the time asked in which it was not, since the
    /// broker does not hold their keys. That nothing was found says nothing of them.
    pub months_not_held: Vec<String>,
}

/// A search, page by page.
#[derive(Clone)]
pub struct Search {
    auditor: Auditor,
    filter: v1::Filter,
    page_size: u32,
    page: Option<String>,
}

// A filter may hold a phone number.
impl std::fmt::Debug for Search {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Search").finish_non_exhaustive()
    }
}

impl Search {
    /// The next page; `None` after the last.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn next(&mut self) -> Result<Option<QueryPage>, CallError> {
        let Some(page) = self.page.take() else {
            return Ok(None);
        };
        let found = self
            .auditor
            .query(&self.filter, self.page_size, &page)
            .await?;
        // A broker that gives the same page again would be asked for ever.
        if found.next.as_ref() == Some(&page) {
            return Err(Mistrust::Malformed("next_page").into());
        }
        self.page.clone_from(&found.next);
        Ok(Some(found))
    }
}

impl Auditor {
    /// Searches the entries that this reader may read, oldest first, at most `page_size`
    /// (1 to [`PAGE_SIZE_MAX`]) at once.
    #[must_use]
    pub fn search(&self, filter: v1::Filter, page_size: u32) -> Search {
        Search {
            auditor: self.clone(),
            filter,
            page_size: page_size.clamp(1, PAGE_SIZE_MAX),
            page: Some(String::new()),
        }
    }

    /// One page of a search: the first where `page` is empty, else the one that the page before it
    /// named.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn query(
        &self,
        filter: &v1::Filter,
        page_size: u32,
        page: &str,
    ) -> Result<QueryPage, CallError> {
        let call = async |channel: Channel, within: Duration| {
            let message = v1::QueryRequest {
                statement: self.stated(),
                filter: Some(filter.clone()),
                page_size,
                page: page.to_owned(),
            };
            audit(channel)
                .max_decoding_message_size(PAGE_BYTES_MAX)
                .query(request(message, within))
                .await
        };
        let deadline = self.deadline.max(Duration::from_secs(PAGE_S_MAX));
        let response = self.call(deadline, call).await?;
        if response.entries.len() > page_size as usize {
            return Err(Mistrust::Malformed("entries").into());
        }
        let entries = response.entries.into_iter();
        let entries = entries.map(|one| LedgerEntry::parse(one.origin, one.index, one.entry));
        Ok(QueryPage {
            entries: entries.collect::<Result<_, _>>()?,
            next: (!response.next_page.is_empty()).then_some(response.next_page),
            indexed: (response.indexed_origin, response.indexed_size),
            months_not_held: response.months_not_held,
        })
    }

    /// Puts on the record that entries were written to a file (rule R38), and says where that
    /// stands: origin and index.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn record_export(
        &self,
        format: &str,
        sha256: &[u8; 32],
        entries: u64,
    ) -> Result<(String, u64), CallError> {
        let call = async |channel: Channel, within: Duration| {
            let message = v1::RecordExportRequest {
                statement: self.stated(),
                format: format.to_owned(),
                sha256: sha256.to_vec(),
                entries,
            };
            audit(channel).record_export(request(message, within)).await
        };
        let deadline = self.deadline.max(Duration::from_secs(PAGE_S_MAX));
        let response = self.call(deadline, call).await?;
        Ok((response.origin, response.index))
    }
}
