//! The runtime, attached to a broker in another runtime.

use std::time::Duration;

use accord_adapters::journal::verify;
use accord_proto::{
    hex,
    signal::Signal,
    v1::{self, broker_message::Message as ToAdapter},
};
use aws_lc_rs::digest::{SHA256, digest};
use tokio::time::Instant;

use crate::certificates::Certificates;
use crate::support::{
    Adapter, FakeBroker, ask, body, checkpoint_key, outcomes, records, soon, welcome,
};

const CREDIT: u32 = 64;

#[tokio::test]
async fn answers_over_mutual_tls_and_records_what_it_said() {
    let certificates = Certificates::make();
    let any = "127.0.0.1:0".parse().unwrap();
    let tls = Some(certificates.server.clone());
    let mut broker = FakeBroker::start_at(any, welcome(1, 1, 10_000), tls).await;
    let mut endpoint = broker.endpoint();
    endpoint.uri = format!("https://{}", broker.addr);
    endpoint.tls = Some(certificates.files());
    let adapter = Adapter::start(vec![endpoint], CREDIT);
    let mut link = broker.attachment().await;
    assert_eq!(link.hello.instance, "a");
    assert_eq!(link.hello.credit, CREDIT);
    assert_eq!(link.hello.signals, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(
        (link.hello.journal_size, link.hello.journal_head.len()),
        (1, 32)
    );

    link.ask(ask(
        7,
        "+447700900001",
        &[Signal::Roaming, Signal::SimSwap],
        800,
    ))
    .await;
    let reply = link.reply().await;
    assert_eq!((reply.id, reply.journal_index), (7, 1));
    assert_eq!(outcomes(&reply), ["value", "value"]);
    let asked = body(&reply)
        .signals
        .iter()
        .map(|signal| signal.signal)
        .collect::<Vec<_>>();
    assert_eq!(asked, [4, 1], "in the order asked");

    let dir = adapter.stop().await;
    let records = records(dir.path());
    let kinds = records
        .iter()
        .map(|record| record["event"].as_str().unwrap())
        .collect::<Vec<_>>();
    assert_eq!(kinds, ["start", "reply", "stop", "checkpoint"]);
    let said = digest(&SHA256, &[&reply.nonce[..], &reply.body[..]].concat());
    assert_eq!(records[1]["reply"], hex::encode(said.as_ref()));
    assert_eq!(records[1]["bank"], "first-bank");
    assert_eq!(
        records[1]["signals"],
        serde_json::json!(["roaming", "sim_swap"])
    );
    assert_eq!(records[1]["clauses"], serde_json::json!(["3.1", "3.1"]));
    let verified = verify(&dir.path().join("journal"), checkpoint_key().verifier()).unwrap();
    assert_eq!((verified.head.size, verified.signed), (4, 3));
}

#[tokio::test]
async fn says_not_ours_and_not_available_for_what_it_cannot_know() {
    let mut broker = FakeBroker::start(welcome(1, 1, 10_000)).await;
    let _adapter = Adapter::start(vec![broker.endpoint()], CREDIT);
    let mut link = broker.attachment().await;
    for (msisdn, outcome) in [
        ("+33639980001", "not_ours"),
        ("not a number", "not_ours"),
        ("+447700900016", "not_ours"),
        ("+447700900015", "unknown_number"),
        ("+447700900012", "source_down"),
        (
            "+447700900032",
            "observed_at breaks a rule: lies in the future",
        ),
    ] {
        link.ask(ask(1, msisdn, &[Signal::SimSwap], 800)).await;
        assert_eq!(outcomes(&link.reply().await), [outcome], "{outcome}");
    }
    let mut unknown = ask(2, "+447700900000", &[Signal::Tenure], 800);
    unknown.signals.extend([77, 77, 6]);
    link.ask(unknown).await;
    let reply = link.reply().await;
    assert_eq!(
        outcomes(&reply),
        ["value", "not_available"],
        "each signal once"
    );
}

/// As many as the vocabulary has, or the broker believes nothing of the reply.
#[tokio::test]
async fn answers_each_signal_of_a_question_about_all_and_journals_each() {
    let mut broker = FakeBroker::start(welcome(1, 1, 10_000)).await;
    let adapter = Adapter::start(vec![broker.endpoint()], CREDIT);
    let mut link = broker.attachment().await;
    link.ask(ask(1, "+447700900000", Signal::ALL, 800)).await;
    let reply = link.reply().await;
    let answered = body(&reply).signals;
    let answered: Vec<_> = answered.iter().map(|one| one.signal).collect();
    let asked = Signal::ALL.iter().map(|signal| signal.to_wire() as i32);
    assert_eq!(answered, asked.collect::<Vec<_>>());
    let dir = adapter.stop().await;
    let journalled = &records(dir.path())[1];
    let count = |key: &str| journalled[key].as_array().unwrap().len();
    assert_eq!(count("signals"), Signal::ALL.len());
    assert_eq!(count("clauses"), Signal::ALL.len());
}

/// More than a link handles at once: none may be lost between two batches.
#[tokio::test]
async fn answers_every_ask_of_a_burst() {
    const BURST: u64 = 1_000;
    let mut broker = FakeBroker::start(welcome(1, 1, 10_000)).await;
    let _adapter = Adapter::start(vec![broker.endpoint()], 1_024);
    let mut link = broker.attachment().await;
    for id in 0..BURST {
        link.ask(ask(id, "+447700900000", &[Signal::SimSwap], 5_000))
            .await;
    }
    let mut answered = Vec::new();
    for _ in 0..BURST {
        answered.push(link.reply().await.id);
    }
    answered.sort_unstable();
    assert!(answered.into_iter().eq(0..BURST), "each once");
}

#[tokio::test]
async fn a_slow_source_delays_nobody_else_and_a_mute_one_times_out_before_the_deadline() {
    let mut broker = FakeBroker::start(welcome(1, 1, 10_000)).await;
    let _adapter = Adapter::start(vec![broker.endpoint()], CREDIT);
    let mut link = broker.attachment().await;
    let begun = Instant::now();
    link.ask(ask(1, "+447700900010", &[Signal::SimSwap], 5_000))
        .await;
    link.ask(ask(2, "+447700900011", &[Signal::SimSwap], 300))
        .await;
    link.ask(ask(3, "+447700900011", &[Signal::SimSwap], 0))
        .await;
    link.ask(ask(4, "+447700900000", &[Signal::SimSwap], 300))
        .await;
    let mut said = Vec::new();
    for _ in 0..4 {
        let reply = link.reply().await;
        if reply.id == 2 {
            assert!(
                begun.elapsed() >= Duration::from_millis(250),
                "not before it has to"
            );
        }
        said.push((reply.id, outcomes(&reply).remove(0)));
    }
    let said = said
        .iter()
        .map(|(id, what)| (*id, what.as_str()))
        .collect::<Vec<_>>();
    assert_eq!(
        said,
        [(3, "timeout"), (4, "value"), (2, "timeout"), (1, "value")]
    );
}

#[tokio::test]
async fn asks_beyond_the_credit_are_overloaded_and_a_reply_returns_one() {
    let mut broker = FakeBroker::start(welcome(1, 1, 10_000)).await;
    let _adapter = Adapter::start(vec![broker.endpoint()], 2);
    let mut link = broker.attachment().await;
    for id in 1..=3 {
        link.ask(ask(id, "+447700900011", &[Signal::SimSwap], 400))
            .await;
    }
    let reply = link.reply().await;
    assert_eq!(
        (reply.id, outcomes(&reply).remove(0).as_str()),
        (3, "overloaded")
    );
    link.reply().await;
    link.reply().await;
    link.ask(ask(4, "+447700900010", &[Signal::SimSwap], 5_000))
        .await;
    assert_eq!(outcomes(&link.reply().await), ["value"]);
}

#[tokio::test]
async fn heartbeats_fill_the_silence_and_a_silent_broker_is_given_up() {
    let mut broker = FakeBroker::start(welcome(1, 1, 60)).await;
    let _adapter = Adapter::start(vec![broker.endpoint()], CREDIT);
    let mut link = broker.attachment().await;
    let begun = Instant::now();
    let mut heartbeats = 0;
    while link.hear_any().await.is_some() {
        heartbeats += 1;
    }
    assert!(heartbeats >= 2, "{heartbeats}");
    assert!(
        begun.elapsed() >= Duration::from_millis(120),
        "{:?}",
        begun.elapsed()
    );
    let mut link = broker.attachment().await;
    // A broker that answers each heartbeat is kept, for longer than the other one was.
    for _ in 0..10 {
        assert!(link.hear_any().await.is_some());
        link.send(ToAdapter::Heartbeat(v1::Heartbeat {})).await;
    }
    link.ask(ask(1, "+447700900000", &[Signal::SimSwap], 800))
        .await;
    link.reply().await;
}

#[tokio::test]
async fn attaches_again_after_the_broker_died() {
    let mut broker = FakeBroker::start(welcome(1, 1, 10_000)).await;
    let addr = broker.addr;
    let _adapter = Adapter::start(vec![broker.endpoint()], CREDIT);
    let mut link = broker.attachment().await;
    link.ask(ask(1, "+447700900000", &[Signal::SimSwap], 800))
        .await;
    link.reply().await;
    drop(broker);
    let mut broker = FakeBroker::start_at(addr, welcome(1, 1, 10_000), None).await;
    let mut link = broker.attachment().await;
    assert_eq!(link.hello.journal_size, 2, "the journal goes on");
    link.ask(ask(1, "+447700900000", &[Signal::SimSwap], 800))
        .await;
    assert_eq!(outcomes(&link.reply().await), ["value"]);
}

#[tokio::test]
async fn attaches_again_with_its_former_certificate_where_garbage_replaced_the_files() {
    let certificates = Certificates::make();
    let (any, tls) = ("127.0.0.1:0".parse().unwrap(), certificates.server.clone());
    let mut broker = FakeBroker::start_at(any, welcome(1, 1, 10_000), Some(tls.clone())).await;
    let addr = broker.addr;
    let mut endpoint = broker.endpoint();
    endpoint.uri = format!("https://{addr}");
    endpoint.tls = Some(certificates.files());
    let _adapter = Adapter::start(vec![endpoint], CREDIT);
    broker.attachment().await;
    for file in ["ca.pem", "adapter.pem", "adapter.key"] {
        std::fs::write(certificates.dir.path().join(file), "garbage").unwrap();
    }
    drop(broker);
    let mut broker = FakeBroker::start_at(addr, welcome(1, 1, 10_000), Some(tls)).await;
    let mut link = broker.attachment().await;
    link.ask(ask(1, "+447700900000", &[Signal::SimSwap], 800))
        .await;
    assert_eq!(outcomes(&link.reply().await), ["value"]);
}

#[tokio::test]
async fn serves_several_brokers_at_once() {
    let mut one = FakeBroker::start(welcome(1, 1, 10_000)).await;
    let mut two = FakeBroker::start(welcome(1, 1, 10_000)).await;
    let adapter = Adapter::start(vec![one.endpoint(), two.endpoint()], CREDIT);
    for broker in [&mut one, &mut two] {
        let mut link = broker.attachment().await;
        link.ask(ask(1, "+447700900000", &[Signal::SimSwap], 800))
            .await;
        assert_eq!(outcomes(&link.reply().await), ["value"]);
    }
    adapter.stop().await;
}

#[tokio::test]
async fn a_stop_answers_what_is_in_flight_and_closes_the_stream() {
    let mut broker = FakeBroker::start(welcome(1, 1, 10_000)).await;
    let mut adapter = Adapter::start(vec![broker.endpoint()], CREDIT);
    let mut link = broker.attachment().await;
    link.ask(ask(1, "+447700900010", &[Signal::SimSwap], 5_000))
        .await;
    link.ask(ask(2, "+447700900000", &[Signal::SimSwap], 5_000))
        .await;
    assert_eq!(link.reply().await.id, 2, "the first is in flight");
    adapter.begin_stop();
    let reply = link.reply().await;
    assert_eq!(
        (reply.id, outcomes(&reply).remove(0).as_str()),
        (1, "value")
    );
    assert!(link.hear().await.is_none());
    drop(link);
    let dir = adapter.stopped().await;
    let verified = verify(&dir.path().join("journal"), checkpoint_key().verifier()).unwrap();
    assert_eq!(verified.signed + 1, verified.head.size);
}

#[tokio::test]
async fn answers_served_from_the_view_are_journaled() {
    let mut broker = FakeBroker::start(welcome(1, 1, 10_000)).await;
    let adapter = Adapter::start(vec![broker.endpoint()], CREDIT);
    let mut link = broker.attachment().await;
    link.send(ToAdapter::Served(v1::ServedFromView {
        msisdn: "+447700900001".to_owned(),
        signals: vec![1],
        bank: "first-bank".to_owned(),
        purpose: v1::Purpose::Login as i32,
        origin: "accord.test/2026-11".to_owned(),
        index: 42,
        ..v1::ServedFromView::default()
    }))
    .await;
    link.ask(ask(1, "+447700900000", &[Signal::SimSwap], 800))
        .await;
    link.reply().await;
    drop(link);
    let dir = soon(adapter.stop()).await;
    let records = records(dir.path());
    let served = &records[1];
    assert_eq!(served["event"], "served_from_view");
    assert_eq!(
        (&served["origin"], &served["entry"]),
        (&"accord.test/2026-11".into(), &42.into())
    );
    assert_eq!(served["purpose"], "login");
    assert!(!served.to_string().contains("7700900"));
}
