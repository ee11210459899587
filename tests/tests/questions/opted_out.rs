//! Whoever opts out is forgotten, and what was on its way is not kept: not for a clause that overrides
//! an opt-out, nor for any other once it is lifted.

use accord_client::{Client, Lookup};
use accord_proto::{
    purpose::Purpose,
    v1::{self, Signal, adapter_message::Message, restriction::Scope},
};
use accord_tests::world::WorldSpec;

use crate::{
    played::{Played, alone, change, says, swapped, withdrawal},
    said::{Stage, ask, north, one, sim, word, words},
};

const NUMBER: u16 = 100;

/// A world whose operator `north-mobile` is played by the test alone. The clause that overrides an
/// opt-out grants caching.
async fn staged() -> (Stage, Played) {
    let mut spec = WorldSpec::default().limit("refusals_per_second", 1_000);
    let clause = "age_max_minutes = 1440\nconsent = \"not_required\"\nopt_out = \"overridden\"";
    assert!(spec.agreement.contains(clause));
    let caching = format!("caching_minutes = 60\n{clause}");
    spec.agreement = spec.agreement.replacen(clause, &caching, 1);
    alone(Stage::of(&spec).await).await
}

/// A question under clause 3.1, which honours an opt-out.
fn payment() -> Lookup {
    sim(NUMBER)
}

/// A question under clause 5.1, which overrides it.
fn complaint() -> Lookup {
    Lookup::about(north(NUMBER), Purpose::Complaint).sim_swap()
}

async fn opt_out(played: &Played, lifted: bool) {
    let scope = Some(Scope::OptedOutMsisdn(north(NUMBER)));
    let restriction = v1::Restriction { scope, lifted };
    played.say(Message::Restriction(restriction)).await;
}

/// Asks, while the operator says when the SIM was replaced. It hangs where the operator is not asked.
async fn told(bank: &Client, played: &mut Played, lookup: Lookup, minutes: i64) -> String {
    let swap = says(Signal::SimSwap, swapped(minutes, minutes));
    let (answer, ()) = tokio::join!(one(bank, lookup), played.answer(vec![swap]));
    word(&answer)
}

#[tokio::test]
async fn of_whoever_has_opted_out_nothing_is_kept_whichever_clause_it_was_told_under() {
    let (stage, mut played) = staged().await;
    let bank = stage.bank("first-bank");
    assert_eq!(
        told(&bank, &mut played, complaint(), 60).await,
        "interval true true"
    );
    assert_eq!(words(&ask(&bank, payment()).await), ["0–4 h"]);
    opt_out(&played, false).await;
    // It is pushed for others who may be told, and not for the view.
    let pushed = change(&north(NUMBER), swapped(30, 30));
    played.pushed(1, vec![pushed]).await;
    assert_eq!(words(&ask(&bank, payment()).await), ["opted_out"]);
    for _ in 0..2 {
        let heard = told(&bank, &mut played, complaint(), 60).await;
        assert_eq!(heard, "interval true true");
    }
    opt_out(&played, true).await;
    played.pushed(2, vec![withdrawal(&north(NUMBER + 1))]).await;
    let heard = told(&bank, &mut played, payment(), 60 * 24 * 400).await;
    assert_eq!(heard, "1–2 years");
}

#[tokio::test]
async fn an_answer_that_was_on_its_way_does_not_come_back_after_an_opt_out() {
    let (stage, mut played) = staged().await;
    let bank = stage.bank("first-bank");
    let late = async {
        let id = played.ask().await.id;
        played.pushed(1, vec![withdrawal(&north(NUMBER))]).await;
        opt_out(&played, false).await;
        opt_out(&played, true).await;
        played.pushed(2, vec![withdrawal(&north(NUMBER + 1))]).await;
        let before = says(Signal::SimSwap, swapped(60 * 24 * 400, 60 * 24 * 400));
        played.reply(id, vec![before]).await;
    };
    let (answer, ()) = tokio::join!(one(&bank, complaint()), late);
    assert!(word(&answer).starts_with("interval"), "{answer:?}");
    assert_eq!(told(&bank, &mut played, payment(), 60).await, "0–4 h");
}
