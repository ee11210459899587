//! Three months of a broker's keys: split at the turn, handed out, held, shredded; and a crash
//! between any two steps.

mod book;
mod halves;
mod rig;

use accord_proto::{
    clock::Clock as _,
    v1::{Entry, entry::Event},
};
use prost::Message as _;

use self::rig::{Rig, authority, month};
use super::*;

const REGULATOR: &str = "telecom-regulator";
const BANK: &str = "central-bank";

fn why(refused: Result<impl std::fmt::Debug, Refusal>) -> String {
    refused.unwrap_err().to_string()
}

#[tokio::test]
async fn a_key_older_than_last_months_is_split_recorded_and_erased() {
    let rig = Rig::new();
    assert_eq!(rig.split_due().await, [month("2026-09")]);
    assert!(!rig.has("tag-2026-09.key") && rig.has("shares-2026-09.sealed"));
    assert!(!rig.has("tag-2026-09.check"));
    assert!(rig.has("tag-2026-10.key") && rig.has("tag-2026-11.key"));
    let acts = rig.acts();
    let [split] = acts.as_slice() else {
        panic!("{acts:?}")
    };
    assert_eq!(
        (split.kind(), split.month.as_str()),
        (Kind::Split, "2026-09")
    );
    let names: Vec<_> = split.digests.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, [REGULATOR, BANK, "commitment"]);
    // It happens once.
    assert_eq!(rig.split_due().await, []);
    assert_eq!(rig.closed.overdue(), 0);
    let key = rig.unmasked("2026-09").await;
    assert_eq!(key.subject(&rig.tagged.0), rig.tagged.1);
    // What each was given is what the record says was split.
    let given = rig.acts();
    for act in given.iter().filter(|act| act.kind() == Kind::ShareGiven) {
        let digest = &act.digests[0];
        assert!(split.digests.contains(digest), "{act:?}");
        assert_eq!(act.case, "CASE-1");
    }
}

#[tokio::test]
async fn a_crash_before_the_halves_are_durable_loses_nothing() {
    let mut rig = Rig::new();
    // A part of the file, as a crash in the middle of the write leaves it.
    let partial = rig.dir.path().join("sealed/shares-2026-09.partial");
    std::fs::write(&partial, "accord-sealed-share v1\nled").unwrap();
    rig.restart();
    assert_eq!(rig.split_due().await, [month("2026-09")]);
    let key = rig.unmasked("2026-09").await;
    assert_eq!(key.subject(&rig.tagged.0), rig.tagged.1);
}

#[tokio::test]
async fn a_crash_before_the_entry_leaves_the_key_and_the_next_start_goes_on() {
    let mut rig = Rig::new();
    let (files, keys) = (rig.closed.files.clone(), rig.share_keys());
    let durable = files.split("accord.test", month("2026-09"), &keys).unwrap();
    rig.restart();
    assert!(rig.has("tag-2026-09.key") && rig.kinds().is_empty());
    assert_eq!(rig.split_due().await, [month("2026-09")]);
    assert!(!rig.has("tag-2026-09.key"));
    // They could have been damaged since, and nobody else had them, so new ones are made.
    let kept = files.shares(month("2026-09")).unwrap().unwrap();
    assert_ne!(kept, durable);
    assert_eq!(rig.acts()[0].digests, digests(&kept));
    let key = rig.unmasked("2026-09").await;
    assert_eq!(key.subject(&rig.tagged.0), rig.tagged.1);
}

#[tokio::test]
async fn a_crash_behind_the_entry_erases_the_key_without_a_second_entry() {
    let mut rig = Rig::new();
    let key = std::fs::read(rig.path("tag-2026-09.key")).unwrap();
    rig.split_due().await;
    std::fs::write(rig.path("tag-2026-09.key"), key).unwrap();
    // Not even the book was written.
    std::fs::remove_file(rig.path("key-acts")).unwrap();
    rig.restart();
    assert_eq!(rig.split_due().await, [month("2026-09")]);
    assert!(!rig.has("tag-2026-09.key"));
    assert_eq!(rig.kinds(), [Kind::Split]);
}

#[tokio::test]
async fn a_key_that_was_damaged_is_not_split() {
    let rig = Rig::new();
    let path = rig.path("tag-2026-09.key");
    let mut key = std::fs::read(&path).unwrap();
    key[7] ^= 1;
    std::fs::write(&path, key).unwrap();
    let (keys, now) = (rig.share_keys(), rig.clock.now());
    let error = rig.closed.split_due(&keys, now).await.unwrap_err();
    assert!(error.to_string().contains("is damaged"), "{error}");
    assert!(path.exists() && !rig.has("shares-2026-09.sealed") && rig.kinds().is_empty());
}

#[tokio::test]
async fn halves_that_were_damaged_before_the_key_is_erased_are_made_anew() {
    let rig = Rig::new();
    std::fs::write(rig.path("shares-2026-09.sealed"), "damaged").unwrap();
    assert_eq!(rig.split_due().await, [month("2026-09")]);
    assert!(!rig.has("tag-2026-09.key"));
    let key = rig.unmasked("2026-09").await;
    assert_eq!(key.subject(&rig.tagged.0), rig.tagged.1);
}

