//! Closes a stream from outside.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::task::AtomicWaker;

/// Closes a stream from outside.
#[derive(Debug, Default)]
pub(super) struct Closer {
    closed: AtomicBool,
    reader: AtomicWaker,
}

impl Closer {
    /// Whoever reads it is woken.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.reader.wake();
    }

    /// Whether it was closed; if not, the task that reads is woken when it is.
    pub(super) fn poll_closed(&self, cx: &std::task::Context<'_>) -> bool {
        if self.is_closed() {
            return true;
        }
        self.reader.register(cx.waker());
        self.is_closed()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}
