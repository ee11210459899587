//! Adapters that the test plays itself, message by message.

use accord_client::Lookup;
use accord_proto::{
    purpose::Purpose,
    v1::{
        self, AdapterMessage, BrokerMessage, adapter_link::Kind, adapter_message::Message,
        adapter_service_client::AdapterServiceClient, entry::Event,
    },
};
use accord_tests::world::wait_until;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::{
    caller::{Caller, told},
    record,
    said::{Stage, north, one, word},
};

/// One attached stream; it ends when this is dropped.
struct Played {
    say: mpsc::Sender<AdapterMessage>,
    _heard: Streaming<BrokerMessage>,
}

impl Played {
    async fn attach(caller: &Caller, instance: &str) -> Result<Self, Status> {
        let (say, said) = mpsc::channel(64);
        let hello = v1::Hello {
            instance: instance.to_owned(),
            signals: vec![v1::Signal::SimSwap as i32],
            credit: 1,
            ..v1::Hello::default()
        };
        say.send(message(Message::Hello(hello))).await.unwrap();
        let mut client = AdapterServiceClient::new(caller.channel.clone());
        let heard = client.attach(ReceiverStream::new(said)).await?.into_inner();
        Ok(Self { say, _heard: heard })
    }

    async fn say(&self, said: Message) {
        self.say.send(message(said)).await.unwrap();
    }

    async fn stop_sim_swap(&self) {
        let kill = v1::KillSwitch {
            bank: "first-bank".to_owned(),
            signal: v1::Signal::SimSwap as i32,
        };
        let restriction = v1::Restriction {
            scope: Some(v1::restriction::Scope::Kill(kill)),
            lifted: false,
        };
        self.say(Message::Restriction(restriction)).await;
    }

    async fn settle(&self) {
        self.say(Message::Heartbeat(v1::Heartbeat {})).await;
    }
}

fn message(message: Message) -> AdapterMessage {
    AdapterMessage {
        message: Some(message),
    }
}

/// The details of an operator's link entries of one kind, since an index.
fn links(stage: &Stage, from: u64, kind: Kind, instance: &str) -> Vec<String> {
    let events = record::since(stage, from).into_iter();
    let details = events.filter_map(|event| match event {
        Event::AdapterLink(link) if link.kind == kind as i32 && link.instance == instance => {
            Some(link.detail)
        }
        _ => None,
    });
    details.collect()
}

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
    played.stop_sim_swap().await;
    wait_until("the stop", stopped).await.unwrap();
    drop(played);
    wait_until("it to leave", || async { left(1) })
        .await
        .unwrap();
    assert!(stopped().await, "it is in force without its adapter");

    // Said again, it changes nothing; not said again, it ends.
    let played = Played::attach(&caller, "played").await.unwrap();
    played.stop_sim_swap().await;
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
