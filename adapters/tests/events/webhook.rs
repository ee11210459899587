//! The webhook's server, as a producer meets it: good requests, bad ones, and slow ones.

use std::net::SocketAddr;
use std::sync::Arc;

use accord_adapters::events::webhook::sign;
use accord_adapters::source::{Condition, Source as _, SourceChange};
use accord_certs::{LeafOptions, Pki};
use accord_proto::clock::{Clock as _, SystemClock};
use accord_proto::observation::{Observed, SwapKind};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use jiff::{SignedDuration, Timestamp};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};
use tokio_rustls::TlsConnector;

use super::rig::{Running, event, heartbeat, number};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

struct Hook {
    running: Running,
    address: SocketAddr,
    dir: TempDir,
}

impl Hook {
    async fn start(more: &str) -> Self {
        Self::start_in(TempDir::new().unwrap(), more).await
    }

    async fn start_in(dir: TempDir, more: &str) -> Self {
        let webhook = Self::section(&dir, more);
        let running = Running::start(dir.path(), &webhook);
        Self::of(running, dir).await
    }

    fn section(dir: &TempDir, more: &str) -> String {
        let secret = dir.path().join("secret");
        std::fs::write(&secret, SECRET).unwrap();
        format!("webhook = {{ listen = \"127.0.0.1:0\", secret_file = {secret:?}{more} }}")
    }

    async fn of(running: Running, dir: TempDir) -> Self {
        let mut listening = running.source.listening();
        let listening = timeout(Duration::from_secs(30), listening.wait_for(Option::is_some));
        let address = listening.await.unwrap().unwrap().unwrap();
        Self {
            running,
            address,
            dir,
        }
    }

