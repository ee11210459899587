//! The first two messages of a link: hello and welcome.

use std::time::Duration;

use accord_proto::v1::{
    self, adapter_message, adapter_service_client::AdapterServiceClient, broker_message,
};
use futures_util::stream;
use tokio::{sync::mpsc, time::timeout};
use tonic::{Streaming, transport::Channel};

use super::{SOFTWARE, Shared, link_end::Lost};

/// The broker must accept the attachment within this.
const ATTACH_MAX: Duration = Duration::from_secs(5);
/// Messages that may wait to be sent, beyond a reply for each ask in flight.
const WAITING_MAX: usize = 1_024;
/// The two directions of an attached stream, and what the broker said first.
pub(super) type Attached = (
    Streaming<v1::BrokerMessage>,
    mpsc::Sender<v1::AdapterMessage>,
    v1::AttachWelcome,
);

/// Says hello and waits for the welcome.
pub(super) async fn attach(
    shared: &Shared,
    mut client: AdapterServiceClient<Channel>,
) -> Result<Attached, Lost> {
    let capacity = usize::try_from(shared.credit).unwrap_or(WAITING_MAX) + WAITING_MAX;
    let (outbound, mut queue) = mpsc::channel(capacity);
    let head = shared.journal.head();
    let signals = shared.sets.answerable().iter();
    let hello = v1::Hello {
        instance: shared.instance.clone(),
        signals: signals.map(|signal| signal.to_wire() as i32).collect(),
        credit: shared.credit,
        journal_size: head.size,
        journal_head: head.hash.to_vec(),
        software: SOFTWARE.to_owned(),
    };
    let hello = message(adapter_message::Message::Hello(hello));
    outbound.try_send(hello).map_err(|_| Lost::Stuck)?;
    let requests = stream::poll_fn(move |cx| queue.poll_recv(cx));
    let attaching = async {
        let mut inbound = client.attach(requests).await?.into_inner();
        let first = inbound.message().await?.ok_or(Lost::Closed)?;
        match first.message {
            Some(broker_message::Message::Welcome(welcome)) => Ok((inbound, outbound, welcome)),
            Some(
                broker_message::Message::Ask(_)
                | broker_message::Message::Heartbeat(_)
                | broker_message::Message::Credit(_)
                | broker_message::Message::Served(_)
                | broker_message::Message::Accepted(_),
            )
            | None => Err(Lost::NoWelcome),
        }
    };
    timeout(ATTACH_MAX, attaching)
        .await
        .unwrap_or(Err(Lost::NotWelcomed))
}

/// Wraps a message.
pub(super) const fn message(message: adapter_message::Message) -> v1::AdapterMessage {
    v1::AdapterMessage {
        message: Some(message),
    }
}
