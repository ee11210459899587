//! The list of parties, replaced while the broker runs (rules R01 and R02).

use std::fs;

use accord_client::Lookup;
use accord_proto::{
    c2sp::{SignedNote, SigningKey},
    purpose::Purpose,
    v1::entry::Event,
};
use accord_tests::world::{CENTRAL_BANK, TELECOM_REGULATOR, wait_until};
use tokio::time::{Duration, Instant};
use tonic::Code;

use crate::{
    caller::{Caller, question, refused_at_last, told},
    record,
    said::{Stage, ask, north, one, sud, word, words},
};

/// The list of parties with a version one higher and one edit, signed by these authorities.
fn edit(stage: &Stage, authorities: &[&str], edit: impl FnOnce(String) -> String) {
    let path = stage.files.parties_path();
    let old = SignedNote::parse(&fs::read_to_string(&path).unwrap()).unwrap();
    let version = |text: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("version = "))
            .unwrap();
        line.parse::<u64>().unwrap()
    };
    let now = version(old.text());
    let next = old.text().replacen(
        &format!("version = {now}\n"),
        &format!("version = {}\n", now + 1),
        1,
    );
    let edited = edit(next.clone());
    assert_ne!(edited, next);
    let mut note = SignedNote::unsigned(&edited).unwrap();
    for name in authorities {
        let path = stage.files.dir().join(format!("authorities/{name}.key"));
        let key = SigningKey::parse(fs::read_to_string(path).unwrap().trim()).unwrap();
        note.sign(&key).unwrap();
    }
    accord_certs::disk::write_public(&path, &note.to_string()).unwrap();
}

/// The entry of one party with another status.
fn suspended(text: String, party: &str) -> String {
    let at = text.find(&format!("/{party}\"")).unwrap();
    let (before, entry) = text.split_at(at);
    format!(
        "{before}{}",
        entry.replacen("\"active\"", "\"suspended\"", 1)
    )
}

/// Suspends a party's licence.
pub(crate) fn suspend(stage: &Stage, party: &str) {
    let both = [CENTRAL_BANK, TELECOM_REGULATOR];
    edit(stage, &both, |text| suspended(text, party));
}

#[tokio::test]
async fn a_suspended_bank_is_refused_on_an_open_connection_within_two_seconds() {
    let stage = Stage::sandbox().await;
    let caller = Caller::party(&stage, "first-bank");
    let bearer = format!("Bearer {}", caller.token(&stage, &caller.claims()));
    let ask_raw = async || caller.lookup(Some(&bearer), question(&north(1))).await;
    ask_raw().await.unwrap();
    let before = record::size(&stage);
    suspend(&stage, "first-bank");
    let began = Instant::now();
    let refused = refused_at_last(ask_raw).await;
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    let expected = (
        Code::PermissionDenied,
        "LICENCE_NOT_IN_FORCE".to_owned(),
        None,
    );
    assert_eq!(told(&refused), expected);
    assert!(
        refused.message().contains("suspended"),
        "{}",
        refused.message()
    );
    let events = record::since(&stage, before);
    assert!(events.iter().any(|event| {
        matches!(event, Event::DocumentLoaded(d) if d.kind == "parties" && d.refused.is_empty())
    }));
    let recorded = record::refused(&events);
    assert_eq!(recorded[0].0, "spiffe://accord.test/bank/first-bank");
    assert_eq!(recorded[0].2, "LICENCE_NOT_IN_FORCE");
    // The other bank goes on.
    let other = Lookup::about(north(1), Purpose::Payment).sim_swap();
    assert_eq!(
        words(&ask(&stage.bank("second-bank"), other).await),
        ["yes"]
    );
}

#[tokio::test]
async fn a_suspension_acts_though_the_agreements_file_is_broken() {
    let stage = Stage::sandbox().await;
    let caller = Caller::party(&stage, "first-bank");
    let before = record::size(&stage);
    stage
        .files
        .replace_agreement("no agreement at all\n")
        .unwrap();
    record::wait_for(
        &stage,
        before,
        "the broken agreement on the record",
        |event| matches!(event, Event::DocumentLoaded(d) if !d.refused.is_empty()),
    )
    .await;
    caller.ask(&stage, question(&north(1))).await.unwrap();
    suspend(&stage, "first-bank");
    let refused = refused_at_last(async || caller.ask(&stage, question(&north(1))).await).await;
    assert_eq!(told(&refused).1, "LICENCE_NOT_IN_FORCE");
}

#[tokio::test]
async fn an_operator_that_lost_its_licence_answers_nothing() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    let roaming = |number: &str| Lookup::about(number, Purpose::Payment).roaming();
    assert_eq!(word(&one(&bank, roaming(&north(1))).await), "home");
    suspend(&stage, "north-mobile");
    wait_until("the suspension to act", || async {
        word(&one(&bank, roaming(&north(1))).await) == "suspended"
    })
    .await
    .unwrap();
    assert_eq!(word(&one(&bank, roaming(&sud(1))).await), "home");
    // Nor does its adapter stay.
    wait_until("the adapter to be sent away", || async {
        let attached = stage.broker.links().attached();
        attached
            .iter()
            .all(|(name, count)| name.as_str() != "north-mobile" || *count == 0)
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_bank_is_believed_only_if_the_central_bank_signed() {
    let stage = Stage::sandbox().await;
    let caller = Caller::party(&stage, "first-bank");
    let before = record::size(&stage);
    edit(&stage, &[TELECOM_REGULATOR], |text| {
        text.replacen("First Bank", "First Bank Ltd", 1)
    });
    record::wait_for(
        &stage,
        before,
        "the list of parties on the record",
        |event| matches!(event, Event::DocumentLoaded(d) if d.kind == "parties"),
    )
    .await;
    let asked = caller.ask(&stage, question(&north(1))).await;
    let events = record::since(&stage, before);
    let Some(Event::DocumentLoaded(loaded)) = events.first() else {
        panic!("{events:?}")
    };
    if loaded.refused.is_empty() {
        // Taken for the operators alone: then no bank is registered.
        assert_eq!(loaded.signers, [TELECOM_REGULATOR]);
        assert_eq!(told(&asked.err().unwrap()).1, "PARTY_UNKNOWN");
    } else {
        assert!(asked.is_ok(), "the old list stays in force");
    }
}
