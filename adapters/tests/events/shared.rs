//! Two adapters of one operator, and others who read by an adapter's consumer: nobody takes for nothing
//! what somebody else was given.

use std::time::Duration;

use accord_adapters::source::{Condition, Source as _};
use accord_proto::reason::Reason;
use futures_util::StreamExt as _;
use tempfile::TempDir;

use super::rig::{Running, event, heartbeat, wait_until};
use super::stream::Rig;

/// Whether it knows that these numbers were swapped.
async fn knows(running: &Running, numbers: std::ops::Range<u16>) -> bool {
    for last in numbers {
        if !running.swapped(last).await {
            return false;
        }
    }
    true
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn a_second_adapter_with_the_same_consumer_is_refused_and_takes_nothing_from_the_first() {
    let rig = Rig::start().await;
    let first = rig.source("");
    rig.publish(heartbeat(100)).await;
    wait_until("the first to read", || async {
        first.swap(99).await.is_ok()
    })
    .await;
    let own = TempDir::new().unwrap();
    let second = rig.source_in(own.path(), "accord-adapter");
    second.wait_condition(Condition::Unusable).await;
    let why = second.source.state().why;
    assert!(why.contains("another adapter"), "{why}");
    for last in 1..20 {
        rig.publish(event(&last.to_string(), "sim_swap", last, 50, "{}"))
            .await;
    }
    wait_until("the swaps", || knows(&first, 1..20)).await;
    assert_eq!(first.condition(), Condition::Up);
    // It was told nothing, so it says nothing.
    assert_eq!(second.swap(1).await, Err(Reason::NotWatched));
    // With the first one gone it reads, all of it.
    first.stop().await;
    wait_until("the second to know", || knows(&second, 1..20)).await;
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn two_adapters_with_consumers_of_their_own_are_each_told_all() {
    let rig = Rig::start().await;
    let own = TempDir::new().unwrap();
    let (first, second) = (
        rig.source(""),
        rig.source_in(own.path(), "accord-adapter-2"),
    );
    rig.publish(heartbeat(100)).await;
    for last in 1..20 {
        rig.publish(event(&last.to_string(), "sim_swap", last, 50, "{}"))
            .await;
    }
    for one in [&first, &second] {
        wait_until("the swaps", || knows(one, 1..20)).await;
    }
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn what_somebody_else_takes_by_the_adapters_consumer_is_read_all_the_same() {
    let rig = Rig::start().await;
    let running = rig.source("");
    rig.publish(heartbeat(100)).await;
    wait_until("the adapter to read", || async {
        running.swap(99).await.is_ok()
    })
    .await;
    // Somebody who may do everything reads along, and acknowledges what is not meant for him.
    let mut taken = 0;
    for first in (1..40).step_by(3) {
        // The adapter makes its consumer anew meanwhile.
        let thief = rig.producer.pull("accord-adapter").await;
        let fetching = async {
            let few = thief.as_ref().ok()?.fetch().max_messages(3);
            few.expires(Duration::from_millis(100))
                .messages()
                .await
                .ok()
        };
        let got = fetching.await;
        for last in first..first + 3 {
            rig.publish(event(&last.to_string(), "sim_swap", last, 50, "{}"))
                .await;
        }
        let Some(mut got) = got else { continue };
        while let Some(Ok(message)) = got.next().await {
            message.ack().await.unwrap();
            taken += 1;
        }
    }
    assert!(taken > 0, "nothing was taken from it");
    println!("{taken} of 39 events were taken by somebody else");
    rig.publish(heartbeat(0)).await;
    wait_until("all swaps", || knows(&running, 1..40)).await;
}
