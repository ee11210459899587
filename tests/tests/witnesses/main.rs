//! The broker and its witnesses: what is shown, what happens without them, and a disk that was
//! rolled back.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the helpers of tests may panic as tests do"
)]

mod fresh;
mod https;
mod rig;
mod turn;

use std::fs;

use accord_client::{CallError, Lookup};
use accord_proto::{
    c2sp::{LogProof, Policy, SigningKey},
    purpose::Purpose,
    v1::{self, entry::Event, operation::Kind},
};
use accord_tests::world::wait_until;

use rig::{Fake, Rig, copy_dir};

fn lookup() -> Lookup {
    Lookup::about("+447700900001", Purpose::Payment).call_forwarding()
}

#[tokio::test]
async fn a_checkpoint_is_shown_with_its_cosignatures_and_a_proof_holds_under_the_policy() {
    let rig = Rig::new(&["one", "other"], "group g all one other\nquorum g\n").await;
    let world = rig.start().await.unwrap();
    let client = world.client("first-bank").unwrap();
    let answered = client.lookup(lookup()).await.unwrap();
    let index = answered.receipt.index;
    rig.cosigned_beyond(&world, index).await;
    let auditor = world.auditor("first-bank").unwrap();
    let entry = auditor.entry("", index).await.unwrap();
    let (proof, _) = auditor
        .prove_inclusion("", index, &entry.leaf_hash())
        .await
        .unwrap();
    let proof = LogProof::parse(&proof).unwrap();
    let (checkpoint, cosigned) = proof
        .verify_under(&entry.leaf_hash(), &rig.policy())
        .unwrap();
    assert!(checkpoint.size > index);
    let names: Vec<_> = cosigned.iter().map(|one| one.witness.as_str()).collect();
    assert_eq!(names, ["one", "other"]);
    // What is proven to continue it is cosigned as well.
    let authority = world.authority().unwrap();
    let newer = authority.prove_consistency(&checkpoint).await.unwrap();
    assert!(rig.policy().open(&newer.note).is_ok());
    world.stop().await.unwrap();
}

#[tokio::test]
async fn a_proof_of_a_young_entry_waits_for_the_witnesses_and_shows_nothing_that_they_have_not_seen()
 {
    let mut rig = Rig::new(&["one"], "quorum one\n").await;
    let world = rig.start().await.unwrap();
    let client = world.client("first-bank").unwrap();
    let auditor = world.auditor("first-bank").unwrap();
    // Asked for at once, it comes under a checkpoint that the witness has cosigned.
    let receipt = client.lookup(lookup()).await.unwrap().receipt;
    let proved = auditor.prove_inclusion("", receipt.index, &receipt.leaf_hash);
    let (proof, _) = proved.await.unwrap();
    let proof = LogProof::parse(&proof).unwrap();
    proof
        .verify_under(&receipt.leaf_hash, &rig.policy())
        .unwrap();
    rig.stop_witness("one").await;
    let receipt = client.lookup(lookup()).await.unwrap().receipt;
    let proved = auditor.prove_inclusion("", receipt.index, &receipt.leaf_hash);
    let CallError::Unreachable { source, .. } = proved.await.unwrap_err() else {
        panic!("an entry that no witness has seen is proved");
    };
    assert!(
        source.message().contains("no quorum of witnesses"),
        "{source}"
    );
    // What there is not is another matter.
    let none = auditor.prove_inclusion("", 1_000_000, &receipt.leaf_hash);
    let error = none.await.unwrap_err();
    assert!(error.to_string().contains("NOT_FOUND"), "{error}");
    world.stop().await.unwrap();
}

#[tokio::test]
async fn without_a_quorum_questions_go_on_an_alarm_is_recorded_and_the_last_good_checkpoint_stays()
{
    let mut rig = Rig::new(&["one"], "quorum one\n").await;
    let world = rig.start().await.unwrap();
    let client = world.client("first-bank").unwrap();
    client.lookup(lookup()).await.unwrap();
    rig.cosigned_beyond(&world, 0).await;
    rig.stop_witness("one").await;
    client.lookup(lookup()).await.unwrap();
    rig.recorded(&world, Kind::WitnessQuorumLost).await;
    let shown = rig.shown(&world).await;
    client.lookup(lookup()).await.unwrap();
    assert_eq!(rig.shown(&world).await.size, shown.size);
    assert!(rig.metric(&world, "accord_witness_failures_total").await > 0);
    rig.run_witness("one").await;
    rig.recorded(&world, Kind::WitnessQuorumFound).await;
    rig.cosigned_beyond(&world, shown.size).await;
    world.stop().await.unwrap();
}

#[tokio::test]
async fn when_the_grace_time_of_the_agreement_is_over_nothing_is_answered_until_a_quorum_is_back() {
    let mut rig = Rig::new(&["one"], "quorum one\n").await;
    rig.spec.agreement = rig
        .spec
        .agreement
        .replace("witness_grace_hours = 24", "witness_grace_hours = 0");
    let world = rig.start().await.unwrap();
    let client = world.client("first-bank").unwrap();
    client.lookup(lookup()).await.unwrap();
    rig.cosigned_beyond(&world, 0).await;
    rig.stop_witness("one").await;
    wait_until("the broker to stop answering", || async {
        // A client goes on to another broker then; there is none.
        match client.lookup(lookup()).await {
            Err(error) => format!("{error:?}").contains("no quorum of witnesses"),
            Ok(_) => false,
        }
    })
    .await
    .unwrap();
    // Nothing is answered, and the record goes on: authorities read it, and find the refusal.
    rig.recorded(&world, Kind::WitnessQuorumLost).await;
    assert!(rig.refusals(&world).await > 0);
    let said = rig.admin(&world, "/readyz").await;
    let why = "no quorum of witnesses has cosigned for longer than the agreement allows";
    assert!(said.starts_with("HTTP/1.1 503"), "{said}");
    assert!(said.ends_with(&format!("not ready: {why}\n")), "{said}");
    rig.run_witness("one").await;
    wait_until("the broker to answer again", || async {
        client.lookup(lookup()).await.is_ok()
    })
    .await
    .unwrap();
    rig.recorded(&world, Kind::WitnessQuorumFound).await;
    world.stop().await.unwrap();
}

