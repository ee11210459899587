//! What an operator told is not denied by what the view held before, nor by what was on its way.

use accord_client::{Client, Lookup};
use accord_proto::{
    purpose::Purpose,
    v1::{self, Reason, Signal, observation::What, signal_reply::Outcome},
    wire::timestamp,
};
use jiff::SignedDuration;

use crate::{
    played::{Played, alone, change, says, swapped},
    said::{Stage, ask, north, now, one, sim, word, words},
};

/// Minutes: more than an observation may lie ahead of the broker's clock, and less than a clause's
/// caching.
const A_WHILE: i64 = 5;
/// In minutes.
const TWO_YEARS: i64 = 60 * 24 * 365 * 2;

/// A question under clause 2.2, which grants none.
fn uncached(digits: u16) -> Lookup {
    Lookup::about(north(digits), Purpose::OtpSend).sim_swap_within(24)
}

/// No change since so many minutes ago, as of now.
fn none_since(minutes: i64) -> v1::Observation {
    let mut observation = swapped(0, 0);
    let since = now() - SignedDuration::from_mins(minutes);
    if let Some(What::Change(change)) = &mut observation.what {
        (change.after, change.before) = (None, None);
        change.monitored_since = Some(timestamp(since));
    }
    observation
}

/// The same, as of so many minutes ago.
fn as_of(mut observation: v1::Observation, minutes: i64) -> v1::Observation {
    observation.observed_at = Some(timestamp(now() - SignedDuration::from_mins(minutes)));
    observation
}

/// Asks, while the operator replies this. It hangs where the operator is not asked.
async fn replied(
    bank: &Client,
    played: &mut Played,
    lookup: Lookup,
    reply: v1::SignalReply,
) -> String {
    let (answer, ()) = tokio::join!(one(bank, lookup), played.answer(vec![reply]));
    word(&answer)
}

/// Asks under the clause with caching, while the operator observes this.
async fn told(bank: &Client, played: &mut Played, of: (u16, v1::Observation)) -> String {
    let (digits, observation) = of;
    let reply = says(Signal::SimSwap, observation);
    replied(bank, played, sim(digits), reply).await
}

async fn push(played: &mut Played, sequence: u64, pushed: v1::Observation) {
    let pushed = vec![change(&north(100), pushed)];
    played.pushed(sequence, pushed).await;
}

/// There was no change in the last two years, and that is what the view answers.
async fn view_holds_none(bank: &Client, played: &mut Played, digits: u16) {
    let first = told(bank, played, (digits, none_since(TWO_YEARS))).await;
    assert!(first.starts_with('≥'), "{first}");
    assert_eq!(words(&ask(bank, sim(digits)).await), [first.as_str()]);
}

#[tokio::test]
async fn a_swap_that_one_source_knows_of_is_not_denied_by_what_another_one_saw_later() {
    let (stage, mut played) = alone(Stage::sandbox().await).await;
    let bank = stage.bank("first-bank");
    view_holds_none(&bank, &mut played, 100).await;
    // A replacement keeps its IMSI, so the HLR saw none as of now. The billing system's row says when
    // the card was replaced, within five minutes; that is the newest change that anybody tells.
    push(&mut played, 1, as_of(swapped(15, A_WHILE), A_WHILE)).await;
    let asked = told(&bank, &mut played, (100, swapped(15, A_WHILE))).await;
    assert_eq!(asked, "0–4 h");
}

#[tokio::test]
async fn a_swap_that_is_told_late_is_not_denied_by_a_watch_that_did_not_know_of_it() {
    let (stage, mut played) = alone(Stage::sandbox().await).await;
    let bank = stage.bank("first-bank");
    view_holds_none(&bank, &mut played, 100).await;
    // The event comes late, and the watch has begun anew meanwhile: the fact alone is told.
    let mut fact = as_of(swapped(10, 10), 10);
    if let Some(What::Change(change)) = &mut fact.what {
        change.monitored_since = change.after;
    }
    push(&mut played, 1, fact).await;
    let asked = told(&bank, &mut played, (100, swapped(10, 10))).await;
    assert_eq!(asked, "0–4 h");
}

