//! python-diameter as HSS.

use std::sync::Arc;
use std::time::Duration;

use accord_adapters::diameter::DiameterSh;
use accord_adapters::diameter::peer::{Cause, PeerState};
use accord_adapters::diameter::testing::RealHss;
use accord_adapters::source::Source as _;
use accord_proto::clock::SystemClock;
use accord_proto::observation::{Forwarding, ForwardingCondition, ForwardingTarget, Roaming};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use serde_json::json;

use crate::support::{self, NEW, OLD, change, digits, forwarding, peer, roaming, swap, until};

const KEYS: &str = "device_swap = true\nhome_plmns = [\"90170\"]\n\
    serving = [{ prefix = \"4477000\", home = true }]";
const FORWARDING: &str =
    "[forwarding]\nservice_indications = [\"MMTEL-Services\"]\nvoicemail = [\"tel:121\"]\n";
const DIVERSION: &str = "<simservs xmlns='http://uri.etsi.org/ngn/params/xml/simservs/xcap' \
    xmlns:cp='urn:ietf:params:xml:ns:common-policy'><communication-diversion active='true'><cp:ruleset>\
    <cp:rule id='a'><cp:conditions/><cp:actions><forward-to><target>tel:+447700900100</target></forward-to></cp:actions></cp:rule>\
    <cp:rule id='b'><cp:conditions><busy/></cp:conditions><cp:actions><forward-to><target>tel:121</target></forward-to></cp:actions></cp:rule>\
    <cp:rule id='c'><cp:conditions><rule-deactivated/><no-answer/></cp:conditions><cp:actions><forward-to><target>tel:+447700900101</target></forward-to></cp:actions></cp:rule>\
    </cp:ruleset></communication-diversion></simservs>";

async fn start(keys: &str, sections: &str) -> (RealHss, Arc<DiameterSh>, tempfile::TempDir) {
    let (dir, path) = support::folder();
    let hss = RealHss::start(&path.join("hss")).await.unwrap();
    let sections = format!("{}{sections}", peer(&hss.address()));
    let source = support::open(&path, SystemClock::shared(), keys, &sections);
    (hss, source, dir)
}

#[tokio::test]
#[ignore = "needs python3 and python-diameter"]
async fn every_signal_of_an_hss_is_answered() {
    let (hss, source, _dir) = start(KEYS, FORWARDING).await;
    hss.know(&json!({ digits(1): {
        "imsi": OLD, "imeisv": "3534900698733101",
        "cs": "<VLRNumber>447700000001</VLRNumber>",
        "ps": "<Extension><VisitedPLMNID>90170</VisitedPLMNID></Extension>",
        "repository": { "MMTEL-Services": DIVERSION },
    }}))
    .unwrap();
    let first = swap(&source, 1).await.unwrap();
    assert_eq!(first.changed_in, None);
    let device = change(support::ask(&source, 1, Signal::DeviceSwap).await).unwrap();
    assert_eq!(device.changed_in, None);
    assert_eq!(
        roaming(&source, 1).await,
        Ok(Roaming {
            roaming: false,
            visited_mcc: None
        })
    );
    let always = Forwarding {
        condition: ForwardingCondition::Unconditional,
        target: ForwardingTarget::AnotherNumber,
    };
    let busy = Forwarding {
        condition: ForwardingCondition::Busy,
        target: ForwardingTarget::OwnVoicemail,
    };
    assert_eq!(forwarding(&source, 1).await, Ok(vec![always, busy]));

    // python-diameter read what was meant: TBCD, references, domains, and no paging.
    let asked = hss.requests();
    assert_eq!(asked.len(), 5);
    assert!(
        asked
            .iter()
            .all(|one| one["number"] == json!(digits(1)) && one["command"] == 306)
    );
    assert_eq!(
        (&asked[0]["references"], &asked[1]["references"]),
        (&json!([32]), &json!([34]))
    );
    let location = asked.iter().filter(|one| one["references"] == json!([14]));
    let mut domains: Vec<i64> = location
        .map(|one| {
            assert_eq!(one["current"], 0);
            one["domain"].as_i64().unwrap()
        })
        .collect();
    domains.sort_unstable();
    assert_eq!(domains, [0, 1]);
    assert_eq!(asked[4]["services"], json!(["MMTEL-Services"]));

    hss.know(
        &json!({ digits(1): { "imsi": NEW, "imeisv": "3534900698733102",
        "ps": "<VisitedPLMNID>20801</VisitedPLMNID>" }}),
    )
    .unwrap();
    let swapped = swap(&source, 1).await.unwrap().changed_in.unwrap();
    assert!(swapped.after() < swapped.before());
    let device = change(support::ask(&source, 1, Signal::DeviceSwap).await).unwrap();
    assert_eq!(device.changed_in, None, "a software version is no device");
    assert_eq!(
        roaming(&source, 1).await,
        Ok(Roaming {
            roaming: true,
            visited_mcc: Some(208)
        })
    );
    assert_eq!(forwarding(&source, 1).await, Err(Reason::NotAvailable));
    assert_eq!(swap(&source, 2).await, Err(Reason::UnknownNumber));
}

