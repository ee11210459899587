//! Rates, quotas and thresholds.

use accord_client::{CallError, Lookup};
use accord_proto::purpose::Purpose;
use accord_tests::world::{World, WorldSpec, wait_until};
use tonic::Code;

use crate::{
    caller::{Caller, question, told},
    record,
    said::{Stage, ask, days_ago, detail, north, one, word, words},
};

fn sim(digits: u16, hours: u32) -> Lookup {
    Lookup::about(north(digits), Purpose::Payment).sim_swap_within(hours)
}

#[tokio::test]
async fn one_threshold_holds_for_the_whole_window_and_over_a_restart() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    assert_eq!(word(&one(&bank, sim(30, 72)).await), "yes");
    assert_eq!(word(&one(&bank, sim(30, 72)).await), "yes");
    let other = one(&bank, sim(30, 24)).await;
    assert_eq!(word(&other), "quota");
    assert_eq!(
        detail(&other),
        "clause 3.1: another threshold or date of sim_swap was used for this number within 24 h"
    );
    // It binds the signal, whatever the purpose.
    let login = Lookup::about(north(30), Purpose::Login).sim_swap_within(240);
    assert_eq!(word(&one(&bank, login).await), "quota");
    // Another bank, another number and another signal have their own.
    let second = stage.bank("second-bank");
    let code = Lookup::about(north(30), Purpose::OtpSend).sim_swap_within(24);
    assert_eq!(word(&one(&second, code).await), "no");
    assert_eq!(word(&one(&bank, sim(31, 24)).await), "no");
    drop((bank, second));
    // What the ledger knows holds after a restart too.
    let stage = stage.restarted().await;
    let bank = stage.bank("first-bank");
    assert_eq!(word(&one(&bank, sim(30, 24)).await), "quota");
    assert_eq!(word(&one(&bank, sim(30, 72)).await), "yes");
}

#[tokio::test]
async fn one_date_holds_for_the_whole_window() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    let since = |days| Lookup::about(north(7), Purpose::Payment).number_recycling(days_ago(days));
    assert_eq!(word(&one(&bank, since(100)).await), "yes");
    assert_eq!(word(&one(&bank, since(100)).await), "yes");
    assert_eq!(word(&one(&bank, since(20)).await), "quota");
    drop(bank);
    let stage = stage.restarted().await;
    assert_eq!(
        word(&one(&stage.bank("first-bank"), since(20)).await),
        "quota"
    );
}

#[tokio::test]
async fn a_sleeping_account_is_asked_about_once_a_day_and_a_restart_does_not_help() {
    let stage = Stage::sandbox().await;
    let recycled =
        || Lookup::about(north(7), Purpose::DormantAccount).number_recycling(days_ago(300));
    let bank = stage.bank("second-bank");
    assert_eq!(word(&one(&bank, recycled()).await), "yes");
    let again = one(&bank, recycled()).await;
    assert_eq!(
        (word(&again).as_str(), detail(&again)),
        ("quota", "clause 4.2: 1 a day for each number")
    );
    drop(bank);
    let stage = stage.restarted().await;
    assert_eq!(
        word(&one(&stage.bank("second-bank"), recycled()).await),
        "quota"
    );
}

/// The sandbox's agreement, with a second clause for sleeping accounts.
fn two_clauses_for_sleeping_accounts() -> WorldSpec {
    let spec = WorldSpec::default();
    let (_, clause) = spec.agreement.split_once("id = \"4.2\"").unwrap();
    let clause = clause.split("\n[[clause]]").next().unwrap();
    let tenure = clause.replace("\"number_recycling\"", "\"tenure\"");
    assert_ne!(clause, tenure);
    let agreement = format!("{}\n[[clause]]\nid = \"4.9\"{tenure}", spec.agreement);
    WorldSpec { agreement, ..spec }
}

#[tokio::test]
async fn a_second_clause_brings_no_second_question_a_day() {
    let stage = Stage::of(&two_clauses_for_sleeping_accounts()).await;
    let bank = stage.bank("second-bank");
    let about = |digits| Lookup::about(north(digits), Purpose::DormantAccount);
    let day = days_ago(300);
    assert_eq!(
        words(&ask(&bank, about(7).number_recycling(day)).await),
        ["yes"]
    );
    let tenure = one(&bank, about(7).tenure(day)).await;
    assert_eq!(
        (word(&tenure).as_str(), detail(&tenure)),
        ("quota", "clause 4.9: 1 a day for each number")
    );
    // Both signals in one question are one question.
    let both = about(24).number_recycling(day).tenure(day);
    assert_eq!(words(&ask(&bank, both).await), ["yes", "no"]);
    assert_eq!(word(&one(&bank, about(24).tenure(day)).await), "quota");
}

