//! freeDiameterd as relay before python-diameter, without TLS and with it.

use std::path::Path;
use std::sync::Arc;

use accord_adapters::diameter::DiameterSh;
use accord_adapters::diameter::peer::{Cause, PeerState};
use accord_adapters::diameter::testing::{RELAY, RealHss, Relay};
use accord_proto::clock::SystemClock;
use accord_proto::reason::Reason;
use serde_json::json;

use crate::support::{self, NEW, OLD, digits, peer, swap, until};

async fn chain(path: &Path) -> (RealHss, Relay) {
    let hss = RealHss::start(&path.join("hss")).await.unwrap();
    hss.know(&json!({ digits(1): { "imsi": OLD }})).unwrap();
    let relay = Relay::start(&path.join("relay"), hss.port()).await.unwrap();
    (hss, relay)
}

/// The relay may not have reached the HSS yet: it answers 3002 until then.
async fn first_answer(source: &DiameterSh) {
    support::eventually("the chain stands", async || swap(source, 1).await.is_ok()).await;
}

#[tokio::test]
#[ignore = "needs python3, python-diameter and freediameterd"]
async fn a_relay_adds_its_avps_and_changes_nothing() {
    let (_dir, path) = support::folder();
    let (mut hss, relay) = chain(&path).await;
    let section = format!("{}host = \"{RELAY}\"\n", peer(&relay.address()));
    let source = support::open(&path, SystemClock::shared(), "", &section);
    first_answer(&source).await;
    assert_eq!(swap(&source, 2).await, Err(Reason::UnknownNumber));
    hss.know(&json!({ digits(1): { "imsi": NEW }})).unwrap();
    assert!(swap(&source, 1).await.unwrap().changed_in.is_some());
    assert!(hss.requests().iter().all(|one| one["host"] == "as.example"));
    // Behind a relay that stands, an HSS that is gone is a result and no lost connection.
    hss.stop().unwrap();
    let down = async || swap(&source, 1).await == Err(Reason::SourceDown);
    support::eventually("not delivered", down).await;
    until(&source, "the relay stands", |state| {
        matches!(state, PeerState::Open(_))
    })
    .await;
}

fn tls(relay: &Relay, more: &str) -> String {
    format!(
        "{}tls_name = \"{RELAY}\"\n[tls]\nroots = {:?}\n{more}",
        peer(&relay.tls_address()),
        relay.file("root.pem")
    )
}

fn open(path: &Path, sections: &str) -> Arc<DiameterSh> {
    std::fs::create_dir(path).unwrap();
    support::open(path, SystemClock::shared(), "", sections)
}

#[tokio::test]
#[ignore = "needs python3, python-diameter and freediameterd"]
async fn over_tls_both_ends_show_their_certificates() {
    let (_dir, path) = support::folder();
    let (_hss, relay) = chain(&path).await;
    let identity = format!(
        "certificate = {:?}\nkey = {:?}\n",
        relay.file("as.pem"),
        relay.file("as.key")
    );
    let source = open(&path.join("a"), &tls(&relay, &identity));
    first_answer(&source).await;

    let nameless = open(
        &path.join("b"),
        &tls(&relay, &identity).replace(RELAY, "other.example"),
    );
    assert_eq!(swap(&nameless, 1).await, Err(Reason::SourceDown));
    until(&nameless, "not its name", |state| {
        state == PeerState::Closed(Cause::Tls("its certificate has another name"))
    })
    .await;
    let without = open(&path.join("c"), &tls(&relay, ""));
    assert_eq!(
        swap(&without, 1).await,
        Err(Reason::SourceDown),
        "no certificate of ours"
    );
    // TLS where none is spoken.
    let plain = open(
        &path.join("d"),
        &tls(&relay, &identity).replace(&relay.tls_address(), &relay.address()),
    );
    assert_eq!(swap(&plain, 1).await, Err(Reason::SourceDown));
}

#[tokio::test]
#[ignore = "needs python3, python-diameter and freediameterd"]
async fn while_one_hss_behind_a_locator_is_down_the_numbers_of_the_other_are_polled() {
    const EACH: u16 = 80;
    let (_dir, path) = support::folder();
    let locator = RealHss::start(&path.join("slf")).await.unwrap();
    let names = ["hss-a.example", "hss-b.example"];
    let start = async |at: usize| RealHss::start_as(&path.join(names[at]), names[at]).await;
    let (one, mut other) = (start(0).await.unwrap(), start(1).await.unwrap());
    // Odd numbers are the one's, even ones the other's.
    let numbers = 1..=2 * EACH;
    let have = |of: u16, imsi: &str| {
        let own = numbers.clone().filter(|last| last % 2 == of);
        let all = own.map(|last| (digits(last), json!({ "imsi": imsi })));
        serde_json::Value::Object(all.collect())
    };
    let located = numbers.clone().map(|last| {
        let host = names[usize::from(last % 2 == 0)];
        (digits(last), json!({ "redirect": host }))
    });
    let located = serde_json::Value::Object(located.collect());
    locator.know(&located).unwrap();
    one.know(&have(1, OLD)).unwrap();
    other.know(&have(0, OLD)).unwrap();
    let servers = [(names[0], one.port()), (names[1], other.port())];
    let relay = Relay::locating(&path.join("relay"), locator.port(), &servers).await;
    let relay = relay.unwrap();
    let watched: Vec<String> = numbers
        .clone()
        .map(|last| format!("\"+{}\"", digits(last)))
        .collect();
    let keys = format!("watch = [{}]", watched.join(", "));
    let source = support::open(&path, SystemClock::shared(), &keys, &peer(&relay.address()));
    for last in [1, 2] {
        let known = async || swap(&source, last).await.is_ok();
        support::eventually("the chain stands", known).await;
    }
    let first = source.poll_once().await.unwrap();
    assert_eq!((first.asked, first.unusable), (usize::from(2 * EACH), 0));

    other.stop().unwrap();
    let down = async || swap(&source, 2).await == Err(Reason::SourceDown);
    support::eventually("the other is not delivered to", down).await;
    one.know(&have(1, NEW)).unwrap();
    let sweep = source.poll_once().await.unwrap();
    assert_eq!(sweep.asked, usize::from(2 * EACH), "{sweep:?}");
    assert_eq!(sweep.changed, usize::from(EACH), "{sweep:?}");
    assert_eq!(sweep.unusable, usize::from(EACH), "{sweep:?}");

    // Whom it could not ask about it has neither lost nor forgotten.
    other.restart().await.unwrap();
    let back = async || swap(&source, 2).await.is_ok();
    support::eventually("the other is back", back).await;
    let kept = swap(&source, 2).await.unwrap();
    assert_eq!(kept.changed_in, None);
    assert!(swap(&source, 1).await.unwrap().changed_in.is_some());
}