#[tokio::test]
#[ignore = "needs python3 and python-diameter"]
async fn the_avp_of_cx_that_this_stack_sends_is_refused_unless_tolerated() {
    for tolerate in [false, true] {
        let (hss, source, _dir) = start(&format!("tolerate_606 = {tolerate}"), "").await;
        hss.know(&json!({ digits(1): { "imsi": OLD, "cx": true }}))
            .unwrap();
        let said = swap(&source, 1).await.map(drop);
        assert_eq!(
            said,
            if tolerate {
                Ok(())
            } else {
                Err(Reason::SourceDown)
            }
        );
    }
}

#[tokio::test]
#[ignore = "needs python3 and python-diameter"]
async fn results_encodings_and_absurdities_of_an_hss_are_reasons() {
    let (hss, source, _dir) = start("", "").await;
    for (subscriber, reason) in [
        (json!({ "experimental": 5101 }), Reason::NotAvailable),
        (json!({ "experimental": 4100 }), Reason::SourceDown),
        (json!({ "experimental": 5001 }), Reason::UnknownNumber),
        (json!({ "result": 5001 }), Reason::SourceDown),
        (json!({ "result": 3004 }), Reason::Overloaded),
        (
            json!({ "imsi": OLD, "encoding": "utf-16" }),
            Reason::SourceDown,
        ),
        (
            json!({ "raw": "<Sh-Data><IMSI>90170</IMSI></Sh-Data>" }),
            Reason::SourceDown,
        ),
        (json!({ "raw": " ".repeat(60_000) }), Reason::SourceDown),
    ] {
        hss.know(&json!({ digits(1): subscriber.clone() })).unwrap();
        assert_eq!(swap(&source, 1).await, Err(reason), "{subscriber}");
    }
    hss.know(&json!({ digits(1): { "raw": "x".repeat(700_000) }}))
        .unwrap();
    assert_eq!(swap(&source, 1).await, Err(Reason::SourceDown));
    until(&source, "closed", |state| {
        matches!(state, PeerState::Closed(Cause::Protocol(_)))
    })
    .await;
    hss.know(&json!({ digits(1): { "imsi": OLD }})).unwrap();
    support::eventually("it answers again", async || swap(&source, 1).await.is_ok()).await;
}

#[tokio::test]
#[ignore = "needs python3 and python-diameter"]
async fn a_name_that_the_hss_does_not_know_is_refused_and_says_so() {
    let (dir, path) = support::folder();
    let hss = RealHss::start(&path.join("hss")).await.unwrap();
    let config = format!(
        "origin_host = \"stranger.example\"\norigin_realm = \"example\"\njournal_dir = {:?}\n\
         journal_key_file = {:?}\n{}",
        path.join("journal"),
        path.join("key"),
        peer(&hss.address())
    );
    let config: accord_adapters::diameter::DiameterConfig = toml::from_str(&config).unwrap();
    let source = DiameterSh::open(&config, SystemClock::shared()).unwrap();
    assert_eq!(swap(&source, 1).await, Err(Reason::SourceDown));
    drop(dir);
    let state = source.peers().iter().next().unwrap().state();
    assert_eq!(state, PeerState::Closed(Cause::Refused(3_010)));
}

#[tokio::test]
#[ignore = "needs python3 and python-diameter"]
async fn an_hss_that_is_killed_retired_and_restarted_is_found_again() {
    let (mut hss, source, _dir) = start("", "").await;
    hss.know(&json!({ digits(1): { "imsi": OLD }})).unwrap();
    let first = swap(&source, 1).await.unwrap();
    hss.stop().unwrap();
    until(&source, "closed", |state| {
        matches!(state, PeerState::Closed(_))
    })
    .await;
    assert_eq!(swap(&source, 1).await, Err(Reason::SourceDown));
    assert!(source.poll_once().await.is_err());
    hss.restart().await.unwrap();
    support::eventually("back", async || swap(&source, 1).await.is_ok()).await;
    hss.retire().await.unwrap();
    let left = |state| {
        matches!(
            state,
            PeerState::Closed(Cause::Disconnected(_) | Cause::Unreachable(_))
        )
    };
    until(&source, "it said goodbye", left).await;
    hss.know(&json!({ digits(1): { "imsi": NEW }})).unwrap();
    hss.restart().await.unwrap();
    support::eventually("back", async || swap(&source, 1).await.is_ok()).await;
    let swapped = swap(&source, 1).await.unwrap();
    assert!(swapped.changed_in.is_some());
    assert_eq!(swapped.monitored_since, first.monitored_since);
}

