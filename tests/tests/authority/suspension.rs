//! A suspension acts at once: on open streams, on questions in flight, on the view, after a restart.

use accord_client::{Answered, CallError, Client, Lookup, Outcome, Scope, Screened};
use accord_proto::{
    agreement::{Act, Verb},
    purpose::Purpose,
    reason::Reason,
    v1::{self, agreement_act::Kind, entry::Event},
};
use accord_tests::world::{
    CENTRAL_BANK, TELECOM_REGULATOR, World, WorldFiles, WorldSpec, admin_page, wait_until,
};
use prost::Message as _;
use tempfile::TempDir;
use tokio::{sync::mpsc, time::Duration};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use crate::{
    desk::{about, governing, key, lift, on, refused},
    stage::Stage,
};

/// A debug build on a busy machine may take this long.
const PATIENCE: Duration = Duration::from_secs(20);

fn sim(number: &str) -> Lookup {
    Lookup::about(number, Purpose::Payment).sim_swap()
}

const NORTH: &str = "+447700900001";
const SUD: &str = "+33639980001";
/// Their operators take 600 ms.
const SLOW: &str = "+447700900010";
const SLOW_SUD: &str = "+33639980010";

async fn ask(client: &Client, lookup: Lookup) -> Answered {
    client.lookup_within(lookup, PATIENCE).await.unwrap()
}

/// Why the first signal has no value; `None` where it has one.
fn why(answered: &Answered) -> Option<(Reason, &str)> {
    match &answered.signals().first().unwrap().outcome {
        Outcome::Unanswered { reason, detail } => Some((*reason, detail)),
        Outcome::Value { .. } => None,
    }
}

fn suspended(answered: &Answered, by: &str) {
    let Some((Reason::Suspended, detail)) = why(answered) else {
        panic!("{:?}", answered.signals());
    };
    assert!(detail.contains(by), "{detail}");
}

#[tokio::test]
async fn a_suspended_bank_is_refused_with_what_it_can_act_on_and_others_go_on() {
    let stage = Stage::sandbox().await;
    let (bank, other) = (
        stage.client("first-bank").unwrap(),
        stage.client("second-bank").unwrap(),
    );
    assert_eq!(why(&ask(&bank, sim(NORTH)).await), None);
    on(&stage, CENTRAL_BANK, Verb::Suspend, "bank:first-bank")
        .await
        .unwrap();
    // No waiting: the very next question is refused, on the same connection, under the same token.
    let refusal = refused(bank.lookup(sim(NORTH)).await);
    assert_eq!(
        (refusal.code, &*refusal.reason),
        (Code::FailedPrecondition, "SUSPENDED")
    );
    for said in ["central-bank", "a test", "both authorities"] {
        assert!(refusal.message.contains(said), "{refusal}");
    }
    assert_eq!(why(&ask(&other, sim(NORTH)).await), None);
    // It may still learn what governs it, and why it was suspended; the other learns only that.
    let reason = async |party: &str| {
        let agreement = stage.auditor(party).unwrap().agreement().await.unwrap();
        assert_eq!(agreement.suspended[0].target, "bank:first-bank");
        agreement.suspended[0].reason.clone()
    };
    assert_eq!(reason("first-bank").await, "a test");
    assert_eq!(reason("second-bank").await, "");
    // One authority does not lift it, whichever it is.
    let asked = on(&stage, CENTRAL_BANK, Verb::Lift, "bank:first-bank").await;
    assert_eq!(asked.unwrap().kind, Kind::LiftAsked);
    let again = refused(on(&stage, CENTRAL_BANK, Verb::Lift, "bank:first-bank").await);
    assert!(again.message.contains("telecom regulator must"), "{again}");
    refused(bank.lookup(sim(NORTH)).await);
    let lifted = on(&stage, TELECOM_REGULATOR, Verb::Lift, "bank:first-bank").await;
    assert_eq!(lifted.unwrap().kind, Kind::Lifted);
    assert_eq!(why(&ask(&bank, sim(NORTH)).await), None);
}

