//! The agreement, replaced while the broker runs: what it allows changes within a second or two,
//! and a bad new file changes nothing.

use std::fs;

use accord_client::Lookup;
use accord_proto::{
    agreement::with_dates,
    c2sp::{SignedNote, SigningKey},
    purpose::Purpose,
    v1::{self, entry::Event},
};
use accord_tests::world::{
    CENTRAL_BANK, TELECOM_REGULATOR, World, WorldError, WorldFiles, WorldSpec, wait_until,
};
use tempfile::TempDir;
use tokio::time::{Duration, Instant};
use tonic::Code;

use crate::{
    doors::admin,
    record,
    said::{Stage, ask, days_ago, north, one, refusal, word, words},
};

/// A new document acts within this time.
const ACTS_WITHIN: Duration = Duration::from_secs(2);

fn payment() -> Lookup {
    Lookup::about(north(1), Purpose::Payment).sim_swap()
}

/// Waits until a new entry says that a document was taken or refused.
async fn loaded(stage: &Stage, from: u64, kind: &str) -> v1::DocumentLoaded {
    let is_it = |event: &Event| matches!(event, Event::DocumentLoaded(d) if d.kind == kind);
    record::wait_for(stage, from, "a document on the record", is_it).await;
    let events = record::since(stage, from);
    match events.into_iter().find(is_it).unwrap() {
        Event::DocumentLoaded(loaded) => loaded,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_new_version_changes_what_is_allowed_at_once_and_is_on_the_record() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    assert_eq!(word(&one(&bank, payment()).await), "0–4 h");
    let before = record::size(&stage);
    let text = stage.files.next_agreement_text().unwrap();
    let narrower = text.replacen("granularity = \"band\"", "granularity = \"yes_no\"", 1);
    assert_ne!(text, narrower);
    stage.files.resign_agreement(&narrower).unwrap();
    let began = Instant::now();
    wait_until("the new agreement to hold", || async {
        word(&one(&bank, payment()).await) == "out_of_range"
    })
    .await
    .unwrap();
    assert!(began.elapsed() < ACTS_WITHIN, "{:?}", began.elapsed());
    let entry = loaded(&stage, before, "agreement").await;
    assert_eq!((entry.id.as_str(), entry.version), ("SANDBOX-2026-1", 2));
    assert_eq!((entry.signers.len(), entry.refused.as_str()), (2, ""));
    // The answer, its entry and the party's own copy name the new version.
    let answered = ask(
        &bank,
        Lookup::about(north(1), Purpose::Payment).sim_swap_within(72),
    )
    .await;
    assert_eq!(answered.answer.agreement_version, 2);
    let access = record::access(&stage, answered.receipt.index);
    assert_eq!(access.agreement_version, 2);
    let agreement = stage
        .auditor("first-bank")
        .unwrap()
        .agreement()
        .await
        .unwrap();
    assert_eq!(agreement.sha256, entry.sha256);
}

/// A note over a text, signed by the keys of these files.
fn note(stage: &Stage, text: &str, authorities: &[&str]) -> SignedNote {
    let mut note = SignedNote::unsigned(text).unwrap();
    for name in authorities {
        let path = stage.files.dir().join(format!("authorities/{name}.key"));
        let key = SigningKey::parse(fs::read_to_string(path).unwrap().trim()).unwrap();
        note.sign(&key).unwrap();
    }
    note
}

#[tokio::test]
async fn a_bad_new_agreement_keeps_the_old_one_and_says_why() {
    const BOTH: [&str; 2] = [TELECOM_REGULATOR, CENTRAL_BANK];
    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    let next = stage.files.next_agreement_text().unwrap();
    let old = next.replacen("version = 2\n", "version = 1\n", 1);
    let signed = |text: &str| note(&stage, text, &BOTH).to_string();
    // An authority's name alone is nobody's signature.
    let with_strangers = |signed: &[&str], strangers: &[&str]| {
        let mut note = note(&stage, &next, signed);
        for name in strangers {
            note.sign(&SigningKey::generate(name).unwrap()).unwrap();
        }
        note.to_string()
    };
    let cases = [
        (next.clone(), "sign"),
        (note(&stage, &next, &[]).to_string(), "sign"),
        (with_strangers(&[], &BOTH), "signed by a stranger"),
        (with_strangers(&[], &["someone-else"]), "someone-else"),
        (
            note(&stage, &next, &[CENTRAL_BANK]).to_string(),
            TELECOM_REGULATOR,
        ),
        (
            note(&stage, &next, &[TELECOM_REGULATOR]).to_string(),
            CENTRAL_BANK,
        ),
        (
            with_strangers(&[TELECOM_REGULATOR], &[CENTRAL_BANK]),
            CENTRAL_BANK,
        ),
        (signed(&old.replacen("3.1", "3.9", 1)), "version"),
        (signed(&next.replacen("title =", "titel =", 1)), "titel"),
        (
            signed(&next.replacen("look_back_days = 30\n", "look_back_days = 1\n", 1)),
            "240 h",
        ),
        (
            signed(&next).replacen("one, three or ten", "one, three or\tten", 1),
            "tab",
        ),
        (signed(&next).replace('\n', "\r\n"), "carriage"),
        (
            signed(&next)
                .replacen("0 h", "1 h", 1)
                .replacen("ten\ndays", "ten\ndayz", 1),
            "sign",
        ),
        (String::new(), "sign"),
    ];
    let count = cases.len();
    for (at, (text, names)) in cases.into_iter().enumerate() {
        let before = record::size(&stage);
        stage.files.replace_agreement(&text).unwrap();
        let entry = loaded(&stage, before, "agreement").await;
        let why = entry.refused.to_lowercase();
        assert!(why.contains(names), "case {at} names {names}: {why}");
        assert!(why.contains("agreement.toml"), "{why}");
        let answered = ask(&bank, payment()).await;
        assert_eq!(words(&answered), ["0–4 h"], "case {at}");
        assert_eq!(answered.answer.agreement_version, 1);
    }
    let metrics = admin(&stage, "/metrics").await;
    let line = format!("accord_documents_refused_total{{kind=\"agreement\"}} {count}\n");
    assert!(metrics.contains(&line), "{metrics}");
    // And a good one is taken after all.
    let before = record::size(&stage);
    stage.files.replace_agreement(&signed(&next)).unwrap();
    assert_eq!(loaded(&stage, before, "agreement").await.version, 2);
}

#[tokio::test]
async fn an_agreement_that_is_over_is_refused_and_the_old_one_stays() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    let text = stage.files.next_agreement_text().unwrap();
    let text = with_dates(&text, days_ago(400), days_ago(1)).unwrap();
    let before = record::size(&stage);
    stage.files.resign_agreement(&text).unwrap();
    let why = loaded(&stage, before, "agreement").await.refused;
    assert!(why.contains("agreement.toml"), "{why}");
    assert!(why.contains("expired on"), "{why}");
    let answered = ask(&bank, payment()).await;
    assert_eq!(answered.answer.agreement_version, 1);
}

