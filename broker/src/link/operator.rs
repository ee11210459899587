//! One operator's adapters: least in flight first, a breaker for each, and one hedge.

use std::sync::{Arc, RwLock};

use accord_proto::{
    clock::SharedClock, msisdn::Msisdn, party::OrgName, purpose::Purpose, reason::Reason,
    signal::Signal, v1,
};
use tokio::time::{Duration, Instant, sleep_until};

use super::{
    adapter::{Adapter, ReportPermit},
    believe::{Believed, Evidence, Fetched, believe},
    restrictions::NumberDigest,
};

/// The adapters of one operator.
#[derive(Debug, Default)]
pub struct Operator {
    adapters: RwLock<Vec<Arc<Adapter>>>,
}

/// A question to an operator.
#[derive(Clone, Debug)]
pub struct AskDraft {
    /// Whose.
    pub msisdn: Msisdn,
    /// What.
    pub signals: Vec<Signal>,
    /// Clause and legal basis of each signal, in the same order.
    pub bases: Vec<v1::Basis>,
    /// Who asks.
    pub bank: OrgName,
    /// For whom.
    pub on_behalf_of: Option<OrgName>,
    /// Why.
    pub purpose: Purpose,
    /// The consent on file.
    pub consent_ref: Option<String>,
    /// Part of a screening.
    pub bulk: bool,
}

impl AskDraft {
    pub(super) fn to_wire(&self, id: u64, deadline: Instant) -> v1::Ask {
        let left = deadline.saturating_duration_since(Instant::now());
        v1::Ask {
            id,
            msisdn: self.msisdn.expose().to_owned(),
            signals: self
                .signals
                .iter()
                .map(|signal| signal.to_wire() as i32)
                .collect(),
            deadline_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX),
            bank: self.bank.as_str().to_owned(),
            on_behalf_of: self
                .on_behalf_of
                .as_ref()
                .map_or_else(String::new, OrgName::to_string),
            purpose: self.purpose.to_wire() as i32,
            bases: self.bases.clone(),
            consent_ref: self.consent_ref.clone().unwrap_or_default(),
            bulk: self.bulk,
        }
    }
}

/// What came of an ask.
#[derive(Debug)]
pub struct Asked {
    /// One for each signal asked.
    pub signals: Vec<Fetched>,
    /// The subscriber has locked the SIM.
    pub customer_lock: bool,
    /// What binds the operator to it; `None` if nobody replied.
    pub evidence: Option<Evidence>,
    /// A reply that was not believed: from whom, and why.
    pub not_believed: Option<(String, String)>,
}

impl Asked {
    fn nobody(draft: &AskDraft, reason: Reason) -> Self {
        let signals = draft.signals.iter().map(|signal| Fetched {
            signal: *signal,
            outcome: Err(reason),
        });
        Self {
            signals: signals.collect(),
            customer_lock: false,
            evidence: None,
            not_believed: None,
        }
    }

    fn believed(adapter: &Adapter, believed: Believed) -> Self {
        let evidence = Evidence {
            instance: adapter.info().instance.clone(),
            journal_index: believed.journal_index,
            digest: believed.digest,
        };
        Self {
            signals: believed.signals,
            customer_lock: believed.customer_lock,
            evidence: Some(evidence),
            not_believed: None,
        }
    }
}

impl Operator {
    /// Adds an adapter; an earlier one of the same instance is replaced.
    pub fn attach(&self, adapter: Arc<Adapter>) {
        let Ok(mut adapters) = self.adapters.write() else {
            return;
        };
        adapters.retain(|other| {
            let replaced = other.info().instance == adapter.info().instance;
            if replaced {
                other.detach();
            }
            !replaced
        });
        adapters.push(adapter);
    }

    /// Removes an adapter whose stream has ended.
    pub fn detach(&self, adapter: &Arc<Adapter>) {
        adapter.detach();
        if let Ok(mut adapters) = self.adapters.write() {
            adapters.retain(|other| !Arc::ptr_eq(other, adapter));
        }
    }

    /// Whether this adapter is still the one of its instance.
    #[must_use]
    pub fn holds(&self, adapter: &Arc<Adapter>) -> bool {
        self.adapters
            .read()
            .is_ok_and(|adapters| adapters.iter().any(|other| Arc::ptr_eq(other, adapter)))
    }

    /// How many are attached.
    #[must_use]
    pub fn attached(&self) -> usize {
        self.adapters.read().map_or(0, |adapters| adapters.len())
    }

    /// Whether the operator stopped this bank's signal.
    #[must_use]
    pub fn kills(&self, bank: &OrgName, signal: Signal) -> bool {
        self.any(|adapter| adapter.restrictions.kills(bank, signal))
    }

    /// Whether the subscriber has opted out.
    #[must_use]
    pub fn opted_out(&self, digest: &NumberDigest) -> bool {
        self.any(|adapter| adapter.restrictions.opted_out(digest))
    }

