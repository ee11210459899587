//! The keys of closed months, and the report to a subject: what authorities do about subjects.

use std::time::Duration;

use accord_proto::{
    c2sp::{SignedNote, SigningKey},
    msisdn::Msisdn,
    shares::{KeyRequest, SealedShare},
    subject::Month,
    v1::{self, report_subject_response::Part, subject_service_client::SubjectServiceClient},
};
use tonic::{Request, transport::Channel};

use super::{Auditor, LedgerEntry, OPEN_S_MAX, request};
use crate::{
    answer::Mistrust,
    connect::{RECEIVE_BYTES_MAX, SEND_BYTES_MAX},
    receipt::{Assurance, check_proof},
    refusal::{CallError, Refusal},
};

/// How long a report may take: the operator is asked, and two months of the ledger are read.
const REPORT_S_MAX: u64 = 120;

/// All accesses about one subject, with what they cover.
#[derive(Clone, Debug)]
pub struct SubjectReport {
    /// What the report covers.
    pub head: v1::SubjectReportHead,
    /// Oldest first, each proved.
    pub accesses: Vec<ProvedAccess>,
}

/// One access, with the proof that it is in its log.
#[derive(Clone, Debug)]
pub struct ProvedAccess {
    /// The entry.
    pub entry: LedgerEntry,
    /// A C2SP `tlog-proof`.
    pub proof: String,
    /// How far the proof was verified here.
    pub assurance: Assurance,
}

impl Auditor {
    /// What has become of each month's key, oldest first. For authorities, as all of these.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn key_months(&self) -> Result<Vec<v1::KeyMonth>, CallError> {
        let call = async |channel: Channel, within: Duration| {
            let request = request(v1::ListKeyMonthsRequest {}, within);
            subjects(channel).list_key_months(request).await
        };
        Ok(self.call(self.deadline, call).await?.months)
    }

    /// The caller's own half of a closed month's key, sealed to the caller. It takes a statement
    /// with a case; it is asked for once, since each time is on the record.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn key_share(&self, month: Month) -> Result<SealedShare, CallError> {
        let call = async |channel: Channel, within: Duration| {
            let message = v1::GetShareRequest {
                month: month.to_string(),
                statement: self.stated(),
                to_keep: false,
            };
            subjects(channel).get_share(request(message, within)).await
        };
        share_of(&self.call(self.deadline, call).await?)
    }

    /// As [`key_share`](Self::key_share), to be kept at the close of the month: it takes no
    /// statement, and is on the record all the same.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn own_share(&self, month: Month) -> Result<SealedShare, CallError> {
        let call = async |channel: Channel, within: Duration| {
            let message = v1::GetShareRequest {
                month: month.to_string(),
                statement: None,
                to_keep: true,
            };
            subjects(channel).get_share(request(message, within)).await
        };
        share_of(&self.call(self.deadline, call).await?)
    }

    /// Asks for something to be done with a closed month's key, in a note signed with `key`.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn act_on_key(
        &self,
        asked: &KeyRequest,
        key: &SigningKey,
    ) -> Result<v1::KeyActResponse, CallError> {
        use accord_proto::shares::RequestKind;
        let malformed = |_| CallError::from(Mistrust::Malformed("note"));
        let mut note = SignedNote::unsigned(asked.to_string()).map_err(malformed)?;
        note.sign(key).map_err(malformed)?;
        let note = note.to_string();
        let call = async |channel: Channel, within: Duration| {
            let message = v1::KeyActRequest { note: note.clone() };
            let (mut to, request) = (subjects(channel), request(message, within));
            match asked.kind {
                RequestKind::Hold => to.set_hold(request).await,
                RequestKind::Lift => to.lift_hold(request).await,
                RequestKind::Shred => to.shred_month(request).await,
            }
        };
        self.call(self.deadline, call).await
    }

    /// All accesses about a number since its present holder's tenure began, each with its proof,
    /// verified as far as this reader's keys go.
    ///
    /// # Errors
    /// [`CallError`]; an access whose proof does not hold is not believed.
    pub async fn subject_report(&self, msisdn: &Msisdn) -> Result<SubjectReport, CallError> {
        let call = async |channel: Channel, _: Duration| {
            let message = v1::ReportSubjectRequest {
                msisdn: msisdn.expose().to_owned(),
                statement: self.stated(),
            };
            subjects(channel)
                .report_subject(Request::new(message))
                .await
        };
        let least = Duration::from_secs(OPEN_S_MAX.max(REPORT_S_MAX));
        let deadline = self.deadline.max(least);
        let mut stream = self.call(deadline, call).await?;
        let mut next = async || {
            let message = stream.message().await;
            message.map_err(|status| CallError::Refused(Refusal::from_status(&status)))
        };
        let first = next().await?.and_then(|message| message.part);
        let Some(Part::Head(head)) = first else {
            return Err(Mistrust::Malformed("head").into());
        };
        let mut accesses = Vec::new();
        while let Some(message) = next().await? {
            let Some(Part::Access(access)) = message.part else {
                return Err(Mistrust::Malformed("access").into());
            };
            accesses.push(self.proved(access)?);
        }
        if usize::try_from(head.accesses) != Ok(accesses.len()) {
            return Err(Mistrust::Malformed("accesses").into());
        }
        Ok(SubjectReport { head, accesses })
    }

    fn proved(&self, access: v1::SubjectAccess) -> Result<ProvedAccess, Mistrust> {
        let v1::SubjectAccess {
            origin,
            index,
            entry,
            proof,
        } = access;
        let entry = LedgerEntry::parse(origin, index, entry)?;
        let leaf = entry.leaf_hash();
        let assurance = check_proof(&proof, &entry.origin, index, &leaf, &self.log)?;
        Ok(ProvedAccess {
            entry,
            proof,
            assurance,
        })
    }
}

fn share_of(response: &v1::GetShareResponse) -> Result<SealedShare, CallError> {
    let share = SealedShare::parse(&response.share);
    share.map_err(|_| Mistrust::Malformed("share").into())
}

fn subjects(channel: Channel) -> SubjectServiceClient<Channel> {
    SubjectServiceClient::new(channel)
        .max_decoding_message_size(RECEIVE_BYTES_MAX)
        .max_encoding_message_size(SEND_BYTES_MAX)
}
