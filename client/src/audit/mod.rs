//! Reading the ledger and the agreement: what authorities, and each party for its own entries, do.

mod agreement;
pub(crate) mod query;
pub(crate) mod stored;
mod subjects;
pub mod verify;

pub use subjects::{ProvedAccess, SubjectReport};

use std::{sync::Arc, time::Duration};

use accord_proto::{
    c2sp::{SignedNote, checkpoint::Checkpoint},
    merkle::{Hash, leaf_hash, verify_consistency},
    party::PartyId,
    statement::Statement,
    v1::{self, audit_service_client::AuditServiceClient},
};
use prost::Message as _;
use tonic::{Request, Response, Status, Streaming, transport::Channel};

use crate::{
    answer::Mistrust,
    builder::BuildError,
    connect::{RECEIVE_BYTES_MAX, SEND_BYTES_MAX},
    failover::{self, Next},
    identity::Identity,
    receipt::{Assurance, LogTrust, chain, check_proof},
    refusal::{CallError, Refusal},
    session::{Connections, Session},
};

pub use agreement::{ActTaken, AgreementHistory, AgreementInForce};

/// How long a new stream may take to begin.
const OPEN_S_MAX: u64 = 10;

/// Reads the ledger. Each read of entries states what it is for
/// ([`stating`](Auditor::stating)), and is itself an entry; checkpoints and proofs reveal no entry
/// and need no statement.
#[derive(Clone, Debug)]
pub struct Auditor {
    pub(crate) connections: Arc<Connections>,
    pub(crate) deadline: Duration,
    pub(crate) log: LogTrust,
    pub(crate) statement: Option<Statement>,
}

/// A checkpoint, as the broker gave it.
#[derive(Clone, Debug)]
pub struct SignedCheckpoint {
    /// Origin, size and root.
    pub checkpoint: Checkpoint,
    /// The signed note.
    pub note: SignedNote,
    /// A configured key of the log signed it. False only where no key is configured.
    pub verified: bool,
}

/// One entry of the ledger.
#[derive(Clone, Debug)]
pub struct LedgerEntry {
    /// The origin of the log that it is in; empty: the current one.
    pub origin: String,
    /// Its index.
    pub index: u64,
    /// Its exact bytes: the leaf.
    pub bytes: Vec<u8>,
    /// The same, decoded.
    pub entry: v1::Entry,
}

impl LedgerEntry {
    pub(crate) fn parse(origin: String, index: u64, bytes: Vec<u8>) -> Result<Self, Mistrust> {
        let entry =
            v1::Entry::decode(bytes.as_slice()).map_err(|_| Mistrust::Malformed("entry"))?;
        Ok(Self {
            origin,
            index,
            bytes,
            entry,
        })
    }

    /// RFC 6962 leaf hash.
    #[must_use]
    pub fn leaf_hash(&self) -> Hash {
        leaf_hash(&self.bytes)
    }
}

impl Auditor {
    /// As whom it reads.
    #[must_use]
    pub fn party(&self) -> &PartyId {
        self.connections.party()
    }

    /// Puts another certificate of the same party in the place of the present one, for this reader
    /// and all that share its connections. What has begun ends with the certificate that it began
    /// with. A client that asks about numbers renews itself with [`Client::renew`].
    ///
    /// # Errors
    /// [`BuildError`]; then all stays as it was.
    ///
    /// [`Client::renew`]: crate::Client::renew
    pub fn renew(&self, identity: Identity) -> Result<(), BuildError> {
        self.connections.renew(identity)
    }

    pub(crate) fn session(&self) -> Arc<Session> {
        self.connections.session()
    }

    /// What one call brings, from the first broker that answers.
    async fn call<T, F>(
        &self,
        deadline: Duration,
        call: impl Fn(Channel, Duration) -> F,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let response = self.session().failover.call(deadline, call).await?;
        Ok(response.into_inner())
    }

    /// The same reader, who states this with each read of entries from here on.
    #[must_use]
    pub fn stating(mut self, statement: Statement) -> Self {
        self.statement = Some(statement);
        self
    }

    /// What it states. Without a statement the broker refuses each read of entries.
    #[must_use]
    pub const fn statement(&self) -> Option<&Statement> {
        self.statement.as_ref()
    }

    /// The newest checkpoint of the log named `origin` (empty: the current one, here and below).
    ///
    /// # Errors
    /// [`CallError`]; a checkpoint that no configured key signed is not believed.
    pub async fn checkpoint(&self, origin: &str) -> Result<SignedCheckpoint, CallError> {
        let call = async |channel: Channel, within: Duration| {
            let origin = origin.to_owned();
            let request = request(v1::GetCheckpointRequest { origin }, within);
            audit(channel).get_checkpoint(request).await
        };
        let response = self.call(self.deadline, call).await?;
        Ok(self.open_checkpoint(&response.checkpoint)?)
    }

