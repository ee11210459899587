//! A report to a subject begins with the present holder's tenure, and names all who asked since.

use accord_adapters::runtime::Restriction;
use accord_client::{Auditor, CallError, Lookup};
use accord_proto::{
    msisdn::Msisdn,
    purpose::Purpose,
    statement::Statement,
    v1::{self, entry::Event, key_act::Kind, subject_service_client::SubjectServiceClient},
};
use accord_tests::world::{CENTRAL_BANK, TELECOM_REGULATOR};

use crate::{closed::Closed, stage::Stage};

/// Numbers of the virtual operator, by their stories.
pub(crate) const NEVER_CHANGED: &str = "+447700900100";
const NEW_HOLDER_40_DAYS: &str = "+447700900007";
const RECYCLED_YESTERDAY: &str = "+447700900024";
const NO_SUCH_SUBSCRIBER: &str = "+447700900015";
const STALE: &str = "+447700900019";
const CONTRADICTED: &str = "+447700900020";
const UNROUTED: &str = "+999000000001";

pub(crate) fn statement(stage: &Stage) -> Statement {
    let wire = v1::ReadStatement {
        description: "who asked about one number".to_owned(),
        purpose: "the subject's request".to_owned(),
        sensitivity: v1::Sensitivity::Restricted as i32,
        recipients: vec!["The subject".to_owned()],
        needed_by: stage.in_days(30).to_string(),
        case: "2026-0042".to_owned(),
        joint: String::new(),
    };
    Statement::parse(&wire, stage.in_days(0)).unwrap()
}

pub(crate) fn authority(stage: &Stage, name: &str) -> Auditor {
    stage.auditor(name).unwrap().stating(statement(stage))
}

pub(crate) fn refused(error: CallError) -> (String, String) {
    let CallError::Refused(refusal) = error else {
        panic!("{error}")
    };
    (refusal.reason, refusal.message)
}

pub(crate) fn number(text: &str) -> Msisdn {
    Msisdn::parse(text).unwrap()
}

/// What the record says of keys, in order.
pub(crate) fn key_acts(stage: &Stage) -> Vec<v1::KeyAct> {
    let mut acts = Vec::new();
    for event in stage.since(0) {
        if let Event::KeyAct(act) = event {
            acts.push(act);
        }
    }
    acts
}

async fn ask(stage: &Stage, bank: &str, number: &str, purpose: Purpose) -> u64 {
    let lookup = Lookup::about(number, purpose);
    let lookup = match purpose == Purpose::DormantAccount {
        true => lookup.number_recycling(stage.in_days(-300)),
        false => lookup.sim_swap(),
    };
    stage.ask(bank, lookup).await.receipt.index
}

#[tokio::test]
async fn a_subject_is_told_of_all_accesses_each_with_its_proof() {
    let stage = Stage::sandbox().await;
    let first = ask(&stage, "first-bank", NEVER_CHANGED, Purpose::Payment).await;
    ask(&stage, "first-bank", "+447700900101", Purpose::Payment).await;
    let second = ask(
        &stage,
        "second-bank",
        NEVER_CHANGED,
        Purpose::DormantAccount,
    )
    .await;
    let auditor = authority(&stage, CENTRAL_BANK);
    let report = auditor
        .subject_report(&number(NEVER_CHANGED))
        .await
        .unwrap();
    let found: Vec<_> = report
        .accesses
        .iter()
        .map(|access| (access.entry.index, access.assurance))
        .collect();
    let proven = accord_client::Assurance::Proven;
    assert_eq!(found, [(first, proven), (second, proven)]);
    assert_eq!(report.head.operator, "north-mobile");
    assert!(report.head.months_not_held.is_empty() && !report.head.more);
    // It is on the record before it leaves, with what the operator said and why it was made.
    let acts = key_acts(&stage);
    let [act] = acts.as_slice() else {
        panic!("{acts:?}")
    };
    assert_eq!(act.kind(), Kind::SubjectReported);
    assert!(
        act.party.ends_with("/authority/central-bank"),
        "{}",
        act.party
    );
    assert_eq!(act.case, "2026-0042");
    assert_eq!(act.subject_tag.len(), 16);
    assert!(
        act.digests[0]
            .name
            .starts_with("reply of north-mobile/a, journal ")
    );
    assert!(act.statement.is_some());
    assert_eq!(stage.size() - 1, report.head.index);
    // The operator's journal says who asked, and what for.
    let journal = stage.journal("north-mobile");
    let line = journal
        .lines()
        .find(|line| line.contains("subject-report"))
        .unwrap();
    assert!(
        line.contains("\"bank\":\"central-bank\"") && line.contains("tenure"),
        "{line}"
    );
}

