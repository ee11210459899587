//! Several peers, and the watch over one.

use std::sync::Arc;
use std::time::Duration;

use accord_adapters::diameter::node::Node;
use accord_adapters::diameter::peer::{Cause, Peer, PeerSettings, PeerState};
use accord_adapters::diameter::watchdog::Trust;
use accord_proto::clock::SystemClock;
use accord_proto::reason::Reason;
use tokio::sync::{Notify, mpsc, watch};

use crate::fake::{Fake, Mood};
use crate::support::{self, OLD, peer, swap};

async fn two(first: Mood, second: Mood) -> [Fake; 2] {
    let fakes = [Fake::start(first).await, Fake::start(second).await];
    for fake in &fakes {
        fake.imsi(1, OLD);
    }
    fakes
}

async fn source(
    [first, second]: &[Fake; 2],
    priority: u8,
) -> (
    Arc<accord_adapters::diameter::DiameterSh>,
    tempfile::TempDir,
) {
    let (dir, path) = support::folder();
    let sections = format!(
        "{}{}priority = {priority}\n",
        peer(first.address()),
        peer(second.address())
    );
    let source = support::open(&path, SystemClock::shared(), "", &sections);
    source.ready(support::WAIT_MAX).await.unwrap();
    let open = |state| matches!(state, PeerState::Open(_));
    let all = |peers: &accord_adapters::diameter::peers::Peers| {
        peers.iter().all(|peer| open(peer.state()))
    };
    let deadline = tokio::time::Instant::now() + support::WAIT_MAX;
    assert!(source.peers().until(deadline, all).await, "{source:?}");
    (source, dir)
}

fn questions(fakes: &[Fake; 2]) -> [usize; 2] {
    [0, 1].map(|place| fakes[place].seen(|seen| seen.questions))
}

#[tokio::test]
async fn equal_peers_are_asked_in_turn() {
    let fakes = two(Mood::Serve, Mood::Serve).await;
    let (source, _dir) = source(&fakes, 0).await;
    for _ in 0..4 {
        swap(&source, 1).await.unwrap();
    }
    assert_eq!(questions(&fakes), [2, 2]);
}

#[tokio::test]
async fn a_peer_of_lower_rank_is_asked_when_the_first_is_gone() {
    let fakes = two(Mood::Serve, Mood::Serve).await;
    let (source, _dir) = source(&fakes, 1).await;
    swap(&source, 1).await.unwrap();
    assert_eq!(questions(&fakes), [1, 0]);
    fakes[0].be(Mood::HangUp);
    swap(&source, 1).await.unwrap();
    assert_eq!(questions(&fakes), [2, 1]);
    let again = fakes[1].seen(|seen| seen.retransmitted);
    assert_eq!(again, 1, "it may have been sent before, and says so");
}

#[tokio::test]
async fn a_busy_peer_sends_the_question_to_the_next() {
    for busy in [3_004, 3_002] {
        let fakes = two(Mood::Result(busy), Mood::Serve).await;
        let (source, _dir) = source(&fakes, 1).await;
        assert!(swap(&source, 1).await.is_ok());
        assert_eq!(questions(&fakes), [1, 1]);
        fakes[1].be(Mood::Result(busy));
        let reason = if busy == 3_004 {
            Reason::Overloaded
        } else {
            Reason::SourceDown
        };
        assert_eq!(swap(&source, 1).await, Err(reason));
    }
}

#[tokio::test]
async fn a_peer_that_says_nothing_has_half_the_time() {
    let fakes = two(Mood::Silent, Mood::Serve).await;
    let (source, _dir) = source(&fakes, 1).await;
    assert!(swap(&source, 1).await.is_ok());
    assert_eq!(questions(&fakes), [1, 1]);
}

#[tokio::test]
async fn an_unknown_subscriber_is_not_looked_for_elsewhere() {
    let fakes = two(Mood::Serve, Mood::Serve).await;
    let (source, _dir) = source(&fakes, 1).await;
    assert_eq!(swap(&source, 2).await, Err(Reason::UnknownNumber));
    assert_eq!(questions(&fakes), [1, 0]);
}

#[tokio::test]
async fn a_source_that_ends_says_goodbye() {
    let fake = Fake::start(Mood::Serve).await;
    let (_dir, path) = support::folder();
    let source = support::open(&path, SystemClock::shared(), "", &peer(fake.address()));
    source.ready(support::WAIT_MAX).await.unwrap();
    drop(source);
    support::eventually("a goodbye", async || fake.seen(|seen| seen.goodbyes) == 1).await;
}

/// A peer whose watchdog is faster than any configuration may say.
fn watched(fake: &Fake) -> (Arc<Peer>, watch::Sender<bool>, Arc<Notify>) {
    let settings = PeerSettings {
        address: fake.address().to_owned(),
        host: None,
        priority: 0,
        tls: None,
        message_bytes_max: 65_536,
        in_flight_max: 16,
        connect_max: Duration::from_secs(5),
        watchdog: Duration::from_millis(60),
        reconnect_max: Duration::from_millis(200),
    };
    let node = Node {
        host: "as.example".to_owned(),
        realm: "example".to_owned(),
    };
    let changed = Arc::new(Notify::new());
    let peer = Arc::new(Peer::new(settings, Arc::new(node), Arc::clone(&changed)));
    let (stop, stopping) = watch::channel(false);
    let (pushed, _) = mpsc::channel(1);
    tokio::spawn(Arc::clone(&peer).run(stopping, pushed));
    (peer, stop, changed)
}

#[tokio::test]
async fn an_idle_peer_is_watched_and_stays_open() {
    let fake = Fake::start(Mood::Serve).await;
    let (peer, _stop, _changed) = watched(&fake);
    support::eventually("watchdogs", async || fake.seen(|seen| seen.watchdogs) > 5).await;
    assert_eq!(peer.state(), PeerState::Open(Trust::Okay));
    assert_eq!(fake.seen(|seen| seen.connections), 1);
}

#[tokio::test]
async fn a_peer_whose_watchdogs_expire_is_closed_and_trusted_again_after_three() {
    let fake = Fake::start(Mood::Dead).await;
    let (peer, stop, changed) = watched(&fake);
    let states = until_expired(&peer, &changed).await;
    assert!(
        states.contains(&PeerState::Open(Trust::Suspect)),
        "{states:?}"
    );
    fake.be(Mood::Serve);
    let reopened = async || peer.state() == PeerState::Open(Trust::Reopen);
    support::eventually("reopened", reopened).await;
    support::eventually("trusted", async || {
        peer.state() == PeerState::Open(Trust::Okay)
    })
    .await;
    stop.send_replace(true);
    support::eventually("a goodbye", async || fake.seen(|seen| seen.goodbyes) == 1).await;
    assert_eq!(peer.state(), PeerState::Closed(Cause::Stopped));
}

#[tokio::test]
async fn a_trickle_of_bytes_is_no_sign_of_life() {
    let fake = Fake::start(Mood::Trickle).await;
    let (peer, _stop, changed) = watched(&fake);
    until_expired(&peer, &changed).await;
}

/// Waits until the watchdog closes the connection, and gives the states on the way.
async fn until_expired(peer: &Peer, changed: &Notify) -> Vec<PeerState> {
    let mut states = Vec::new();
    while states.last() != Some(&PeerState::Closed(Cause::WatchdogExpired)) {
        let next = changed.notified();
        let state = peer.state();
        if states.last() == Some(&state) {
            tokio::time::timeout(support::WAIT_MAX, next).await.unwrap();
        } else {
            states.push(state);
        }
    }
    states
}
