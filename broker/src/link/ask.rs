//! A question to an operator and what comes of it, with one hedge.

use std::sync::Arc;

use accord_proto::{
    clock::SharedClock, msisdn::Msisdn, party::OrgName, purpose::Purpose, reason::Reason,
    signal::Signal, v1,
};
use tokio::time::{Duration, Instant, sleep_until};

use super::{
    adapter::{Adapter, Replied},
    believe::{Believed, Evidence, Fetched, Said, believe},
};

/// How long a reply is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Until when somebody waits: the bank may have little time.
    pub by: Instant,
    /// How long an operator may take, whoever asks.
    pub own: Duration,
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
    pub(super) fn nobody(draft: &AskDraft, reason: Reason) -> Self {
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

    fn believed(adapter: &Adapter, believed: Believed, elapsed: Duration) -> Self {
        let evidence = Evidence {
            said: Said {
                instance: adapter.info().instance.clone(),
                journal_index: believed.journal_index,
                digest: believed.digest,
            },
            elapsed,
        };
        Self {
            signals: believed.signals,
            customer_lock: believed.customer_lock,
            evidence: Some(evidence),
            not_believed: None,
        }
    }
}

/// Asks the first; if it is silent for half of the time, or fails, asks the second as well and
/// takes whichever replies first.
pub(super) async fn hedged(
    first: &Arc<Adapter>,
    second: &Arc<Adapter>,
    draft: &AskDraft,
    patience: Patience,
    clock: &SharedClock,
) -> Asked {
    let half = Instant::now() + patience.by.saturating_duration_since(Instant::now()) / 2;
    let mut one = std::pin::pin!(first.ask(draft, patience));
    let early = tokio::select! {
        reply = &mut one => Some(reply),
        () = sleep_until(half) => None,
    };
    match early {
        Some(Ok(reply)) => settle(first, Ok(reply), draft, clock),
        Some(Err(_)) => settle(second, second.ask(draft, patience).await, draft, clock),
        None => {
            let mut other = std::pin::pin!(second.ask(draft, patience));
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

pub(super) fn settle(
    adapter: &Adapter,
    reply: Result<Replied, Reason>,
    draft: &AskDraft,
    clock: &SharedClock,
) -> Asked {
    match reply {
        Ok(Replied { reply, elapsed }) => match believe(&reply, &draft.signals, clock.now()) {
            Ok(believed) => Asked::believed(adapter, believed, elapsed),
            Err(error) => {
                let mut asked = Asked::nobody(draft, Reason::SourceDown);
                asked.not_believed = Some((adapter.info().instance.clone(), error.to_string()));
                asked
            }
        },
        Err(reason) => Asked::nobody(draft, reason),
    }
}
