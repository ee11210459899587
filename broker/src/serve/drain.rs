//! The end: no new questions, the old ones finish, the stop is on the record.

use std::sync::Arc;

use accord_proto::v1;
use tokio::time::{Instant, timeout, timeout_at};

use super::Running;
use crate::entry::record_entry;

/// How the broker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Every question on its way was answered.
    pub questions: bool,
    /// Every client closed its connection in time.
    pub connections: bool,
}

impl Running {
    /// Drains within the configured time and stops. A client that never closes is left behind; a
    /// question that was admitted is not, unless the time is up.
    pub async fn drain(mut self) -> Drained {
        let until = Instant::now() + self.limits.drain_max();
        tracing::info!("draining");
        self.shutdown.send_replace(true);
        let all = self.limits.questions_in_flight_max;
        // The doors let nobody in from here on. Lines of screenings still wait for a place; closed
        // while all places are held, none slips in between.
        let places = timeout_at(until, self.permits.acquire_many(all)).await;
        self.permits.close();
        let questions = matches!(places, Ok(Ok(_)));
        drop(places);
        self.links.close();
        // Half of what is left is for clients to close; then they are left behind.
        let patience = until.saturating_duration_since(Instant::now()) / 2;
        let connections = timeout(patience, &mut self.server).await.is_ok();
        self.server.abort();
        self.connections.close_all();
        self.housekeeping.abort_all();
        let detail = format!("after draining: questions {questions}, connections {connections}");
        let kind = v1::operation::Kind::Stop as i32;
        let operation = v1::Operation {
            kind,
            digests: Vec::new(),
            detail,
        };
        if let Err(error) = record_entry(&self.ledger, v1::entry::Event::Operation(operation)).await
        {
            tracing::error!(%error, "can't record the stop");
        }
        self.views.close();
        let (index, ledger) = (Arc::clone(&self.index), Arc::clone(&self.ledger));
        let stop = move || {
            index.stop();
            ledger.stop();
        };
        if tokio::task::spawn_blocking(stop).await.is_err() {
            tracing::error!("the ledger did not stop cleanly");
        }
        tracing::info!(questions, connections, at = %self.clock.now(), "stopped");
        Drained {
            questions,
            connections,
        }
    }
}