#[tokio::test]
#[ignore = "needs python3 and python-diameter"]
async fn a_notified_change_is_told_without_being_asked() {
    let keys = "subscribe = [\"imsi\", \"repository_data\"]\npoll_ms = 3600000\ngap_max_ms = 7200000\n\
        watch = [\"+447700900001\"]";
    let (hss, source, _dir) = start(keys, FORWARDING).await;
    hss.know(&json!({ digits(1): { "imsi": OLD, "repository": {
        "MMTEL-Services": "<communication-diversion active='false'/>" }}}))
        .unwrap();
    let mut changes = source.changes().unwrap();
    let watching = tokio::spawn({
        let source = Arc::clone(&source);
        async move { source.watch().await }
    });
    let polled = async || hss.requests().iter().any(|one| one["command"] == 306);
    support::eventually("the first poll", polled).await;
    let subscribed = hss
        .requests()
        .into_iter()
        .find(|one| one["command"] == 308)
        .unwrap();
    assert_eq!(subscribed["references"], json!([32, 0]));
    support::eventually("known", async || swap(&source, 1).await.is_ok()).await;

    hss.know(&json!({ digits(1): { "imsi": NEW, "repository": { "MMTEL-Services": DIVERSION }}}))
        .unwrap();
    hss.push(&support::number(1)).unwrap();
    let mut told = Vec::new();
    for _ in 0..2 {
        let change = tokio::time::timeout(support::WAIT_MAX, changes.recv())
            .await
            .unwrap()
            .unwrap();
        assert!(change.msisdn == support::number(1));
        told.push(change.signal);
    }
    assert_eq!(told, [Signal::SimSwap, Signal::CallForwarding]);
    let taken = async || {
        hss.requests()
            .iter()
            .any(|one| one["command"] == 309 && one["result"] == 2001)
    };
    support::eventually("the HSS has its answer", taken).await;
    watching.abort();
}

/// Of what the server says that it changed, and then does not tell, nothing that was said before holds.
#[tokio::test]
#[ignore = "needs python3 and python-diameter"]
async fn a_notified_change_that_can_not_be_told_takes_back_what_was_told_before() {
    let keys = "subscribe = [\"imsi\", \"repository_data\"]\npoll_ms = 3600000\ngap_max_ms = 7200000\n\
        home_plmns = [\"90170\"]\nwatch = [\"+447700900001\"]";
    let (hss, source, _dir) = start(keys, FORWARDING).await;
    let known = json!({ "imsi": OLD, "repository": {
        "MMTEL-Services": "<communication-diversion active='false'/>" }});
    hss.know(&json!({ digits(1): known })).unwrap();
    let mut changes = source.changes().unwrap();
    let watching = tokio::spawn({
        let source = Arc::clone(&source);
        async move { source.watch().await }
    });
    support::eventually("known", async || swap(&source, 1).await.is_ok()).await;
    let subscribed = async || hss.requests().iter().any(|one| one["command"] == 308);
    support::eventually("subscribed", subscribed).await;
    assert_eq!(forwarding(&source, 1).await, Ok(Vec::new()));
    let mut taken = async |count: usize| {
        let mut taken = Vec::new();
        while taken.len() < count {
            let change = tokio::time::timeout(support::WAIT_MAX, changes.recv()).await;
            let change = change.unwrap().unwrap();
            assert!(change.msisdn == support::number(1));
            assert_eq!(change.observation, None);
            taken.push(change.signal);
        }
        taken
    };
    // A document that nobody understands.
    let strange =
        json!({ "imsi": OLD, "repository": { "MMTEL-Services": "<diversion-of-our-own/>" }});
    hss.know(&json!({ digits(1): strange })).unwrap();
    hss.push(&support::number(1)).unwrap();
    assert_eq!(taken(1).await, [Signal::CallForwarding]);
    // Nobody has the number: a swap is under way, and where the old card was says nothing.
    hss.know(&json!({})).unwrap();
    hss.push(&support::number(1)).unwrap();
    let gone = taken(4).await;
    for signal in [Signal::SimSwap, Signal::Roaming, Signal::CallForwarding] {
        assert!(gone.contains(&signal), "{signal}: {gone:?}");
    }
    watching.abort();
}

#[tokio::test]
#[ignore = "needs python3 and python-diameter"]
async fn a_hundred_questions_at_once_each_get_their_own_answer() {
    let (hss, source, _dir) = start("request_timeout_ms = 10000", "").await;
    let all: serde_json::Map<String, serde_json::Value> = (100..200)
        .map(|last| {
            (
                digits(last),
                json!({ "imsi": format!("901700000000{last}") }),
            )
        })
        .collect();
    hss.know(&serde_json::Value::Object(all)).unwrap();
    let ask = |last| {
        let source = Arc::clone(&source);
        async move { support::observe(&source, last, &[Signal::SimSwap]).await }
    };
    for told in futures_util::future::join_all((100..200).map(ask)).await {
        assert!(told.signals[0].1.is_ok(), "{told:?}");
    }
    // Had any got another's, its IMSI would have changed now.
    let sweep = source.poll_once().await.unwrap();
    assert_eq!((sweep.asked, sweep.changed, sweep.unusable), (100, 0, 0));
    source.ready(Duration::from_secs(1)).await.unwrap();
}
