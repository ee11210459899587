//! Reports of view-served answers, until an adapter of the operator takes them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use accord_proto::v1;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// How many reports may wait for one operator. Beyond it the view serves nothing, so that none is
/// thrown away while the broker runs. A report is gone once it is taken for sending: nobody
/// acknowledges it, so a link that breaks, or a broker that is killed, loses some. The entry stays.
const REPORTS_MAX: usize = 65_536;

/// What waits. It outlives the adapters: what one did not take, the next one does.
pub struct Reports {
    waiting: Mutex<VecDeque<Report>>,
    room: Arc<Semaphore>,
    come: Notify,
}

struct Report {
    served: v1::ServedFromView,
    /// Given back when the report leaves.
    _room: OwnedSemaphorePermit,
}

/// The right to report one view-served answer.
#[derive(Debug)]
pub struct ReportPermit {
    reports: Arc<Reports>,
    room: OwnedSemaphorePermit,
}

impl ReportPermit {
    /// Reports it.
    pub fn report(self, served: v1::ServedFromView) {
        let report = Report {
            served,
            _room: self.room,
        };
        self.reports.lock().push_back(report);
        self.reports.come.notify_one();
    }
}

impl Default for Reports {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            room: Arc::new(Semaphore::new(REPORTS_MAX)),
            come: Notify::new(),
        }
    }
}

impl std::fmt::Debug for Reports {
    // The reports hold numbers.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reports").finish_non_exhaustive()
    }
}

impl Reports {
    /// Room for one more.
    pub(super) fn reserve(self: &Arc<Self>) -> Option<ReportPermit> {
        let room = Arc::clone(&self.room).try_acquire_owned().ok()?;
        let reports = Arc::clone(self);
        Some(ReportPermit { reports, room })
    }

    /// The next report; whoever waits must have room for it already.
    pub async fn next(&self) -> v1::ServedFromView {
        loop {
            let come = self.come.notified();
            if let Some(report) = self.lock().pop_front() {
                return report.served;
            }
            come.await;
        }
    }

    /// Wakes another adapter for what this one leaves behind.
    pub fn leave(&self) {
        self.come.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Report>> {
        // Nothing in here panics halfway.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
