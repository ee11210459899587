//! What an operator pushes: what the ledger has of it, and what the view keeps.

use accord_proto::v1::{self, Signal};
use aws_lc_rs::digest::{SHA256, digest};
use prost::Message as _;

use crate::{
    played::{alone, change, disbelieved, says, swapped, withdrawal},
    record,
    said::{Stage, ask, north, one, sim, word},
};

fn sealed(nonce: &[u8], changes: Vec<v1::Change>) -> Vec<u8> {
    let batch = v1::ChangeBatch {
        sequence: 4,
        changes,
        nonce: nonce.to_vec(),
        journal_index: 77,
    };
    batch.encode_to_vec()
}

#[tokio::test]
async fn the_ledger_has_the_digest_of_exactly_what_was_pushed_and_what_of_it_was_withdrawn() {
    let (stage, mut played) = alone(Stage::sandbox().await).await;
    let before = record::size(&stage);
    let changes = vec![
        change(&north(100), swapped(120, 120)),
        withdrawal(&north(101)),
        // It is not believed, and was pushed all the same.
        change("nonsense", swapped(120, 120)),
    ];
    let mut sent = sealed(&[9; 32], changes);
    // A field of a newer version, which is no part of what this one reads.
    sent.extend([0xf8, 0x07, 1]);
    played.push_sealed(sent.clone()).await;
    assert_eq!(played.accepted().await, 4);
    let batch = record::only_batch(&stage, before);
    assert_eq!(batch.digest, digest(&SHA256, &sent).as_ref());
    assert_eq!((batch.sequence, batch.journal_index), (4, 77));
    let withdrawn = batch.subjects.iter().map(|subject| subject.withdrawn);
    assert_eq!(withdrawn.collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn a_batch_without_a_nonce_has_no_digest_on_the_record_and_the_view_forgets_instead() {
    let (stage, mut played) = alone(Stage::sandbox().await).await;
    let bank = stage.bank("first-bank");
    let old = change(&north(100), swapped(60 * 24 * 400, 60 * 24 * 400));
    played.pushed(1, vec![old]).await;
    assert_eq!(word(&one(&bank, sim(100)).await), "1–2 years");

    let before = record::size(&stage);
    let new = change(&north(100), swapped(120, 120));
    played.push_sealed(sealed(&[9; 31], vec![new])).await;
    assert_eq!(played.accepted().await, 4);
    let batch = record::only_batch(&stage, before);
    assert_eq!((batch.digest.len(), batch.journal_index), (0, 0));
    assert!(!batch.subjects[0].withdrawn);
    // Nobody could be held to it, so it is not served: the operator is asked.
    let said = vec![says(Signal::SimSwap, swapped(120, 120))];
    let (answer, ()) = tokio::join!(one(&bank, sim(100)), played.answer(said));
    assert_eq!(word(&answer), "0–4 h");
}

#[tokio::test]
async fn an_answer_from_the_view_names_the_reply_or_the_batch_that_it_rests_on() {
    let (stage, mut played) = alone(Stage::sandbox().await).await;
    let bank = stage.bank("first-bank");
    let rests_on = |index: u64| {
        let access = record::access(&stage, index);
        assert!(access.signals[0].from_view && access.replies.is_empty());
        access.signals[0].rests_on.clone().unwrap()
    };
    let old = says(Signal::SimSwap, swapped(60 * 24 * 400, 60 * 24 * 400));
    let (asked, ()) = tokio::join!(ask(&bank, sim(100)), played.answer(vec![old]));
    let access = record::access(&stage, asked.receipt.index);
    assert_eq!(access.signals[0].rests_on, None);
    let [reply] = access.replies.as_slice() else {
        panic!("{:?}", access.replies);
    };
    let served = ask(&bank, sim(100)).await;
    let of_reply = v1::ReplyDigest {
        elapsed_us: 0,
        ..reply.clone()
    };
    assert_eq!(rests_on(served.receipt.index), of_reply);

    let changes = vec![change(&north(100), swapped(120, 120))];
    let sent = sealed(&[9; 32], changes);
    played.push_sealed(sent.clone()).await;
    assert_eq!(played.accepted().await, 4);
    let served = ask(&bank, sim(100)).await;
    let of_batch = v1::ReplyDigest {
        instance: "played".to_owned(),
        journal_index: 77,
        digest: digest(&SHA256, &sent).as_ref().to_vec(),
        elapsed_us: 0,
    };
    assert_eq!(rests_on(served.receipt.index), of_batch);
}

#[tokio::test]
async fn what_is_no_batch_ends_the_link_and_is_on_the_record() {
    let (stage, mut played) = alone(Stage::sandbox().await).await;
    let before = record::size(&stage);
    played.push_sealed(vec![0x08]).await;
    while matches!(played.next().await, Ok(Some(_))) {}
    let said = disbelieved(&stage, before, 1).await;
    assert_eq!(said, ["changes: does not decode"]);
}