#[tokio::test]
async fn a_suspended_operator_and_a_suspended_signal_say_so_and_nobody_is_asked() {
    let stage = Stage::sandbox().await;
    let bank = stage.client("first-bank").unwrap();
    on(
        &stage,
        TELECOM_REGULATOR,
        Verb::Suspend,
        "operator:north-mobile",
    )
    .await
    .unwrap();
    let answered = ask(&bank, sim(NORTH)).await;
    suspended(&answered, TELECOM_REGULATOR);
    let Event::Access(access) = stage.event(answered.receipt.index) else {
        panic!()
    };
    assert!(access.replies.is_empty() && !access.signals[0].from_view);
    assert_eq!(access.signals[0].reason, v1::Reason::Suspended as i32);
    assert_eq!(why(&ask(&bank, sim(SUD)).await), None);
    lift(&stage, "operator:north-mobile").await;
    assert_eq!(why(&ask(&bank, sim(NORTH)).await), None);
    on(&stage, CENTRAL_BANK, Verb::Suspend, "signal:sim_swap")
        .await
        .unwrap();
    for number in [NORTH, SUD] {
        let both = Lookup::about(number, Purpose::Payment).sim_swap().roaming();
        let answered = ask(&bank, both).await;
        suspended(&answered, CENTRAL_BANK);
        let roaming = &answered.signals()[1].outcome;
        assert!(matches!(roaming, Outcome::Value { .. }), "{roaming:?}");
    }
}

#[tokio::test]
async fn the_view_does_not_serve_past_a_suspension() {
    let stage = Stage::sandbox().await;
    let bank = stage.client("first-bank").unwrap();
    wait_until("the view to serve", || async {
        let index = ask(&bank, sim(NORTH)).await.receipt.index;
        matches!(stage.event(index), Event::Access(access) if access.signals[0].from_view)
    })
    .await
    .unwrap();
    on(&stage, CENTRAL_BANK, Verb::Suspend, "operator:north-mobile")
        .await
        .unwrap();
    suspended(&ask(&bank, sim(NORTH)).await, CENTRAL_BANK);
}

