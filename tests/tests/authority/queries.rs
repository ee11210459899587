//! Searching the ledger: filters, pages and remits; and exports on the record.

use std::collections::BTreeSet;

use accord_client::{Answered, Lookup};
use accord_proto::{
    clock::{Clock as _, SystemClock},
    purpose::Purpose,
    v1::{self, audit_service_client::AuditServiceClient, entry::Event},
};
use jiff::ToSpan as _;
use prost::Message as _;
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt as _;

use crate::stage::{Stage, day};

pub(crate) const SWAPPED: &str = "+447700900001";
pub(crate) const QUIET: &str = "+447700900000";
const ABROAD: &str = "+33639980001";

pub(crate) type Raw = AuditServiceClient<Channel>;

fn statement() -> Option<v1::ReadStatement> {
    let today = day(SystemClock.now());
    Some(v1::ReadStatement {
        description: "accesses of the test".to_owned(),
        purpose: "testing".to_owned(),
        sensitivity: v1::Sensitivity::Internal as i32,
        recipients: vec!["the test".to_owned()],
        needed_by: today.saturating_add(7.days()).to_string(),
        ..v1::ReadStatement::default()
    })
}

pub(crate) fn request(filter: v1::Filter) -> v1::QueryRequest {
    v1::QueryRequest {
        statement: statement(),
        filter: Some(filter),
        ..v1::QueryRequest::default()
    }
}

/// All pages of a search, each of this size.
async fn pages(raw: &mut Raw, filter: v1::Filter, page_size: u32) -> Vec<Vec<v1::TailResponse>> {
    let mut request = request(filter);
    request.page_size = page_size;
    let mut pages = Vec::new();
    loop {
        let page = raw.query(request.clone()).await.unwrap().into_inner();
        assert!(page.entries.len() <= page_size as usize);
        pages.push(page.entries);
        if page.next_page.is_empty() {
            return pages;
        }
        request.page = page.next_page;
    }
}

pub(crate) async fn indexes(raw: &mut Raw, filter: v1::Filter) -> BTreeSet<u64> {
    let pages = pages(raw, filter, 1_000).await;
    pages
        .into_iter()
        .flatten()
        .map(|entry| entry.index)
        .collect()
}

pub(crate) fn by(change: impl FnOnce(&mut v1::Filter)) -> v1::Filter {
    let mut filter = v1::Filter::default();
    change(&mut filter);
    filter
}

/// Code and field of a refusal.
fn told(refused: &Status) -> (Code, String) {
    let details = refused.get_error_details();
    let field = details
        .bad_request()
        .and_then(|bad| bad.field_violations.first());
    (
        refused.code(),
        field.map_or_else(String::new, |violation| violation.field.clone()),
    )
}

/// Questions of two banks about three numbers at two operators.
pub(crate) async fn asked(stage: &Stage) -> [u64; 4] {
    let index = |answered: Answered| answered.receipt.index;
    let about = |number: &str| Lookup::about(number, Purpose::Payment).sim_swap();
    let one = stage.ask("first-bank", about(SWAPPED)).await;
    let other = stage.ask("first-bank", about(QUIET)).await;
    let abroad = stage.ask("first-bank", about(ABROAD)).await;
    let second = Lookup::about(SWAPPED, Purpose::DormantAccount)
        .number_recycling(day(SystemClock.now()).saturating_sub(60.days()));
    let second = stage.ask("second-bank", second).await;
    [one, other, abroad, second].map(index)
}

