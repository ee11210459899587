//! Changes on their way from a source to the runtime.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::mpsc;

use super::{SourceChange, Withdrawals};

/// The most that wait for the runtime.
const CHANGES_MAX: usize = 1_024;

/// The runtime's end, which is taken once.
#[derive(Debug, Default)]
pub(crate) struct ChangesOut {
    out: Mutex<Option<mpsc::Receiver<SourceChange>>>,
    taken: Arc<AtomicBool>,
}

/// The source's end.
#[derive(Clone, Debug)]
pub(crate) struct ChangesIn {
    tell: mpsc::Sender<SourceChange>,
    taken: Arc<AtomicBool>,
}

impl ChangesOut {
    /// Both ends, for at most `CHANGES_MAX` changes that wait.
    pub(crate) fn channel() -> (mpsc::Sender<SourceChange>, Self) {
        let (ends, out) = Self::ends();
        (ends.tell, out)
    }

    /// Both ends, for a source that tells of changes wherever it happens to learn of them.
    pub(crate) fn ends() -> (ChangesIn, Self) {
        let (tell, out) = mpsc::channel(CHANGES_MAX);
        let taken = Arc::default();
        let ends = ChangesIn {
            tell,
            taken: Arc::clone(&taken),
        };
        let out = Self {
            out: Mutex::new(Some(out)),
            taken,
        };
        (ends, out)
    }

    /// The end, for who asks first.
    pub(crate) fn take(&self) -> Option<mpsc::Receiver<SourceChange>> {
        self.taken.store(true, Ordering::Relaxed);
        self.out
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl ChangesIn {
    /// Tells a change where nothing may wait. What there is no room for is left out, and gets old at the
    /// broker.
    pub(crate) fn tell_now(&self, change: SourceChange) {
        // As said above.
        let _ = self.tell.try_send(change);
    }

    /// Tells a change, and waits for room as long as somebody takes what comes; `false`: nobody does.
    pub(crate) async fn tell(&self, change: SourceChange) -> bool {
        if self.taken.load(Ordering::Relaxed) {
            self.tell.send(change).await.is_ok()
        } else {
            self.tell.try_send(change).is_ok()
        }
    }

    /// Takes back what was found to hold no more, and says of how much there was too much.
    pub(crate) async fn withdraw(&self, found: Withdrawals) {
        let (count, left_out) = (found.len(), found.left_out());
        for change in found.into_changes() {
            if !self.tell(change).await {
                return;
            }
        }
        if left_out > 0 {
            tracing::error!(
                withdrawn = count,
                left_out,
                "more has changed than is taken back at once; brokers keep the rest until it is too \
                 old for its clause"
            );
        }
    }
}
