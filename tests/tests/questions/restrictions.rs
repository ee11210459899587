//! What an operator or a subscriber stops, acts within a second, on view-served answers too; and
//! what the view serves reaches the operator's journal.

use std::fs;

use accord_adapters::runtime::Restriction;
use accord_client::Lookup;
use accord_proto::{
    msisdn::Msisdn,
    observation::SwapKind,
    party::OrgName,
    purpose::Purpose,
    signal::Signal,
    v1::{adapter_link::Kind, entry::Event},
};
use accord_tests::world::wait_until;
use tokio::time::{Duration, Instant};

use crate::{
    record,
    said::{Stage, ask, north, one, sim, word, words},
};

/// Asks until the view serves the answer (clause 3.1 grants caching).
async fn served_from_view(stage: &Stage, digits: u16) -> u64 {
    let bank = stage.bank("first-bank");
    let mut found = None;
    for _ in 0..200 {
        let answered = ask(&bank, sim(digits)).await;
        let index = answered.receipt.index;
        let access = record::access(stage, index);
        if access.signals[0].from_view {
            found = Some(index);
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    found.unwrap_or_else(|| panic!("the view never served"))
}

/// Asks until the answer is this, which must come within a second.
async fn becomes(stage: &Stage, digits: u16, expected: &str) {
    let bank = stage.bank("first-bank");
    let began = Instant::now();
    wait_until(expected, || async {
        word(&one(&bank, sim(digits)).await) == expected
    })
    .await
    .unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{expected}: {:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_kill_switch_stops_the_view_as_well_as_the_source() {
    let stage = Stage::sandbox().await;
    served_from_view(&stage, 1).await;
    let before = record::size(&stage);
    let restrictions = stage.adapter("north-mobile").unwrap().restrictions();
    let kill = |bank: &str| Restriction::Kill {
        bank: Some(OrgName::parse(bank).unwrap()),
        signal: Some(Signal::SimSwap),
    };
    restrictions.impose(kill("first-bank")).unwrap();
    becomes(&stage, 1, "suspended").await;
    record::wait_for(&stage, before, "the kill switch on the record", |event| {
        matches!(event, Event::AdapterLink(link)
            if link.kind == Kind::Restricted as i32
                && link.detail == "stops sim_swap for first-bank")
    })
    .await;
    // Another signal and another bank go on.
    let bank = stage.bank("first-bank");
    let roaming = Lookup::about(north(1), Purpose::Payment).roaming();
    assert_eq!(word(&one(&bank, roaming).await), "home");
    assert_eq!(
        words(&ask(&stage.bank("second-bank"), sim(1)).await),
        ["yes"]
    );
    restrictions.lift(kill("first-bank")).unwrap();
    becomes(&stage, 1, "0–4 h").await;
}

#[tokio::test]
async fn an_opt_out_stops_the_view_as_well_as_the_source() {
    let stage = Stage::sandbox().await;
    served_from_view(&stage, 2).await;
    let restrictions = stage.adapter("north-mobile").unwrap().restrictions();
    let opt_out = || Restriction::OptedOut(Msisdn::parse(&north(2)).unwrap());
    restrictions.impose(opt_out()).unwrap();
    becomes(&stage, 2, "opted_out").await;
    restrictions.lift(opt_out()).unwrap();
    becomes(&stage, 2, "1–2 days").await;
}

#[tokio::test]
async fn a_lock_against_swaps_is_told_with_what_the_view_serves() {
    let stage = Stage::sandbox().await;
    served_from_view(&stage, 0).await;
    let bank = stage.bank("first-bank");
    let restrictions = stage.adapter("north-mobile").unwrap().restrictions();
    let lock = Restriction::SwapLocked(Msisdn::parse(&north(0)).unwrap());
    restrictions.impose(lock).unwrap();
    wait_until("the lock to be told", || async {
        one(&bank, sim(0)).await.customer_lock
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_lock_that_came_with_a_reply_is_told_again_from_the_view() {
    let stage = Stage::sandbox().await;
    // 014 and 033 are locked in the operator's own system, which sends no restriction.
    for (digits, locked) in [(14, true), (33, true), (1, false)] {
        served_from_view(&stage, digits).await;
        let again = one(&stage.bank("first-bank"), sim(digits)).await;
        assert_eq!(again.customer_lock, locked, "{digits:03}");
    }
}

#[tokio::test]
async fn a_pushed_change_is_what_the_view_serves_next() {
    let stage = Stage::sandbox().await;
    served_from_view(&stage, 0).await;
    let before = record::size(&stage);
    let operator = stage
        .adapter("north-mobile")
        .unwrap()
        .virtual_operator()
        .unwrap();
    let number = Msisdn::parse(&north(0)).unwrap();
    assert!(operator.swap_sim(number, SwapKind::Replacement));
    becomes(&stage, 0, "0–4 h").await;
    record::wait_for(&stage, before, "the change on the record", |event| {
        matches!(event, Event::SourceChanges(changes)
            if changes.operator == "north-mobile" && changes.subjects.len() == 1)
    })
    .await;
}

#[tokio::test]
async fn what_the_view_served_is_in_the_operators_journal() {
    let stage = Stage::sandbox().await;
    let index = served_from_view(&stage, 1).await;
    let journal = stage.files.dir().join("adapters/north-mobile/journal");
    wait_until("the journal to say what the view served", || async {
        let files = fs::read_dir(&journal)
            .unwrap()
            .map(|file| file.unwrap().path());
        files
            .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
            .any(|path| {
                fs::read_to_string(path).unwrap().lines().any(|line| {
                    let line: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
                    line["event"] == "served_from_view"
                        && line["entry"] == index
                        && line["bank"] == "first-bank"
                        && line["clauses"] == serde_json::json!(["3.1"])
                })
            })
    })
    .await
    .unwrap();
}
