//! `SubjectService`: the keys of closed months, and what is reported to a subject. For authorities.

mod report;

use std::{pin::Pin, sync::Arc};

use accord_proto::{
    clock::SharedClock,
    party::{PartyId, Role},
    shares::{KeyRequest, RequestKind, SignedRequest},
    statement::{Statement, missing},
    subject::Month,
    v1::{
        GetShareRequest, GetShareResponse, KeyActRequest, KeyActResponse, ListKeyMonthsRequest,
        ListKeyMonthsResponse, ReadStatement, ReportSubjectRequest, ReportSubjectResponse,
        subject_service_server::SubjectService,
    },
    wire::FieldError,
};
use jiff::tz::TimeZone;
use tokio::{sync::Semaphore, time::Duration};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::{peer, status::status};
use crate::{
    governance::Governance,
    identity::{Peer, TrustStore},
    ledger::Ledger,
    link::Links,
    path::{Rates, Refusal},
    refusals::RefusalBook,
    routing::Routing,
    subjects::{
        closed::{ClosedKeys, GivenFor},
        tag_keys::TagKeys,
    },
};

/// Reports that are made at once: each reads two months of the ledger.
const REPORTS_MAX: usize = 2;

/// What the door works with.
#[derive(Debug)]
pub struct SubjectParts {
    /// Certificates.
    pub trust: Arc<TrustStore>,
    /// Agreement, list of parties and routes.
    pub governance: Arc<Governance>,
    /// What routes numbers beside the documents.
    pub routing: Arc<Routing>,
    /// Adapters attached.
    pub links: Arc<Links>,
    /// The record.
    pub ledger: Arc<Ledger>,
    /// Refusals.
    pub refusals: Arc<RefusalBook>,
    /// The keys of this month and the last.
    pub tag_keys: Arc<TagKeys>,
    /// The keys of those before.
    pub closed: Arc<ClosedKeys>,
    /// Calls a second for each party.
    pub rates: Rates,
    /// How long an operator may take to say since when a number has had its holder.
    pub operator_deadline: Duration,
    /// Whether proofs are made against what a quorum of witnesses has cosigned.
    pub witnessed: bool,
    /// Time.
    pub clock: SharedClock,
}

/// The authorities' door to subjects.
#[derive(Debug, Clone)]
pub struct SubjectDoor {
    parts: Arc<SubjectParts>,
    reports: Arc<Semaphore>,
}

impl SubjectDoor {
    /// A door to these parts.
    #[must_use]
    pub fn new(parts: SubjectParts) -> Self {
        Self {
            parts: Arc::new(parts),
            reports: Arc::new(Semaphore::new(REPORTS_MAX)),
        }
    }

    /// The authority that calls.
    fn authority(&self, peer: &Peer) -> Result<PartyId, Refusal> {
        let parts = &self.parts;
        let now = parts.clock.now();
        let party = peer.check(&parts.trust, now)?;
        if party.role() != Role::Authority {
            return Err(Refusal::Role {
                role: party.role(),
                allowed: "authorities",
            });
        }
        parts.governance.current().check_licence(party, now)?;
        let within = parts.rates.party(party.org());
        within.map_err(|retry_after| Refusal::RateLimited { retry_after })?;
        Ok(party.clone())
    }

    /// What the request states of itself (rule R37).
    fn stated(&self, statement: Option<&ReadStatement>) -> Result<Statement, FieldError> {
        let today = self.parts.clock.now().to_zoned(TimeZone::UTC).date();
        Statement::parse(statement.ok_or_else(missing)?, today)
    }

    async fn months(&self, peer: &Peer) -> Result<ListKeyMonthsResponse, Refusal> {
        self.authority(peer)?;
        let months = self.parts.closed.months().await?;
        Ok(ListKeyMonthsResponse { months })
    }

    async fn share(
        &self,
        peer: &Peer,
        request: GetShareRequest,
    ) -> Result<GetShareResponse, Refusal> {
        let party = self.authority(peer)?;
        let month = month(&request.month)?;
        let closed = &self.parts.closed;
        if request.to_keep {
            let share = closed.give(month, &party, GivenFor::Keeping).await?;
            return Ok(GetShareResponse {
                share: share.to_string(),
            });
        }
        let statement = self.stated(request.statement.as_ref())?;
        if statement.case().is_none() {
            let rule = "is required: a half is given for a case, or `to_keep`";
            return Err(FieldError::new("statement.case", rule).into());
        }
        let share = closed.give(month, &party, GivenFor::Case(&statement));
        let share = share.await?;
        Ok(GetShareResponse {
            share: share.to_string(),
        })
    }