#[tokio::test]
async fn a_clause_under_a_new_number_brings_no_second_question_a_day() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("second-bank");
    let recycled =
        || Lookup::about(north(7), Purpose::DormantAccount).number_recycling(days_ago(300));
    assert_eq!(word(&one(&bank, recycled()).await), "yes");
    let text = stage.files.next_agreement_text().unwrap();
    let renumbered = text.replacen("id = \"4.2\"", "id = \"4.8\"", 1);
    stage.files.resign_agreement(&renumbered).unwrap();
    let new_number = || async {
        let again = one(&bank, recycled()).await;
        assert_eq!(word(&again), "quota");
        detail(&again).starts_with("clause 4.8")
    };
    wait_until("the new number", new_number).await.unwrap();
    drop(bank);
    // Nor does a restart, which reads the old number in the ledger.
    let Stage { world, dir } = stage;
    let (files, _) = world.stop().await.unwrap();
    let clock = files.spec().clock.clone();
    let world = World::start(files, clock).await.unwrap();
    let again = one(&world.client("second-bank").unwrap(), recycled()).await;
    assert_eq!(word(&again), "quota");
    drop(dir);
}

#[tokio::test]
async fn a_question_that_told_nothing_used_nothing() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("second-bank");
    let recycled = |digits| {
        Lookup::about(north(digits), Purpose::DormantAccount).number_recycling(days_ago(9))
    };
    // Timeout, source down: asked again, they say the same and not `quota`.
    for (digits, why) in [(11, "timeout"), (12, "source_down")] {
        for _ in 0..2 {
            assert_eq!(word(&one(&bank, recycled(digits)).await), why);
        }
    }
    // "Undecided" tells something: that there was a change about then.
    let first = stage.bank("first-bank");
    assert_eq!(word(&one(&first, sim(17, 72)).await), "undecided");
    assert_eq!(word(&one(&first, sim(17, 24)).await), "quota");
}

#[tokio::test]
async fn a_bank_beyond_its_rate_is_told_when_to_come_back() {
    let spec = WorldSpec::default().limit("bank_per_second", 5);
    let stage = Stage::of(&spec).await;
    let caller = Caller::party(&stage, "first-bank");
    let before = record::size(&stage);
    let asked = (0..30).map(|_| caller.ask(&stage, question(&north(0))));
    let outcomes = futures_util::future::join_all(asked).await;
    let refused: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| outcome.as_ref().err())
        .collect();
    assert!(
        refused.len() >= 15 && refused.len() <= 25,
        "{}",
        refused.len()
    );
    for status in &refused {
        assert_eq!(
            told(status),
            (Code::ResourceExhausted, "RATE_LIMITED".to_owned(), None)
        );
        let retry = accord_client::Refusal::from_status(status)
            .retry_after
            .unwrap();
        assert!(retry.as_millis() > 0 && retry.as_secs() <= 5, "{retry:?}");
    }
    let events = record::since(&stage, before);
    assert_eq!(
        record::accesses(&events).len(),
        outcomes.len() - refused.len()
    );
    assert!(
        record::refused(&events)
            .iter()
            .all(|(.., reason, _)| reason == "RATE_LIMITED")
    );
    // The other bank has its own rate.
    let other = Lookup::about(north(0), Purpose::Payment).sim_swap();
    assert_eq!(words(&ask(&stage.bank("second-bank"), other).await), ["no"]);
}

#[tokio::test]
async fn beyond_a_clauses_rate_its_signals_have_no_quota_left() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    // Clause 5.1: five a second, and five a day for each number.
    let complaint = |digits| Lookup::about(north(digits), Purpose::Complaint).sim_swap();
    let asked = (100..130).map(|digits| one(&bank, complaint(digits)));
    let outcomes = futures_util::future::join_all(asked).await;
    let quota = outcomes.iter().filter(|outcome| word(outcome) == "quota");
    assert!(quota.clone().count() >= 10);
    quota.for_each(|outcome| {
        assert_eq!(detail(outcome), "clause 5.1: too many questions a second");
    });
}

#[tokio::test]
async fn refusals_that_flood_are_counted() {
    use accord_proto::v1::entry::Event;

    const FLOOD: u64 = 200;
    let spec = WorldSpec::default().limit("refusals_per_second", 5);
    let stage = Stage::of(&spec).await;
    let caller = Caller::party(&stage, "first-bank");
    let before = record::size(&stage);
    let asked = (0..FLOOD).map(|_| caller.ask(&stage, question("nonsense")));
    for outcome in futures_util::future::join_all(asked).await {
        assert_eq!(told(&outcome.err().unwrap()).1, "MALFORMED_FIELD");
    }
    let all = || {
        let events = record::since(&stage, before);
        let counted = events.iter().map(|event| match event {
            Event::RefusalCount(count) => {
                assert_eq!(count.party, "spiffe://accord.test/bank/first-bank");
                count.refused
            }
            Event::RefusedCall(_) => 1,
            other => panic!("{other:?}"),
        });
        (events.len(), counted.sum::<u64>())
    };
    wait_until("every refusal to be counted", || async { all().1 == FLOOD })
        .await
        .unwrap();
    assert!(all().0 < 100, "{} entries", all().0);
    // The other bank still has its own budget.
    let mine = Lookup::about(north(0), Purpose::Payment)
        .sim_swap()
        .request_id("r");
    let other = Lookup::about(north(1), Purpose::Payment)
        .sim_swap()
        .request_id("r");
    let second = stage.bank("second-bank");
    ask(&second, mine).await;
    assert!(matches!(
        second.lookup(other).await,
        Err(CallError::Refused(_))
    ));
    let refused = record::refused(&record::since(&stage, before));
    assert!(
        refused
            .iter()
            .any(|(party, ..)| party.ends_with("/second-bank"))
    );
}
