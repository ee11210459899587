//! Connections that the upstream ends, with a word and without one.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Waker},
};

use tokio::task::consume_budget;

use super::{
    ASSERTION, SWAPPED, open,
    server::{Answer, Upstream, say},
    sim,
};

/// Of the 128 units that tokio lets a task take before it must yield, so many are gone each time that the
/// future is looked at, as others of the task have taken them.
async fn with_less<T>(taken: usize, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    poll_fn(|cx| {
        for _ in 0..taken {
            let mut nobody = Context::from_waker(Waker::noop());
            let unit: Pin<&mut _> = pin!(consume_budget());
            let _ = unit.poll(&mut nobody).is_ready();
        }
        future.as_mut().poll(cx)
    })
    .await
}

#[tokio::test]
async fn an_upstream_that_ends_each_connection_is_asked_once_for_each_question_however_busy_the_task()
 {
    let upstream = Upstream::start().await;
    let source = open(&upstream, "", ASSERTION);
    upstream.answers([say(200, SWAPPED)]);
    assert_eq!(sim(&source).await, "seen");
    for chunked in [false, true] {
        let before = upstream.script.asked("/retrieve-date").len();
        let last = Answer::Last(SWAPPED.into(), chunked);
        upstream.answers([last]);
        for taken in 0..128 {
            assert_eq!(with_less(taken, sim(&source)).await, "seen", "{taken}");
        }
        let asked = upstream.script.asked("/retrieve-date").len() - before;
        assert_eq!(asked, 128, "some were asked twice");
    }
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_meanwhile_costs_a_new_one_and_no_answer() {
    let upstream = Upstream::start().await;
    let source = open(&upstream, "", ASSERTION);
    upstream.answers([say(200, SWAPPED)]);
    assert_eq!(sim(&source).await, "seen");
    for connections in 2..5 {
        upstream.hang_up().await;
        assert_eq!(sim(&source).await, "seen");
        assert_eq!(*upstream.script.connections.lock().unwrap(), connections);
    }
    assert_eq!(upstream.script.asked("/retrieve-date").len(), 4);
}
