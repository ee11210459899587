//! An adapter that the test plays itself, message by message.

use accord_proto::{
    v1::{
        self, AdapterMessage, BrokerMessage, adapter_link::Kind, adapter_message::Message,
        adapter_service_client::AdapterServiceClient, broker_message, entry::Event,
        signal_reply::Outcome,
    },
    wire::timestamp,
};
use accord_tests::world::{WAIT_MAX, wait_until};
use jiff::SignedDuration;
use prost::Message as _;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::{
    caller::Caller,
    record,
    said::{Stage, now},
};

/// The stage with its operator `north-mobile` played by the test alone.
pub(crate) async fn alone(mut stage: Stage) -> (Stage, Played) {
    stage.world.kill_adapter("north-mobile").await.unwrap();
    let caller = Caller::party(&stage, "north-mobile");
    let played = Played::attach(&caller, "played").await.unwrap();
    played.settle().await;
    (stage, played)
}

/// One attached stream; it ends when this is dropped.
pub(crate) struct Played {
    say: mpsc::Sender<AdapterMessage>,
    heard: Streaming<BrokerMessage>,
}

impl Played {
    /// Attaches an instance that can answer `sim_swap`, and is asked eight questions at once.
    pub(crate) async fn attach(caller: &Caller, instance: &str) -> Result<Self, Status> {
        let (say, said) = mpsc::channel(64);
        let hello = v1::Hello {
            instance: instance.to_owned(),
            signals: vec![v1::Signal::SimSwap as i32],
            credit: 8,
            ..v1::Hello::default()
        };
        say.send(message(Message::Hello(hello))).await.unwrap();
        let mut client = AdapterServiceClient::new(caller.channel.clone());
        let heard = client.attach(ReceiverStream::new(said)).await?.into_inner();
        Ok(Self { say, heard })
    }

    pub(crate) async fn say(&self, said: Message) {
        self.say.send(message(said)).await.unwrap();
    }

    pub(crate) async fn stop_sim_swap(&self, bank: &str) {
        let kill = v1::KillSwitch {
            bank: bank.to_owned(),
            signal: v1::Signal::SimSwap as i32,
        };
        let restriction = v1::Restriction {
            scope: Some(v1::restriction::Scope::Kill(kill)),
            lifted: false,
        };
        self.say(Message::Restriction(restriction)).await;
    }

    pub(crate) async fn settle(&self) {
        self.say(Message::Heartbeat(v1::Heartbeat {})).await;
    }

    pub(crate) async fn push(&self, sequence: u64, changes: Vec<v1::Change>) {
        let batch = v1::ChangeBatch {
            sequence,
            changes,
            nonce: vec![7; 32],
            journal_index: sequence,
        };
        self.push_sealed(batch.encode_to_vec()).await;
    }

    /// Pushes, and waits until it is acknowledged. What an operator says is read in turn, so that all
    /// that was said before is in force then, too.
    pub(crate) async fn pushed(&mut self, sequence: u64, changes: Vec<v1::Change>) {
        self.push(sequence, changes).await;
        assert_eq!(self.accepted().await, sequence);
    }

    /// Pushes what may be a batch.
    pub(crate) async fn push_sealed(&self, sealed: Vec<u8>) {
        self.say(Message::Changes(sealed.into())).await;
    }

    /// Replies to an ask with these signals.
    pub(crate) async fn reply(&self, id: u64, signals: Vec<v1::SignalReply>) {
        let body = v1::ReplyBody {
            signals,
            customer_lock: false,
        };
        let reply = v1::Reply {
            id,
            body: body.encode_to_vec().into(),
            nonce: vec![7; 32],
            journal_index: 1,
        };
        self.say(Message::Reply(reply)).await;
    }

    /// Replies to the next ask with these signals. It hangs where the operator is not asked.
    pub(crate) async fn answer(&mut self, signals: Vec<v1::SignalReply>) {
        let id = self.ask().await.id;
        self.reply(id, signals).await;
    }

    /// What comes next, or how the stream ended.
    pub(crate) async fn next(&mut self) -> Result<Option<broker_message::Message>, Status> {
        let next = timeout(WAIT_MAX, self.heard.message()).await.unwrap()?;
        Ok(next.and_then(|next| next.message))
    }

    /// The next ask, whatever comes before it.
    pub(crate) async fn ask(&mut self) -> v1::Ask {
        loop {
            let next = self.next().await.unwrap();
            if let broker_message::Message::Ask(ask) = next.unwrap() {
                return ask;
            }
        }
    }

    /// The sequence of the next batch that is acknowledged.
    pub(crate) async fn accepted(&mut self) -> u64 {
        loop {
            let next = self.next().await.unwrap();
            if let broker_message::Message::Accepted(accepted) = next.unwrap() {
                return accepted.sequence;
            }
        }
    }
}

fn message(message: Message) -> AdapterMessage {
    AdapterMessage {
        message: Some(message),
    }
}

/// A SIM that was changed in an interval of so many minutes ago, as of now.
pub(crate) fn swapped(after_minutes: i64, before_minutes: i64) -> v1::Observation {
    let ago = |minutes| Some(timestamp(now() - SignedDuration::from_mins(minutes)));
    let change = v1::ChangeObservation {
        after: ago(after_minutes),
        before: ago(before_minutes),
        monitored_since: None,
        kind: 0,
    };
    v1::Observation {
        what: Some(v1::observation::What::Change(change)),
        observed_at: ago(0),
        source: v1::SourceClass::Virtual as i32,
    }
}

/// What is said of one signal.
pub(crate) fn says(signal: v1::Signal, observation: v1::Observation) -> v1::SignalReply {
    v1::SignalReply {
        signal: signal as i32,
        outcome: Some(Outcome::Observation(observation)),
    }
}

/// A change of a number's SIM.
pub(crate) fn change(number: &str, observation: v1::Observation) -> v1::Change {
    v1::Change {
        msisdn: number.to_owned(),
        signal: v1::Signal::SimSwap as i32,
        observation: Some(observation),
        withdrawn: false,
    }
}

/// What was said of this number's SIM holds no more.
pub(crate) fn withdrawal(number: &str) -> v1::Change {
    v1::Change {
        msisdn: number.to_owned(),
        signal: v1::Signal::SimSwap as i32,
        observation: None,
        withdrawn: true,
    }
}

/// The details of an operator's link entries of one kind, since an index.
pub(crate) fn links(stage: &Stage, from: u64, kind: Kind, instance: &str) -> Vec<String> {
    let events = record::since(stage, from).into_iter();
    let details = events.filter_map(|event| match event {
        Event::AdapterLink(link) if link.kind == kind as i32 && link.instance == instance => {
            Some(link.detail)
        }
        _ => None,
    });
    details.collect()
}

/// Waits until the record says of so many things since an index that they were not believed, and what
/// of them.
pub(crate) async fn disbelieved(stage: &Stage, from: u64, count: usize) -> Vec<String> {
    let said = || links(stage, from, Kind::NotBelieved, "played");
    wait_until("it not to be believed", || async { said().len() >= count })
        .await
        .unwrap();
    let said = said();
    assert_eq!(said.len(), count, "{said:?}");
    said
}
