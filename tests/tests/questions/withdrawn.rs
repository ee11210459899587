//! What an operator takes back: the view holds it no more, nor what was on its way.

use accord_client::Lookup;
use accord_proto::{
    purpose::Purpose,
    v1::{Signal, adapter_link::Kind, entry::Event},
};

use crate::{
    caller::Caller,
    played::{Played, links, says, swapped, withdrawal},
    record,
    said::{Stage, ask, north, one, sud, word, words},
};

/// A question under clause 3.1, which grants caching.
fn sim() -> Lookup {
    Lookup::about(north(100), Purpose::Payment).sim_swap()
}

/// Asks, while the operator says that the SIM was replaced so many minutes ago.
async fn told(stage: &Stage, played: &mut Played, minutes: i64) -> String {
    let bank = stage.bank("first-bank");
    let replies = async {
        let id = played.ask().await.id;
        let swap = swapped(minutes, minutes);
        played.reply(id, vec![says(Signal::SimSwap, swap)]).await;
    };
    let (answer, ()) = tokio::join!(one(&bank, sim()), replies);
    word(&answer)
}

#[tokio::test]
async fn what_an_operator_takes_back_is_asked_again_and_what_was_on_its_way_is_not_kept() {
    let mut stage = Stage::sandbox().await;
    stage.world.kill_adapter("north-mobile").await.unwrap();
    let caller = Caller::party(&stage, "north-mobile");
    let mut played = Played::attach(&caller, "played").await.unwrap();
    played.settle().await;
    let bank = stage.bank("first-bank");
    assert_eq!(told(&stage, &mut played, 60 * 24 * 400).await, "1–2 years");
    let cached = ask(&bank, sim()).await;
    let Event::Access(access) = record::event(&stage, cached.receipt.index) else {
        panic!()
    };
    assert!(access.signals[0].from_view);

    played.push(1, vec![withdrawal(&north(100))]).await;
    assert_eq!(played.accepted().await, 1);
    // Somebody asks, and is answered with what was so before it was taken back.
    let before = record::size(&stage);
    let late = async {
        let id = played.ask().await.id;
        played.push(2, vec![withdrawal(&north(100))]).await;
        assert_eq!(played.accepted().await, 2);
        let swap = swapped(60 * 24 * 400, 60 * 24 * 400);
        played.reply(id, vec![says(Signal::SimSwap, swap)]).await;
    };
    let (answer, ()) = tokio::join!(one(&bank, sim()), late);
    assert_eq!(word(&answer), "1–2 years");
    // It is on nobody's way any more: the operator is asked again.
    assert_eq!(told(&stage, &mut played, 120).await, "0–4 h");
    let batches = record::since(&stage, before).into_iter().filter(
        |event| matches!(event, Event::SourceChanges(changes) if changes.subjects.len() == 1),
    );
    assert_eq!(batches.count(), 1, "it is on the record like any change");
}

#[tokio::test]
async fn an_operator_may_take_back_its_word_on_a_number_that_is_another_ones_by_now() {
    let mut stage = Stage::sandbox().await;
    stage.world.kill_adapter("north-mobile").await.unwrap();
    let caller = Caller::party(&stage, "north-mobile");
    let mut played = Played::attach(&caller, "played").await.unwrap();
    played.settle().await;
    let bank = stage.bank("first-bank");
    let sud_swap = || Lookup::about(sud(0), Purpose::Payment).sim_swap();
    let told = word(&one(&bank, sud_swap()).await);
    let before = record::size(&stage);
    // The broker's database may know of the port before the operator says that the number left.
    played.push(1, vec![withdrawal(&sud(0))]).await;
    assert_eq!(played.accepted().await, 1);
    let events = record::since(&stage, before);
    let changes = events.iter().filter(
        |event| matches!(event, Event::SourceChanges(changes) if changes.subjects.len() == 1),
    );
    assert_eq!(changes.count(), 1);
    // It is believed, and what the other operator said stays.
    assert!(links(&stage, before, Kind::NotBelieved, "played").is_empty());
    let again = ask(&bank, sud_swap()).await;
    assert_eq!(words(&again), [told.as_str()]);
    let Event::Access(access) = record::event(&stage, again.receipt.index) else {
        panic!()
    };
    assert!(access.signals[0].from_view);
}