    /// Posts a body with these headers; the status.
    async fn post(&self, headers: &[(&str, String)], body: &[u8]) -> u16 {
        let mut request = format!(
            "POST /events HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        self.raw(&[request.as_bytes(), body].concat()).await
    }

    async fn raw(&self, bytes: &[u8]) -> u16 {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // Who refuses a body may close before it is sent.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let read = timeout(Duration::from_secs(30), stream.read_to_end(&mut answer));
        let _ = read.await.unwrap();
        status(&answer).unwrap_or(0)
    }

    async fn send(&self, id: &str, body: &str) -> u16 {
        let headers = sign(SECRET, id, SystemClock.now(), body.as_bytes()).unwrap();
        self.post(&headers, body.as_bytes()).await
    }
}

/// The status of an answer, if it is one.
fn status(answer: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(answer);
    text.split(' ').nth(1)?.parse().ok()
}

#[tokio::test]
async fn what_is_answered_with_204_is_on_the_disk() {
    let hook = Hook::start("").await;
    assert_eq!(hook.send("1", &heartbeat(60)).await, 204);
    let swap = event("2", "sim_swap", 1, 30, r#"{"kind":"replacement"}"#);
    assert_eq!(hook.send("2", &swap).await, 204);
    assert_eq!(
        hook.send("2", &swap).await,
        204,
        "again, as a producer does that heard nothing"
    );
    let kind = hook.running.swap(1).await.unwrap().kind;
    assert_eq!(kind, Some(SwapKind::Replacement));
    let both = format!("[{},{}]", heartbeat(1), event("3", "cease", 2, 5, "{}"));
    assert_eq!(hook.send("3", &both).await, 204);
    assert_eq!(hook.running.swap(2).await, Err(Reason::UnknownNumber));

    let Hook { running, dir, .. } = hook;
    running.stop().await;
    let journal = std::fs::read(dir.path().join("journal/events.journal")).unwrap();
    assert!(!journal.windows(10).any(|part| part == b"7700900001"));
    let again = Running::start(
        dir.path(),
        &format!(
            "webhook = {{ listen = \"127.0.0.1:0\", secret_file = {:?} }}",
            dir.path().join("secret")
        ),
    );
    assert_eq!(
        again.swap(1).await.unwrap().kind,
        Some(SwapKind::Replacement)
    );
}

#[tokio::test]
async fn a_number_that_the_journal_has_no_room_for_is_not_vouched_for() {
    let dir = TempDir::new().unwrap();
    let section = Hook::section(&dir, "");
    let section = format!("subscribers_max = 1\n{section}");
    let hook = Hook::of(Running::start(dir.path(), &section), dir).await;
    assert_eq!(hook.send("1", &heartbeat(60)).await, 204);
    assert_eq!(hook.send("2", &event("2", "cease", 1, 50, "{}")).await, 204);
    let since = async || hook.running.swap(2).await.unwrap().monitored_since;
    let before = since().await;
    let swap = event("3", "sim_swap", 2, 30, "{}");
    assert_eq!(hook.send("3", &swap).await, 503);
    assert_eq!(hook.running.condition(), Condition::Unusable);
    assert_eq!(hook.running.swap(2).await, Err(Reason::NotWatched));
    assert_eq!(hook.send("4", &heartbeat(10)).await, 204);
    let state = hook.running.source.state();
    assert_eq!(state.condition, Condition::Up);
    assert!(state.why.contains("events were lost"), "{}", state.why);
    assert!(state.why.contains("`subscribers_max`"), "{}", state.why);
    let restarted = since().await.unwrap() - before.unwrap();
    assert!(restarted.get_seconds() > 30, "{restarted}");
}

#[tokio::test]
async fn what_is_not_signed_just_now_and_whole_changes_nothing() {
    let hook = Hook::start("").await;
    let body = event("1", "sim_swap", 1, 5, "{}");
    let now = SystemClock.now();
    let good = |at: Timestamp| sign(SECRET, "1", at, body.as_bytes()).unwrap();
    let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for (headers, status) in [
        (Vec::new(), 401),
        (
            sign(other, "1", now, body.as_bytes()).unwrap().to_vec(),
            401,
        ),
        (good(now - SignedDuration::from_secs(400)).to_vec(), 401),
        (good(now + SignedDuration::from_secs(400)).to_vec(), 401),
        (good(now)[..2].to_vec(), 401),
    ] {
        assert_eq!(hook.post(&headers, body.as_bytes()).await, status);
    }
    // Signed, and another body.
    assert_eq!(hook.post(&good(now), &body.as_bytes()[1..]).await, 401);
    for (body, status) in [
        ("", 400),
        ("[", 400),
        ("{}", 400),
        (&event("1", "sim_swap", 1, -3_600, "{}"), 400),
        (
            &event("1", "forward_set", 1, 5, r#"{"target":"+447700900002"}"#),
            400,
        ),
        ("\u{0}\u{1}", 400),
        // A clock that was never set, and a producer that nobody declared.
        (
            r#"{"id":"1","source":"crm","type":"heartbeat","time":"0001-01-01T00:00:00Z"}"#,
            400,
        ),
        (&heartbeat(1).replace("\"crm\"", "\"shop\""), 400),
    ] {
        assert_eq!(hook.send("1", body).await, status, "{body}");
    }
    // ISO-8859-1 is no JSON.
    let latin = b"{\"id\":\"\xe9\"}";
    let headers = sign(SECRET, "1", now, latin).unwrap();
    assert_eq!(hook.post(&headers, latin).await, 400);
    // Ten times what is allowed, which is not read to its end.
    let large = vec![b' '; 10 * 4 * 1_048_576];
    let headers = sign(SECRET, "1", now, &large).unwrap();
    assert!(matches!(hook.post(&headers, &large).await, 413 | 0));
    assert_eq!(
        hook.raw(b"GET /events HTTP/1.1\r\nconnection: close\r\n\r\n")
            .await,
        405
    );
    assert_eq!(
        hook.raw(b"POST /other HTTP/1.1\r\nconnection: close\r\n\r\n")
            .await,
        404
    );
    assert_eq!(
        hook.running.swap(1).await,
        Err(Reason::NotWatched),
        "none of it counts"
    );
    assert_eq!(hook.send("9", &body).await, 204, "and the next one does");
}

/// Shakes hands as a producer that believes these roots; then posts a heartbeat.
async fn post_by_tls(hook: &Hook, roots: &Pki) -> Option<u16> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut store = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(roots.certificate_pem().as_bytes()).unwrap();
    store.add(root).unwrap();
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(store)
        .with_no_client_auth();
    let tcp = TcpStream::connect(hook.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, tcp).await.ok()?;
    let body = heartbeat(1);
    let mut request = format!(
        "POST /events HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in sign(SECRET, "1", SystemClock.now(), body.as_bytes()).unwrap() {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("\r\n{body}"));
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(Duration::from_secs(30), stream.read_to_end(&mut answer));
    // Who closes without a word of TLS has answered nevertheless.
    let _ = read.await.unwrap();
    status(&answer)
}

#[tokio::test]
async fn over_tls_events_are_taken_from_who_believes_its_certificate_and_none_in_clear() {
    let now = SystemClock.now();
    let ours = Pki::new("accord.test", now).unwrap();
    let theirs = Pki::new("accord.test", now).unwrap();
    let leaf = ours
        .issue("broker", "webhook", &LeafOptions::at(now))
        .unwrap();
    let files = TempDir::new().unwrap();
    let (certificate, key) = (files.path().join("hook.pem"), files.path().join("hook.key"));
    std::fs::write(&certificate, leaf.certificate_pem()).unwrap();
    std::fs::write(&key, leaf.key_pem()).unwrap();
    let hook = Hook::start(&format!(", certificate = {certificate:?}, key = {key:?}")).await;
    assert_eq!(post_by_tls(&hook, &theirs).await, None, "another root");
    assert_eq!(hook.send("1", &heartbeat(1)).await, 0, "in clear");
    assert_eq!(hook.running.swap(1).await, Err(Reason::NotWatched));
    assert_eq!(post_by_tls(&hook, &ours).await, Some(204));
    assert!(hook.running.swap(1).await.is_ok());
}

#[tokio::test]
async fn what_may_not_have_been_pushed_is_pushed_when_it_comes_again() {
    let mut hook = Hook::start("").await;
    assert_eq!(hook.send("1", &heartbeat(60)).await, 204);
    let swap = event("2", "sim_swap", 1, 5, "{}");
    assert_eq!(hook.send("2", &swap).await, 204);
    let pushed = hook.running.changes.try_recv().unwrap();
    assert!(pushed.msisdn == number(1));
    assert_eq!(hook.send("2", &swap).await, 204);
    assert!(hook.running.changes.try_recv().is_err(), "it is no news");
    let Hook { running, dir, .. } = hook;
    running.stop().await;
    // Whoever ended between the disk and the push can't know, and neither can the producer.
    let mut hook = Hook::start_in(dir, "").await;
    assert_eq!(hook.send("2", &swap).await, 204);
    let again = hook.running.changes.try_recv().unwrap();
    assert!(again.msisdn == number(1));
    let what = |pushed: SourceChange| pushed.observation.unwrap().what;
    assert_eq!(what(again), what(pushed));
}

/// What is pushed next: of which signals an observation, and of which none holds any more.
fn pushed(hook: &mut Hook) -> (Vec<Signal>, Vec<Signal>) {
    let (mut told, mut withdrawn) = (Vec::new(), Vec::new());
    while let Ok(change) = hook.running.changes.try_recv() {
        assert!(change.msisdn == number(1));
        match change.observation {
            Some(_) => told.push(change.signal),
            None => withdrawn.push(change.signal),
        }
    }
    (told, withdrawn)
}

#[tokio::test]
async fn a_subscription_that_ends_takes_back_what_was_pushed_and_one_that_begins_what_was_anothers()
{
    let mut hook = Hook::start("").await;
    assert_eq!(hook.send("1", &heartbeat(60)).await, 204);
    let swap = event("2", "sim_swap", 1, 50, "{}");
    assert_eq!(hook.send("2", &swap).await, 204);
    assert_eq!(pushed(&mut hook), (vec![Signal::SimSwap], vec![]));
    let device = event("2a", "device_change", 1, 45, "{}");
    assert_eq!(hook.send("2a", &device).await, 204);
    assert_eq!(pushed(&mut hook), (vec![Signal::DeviceSwap], vec![]));
    let all = Signal::ALL.to_vec();
    let anothers = vec![
        Signal::DeviceSwap,
        Signal::CallForwarding,
        Signal::Roaming,
        Signal::SignallingAnomaly,
    ];
    let begun = vec![Signal::SimSwap, Signal::NumberRecycling, Signal::Tenure];
    for (id, kind, ago, told, withdrawn) in [
        ("3", "cease", 40, vec![], all.clone()),
        ("4", "activate", 30, begun.clone(), anothers.clone()),
        ("5", "port_out", 20, vec![], all),
        // Of a number that left nothing is told that may still be said of it.
        ("6", "sim_swap", 25, vec![], vec![Signal::SimSwap]),
        ("7", "port_in", 10, begun, anothers),
    ] {
        let event = event(id, kind, 1, ago, "{}");
        assert_eq!(hook.send(id, &event).await, 204);
        assert_eq!(pushed(&mut hook), (told, withdrawn), "{kind}");
    }
    // And who asks then is told of the line that is there, and of no other.
    let told = hook.running.ask(1, Signal::DeviceSwap).await.unwrap();
    let Observed::Change(told) = told.what else {
        panic!("no change");
    };
    assert_eq!(told.changed_in, None);
    let port = hook.running.swap(1).await.unwrap().changed_in.unwrap();
    assert_eq!(told.monitored_since, Some(port.before()));
}

#[tokio::test]
async fn a_line_that_begins_takes_back_what_its_producer_does_not_carry() {
    let begun = [Signal::SimSwap, Signal::NumberRecycling, Signal::Tenure];
    for (carried, told) in [
        ("swaps", vec![Signal::SimSwap]),
        ("holders", vec![Signal::NumberRecycling, Signal::Tenure]),
        ("devices", vec![]),
    ] {
        let dir = TempDir::new().unwrap();
        let webhook = Hook::section(&dir, "");
        let running = Running::carrying(dir.path(), &[carried], &webhook);
        let mut hook = Hook::of(running, dir).await;
        assert_eq!(hook.send("1", &heartbeat(60)).await, 204);
        for (id, kind, ago) in [("2", "activate", 30), ("3", "port_in", 10)] {
            let event = event(id, kind, 1, ago, "{}");
            assert_eq!(hook.send(id, &event).await, 204);
            let (now_told, withdrawn) = pushed(&mut hook);
            assert_eq!(now_told, told, "{carried} {kind}");
            // Another source may have said it of the holder before.
            let not_told = begun.iter().filter(|signal| !told.contains(signal));
            for signal in not_told {
                assert!(withdrawn.contains(signal), "{carried} {kind}: {signal}");
            }
        }
    }
}

#[tokio::test]
async fn who_sends_slowly_or_too_often_keeps_nobody_out() {
    let hook = Hook::start(", connections_max = 3, requests_per_second = 5").await;
    // Two that send a byte and no more hold two of three connections.
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(hook.address).await.unwrap();
        stream
            .write_all(b"POST /events HTTP/1.1\r\ncontent-length: 5\r\n")
            .await
            .unwrap();
        slow.push(stream);
    }
    assert_eq!(hook.send("1", &heartbeat(1)).await, 204);
    let mut refused = 0;
    for _ in 0..50 {
        refused += u32::from(hook.send("1", &heartbeat(1)).await == 429);
    }
    assert!(refused > 0);
    // The slow ones are sent away when their time is over.
    for mut stream in slow {
        let mut rest = Vec::new();
        let ended = timeout(Duration::from_secs(40), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "it is held for ever");
    }
}
