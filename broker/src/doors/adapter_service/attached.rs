//! One attached adapter's stream, from its entry in the ledger to the entry that it left.

use std::sync::Arc;

use accord_proto::{
    party::{OrgName, PartyId},
    v1::{self, AdapterMessage, AttachWelcome, BrokerMessage, Heartbeat, broker_message},
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::{AdapterParts, AttachStream, CHANGE_CREDIT, HEARTBEAT, check, incoming::Incoming};
use crate::{
    entry::record_entry,
    identity::Peer,
    link::{Adapter, AttachInfo, Operator, Outgoing},
    path::Refusal,
};

/// Messages on their way to the adapter that HTTP/2 has not taken yet.
const OUT_LEN_MAX: usize = 256;

/// Puts the attachment on the record and starts the two directions of the stream.
pub(super) async fn attach(
    parts: Arc<AdapterParts>,
    peer: Arc<Peer>,
    info: AttachInfo,
    hello: v1::Hello,
    messages: Streaming<AdapterMessage>,
) -> Result<AttachStream, Refusal> {
    let party = peer.party().cloned().ok_or(Refusal::PartyUnknown)?;
    let instance = info.instance.clone();
    let attached = link_entry(v1::adapter_link::Kind::Attached, &party, &instance, &hello);
    record_entry(&parts.ledger, attached).await?;
    tracing::info!(operator = %party.org(), instance, software = hello.software, "adapter attached");
    let operator = parts.links.operator_or_new(party.org());
    let (adapter, outgoing) = Adapter::attach(info);
    operator.attach(Arc::clone(&adapter));
    parts
        .metrics
        .adapters_attached(party.org().as_str(), operator.attached());
    let (out, stream) = mpsc::channel(OUT_LEN_MAX);
    let link = Link {
        parts,
        peer,
        party,
        operator,
        adapter,
        hello,
    };
    tokio::spawn(send(outgoing, out, link.parts.views.epoch()));
    tokio::spawn(link.receive(messages));
    Ok(Box::pin(ReceiverStream::new(stream)))
}

/// The receiving direction, which owns the attachment.
struct Link {
    parts: Arc<AdapterParts>,
    peer: Arc<Peer>,
    party: PartyId,
    operator: Arc<Operator>,
    adapter: Arc<Adapter>,
    hello: v1::Hello,
}

impl Link {
    async fn receive(self, mut messages: Streaming<AdapterMessage>) {
        let operator: OrgName = self.party.org().clone();
        let mut incoming = Incoming::new(&self.parts, &operator, &self.adapter);
        let why = loop {
            let next = tokio::select! {
                next = timeout(HEARTBEAT * 3, messages.message()) => next,
                () = self.parts.links.closed() => break "the broker is stopping",
            };
            let message = match next {
                Ok(Ok(Some(message))) => message,
                Ok(Ok(None)) => break "it closed the stream",
                Ok(Err(_)) => break "the stream broke",
                Err(_) => break "it fell silent",
            };
            if !self.operator.holds(&self.adapter) {
                break "a new attach of the same instance took its place";
            }
            if check(&self.parts, &self.peer).is_err() {
                break "its certificate or licence is no longer in force";
            }
            if let Err(why) = incoming.take(message).await {
                break why;
            }
        };
        self.leave(why).await;
    }

    async fn leave(self, why: &'static str) {
        self.operator.detach(&self.adapter);
        let org = self.party.org();
        self.parts
            .metrics
            .adapters_attached(org.as_str(), self.operator.attached());
        let instance = self.hello.instance.clone();
        tracing::info!(operator = %org, instance, why, "adapter left");
        let mut left = link_entry(
            v1::adapter_link::Kind::Left,
            &self.party,
            &instance,
            &self.hello,
        );
        if let v1::entry::Event::AdapterLink(link) = &mut left {
            why.clone_into(&mut link.detail);
        }
        if let Err(error) = record_entry(&self.parts.ledger, left).await {
            tracing::error!(%error, "can't record that an adapter left");
        }
    }
}

/// The sending direction: asks before reports, and a heartbeat after silence. It ends when the
/// adapter is detached, since then nobody holds the sending ends.
async fn send(
    mut outgoing: Outgoing,
    out: mpsc::Sender<Result<BrokerMessage, Status>>,
    view_epoch: u64,
) {
    let heartbeat_ms = u32::try_from(HEARTBEAT.as_millis()).unwrap_or(u32::MAX);
    let welcome = AttachWelcome {
        credit: CHANGE_CREDIT,
        view_epoch,
        heartbeat_ms,
    };
    if out
        .send(Ok(message(broker_message::Message::Welcome(welcome))))
        .await
        .is_err()
    {
        return;
    }
    let mut silent_until = Instant::now() + HEARTBEAT;
    loop {
        let next = tokio::select! {
            biased;
            ask = outgoing.asks.recv() => match ask {
                Some(ask) => ask,
                None => return,
            },
            report = outgoing.reports.recv() => match report {
                Some(report) => report,
                None => return,
            },
            () = out.closed() => return,
            () = sleep_until(silent_until) => message(broker_message::Message::Heartbeat(Heartbeat {})),
        };
        if out.send(Ok(next)).await.is_err() {
            return;
        }
        silent_until = Instant::now() + HEARTBEAT;
    }
}

const fn message(message: broker_message::Message) -> BrokerMessage {
    BrokerMessage {
        message: Some(message),
    }
}

fn link_entry(
    kind: v1::adapter_link::Kind,
    party: &PartyId,
    instance: &str,
    hello: &v1::Hello,
) -> v1::entry::Event {
    v1::entry::Event::AdapterLink(v1::AdapterLink {
        kind: kind as i32,
        operator: party.org().to_string(),
        instance: instance.to_owned(),
        detail: hello.software.clone(),
        journal_size: hello.journal_size,
        journal_head: hello.journal_head.clone(),
    })
}
