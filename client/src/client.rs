//! The client of a bank.

use std::{fmt, sync::Arc, time::Duration};

use accord_proto::{
    clock::SharedClock,
    party::PartyId,
    v1::{self, signal_service_client::SignalServiceClient},
};
use tonic::{Request, Response, Status, transport::Channel};

use crate::{
    answer::{Answered, Mistrust, parse_answer},
    audit::Auditor,
    builder::{BuildError, Builder},
    connect::{RECEIVE_BYTES_MAX, SEND_BYTES_MAX},
    identity::Identity,
    question::{Asked, Lookup},
    receipt::{LogTrust, Receipt},
    refusal::CallError,
    token::TokenMaker,
    token_key::TokenKey,
};

/// Asks about numbers. Cheap to clone; all clones share connections and tokens.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) tokens: TokenMaker,
    pub(crate) clock: SharedClock,
    pub(crate) auditor: Auditor,
}

impl Client {
    /// Begins to build one.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// As whom it asks.
    #[must_use]
    pub fn party(&self) -> &PartyId {
        self.inner.auditor.party()
    }

    /// The same connections, for reading the ledger and the agreement.
    #[must_use]
    pub fn auditor(&self) -> &Auditor {
        &self.inner.auditor
    }

    /// Puts another certificate of the same party, and the key that signs tokens, in the place of the
    /// present ones, for this client and all its clones. A certificate lasts 90 days; whoever runs for
    /// longer reads its files anew each day, say, and calls this. What has begun ends with the
    /// certificate that it began with, and the next call makes its connection anew.
    ///
    /// # Errors
    /// [`BuildError`]; then all stays as it was.
    pub fn renew(&self, identity: Identity, token_key: TokenKey) -> Result<(), BuildError> {
        self.inner.auditor.renew(identity)?;
        self.inner.tokens.renew(token_key);
        Ok(())
    }

    /// Asks about one number, within the client's deadline. Each signal of the answer has a value
    /// or a reason of its own.
    ///
    /// # Errors
    /// [`CallError`]: the question is malformed (nothing was sent), the broker refused it as a
    /// whole, no broker answered, or the answer can't be believed.
    pub async fn lookup(&self, lookup: Lookup) -> Result<Answered, CallError> {
        self.lookup_within(lookup, self.inner.auditor.deadline)
            .await
    }

    /// As [`lookup`](Self::lookup), within another deadline, never longer than
    /// [`DEADLINE_MAX`](crate::DEADLINE_MAX).
    ///
    /// # Errors
    /// As for [`lookup`](Self::lookup).
    pub async fn lookup_within(
        &self,
        lookup: Lookup,
        deadline: Duration,
    ) -> Result<Answered, CallError> {
        let asked = lookup.check(&self.inner.clock)?;
        let session = self.inner.auditor.session();
        let token = self.inner.tokens.token(&asked.scope, &session.thumbprint)?;
        let call = async |channel: Channel, within: Duration| {
            let mut request = Request::new(asked.request.clone());
            request.set_timeout(within);
            let metadata = request.metadata_mut();
            metadata.insert("authorization", token.header.clone());
            signals(channel).lookup(request).await
        };
        let auditor = &self.inner.auditor;
        let response: Result<Response<_>, _> = session.failover.call(deadline, call).await;
        let refused_token = |error: &CallError| {
            matches!(error, CallError::Refused(refusal)
                if refusal.code == tonic::Code::Unauthenticated)
        };
        if response.as_ref().is_err_and(refused_token) {
            // Perhaps the clock was wrong when it was made; the next call makes another one.
            self.inner.tokens.forget(&asked.scope);
        }
        Ok(check(response?.into_inner(), &asked, &auditor.log)?)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("party", self.party())
            .finish_non_exhaustive()
    }
}

/// Holds a response against its question.
pub(crate) fn check(
    response: v1::LookupResponse,
    asked: &Asked,
    log: &LogTrust,
) -> Result<Answered, Mistrust> {
    let answer = parse_answer(&response.answer, asked)?;
    let nonce =
        <[u8; 32]>::try_from(response.nonce.as_ref()).map_err(|_| Mistrust::Malformed("nonce"))?;
    let receipt = response.receipt.ok_or(Mistrust::Malformed("receipt"))?;
    Ok(Answered {
        answer,
        receipt: Receipt::check(receipt, asked.proof, log)?,
        nonce,
        answer_bytes: response.answer,
    })
}

pub(crate) fn signals(channel: Channel) -> SignalServiceClient<Channel> {
    SignalServiceClient::new(channel)
        .max_decoding_message_size(RECEIVE_BYTES_MAX)
        .max_encoding_message_size(SEND_BYTES_MAX)
}

const _: fn() = || {
    fn assert_send<T: Send + Sync>() {}
    assert_send::<Client>();
    assert_send::<Status>();
};
