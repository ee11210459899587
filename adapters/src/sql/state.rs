//! What state the source is in, and what looked wrong in its data, for the operator.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::fault::SqlFault;
use crate::source::{Condition, SourceState, StateCell};

/// The same fault is logged again only after this time.
const AGAIN: Duration = Duration::from_secs(30);

/// What is wrong now, and what was odd so far.
#[derive(Debug, Default)]
pub(super) struct Health {
    now: Mutex<Now>,
    state: StateCell,
    oddities: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
}

/// What the database is used for, each over connections of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Answering.
    Asks,
    /// Following its changes.
    Changes,
}

#[derive(Debug, Default)]
struct Now {
    asks: Option<SqlFault>,
    changes: Option<SqlFault>,
    /// Something was answered since the start.
    ready: bool,
    logged: Option<(&'static str, Instant)>,
}

impl Now {
    fn of(&mut self, used: Use) -> &mut Option<SqlFault> {
        match used {
            Use::Asks => &mut self.asks,
            Use::Changes => &mut self.changes,
        }
    }

    /// The worse of the two.
    const fn fault(&self) -> Option<&SqlFault> {
        match (&self.asks, &self.changes) {
            (Some(fault), _) | (None, Some(fault)) => Some(fault),
            (None, None) => None,
        }
    }

    fn tell(&self, state: &StateCell, at: Timestamp) {
        match (&self.asks, &self.changes) {
            (Some(fault), _) => state.set(fault.condition(), fault.to_string(), at),
            (None, Some(fault)) => state.set(fault.condition(), format!("`changes`: {fault}"), at),
            (None, None) => state.set(Condition::Up, "", at),
        };
    }
}

impl Health {
    /// As the status page and the metrics have it.
    pub(super) fn state(&self) -> SourceState {
        self.state.get()
    }

    /// The database answered.
    pub(super) fn well(&self, used: Use, at: Timestamp) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let was_ill = now.of(used).take().is_some();
        if was_ill || !now.ready {
            now.ready = true;
            tracing::info!(?used, "the database answers");
        }
        now.tell(&self.state, at);
    }

    /// It did not.
    pub(super) fn ill(&self, used: Use, fault: &SqlFault, at: Timestamp) {
        if fault.passes() {
            return;
        }
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let name = fault.name();
        let new = now
            .logged
            .is_none_or(|(of, at)| of != name || at.elapsed() > AGAIN);
        if new {
            now.logged = Some((name, Instant::now()));
            tracing::warn!(?used, state = name, %fault, "no answers from the database");
        }
        *now.of(used) = Some(fault.clone());
        now.tell(&self.state, at);
    }

    /// What is wrong; `None`: nothing is known to be.
    pub(super) fn fault(&self) -> Option<SqlFault> {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.fault().cloned()
    }

    /// Counts what looked wrong in a column. Logged at powers of two, so that a table full of it
    /// does not fill the log.
    pub(super) fn odd(&self, column: &'static str, what: &'static str) {
        let mut oddities = self.oddities.lock().unwrap_or_else(PoisonError::into_inner);
        let count = oddities.entry((column, what)).or_default();
        *count += 1;
        if count.is_power_of_two() {
            tracing::warn!(
                column,
                what,
                count = *count,
                "the database holds an odd value"
            );
        }
    }

    /// All that looked wrong: column, what, how often.
    pub(super) fn oddities(&self) -> Vec<(&'static str, &'static str, u64)> {
        let oddities = self.oddities.lock().unwrap_or_else(PoisonError::into_inner);
        let each = oddities.iter();
        each.map(|((column, what), count)| (*column, *what, *count))
            .collect()
    }
}
