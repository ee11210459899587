//! A stream of NATS JetStream.

use accord_adapters::events::testing::{PRODUCER, Producer, READER, RealNats};
use accord_adapters::source::{Condition, Source as _};
use accord_certs::{LeafOptions, Pki};
use accord_proto::clock::{Clock as _, SystemClock};
use accord_proto::observation::{AttackKind, Observed, SwapKind};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use async_nats::jetstream::consumer::AckPolicy;
use bytes::Bytes;
use tempfile::TempDir;

use super::rig::{Running, event, heartbeat, number, wait_until};

pub(crate) struct Rig {
    pub(crate) server: RealNats,
    pub(crate) producer: Producer,
    dir: TempDir,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("password"), READER.1).unwrap();
        let server = RealNats::start(dir.path(), None).await.unwrap();
        let producer = server.producer().await.unwrap();
        producer.make_stream(-1).await.unwrap();
        Self {
            server,
            producer,
            dir,
        }
    }

    pub(crate) async fn publish(&self, event: impl Into<Bytes>) {
        self.producer.publish(event).await.unwrap();
    }

    /// Another adapter, with a journal in this directory, who may do everything.
    pub(crate) fn source_in(&self, dir: &std::path::Path, durable: &str) -> Running {
        let (user, password) = PRODUCER;
        let file = dir.join("password");
        std::fs::write(&file, password).unwrap();
        let section = format!(
            "nats = {{ servers = [{:?}], stream = \"EVENTS\", durable = {durable:?}, \
             user = {user:?}, password_file = {file:?} }}",
            self.server.url(),
        );
        Running::start(dir, &section)
    }

    pub(crate) fn source(&self, more: &str) -> Running {
        self.source_by(&self.server.url(), more)
    }

    /// Of a server that is reached by another address.
    pub(crate) fn source_by(&self, url: &str, more: &str) -> Running {
        let (user, _) = READER;
        let section = format!(
            "nats = {{ servers = [{url:?}], stream = \"EVENTS\", user = {user:?}, \
             password_file = {:?} }}\n{more}",
            self.dir.path().join("password"),
        );
        Running::start(self.dir.path(), &section)
    }
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn events_are_taken_whatever_their_order_and_however_often_they_come() {
    let rig = Rig::start().await;
    let mut running = rig.source("");
    running.wait_condition(Condition::Behind).await;
    assert_eq!(
        running.swap(1).await,
        Err(Reason::NotWatched),
        "nothing was heard yet"
    );

    rig.publish(heartbeat(100)).await;
    let newer = event("2", "sim_swap", 1, 10, r#"{"kind":"replacement"}"#);
    let older = event("1", "sim_swap", 1, 50, r#"{"kind":"esim"}"#);
    for event in [&newer, &older, &newer, &older] {
        rig.publish(event.clone()).await;
    }
    rig.publish(event("3", "forward_cleared", 2, 40, "{}"))
        .await;
    let target = r#"{"condition":"unconditional","target":"another_number"}"#;
    rig.publish(event("4", "forward_set", 2, 30, target)).await;
    let alarm = r#"{"kind":"location_hijack","action":"passed"}"#;
    rig.publish(event("6", "signalling_alarm", 5, 30, alarm))
        .await;
    rig.publish(event("5", "port_out", 3, 20, "{}")).await;
    rig.publish(heartbeat(0)).await;
    wait_until("the port", || async {
        running.swap(3).await == Err(Reason::NotOurs)
    })
    .await;
    let change = running.swap(1).await.unwrap();
    assert_eq!(change.kind, Some(SwapKind::Replacement));
    let within = change.changed_in.unwrap();
    let ago = SystemClock.now().duration_since(within.before()).as_secs();
    assert!((9..40).contains(&ago), "{ago}");
    assert!(running.ask(2, Signal::CallForwarding).await.is_ok());
    let attacked = running.ask(5, Signal::SignallingAnomaly).await.unwrap();
    let Observed::Signalling(attacked) = attacked.what else {
        panic!("another signal");
    };
    assert!(attacked.passed_in.is_some());
    assert_eq!(attacked.kind, Some(AttackKind::LocationHijack));
    // Of whom nothing was told there was no change, since the watch began.
    let quiet = running.swap(4).await.unwrap();
    assert_eq!(quiet.changed_in, None);
    assert!(quiet.monitored_since.is_some());

    // Pushed once for each time that it was news.
    let pushed = running.changes.recv().await.unwrap();
    assert!(pushed.msisdn == number(1) && pushed.signal == Signal::SimSwap);
    let next = running.changes.recv().await.unwrap();
    assert!(
        next.msisdn == number(2),
        "the older swap and the duplicates are no news"
    );
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn what_was_taken_is_acknowledged_by_batches_and_of_a_work_queue_one_by_one() {
    let rig = Rig::start().await;
    let running = rig.source("");
    rig.publish(heartbeat(60)).await;
    for id in 0..40 {
        let told = event(&id.to_string(), "sim_swap", id, 50 - i64::from(id), "{}");
        rig.publish(told).await;
    }
    let consumer = async || rig.producer.consumer("accord-adapter").await;
    let acknowledged = async || consumer().await.is_ok_and(|of| of.num_ack_pending == 0);
    wait_until("all to be acknowledged", || async {
        running.swap(39).await.is_ok() && acknowledged().await
    })
    .await;
    let policy = consumer().await.unwrap().config.ack_policy;
    assert_eq!(policy, AckPolicy::All);
    running.stop().await;

    // A work queue keeps what is not acknowledged, and wants a word for each message.
    rig.producer.delete_stream().await.unwrap();
    rig.producer.make_work_queue().await.unwrap();
    for round in 0..2_u16 {
        let running = rig.source("");
        rig.publish(heartbeat(0)).await;
        let last = 50 + round;
        rig.publish(event("x", "sim_swap", last, 0, "{}")).await;
        wait_until("the queue to be empty", || async {
            running.swapped(last).await && rig.producer.messages().await.unwrap() == 0
        })
        .await;
        running.stop().await;
    }
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn what_comes_while_the_adapter_or_the_server_is_away_is_not_lost() {
    let mut rig = Rig::start().await;
    let running = rig.source("");
    rig.publish(heartbeat(60)).await;
    rig.publish(event("1", "sim_swap", 1, 50, "{}")).await;
    wait_until("the first swap", || async { running.swap(1).await.is_ok() }).await;
    let since = running.swap(9).await.unwrap().monitored_since;
    running.stop().await;
    rig.publish(event("2", "sim_swap", 2, 40, "{}")).await;

    let running = rig.source("");
    // What was known is known at once, and the rest comes.
    assert!(running.swapped(1).await);
    wait_until("the second swap", || running.swapped(2)).await;
    rig.server.stop().unwrap();
    running.wait_condition(Condition::Down).await;
    // It still answers, as of when it heard last.
    assert!(running.swap(1).await.is_ok());
    rig.server.restart().await.unwrap();
    rig.producer = rig.server.producer().await.unwrap();
    rig.publish(event("3", "sim_swap", 3, 30, "{}")).await;
    wait_until("the third swap", || running.swapped(3)).await;
    let still = running.swap(9).await.unwrap().monitored_since;
    assert_eq!(still, since, "there was no gap");
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn a_silent_stream_is_behind_and_vouches_no_longer() {
    let rig = Rig::start().await;
    let running = rig.source("heartbeat_max_ms = 2000\ngap_max_ms = 10000");
    rig.publish(heartbeat(0)).await;
    wait_until("the heartbeat", || async { running.swap(1).await.is_ok() }).await;
    let told = running.ask(1, Signal::SimSwap).await.unwrap();
    running.wait_condition(Condition::Behind).await;
    let later = running.ask(1, Signal::SimSwap).await.unwrap();
    assert_eq!(
        later.observed_at, told.observed_at,
        "time alone makes nothing fresh"
    );
    rig.publish(heartbeat(0)).await;
    running.wait_condition(Condition::Up).await;
    let fresh = running.ask(1, Signal::SimSwap).await.unwrap();
    assert!(fresh.observed_at > told.observed_at);
    // Other types and other subscribers say that the producer lives too.
    let before = fresh.observed_at;
    rig.publish(event("9", "tariff_change", 5, 0, "{}")).await;
    wait_until("the other event", || async {
        let told = running.ask(1, Signal::SimSwap).await.unwrap();
        told.observed_at > before
    })
    .await;
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn wrong_credentials_and_a_wrong_server_have_their_names() {
    let rig = Rig::start().await;
    let refused = |more: &str, password: &str| {
        std::fs::write(rig.dir.path().join("wrong"), password).unwrap();
        format!(
            "nats = {{ servers = [{:?}], user = \"accord\", password_file = {:?}, {more} }}",
            rig.server.url(),
            rig.dir.path().join("wrong"),
        )
    };
    for (more, password, condition) in [
        ("stream = \"EVENTS\"", "wrong", Condition::Refused),
        ("stream = \"OTHER\"", READER.1, Condition::Down),
    ] {
        let own = TempDir::new().unwrap();
        let running = Running::start(own.path(), &refused(more, password));
        wait_until("a name", || async {
            let state = running.source.state();
            // A subject that may not be used is never answered.
            state.condition == condition || state.condition == Condition::Unusable
        })
        .await;
        assert!(!running.source.state().why.contains("wrong"));
        assert_eq!(running.swap(1).await, Err(Reason::NotWatched));
    }

    // TLS: the right root, and another one of the same name.
    let now = SystemClock.now();
    let ours = Pki::new("accord.test", now).unwrap();
    let theirs = Pki::new("accord.test", now).unwrap();
    let leaf = ours
        .issue("broker", "accord", &LeafOptions::at(now))
        .unwrap();
    let dir = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let certificate = write("server.pem", leaf.certificate_pem());
    let key = write("server.key", leaf.key_pem());
    write("password", READER.1);
    let server = RealNats::start(dir.path(), Some((&certificate, &key)))
        .await
        .unwrap();
    for (roots, up) in [(&ours, true), (&theirs, false)] {
        let own = TempDir::new().unwrap();
        let root = own.path().join("roots.pem");
        std::fs::write(&root, roots.certificate_pem()).unwrap();
        let running = Running::start(
            own.path(),
            &format!(
                "nats = {{ servers = [\"tls://localhost:{}\"], stream = \"EVENTS\", roots = {root:?}, \
                 user = \"accord\", password_file = {:?} }}",
                server.port(),
                dir.path().join("password"),
            ),
        );
        if up {
            // There is no stream yet, which is found behind TLS only.
            running.wait_condition(Condition::Unusable).await;
        } else {
            running.wait_condition(Condition::Down).await;
        }
    }
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn a_server_that_wants_a_clients_certificate_lets_in_who_has_a_good_one() {
    let now = SystemClock.now();
    let (ours, theirs) = (
        Pki::new("accord.test", now).unwrap(),
        Pki::new("accord.test", now).unwrap(),
    );
    let options = LeafOptions::at(now);
    let leaf = ours.issue("broker", "accord", &options).unwrap();
    let dir = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let certificate = write("server.pem", leaf.certificate_pem());
    let key = write("server.key", leaf.key_pem());
    let roots = write("roots.pem", ours.certificate_pem());
    write("password", READER.1);
    let server = RealNats::start_strict(dir.path(), (&certificate, &key), &roots)
        .await
        .unwrap();
    for (pki, name, condition) in [
        // There is no stream yet, which is found behind TLS only.
        (Some(&ours), "good", Condition::Unusable),
        (Some(&theirs), "bad", Condition::Down),
        (None, "none", Condition::Down),
    ] {
        let own = pki.map_or_else(String::new, |pki| {
            let leaf = pki.issue("operator", "north-mobile", &options).unwrap();
            let certificate = write(&format!("{name}.pem"), leaf.certificate_pem());
            let key = write(&format!("{name}.key"), leaf.key_pem());
            format!("certificate = {certificate:?}, key = {key:?}, ")
        });
        let journal = TempDir::new().unwrap();
        let running = Running::start(
            journal.path(),
            &format!(
                "nats = {{ servers = [\"tls://localhost:{}\"], stream = \"EVENTS\", {own}\
                 roots = {roots:?}, user = \"accord\", password_file = {:?} }}",
                server.port(),
                dir.path().join("password"),
            ),
        );
        wait_until(name, || async {
            let state = running.source.state();
            assert!(
                matches!(state.condition, Condition::Starting) || state.condition == condition,
                "{name}: {state:?}"
            );
            state.condition == condition
        })
        .await;
    }
}
