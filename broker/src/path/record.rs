//! One entry of the ledger for each question, durable before the answer leaves.

use std::sync::Arc;

use accord_proto::{
    agreement::Clause,
    party::OrgName,
    purpose::Purpose,
    signal::{Signal, Since},
    subject::SubjectTag,
    v1,
};
use aws_lc_rs::{
    digest::{Context, SHA256},
    rand,
};
use jiff::Timestamp;
use prost::Message as _;
use tokio::time::Duration;

use super::{
    fetch::{self, Observed},
    limit::{
        Admitted,
        quotas::{self, date_parameter, since_mac, told, uses},
    },
    minimise::Minimised,
    parts::Parts,
    refusal::Refusal,
    route::Routed,
};
use crate::{
    governance::Governed,
    ledger::Committed,
    metrics::SignalCount,
    subjects::state::{Subject, SubjectState, minute},
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

/// Gives the access its place on the record; what comes back waits until it is durable.
pub(super) fn record(
    parts: &Parts,
    minimised: Minimised,
) -> Result<impl Future<Output = Result<Receipt, Refusal>> + Send, Refusal> {
    let Minimised {
        observed,
        answer,
        records,
        ..
    } = minimised;
    let counted: Vec<_> = records.iter().map(SignalCount::of).collect();
    let told: Vec<bool> = records.iter().map(told).collect();
    let mut random = [0; 64];
    rand::fill(&mut random).map_err(|_| Refusal::NotReady("the system gave no random bytes"))?;
    let (salt, nonce) = halves(&random);
    let answer = answer.encode_to_vec();
    let mut access = access(&observed, records);
    access.answer_digest = digest(&nonce, &answer);
    let event = Some(v1::entry::Event::Access(access));
    let entry = v1::Entry {
        salt: salt.to_vec(),
        event,
        time_unix_ms: 0,
    };
    // It is queued by the call itself.
    let appended = parts.ledger.append(entry.encode_to_vec());
    Ok(async move {
        let committed = match appended.await {
            Ok(committed) => committed,
            Err(error) => {
                // No answer leaves, so nothing is told.
                give_back(parts, &observed, &vec![false; told.len()]);
                return Err(error.into());
            }
        };
        parts.metrics.signals(&counted);
        give_back(parts, &observed, &told);
        let Admitted {
            routed, keys, tag, ..
        } = &observed.admitted;
        let (asked, month) = (&routed.asked, keys.this_month.month());
        let msisdn = &asked.question.msisdn;
        parts
            .watch
            .saw(&asked.caller, msisdn, *tag, month, committed.time);
        let proof = observed.admitted.routed.asked.question.proof;
        report(observed, &committed);
        Ok(Receipt {
            answer,
            nonce,
            committed,
            proof,
            _seal: Seal,
        })
    })
}

fn access(observed: &Observed, mut records: Vec<v1::SignalRecord>) -> v1::Access {
    let Routed { asked, route, .. } = &observed.admitted.routed;
    let question = &asked.question;
    let key = &observed.admitted.keys.this_month;
    let mac = |what: &str, text: &Option<String>| {
        text.as_ref()
            .map_or_else(Vec::new, |text| key.mac(what, text.as_bytes()).to_vec())
    };
    for (record, question) in records.iter_mut().zip(&question.questions) {
        record.since_mac = since_mac(key, question).map_or_else(Vec::new, Vec::from);
        if let Some(Since::Moment(moment)) = question.since() {
            record.since_unix_ms = moment.as_millisecond();
        }
    }
    let (agreement, agreement_version) = asked.governed.agreement_name();
    let replies = observed
        .evidence
        .iter()
        .map(|evidence| evidence.said.to_wire(microseconds(evidence.elapsed)));
    // A bank may read its entries, so one without any clause must not learn the route from them.
    let (operator, basis) = match route {
        Ok(route) if observed.names_operator() => {
            (route.operator.to_string(), route.basis.to_wire())
        }
        Ok(_) | Err(_) => (String::new(), v1::RoutingBasis::Unspecified),
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
        subject_tag: observed.admitted.tag.0.to_vec(),
        tag_month: key.month().to_string(),
        customer_ref_mac: mac("customer_ref", &question.customer_ref),
        consent_ref_mac: mac("consent_ref", &question.consent_ref),
        request_id_mac: mac("request_id", &question.request_id),
        signals: records,
        answer_digest: Vec::new(),
        replies: replies.collect(),
        bulk: asked.bulk,
        elapsed_us: microseconds(asked.arrived.elapsed()),
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
        .filter(|seen| seen.from_view.is_some());
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

fn give_back(parts: &Parts, observed: &Observed, told: &[bool]) {
    let Admitted {
        routed, tag, taken, ..
    } = &observed.admitted;
    let bank = routed.asked.caller.party().org();
    quotas::give_back(&parts.subjects, *tag, bank, taken, told);
}

/// For the record, where 0 means that nobody measured.
fn microseconds(elapsed: Duration) -> u32 {
    u32::try_from(elapsed.as_micros())
        .unwrap_or(u32::MAX)
        .max(1)
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

/// Puts one recorded access back into the state of subjects, at start-up; false if there was no
/// room for all of it.
pub fn restore_subjects(
    subjects: &SubjectState,
    governed: &Governed,
    access: &v1::Access,
    at: Timestamp,
) -> bool {
    let Ok(bank) = OrgName::parse(&access.bank) else {
        return true;
    };
    let Ok(tag) = <[u8; 16]>::try_from(access.subject_tag.as_slice()).map(SubjectTag) else {
        return true;
    };
    let clauses = governed.agreement().clauses();
    let same_version = governed.agreement_name().1 == access.agreement_version;
    let mut day = Purpose::from_wire(access.purpose);
    let mut fits = true;
    for record in access.signals.iter().filter(|record| told(record)) {
        let Some(signal) = Signal::from_wire(record.signal) else {
            continue;
        };
        let parameter = match (record.since_mac.as_slice(), record.since_unix_ms) {
            ([], 0) => record.threshold_hours,
            ([], moment) => Timestamp::from_millisecond(moment).map_or(0, minute),
            (mac, _) => date_parameter(mac),
        };
        // A clause that is gone bound its threshold all the same: the longest window stands in.
        let named = clauses.iter().find(|c| c.id.as_str() == record.clause);
        let longest = || {
            clauses
                .iter()
                .max_by_key(|clause| clause.threshold_window_hours)
        };
        let Some(clause) = named.or_else(longest) else {
            continue;
        };
        let parameters = uses(&bank, signal, parameter != 0, None, clause);
        // In another version the clauses may have other numbers: whichever counts the purpose's
        // questions now stands in for the one that did.
        let counts = |clause: &&Arc<Clause>| clause.per_subject_per_day.is_some();
        let counting = match (same_version, day) {
            (_, None) => None,
            (true, Some(_)) => named.filter(counts),
            (false, Some(purpose)) => clauses
                .iter()
                .filter(counts)
                .find(|clause| clause.purposes.contains(&purpose)),
        };
        let counted =
            counting.and_then(|clause| uses(&bank, signal, false, day.take(), clause).next());
        for one in parameters.chain(counted) {
            fits &= subjects.restore(Subject { tag, parameter }, one, at);
        }
    }
    fits
}