/// The agreements that came into force since an index, by version.
fn in_force(world: &World, from: u64) -> Vec<u64> {
    let events = record::since(world, from).into_iter();
    let versions = events.filter_map(|event| match event {
        Event::DocumentLoaded(d) if d.kind == "agreement" && d.refused.is_empty() => {
            Some(d.version)
        }
        _ => None,
    });
    versions.collect()
}

#[tokio::test]
async fn a_broker_that_starts_with_an_agreement_not_in_force_answers_nothing() {
    for (from, until, says) in [(-10, -400, "takes effect on"), (400, 1, "expired on")] {
        let dir = TempDir::new().unwrap();
        let spec = WorldSpec::default();
        let files = WorldFiles::write(dir.path(), &spec).unwrap();
        let good = fs::read_to_string(files.agreement_path()).unwrap();
        let text = files.next_agreement_text().unwrap();
        let text = with_dates(&text, days_ago(from), days_ago(until)).unwrap();
        files.resign_agreement(&text).unwrap();
        let world = World::start(files, spec.clock).await.unwrap();
        record::settled(&world).await;
        let bank = world.client("first-bank").unwrap();
        let before = record::size(&world);
        let refused = refusal(&bank, payment()).await;
        assert_eq!(refused.code, Code::FailedPrecondition);
        assert_eq!(refused.reason, "NO_AGREEMENT_IN_FORCE");
        assert!(refused.message.contains(says), "{}", refused.message);
        let recorded = record::refused(&record::since(&world, before));
        assert_eq!(recorded.len(), 1);
        assert_eq!(recorded[0].2, "NO_AGREEMENT_IN_FORCE");
        // What was never in force stands in nobody's way: the version before it may come back.
        assert_eq!(in_force(&world, 0), [0_u64; 0]);
        world.files.replace_agreement(&good).unwrap();
        wait_until("the older version to hold", || async {
            bank.lookup(payment()).await.is_ok()
        })
        .await
        .unwrap();
        assert_eq!(ask(&bank, payment()).await.answer.agreement_version, 1);
        assert_eq!(in_force(&world, 0), [1]);
    }
}

