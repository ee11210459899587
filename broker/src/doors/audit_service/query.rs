//! Searching the ledger, a page at a time.

use std::sync::Arc;

use accord_proto::{
    subject::Month,
    v1::{self, QueryRequest, QueryResponse, TailResponse},
    wire::{FieldError, parse_timestamp},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use super::AuditDoor;
use crate::{
    identity::Peer,
    index::{Begin, FoundEntry, IndexError, Search},
    path::Refusal,
    subjects::tag_keys::Pair,
};

/// The method, for the record.
pub(super) const QUERY: &str = "AuditService.Query";
/// Entries of a page where the reader does not say, and at most.
const PAGE_ENTRIES_DEFAULT: u32 = 100;
const PAGE_ENTRIES_MAX: u32 = 1_000;
/// The longest page token.
const TOKEN_LEN_MAX: usize = 512;

impl AuditDoor {
    pub(super) async fn search(
        &self,
        peer: &Peer,
        request: &QueryRequest,
    ) -> Result<QueryResponse, Refusal> {
        let reader = self.reader(peer, request.statement.as_ref())?;
        let everything = v1::Filter::default();
        let filter = request.filter.as_ref().unwrap_or(&everything);
        let keys = self.parts.tag_keys.pair();
        let search = Search::parse(filter, |msisdn| keys.tags(msisdn))?;
        let months_not_held = match filter.msisdn.as_str() {
            "" => Vec::new(),
            _ => self.not_held(filter, &keys)?,
        };
        let count_max = match request.page_size {
            0 => PAGE_ENTRIES_DEFAULT,
            size @ 1..=PAGE_ENTRIES_MAX => size,
            _ => {
                let rule = format!("1 to {PAGE_ENTRIES_MAX}, or 0 for {PAGE_ENTRIES_DEFAULT}");
                return Err(FieldError::new("page_size", rule).into());
            }
        };
        let digest = search.digest(&reader.sight);
        let begin = open_token(&request.page, &digest)?;
        self.parts.index.catch_up().await;
        let (index, sight) = (Arc::clone(&self.parts.index), reader.sight.clone());
        let looked = search.clone();
        let look = move || index.find(&looked, &sight, begin.as_ref(), count_max as usize);
        let page = tokio::task::spawn_blocking(look)
            .await
            .map_err(|_| Refusal::NotReady("the reading of its ledger broke off"))?
            .map_err(refusal)?;
        let entries: Vec<TailResponse> = page.entries.into_iter().map(told).collect();
        let first = entries.first();
        let read = v1::AuditRead {
            party: reader.party.to_string(),
            method: QUERY.to_owned(),
            first_index: first.map_or(0, |entry| entry.index),
            entries: u64::try_from(entries.len()).unwrap_or(0),
            origin: first.map_or_else(String::new, |entry| entry.origin.clone()),
            statement: Some(reader.statement.to_wire()),
            filter: Some(search.to_wire()),
        };
        self.record_read(read).await?;
        let (indexed_origin, indexed_size) = page.indexed;
        Ok(QueryResponse {
            entries,
            next_page: page
                .next
                .map_or_else(String::new, |next| token(&next, &digest)),
            indexed_origin,
            indexed_size,
            months_not_held,
        })
    }

    /// The months of the time asked in which a number can't be searched.
    fn not_held(&self, filter: &v1::Filter, keys: &Pair) -> Result<Vec<String>, Refusal> {
        let month = |at: &Option<_>| at.as_ref().and_then(parse_timestamp).map(Month::of);
        let (from, until) = (month(&filter.from), month(&filter.until));
        let origins = self.parts.ledger.origins()?;
        let months = origins
            .iter()
            .filter_map(|origin| Month::parse(origin.rsplit('/').next()?))
            .filter(|month| from.is_none_or(|from| from <= *month))
            .filter(|month| until.is_none_or(|until| *month <= until))
            .filter(|month| keys.keys().all(|key| key.month() != *month));
        Ok(months.map(|month| month.to_string()).collect())
    }
}

fn told(found: FoundEntry) -> TailResponse {
    TailResponse {
        index: found.index,
        entry: found.bytes,
        origin: found.origin,
    }
}

fn refusal(error: IndexError) -> Refusal {
    match error {
        IndexError::NotReady => Refusal::NotReady("its index is being looked through"),
        IndexError::Ledger(error) => error.into(),
        IndexError::Io { .. }
        | IndexError::Store(_)
        | IndexError::Damaged(_)
        | IndexError::Foreign(_)
        | IndexError::TooManyTerms => Refusal::NotReady("its index is being made anew"),
    }
}

/// Where the next page begins, bound to search and sight: it is of no use for another. Nothing in it
/// is secret, and each page's entries are held against search and sight anyway.
fn token((origin, index): &Begin, digest: &[u8; 16]) -> String {
    let mut bytes = index.to_le_bytes().to_vec();
    bytes.extend_from_slice(digest);
    bytes.extend_from_slice(origin.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn open_token(text: &str, digest: &[u8; 16]) -> Result<Option<Begin>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |rule: &str| Refusal::Field(FieldError::new("page", rule));
    let malformed = || wrong("is no `next_page` of a former response");
    if text.len() > TOKEN_LEN_MAX {
        return Err(malformed());
    }
    let bytes = BASE64_URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| malformed())?;
    let (index, rest) = bytes.split_first_chunk::<8>().ok_or_else(malformed)?;
    let (bound, origin) = rest.split_first_chunk::<16>().ok_or_else(malformed)?;
    if bound != digest {
        return Err(wrong(
            "belongs to another search: begin this one with an empty page",
        ));
    }
    let origin = String::from_utf8(origin.to_vec()).map_err(|_| malformed())?;
    Ok(Some((origin, u64::from_le_bytes(*index))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_token_is_of_its_own_search_only() {
        let begin = ("accord-test/2026-11".to_owned(), 70_000);
        let text = token(&begin, &[7; 16]);
        assert_eq!(open_token(&text, &[7; 16]).unwrap(), Some(begin));
        assert_eq!(open_token("", &[7; 16]).unwrap(), None);
        for (text, digest) in [
            (text.as_str(), [8; 16]),
            ("x", [7; 16]),
            ("AAAA", [7; 16]),
            (&"A".repeat(513), [7; 16]),
        ] {
            let refused = open_token(text, &digest).unwrap_err();
            assert_eq!(refused.field(), Some("page"));
        }
    }
}