    /// One entry: a party its own, an authority those in its remit. The exact bytes and their meaning.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn entry(&self, origin: &str, index: u64) -> Result<LedgerEntry, CallError> {
        let call = async |channel: Channel, within: Duration| {
            let origin = origin.to_owned();
            let message = v1::GetEntryRequest {
                origin,
                index,
                statement: self.stated(),
            };
            let request = request(message, within);
            audit(channel).get_entry(request).await
        };
        let response = self.call(self.deadline, call).await?;
        Ok(LedgerEntry::parse(
            origin.to_owned(),
            index,
            response.entry,
        )?)
    }

    /// A C2SP `tlog-proof` that the entry with this leaf hash is in the log, and how far it was
    /// verified.
    ///
    /// # Errors
    /// [`CallError`]; a proof that does not hold is not believed.
    pub async fn prove_inclusion(
        &self,
        origin: &str,
        index: u64,
        leaf_hash: &Hash,
    ) -> Result<(String, Assurance), CallError> {
        let call = async |channel: Channel, within: Duration| {
            let origin = origin.to_owned();
            let request = request(v1::ProveInclusionRequest { origin, index }, within);
            audit(channel).prove_inclusion(request).await
        };
        let response = self.call(self.deadline, call).await?;
        let proof = response.proof;
        let origin = if origin.is_empty() {
            self.origin_of(&proof)?
        } else {
            origin.to_owned()
        };
        let assurance = check_proof(&proof, &origin, index, leaf_hash, &self.log)?;
        Ok((proof, assurance))
    }

    /// Proves that the newest tree continues an older one, and returns the newest checkpoint.
    ///
    /// # Errors
    /// [`CallError`]; [`Mistrust::Proof`] if history was rewritten.
    pub async fn prove_consistency(&self, old: &Checkpoint) -> Result<SignedCheckpoint, CallError> {
        let call = async |channel: Channel, within: Duration| {
            let message = v1::ProveConsistencyRequest {
                origin: old.origin.clone(),
                old_size: old.size,
                new_size: 0,
            };
            audit(channel)
                .prove_consistency(request(message, within))
                .await
        };
        let response = self.call(self.deadline, call).await?;
        let new = self.open_checkpoint(&response.checkpoint)?;
        if new.checkpoint.origin != old.origin {
            return Err(Mistrust::Proof("it is from another log".to_owned()).into());
        }
        let hashes: Vec<Hash> = response
            .hashes
            .into_iter()
            .map(|hash| hash.try_into().map_err(|_| Mistrust::Malformed("hashes")))
            .collect::<Result<_, _>>()?;
        verify_consistency(
            (old.size, &old.root),
            (new.checkpoint.size, &new.checkpoint.root),
            &hashes,
        )
        .map_err(|error| Mistrust::Proof(error.to_string()))?;
        Ok(new)
    }

    /// Entries from an index on, then as they come, from one month's log into the next; with
    /// `once`, up to the present end of the one log.
    ///
    /// # Errors
    /// [`CallError`] if the stream can't be opened.
    pub async fn tail(&self, origin: &str, from_index: u64, once: bool) -> Result<Tail, CallError> {
        let call = async |channel: Channel, _: Duration| {
            let message = v1::TailRequest {
                origin: origin.to_owned(),
                from_index,
                once,
                statement: self.stated(),
            };
            audit(channel).tail(Request::new(message)).await
        };
        let deadline = self.deadline.max(Duration::from_secs(OPEN_S_MAX));
        let session = self.session();
        let (entries, endpoint) = session.failover.call_one(deadline, call).await?;
        Ok(Tail {
            entries: entries.into_inner(),
            endpoint: endpoint.to_owned(),
            once,
        })
    }

    /// The ledger's name, without a month.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn ledger_name(&self) -> Result<String, CallError> {
        let origin = self.checkpoint("").await?.checkpoint.origin;
        let name = origin.rsplit_once('/').map(|(name, _)| name.to_owned());
        name.ok_or_else(|| Mistrust::Malformed("origin").into())
    }

    fn stated(&self) -> Option<v1::ReadStatement> {
        self.statement.as_ref().map(Statement::to_wire)
    }

    fn open_checkpoint(&self, text: &str) -> Result<SignedCheckpoint, Mistrust> {
        let broken = |error: &dyn std::error::Error| Mistrust::Proof(chain(error));
        let note = SignedNote::parse(text).map_err(|error| broken(&error))?;
        let verified = !self.log.keys.is_empty();
        let checkpoint = if verified {
            Checkpoint::open(&note, &self.log.keys).map_err(|error| broken(&error))?
        } else {
            Checkpoint::parse(note.text()).map_err(|error| broken(&error))?
        };
        Ok(SignedCheckpoint {
            checkpoint,
            note,
            verified,
        })
    }

    fn origin_of(&self, proof: &str) -> Result<String, Mistrust> {
        let checkpoint = proof
            .split_once("\n\n")
            .ok_or(Mistrust::Malformed("proof"))?
            .1;
        Ok(self.open_checkpoint(checkpoint)?.checkpoint.origin)
    }
}

/// Entries, as they come.
#[derive(Debug)]
pub struct Tail {
    entries: Streaming<v1::TailResponse>,
    endpoint: String,
    once: bool,
}

impl Tail {
    /// The next entry; `None` at the end of a tail that was asked for `once`.
    ///
    /// # Errors
    /// [`CallError::Unreachable`] if the broker stops or the connection breaks: tail again from
    /// the index after the last one. [`CallError::Refused`] if the broker ends the stream on
    /// purpose.
    pub async fn next(&mut self) -> Result<Option<LedgerEntry>, CallError> {
        let message = self.entries.message().await;
        match message.map_err(|status| self.ended(status))? {
            Some(message) => {
                let entry = LedgerEntry::parse(message.origin, message.index, message.entry)?;
                Ok(Some(entry))
            }
            None if self.once => Ok(None),
            None => Err(self.ended(Status::unavailable("the broker ended the stream"))),
        }
    }

    fn ended(&self, status: Status) -> CallError {
        match failover::next(&status) {
            Next::Elsewhere(_) => CallError::Unreachable {
                endpoint: self.endpoint.clone(),
                attempts: 1,
                source: Box::new(status),
            },
            Next::Later(_) | Next::Never => CallError::Refused(Refusal::from_status(&status)),
        }
    }
}

fn request<T>(message: T, within: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(within);
    request
}

fn audit(channel: Channel) -> AuditServiceClient<Channel> {
    AuditServiceClient::new(channel)
        .max_decoding_message_size(RECEIVE_BYTES_MAX)
        .max_encoding_message_size(SEND_BYTES_MAX)
}