/// Waits until so many questions are on their way.
async fn in_flight(world: &World, count: usize) {
    let line = format!("accord_questions_in_flight {count}\n");
    wait_until("questions on their way", || async {
        let answer = admin_page(world.broker.admin_address(), "/metrics").await;
        answer.unwrap().contains(&line)
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_question_in_flight_is_not_answered_under_what_was_suspended_meanwhile() {
    let stage = Stage::sandbox().await;
    let text = governing(&stage).await;
    let desk = stage.auditor(CENTRAL_BANK).unwrap();
    let roaming = |number: &str| Lookup::about(number, Purpose::Payment).roaming();
    for (target, lookup, said) in [
        ("bank:first-bank", sim(SLOW), "both authorities"),
        ("operator:north-mobile", roaming(SLOW), CENTRAL_BANK),
        ("signal:sim_swap", sim(SLOW_SUD), CENTRAL_BANK),
        ("all", roaming(SLOW_SUD), "both authorities"),
    ] {
        // Made and connected before, so that it comes while the operator is asked.
        let suspend = Act {
            target: Some(target.parse().unwrap()),
            ..about(Verb::Suspend, &text)
        };
        let note = suspend.sign(&key(&stage, CENTRAL_BANK)).unwrap();
        desk.agreement().await.unwrap();
        let bank = stage.client("first-bank").unwrap();
        let question = tokio::spawn(async move { ask(&bank, lookup).await });
        in_flight(&stage, 1).await;
        let taken = desk.act(&note, "").await.unwrap();
        let answered = question.await.unwrap();
        suspended(&answered, said);
        assert!(answered.receipt.index > taken.index, "{target}");
        // What is not in force is not cited; the record says under what it was asked.
        let cited = !answered.answer.agreement.is_empty();
        assert_eq!(cited, target != "all", "{target}");
        let Event::Access(access) = stage.event(answered.receipt.index) else {
            panic!()
        };
        assert_eq!(access.agreement, "SANDBOX-2026-1");
        assert_eq!(access.replies.len(), 1, "{target}: its operator was asked");
        lift(&stage, target).await;
    }
}

type Line = (usize, Lookup);

/// The result of the next line: its tag, and why it has no value.
fn outcome(screened: Screened<usize>) -> (usize, String) {
    let word = match &screened.outcome {
        Ok(answered) => why(answered).map_or_else(
            || "answered".to_owned(),
            |(reason, _)| reason.name().to_owned(),
        ),
        Err(error) => format!("{error:?}"),
    };
    (screened.tag, word)
}

#[tokio::test]
async fn an_open_stream_learns_of_each_suspension_at_its_next_line() {
    let stage = Stage::sandbox().await;
    let bank = stage.client("first-bank").unwrap();
    let (lines, stream) = mpsc::channel::<Line>(4);
    let mut results = bank.screen(Scope::new([Purpose::Payment]), ReceiverStream::new(stream));
    let mut tag = 0;
    for (target, says) in [
        ("", "answered"),
        ("operator:north-mobile", "suspended"),
        ("", "answered"),
        ("signal:sim_swap", "suspended"),
        ("bank:first-bank", "SUSPENDED"),
        ("all", "SUSPENDED"),
        ("", "answered"),
    ] {
        if !target.is_empty() {
            on(&stage, TELECOM_REGULATOR, Verb::Suspend, target)
                .await
                .unwrap();
        }
        tag += 1;
        lines.send((tag, sim(NORTH))).await.unwrap();
        let result = results.next().await.unwrap().unwrap();
        let (of, word) = outcome(result);
        assert_eq!(of, tag);
        assert!(word.contains(says), "{target}: {word}");
        if !target.is_empty() {
            lift(&stage, target).await;
        }
    }
    drop(lines);
    assert!(results.next().await.is_none());
}

#[tokio::test]
async fn no_answer_stands_behind_the_suspension_that_forbids_it() {
    const ASKERS: usize = 8;
    let stage = Stage::sandbox().await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let askers: Vec<_> = (0..ASKERS)
        .map(|asker| {
            let (bank, stopped) = (stage.client("first-bank").unwrap(), stopped.clone());
            tokio::spawn(async move {
                let number = format!("+447700900{:03}", 100 + asker);
                let mut answered = 0;
                while !*stopped.borrow() {
                    match bank.lookup_within(sim(&number), PATIENCE).await {
                        Ok(_) => answered += 1,
                        Err(CallError::Refused(_)) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
                answered
            })
        })
        .collect();
    for _ in 0..3 {
        let before = stage.size();
        wait_until("answers", || async { stage.size() > before + 20 })
            .await
            .unwrap();
        on(&stage, CENTRAL_BANK, Verb::Suspend, "bank:first-bank")
            .await
            .unwrap();
        lift(&stage, "bank:first-bank").await;
    }
    stop.send(true).unwrap();
    for asker in askers {
        assert!(asker.await.unwrap() > 0);
    }
    let (mut stands, mut answers, mut suspensions) = (false, 0, 0);
    for event in stage.since(0) {
        if let Event::AgreementAct(act) = &event {
            suspensions += usize::from(act.kind() == Kind::Suspended);
            stands = act.kind() != Kind::Lifted;
        }
        if let Event::Access(access) = &event
            && access.bank == "first-bank"
        {
            let told = access.signals.iter().any(|signal| signal.reason == 0);
            answers += usize::from(told);
            assert!(!(told && stands), "an answer stands behind its suspension");
        }
    }
    assert!(answers > 0 && suspensions == 3, "{answers} {suspensions}");
}

#[tokio::test]
async fn a_restart_begins_with_what_stands() {
    let dir = TempDir::new().unwrap();
    let spec = WorldSpec::default();
    let files = WorldFiles::write(dir.path(), &spec).unwrap();
    let mut world = World::start(files, spec.clock.clone()).await.unwrap();
    on(&world, CENTRAL_BANK, Verb::Suspend, "bank:first-bank")
        .await
        .unwrap();
    for list in [true, false] {
        let (files, _) = world.stop().await.unwrap();
        let path = dir.path().join("keys/agreement-acts");
        if !list {
            // It only spares reading; the ledger is what counts.
            std::fs::remove_file(&path).unwrap();
        }
        assert_eq!(path.exists(), list);
        world = World::start(files, spec.clock.clone()).await.unwrap();
        let bank = world.client("first-bank").unwrap();
        let refusal = refused(bank.lookup(sim(NORTH)).await);
        assert_eq!(&*refusal.reason, "SUSPENDED");
        let ledger = world.broker.ledger();
        let answered = (0..ledger.size()).any(|index| {
            let bytes = ledger.entry(None, index).unwrap();
            let entry = v1::Entry::decode(bytes.as_slice()).unwrap();
            matches!(entry.event, Some(Event::Access(_)))
        });
        assert!(!answered);
    }
    lift(&world, "bank:first-bank").await;
    let bank = world.client("first-bank").unwrap();
    assert_eq!(why(&ask(&bank, sim(NORTH)).await), None);
}
