//! One entry of the ledger for each question, durable before the answer leaves.

use accord_proto::{party::OrgName, reason::Reason, signal::Signal, subject::SubjectTag, v1};
use aws_lc_rs::{
    digest::{Context, SHA256},
    rand,
};
use jiff::Timestamp;
use prost::Message as _;

use super::{
    fetch::{self, Observed},
    limit::{date_parameter, since_mac, tells, uses, uses_of_permit},
    minimise::Minimised,
    parts::Parts,
    refusal::Refusal,
    route::Routed,
};
use crate::{
    governance::Governed,
    ledger::Committed,
    subjects::state::{Subject, SubjectState},
};

/// An answer whose entry is durable. Nothing leaves without one.
pub(super) struct Receipt {
    pub(super) answer: Vec<u8>,
    pub(super) nonce: [u8; 32],
    pub(super) committed: Committed,
    pub(super) proof: bool,
    _seal: Seal,
}

struct Seal;

/// Puts the access on the record and waits until it is durable.
pub(super) async fn record(parts: &Parts, minimised: Minimised) -> Result<Receipt, Refusal> {
    let Minimised {
        observed,
        answer,
        records,
        ..
    } = minimised;
    parts.metrics.signals(&records);
    give_back(parts, &observed, &records);
    let mut random = [0; 64];
    rand::fill(&mut random).map_err(|_| Refusal::NotReady("the system gave no random bytes"))?;
    let (salt, nonce) = halves(&random);
    let answer = answer.encode_to_vec();
    let mut access = access(parts, &observed, records);
    access.answer_digest = digest(&nonce, &answer);
    let event = Some(v1::entry::Event::Access(access));
    let entry = v1::Entry {
        salt: salt.to_vec(),
        event,
        time_unix_ms: 0,
    };
    let committed = parts.ledger.append(entry.encode_to_vec()).await?;
    let proof = observed.admitted.routed.asked.question.proof;
    report(observed, &committed);
    Ok(Receipt {
        answer,
        nonce,
        committed,
        proof,
        _seal: Seal,
    })
}

fn access(parts: &Parts, observed: &Observed, mut records: Vec<v1::SignalRecord>) -> v1::Access {
    let Routed {
        asked, operator, ..
    } = &observed.admitted.routed;
    let question = &asked.question;
    let keys = parts.tag_keys.pair();
    let key = &keys.this_month;
    let mac = |what: &str, text: &Option<String>| {
        text.as_ref()
            .map_or_else(Vec::new, |text| key.mac(what, text.as_bytes()).to_vec())
    };
    for (record, question) in records.iter_mut().zip(&question.questions) {
        if let Some(since) = question.since() {
            record.since_mac = since_mac(key, since).to_vec();
        }
    }
    let (agreement, agreement_version) = asked.governed.agreement_name();
    let replies = observed.evidence.iter().map(|evidence| v1::ReplyDigest {
        instance: evidence.instance.clone(),
        journal_index: evidence.journal_index,
        digest: evidence.digest.to_vec(),
    });
    let (operator, basis) = match operator {
        Ok((operator, basis)) => (operator.to_string(), basis.to_wire()),
        Err(_) => (String::new(), v1::RoutingBasis::Unspecified),
    };
    v1::Access {
        bank: asked.caller.party().org().to_string(),
        on_behalf_of: question
            .on_behalf_of
            .as_ref()
            .map_or_else(String::new, OrgName::to_string),
        application: asked.caller.application().to_owned(),
        operator,
        routing_basis: basis as i32,
        purpose: question.purpose.to_wire() as i32,
        agreement,
        agreement_version,
        // The tag is of the month in which the question was admitted; at the turn of a month that
        // may be the month before.
        subject_tag: key.subject(&question.msisdn).0.to_vec(),
        tag_month: key.month().to_string(),
        customer_ref_mac: mac("customer_ref", &question.customer_ref),
        consent_ref_mac: mac("consent_ref", &question.consent_ref),
        request_id_mac: mac("request_id", &question.request_id),
        signals: records,
        answer_digest: Vec::new(),
        replies: replies.collect(),
        bulk: asked.bulk,
    }
}

/// Tells the operator of what its view served.
fn report(observed: Observed, committed: &Committed) {
    let Some(report) = observed.report else {
        return;
    };
    let asked = &observed.admitted.routed.asked;
    let served = observed
        .signals
        .iter()
        .flatten()
        .filter(|seen| seen.from_view);
    let (signals, bases) = served
        .map(|seen| {
            (
                seen.permit.question.signal().to_wire() as i32,
                fetch::basis(&seen.permit),
            )
        })
        .unzip();
    report.report(v1::ServedFromView {
        msisdn: asked.question.msisdn.expose().to_owned(),
        signals,
        bank: asked.caller.party().org().to_string(),
        on_behalf_of: asked
            .question
            .on_behalf_of
            .as_ref()
            .map_or_else(String::new, OrgName::to_string),
        purpose: asked.question.purpose.to_wire() as i32,
        bases,
        origin: committed.origin.to_string(),
        index: committed.index,
    });
}

/// Gives back the quotas of signals that told the bank nothing.
fn give_back(parts: &Parts, observed: &Observed, records: &[v1::SignalRecord]) {
    let bank = observed.admitted.routed.asked.caller.party().org();
    for (signal, record) in observed.signals.iter().zip(records) {
        if let Ok(seen) = signal
            && !tells(Reason::from_wire(record.reason))
        {
            uses_of_permit(bank, &seen.permit)
                .for_each(|one| parts.subjects.give_back(observed.admitted.tag, one));
        }
    }
}

fn halves(random: &[u8; 64]) -> ([u8; 32], [u8; 32]) {
    let (mut salt, mut nonce) = ([0; 32], [0; 32]);
    let (one, other) = random.split_at(32);
    salt.copy_from_slice(one);
    nonce.copy_from_slice(other);
    (salt, nonce)
}

/// SHA-256(nonce || exact bytes of the answer).
fn digest(nonce: &[u8; 32], answer: &[u8]) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    context.update(nonce);
    context.update(answer);
    context.finish().as_ref().to_vec()
}

/// Puts one recorded access back into the state of subjects, at start-up.
pub fn restore_subjects(
    subjects: &SubjectState,
    governed: &Governed,
    access: &v1::Access,
    at: Timestamp,
) {
    let Ok(bank) = OrgName::parse(&access.bank) else {
        return;
    };
    let Ok(tag) = <[u8; 16]>::try_from(access.subject_tag.as_slice()).map(SubjectTag) else {
        return;
    };
    let agreement = governed.agreement();
    for record in access
        .signals
        .iter()
        .filter(|one| tells(Reason::from_wire(one.reason)))
    {
        let Some(signal) = Signal::from_wire(record.signal) else {
            continue;
        };
        let Some(clause) = agreement
            .clauses()
            .iter()
            .find(|c| c.id.as_str() == record.clause)
        else {
            continue;
        };
        let parameter = match record.since_mac.as_slice() {
            [] => record.threshold_hours,
            mac => date_parameter(mac),
        };
        for one in uses(&bank, signal, parameter != 0, clause) {
            subjects.restore(Subject { tag, parameter }, one, at);
        }
    }
}
