//! `AdapterService`: what operators' adapters call.

mod attached;
mod batch;
mod incoming;
mod paced;

use std::{pin::Pin, sync::Arc};

use accord_proto::{
    clock::SharedClock,
    msisdn::could_be_a_number,
    party::Role,
    signal::Signal,
    v1::{
        self, AdapterMessage, BrokerMessage, adapter_message,
        adapter_service_server::AdapterService,
    },
    wire::{FieldError, ID_LEN_MAX},
};
use tokio::time::{Duration, sleep_until, timeout};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use super::{peer, status::status};
use crate::{
    governance::Governance,
    identity::{Peer, TrustStore},
    ledger::Ledger,
    link::{AttachInfo, Links},
    metrics::Metrics,
    path::Refusal,
    refusals::RefusalBook,
    routing::Routing,
    views::Views,
};

const METHOD: &str = "AdapterService.Attach";
/// An adapter says who it is within this time.
const HELLO_DEADLINE: Duration = Duration::from_secs(5);
/// How long an adapter that attaches too often waits before it is refused instead.
const ATTACH_WAIT_MAX: Duration = Duration::from_secs(2);
/// Silence after which each side sends a heartbeat.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(2);
/// Change batches that may be unacknowledged.
pub(super) const CHANGE_CREDIT: u32 = 16;

/// What the operators' door works with.
#[derive(Debug)]
pub struct AdapterParts {
    /// Certificates.
    pub trust: Arc<TrustStore>,
    /// The list of parties, and routes.
    pub governance: Arc<Governance>,
    /// What routes numbers beside the documents.
    pub routing: Arc<Routing>,
    /// Adapters attached.
    pub links: Arc<Links>,
    /// Fresh observations.
    pub views: Arc<Views>,
    /// The record.
    pub ledger: Arc<Ledger>,
    /// Refusals.
    pub refusals: Arc<RefusalBook>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// The months' keys.
    pub tag_keys: Arc<crate::subjects::tag_keys::TagKeys>,
    /// Time.
    pub clock: SharedClock,
}

/// The operators' door.
#[derive(Debug, Clone)]
pub struct AdapterDoor {
    parts: Arc<AdapterParts>,
}

impl AdapterDoor {
    /// A door to these parts.
    #[must_use]
    pub fn new(parts: AdapterParts) -> Self {
        Self {
            parts: Arc::new(parts),
        }
    }

    /// Refuses before anything is on the record: whoever attaches in a loop must not fill it.
    async fn await_turn(&self, peer: &Peer, info: &AttachInfo) -> Result<(), Refusal> {
        let party = peer.party().ok_or(Refusal::PartyUnknown)?;
        let operator = self.parts.links.operator_or_new(party.org());
        operator.check_room(&info.instance)?;
        // One entry when it attaches, one when it leaves.
        let turn = operator.pace().turn(2, ATTACH_WAIT_MAX);
        sleep_until(turn.ok_or(Refusal::Overloaded)?).await;
        Ok(())
    }

    async fn refuse(&self, peer: &Peer, refusal: Refusal) -> Status {
        if let Some(party) = peer.party()
            && let Err(unrecorded) = self.parts.refusals.record(party, METHOD, &refusal).await
        {
            return status(&unrecorded);
        }
        status(&refusal)
    }
}

/// What goes out to an adapter.
pub(super) type AttachStream = Pin<Box<dyn Stream<Item = Result<BrokerMessage, Status>> + Send>>;

#[tonic::async_trait]
impl AdapterService for AdapterDoor {
    type AttachStream = AttachStream;

    async fn attach(
        &self,
        request: Request<Streaming<AdapterMessage>>,
    ) -> Result<Response<AttachStream>, Status> {
        let peer = peer(&request)?;
        if let Err(refusal) = check(&self.parts, &peer) {
            return Err(self.refuse(&peer, refusal).await);
        }
        let mut messages = request.into_inner();
        let hello = match timeout(HELLO_DEADLINE, messages.message()).await {
            Ok(Ok(Some(message))) => parse_hello(message),
            Ok(Ok(None) | Err(_)) | Err(_) => Err(FieldError::new("hello", "comes first, in time")),
        };
        let (info, hello) = match hello {
            Ok(hello) => hello,
            Err(error) => return Err(self.refuse(&peer, error.into()).await),
        };
        if let Err(refusal) = self.await_turn(&peer, &info).await {
            return Err(self.refuse(&peer, refusal).await);
        }
        // It goes on when the adapter hangs up: who was put on the record leaves on the record.
        let attach = attached::attach(Arc::clone(&self.parts), peer, info, hello, messages);
        match tokio::spawn(attach).await {
            Ok(Ok(stream)) => Ok(Response::new(stream)),
            Ok(Err(refusal)) => Err(status(&refusal)),
            Err(_) => Err(status(&Refusal::NotReady("it can't attach an adapter"))),
        }
    }
}

/// An operator, registered and licensed (rule R02). Looked at again while the stream runs.
pub(super) fn check(parts: &AdapterParts, peer: &Peer) -> Result<(), Refusal> {
    let now = parts.clock.now();
    let party = peer.check(&parts.trust, now)?;
    if party.role() != Role::Operator {
        return Err(Refusal::Role {
            role: party.role(),
            allowed: "operators",
        });
    }
    parts.governance.current().check_licence(party, now)
}

fn parse_hello(message: AdapterMessage) -> Result<(AttachInfo, v1::Hello), FieldError> {
    let Some(adapter_message::Message::Hello(hello)) = message.message else {
        return Err(FieldError::new("hello", "comes first"));
    };
    let instance = hello.instance.clone();
    let printable = instance.bytes().all(|byte| byte.is_ascii_graphic());
    if instance.is_empty() || instance.len() > ID_LEN_MAX || !printable {
        let rule = format!("1 to {ID_LEN_MAX} printable ASCII characters without spaces");
        return Err(FieldError::new("hello.instance", rule));
    }
    for (field, text) in [("instance", &instance), ("software", &hello.software)] {
        if could_be_a_number(text) {
            let rule = "holds what could be a phone number, which must not stand in the record";
            return Err(FieldError::new(format!("hello.{field}"), rule));
        }
    }
    if hello.software.len() > ID_LEN_MAX || hello.journal_head.len() > 64 {
        return Err(FieldError::new("hello", "a field is too long"));
    }
    let mut signals = Vec::new();
    for number in hello.signals.iter().take(Signal::ALL.len()) {
        // Signals that this broker does not know yet are left out: it will not ask for them.
        signals.extend(Signal::from_wire(*number));
    }
    if hello.credit == 0 {
        return Err(FieldError::new(
            "hello.credit",
            "at least one ask must be granted",
        ));
    }
    Ok((
        AttachInfo {
            instance,
            signals,
            credit: hello.credit,
        },
        hello,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(instance: &str, software: &str) -> AdapterMessage {
        let hello = v1::Hello {
            instance: instance.to_owned(),
            software: software.to_owned(),
            credit: 1,
            ..v1::Hello::default()
        };
        AdapterMessage {
            message: Some(adapter_message::Message::Hello(hello)),
        }
    }

    #[test]
    fn an_adapter_named_like_a_number_does_not_get_on_the_record() {
        assert!(parse_hello(hello("hlr-1", "accord-adapter 0.1.0")).is_ok());
        for (instance, software, field) in [
            ("44-7700-900001", "x", "hello.instance"),
            ("hlr-1", "x +44 7700 900001", "hello.software"),
        ] {
            let error = parse_hello(hello(instance, software)).unwrap_err();
            assert_eq!(error.field, field);
        }
    }
}
