//! The links of an operator: what its adapters stop, and how many attach.

use accord_client::{Client, Lookup};
use accord_proto::{
    purpose::Purpose,
    v1::{self, adapter_link::Kind, broker_message, entry::Event, observation::What},
    wire::CHANGES_MAX,
};
use accord_tests::world::{WorldSpec, wait_until};
use prost::Message as _;
use tonic::Code;

use crate::{
    caller::{Caller, told},
    played::{Played, alone, change, disbelieved, links, swapped},
    record,
    said::{Stage, north, one, word},
};

#[tokio::test]
async fn a_kill_switch_outlives_its_link_and_its_end_is_on_the_record() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    let caller = Caller::party(&stage, "north-mobile");
    let before = record::size(&stage);
    let stopped = || async {
        let lookup = Lookup::about(north(1), Purpose::Payment).sim_swap();
        word(&one(&bank, lookup).await) == "suspended"
    };
    let left = |times| links(&stage, before, Kind::Left, "played").len() == times;
    let said = || links(&stage, before, Kind::Restricted, "played");
    let played = Played::attach(&caller, "played").await.unwrap();
    played.settle().await;
    played.stop_sim_swap("first-bank").await;
    wait_until("the stop", stopped).await.unwrap();
    drop(played);
    wait_until("it to leave", || async { left(1) })
        .await
        .unwrap();
    assert!(stopped().await, "it is in force without its adapter");

    // Said again, it changes nothing; not said again, it ends.
    let played = Played::attach(&caller, "played").await.unwrap();
    played.stop_sim_swap("first-bank").await;
    played.settle().await;
    drop(played);
    wait_until("it to leave", || async { left(2) })
        .await
        .unwrap();
    assert!(stopped().await);
    assert_eq!(said(), ["stops sim_swap for first-bank"]);
    let played = Played::attach(&caller, "played").await.unwrap();
    played.settle().await;
    wait_until("the lift", || async { !stopped().await })
        .await
        .unwrap();
    let both = [
        "stops sim_swap for first-bank",
        "lifts sim_swap for first-bank",
    ];
    assert_eq!(said(), both);
}

/// More than come at once on the record: 256, and then ten a second.
const MANY: usize = 300;

/// Stops many banks that there are not, and one that there is, and waits until that one is stopped.
async fn stop_many(played: &Played, bank: &Client) {
    for other in 0..MANY {
        played.stop_sim_swap(&format!("bank-{other}")).await;
    }
    played.stop_sim_swap("first-bank").await;
    wait_until("the stop", || async {
        let lookup = Lookup::about(north(1), Purpose::Payment).sim_swap();
        word(&one(bank, lookup).await) == "suspended"
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_kill_switch_acts_at_once_however_many_wait_for_the_record() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    let caller = Caller::party(&stage, "north-mobile");
    let before = record::size(&stage);
    let played = Played::attach(&caller, "played").await.unwrap();
    played.settle().await;
    stop_many(&played, &bank).await;
    // Whatever else it says is heard meanwhile.
    played.reply(4_711, Vec::new()).await;
    let said = || links(&stage, before, Kind::Restricted, "played");
    disbelieved(&stage, before, 1).await;
    assert!(said().len() <= MANY, "it waited for the record");
    wait_until("all stops on the record", || async { said().len() > MANY })
        .await
        .unwrap();
    assert_eq!(said()[MANY], "stops sim_swap for first-bank");
}

#[tokio::test]
async fn what_an_adapter_stopped_is_on_the_record_though_it_left_at_once() {
    let stage = Stage::sandbox().await;
    let caller = Caller::party(&stage, "north-mobile");
    let before = record::size(&stage);
    let played = Played::attach(&caller, "played").await.unwrap();
    stop_many(&played, &stage.bank("first-bank")).await;
    drop(played);
    let left = |event: &Event| {
        matches!(event, Event::AdapterLink(link)
            if link.kind == Kind::Left as i32 && link.instance == "played")
    };
    record::wait_for(&stage, before, "it to leave", left).await;
    let said = links(&stage, before, Kind::Restricted, "played");
    assert_eq!(said.len(), MANY + 1);
}

#[tokio::test]
async fn a_full_batch_of_changes_is_read_whatever_the_limit_on_messages_and_a_longer_one_is_not() {
    let spec = WorldSpec::default().limit("message_kib_max", 1);
    let (stage, mut played) = alone(Stage::of(&spec).await).await;
    let mut observation = swapped(120, 60);
    if let Some(What::Change(change)) = &mut observation.what {
        change.monitored_since = change.after;
    }
    let batch = |len| vec![change(&north(1), observation.clone()); len];
    assert!(
        batch(CHANGES_MAX)
            .iter()
            .map(v1::Change::encoded_len)
            .sum::<usize>()
            > 16 * 1_024
    );
    played.pushed(1, batch(CHANGES_MAX)).await;
    let before = record::size(&stage);
    played.push(2, batch(CHANGES_MAX + 1)).await;
    while let Ok(Some(next)) = played.next().await {
        assert!(!matches!(next, broker_message::Message::Accepted(_)));
    }
    let said = disbelieved(&stage, before, 1).await;
    assert_eq!(said, ["changes: at most 256 in a batch"]);
}

#[tokio::test]
async fn an_operator_attaches_so_many_instances_and_no_more() {
    let stage = Stage::sandbox().await;
    let caller = Caller::party(&stage, "north-mobile");
    let mut played = Vec::new();
    let refused = loop {
        match Played::attach(&caller, &format!("played-{}", played.len())).await {
            Ok(one) => played.push(one),
            Err(refused) => break refused,
        }
    };
    // The sandbox's own is one of sixteen.
    assert_eq!(played.len(), 15);
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(
        told(&refused).2.as_deref(),
        Some("hello.instance"),
        "{refused:?}"
    );
    assert!(
        refused.message().contains("at most 16"),
        "{}",
        refused.message()
    );
}
