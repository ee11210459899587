//! One attached adapter's stream, from its entry in the ledger to the entry that it left.

use std::sync::Arc;

use accord_proto::{
    party::PartyId,
    v1::{self, AdapterMessage, AttachWelcome, BrokerMessage, Heartbeat, broker_message},
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout_at},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::{
    super::status::status, AdapterParts, AttachStream, CHANGE_CREDIT, HEARTBEAT, METHOD, check,
    incoming::Incoming,
};
use crate::{
    entry::record_entry,
    identity::Peer,
    link::{Adapter, AttachInfo, Operator, Outgoing},
    path::Refusal,
};

/// Messages on their way to the adapter that HTTP/2 has not taken yet.
const OUT_LEN_MAX: usize = 256;
/// Why a link ends whose adapter is attached once more.
const REPLACED: &str = "a new attach of the same instance took its place";

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
    let (adapter, outgoing) = match operator.attach(info) {
        Ok(attached) => attached,
        // Others took the last place meanwhile.
        Err(error) => {
            record_left(&parts, &party, &hello, &error.to_string()).await;
            return Err(error.into());
        }
    };
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
        out: out.clone(),
    };
    let adapter = Arc::clone(&link.adapter);
    tokio::spawn(send(adapter, outgoing, out, link.parts.views.epoch()));
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
    /// Only to say why the link ends.
    out: mpsc::Sender<Result<BrokerMessage, Status>>,
}

/// Why a link ends.
enum End {
    /// A fact for the record.
    Fact(&'static str),
    /// The operator may not attach any more, which it is told.
    Refused(Refusal),
}

impl From<&'static str> for End {
    fn from(fact: &'static str) -> Self {
        Self::Fact(fact)
    }
}

impl Link {
    async fn receive(self, messages: Streaming<AdapterMessage>) {
        let mut incoming = Incoming::new(&self.parts, &self.party, &self.operator, &self.adapter);
        let end = self.listen(messages, &mut incoming).await;
        incoming.finish().await;
        self.operator.detach(&self.adapter);
        let org = self.party.org();
        self.parts
            .metrics
            .adapters_attached(org.as_str(), self.operator.attached());
        let why = match end {
            End::Fact(fact) => fact.to_owned(),
            End::Refused(refusal) => self.refuse(&refusal).await,
        };
        let instance = &self.hello.instance;
        tracing::info!(operator = %org, instance, why, "adapter left");
        record_left(&self.parts, &self.party, &self.hello, &why).await;
    }

    /// Puts the refusal on the record and tells it, as the stream's last word.
    async fn refuse(&self, refusal: &Refusal) -> String {
        let recorded = self.parts.refusals.record(&self.party, METHOD, refusal);
        let told = match recorded.await {
            Ok(()) => status(refusal),
            Err(unrecorded) => status(&unrecorded),
        };
        // Whoever reads nothing learns nothing.
        let _ = self.out.try_send(Err(told));
        refusal.to_string()
    }

    /// Takes messages until the stream ends, and says why it did.
    async fn listen(
        &self,
        mut messages: Streaming<AdapterMessage>,
        incoming: &mut Incoming<'_>,
    ) -> End {
        let mut closed = std::pin::pin!(self.parts.links.closed());
        let mut detached = std::pin::pin!(self.adapter.detached());
        let mut untrusted = std::pin::pin!(self.peer.untrusted(&self.parts.trust));
        let mut silent_from = Instant::now() + HEARTBEAT * 3;
        loop {
            let due = incoming.due();
            let next = tokio::select! {
                next = timeout_at(silent_from, messages.message()) => next,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    match incoming.take_due().await {
                        Ok(()) => continue,
                        Err(why) => return why.into(),
                    }
                }
                () = &mut detached => return REPLACED.into(),
                () = &mut closed => return "the broker is stopping".into(),
                error = &mut untrusted => return End::Refused(error.into()),
            };
            let message = match next {
                Ok(Ok(Some(message))) => message,
                Ok(Ok(None)) => return "it closed the stream".into(),
                Ok(Err(_)) => return "the stream broke".into(),
                Err(_) => return "it fell silent".into(),
            };
            silent_from = Instant::now() + HEARTBEAT * 3;
            if !self.operator.holds(&self.adapter) {
                return REPLACED.into();
            }
            if let Err(refusal) = check(&self.parts, &self.peer) {
                return End::Refused(refusal);
            }
            if let Err(why) = incoming.take(message).await {
                return why.into();
            }
        }
    }
}

async fn record_left(parts: &AdapterParts, party: &PartyId, hello: &v1::Hello, why: &str) {
    let kind = v1::adapter_link::Kind::Left;
    let mut left = link_entry(kind, party, &hello.instance, hello);
    if let v1::entry::Event::AdapterLink(link) = &mut left {
        why.clone_into(&mut link.detail);
    }
    if let Err(error) = record_entry(&parts.ledger, left).await {
        tracing::error!(%error, "can't record that an adapter left");
    }
}

/// The sending direction: asks before reports, and a heartbeat after silence. It ends with the
/// adapter's link; reports that it has not taken by then stay for the next one.
async fn send(
    adapter: Arc<Adapter>,
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
    let sending = async {
        out.send(Ok(message(broker_message::Message::Welcome(welcome))))
            .await
            .ok()?;
        let mut silent_until = Instant::now() + HEARTBEAT;
        loop {
            // Room comes first: a report that is taken leaves.
            let room = out.reserve().await.ok()?;
            let next = tokio::select! {
                biased;
                ask = outgoing.asks.recv() => ask?,
                served = outgoing.reports.next() => message(broker_message::Message::Served(served)),
                () = out.closed() => return None,
                () = sleep_until(silent_until) => message(broker_message::Message::Heartbeat(Heartbeat {})),
            };
            room.send(Ok(next));
            silent_until = Instant::now() + HEARTBEAT;
        }
    };
    let ended: Option<()> = tokio::select! {
        ended = sending => ended,
        () = adapter.detached() => None,
    };
    debug_assert!(ended.is_none());
    outgoing.reports.leave();
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
