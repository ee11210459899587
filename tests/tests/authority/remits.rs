//! What each party may see of the ledger: an authority its side, both together all.

use std::{collections::BTreeSet, fs};

use accord_client::{Auditor, CallError, Lookup, Refusal};
use accord_proto::{
    c2sp::{SignedNote, SigningKey},
    clock::{Clock as _, SystemClock},
    purpose::Purpose,
    statement::Statement,
    v1::{self, entry::Event},
};
use jiff::ToSpan as _;
use tonic::Code;

use crate::stage::{Stage, day};

/// No operator of the sandbox serves it.
const ELSEWHERE: &str = "+999000000001";

/// One entry of each side, by index.
struct Entries {
    reached: u64,
    nowhere: u64,
    of_bank: u64,
    of_operator: u64,
    of_authority: u64,
}

/// What happens in the sandbox: two questions, and a refused call of each role.
async fn happened(stage: &Stage) -> Entries {
    let about = |number: &str| Lookup::about(number, Purpose::Payment).sim_swap();
    let reached = stage.ask("first-bank", about("+447700900001")).await;
    let nowhere = stage.ask("first-bank", about(ELSEWHERE)).await;
    let mut refused = Vec::new();
    for party in ["first-bank", "north-mobile", "central-bank"] {
        refused.push(stage.size());
        let mut raw = stage.raw(party).await;
        raw.get_entry(v1::GetEntryRequest::default())
            .await
            .unwrap_err();
    }
    let [of_bank, of_operator, of_authority] = refused.try_into().unwrap();
    Entries {
        reached: reached.receipt.index,
        nowhere: nowhere.receipt.index,
        of_bank,
        of_operator,
        of_authority,
    }
}

async fn tailed(auditor: &Auditor) -> BTreeSet<u64> {
    let mut tail = auditor.tail("", 0, true).await.unwrap();
    let mut seen = BTreeSet::new();
    while let Some(entry) = tail.next().await.unwrap() {
        seen.insert(entry.index);
    }
    seen
}

fn refusal<T: std::fmt::Debug>(result: Result<T, CallError>) -> Refusal {
    match result {
        Err(CallError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_authority_reads_its_side_and_the_rest_looks_as_if_it_were_not_there() {
    let stage = Stage::sandbox().await;
    let entries = happened(&stage).await;
    let links: BTreeSet<u64> = (0..stage.size())
        .filter(|at| matches!(stage.event(*at), Event::AdapterLink(_)))
        .collect();
    assert!(!links.is_empty());
    for (party, sees, misses) in [
        (
            "central-bank",
            vec![entries.reached, entries.nowhere, entries.of_bank],
            [vec![entries.of_operator], links.iter().copied().collect()].concat(),
        ),
        (
            "telecom-regulator",
            [
                vec![entries.reached, entries.of_operator],
                links.iter().copied().collect(),
            ]
            .concat(),
            vec![entries.nowhere, entries.of_bank],
        ),
    ] {
        let auditor = stage.auditor(party).unwrap();
        let seen = tailed(&auditor).await;
        let absent = refusal(auditor.entry("", 1 << 40).await);
        assert_eq!(absent.code, Code::NotFound);
        for index in sees.iter().chain([&0, &entries.of_authority]) {
            assert!(seen.contains(index), "{party} {index}");
            auditor.entry("", *index).await.unwrap();
        }
        for index in misses {
            assert!(!seen.contains(&index), "{party} {index}");
            assert_eq!(refusal(auditor.entry("", index).await), absent);
        }
    }
}

fn key(stage: &Stage, authority: &str) -> SigningKey {
    let path = stage
        .files
        .dir()
        .join(format!("authorities/{authority}.key"));
    SigningKey::parse(fs::read_to_string(path).unwrap().trim()).unwrap()
}

fn statement() -> Statement {
    let today = day(SystemClock.now());
    let wire = v1::ReadStatement {
        description: "all entries of November".to_owned(),
        purpose: "joint committee".to_owned(),
        sensitivity: v1::Sensitivity::Restricted as i32,
        recipients: vec!["the joint committee".to_owned()],
        needed_by: today.saturating_add(7.days()).to_string(),
        ..v1::ReadStatement::default()
    };
    Statement::parse(&wire, today).unwrap()
}

fn joint(keys: &[&SigningKey]) -> Statement {
    let mut note = SignedNote::unsigned(statement().text("accord-sandbox")).unwrap();
    for key in keys {
        note.sign(key).unwrap();
    }
    statement().with_joint(&note)
}

#[tokio::test]
async fn both_authorities_together_read_all_and_one_alone_does_not() {
    let stage = Stage::sandbox().await;
    let entries = happened(&stage).await;
    let telecom = key(&stage, "telecom-regulator");
    let bank = key(&stage, "central-bank");
    let stranger = SigningKey::generate("central-bank").unwrap();
    let stating = |party: &str, statement| stage.auditor(party).unwrap().stating(statement);
    for party in ["central-bank", "telecom-regulator"] {
        let auditor = stating(party, joint(&[&telecom, &bank]));
        let before = stage.size();
        assert_eq!(tailed(&auditor).await, (0..before).collect());
        auditor.entry("", entries.nowhere).await.unwrap();
        auditor.entry("", entries.of_operator).await.unwrap();
        let Event::AuditRead(read) = stage.event(before) else {
            panic!("no read");
        };
        assert_eq!(read.statement, Some(joint(&[&telecom, &bank]).to_wire()));
    }
    let mut other = joint(&[&telecom, &bank]).to_wire();
    other.purpose = "something else".to_owned();
    let other = Statement::parse(&other, day(SystemClock.now())).unwrap();
    let before = stage.size();
    let mut refused = 0;
    for (party, statement) in [
        ("central-bank", joint(&[&bank])),
        ("central-bank", joint(&[&telecom, &stranger])),
        ("telecom-regulator", joint(&[&telecom])),
        ("telecom-regulator", other),
        ("first-bank", joint(&[&telecom, &bank])),
    ] {
        let no = refusal(stating(party, statement).entry("", entries.reached).await);
        assert_eq!(no.field.as_deref(), Some("statement.joint"), "{no}");
        refused += 1;
    }
    let recorded = stage.since(before);
    assert_eq!(recorded.len(), refused);
    assert!(
        recorded
            .iter()
            .all(|event| matches!(event, Event::RefusedCall(_)))
    );
}
