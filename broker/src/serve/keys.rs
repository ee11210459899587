//! The months' keys: a new one when a month begins, and the one before last split between the
//! authorities.

use std::sync::Arc;

use accord_proto::{clock::SharedClock, v1};
use jiff::Timestamp;
use tokio::time::{Duration, Instant};

use super::acts::record_act;
use crate::{
    config::KeysSection,
    governance::Governance,
    ledger::Ledger,
    subjects::{
        closed::{ClosedError, ClosedKeys},
        tag_keys::TagKeys,
    },
};

/// How often it is looked whether a key must still be split.
const SPLIT_EVERY: Duration = Duration::from_secs(60);

/// What keeps the months' keys.
pub(super) struct MonthKeys {
    pub(super) tag_keys: Arc<TagKeys>,
    pub(super) closed: Arc<ClosedKeys>,
    pub(super) governance: Arc<Governance>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) clock: SharedClock,
    /// When the old keys were last looked at.
    pub(super) looked: Instant,
}

impl MonthKeys {
    /// Called each second.
    pub(super) async fn tick(&mut self) {
        let now = self.clock.now();
        let mut turned = false;
        match self.tag_keys.roll(now) {
            Ok(new) => turned = new,
            Err(error) => tracing::error!(%error, "can't go on to the new month's tag key"),
        }
        if turned {
            let month = self.tag_keys.pair().this_month.month().to_string();
            let kind = v1::operation::Kind::TagKeyCreated;
            if let Err(error) = record_act(&self.ledger, kind, Vec::new(), month).await {
                tracing::error!(%error, "can't record a new tag key");
            }
        }
        if turned || self.looked.elapsed() >= SPLIT_EVERY {
            self.looked = Instant::now();
            split_due(&self.closed, &self.governance, now).await;
        }
    }
}

/// The keys of closed months, as the ledger and the disk have them.
pub(super) fn closed(
    keys: &KeysSection,
    ledger: &Arc<Ledger>,
    governance: &Governance,
) -> Result<ClosedKeys, ClosedError> {
    let KeysSection { dir, sealed_dir } = keys;
    let authorities = governance.authorities().clone();
    ClosedKeys::open(dir, sealed_dir, Arc::clone(ledger), authorities)
}

/// Splits what is due. A key that can't be split stays, which is an alarm: until it is, the broker's
/// operator could search a month that is closed.
pub(super) async fn split_due(closed: &ClosedKeys, governance: &Governance, now: Timestamp) {
    let governed = governance.current();
    let keys = governed.signed().document().share_keys();
    if let Err(error) = closed.split_due(keys, now).await {
        let overdue = closed.overdue();
        tracing::error!(%error, overdue, "a closed month's key can't be split yet");
    }
}
