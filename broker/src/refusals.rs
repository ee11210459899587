//! Refusals on the record, within each party's budget. Beyond it a party's refusals become one
//! counted entry a second, so that nobody can fill the ledger by being refused.

use std::{
    collections::HashMap,
    fmt::Display,
    num::NonZeroU32,
    sync::{Arc, Mutex},
};

use accord_proto::{party::PartyId, v1};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::{
    entry::record_entry,
    identity::RefusedConnection,
    ledger::{Ledger, LedgerError},
    metrics::Metrics,
    path::Refusal,
    unpoisoned,
};

/// The most parties whose refusals are told apart.
const PARTIES_MAX: usize = 10_000;

/// Before the name of a party whose connections were refused.
const CONNECT: &str = "connect ";

/// The refusals of each party.
#[derive(Debug)]
pub struct RefusalBook {
    ledger: Arc<Ledger>,
    metrics: Arc<Metrics>,
    per_second: NonZeroU32,
    parties: Mutex<HashMap<String, Page>>,
}

#[derive(Debug)]
struct Page {
    budget: Arc<DefaultDirectRateLimiter>,
    /// Refused beyond the budget, not yet on the record.
    uncounted: u64,
}

impl RefusalBook {
    /// A book with this budget for each party.
    #[must_use]
    pub fn new(ledger: Arc<Ledger>, metrics: Arc<Metrics>, per_second: NonZeroU32) -> Self {
        Self {
            ledger,
            metrics,
            per_second,
            parties: Mutex::default(),
        }
    }

    /// Puts a refusal on the record, or counts it.
    ///
    /// # Errors
    /// [`Refusal::NotReady`] if the ledger takes nothing: then not even the refusal is told.
    pub async fn record(
        &self,
        party: &PartyId,
        method: &'static str,
        refusal: &Refusal,
    ) -> Result<(), Refusal> {
        let field = refusal.field().unwrap_or_default();
        self.record_reason(party, method, (refusal.reason(), field), refusal)
            .await
    }

    /// As [`record`](Self::record), of what only one door refuses: its reason and field, and its
    /// words for the log.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn record_reason(
        &self,
        party: &PartyId,
        method: &'static str,
        (reason, field): (&'static str, &str),
        refusal: &(dyn Display + Sync),
    ) -> Result<(), Refusal> {
        self.metrics.refused(reason);
        tracing::info!(%party, method, reason, %refusal, "refused");
        if !self.within_budget(&party.to_string()) {
            return Ok(());
        }
        let refused = v1::RefusedCall {
            party: party.to_string(),
            method: method.to_owned(),
            reason: reason.to_owned(),
            field: field.to_owned(),
        };
        record_entry(&self.ledger, v1::entry::Event::RefusedCall(refused)).await?;
        Ok(())
    }

    /// Notes that what an adapter said was not believed, within the same budget as its operator's
    /// refusals. Whatever it belongs to goes on without it, so nobody waits for this entry.
    pub fn not_believed(&self, party: &PartyId, instance: String, why: String) {
        let operator = party.org();
        self.metrics.not_believed(operator.as_str());
        tracing::warn!(%operator, instance, why, "what an adapter said is not believed");
        if !self.within_budget(&party.to_string()) {
            return;
        }
        let link = v1::AdapterLink {
            kind: v1::adapter_link::Kind::NotBelieved as i32,
            operator: operator.to_string(),
            instance,
            detail: why,
            ..v1::AdapterLink::default()
        };
        let ledger = Arc::clone(&self.ledger);
        tokio::spawn(async move {
            let entry = record_entry(&ledger, v1::entry::Event::AdapterLink(link));
            if let Err(error) = entry.await {
                tracing::error!(%error, "can't record that an adapter was not believed");
            }
        });
    }

    /// Counts a connection that was refused before any call. It is on the record where a trusted
    /// CA issued the certificate to a party, though somebody else may have shown it.
    pub fn not_connected(&self, refused: RefusedConnection) {
        self.metrics.refused(refused.reason);
        let Some(party) = refused.claimed.filter(|_| refused.issued) else {
            return;
        };
        // Whoever shows a party's certificate must not use up the party's own budget.
        if !self.within_budget(&format!("{CONNECT}{party}")) {
            return;
        }
        let call = v1::RefusedCall {
            party: party.to_string(),
            method: "connect".to_owned(),
            reason: refused.reason.to_owned(),
            field: String::new(),
        };
        let ledger = Arc::clone(&self.ledger);
        tokio::spawn(async move {
            let entry = record_entry(&ledger, v1::entry::Event::RefusedCall(call));
            if let Err(error) = entry.await {
                tracing::error!(%error, "can't record that a connection was refused");
            }
        });
    }

    /// Puts the counts of the last second on the record. Called each second.
    ///
    /// # Errors
    /// If the ledger takes nothing; the counts are kept for the next second.
    pub async fn tick(&self) -> Result<(), LedgerError> {
        let counted: Vec<(String, u64)> = unpoisoned::lock(&self.parties)
            .iter_mut()
            .filter(|(_, page)| page.uncounted > 0)
            .map(|(party, page)| (party.clone(), std::mem::take(&mut page.uncounted)))
            .collect();
        for (party, refused) in counted {
            let count = v1::RefusalCount {
                party: party.strip_prefix(CONNECT).unwrap_or(&party).to_owned(),
                refused,
            };
            let entry = v1::entry::Event::RefusalCount(count);
            if let Err(error) = record_entry(&self.ledger, entry).await {
                if let Some(page) = unpoisoned::lock(&self.parties).get_mut(&party) {
                    page.uncounted += refused;
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn within_budget(&self, party: &str) -> bool {
        let mut parties = unpoisoned::lock(&self.parties);
        let key = if parties.len() < PARTIES_MAX || parties.contains_key(party) {
            party
        } else {
            "others"
        };
        let per_second = self.per_second;
        let page = parties.entry(key.to_owned()).or_insert_with(|| Page {
            budget: Arc::new(RateLimiter::direct(Quota::per_second(per_second))),
            uncounted: 0,
        });
        let within = page.budget.check().is_ok();
        if !within {
            page.uncounted += 1;
        }
        within
    }
}