    async fn act(
        &self,
        peer: &Peer,
        kind: RequestKind,
        note: String,
    ) -> Result<KeyActResponse, Refusal> {
        let party = self.authority(peer)?;
        let now = self.parts.clock.now();
        let signed = self.signed(&party, &note)?;
        let asked = &signed.request;
        let wrong = |rule: String| Err(FieldError::new("note", rule).into());
        if asked.kind != kind {
            return wrong(format!(
                "the note says `{}`, and the call is `{}`",
                asked.kind.name(),
                kind.name()
            ));
        }
        let name = self.parts.ledger.key().name();
        if asked.ledger != name {
            return wrong(format!("the note is for another ledger than `{name}`"));
        }
        if !asked.is_fresh(now) {
            return wrong("the note was not signed within ten minutes of now".to_owned());
        }
        let closed = Arc::clone(&self.parts.closed);
        // A caller that hangs up leaves nothing half done.
        let act = async move { closed.act(&signed, &party, note, now).await };
        let acted = tokio::spawn(act).await;
        let acted =
            acted.map_err(|_| Refusal::NotReady("its work on the month's key broke off"))?;
        let (month, committed) = acted?;
        Ok(KeyActResponse {
            month: Some(month),
            origin: committed.origin.to_string(),
            index: committed.index,
        })
    }

    /// What a note asks, if the caller's own key signed it, and no other authority's: the one that
    /// the ledger pins.
    fn signed(&self, party: &PartyId, note: &str) -> Result<SignedRequest, FieldError> {
        let authorities = self.parts.governance.authorities();
        let own = [authorities.telecom_regulator(), authorities.central_bank()]
            .into_iter()
            .find(|key| key.name() == party.org().as_str());
        let own = own.ok_or_else(|| FieldError::new("note", "the ledger pins no key of yours"))?;
        let signed = KeyRequest::open(note, authorities)
            .map_err(|error| FieldError::new("note", error.to_string()))?;
        if authorities.key(signed.by) != own {
            let rule = format!("the note is not signed with your own key, `{own}`");
            return Err(FieldError::new("note", rule));
        }
        Ok(signed)
    }

    async fn answer<T>(
        &self,
        peer: &Peer,
        method: &'static str,
        outcome: Result<T, Refusal>,
    ) -> Result<Response<T>, Status> {
        let refusal = match outcome {
            Ok(told) => return Ok(Response::new(told)),
            Err(refusal) => refusal,
        };
        if let Some(party) = peer.party()
            && let Err(unrecorded) = self.parts.refusals.record(party, method, &refusal).await
        {
            return Err(status(&unrecorded));
        }
        Err(status(&refusal))
    }
}

fn month(text: &str) -> Result<Month, FieldError> {
    Month::parse(text).ok_or_else(|| FieldError::new("month", "a month such as 2026-09"))
}

#[tonic::async_trait]
impl SubjectService for SubjectDoor {
    type ReportSubjectStream =
        Pin<Box<dyn Stream<Item = Result<ReportSubjectResponse, Status>> + Send>>;

    async fn list_key_months(
        &self,
        request: Request<ListKeyMonthsRequest>,
    ) -> Result<Response<ListKeyMonthsResponse>, Status> {
        let peer = peer(&request)?;
        let outcome = self.months(&peer).await;
        self.answer(&peer, "SubjectService.ListKeyMonths", outcome)
            .await
    }

    async fn get_share(
        &self,
        request: Request<GetShareRequest>,
    ) -> Result<Response<GetShareResponse>, Status> {
        let peer = peer(&request)?;
        let outcome = self.share(&peer, request.into_inner()).await;
        self.answer(&peer, "SubjectService.GetShare", outcome).await
    }

    async fn set_hold(
        &self,
        request: Request<KeyActRequest>,
    ) -> Result<Response<KeyActResponse>, Status> {
        let peer = peer(&request)?;
        let note = request.into_inner().note;
        let outcome = self.act(&peer, RequestKind::Hold, note).await;
        self.answer(&peer, "SubjectService.SetHold", outcome).await
    }

    async fn lift_hold(
        &self,
        request: Request<KeyActRequest>,
    ) -> Result<Response<KeyActResponse>, Status> {
        let peer = peer(&request)?;
        let note = request.into_inner().note;
        let outcome = self.act(&peer, RequestKind::Lift, note).await;
        self.answer(&peer, "SubjectService.LiftHold", outcome).await
    }

    async fn shred_month(
        &self,
        request: Request<KeyActRequest>,
    ) -> Result<Response<KeyActResponse>, Status> {
        let peer = peer(&request)?;
        let note = request.into_inner().note;
        let outcome = self.act(&peer, RequestKind::Shred, note).await;
        self.answer(&peer, "SubjectService.ShredMonth", outcome)
            .await
    }

    async fn report_subject(
        &self,
        request: Request<ReportSubjectRequest>,
    ) -> Result<Response<Self::ReportSubjectStream>, Status> {
        let peer = peer(&request)?;
        let outcome = self.report(&peer, request.into_inner()).await;
        self.answer(&peer, "SubjectService.ReportSubject", outcome)
            .await
    }
}
