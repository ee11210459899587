//! Answers that are cut off or come a byte at a time, and servers that speak another language.

use std::net::Ipv4Addr;
use std::time::Duration;

use accord_adapters::source::{Condition, Source as _};
use accord_adapters::sql::SqlSource;
use accord_adapters::way::{Manner, Way};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::rig::{Rig, ask, days, wait_until};

const ONE: &str = "insert into subscription (msisdn, begun, begun_by, sim_at, sim_why)
    values ('447700900001', '2020-01-01', 'NEW', now() - interval '9 days', 'REPL')";

/// A source that comes by this way, with two connections.
fn source(rig: &Rig, way: &Way, timeout_ms: u32) -> SqlSource {
    let port = way.port();
    rig.source(&format!(
        "port = {port}\nconnections = 2\nrequest_timeout_ms = {timeout_ms}"
    ))
}

/// Two asks at once are answered rightly, by two connections, and there are no more of them.
async fn is_whole(rig: &Rig, source: &SqlSource) {
    wait_until("the source to answer again", || async {
        ask(source, 1, Signal::SimSwap).await.is_ok()
    })
    .await;
    for _ in 0..5 {
        let (one, other) = tokio::join!(
            ask(source, 1, Signal::SimSwap),
            ask(source, 1, Signal::SimSwap)
        );
        assert_eq!([days(&one.unwrap()), days(&other.unwrap())], [Some(9); 2]);
    }
    assert_eq!(source.fault(), None);
    assert_eq!(source.state().condition, Condition::Up);
    wait_until("the sessions that were given up to end", || async {
        let rows = rig.admin.query(
            "select 1 from pg_stat_activity where application_name = 'accord-adapter'",
            &[],
        );
        rows.await.unwrap().len() <= 2
    })
    .await;
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn an_answer_that_is_cut_in_half_is_no_answer_and_the_pool_is_whole_afterwards() {
    let rig = Rig::start().await;
    rig.run(ONE).await;
    let way = Way::to(rig.server.port()).await.unwrap();
    let source = source(&rig, &way, 5_000);
    is_whole(&rig, &source).await;
    // In the middle of the row: connections that stood are tried again by new ones, and those are cut too.
    way.be(Manner::CutsWithin("REPL"));
    for _ in 0..5 {
        let told = ask(&source, 1, Signal::SimSwap).await;
        assert_eq!(told, Err(Reason::SourceDown));
        assert_eq!(source.fault().unwrap().name(), "gone");
        assert_eq!(source.state().condition, Condition::Down);
    }
    // An answer without that row comes whole.
    let told = ask(&source, 2, Signal::SimSwap).await;
    assert_eq!(told, Err(Reason::UnknownNumber));
    way.be(Manner::Carries);
    is_whole(&rig, &source).await;
    // Cut once, it costs no answer.
    way.cut();
    assert!(ask(&source, 1, Signal::SimSwap).await.is_ok());
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn an_answer_that_comes_a_byte_at_a_time_is_right_in_time_and_late_a_timeout() {
    let rig = Rig::start().await;
    rig.run(ONE).await;
    let way = Way::to(rig.server.port()).await.unwrap();
    let patient = source(&rig, &way, 20_000);
    is_whole(&rig, &patient).await;
    way.be(Manner::Trickles(1, Duration::from_millis(1)));
    let told = ask(&patient, 1, Signal::SimSwap).await.unwrap();
    assert_eq!(days(&told), Some(9));
    drop(patient);

    way.be(Manner::Carries);
    let source = source(&rig, &way, 400);
    is_whole(&rig, &source).await;
    way.be(Manner::Trickles(1, Duration::from_millis(100)));
    // More often than there are connections, and those that are made anew trickle as well.
    for _ in 0..6 {
        let told = ask(&source, 1, Signal::SimSwap).await;
        assert_eq!(told, Err(Reason::Timeout));
        assert_eq!(source.fault().unwrap().name(), "timeout");
        assert_eq!(source.state().condition, Condition::Down);
    }
    way.be(Manner::Carries);
    is_whole(&rig, &source).await;
}

/// Says this to whoever has said something, and ends the connection or leaves it open.
async fn stranger(says: &'static [u8], ends: bool) -> (u16, JoinSet<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4_096]).await;
            let _ = stream.write_all(says).await;
            if !ends {
                open.push(stream);
            }
        }
    });
    (port, serving)
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_server_that_speaks_no_postgresql_is_named_and_left_for_one_that_does() {
    let rig = Rig::start().await;
    rig.run(ONE).await;
    for (says, ends, name, reason) in [
        // Its first letters are a length of a thousand million bytes, which never come.
        (
            &b"SSH-2.0-OpenSSH_9.2p1\r\n"[..],
            false,
            "timeout",
            Reason::Timeout,
        ),
        (b"", false, "timeout", Reason::Timeout),
        (b"", true, "gone", Reason::SourceDown),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            true,
            "gone",
            Reason::SourceDown,
        ),
        // A length that can't be, a message that has no business here, and a way to log in that is none.
        (b"R\0\0\0\0\0", false, "protocol", Reason::SourceDown),
        (b"Z\0\0\0\x05I", false, "protocol", Reason::SourceDown),
        (
            b"R\0\0\0\x08\0\0\0\x63",
            false,
            "protocol",
            Reason::SourceDown,
        ),
    ] {
        let (port, serving) = stranger(says, ends).await;
        let source = rig.source(&format!("port = {port}\nrequest_timeout_ms = 500"));
        let told = ask(&source, 1, Signal::SimSwap).await;
        let fault = source.fault().unwrap();
        assert_eq!(
            (fault.name(), told),
            (name, Err(reason)),
            "{says:?}: {fault}"
        );
        assert_ne!(source.state().condition, Condition::Up);
        // It is what `accord-adapter check` finds, too.
        let probed = source.probe().await.unwrap_err();
        assert_eq!(probed.name(), name, "{probed}");
        drop(serving);
    }
    assert!(ask(&rig.source(""), 1, Signal::SimSwap).await.is_ok());
}
