//! The report to a subject: the operator says since when the number has had its holder, the ledger
//! who asked since, and the report is on the record before it leaves.

use std::sync::Arc;

use accord_proto::{
    msisdn::Msisdn,
    party::{OrgName, PartyId},
    purpose::Purpose,
    reason::Reason,
    signal::Signal,
    v1::{
        self, ReportSubjectRequest, ReportSubjectResponse, SubjectAccess, SubjectReportHead,
        key_act::Kind, report_subject_response::Part,
    },
    wire::timestamp,
};
use tokio::time::Instant;

use super::{
    super::{proving, read_blocking},
    SubjectDoor,
};
use crate::{
    entry::record_entry,
    identity::Peer,
    ledger::{Committed, Ledger, LedgerError},
    link::{AskDraft, Evidence, Patience},
    path::Refusal,
    subjects::report::{Accesses, Tenure, accesses, tags_of},
};

/// What the operator is told of why it is asked.
const CLAUSE: &str = "subject-report";
const LEGAL_BASIS: &str = "legal_obligation";

/// What an operator said of a number's holder.
struct Said {
    operator: OrgName,
    tenure: Tenure,
    evidence: Option<Evidence>,
}

type Parts = <SubjectDoor as v1::subject_service_server::SubjectService>::ReportSubjectStream;

impl SubjectDoor {
    pub(super) async fn report(
        &self,
        peer: &Peer,
        request: ReportSubjectRequest,
    ) -> Result<Parts, Refusal> {
        let party = self.authority(peer)?;
        let msisdn =
            Msisdn::parse(&request.msisdn).map_err(accord_proto::wire::FieldError::from)?;
        let statement = self.stated(request.statement.as_ref())?;
        let room = Arc::clone(&self.reports).try_acquire_owned();
        let _room = room.map_err(|_| Refusal::Overloaded)?;
        let said = self.tenure(&party, msisdn).await?;
        let pair = self.parts.tag_keys.pair();
        let tags = tags_of(&pair, &msisdn);
        let (since, searched) = (said.tenure.since, tags.clone());
        let search = move |ledger: &Ledger| accesses(ledger, &searched, since);
        let found = self.read(search).await?;
        let act = v1::KeyAct {
            kind: Kind::SubjectReported as i32,
            month: pair.this_month.month().to_string(),
            party: party.to_string(),
            case: statement.case().unwrap_or_default().to_owned(),
            digests: said
                .evidence
                .iter()
                .map(|it| reply(&said.operator, it))
                .collect(),
            subject_tag: pair.this_month.subject(&msisdn).0.to_vec(),
            statement: Some(statement.to_wire()),
            ..v1::KeyAct::default()
        };
        let committed = record_entry(&self.parts.ledger, v1::entry::Event::KeyAct(act)).await?;
        let head = head(&said, &found, &committed);
        let witnessed = self.parts.witnessed;
        let proved = prove(&self.parts.ledger, found, witnessed).await?;
        let parts = std::iter::once(Part::Head(head)).chain(proved.into_iter().map(Part::Access));
        let parts = parts.map(|part| Ok(ReportSubjectResponse { part: Some(part) }));
        Ok(Box::pin(tokio_stream::iter(parts)))
    }

    /// Asks the operator that serves a number since when it has had its holder. The subject's own
    /// opt-out does not stand against a report to the subject.
    async fn tenure(&self, party: &PartyId, msisdn: Msisdn) -> Result<Said, Refusal> {
        let parts = &self.parts;
        let unknown = |why: String| Refusal::Tenure(why);
        let (now, governed) = (parts.clock.now(), parts.governance.current());
        let own = parts.operator_deadline;
        let by = Instant::now() + own;
        let route = parts.routing.route(&governed, &msisdn, now, Some(by)).await;
        let operator = match route {
            Err(Reason::RouteUnknown) => {
                return Err(unknown(
                    Reason::RouteUnknown.consequence().meaning.to_owned(),
                ));
            }
            Ok(route) if governed.operator_licensed(&route.operator, now) => route.operator,
            Ok(_) | Err(_) => {
                return Err(unknown("no licensed operator serves the number".to_owned()));
            }
        };
        let links = parts.links.operator(&operator);
        let links = links.ok_or_else(|| unknown(format!("{operator} is not attached")))?;
        let draft = AskDraft {
            msisdn,
            signals: vec![Signal::Tenure],
            bases: vec![v1::Basis {
                clause: CLAUSE.to_owned(),
                legal_basis: LEGAL_BASIS.to_owned(),
                overrides_opt_out: true,
            }],
            bank: party.org().clone(),
            on_behalf_of: None,
            purpose: Purpose::Complaint,
            consent_ref: None,
            bulk: false,
        };
        let by = Instant::now() + own;
        let asked = links.ask(&draft, Patience { by, own }, &parts.clock).await;
        if let (Some((instance, why)), Some(party)) =
            (asked.not_believed, governed.operator(&operator))
        {
            parts.refusals.not_believed(party, instance, why);
        }
        let fetched = asked.signals.into_iter().next().map(|said| said.outcome);
        let tenure = match fetched {
            Some(Ok(observation)) => Tenure::of(&observation, parts.clock.now())
                .map_err(|error| unknown(error.to_string()))?,
            Some(Err(reason)) => {
                return Err(unknown(format!("{operator} does not say: {reason}")));
            }
            None => return Err(unknown(format!("{operator} does not say"))),
        };
        Ok(Said {
            operator,
            tenure,
            evidence: asked.evidence,
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Ledger) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let ledger = Arc::clone(&self.parts.ledger);
        read_blocking(move || read(&ledger)).await
    }
}

/// Binds the operator to what it said of the holder.
fn reply(operator: &OrgName, evidence: &Evidence) -> v1::NamedDigest {
    let (instance, journal) = (&evidence.said.instance, evidence.said.journal_index);
    v1::NamedDigest {
        name: format!("reply of {operator}/{instance}, journal {journal}"),
        sha256: evidence.said.digest.to_vec(),
    }
}

fn head(said: &Said, found: &Accesses, committed: &Committed) -> SubjectReportHead {
    let months = |months: &[accord_proto::subject::Month]| {
        let months = months.iter();
        months.map(ToString::to_string).collect()
    };
    SubjectReportHead {
        tenure_since: said.tenure.since.map(timestamp),
        tenure_observed_at: Some(timestamp(said.tenure.observed_at)),
        operator: said.operator.to_string(),
        source: said.tenure.source.to_wire() as i32,
        months: months(&found.months),
        months_not_held: months(&found.not_held),
        accesses: u32::try_from(found.found.len()).unwrap_or(u32::MAX),
        more: found.more,
        origin: committed.origin.to_string(),
        index: committed.index,
    }
}

/// Each access with the proof that it is in its log.
async fn prove(
    ledger: &Arc<Ledger>,
    accesses: Accesses,
    witnessed: bool,
) -> Result<Vec<SubjectAccess>, Refusal> {
    let mut proved = Vec::with_capacity(accesses.found.len());
    for found in accesses.found {
        let proof = proving::prove(ledger, witnessed, &found.origin, found.index).await?;
        proved.push(SubjectAccess {
            origin: found.origin,
            index: found.index,
            entry: found.entry,
            proof,
        });
    }
    Ok(proved)
}
