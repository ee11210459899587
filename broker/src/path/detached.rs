//! A piece of work that outlives whoever waits for it.

use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::FutureExt as _;
use tokio::runtime::Handle;

type Work<T> = Pin<Box<dyn Future<Output = Option<T>> + Send>>;

/// Work that runs inside whoever awaits it, and goes on as a task of its own once nobody does.
///
/// A task for each question from the beginning would do the same, and cost two more wake-ups each:
/// only the few whose bank hangs up need one. `None` if the work panicked.
pub(super) struct Detached<T: Send + 'static> {
    /// `None` once it is done, and while it is polled: what panicked is not taken up again.
    work: Option<Work<T>>,
}

impl<T: Send + 'static> Detached<T> {
    pub(super) fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        let work = AssertUnwindSafe(work).catch_unwind().map(Result::ok);
        Self {
            work: Some(Box::pin(work)),
        }
    }
}

impl<T: Send + 'static> Future for Detached<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(mut work) = self.work.take() else {
            return Poll::Ready(None);
        };
        let polled = work.as_mut().poll(cx);
        if polled.is_pending() {
            self.work = Some(work);
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Detached<T> {
    fn drop(&mut self) {
        // Without a runtime the process ends, and the work with it.
        if let Some((work, runtime)) = self.work.take().zip(Handle::try_current().ok()) {
            drop(runtime.spawn(work));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn whoever_waits_gets_the_outcome() {
        assert_eq!(Detached::new(async { 7 }).await, Some(7));
    }

    #[tokio::test]
    async fn work_that_is_dropped_half_way_is_finished_all_the_same() {
        let (begin, begun) = oneshot::channel::<()>();
        let (finish, finished) = oneshot::channel();
        let mut work = Box::pin(Detached::new(async move {
            begun.await.unwrap();
            finish.send(7).unwrap();
        }));
        assert!(futures_util::poll!(work.as_mut()).is_pending());
        drop(work);
        begin.send(()).unwrap();
        assert_eq!(finished.await, Ok(7));
    }

    #[tokio::test]
    async fn work_that_was_never_polled_is_done_too() {
        let (finish, finished) = oneshot::channel();
        drop(Detached::new(async move { finish.send(7).unwrap() }));
        assert_eq!(finished.await, Ok(7));
    }

    #[tokio::test]
    async fn a_panic_stays_inside() {
        async fn broken() -> u32 {
            panic!("on purpose")
        }
        assert_eq!(Detached::new(broken()).await, None);
    }
}
