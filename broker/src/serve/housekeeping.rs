//! What goes on beside the questions.

use std::sync::Arc;

use accord_proto::clock::SharedClock;
use tokio::{
    task::JoinSet,
    time::{Duration, Instant, MissedTickBehavior, interval, interval_at},
};

use super::{acts::Acts, assemble::House, keys::MonthKeys};
use crate::{
    governance::{AgreementLife, Governance, Reloader},
    refusals::RefusalBook,
    views::Views,
};

/// How often the clock and the certificates in force are looked at, for the record.
const ACTS_EVERY: Duration = Duration::from_millis(250);

impl House {
    /// What goes on beside the questions: documents and the calendar twice a second, counts and
    /// keys each second, the view each hour.
    pub(super) fn keep(
        &self,
        housekeeping: &mut JoinSet<()>,
        mut reloader: Reloader,
        mut acts: Acts,
    ) {
        housekeeping.spawn(async move {
            let mut look = interval(ACTS_EVERY);
            look.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                look.tick().await;
                if let Err(error) = acts.look().await {
                    tracing::error!(%error, "can't record an act of the broker's operator");
                }
            }
        });
        housekeeping.spawn(async move {
            let mut look = interval(Duration::from_millis(500));
            look.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                look.tick().await;
                if let Err(error) = reloader.tick().await {
                    tracing::error!(%error, "can't record a new document; it is not in force");
                }
            }
        });
        housekeeping.spawn(sweep_views(
            Arc::clone(&self.views),
            Arc::clone(&self.governance),
            Arc::clone(&self.clock),
        ));
        housekeeping.spawn(note_months(Arc::clone(&self.life)));
        let keys = MonthKeys {
            tag_keys: Arc::clone(&self.tag_keys),
            closed: Arc::clone(&self.closed),
            governance: Arc::clone(&self.governance),
            ledger: Arc::clone(&self.ledger),
            clock: Arc::clone(&self.clock),
            looked: Instant::now(),
        };
        housekeeping.spawn(each_second(Arc::clone(&self.refusals), keys));
    }
}

/// How often it is looked whether a new month has begun.
const MONTH_EVERY: Duration = Duration::from_secs(60);

/// Notes in each month how far there is no further act of the authorities.
async fn note_months(life: Arc<AgreementLife>) {
    let mut tick = interval(MONTH_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let life = Arc::clone(&life);
        if let Err(panic) = tokio::task::spawn_blocking(move || life.note_month()).await {
            tracing::error!(%panic, "the noting of the month broke off");
        }
    }
}

/// How often the view is swept.
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);
/// How long after the start it is swept first, when the adapters are back.
const SWEEP_AFTER: Duration = Duration::from_secs(60);

/// Removes what no clause lets the view serve any more.
async fn sweep_views(views: Arc<Views>, governance: Arc<Governance>, clock: SharedClock) {
    let mut tick = interval_at(Instant::now() + SWEEP_AFTER, SWEEP_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let governed = governance.current();
        let clauses = governed.agreement().clauses().iter();
        let kept = clauses.filter_map(|clause| clause.caching()).max();
        let Ok(older_than) = clock.now().checked_sub(kept.unwrap_or_default()) else {
            continue;
        };
        let views = Arc::clone(&views);
        let swept = tokio::task::spawn_blocking(move || views.sweep(older_than)).await;
        tracing::info!(removed = swept.unwrap_or_default(), "the view is swept");
    }
}

/// Counts of refusals, and the turn of the month.
async fn each_second(refusals: Arc<RefusalBook>, mut keys: MonthKeys) {
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = refusals.tick().await {
            tracing::error!(%error, "can't record counted refusals");
        }
        keys.tick().await;
    }
}