#[tokio::test]
async fn only_closed_months_that_are_known_have_shares() {
    let rig = Rig::new();
    rig.split_due().await;
    for open in ["2026-10", "2026-11"] {
        let why = why(rig.give(open, BANK).await);
        assert!(why.contains(open) && why.contains("not split"), "{why}");
    }
    for (text, org) in [("2026-08", BANK), ("2026-09", "another-bank")] {
        let given = rig.give(text, org).await;
        assert!(
            matches!(given, Err(Refusal::NotFound("month"))),
            "{text} {org}"
        );
    }
    assert_eq!(rig.kinds(), [Kind::Split]);
    // Each time it is given is on the record.
    rig.give("2026-09", BANK).await.unwrap();
    rig.give("2026-09", BANK).await.unwrap();
    assert_eq!(
        rig.kinds(),
        [Kind::Split, Kind::ShareGiven, Kind::ShareGiven]
    );
}

#[tokio::test]
async fn shredding_takes_both_and_a_hold_forbids_it() {
    let mut rig = Rig::new();
    rig.split_due().await;
    let shred = |org| rig.act(RequestKind::Shred, "2026-09", org);
    let asked = shred(REGULATOR).await.unwrap();
    assert_eq!(asked.shred_asked_by, [authority(REGULATOR).to_string()]);
    // The same one again is not the other one.
    assert_eq!(
        shred(REGULATOR).await.unwrap().state(),
        key_month::State::Split
    );
    let held = rig.act(RequestKind::Hold, "2026-09", BANK).await.unwrap();
    assert_eq!(held.hold_by, authority(BANK).to_string());
    assert!(held.shred_asked_by.is_empty());
    let refused = why(shred(BANK).await);
    assert!(refused.contains("legal hold"), "{refused}");
    rig.restart();
    let lift = |org| rig.act(RequestKind::Lift, "2026-09", org);
    assert_eq!(
        lift(BANK).await.unwrap().hold_by,
        authority(BANK).to_string()
    );
    assert!(
        !lift(BANK).await.unwrap().hold_by.is_empty(),
        "one lifted it twice"
    );
    assert!(lift(REGULATOR).await.unwrap().hold_by.is_empty());
    assert!(why(lift(REGULATOR).await).contains("under no legal hold"));
    let shred = |org| rig.act(RequestKind::Shred, "2026-09", org);
    shred(BANK).await.unwrap();
    assert!(rig.has("shares-2026-09.sealed"));
    let gone = shred(REGULATOR).await.unwrap();
    assert_eq!(gone.state(), key_month::State::Shredded);
    assert!(!rig.has("shares-2026-09.sealed"));
    for refused in [
        shred(BANK).await,
        rig.act(RequestKind::Hold, "2026-09", BANK).await,
    ] {
        assert!(why(refused).contains("destroyed"));
    }
    assert!(why(rig.give("2026-09", BANK).await).contains("destroyed"));
    assert_eq!(rig.kinds().last(), Some(&Kind::Shredded));
}

#[tokio::test]
async fn what_is_not_closed_can_not_be_shredded_but_can_be_held() {
    let rig = Rig::new();
    rig.split_due().await;
    let refused = rig.act(RequestKind::Shred, "2026-11", BANK).await;
    assert!(why(refused).contains("not split"));
    assert!(matches!(
        rig.act(RequestKind::Shred, "2025-01", BANK).await,
        Err(Refusal::NotFound("month"))
    ));
    assert!(matches!(
        rig.act(RequestKind::Hold, "2025-01", BANK).await,
        Err(Refusal::NotFound("month"))
    ));
    assert_eq!(rig.kinds(), [Kind::Split]);
    rig.act(RequestKind::Hold, "2026-10", BANK).await.unwrap();
    // The hold outlives the split of the month's key.
    rig.clock.set("2026-12-05T00:00:00Z".parse().unwrap());
    assert_eq!(rig.split_due().await, [month("2026-10")]);
    let refused = rig.act(RequestKind::Shred, "2026-10", REGULATOR).await;
    assert!(why(refused).contains("legal hold"));
    let months = rig.closed.months().await.unwrap();
    let october = months.iter().find(|it| it.month == "2026-10").unwrap();
    assert_eq!(october.state(), key_month::State::Split);
    assert_eq!(october.hold_by, authority(BANK).to_string());
}

#[tokio::test]
async fn a_crash_between_the_entry_and_the_shredding_shreds_at_the_next_start() {
    let mut rig = Rig::new();
    rig.split_due().await;
    let shares = std::fs::read(rig.path("shares-2026-09.sealed")).unwrap();
    for org in [REGULATOR, BANK] {
        rig.act(RequestKind::Shred, "2026-09", org).await.unwrap();
    }
    std::fs::write(rig.path("shares-2026-09.sealed"), shares).unwrap();
    // A backup may bring the key itself back.
    std::fs::write(rig.path("tag-2026-09.key"), [1; 32]).unwrap();
    std::fs::remove_file(rig.path("key-acts")).unwrap();
    rig.restart();
    assert!(!rig.has("shares-2026-09.sealed") && !rig.has("tag-2026-09.key"));
    assert!(why(rig.give("2026-09", BANK).await).contains("destroyed"));
}

#[tokio::test]
async fn entries_of_a_shredded_month_still_verify() {
    let rig = Rig::new();
    rig.split_due().await;
    let origin = rig.ledger.origin();
    for org in [REGULATOR, BANK] {
        rig.act(RequestKind::Shred, "2026-09", org).await.unwrap();
    }
    let split = rig.ledger.entry(Some(&origin), 1).unwrap();
    assert!(matches!(
        Entry::decode(split.as_slice()).unwrap().event,
        Some(Event::KeyAct(_))
    ));
    let proof = rig.ledger.prove_inclusion(Some(&origin), 1).unwrap();
    let proof = accord_proto::c2sp::LogProof::parse(&proof).unwrap();
    let known = [rig.key.verifier().of_log(&origin).unwrap()];
    proof.verify(&split, &known).unwrap();
}
