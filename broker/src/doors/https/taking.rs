//! Which responses a client has been given and not taken yet. A client that asks and does not read
//! would keep them in the broker's memory.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Duration, timeout},
};

/// The bytes of a response, and the room that they take until the client has them.
#[derive(Debug)]
pub(in crate::doors) struct Held {
    bytes: Bytes,
    room: Option<OwnedSemaphorePermit>,
}

impl Held {
    /// Bytes that need no room of their own.
    pub(in crate::doors) const fn new(bytes: Bytes) -> Self {
        Self { bytes, room: None }
    }

    /// Bytes that give back this room when the client has them.
    pub(in crate::doors) const fn in_room(bytes: Bytes, room: OwnedSemaphorePermit) -> Self {
        Self {
            bytes,
            room: Some(room),
        }
    }
}

/// How a connection's responses fare.
#[derive(Debug, Default)]
pub(super) struct Takings {
    state: watch::Sender<State>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    /// Begun and not taken whole.
    open: usize,
    /// Taken whole since the beginning.
    taken: u64,
}

impl Takings {
    /// A response is being made.
    pub(super) fn begin(self: &Arc<Self>) -> Taking {
        self.state.send_modify(|state| state.open += 1);
        Taking(Arc::clone(self))
    }

    /// Returns when for so long no response was taken, while there was one to take.
    pub(super) async fn stalled(&self, patience: Duration) {
        let mut seen = self.state.subscribe();
        loop {
            let before = *seen.borrow_and_update();
            if before.open == 0 {
                // The sender lives as long as this borrow of it.
                let _ = seen.changed().await;
                continue;
            }
            let moved = seen.wait_for(|now| now.taken != before.taken || now.open == 0);
            let moved = timeout(patience, moved).await.is_ok();
            if !moved {
                return;
            }
        }
    }

    /// Returns when none was begun for so long: for `first` since now, or for `idle` since the last was
    /// taken.
    pub(super) async fn unused(&self, first: Duration, idle: Duration) {
        let mut seen = self.state.subscribe();
        loop {
            let before = *seen.borrow_and_update();
            if before.open > 0 {
                let _ = seen.changed().await;
                continue;
            }
            let patience = if before.taken == 0 { first } else { idle };
            // One that was made and taken at once shows only in how many were.
            let used = seen.wait_for(|now| *now != before);
            if timeout(patience, used).await.is_err() {
                return;
            }
        }
    }

    /// Returns when there is no response that was not taken.
    pub(super) async fn idle(&self) {
        let _ = self.state.subscribe().wait_for(|now| now.open == 0).await;
    }
}

/// One response, until it is dropped: taken whole, or given up.
#[derive(Debug)]
pub(super) struct Taking(Arc<Takings>);

impl Drop for Taking {
    fn drop(&mut self) {
        self.0.state.send_modify(|state| {
            state.open = state.open.saturating_sub(1);
            state.taken += 1;
        });
    }
}

/// A body that is counted until it is taken.
#[derive(Debug)]
pub(super) struct Taken {
    bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
    _taking: Taking,
}

impl Taken {
    pub(super) fn new(held: Held, taking: Taking) -> Self {
        Self {
            bytes: held.bytes,
            _room: held.room,
            _taking: taking,
        }
    }
}

impl Body for Taken {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        // In pieces, so that the body is not let go before the client has nearly all of it.
        let len = self.bytes.len().min(PIECE_BYTES);
        if len == 0 {
            return Poll::Ready(None);
        }
        let piece = self.bytes.split_to(len);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.bytes.len()).unwrap_or(u64::MAX))
    }
}

/// Bytes handed to the connection at once.
const PIECE_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_nothing_is_noticed_and_whoever_asks_nothing_is_not() {
        let takings = Arc::new(Takings::default());
        // Nothing to take: nobody stalls, however long it lasts.
        assert!(
            timeout(PATIENCE * 10, takings.stalled(PATIENCE))
                .await
                .is_err()
        );
        let one = takings.begin();
        let two = takings.begin();
        let watching = Arc::clone(&takings);
        let stalled = tokio::spawn(async move { watching.stalled(PATIENCE).await });
        tokio::time::sleep(PATIENCE - Duration::from_secs(1)).await;
        // One of them was taken in time, so the other one has time again.
        drop(one);
        tokio::time::sleep(PATIENCE - Duration::from_secs(1)).await;
        assert!(!stalled.is_finished());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(stalled.is_finished());
        drop(two);
        takings.idle().await;
    }
}
