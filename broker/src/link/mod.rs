//! The broker's end of the adapter link: which adapters are attached, what each was asked, and what
//! of its replies is believed.
//!
//! ```text
//!   fetch ──ask──▶ Links ──▶ Operator ──least in flight──▶ Adapter ──stream──▶ operator
//!                                                            ▲ │
//!                                             believe ◀──reply─┘
//! ```

mod adapter;
mod believe;
mod breaker;
mod operator;
pub mod restrictions;

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};

use accord_proto::party::OrgName;

pub use adapter::{Adapter, Arrival, AttachInfo, Outgoing, ReportPermit};
pub use believe::{Evidence, Fetched};
pub use operator::{AskDraft, Asked, Operator};

/// All operators that ever attached.
#[derive(Debug, Default)]
pub struct Links {
    operators: RwLock<HashMap<OrgName, Arc<Operator>>>,
}

impl Links {
    /// The operator's links, if it ever attached.
    #[must_use]
    pub fn operator(&self, name: &OrgName) -> Option<Arc<Operator>> {
        self.operators.read().ok()?.get(name).cloned()
    }

    /// The operator's links, made if there are none yet.
    #[must_use]
    pub fn operator_or_new(&self, name: &OrgName) -> Arc<Operator> {
        if let Some(known) = self.operator(name) {
            return known;
        }
        match self.operators.write() {
            Ok(mut operators) => {
                Arc::clone(operators.entry(name.clone()).or_insert_with(Arc::default))
            }
            // A poisoned lock means that a thread died mid-insert; its map is not trusted.
            Err(_) => Arc::default(),
        }
    }

    /// Adapters attached, by operator.
    #[must_use]
    pub fn attached(&self) -> Vec<(OrgName, usize)> {
        let Ok(operators) = self.operators.read() else {
            return Vec::new();
        };
        operators
            .iter()
            .map(|(name, links)| (name.clone(), links.attached()))
            .collect()
    }
}