#[tokio::test]
async fn a_restart_gives_no_new_grace_time() {
    let mut rig = Rig::new(&["one"], "").await;
    rig.add_fake("reader", Fake::FindsNothing).await;
    rig.finish_policy("group g any one reader\nquorum g\n");
    let lost = rig.path("ledger/witnesses.lost");
    let world = rig.start().await.unwrap();
    rig.cosigned_beyond(&world, 0).await;
    rig.stop_witness("one").await;
    let client = world.client("first-bank").unwrap();
    client.lookup(lookup()).await.unwrap();
    rig.recorded(&world, Kind::WitnessQuorumLost).await;
    let since = fs::read_to_string(&lost).unwrap();
    drop(client);
    world.stop().await.unwrap();
    rig.run_witness("one").await;
    let world = rig.start().await.unwrap();
    rig.recorded(&world, Kind::WitnessQuorumFound).await;
    assert!(since.lines().next().unwrap().ends_with('Z'), "{since}");
    assert!(!lost.exists(), "found again, and yet noted as lost");
    world.stop().await.unwrap();
}

#[tokio::test]
async fn whoever_says_not_found_to_everything_is_no_witness() {
    let mut rig = Rig::new(&[], "").await;
    rig.add_fake("proxy", Fake::FindsNothing).await;
    rig.finish_policy("quorum proxy\n");
    let refused = rig.start().await.unwrap_err().to_string();
    assert!(refused.contains("no quorum has said"), "{refused}");
}

#[tokio::test]
async fn a_policy_of_another_log_is_named_at_start() {
    let mut rig = Rig::new(&["one"], "quorum one\n").await;
    let stranger = SigningKey::generate("accord-sandbox").unwrap();
    let text = fs::read_to_string(rig.path("witnesses.policy")).unwrap();
    let (_, rest) = text.split_once("witness ").unwrap();
    let text = format!("log {}\nwitness {rest}", stranger.verifier());
    fs::write(rig.path("witnesses.policy"), text).unwrap();
    rig.stop_witness("one").await;
    let refused = rig.start().await.unwrap_err().to_string();
    assert!(
        refused.contains("witnesses.policy: names no log"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_disk_rolled_back_to_an_earlier_copy_does_not_start() {
    let rig = Rig::new(&["one"], "quorum one\n").await;
    let world = rig.start().await.unwrap();
    let client = world.client("first-bank").unwrap();
    client.lookup(lookup()).await.unwrap();
    drop(client);
    world.stop().await.unwrap();
    let (ledger, copy) = (rig.path("ledger"), rig.path("yesterday"));
    copy_dir(&ledger, &copy);
    let world = rig.start().await.unwrap();
    let client = world.client("first-bank").unwrap();
    let answered = client.lookup(lookup()).await.unwrap();
    rig.cosigned_beyond(&world, answered.receipt.index).await;
    drop(client);
    world.stop().await.unwrap();
    fs::remove_dir_all(&ledger).unwrap();
    copy_dir(&copy, &ledger);
    let refused = rig.start().await.unwrap_err().to_string();
    assert!(refused.contains("but a witness has seen"), "{refused}");
}

#[tokio::test]
async fn a_broker_whose_witnesses_are_silent_at_start_signs_nothing() {
    let mut rig = Rig::new(&["one"], "quorum one\n").await;
    rig.stop_witness("one").await;
    let before = fs::read_dir(rig.path("ledger")).unwrap().count();
    let refused = rig.start().await.unwrap_err().to_string();
    assert!(refused.contains("no quorum has said"), "{refused}");
    assert_eq!(fs::read_dir(rig.path("ledger")).unwrap().count(), before);
}

#[tokio::test]
async fn witnesses_that_lie_or_stall_cost_nothing_while_others_make_the_quorum() {
    let mut rig = Rig::new(&["one"], "").await;
    rig.add_fake("liar", Fake::SignsSomethingElse).await;
    rig.add_fake("boaster", Fake::HasSeenMore).await;
    rig.add_fake("sleeper", Fake::NeverAnswers).await;
    rig.finish_policy("group g any one liar boaster sleeper\nquorum g\n");
    let world = rig.start().await.unwrap();
    let client = world.client("first-bank").unwrap();
    let answered = client.lookup(lookup()).await.unwrap();
    rig.cosigned_beyond(&world, answered.receipt.index).await;
    let note = rig.note(&world).await;
    let cosigned = rig.policy().cosigned(&note).unwrap();
    let names: Vec<_> = cosigned.iter().map(|one| one.witness.as_str()).collect();
    assert_eq!(names, ["one"]);
    let operations = rig.operations(&world).await;
    assert!(
        !operations.contains(&Kind::WitnessQuorumLost),
        "{operations:?}"
    );
    world.stop().await.unwrap();
}

#[test]
fn a_policy_without_a_quorum_line_is_named() {
    let error = Policy::parse("# nothing\n").unwrap_err().to_string();
    assert_eq!(error, "the policy has no `quorum` line");
}

fn kind(entry: &v1::Entry) -> Option<Kind> {
    match &entry.event {
        Some(Event::Operation(operation)) => Some(operation.kind()),
        Some(_) | None => None,
    }
}
