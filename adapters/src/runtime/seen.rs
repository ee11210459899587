//! What can be seen of a running adapter from outside: its links, its journal, its restrictions.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use accord_proto::clock::SharedClock;
use jiff::Timestamp;

use super::Shared;
use crate::{journal::Head, source::words};

/// One broker, and whether the adapter is attached to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkState {
    /// Its endpoint.
    pub broker: String,
    /// Attached.
    pub attached: bool,
    /// Since when it is so; `None`: since the start.
    pub since: Option<Timestamp>,
    /// Why it is not attached; empty while it is.
    pub why: String,
}

/// How many restrictions are in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestrictionCounts {
    /// Subscribers who have opted out.
    pub opted_out: usize,
    /// Subscribers who have locked the SIM.
    pub swap_locked: usize,
    /// Kill switches.
    pub kill_switches: usize,
}

/// The state of every link.
pub(super) struct Links {
    states: Mutex<Vec<LinkState>>,
    clock: SharedClock,
}

impl Links {
    pub(super) fn new<'a>(brokers: impl Iterator<Item = &'a str>, clock: SharedClock) -> Self {
        let state = |broker: &str| LinkState {
            broker: broker.to_owned(),
            attached: false,
            since: None,
            why: "not reached yet".to_owned(),
        };
        Self {
            states: Mutex::new(brokers.map(state).collect()),
            clock,
        }
    }

    fn states(&self) -> MutexGuard<'_, Vec<LinkState>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn attached(&self, broker: &str) {
        self.set(broker, true, String::new());
    }

    /// It is not attached, for a reason whose chain of causes is told.
    pub(super) fn lost(&self, broker: &str, error: &dyn std::error::Error) {
        self.set(broker, false, words(error));
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn set(&self, broker: &str, attached: bool, why: String) {
        let now = self.now();
        let mut states = self.states();
        for state in states.iter_mut().filter(|state| state.broker == broker) {
            if state.attached != attached {
                state.since = Some(now);
            }
            state.attached = attached;
            state.why.clone_from(&why);
        }
    }
}

/// Looks at a running adapter.
#[derive(Clone)]
pub struct RuntimeWatch(Arc<Shared>);

impl fmt::Debug for RuntimeWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RuntimeWatch")
    }
}

impl RuntimeWatch {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// The operator.
    #[must_use]
    pub fn operator(&self) -> &str {
        self.0.operator.as_str()
    }

    /// The name of the instance.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.0.instance
    }

    /// Every broker of the configuration.
    #[must_use]
    pub fn links(&self) -> Vec<LinkState> {
        self.0.links.states().clone()
    }

    /// The journal's size and head.
    #[must_use]
    pub fn journal_head(&self) -> Head {
        self.0.journal.head()
    }

    /// What is in force.
    #[must_use]
    pub fn restrictions(&self) -> RestrictionCounts {
        self.0.restrictions.count()
    }

    /// The time by the adapter's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.links.now()
    }
}
