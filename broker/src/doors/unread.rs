//! Messages that no door ever sees: too long, or bytes that are no message of the method. The
//! library refuses them before a handler runs; this layer gives them the details, and the entry,
//! that every other refusal has.

use std::{
    error::Error as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};

use super::status::status;
use crate::{identity::Peer, path::Refusal, refusals::RefusalBook};

/// The methods that take one message, as they stand on the record. Of the others each message is
/// read by the door itself.
const METHODS: [&str; 9] = [
    "AgreementService.GetAgreement",
    "AuditService.GetCheckpoint",
    "AuditService.GetEntry",
    "AuditService.ProveConsistency",
    "AuditService.ProveInclusion",
    "AuditService.Query",
    "AuditService.RecordExport",
    "AuditService.Tail",
    "SignalService.Lookup",
];

/// What a status of the library says about a message that it could not read: `OutOfRange` for one
/// beyond the limit, `Internal` for bytes that do not decode. Our own statuses have neither code. A
/// stream or connection that broke has a source, and is nobody's message.
pub(super) fn unread(status: &Status) -> Option<Refusal> {
    if status.source().is_some() {
        None
    } else if status.code() == Code::OutOfRange {
        Some(Refusal::MessageTooLong)
    } else if status.code() == Code::Internal && status.details().is_empty() {
        Some(Refusal::MessageMalformed)
    } else {
        None
    }
}

/// Puts `Unread` around every door.
#[derive(Clone, Debug)]
pub struct UnreadLayer {
    refusals: Arc<RefusalBook>,
}

impl UnreadLayer {
    /// A layer that writes into this book.
    #[must_use]
    pub const fn new(refusals: Arc<RefusalBook>) -> Self {
        Self { refusals }
    }
}

impl<S> Layer<S> for UnreadLayer {
    type Service = Unread<S>;

    fn layer(&self, doors: S) -> Unread<S> {
        let refusals = Arc::clone(&self.refusals);
        Unread { doors, refusals }
    }
}

/// The doors, and who refuses what they never see.
#[derive(Clone, Debug)]
pub struct Unread<S> {
    doors: S,
    refusals: Arc<RefusalBook>,
}

impl<S> Service<Request<Body>> for Unread<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.doors.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = method(request.uri().path());
        let peer = request.extensions().get::<Arc<Peer>>().cloned();
        let refusals = Arc::clone(&self.refusals);
        let answer = self.doors.call(request);
        Box::pin(async move {
            let response = answer.await?;
            let refused = response.extensions().get::<Status>().and_then(unread);
            let (Some(refusal), Some(method), Some(peer)) = (refused, method, peer) else {
                return Ok(response);
            };
            let recorded = match peer.party() {
                Some(party) => refusals.record(party, method, &refusal).await,
                None => Ok(()),
            };
            let told = recorded.err().unwrap_or(refusal);
            Ok(status(&told).into_http())
        })
    }
}

fn method(path: &str) -> Option<&'static str> {
    let (service, name) = path.strip_prefix("/accord.v1.")?.split_once('/')?;
    METHODS
        .into_iter()
        .find(|method| method.split_once('.') == Some((service, name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_library_could_not_read_is_taken_over() {
        let reason = |status: &Status| unread(status).map(|refusal| refusal.reason());
        let long = Status::new(Code::OutOfRange, "the limit is: 4 bytes");
        assert_eq!(reason(&long), Some("MESSAGE_TOO_LONG"));
        let broken = Status::new(Code::Internal, "invalid tag value: 0");
        assert_eq!(reason(&broken), Some("MALFORMED_MESSAGE"));
        for refusal in [
            Refusal::PartyUnknown,
            Refusal::MessageMalformed,
            Refusal::Overloaded,
        ] {
            assert_eq!(reason(&status(&refusal)), None);
        }
    }

    #[test]
    fn a_stream_that_broke_is_no_malformed_message() {
        let mut reset = Status::new(Code::Internal, "h2 protocol error");
        assert!(unread(&reset).is_some());
        reset.set_source(Arc::new(std::io::Error::other("stream error received")));
        assert!(unread(&reset).is_none());
    }

    #[test]
    fn methods_with_one_message_are_known() {
        assert_eq!(
            method("/accord.v1.SignalService/Lookup"),
            Some("SignalService.Lookup")
        );
        assert_eq!(method("/accord.v1.SignalService/Screen"), None);
        assert_eq!(method("/grpc.health.v1.Health/Check"), None);
    }
}
