//! What an adapter tells without being asked: restrictions and pushed changes.

use accord_adapters::runtime::Restriction;
use accord_proto::{observation::SwapKind, party::OrgName, signal::Signal, v1::restriction::Scope};

use crate::support::{Adapter, FakeBroker, ask, body, number, outcomes, records, welcome};

const CREDIT: u32 = 64;

#[tokio::test]
async fn restrictions_act_at_once_and_are_told_again_after_a_reconnect() {
    let mut broker = FakeBroker::start(welcome(1, 1, 10_000)).await;
    let addr = broker.addr;
    let adapter = Adapter::start(vec![broker.endpoint()], CREDIT);
    let mut link = broker.attachment().await;
    let opted_out = Restriction::OptedOut(number("+447700900000"));
    adapter.restrictions.impose(opted_out.clone()).unwrap();
    let told = link.restriction().await;
    assert!(told.scope == Some(Scope::OptedOutMsisdn("+447700900000".to_owned())));
    assert!(!told.lifted);
    link.ask(ask(1, "+447700900000", &[Signal::SimSwap], 800))
        .await;
    assert_eq!(outcomes(&link.reply().await), ["opted_out"]);

    adapter.restrictions.lift(opted_out).unwrap();
    assert!(link.restriction().await.lifted);
    let kill = Restriction::Kill {
        bank: Some(OrgName::parse("first-bank").unwrap()),
        signal: Some(Signal::SimSwap),
    };
    adapter.restrictions.impose(kill).unwrap();
    let lock = Restriction::SwapLocked(number("+447700900000"));
    adapter.restrictions.impose(lock).unwrap();
    link.restriction().await;
    link.restriction().await;
    link.ask(ask(
        2,
        "+447700900000",
        &[Signal::SimSwap, Signal::Roaming],
        800,
    ))
    .await;
    let reply = link.reply().await;
    assert_eq!(outcomes(&reply), ["suspended", "value"]);
    assert!(body(&reply).customer_lock);
    let mut other = ask(3, "+447700900001", &[Signal::SimSwap], 800);
    other.bank = "second-bank".to_owned();
    link.ask(other).await;
    assert_eq!(outcomes(&link.reply().await), ["value"]);

    drop(broker);
    let mut broker = FakeBroker::start_at(addr, welcome(1, 1, 10_000), None).await;
    let mut link = broker.attachment().await;
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(link.restriction().await);
    }
    let lifted = told.iter().filter(|told| told.lifted).collect::<Vec<_>>();
    assert_eq!(lifted.len(), 1, "the lifting is told too");
    assert!(matches!(lifted[0].scope, Some(Scope::OptedOutMsisdn(_))));
    let dir = adapter.stop().await;
    let records = records(dir.path());
    let restrictions = records
        .iter()
        .filter(|record| record["event"] == "restriction");
    assert_eq!(restrictions.count(), 4);
    assert!(!format!("{records:?}").contains("7700900000"));
}

#[tokio::test]
async fn the_restrictions_file_is_watched() {
    let mut broker = FakeBroker::start(welcome(1, 1, 10_000)).await;
    let adapter = Adapter::start(vec![broker.endpoint()], CREDIT);
    let mut link = broker.attachment().await;
    let path = adapter.dir.path().join("restrictions.toml");
    std::fs::write(&path, "[[kill]]\nsignal = \"tenure\"\n").unwrap();
    let told = link.restriction().await;
    assert!(matches!(told.scope, Some(Scope::Kill(_))));
    std::fs::write(&path, "[[kill]]\nsignal = \"tenures\"\n").unwrap();
    std::fs::write(&path, "").unwrap();
    assert!(link.restriction().await.lifted);
}

#[tokio::test]
async fn pushed_changes_respect_the_credit_and_are_sent_again_to_a_new_view() {
    let mut broker = FakeBroker::start(welcome(1, 5, 10_000)).await;
    let addr = broker.addr;
    let adapter = Adapter::start(vec![broker.endpoint()], CREDIT);
    let mut link = broker.attachment().await;
    assert!(
        adapter
            .operator
            .swap_sim(number("+447700900101"), SwapKind::Esim)
    );
    let first = link.changes().await;
    assert_eq!(first.changes.len(), 1);
    assert!(
        adapter
            .operator
            .swap_sim(number("+447700900102"), SwapKind::Esim)
    );
    // Without credit the second waits; an ask sent now is answered before it.
    link.ask(ask(1, "+447700900010", &[Signal::SimSwap], 5_000))
        .await;
    link.reply().await;
    link.accept(first.sequence, 5).await;
    let second = link.changes().await;
    assert!(second.sequence > first.sequence);
    link.accept(second.sequence, 5).await;
    // Both are in the view once the adapter has read that.
    link.ask(ask(2, "+447700900000", &[Signal::SimSwap], 800))
        .await;
    link.reply().await;

    drop(broker);
    let mut broker = FakeBroker::start_at(addr, welcome(8, 5, 10_000), None).await;
    let mut link = broker.attachment().await;
    link.ask(ask(1, "+447700900000", &[Signal::SimSwap], 800))
        .await;
    link.reply().await;

    // A new view is told all of it, the newest first.
    drop(broker);
    let mut broker = FakeBroker::start_at(addr, welcome(8, 6, 10_000), None).await;
    let mut link = broker.attachment().await;
    assert_eq!(link.changes().await.sequence, second.sequence);
    assert_eq!(link.changes().await.sequence, first.sequence);
    link.accept(second.sequence, 6).await;
    link.ask(ask(1, "+447700900000", &[Signal::SimSwap], 800))
        .await;
    link.reply().await;

    // An adapter that was started again still knows what this view has, and goes on counting.
    drop(link);
    let dir = adapter.stop().await;
    let adapter = Adapter::start_in(dir, vec![broker.endpoint()], CREDIT);
    let mut link = broker.attachment().await;
    let again = link.changes().await;
    assert_eq!((again.sequence, again.changes.len()), (first.sequence, 1));
    link.accept(first.sequence, 6).await;
    assert!(
        adapter
            .operator
            .swap_sim(number("+447700900103"), SwapKind::Esim)
    );
    assert!(link.changes().await.sequence > second.sequence);
}
