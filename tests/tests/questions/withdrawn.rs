//! What an operator takes back: the view holds it no more, nor what was on its way.

use accord_client::Lookup;
use accord_proto::{
    purpose::Purpose,
    v1::{Signal, adapter_link::Kind},
    wire::timestamp,
};
use jiff::SignedDuration;

use crate::{
    caller::Caller,
    played::{Played, alone, change, links, says, swapped, withdrawal},
    record,
    said::{Stage, ask, north, now, one, sim, sud, word, words},
};

/// Asks, while the operator says that the SIM was replaced so many minutes ago.
async fn told(stage: &Stage, played: &mut Played, minutes: i64) -> String {
    let bank = stage.bank("first-bank");
    let swap = says(Signal::SimSwap, swapped(minutes, minutes));
    let (answer, ()) = tokio::join!(one(&bank, sim(100)), played.answer(vec![swap]));
    word(&answer)
}

#[tokio::test]
async fn what_an_operator_takes_back_is_asked_again_and_what_was_on_its_way_is_not_kept() {
    let (stage, mut played) = alone(Stage::sandbox().await).await;
    let bank = stage.bank("first-bank");
    assert_eq!(told(&stage, &mut played, 60 * 24 * 400).await, "1–2 years");
    let cached = ask(&bank, sim(100)).await;
    let access = record::access(&stage, cached.receipt.index);
    assert!(access.signals[0].from_view);

    played.pushed(1, vec![withdrawal(&north(100))]).await;
    // Somebody asks, and is answered with what was so before it was taken back.
    let before = record::size(&stage);
    let late = async {
        let id = played.ask().await.id;
        played.pushed(2, vec![withdrawal(&north(100))]).await;
        let swap = swapped(60 * 24 * 400, 60 * 24 * 400);
        played.reply(id, vec![says(Signal::SimSwap, swap)]).await;
    };
    let (answer, ()) = tokio::join!(one(&bank, sim(100)), late);
    assert_eq!(word(&answer), "1–2 years");
    // It is on nobody's way any more: the operator is asked again.
    assert_eq!(told(&stage, &mut played, 120).await, "0–4 h");
    let batches = record::batches(&record::since(&stage, before)).into_iter();
    let of_one = batches.filter(|batch| batch.subjects.len() == 1);
    assert_eq!(of_one.count(), 1, "it is on the record like any change");
}

#[tokio::test]
async fn an_operator_may_take_back_its_word_on_a_number_that_is_another_ones_by_now() {
    let (stage, mut played) = alone(Stage::sandbox().await).await;
    let bank = stage.bank("first-bank");
    let sud_swap = || Lookup::about(sud(0), Purpose::Payment).sim_swap();
    let told = word(&one(&bank, sud_swap()).await);
    let before = record::size(&stage);
    // The broker's database may know of the port before the operator says that the number left.
    played.pushed(1, vec![withdrawal(&sud(0))]).await;
    let batches = record::batches(&record::since(&stage, before)).into_iter();
    let of_one = batches.filter(|batch| batch.subjects.len() == 1 && batch.subjects[0].withdrawn);
    assert_eq!(of_one.count(), 1);
    // It is believed, and what the other operator said stays.
    assert!(links(&stage, before, Kind::NotBelieved, "played").is_empty());
    let again = ask(&bank, sud_swap()).await;
    assert_eq!(words(&again), [told.as_str()]);
    let access = record::access(&stage, again.receipt.index);
    assert!(access.signals[0].from_view);
}

/// The batches on the record since an index: which instance told of how many changes.
fn batches(stage: &Stage, from: u64) -> Vec<(String, usize)> {
    let batches = record::batches(&record::since(stage, from)).into_iter();
    batches
        .map(|batch| (batch.instance, batch.subjects.len()))
        .collect()
}

#[tokio::test]
async fn of_two_adapters_the_newer_word_counts_and_what_one_takes_back_the_other_does_not_bring_again()
 {
    let mut stage = Stage::sandbox().await;
    stage.world.kill_adapter("north-mobile").await.unwrap();
    let caller = Caller::party(&stage, "north-mobile");
    let mut first = Played::attach(&caller, "one").await.unwrap();
    let mut other = Played::attach(&caller, "other").await.unwrap();
    first.settle().await;
    other.settle().await;
    let bank = stage.bank("first-bank");
    let before = record::size(&stage);
    // Both see the same swap and tell of it; the second one a moment later.
    for played in [&mut first, &mut other] {
        let swap = change(&north(100), swapped(120, 120));
        played.pushed(1, vec![swap]).await;
    }
    let both = [("one".to_owned(), 1), ("other".to_owned(), 1)];
    assert_eq!(batches(&stage, before), both);
    assert_eq!(word(&one(&bank, sim(100)).await), "0–4 h");

    // What the other one knows is older, so it takes nothing from what the first has seen.
    let mut blind = swapped(60 * 24 * 400, 60 * 24 * 400);
    let hour_ago = now() - SignedDuration::from_hours(1);
    blind.observed_at = Some(timestamp(hour_ago));
    other.pushed(2, vec![change(&north(100), blind)]).await;
    let cached = ask(&bank, sim(100)).await;
    assert_eq!(words(&cached), ["0–4 h"]);
    let access = record::access(&stage, cached.receipt.index);
    assert!(access.signals[0].from_view);

    // One takes it back, and the other one, which does not know yet, says it once more.
    first.pushed(2, vec![withdrawal(&north(100))]).await;
    let again = change(&north(100), swapped(120, 120));
    other.pushed(3, vec![again]).await;
    drop(other);
    assert_eq!(told(&stage, &mut first, 60 * 24 * 400).await, "1–2 years");
}
