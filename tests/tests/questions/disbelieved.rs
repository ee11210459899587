//! What an adapter says and nobody believes: the bank is told why it gets no answer, the view stays
//! as it was, and the ledger has it.

use accord_client::Lookup;
use accord_proto::{
    purpose::Purpose,
    v1::{self, Signal, adapter_link::Kind, entry::Event},
};
use accord_tests::world::{WorldSpec, wait_until};
use jiff::SignedDuration;

use crate::{
    played::{Played, alone, change, disbelieved, says, swapped, withdrawal},
    record,
    said::{Stage, ask, north, now, one, sim, sud, word, words},
};

fn spec() -> WorldSpec {
    WorldSpec::default().limit("refusals_per_second", 1_000)
}

/// Asks, and is told this after the adapter has replied; nothing of it is in the view.
async fn replied(stage: &Stage, played: &mut Played, digits: u16, reply: Vec<v1::SignalReply>) {
    let bank = stage.bank("first-bank");
    let (answer, ()) = tokio::join!(one(&bank, sim(digits)), played.answer(reply));
    assert_eq!(word(&answer), "source_down");
    // Asked again, it is asked of the operator again.
    let good = vec![says(Signal::SimSwap, swapped(120, 120))];
    let (answer, ()) = tokio::join!(one(&bank, sim(digits)), played.answer(good));
    assert_eq!(word(&answer), "0–4 h");
}

#[tokio::test]
async fn a_reply_to_another_question_is_not_believed() {
    let (stage, mut played) = alone(Stage::of(&spec()).await).await;
    let mut ahead = swapped(120, 120);
    let in_an_hour = now() + SignedDuration::from_hours(1);
    ahead.observed_at = Some(accord_proto::wire::timestamp(in_an_hour));
    let good = || says(Signal::SimSwap, swapped(120, 120));
    let cases = [
        (
            vec![says(Signal::DeviceSwap, swapped(120, 120))],
            "answers what was not asked",
        ),
        (vec![good(), good()], "twice"),
        (Vec::new(), "leaves out what was asked"),
        (
            vec![says(Signal::SimSwap, swapped(60, 120))],
            "ends before it begins",
        ),
        (vec![says(Signal::SimSwap, ahead)], "future"),
    ];
    for (digits, (reply, why)) in (100..).zip(cases) {
        let before = record::size(&stage);
        replied(&stage, &mut played, digits, reply).await;
        let said = disbelieved(&stage, before, 1).await;
        assert!(said[0].contains(why), "{said:?}");
    }
}

#[tokio::test]
async fn a_reply_to_nothing_and_a_second_reply_are_not_believed() {
    let (stage, mut played) = alone(Stage::of(&spec()).await).await;
    let bank = stage.bank("first-bank");
    let before = record::size(&stage);
    let swap = |minutes| vec![says(Signal::SimSwap, swapped(minutes, minutes))];
    let replies = async {
        let id = played.ask().await.id;
        // What another operator is asked has ids of its own.
        played.reply(id + 1_000, swap(60 * 24 * 400)).await;
        played.reply(id, swap(120)).await;
        played.reply(id, swap(60 * 24 * 400)).await;
    };
    let (answer, ()) = tokio::join!(one(&bank, sim(100)), replies);
    assert_eq!(word(&answer), "0–4 h");
    let said = disbelieved(&stage, before, 2).await;
    assert!(said.iter().all(|why| why.contains("not asked")), "{said:?}");
    // The view has what was believed.
    let again = ask(&bank, sim(100)).await;
    assert_eq!(words(&again), ["0–4 h"]);
    let access = record::access(&stage, again.receipt.index);
    assert!(access.signals[0].from_view);
}