#[tokio::test]
async fn a_restart_while_the_next_agreement_waits_goes_on_with_the_one_in_force() {
    let Stage { world, dir } = Stage::sandbox().await;
    let good = fs::read_to_string(world.files.agreement_path()).unwrap();
    let text = world.files.next_agreement_text().unwrap();
    let text = with_dates(&text, days_ago(-10), days_ago(-400)).unwrap();
    world.files.resign_agreement(&text).unwrap();
    let restart = async |world: World| {
        let (files, _) = world.stop().await.unwrap();
        let clock = files.spec().clock.clone();
        let world = World::start(files, clock).await.unwrap();
        record::settled(&world).await;
        world
    };
    let mut world = world;
    for starts in 2..4 {
        world = restart(world).await;
        let bank = world.client("first-bank").unwrap();
        let answered = ask(&bank, payment()).await;
        assert_eq!(words(&answered), ["0–4 h"]);
        assert_eq!(answered.answer.agreement_version, 1);
        assert_eq!(in_force(&world, 0), vec![1; starts]);
    }
    // The kept one is believed for its signatures, not for its place.
    let kept = dir.path().join("keys/agreement-in-force.toml");
    assert_eq!(fs::read_to_string(&kept).unwrap(), good);
    fs::write(
        &kept,
        good.replacen("0 h", "1 h", 1)
            .replacen("ten\ndays", "ten\ndayz", 1),
    )
    .unwrap();
    world = restart(world).await;
    let bank = world.client("first-bank").unwrap();
    let refused = refusal(&bank, payment()).await;
    assert!(refused.message.contains("takes effect on"), "{refused:?}");
    world.files.replace_agreement(&good).unwrap();
    wait_until("the one in force to be back", || async {
        bank.lookup(payment()).await.is_ok()
    })
    .await
    .unwrap();
    wait_until("it to be kept", || async {
        fs::read_to_string(&kept).unwrap() == good
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_broker_does_not_start_without_an_agreement_of_both() {
    let dir = TempDir::new().unwrap();
    let spec = WorldSpec::default();
    let files = WorldFiles::write(dir.path(), &spec).unwrap();
    let text = files.next_agreement_text().unwrap();
    let start = async || match World::start(files.clone(), spec.clock.clone()).await {
        Ok(_) => panic!("it started"),
        Err(error) => why(&error),
    };
    files.replace_agreement(&text).unwrap();
    let unsigned = start().await;
    assert!(
        unsigned.contains("agreement.toml") && unsigned.contains("sign"),
        "{unsigned}"
    );
    files.sign_agreement_once(&text, CENTRAL_BANK).unwrap();
    let once = start().await;
    assert!(once.contains(TELECOM_REGULATOR), "{once}");
    // With both it starts; afterwards, an older version does not come back.
    files.resign_agreement(&text).unwrap();
    let world = World::start(files.clone(), spec.clock.clone())
        .await
        .unwrap();
    record::settled(&world).await;
    world.stop().await.unwrap();
    files
        .resign_agreement(&text.replacen("version = 2\n", "version = 1\n", 1))
        .unwrap();
    let older = start().await;
    assert!(older.contains("version"), "{older}");
}

/// An error with all its causes.
fn why(error: &WorldError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
