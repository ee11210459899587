//! Reading the ledger: what a reader states.

use accord_client::Lookup;
use accord_proto::{
    clock::{Clock as _, SystemClock},
    purpose::Purpose,
    v1::{self, entry::Event},
};
use jiff::ToSpan as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::stage::{Stage, day};

const SWAPPED: &str = "+447700900001";

fn statement() -> v1::ReadStatement {
    let today = day(SystemClock.now());
    v1::ReadStatement {
        description: "accesses by first-bank".to_owned(),
        purpose: "complaint".to_owned(),
        sensitivity: v1::Sensitivity::Restricted as i32,
        recipients: vec!["Head of Supervision".to_owned()],
        needed_by: today.saturating_add(30.days()).to_string(),
        case: "2026-0042".to_owned(),
        joint: String::new(),
    }
}

/// Code and `BadRequest` field of a refusal.
fn told(refused: &Status) -> (Code, String) {
    let details = refused.get_error_details();
    let field = details
        .bad_request()
        .and_then(|bad| bad.field_violations.first())
        .map(|violation| violation.field.clone());
    (refused.code(), field.unwrap_or_default())
}

#[tokio::test]
async fn nobody_reads_an_entry_without_stating_what_for() {
    let stage = Stage::sandbox().await;
    let asked = Lookup::about(SWAPPED, Purpose::Payment).sim_swap();
    let index = stage.ask("first-bank", asked).await.receipt.index;
    for party in ["first-bank", "north-mobile", "central-bank"] {
        let mut raw = stage.raw(party).await;
        let before = stage.size();
        let entry = v1::GetEntryRequest {
            index,
            ..v1::GetEntryRequest::default()
        };
        let refused = raw.get_entry(entry).await.unwrap_err();
        assert_eq!(
            told(&refused),
            (Code::InvalidArgument, "statement".to_owned())
        );
        let refused = raw.tail(v1::TailRequest::default()).await.unwrap_err();
        assert_eq!(
            told(&refused),
            (Code::InvalidArgument, "statement".to_owned())
        );
        let recorded = stage.since(before);
        assert!(
            recorded
                .iter()
                .all(|event| matches!(event, Event::RefusedCall(call)
                if call.field == "statement" && call.reason == "MALFORMED_FIELD")),
            "{recorded:?}"
        );
        assert_eq!(recorded.len(), 2);
        // Neither reveals an entry.
        raw.get_checkpoint(v1::GetCheckpointRequest::default())
            .await
            .unwrap();
        let proof = v1::ProveInclusionRequest {
            index,
            ..v1::ProveInclusionRequest::default()
        };
        raw.prove_inclusion(proof).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_missing_or_odd_in_a_statement_is_named_and_nothing_is_read() {
    let stage = Stage::sandbox().await;
    let mut raw = stage.raw("central-bank").await;
    let yesterday = day(SystemClock.now()).saturating_sub(1.days()).to_string();
    let with = |change: &dyn Fn(&mut v1::ReadStatement)| {
        let mut statement = statement();
        change(&mut statement);
        Some(statement)
    };
    let before = stage.size();
    let odd = [
        ("statement", Some(v1::ReadStatement::default())),
        ("statement.description", with(&|s| s.description.clear())),
        (
            "statement.description",
            with(&|s| s.description = format!("who asked about {SWAPPED}")),
        ),
        ("statement.purpose", with(&|s| s.purpose = "x".repeat(201))),
        ("statement.sensitivity", with(&|s| s.sensitivity = 0)),
        ("statement.recipients", with(&|s| s.recipients.clear())),
        (
            "statement.recipients[0]",
            with(&|s| s.recipients = vec![" ".to_owned()]),
        ),
        (
            "statement.needed_by",
            with(&|s| s.needed_by = yesterday.clone()),
        ),
        (
            "statement.case",
            with(&|s| s.case = "07700-900001".to_owned()),
        ),
    ];
    let count = odd.len();
    for (field, statement) in odd {
        let request = v1::GetEntryRequest {
            statement,
            ..v1::GetEntryRequest::default()
        };
        let refused = raw.get_entry(request).await.unwrap_err();
        assert_eq!(told(&refused), (Code::InvalidArgument, field.to_owned()));
        assert!(
            !refused.message().contains("900001"),
            "{}",
            refused.message()
        );
    }
    let recorded = stage.since(before);
    assert_eq!(recorded.len(), count);
    assert!(
        recorded
            .iter()
            .all(|event| matches!(event, Event::RefusedCall(_)))
    );
}

#[tokio::test]
async fn what_a_reader_states_stands_in_the_record_with_the_read() {
    let stage = Stage::sandbox().await;
    let mut raw = stage.raw("central-bank").await;
    let before = stage.size();
    let entry = v1::GetEntryRequest {
        statement: Some(statement()),
        ..v1::GetEntryRequest::default()
    };
    raw.get_entry(entry).await.unwrap();
    let tail = v1::TailRequest {
        once: true,
        statement: Some(statement()),
        ..v1::TailRequest::default()
    };
    raw.tail(tail).await.unwrap();
    let recorded = stage.since(before);
    assert_eq!(recorded.len(), 2);
    for event in recorded {
        let Event::AuditRead(read) = event else {
            panic!("{event:?}");
        };
        assert_eq!(read.statement, Some(statement()));
    }
}