#[tokio::test]
async fn each_filter_finds_its_entries_and_all_together_narrow() {
    let stage = Stage::sandbox().await;
    let [one, other, abroad, second] = asked(&stage).await;
    let mut raw = stage.raw("central-bank").await;
    let access = || by(|f| f.kind = "access".to_owned());
    let set = |of: &[u64]| of.iter().copied().collect::<BTreeSet<_>>();
    for (filter, expected) in [
        (access(), set(&[one, other, abroad, second])),
        (
            by(|f| {
                f.bank = "first-bank".to_owned();
                f.kind = "access".to_owned();
            }),
            set(&[one, other, abroad]),
        ),
        (
            by(|f| f.purpose = v1::Purpose::DormantAccount as i32),
            set(&[second]),
        ),
        (
            by(|f| f.signal = v1::Signal::NumberRecycling as i32),
            set(&[second]),
        ),
        (by(|f| f.msisdn = SWAPPED.to_owned()), set(&[one, second])),
        (
            by(|f| {
                f.msisdn = SWAPPED.to_owned();
                f.bank = "first-bank".to_owned();
            }),
            set(&[one]),
        ),
        (
            by(|f| {
                f.operator = "sud-mobile".to_owned();
                f.kind = "access".to_owned();
            }),
            set(&[abroad]),
        ),
        (by(|f| f.msisdn = "+447700900999".to_owned()), set(&[])),
        (
            by(|f| {
                f.outcome = "answered".to_owned();
                f.purpose = v1::Purpose::Payment as i32;
            }),
            set(&[one, other, abroad]),
        ),
        (by(|f| f.outcome = "timeout".to_owned()), set(&[])),
    ] {
        assert_eq!(
            indexes(&mut raw, filter.clone()).await,
            expected,
            "{}",
            filter.kind
        );
    }
}

#[tokio::test]
async fn a_time_begins_with_its_first_instant_and_ends_before_its_last() {
    let stage = Stage::sandbox().await;
    let [one, other, abroad, _] = asked(&stage).await;
    let mut raw = stage.raw("central-bank").await;
    let bytes = stage.broker.ledger().entry(None, other).unwrap();
    let ms = v1::Entry::decode(bytes.as_slice()).unwrap().time_unix_ms;
    let at = prost_types::Timestamp {
        seconds: i64::try_from(ms / 1_000).unwrap(),
        nanos: i32::try_from(ms % 1_000 * 1_000_000).unwrap(),
    };
    let from = by(|f| {
        f.from = Some(at);
        f.bank = "first-bank".to_owned();
    });
    let until = by(|f| {
        f.until = Some(at);
        f.bank = "first-bank".to_owned();
    });
    let (from, until) = (
        indexes(&mut raw, from).await,
        indexes(&mut raw, until).await,
    );
    assert!(from.contains(&other) && from.contains(&abroad) && !from.contains(&one));
    assert!(until.contains(&one) && !until.contains(&other));
}

#[tokio::test]
async fn a_search_keeps_to_the_remit_and_is_on_the_record_with_tags_and_no_number() {
    let stage = Stage::sandbox().await;
    let [one, other, abroad, second] = asked(&stage).await;
    for (party, sees) in [
        ("first-bank", vec![one, other, abroad]),
        ("second-bank", vec![second]),
        ("north-mobile", vec![one, other, second]),
        ("sud-mobile", vec![abroad]),
        ("telecom-regulator", vec![one, other, abroad, second]),
        ("central-bank", vec![one, other, abroad, second]),
    ] {
        let mut raw = stage.raw(party).await;
        let access = by(|f| f.kind = "access".to_owned());
        let seen = indexes(&mut raw, access).await;
        assert_eq!(seen, sees.into_iter().collect(), "{party}");
    }
    let mut raw = stage.raw("central-bank").await;
    let links = by(|f| f.kind = "adapter_link".to_owned());
    assert_eq!(indexes(&mut raw, links.clone()).await, BTreeSet::new());
    let mut telecom = stage.raw("telecom-regulator").await;
    assert!(!indexes(&mut telecom, links).await.is_empty());

    let before = stage.size();
    let about = by(|f| f.msisdn = SWAPPED.to_owned());
    raw.query(request(about)).await.unwrap();
    let Event::AuditRead(read) = stage.event(before) else {
        panic!("no read");
    };
    assert_eq!(
        (read.method.as_str(), read.first_index, read.entries),
        ("AuditService.Query", one, 2)
    );
    assert_eq!(read.statement, statement());
    let filter = read.filter.unwrap();
    let Event::Access(access) = stage.event(one) else {
        panic!("no access");
    };
    assert_eq!(filter.subject_tags, [access.subject_tag]);
}