#[tokio::test]
async fn accesses_before_the_present_holder_are_never_shown() {
    let closed = Closed::month().await;
    let stage = &closed.stage;
    let auditor = authority(stage, TELECOM_REGULATOR);
    // Both numbers were asked about last month, and one of them changed hands yesterday.
    let quiet = auditor
        .subject_report(&number(NEVER_CHANGED))
        .await
        .unwrap();
    let origins: Vec<_> = quiet
        .accesses
        .iter()
        .map(|it| it.entry.origin.as_str())
        .collect();
    let last_month = format!("accord-sandbox/{}", closed.last_month);
    assert_eq!(origins, [last_month.as_str()]);
    assert!(
        quiet
            .head
            .months_not_held
            .contains(&closed.month.to_string())
    );
    let report = auditor
        .subject_report(&number(RECYCLED_YESTERDAY))
        .await
        .unwrap();
    assert!(report.accesses.is_empty(), "{:?}", report.head);
    let since = report.head.tenure_since.unwrap().seconds;
    let yesterday = stage.now().as_second() - 86_400;
    assert!((since - yesterday).abs() < 7_200, "{since} {yesterday}");
    let index = ask(stage, "first-bank", RECYCLED_YESTERDAY, Purpose::Payment).await;
    let report = auditor
        .subject_report(&number(RECYCLED_YESTERDAY))
        .await
        .unwrap();
    let found: Vec<_> = report.accesses.iter().map(|it| it.entry.index).collect();
    assert_eq!(found, [index]);
    // Of this one the closed month lies before the present holder, so it is not even named.
    let report = auditor
        .subject_report(&number(NEW_HOLDER_40_DAYS))
        .await
        .unwrap();
    assert!(report.head.months_not_held.is_empty(), "{:?}", report.head);
}

#[tokio::test]
async fn without_a_known_tenure_there_is_no_report() {
    let stage = Stage::sandbox().await;
    let auditor = authority(&stage, CENTRAL_BANK);
    let before = key_acts(&stage).len();
    for (text, why) in [
        (NO_SUCH_SUBSCRIBER, "unknown_number"),
        (STALE, "older than 36 hours"),
        (CONTRADICTED, "contradicted"),
        (UNROUTED, "no licensed operator"),
    ] {
        ask_if_routed(&stage, text).await;
        let error = auditor.subject_report(&number(text)).await.unwrap_err();
        let (reason, message) = refused(error);
        assert_eq!(reason, "TENURE_UNKNOWN", "{text}");
        assert!(message.contains(why), "{text}: {message}");
        assert!(!message.contains("447700900"), "{message}");
    }
    assert_eq!(key_acts(&stage).len(), before);
    // The subject's own opt-out is no reason to refuse the subject.
    let adapter = stage.adapter("north-mobile").unwrap();
    let opted_out = Restriction::OptedOut(number(NEVER_CHANGED));
    adapter.restrictions().impose(opted_out).unwrap();
    auditor
        .subject_report(&number(NEVER_CHANGED))
        .await
        .unwrap();
}

async fn ask_if_routed(stage: &Stage, text: &str) {
    if text.starts_with("+44") {
        ask(stage, "first-bank", text, Purpose::Payment).await;
    }
}

#[tokio::test]
async fn an_operator_that_is_away_leaves_no_report() {
    let mut stage = Stage::sandbox().await;
    stage
        .world_mut()
        .kill_adapter("north-mobile")
        .await
        .unwrap();
    let auditor = authority(&stage, CENTRAL_BANK);
    let error = auditor
        .subject_report(&number(NEVER_CHANGED))
        .await
        .unwrap_err();
    let (reason, message) = refused(error);
    assert_eq!(reason, "TENURE_UNKNOWN");
    assert!(message.contains("source_down"), "{message}");
}

#[tokio::test]
async fn banks_and_operators_have_no_business_with_subjects_and_keys() {
    let stage = Stage::sandbox().await;
    for party in ["first-bank", "north-mobile"] {
        let auditor = authority(&stage, party);
        let error = auditor
            .subject_report(&number(NEVER_CHANGED))
            .await
            .unwrap_err();
        assert_eq!(refused(error).0, "ROLE_NOT_ALLOWED");
        let error = auditor.key_months().await.unwrap_err();
        assert_eq!(refused(error).0, "ROLE_NOT_ALLOWED");
    }
    // Nor does an authority read without stating what for.
    let mut raw = SubjectServiceClient::new(stage.channel(CENTRAL_BANK).await);
    let unstated = v1::ReportSubjectRequest {
        msisdn: NEVER_CHANGED.to_owned(),
        statement: None,
    };
    let error = raw.report_subject(unstated).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::InvalidArgument);
    assert!(error.message().contains("statement"), "{}", error.message());
    assert!(key_acts(&stage).is_empty());
}