    /// Whether the subscriber has locked the SIM.
    #[must_use]
    pub fn swap_locked(&self, digest: &NumberDigest) -> bool {
        self.any(|adapter| adapter.restrictions.swap_locked(digest))
    }

    /// Room for a report of a view-served answer. `None` while no adapter is attached, or while one
    /// has not sent all its restrictions: then an opt-out may not have arrived, and the view must
    /// not serve.
    #[must_use]
    pub fn reserve_report(&self) -> Option<ReportPermit> {
        let adapters = self.adapters.read().ok()?;
        if !adapters.iter().all(|adapter| adapter.is_settled()) {
            return None;
        }
        adapters.iter().find_map(|adapter| adapter.reserve_report())
    }

    /// Asks for a line of a screening: it waits for its turn, and has `within` from then on.
    pub async fn ask_in_turn(
        &self,
        draft: &AskDraft,
        within: Duration,
        clock: &SharedClock,
    ) -> Asked {
        match self.candidates(draft) {
            Ok(candidates) => {
                let Some(adapter) = candidates.first() else {
                    return Asked::nobody(draft, Reason::SourceDown);
                };
                settle(
                    adapter,
                    adapter.ask_in_turn(draft, within).await,
                    draft,
                    clock,
                )
            }
            Err(reason) => Asked::nobody(draft, reason),
        }
    }

    /// Asks an adapter, and a second one if the first is slow.
    pub async fn ask(&self, draft: &AskDraft, deadline: Instant, clock: &SharedClock) -> Asked {
        let mut candidates = match self.candidates(draft) {
            Ok(candidates) => candidates.into_iter(),
            Err(reason) => return Asked::nobody(draft, reason),
        };
        let Some(first) = candidates.next() else {
            return Asked::nobody(draft, Reason::SourceDown);
        };
        let Some(second) = candidates.next() else {
            return settle(&first, first.ask(draft, deadline).await, draft, clock);
        };
        hedged(&first, &second, draft, deadline, clock).await
    }

    /// Adapters that may be asked now, least in flight first.
    fn candidates(&self, draft: &AskDraft) -> Result<Vec<Arc<Adapter>>, Reason> {
        let adapters = self.adapters.read().map_err(|_| Reason::SourceDown)?;
        let mut able: Vec<_> = adapters
            .iter()
            .filter(|adapter| adapter.is_open() && adapter.can_answer(draft))
            .cloned()
            .collect();
        if able.is_empty() {
            let attached = adapters.iter().any(|adapter| adapter.is_open());
            return Err(if attached {
                Reason::NotAvailable
            } else {
                Reason::SourceDown
            });
        }
        able.retain(|adapter| adapter.is_sound());
        if able.is_empty() {
            return Err(Reason::SourceDown);
        }
        able.retain(|adapter| draft.bulk || adapter.has_credit());
        able.sort_by_key(|adapter| adapter.in_flight());
        if able.is_empty() {
            Err(Reason::Overloaded)
        } else {
            Ok(able)
        }
    }

    fn any(&self, is: impl Fn(&Adapter) -> bool) -> bool {
        // A poisoned list can't be trusted to hold every restriction: then all is restricted.
        self.adapters
            .read()
            .map_or(true, |adapters| adapters.iter().any(|adapter| is(adapter)))
    }
}

/// Asks the first; if it is silent for half of the time, or fails, asks the second as well and
/// takes whichever replies first.
async fn hedged(
    first: &Arc<Adapter>,
    second: &Arc<Adapter>,
    draft: &AskDraft,
    deadline: Instant,
    clock: &SharedClock,
) -> Asked {
    let half = Instant::now() + deadline.saturating_duration_since(Instant::now()) / 2;
    let mut one = std::pin::pin!(first.ask(draft, deadline));
    let early = tokio::select! {
        reply = &mut one => Some(reply),
        () = sleep_until(half) => None,
    };
    match early {
        Some(Ok(reply)) => settle(first, Ok(reply), draft, clock),
        Some(Err(_)) => settle(second, second.ask(draft, deadline).await, draft, clock),
        None => {
            let mut other = std::pin::pin!(second.ask(draft, deadline));
            tokio::select! {
                reply = &mut one => match reply {
                    Ok(reply) => settle(first, Ok(reply), draft, clock),
                    Err(_) => settle(second, other.await, draft, clock),
                },
                reply = &mut other => match reply {
                    Ok(reply) => settle(second, Ok(reply), draft, clock),
                    Err(_) => settle(first, one.await, draft, clock),
                },
            }
        }
    }
}

fn settle(
    adapter: &Adapter,
    reply: Result<v1::Reply, Reason>,
    draft: &AskDraft,
    clock: &SharedClock,
) -> Asked {
    match reply {
        Ok(reply) => match believe(&reply, &draft.signals, clock.now()) {
            Ok(believed) => Asked::believed(adapter, believed),
            Err(error) => {
                let mut asked = Asked::nobody(draft, Reason::SourceDown);
                asked.not_believed = Some((adapter.info().instance.clone(), error.to_string()));
                asked
            }
        },
        Err(reason) => Asked::nobody(draft, reason),
    }
}