#[tokio::test]
async fn an_answer_that_was_on_its_way_does_not_deny_what_was_pushed_meanwhile() {
    let (stage, mut played) = alone(Stage::sandbox().await).await;
    let bank = stage.bank("first-bank");
    let late = async {
        let id = played.ask().await.id;
        push(&mut played, 1, as_of(swapped(15, A_WHILE), A_WHILE)).await;
        let before = none_since(TWO_YEARS);
        played.reply(id, vec![says(Signal::SimSwap, before)]).await;
    };
    let (answer, ()) = tokio::join!(one(&bank, sim(100)), late);
    assert!(word(&answer).starts_with('≥'));
    assert_eq!(
        told(&bank, &mut played, (100, swapped(15, 5))).await,
        "0–4 h"
    );
}

#[tokio::test]
async fn a_batch_that_comes_again_takes_nothing_from_the_view() {
    let (stage, mut played) = alone(Stage::sandbox().await).await;
    let bank = stage.bank("first-bank");
    let first = as_of(swapped(30, 30), 30);
    push(&mut played, 1, first.clone()).await;
    push(&mut played, 2, first.clone()).await;
    assert_eq!(words(&ask(&bank, sim(100)).await), ["0–4 h"]);
    let second = as_of(swapped(20, 20), 10);
    push(&mut played, 3, second.clone()).await;
    // An earlier swap is no news to who knows of a later one.
    for (sequence, again) in [(4, &first), (5, &second), (6, &as_of(swapped(21, 19), 15))] {
        push(&mut played, sequence, again.clone()).await;
        assert_eq!(words(&ask(&bank, sim(100)).await), ["0–4 h"]);
    }
}

/// The operator can't tell, or not now.
fn why(reason: Reason) -> v1::SignalReply {
    v1::SignalReply {
        signal: Signal::SimSwap as i32,
        outcome: Some(Outcome::Reason(reason as i32)),
    }
}

#[tokio::test]
async fn what_the_operator_says_under_a_clause_without_caching_is_not_denied_by_the_view() {
    let (stage, mut played) = alone(Stage::sandbox().await).await;
    let bank = stage.bank("first-bank");
    let denying = [
        (says(Signal::SimSwap, swapped(A_WHILE, A_WHILE)), "yes"),
        (says(Signal::SimSwap, swapped(60 * 24 * 2, 0)), "undecided"),
        (why(Reason::NotOurs), "not_ours"),
        (why(Reason::UnknownNumber), "unknown_number"),
        (why(Reason::Undecided), "undecided"),
        (why(Reason::Contradicted), "contradicted"),
    ];
    for (digits, (reply, heard)) in (110..).zip(denying) {
        view_holds_none(&bank, &mut played, digits).await;
        let now = replied(&bank, &mut played, uncached(digits), reply).await;
        assert_eq!(now, heard);
        // It was heard under a clause that keeps nothing, so the operator is asked.
        let next = told(&bank, &mut played, (digits, swapped(120, 120))).await;
        assert_eq!(next, "0–4 h", "{heard}");
    }
}

#[tokio::test]
async fn an_answer_that_says_the_same_or_nothing_of_the_number_takes_nothing_from_the_view() {
    let (stage, mut played) = alone(Stage::sandbox().await).await;
    let bank = stage.bank("first-bank");
    let silent = [
        // It has watched for less time than who was heard first.
        (says(Signal::SimSwap, none_since(TWO_YEARS - 60)), "no"),
        (why(Reason::Timeout), "timeout"),
        (why(Reason::SourceDown), "source_down"),
        (why(Reason::Overloaded), "overloaded"),
    ];
    for (digits, (reply, heard)) in (120..).zip(silent) {
        view_holds_none(&bank, &mut played, digits).await;
        let now = replied(&bank, &mut played, uncached(digits), reply).await;
        assert_eq!(now, heard);
        let next = words(&ask(&bank, sim(digits)).await);
        assert!(next[0].starts_with('≥'), "{heard}: {next:?}");
    }
}
