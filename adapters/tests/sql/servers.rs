//! Servers that go, come back, hang, and speak TLS.

use std::sync::Arc;

use accord_certs::{LeafOptions, Pki};
use accord_proto::clock::{Clock as _, SystemClock};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;

use super::rig::{Rig, ask, wait_until};

const ONE: &str = "insert into subscription (msisdn, begun, begun_by, sim_at, sim_why)
    values ('447700900001', '2020-01-01', 'NEW', '2024-01-01', 'REPL')";

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_server_that_dies_in_the_middle_of_a_query_is_down_until_it_is_back() {
    let mut rig = Rig::start().await;
    rig.run(ONE).await;
    rig.run(
        "create function accord.slow(text) returns text language sql as
        $$ select $1 from pg_sleep(3600) $$",
    )
    .await;
    let slow = Arc::new(rig.source(
        "query = \"select * from accord.subscriber where msisdn = accord.slow($1)\"
request_timeout_ms = 20000",
    ));
    let source = rig.source("");
    assert!(ask(&source, 1, Signal::SimSwap).await.is_ok());
    let asking = Arc::clone(&slow);
    let asked = tokio::spawn(async move { ask(&asking, 1, Signal::SimSwap).await });
    wait_until("the query to run", || async {
        let rows = rig.admin.query(
            "select 1 from pg_stat_activity where state = 'active' and application_name = 'accord-adapter'",
            &[],
        );
        !rows.await.unwrap().is_empty()
    })
    .await;
    rig.server.crash().unwrap();
    // At once, not when its time is over.
    assert_eq!(asked.await.unwrap(), Err(Reason::SourceDown));
    assert_eq!(
        ask(&source, 1, Signal::SimSwap).await,
        Err(Reason::SourceDown)
    );
    let name = source.fault().unwrap().name();
    assert!(matches!(name, "gone" | "unreachable"), "{name}");

    rig.server.restart().await.unwrap();
    wait_until("the source to answer again", || async {
        ask(&source, 1, Signal::SimSwap).await.is_ok()
    })
    .await;
    assert_eq!(source.fault(), None);
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn sessions_that_ended_while_they_were_idle_cost_no_answer() {
    let mut rig = Rig::start().await;
    rig.run(ONE).await;
    let source = rig.source("connections = 2");
    let both = || async {
        let (one, other) = tokio::join!(
            ask(&source, 1, Signal::SimSwap),
            ask(&source, 1, Signal::SimSwap)
        );
        one.is_ok() && other.is_ok()
    };
    assert!(both().await);
    rig.server.crash().unwrap();
    rig.server.restart().await.unwrap();
    assert!(both().await, "each by a new connection");
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_server_that_hangs_costs_the_time_of_an_ask_and_nothing_grows() {
    let rig = Rig::start().await;
    rig.run(ONE).await;
    let source = rig.source("connections = 2\nrequest_timeout_ms = 300\nasks_max = 8");
    assert!(ask(&source, 1, Signal::SimSwap).await.is_ok());
    rig.server.freeze().unwrap();
    let mut asked = Vec::new();
    let source = Arc::new(source);
    for _ in 0..40 {
        let source = Arc::clone(&source);
        asked.push(tokio::spawn(async move {
            ask(&source, 1, Signal::SimSwap).await
        }));
    }
    let mut overloaded = 0;
    for one in asked {
        match one.await.unwrap() {
            Err(Reason::Overloaded) => overloaded += 1,
            told => assert_eq!(told, Err(Reason::Timeout)),
        }
    }
    assert_eq!(overloaded, 32, "no more than `asks_max` wait");
    rig.server.thaw().unwrap();
    wait_until("the source to answer again", || async {
        ask(&source, 1, Signal::SimSwap).await.is_ok()
    })
    .await;
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn only_the_server_that_the_roots_name_is_spoken_to() {
    let rig = Rig::start().await;
    rig.run(ONE).await;
    let now = SystemClock.now();
    let ours = Pki::new("accord.test", now).unwrap();
    let theirs = Pki::new("accord.test", now).unwrap();
    let leaf = ours
        .issue("broker", "accord", &LeafOptions::at(now))
        .unwrap();
    let write = |name: &str, text: &str| std::fs::write(rig.dir.path().join(name), text).unwrap();
    write("ours.pem", ours.certificate_pem());
    write("theirs.pem", theirs.certificate_pem());
    write("empty.pem", "");
    let with = |host: &str, roots: &str| {
        let roots = rig.dir.path().join(roots);
        rig.source(&format!("host = {host:?}\ntls = {{ roots = {roots:?} }}"))
    };
    // A server without TLS is not spoken to without it.
    let plain = with("localhost", "ours.pem");
    assert_eq!(
        ask(&plain, 1, Signal::SimSwap).await,
        Err(Reason::SourceDown)
    );
    assert_eq!(plain.fault().unwrap().name(), "tls");

    rig.server
        .require_tls(leaf.certificate_pem(), leaf.key_pem())
        .await
        .unwrap();
    let good = with("localhost", "ours.pem");
    wait_until("the server to speak TLS", || async {
        ask(&good, 1, Signal::SimSwap).await.is_ok()
    })
    .await;
    for (host, roots) in [
        ("localhost", "theirs.pem"),
        // The certificate is of another name.
        ("127.0.0.2", "ours.pem"),
        ("localhost", "empty.pem"),
        ("localhost", "absent.pem"),
    ] {
        let source = with(host, roots);
        let told = ask(&source, 1, Signal::SimSwap).await;
        assert_eq!(told, Err(Reason::SourceDown), "{host} {roots}");
        let name = source.fault().unwrap().name();
        assert!(
            name == "tls" || host == "127.0.0.2",
            "{host} {roots}: {name}"
        );
    }
    // And the server does not let in who comes without.
    let source = rig.source("");
    assert_eq!(
        ask(&source, 1, Signal::SimSwap).await,
        Err(Reason::SourceDown)
    );
    assert_eq!(source.fault().unwrap().name(), "wrong_credentials");
}