#[tokio::test]
async fn what_is_wrong_with_a_search_is_named_and_only_the_refusal_is_on_the_record() {
    let stage = Stage::sandbox().await;
    let mut raw = stage.raw("central-bank").await;
    let before = stage.size();
    let mut count = 0;
    for (field, request) in [
        ("filter.kind", request(by(|f| f.kind = "acces".to_owned()))),
        (
            "filter.outcome",
            request(by(|f| f.outcome = "maybe".to_owned())),
        ),
        (
            "filter.msisdn",
            request(by(|f| f.msisdn = "0900001".to_owned())),
        ),
        (
            "filter.purpose",
            request(by(|f| {
                f.kind = "export".to_owned();
                f.purpose = v1::Purpose::Payment as i32;
            })),
        ),
        (
            "page_size",
            v1::QueryRequest {
                page_size: 1_001,
                ..request(by(|_| {}))
            },
        ),
        (
            "page",
            v1::QueryRequest {
                page: "nonsense".to_owned(),
                ..request(by(|_| {}))
            },
        ),
        (
            "statement",
            v1::QueryRequest {
                statement: None,
                ..request(by(|_| {}))
            },
        ),
    ] {
        let refused = raw.query(request).await.unwrap_err();
        assert_eq!(told(&refused), (Code::InvalidArgument, field.to_owned()));
        assert!(!refused.message().contains("0900001"));
        count += 1;
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
async fn pages_join_without_a_gap_and_a_page_is_of_its_own_search_and_reader_only() {
    let stage = Stage::sandbox().await;
    asked(&stage).await;
    let mut raw = stage.raw("central-bank").await;
    let bank = || by(|f| f.bank = "first-bank".to_owned());
    let whole = pages(&mut raw, bank(), 1_000).await.concat();
    let single = pages(&mut raw, bank(), 1).await;
    assert!(single.len() >= 3);
    assert_eq!(single.concat(), whole);
    let first = v1::QueryRequest {
        page_size: 1,
        ..request(bank())
    };
    let next = raw.query(first).await.unwrap().into_inner().next_page;
    let with = |filter| v1::QueryRequest {
        page: next.clone(),
        ..request(filter)
    };
    raw.query(with(bank())).await.unwrap();
    let other = by(|f| f.bank = "second-bank".to_owned());
    let refused = raw.query(with(other)).await.unwrap_err();
    assert_eq!(told(&refused), (Code::InvalidArgument, "page".to_owned()));
    let mut telecom = stage.raw("telecom-regulator").await;
    let refused = telecom.query(with(bank())).await.unwrap_err();
    assert_eq!(told(&refused), (Code::InvalidArgument, "page".to_owned()));
}

#[tokio::test]
async fn an_export_is_on_the_record_with_its_hash_and_its_statement() {
    let stage = Stage::sandbox().await;
    let mut raw = stage.raw("telecom-regulator").await;
    let good = || v1::RecordExportRequest {
        statement: statement(),
        format: "csv".to_owned(),
        sha256: vec![7; 32],
        entries: 3,
    };
    let before = stage.size();
    let recorded = raw.record_export(good()).await.unwrap().into_inner();
    assert_eq!(recorded.index, before);
    assert_eq!(recorded.origin, stage.broker.ledger().origin());
    let Event::Export(export) = stage.event(before) else {
        panic!("no export");
    };
    assert_eq!((export.format.as_str(), export.entries), ("csv", 3));
    assert_eq!(
        (export.sha256, export.statement),
        (vec![7; 32], statement())
    );
    for (field, request) in [
        (
            "format",
            v1::RecordExportRequest {
                format: "pdf".to_owned(),
                ..good()
            },
        ),
        (
            "sha256",
            v1::RecordExportRequest {
                sha256: vec![7; 31],
                ..good()
            },
        ),
        (
            "statement",
            v1::RecordExportRequest {
                statement: None,
                ..good()
            },
        ),
    ] {
        let refused = raw.record_export(request).await.unwrap_err();
        assert_eq!(told(&refused), (Code::InvalidArgument, field.to_owned()));
    }
}
