//! What is looked at when somebody asks how the broker is.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use super::assemble::House;
use crate::{
    ledger::Ledger,
    metrics::Snapshot,
    replay::Replays,
    subjects::{closed::ClosedKeys, state::SubjectState},
    views::Views,
};

/// The parts that are looked at.
#[derive(Debug, Clone)]
pub(super) struct Gauges {
    ledger: Arc<Ledger>,
    views: Arc<Views>,
    subjects: Arc<SubjectState>,
    closed: Arc<ClosedKeys>,
    replays: Arc<Replays>,
    permits: Arc<Semaphore>,
    permits_max: usize,
    stopping: watch::Receiver<bool>,
}

impl Gauges {
    pub(super) fn new(house: &House, stopping: watch::Receiver<bool>) -> Self {
        Self {
            ledger: Arc::clone(&house.ledger),
            views: Arc::clone(&house.views),
            subjects: Arc::clone(&house.subjects),
            closed: Arc::clone(&house.closed),
            replays: Arc::clone(&house.replays),
            permits: Arc::clone(&house.permits),
            permits_max: house.config.limits.questions_in_flight_max as usize,
            stopping,
        }
    }

    /// Whether questions are answered now, else why not.
    pub(super) fn ready(&self) -> Result<(), String> {
        if *self.stopping.borrow() {
            return Err("it is shutting down".to_owned());
        }
        self.ledger.check_ready().map_err(|error| error.to_string())
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            ledger: self.ledger.stats(),
            ledger_ready: self.ledger.is_ready(),
            view_failures: self.views.failures(),
            view_in_use: self.views.is_in_use(),
            subjects: self.subjects.len(),
            tag_keys_unsplit: self.closed.overdue(),
            key_halves_lost: self.closed.lost(),
            replays: self.replays.len(),
            questions_in_flight: self
                .permits_max
                .saturating_sub(self.permits.available_permits()),
        }
    }
}
