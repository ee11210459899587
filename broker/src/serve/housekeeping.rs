//! What goes on beside the questions.

use std::sync::Arc;

use accord_proto::{clock::SharedClock, v1};
use tokio::{
    task::JoinSet,
    time::{Duration, MissedTickBehavior, interval},
};

use super::assemble::House;
use crate::{
    entry::record_entry,
    governance::{DocumentFiles, Reloader},
    ledger::Ledger,
    refusals::RefusalBook,
    subjects::tag_keys::TagKeys,
};

impl House {
    /// What goes on beside the questions: documents and the calendar twice a second, counts and
    /// keys each second.
    pub(super) fn keep(&self, housekeeping: &mut JoinSet<()>) {
        let files = DocumentFiles {
            agreement: self.config.documents.agreement.clone(),
            parties: self.config.documents.parties.clone(),
            ported: self.config.documents.ported.clone(),
        };
        let mut reloader = Reloader::new(
            files,
            Arc::clone(&self.governance),
            Arc::clone(&self.ledger),
            Arc::clone(&self.metrics),
            Arc::clone(&self.clock),
        );
        housekeeping.spawn(async move {
            if let Err(error) = reloader.record_start().await {
                tracing::error!(%error, "can't record the documents in force");
            }
            let mut look = interval(Duration::from_millis(500));
            look.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                look.tick().await;
                if let Err(error) = reloader.tick().await {
                    tracing::error!(%error, "can't record a new document; it is not in force");
                }
            }
        });
        housekeeping.spawn(each_second(
            Arc::clone(&self.refusals),
            Arc::clone(&self.tag_keys),
            Arc::clone(&self.ledger),
            Arc::clone(&self.clock),
        ));
    }
}

/// Counts of refusals, and the turn of the month.
async fn each_second(
    refusals: Arc<RefusalBook>,
    tag_keys: Arc<TagKeys>,
    ledger: Arc<Ledger>,
    clock: SharedClock,
) {
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = refusals.tick().await {
            tracing::error!(%error, "can't record counted refusals");
        }
        match tag_keys.roll(clock.now()) {
            Ok(false) => {}
            Ok(true) => {
                let operation = v1::Operation {
                    kind: v1::operation::Kind::TagKeyCreated as i32,
                    digests: Vec::new(),
                    detail: tag_keys.pair().this_month.month().to_string(),
                };
                let event = v1::entry::Event::Operation(operation);
                if let Err(error) = record_entry(&ledger, event).await {
                    tracing::error!(%error, "can't record a new tag key");
                }
            }
            Err(error) => tracing::error!(%error, "can't go on to the new month's tag key"),
        }
    }
}
