//! The agreement in force; and for the authorities its life.

use std::time::Duration;

use accord_proto::{
    v1::{self, agreement_act::Kind, agreement_service_client::AgreementServiceClient},
    wire,
};
use jiff::Timestamp;
use tonic::transport::Channel;

use super::{Auditor, request};
use crate::refusal::CallError;

/// The most bytes of a signed agreement received.
const AGREEMENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The agreement in force.
#[derive(Clone, Debug)]
pub struct AgreementInForce {
    /// The signed note: TOML text and the two authorities' signatures.
    pub note: String,
    /// SHA-256 of the note, as it stands in the ledger.
    pub sha256: Vec<u8>,
    /// From when it holds.
    pub effective: Option<Timestamp>,
    /// Until when.
    pub expires: Option<Timestamp>,
    /// What the authorities have suspended.
    pub suspended: Vec<v1::Suspended>,
    /// Since when both authorities have ended it.
    pub ended: Option<Timestamp>,
}

/// What became of an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActTaken {
    /// What it was: the first of two that it takes, or the second.
    pub kind: Kind,
    /// The log that it is in.
    pub origin: String,
    /// The entry.
    pub index: u64,
}

/// What the authorities did, and where the agreement stands.
#[derive(Clone, Debug, Default)]
pub struct AgreementHistory {
    /// Each act, oldest first.
    pub acts: Vec<v1::PastAct>,
    /// Signed by one or both, and not activated.
    pub proposed: Vec<v1::ProposedDocument>,
    /// Activated, and waits for its first day.
    pub waiting: Vec<v1::ProposedDocument>,
}

impl Auditor {
    /// The agreement in force.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn agreement(&self) -> Result<AgreementInForce, CallError> {
        self.agreement_within(self.deadline).await
    }

    /// As [`agreement`](Self::agreement), within another deadline.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn agreement_within(
        &self,
        deadline: Duration,
    ) -> Result<AgreementInForce, CallError> {
        let call = async |channel: Channel, within: Duration| {
            let message = v1::GetAgreementRequest {};
            service(channel)
                .get_agreement(request(message, within))
                .await
        };
        let response = self.call(deadline, call).await?;
        let instant = |at: Option<_>| at.as_ref().and_then(wire::parse_timestamp);
        Ok(AgreementInForce {
            note: response.note,
            sha256: response.sha256,
            effective: instant(response.effective),
            expires: instant(response.expires),
            suspended: response.suspended,
            ended: instant(response.ended),
        })
    }

    /// Acts as an authority: `act` is [`accord_proto::agreement::Act`], signed, and `document` the
    /// signed document where the act has one. Sent twice, it happens once.
    ///
    /// # Errors
    /// [`CallError`]; refused, nothing changed.
    pub async fn act(&self, act: &str, document: &str) -> Result<ActTaken, CallError> {
        let call = async |channel: Channel, within: Duration| {
            let message = v1::ActRequest {
                act: act.to_owned(),
                document: document.to_owned(),
            };
            service(channel).act(request(message, within)).await
        };
        let response = self.call(self.deadline, call).await?;
        Ok(ActTaken {
            kind: response.kind(),
            origin: response.origin,
            index: response.index,
        })
    }

    /// Everything that the authorities did, and where the agreement stands.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn agreement_history(&self) -> Result<AgreementHistory, CallError> {
        let mut history = AgreementHistory::default();
        loop {
            let skip = history.acts.len() as u64;
            let call = async |channel: Channel, within: Duration| {
                let message = v1::HistoryRequest { skip };
                service(channel).history(request(message, within)).await
            };
            let page = self.call(self.deadline, call).await?;
            let came = page.acts.len();
            history.acts.extend(page.acts);
            history.proposed = page.proposed;
            history.waiting = page.waiting;
            if came == 0 || history.acts.len() as u64 >= page.total {
                return Ok(history);
            }
        }
    }

    /// A document by the SHA-256 of its text: a signed note.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn agreement_document(&self, sha256: &[u8]) -> Result<String, CallError> {
        let call = async |channel: Channel, within: Duration| {
            let message = v1::GetDocumentRequest {
                sha256: sha256.to_vec(),
            };
            service(channel)
                .get_document(request(message, within))
                .await
        };
        let response = self.call(self.deadline, call).await?;
        Ok(response.note)
    }
}

fn service(channel: Channel) -> AgreementServiceClient<Channel> {
    AgreementServiceClient::new(channel).max_decoding_message_size(AGREEMENT_BYTES_MAX)
}