#[tokio::test]
async fn a_reply_that_comes_too_late_is_not_believed() {
    let (stage, mut played) =
        alone(Stage::of(&spec().limit("operator_deadline_ms", 200)).await).await;
    let bank = stage.bank("first-bank");
    let before = record::size(&stage);
    let (answer, late) = tokio::join!(one(&bank, sim(100)), played.ask());
    assert_eq!(word(&answer), "timeout");
    // Two more that wait in vain: more than the quarter of a second that a reply may be late.
    for digits in 101..103 {
        assert_eq!(word(&one(&bank, sim(digits)).await), "timeout");
    }
    let good = || vec![says(Signal::SimSwap, swapped(120, 120))];
    played.reply(late.id, good()).await;
    let said = disbelieved(&stage, before, 1).await;
    assert!(said[0].contains("too late"), "{said:?}");
    // It is not in the view either: the operator is asked again.
    let replies = async {
        loop {
            let ask = played.ask().await;
            if ask.msisdn == north(100) {
                break played.reply(ask.id, good()).await;
            }
        }
    };
    let (answer, ()) = tokio::join!(one(&bank, sim(100)), replies);
    assert_eq!(word(&answer), "0–4 h");
}

#[tokio::test]
async fn a_change_that_is_not_believed_keeps_no_other_from_the_view() {
    let (stage, mut played) = alone(Stage::of(&spec()).await).await;
    let bank = stage.bank("first-bank");
    let sud_swap = || Lookup::about(sud(0), Purpose::Payment).sim_swap();
    let sud_before = word(&one(&bank, sud_swap()).await);
    let before = record::size(&stage);
    let mut unknown = change(&north(101), swapped(120, 120));
    unknown.signal = 4_711;
    let mut both = change(&north(103), swapped(120, 120));
    both.withdrawn = true;
    let mut neither = withdrawal(&north(103));
    neither.withdrawn = false;
    let changes = vec![
        both,
        neither,
        // Another operator's number, an interval that ends before it begins, no signal, no number.
        change(&sud(0), swapped(120, 120)),
        change(&north(102), swapped(60, 120)),
        unknown,
        change("nonsense", swapped(120, 120)),
        change(&north(100), swapped(120, 120)),
    ];
    played.pushed(1, changes).await;
    let said = disbelieved(&stage, before, 6).await;
    assert_eq!(
        said.iter()
            .filter(|why| why.contains("and not both"))
            .count(),
        2
    );
    for why in [
        "not a number of this operator",
        "ends before it begins",
        "known signal",
        "begins with `+`",
    ] {
        assert!(
            said.iter().any(|said| said.contains(why)),
            "{why}: {said:?}"
        );
    }
    let batch = record::only_batch(&stage, before);
    assert_eq!(batch.subjects.len(), 1);
    // The good one is in the view, the others are not, and the link goes on.
    assert_eq!(word(&one(&bank, sim(100)).await), "0–4 h");
    assert_eq!(word(&one(&bank, sud_swap()).await), sud_before);
    for digits in [101, 102, 103] {
        let quiet = vec![says(Signal::SimSwap, swapped(60 * 24 * 400, 60 * 24 * 400))];
        let (answer, ()) = tokio::join!(one(&bank, sim(digits)), played.answer(quiet));
        assert_eq!(word(&answer), "1–2 years");
    }
}

#[tokio::test]
async fn a_flood_of_what_is_not_believed_is_counted_under_its_operators_name() {
    const FLOOD: u64 = 200;
    let (stage, played) = alone(Stage::of(&spec().limit("refusals_per_second", 5)).await).await;
    let before = record::size(&stage);
    for id in 0..FLOOD {
        played.reply(1_000 + id, Vec::new()).await;
    }
    let all = || {
        let counted = record::since(&stage, before)
            .into_iter()
            .map(|event| match event {
                Event::RefusalCount(count) => {
                    assert_eq!(count.party, "spiffe://accord.test/operator/north-mobile");
                    count.refused
                }
                Event::AdapterLink(link) if link.kind == Kind::NotBelieved as i32 => 1,
                _ => 0,
            });
        counted.sum::<u64>()
    };
    wait_until("all of them to be counted", || async { all() == FLOOD })
        .await
        .unwrap();
    let entries = record::size(&stage) - before;
    assert!(entries < 100, "{entries} entries");
    // The operator reads its own count.
    let is_count = |at: &u64| matches!(record::event(&stage, *at), Event::RefusalCount(_));
    let at = (before..record::size(&stage)).find(is_count).unwrap();
    let auditor = stage.auditor("north-mobile").unwrap();
    auditor.entry("", at).await.unwrap();
    assert!(
        stage
            .auditor("first-bank")
            .unwrap()
            .entry("", at)
            .await
            .is_err()
    );
}
