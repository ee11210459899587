//! The broker's end of the adapter link: which adapters are attached, what each was asked, and what
//! of its replies is believed.
//!
//! ```text
//!   fetch ──ask──▶ Links ──▶ Operator ──least in flight──▶ Adapter ──stream──▶ operator
//!                                                            ▲ │
//!                                             believe ◀──reply─┘
//! ```

mod adapter;
mod ask;
mod believe;
mod breaker;
mod operator;
mod pace;
mod reports;
pub mod restrictions;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};

use accord_proto::party::OrgName;
use tokio::sync::watch;

use crate::unpoisoned;

pub use adapter::{Adapter, Arrival, AttachInfo, Outgoing};
pub use ask::{AskDraft, Asked, Patience};
pub use believe::{Evidence, Fetched, Said};
pub use operator::{INSTANCES_GONE_MAX, INSTANCES_MAX, Operator};
pub use pace::Pace;
pub use reports::{ReportPermit, Reports};

/// All operators that ever attached.
#[derive(Debug, Default)]
pub struct Links {
    operators: RwLock<HashMap<OrgName, Arc<Operator>>>,
    closed: watch::Sender<bool>,
}

impl Links {
    /// The operator's links, if it ever attached.
    #[must_use]
    pub fn operator(&self, name: &OrgName) -> Option<Arc<Operator>> {
        unpoisoned::read(&self.operators).get(name).cloned()
    }

    /// The operator's links, made if there are none yet.
    #[must_use]
    pub fn operator_or_new(&self, name: &OrgName) -> Arc<Operator> {
        if let Some(known) = self.operator(name) {
            return known;
        }
        let mut operators = unpoisoned::write(&self.operators);
        Arc::clone(operators.entry(name.clone()).or_default())
    }

    /// Sends every adapter away, when no question is on its way any more: a stream that never ends
    /// would hold the drain up.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Waits until the adapters are sent away.
    pub async fn closed(&self) {
        // An error would mean that the sender is gone, and it lives in here.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Adapters attached, by operator.
    #[must_use]
    pub fn attached(&self) -> Vec<(OrgName, usize)> {
        unpoisoned::read(&self.operators)
            .iter()
            .map(|(name, links)| (name.clone(), links.attached()))
            .collect()
    }
}
