//! What is lost of a stream, and what is told of it then.

use accord_adapters::events::envelope::EVENT_BYTES_MAX;
use accord_adapters::source::{Condition, Source as _};
use accord_adapters::way::{Manner, Way};
use accord_proto::clock::{Clock as _, SystemClock};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;

use super::rig::{Running, event, heartbeat, wait_until};
use super::stream::Rig;

#[tokio::test]
#[ignore = "needs nats-server"]
async fn what_is_lost_begins_the_watch_again() {
    let rig = Rig::start().await;
    let running = rig.source("gap_max_ms = 600000000");
    rig.publish(heartbeat(5_000)).await;
    rig.publish(event("1", "sim_swap", 1, 4_000, "{}")).await;
    wait_until("the swap", || running.swapped(1)).await;
    let first = running.swap(9).await.unwrap().monitored_since.unwrap();

    // A message that is no event may have been about anybody.
    for (broken, minutes) in [("{\"id\":", 50), ("\u{feff}", 40)] {
        rig.publish(broken.to_owned()).await;
        rig.publish(heartbeat(minutes * 60)).await;
        wait_until("the watch to begin again", || async {
            let age = running
                .swap(9)
                .await
                .ok()
                .and_then(|change| change.monitored_since);
            age.is_some_and(|since| {
                let ago = SystemClock.now().duration_since(since).as_secs();
                since > first && (ago / 60 - minutes).abs() <= 1
            })
        })
        .await;
    }
    // The swap of before is the last one or is not: somewhere in between.
    let within = running.swap(1).await.unwrap().changed_in.unwrap();
    assert!(within.after() < within.before());
    running.stop().await;

    // Messages that the stream drops before they are read.
    rig.producer.delete_stream().await.unwrap();
    rig.producer.make_stream(2).await.unwrap();
    let running = rig.source("gap_max_ms = 600000000");
    rig.publish(heartbeat(600)).await;
    wait_until("the watch to begin again", || async {
        running.swap(9).await.is_ok_and(|change| {
            let since = change.monitored_since.unwrap();
            SystemClock.now().duration_since(since).as_secs() < 700
        })
    })
    .await;
    running.stop().await;
    for minute in [9, 8, 7, 6, 5] {
        rig.publish(heartbeat(minute * 60)).await;
    }
    let running = rig.source("gap_max_ms = 600000000");
    wait_until("the watch to begin again", || async {
        running.swap(9).await.is_ok_and(|change| {
            let since = change.monitored_since.unwrap();
            SystemClock.now().duration_since(since).as_secs() < 400
        })
    })
    .await;
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn what_a_broken_connection_or_another_reader_swallows_is_read_again() {
    let rig = Rig::start().await;
    let way = Way::to(rig.server.port()).await.unwrap();
    let running = rig.source_by(&format!("nats://127.0.0.1:{}", way.port()), "");
    let tell = async |last: u16| {
        let id = last.to_string();
        rig.publish(event(&id, "sim_swap", last, 0, "{}")).await;
    };
    rig.publish(heartbeat(60)).await;
    tell(1).await;
    wait_until("the first swap", || running.swapped(1)).await;
    way.be(Manner::Loses);
    for last in 2..12 {
        tell(last).await;
    }
    // The server has sent all, and waits for its acknowledgement.
    wait_until("the swaps to be on their way", || async {
        let consumer = rig.producer.consumer("accord-adapter").await;
        consumer.is_ok_and(|of| of.num_ack_pending == 10)
    })
    .await;
    way.cut();
    for last in 2..12 {
        wait_until("what was swallowed", || running.swapped(last)).await;
    }

    let thief = rig.producer.clone();
    let stealing = tokio::spawn(async move { thief.steal("accord-adapter").await });
    let mut told = 12..200;
    while !stealing.is_finished() {
        tell(told.next().unwrap()).await;
    }
    assert_eq!(stealing.await.unwrap().unwrap(), 1);
    // What comes behind it shows that one is missing.
    tell(told.next().unwrap()).await;
    for last in 12..told.start {
        wait_until("what was stolen", || running.swapped(last)).await;
    }
}

/// How many minutes ago the watch began; `None`: it did not.
async fn watched_for(running: &Running) -> Option<i64> {
    let since = running.swap(9).await.ok()?.monitored_since?;
    Some((SystemClock.now().duration_since(since).as_secs() + 30) / 60)
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn the_watch_begins_behind_what_is_lost_in_the_middle_of_a_backlog() {
    let rig = Rig::start().await;
    // All of it comes in one batch, and the broken one may have been a swap of forty minutes ago.
    for (minutes, broken) in [
        (60, false),
        (50, false),
        (40, true),
        (30, false),
        (20, false),
    ] {
        let event = heartbeat(minutes * 60);
        rig.publish(if broken { "{".to_owned() } else { event })
            .await;
    }
    let running = rig.source("gap_max_ms = 600000000");
    wait_until("the watch", || async {
        let told = running.ask(9, Signal::SimSwap).await.ok();
        let age = told.map(|told| SystemClock.now().duration_since(told.observed_at).as_secs());
        age.is_some_and(|age| age / 60 <= 20)
    })
    .await;
    assert_eq!(watched_for(&running).await, Some(30));
    // Nothing that was heard before begins it again, however late it comes once more.
    rig.publish("{".to_owned()).await;
    wait_until("the loss", || async {
        watched_for(&running).await.is_none()
    })
    .await;
    rig.publish(event("again", "sim_swap", 1, 30 * 60, "{}"))
        .await;
    rig.publish(heartbeat(10 * 60)).await;
    wait_until("the watch", || async {
        watched_for(&running).await.is_some()
    })
    .await;
    assert_eq!(watched_for(&running).await, Some(10));
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn an_event_that_can_not_be_or_of_nobody_declared_is_lost_and_not_ignored() {
    let rig = Rig::start().await;
    let running = rig.source("gap_max_ms = 600000000");
    let unset = event("1", "sim_swap", 1, 0, "{}");
    let at = unset.split("\"time\":\"").nth(1).unwrap();
    let at = at.split('"').next().unwrap().to_owned();
    let stranger = |event: String| event.replace("\"crm\"", "\"shop\"");
    for (event, minutes) in [
        (unset.replace(&at, "0001-01-01T00:00:00Z"), 50),
        (stranger(event("2", "sim_swap", 1, 0, "{}")), 30),
    ] {
        rig.publish(heartbeat((minutes + 5) * 60)).await;
        wait_until("the watch", || async {
            watched_for(&running).await.is_some()
        })
        .await;
        rig.publish(event).await;
        wait_until("the loss", || async {
            watched_for(&running).await.is_none()
        })
        .await;
        rig.publish(heartbeat(minutes * 60)).await;
        wait_until("the watch", || async {
            watched_for(&running).await == Some(minutes)
        })
        .await;
    }
    // That a stranger lives is nobody's word, and no loss either.
    rig.publish(stranger(heartbeat(60))).await;
    rig.publish(event("3", "sim_swap", 2, 20 * 60, "{}")).await;
    wait_until("the swap", || running.swapped(2)).await;
    let told = running.ask(9, Signal::SimSwap).await.unwrap().observed_at;
    let age = SystemClock.now().duration_since(told).as_secs();
    assert!((19 * 60..21 * 60).contains(&age), "{age}");
    assert_eq!(watched_for(&running).await, Some(30));
}

/// Swaps of a subscriber, each with one thing that makes it unreadable, and what the operator is told of it.
fn unreadable() -> [(Vec<u8>, &'static str); 5] {
    let swap = |seconds_ago| event("1", "sim_swap", 1, seconds_ago, "{}");
    let good = swap(0);
    let latin = good.replace("\"id\":\"1\"", "\"id\":\"~\"").into_bytes();
    let latin = latin
        .iter()
        .map(|byte| if *byte == b'~' { 0xe9 } else { *byte });
    let padded = format!("{good:EVENT_BYTES_MAX$} ");
    [
        (latin.collect(), "no JSON object"),
        (padded.into_bytes(), "more than 16384 bytes"),
        (swap(-3_600).into_bytes(), "in the future"),
        (format!("\u{feff}{good}").into_bytes(), "no JSON object"),
        (
            good.trim_end_matches('}').as_bytes().to_vec(),
            "no JSON object",
        ),
    ]
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn what_can_not_be_read_is_shown_to_the_operator_until_all_is_watched_and_after_that() {
    let rig = Rig::start().await;
    let old = "gap_max_ms = 600000000\nheartbeat_max_ms = 86400000";
    let running = rig.source(old);
    rig.publish(heartbeat(90 * 60)).await;
    wait_until("the watch", || async {
        watched_for(&running).await == Some(90)
    })
    .await;
    let state = running.source.state();
    assert_eq!((state.condition, &*state.why), (Condition::Up, ""));
    for (nth, (bytes, words)) in (1..).zip(unreadable()) {
        rig.publish(bytes).await;
        wait_until("the loss", || async {
            watched_for(&running).await.is_none()
        })
        .await;
        // No *no* that reaches back to before it, and none of what stood in it.
        assert_eq!(running.swap(1).await, Err(Reason::NotWatched), "{words}");
        let message = format!("message {} of the stream", 2 * nth);
        let shown = |condition| {
            let state = running.source.state();
            assert_eq!(state.condition, condition, "{words}: {}", state.why);
            assert!(state.why.contains(words), "{words}: {}", state.why);
            assert!(state.why.contains(&message), "{}", state.why);
            assert!(!state.why.contains("7700900"), "{}", state.why);
            assert_eq!(state.lost, Some(nth));
        };
        shown(Condition::Behind);
        let minutes = 90 - 10 * i64::try_from(nth).unwrap();
        rig.publish(heartbeat(minutes * 60)).await;
        wait_until("the watch", || async {
            watched_for(&running).await == Some(minutes)
        })
        .await;
        assert_eq!(running.swap(1).await.unwrap().changed_in, None, "{words}");
        shown(Condition::Up);
    }
    // And what can be read is taken as before.
    rig.publish(event("2", "sim_swap", 1, 60, "{}")).await;
    wait_until("the swap", || running.swapped(1)).await;

    // A restart forgets the words, and not that something was lost.
    rig.publish("{").await;
    wait_until("the loss", || async {
        watched_for(&running).await.is_none()
    })
    .await;
    // It was heard before, and begins nothing; with it the place behind the loss is kept.
    rig.publish(heartbeat(60 * 60)).await;
    wait_until("all to be taken", || async {
        let consumer = rig.producer.consumer("accord-adapter").await;
        consumer.is_ok_and(|of| of.num_ack_pending == 0 && of.num_pending == 0)
    })
    .await;
    running.stop().await;
    let running = rig.source(old);
    running.wait_condition(Condition::Behind).await;
    let state = running.source.state();
    assert!(
        state.why.contains("not all that `crm` carries"),
        "{state:?}"
    );
    rig.publish(heartbeat(30)).await;
    running.wait_condition(Condition::Up).await;
    assert_eq!(running.source.state().why, "");
}
