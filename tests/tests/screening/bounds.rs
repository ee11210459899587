//! Memory on both sides: what is not read stops what is sent.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use accord_client::{Lookup, Scope};
use accord_proto::purpose::Purpose;
use accord_tests::world::{WorldSpec, wait_until};

use super::{
    access_count, collect,
    raw::{Raw, line, token},
    settled, start,
};

/// Far more than fits between the two sides.
const LINES: u32 = 20_000;
/// Answers in the smallest window of HTTP/2, with room for how hyper sends: a frame at a time.
const UNREAD_MAX: usize = 65_535 / 150 + 64;

#[tokio::test]
async fn a_client_that_reads_nothing_is_read_from_no_more() {
    let spec = WorldSpec::default()
        .limit("screen_in_flight_max", 4)
        .limit("bank_per_second", 100_000);
    let agreement = spec
        .agreement
        .replace("per_second = 200", "per_second = 100000");
    let (_dir, world) = start(WorldSpec { agreement, ..spec }).await;
    let token = token(&world, "first-bank", 240);
    let stream = Raw::open(&world, "first-bank", &token).await.unwrap();
    assert_eq!(stream.welcome.in_flight_max, 4);
    let sent = Arc::new(AtomicUsize::new(0));
    let sending = tokio::spawn({
        let (sent, lines) = (Arc::clone(&sent), stream.lines.clone());
        async move {
            for at in 0..LINES {
                let message = line(&at.to_string(), 100 + at % 900);
                let message = super::raw::message(message);
                lines.send(message).await.unwrap();
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    settled(|| world.broker.ledger().size().try_into().unwrap()).await;
    let asked = access_count(&world);
    let sent_unread = sent.load(Ordering::Relaxed);
    assert!(asked > 4, "what fits was answered");
    assert!(
        asked < UNREAD_MAX,
        "{asked} lines were answered, and nobody read"
    );
    assert!(sent_unread < LINES as usize, "the broker reads on");

    // Once the client reads, everything goes on from there.
    let mut stream = stream;
    let mut seen = vec![false; LINES as usize];
    for _ in 0..LINES {
        let told = stream.next().await.unwrap();
        let at: usize = told.id().parse().unwrap();
        assert!(told.answer().receipt.is_some());
        assert!(!std::mem::replace(&mut seen[at], true), "line {at} twice");
    }
    sending.await.unwrap();
    assert_eq!(access_count(&world), LINES as usize);
}

#[tokio::test]
async fn the_client_takes_no_more_lines_than_its_caller_takes_results() {
    let spec = WorldSpec::default().limit("screen_in_flight_max", 4);
    let (_dir, world) = start(spec).await;
    let client = world.client("first-bank").unwrap();
    let taken = Arc::new(AtomicUsize::new(0));
    let lines = (100..400).map({
        let taken = Arc::clone(&taken);
        move |number| {
            taken.fetch_add(1, Ordering::Relaxed);
            let number_text = format!("+447700900{number:03}");
            (
                number,
                Lookup::about(number_text, Purpose::Payment).roaming(),
            )
        }
    });
    let scope = Scope::new([Purpose::Payment]);
    let mut results = client.screen(scope, tokio_stream::iter(lines));
    let unread = settled(|| taken.load(Ordering::Relaxed)).await;
    // The window, the results that wait for the caller, and the one between the two.
    assert!(unread <= 4 + 64 + 1, "{unread} lines were taken");
    assert!(unread > 4);
    let collected = collect(&mut results, usize::MAX).await;
    assert_eq!(collected.len(), 300);
    assert!(collected.values().all(|result| result.outcome.is_ok()));
}

#[tokio::test]
async fn lines_that_wait_for_their_turn_leave_room_for_single_questions() {
    let spec = WorldSpec::default()
        .limit("questions_in_flight_max", 8)
        .limit("screen_in_flight_max", 64);
    // Roaming is told once a second, so that a screening fills whatever it may.
    let (before, clause) = spec.agreement.split_once("id = \"3.4\"").unwrap();
    let clause = clause.replacen("per_second = 200", "per_second = 1", 1);
    let agreement = format!("{before}id = \"3.4\"{clause}");
    let (_dir, world) = start(WorldSpec { agreement, ..spec }).await;
    let token = token(&world, "first-bank", 240);
    let stream = Raw::open(&world, "first-bank", &token).await.unwrap();
    for number in 100..164 {
        stream.send(line(&number.to_string(), number)).await;
    }
    wait_until("a line to be answered", || async {
        access_count(&world) > 0
    })
    .await
    .unwrap();
    let client = world.client("first-bank").unwrap();
    for number in 200..220 {
        let lookup = Lookup::about(format!("+447700900{number}"), Purpose::Payment).sim_swap();
        client.lookup(lookup).await.unwrap();
    }
    assert!(
        access_count(&world) < 20 + 64,
        "lines still wait, or nothing was shown"
    );
}
