//! Whole reports from made-up entries.

use accord_proto::v1::{self, entry::Event};

use super::{Tally, Verdict};
use crate::LedgerEntry;

/// Six hours of entries of three banks and two operators.
pub(super) fn sample() -> Tally {
    let mut tally = Tally::of(None, None);
    entries().iter().for_each(|entry| tally.take(entry));
    tally
}

fn entries() -> Vec<LedgerEntry> {
    let mut events = vec![
        operation(v1::operation::Kind::Start),
        link("north-mobile", v1::adapter_link::Kind::Attached),
        link("sud-mobile", v1::adapter_link::Kind::Attached),
    ];
    for n in 0..600_u32 {
        let (bank, slow) = match n % 3 {
            0 => ("first-bank", 0),
            1 => ("second-bank", 0),
            _ => ("third-bank", 900),
        };
        let operator = if n % 5 == 0 {
            "sud-mobile"
        } else {
            "north-mobile"
        };
        let reason = match n % 20 {
            7 => v1::Reason::Timeout,
            9 => v1::Reason::Quota,
            _ => v1::Reason::Unspecified,
        };
        events.push(access(bank, operator, 1_000 + n + slow, reason));
    }
    events.push(link("sud-mobile", v1::adapter_link::Kind::Left));
    events.push(Event::RefusedCall(v1::RefusedCall {
        party: "spiffe://accord.test/bank/first-bank".to_owned(),
        method: "SignalService.Lookup".to_owned(),
        reason: "RATE_LIMITED".to_owned(),
        field: String::new(),
    }));
    events.push(Event::AgreementAct(v1::AgreementAct {
        kind: v1::agreement_act::Kind::Suspended as i32,
        party: "spiffe://accord.test/authority/central-bank".to_owned(),
        target: "bank:second-bank".to_owned(),
        ..v1::AgreementAct::default()
    }));
    events.push(Event::Anomaly(v1::Anomaly {
        kind: v1::anomaly::Kind::Enumeration as i32,
        bank: "third-bank".to_owned(),
        counted: 400,
        usual: 3,
        window_s: 60,
        ..v1::Anomaly::default()
    }));
    (0..)
        .zip(events)
        .map(|(index, event)| entry(index, event))
        .collect()
}

fn entry(index: u64, event: Event) -> LedgerEntry {
    LedgerEntry {
        origin: "accord-sandbox/2026-11".to_owned(),
        index,
        bytes: Vec::new(),
        entry: v1::Entry {
            time_unix_ms: 1_795_000_000_000 + index * 36_000,
            event: Some(event),
            ..v1::Entry::default()
        },
    }
}

fn access(bank: &str, operator: &str, elapsed_us: u32, reason: v1::Reason) -> Event {
    let reply = v1::ReplyDigest {
        instance: "adapter-1".to_owned(),
        elapsed_us: elapsed_us - 500,
        ..v1::ReplyDigest::default()
    };
    Event::Access(v1::Access {
        bank: bank.to_owned(),
        operator: operator.to_owned(),
        purpose: v1::Purpose::Payment as i32,
        signals: vec![v1::SignalRecord {
            signal: v1::Signal::SimSwap as i32,
            reason: reason as i32,
            ..v1::SignalRecord::default()
        }],
        replies: vec![reply],
        elapsed_us,
        ..v1::Access::default()
    })
}

fn operation(kind: v1::operation::Kind) -> Event {
    Event::Operation(v1::Operation {
        kind: kind as i32,
        ..v1::Operation::default()
    })
}

fn link(operator: &str, kind: v1::adapter_link::Kind) -> Event {
    Event::AdapterLink(v1::AdapterLink {
        kind: kind as i32,
        operator: operator.to_owned(),
        instance: "adapter-1".to_owned(),
        ..v1::AdapterLink::default()
    })
}

#[test]
fn what_entries_say_is_counted_once_each() {
    let report = sample().finish();
    assert_eq!(report.period.entries, Some(607));
    let all = report.questions;
    assert_eq!(
        (
            all.answered,
            all.partly_answered,
            all.unanswered,
            all.refused
        ),
        (Some(540), Some(0), Some(60), Some(1))
    );
    let names: Vec<_> = report.banks.iter().map(|bank| bank.bank.as_str()).collect();
    assert_eq!(names, ["first-bank", "second-bank", "third-bank"]);
    let first = &report.banks[0];
    assert_eq!(
        (first.rate_limited, first.questions.refused),
        (Some(1), Some(1))
    );
    let sum =
        |of: fn(&super::Bank) -> super::Count| -> u64 { report.banks.iter().filter_map(of).sum() };
    assert_eq!((sum(|bank| bank.failed), sum(|bank| bank.quota)), (30, 30));
    let north = &report.operators[0];
    assert_eq!(north.operator, "north-mobile");
    // Of 480 signals 30 timed out; 30 more met a quota, which is not the operator's to answer.
    assert_eq!((north.answered, north.timeout), (Some(420), Some(30)));
    assert_eq!(north.replies, Some(480));
    assert_eq!(north.attached, Some(1.0 - 36_000.0 / 21_816_000.0));
    let by_hour: u64 = report
        .activity
        .iter()
        .filter_map(|row| row.questions.answered)
        .sum();
    assert_eq!((report.activity.len(), by_hour), (7, 540));
    assert_eq!((report.acts.len(), report.anomalies.len()), (1, 1));
    assert!(
        report.anomalies[0]
            .what
            .contains("enumeration by third-bank")
    );
    assert_eq!(report.operations.len(), 1);
}

#[test]
fn the_bank_that_waits_longer_is_named() {
    let report = sample().finish();
    let verdicts: Vec<_> = report
        .fairness
        .iter()
        .map(|row| row.waits.unwrap().verdict())
        .collect();
    assert_eq!(verdicts, [Verdict::Better, Verdict::Better, Verdict::Worse]);
}

#[test]
fn entries_outside_of_the_period_are_not_counted() {
    let at = |ms: i64| jiff::Timestamp::from_millisecond(ms).ok();
    let (from, until) = (
        at(1_795_000_000_000 + 36_000 * 10),
        at(1_795_000_000_000 + 36_000 * 20),
    );
    let mut tally = Tally::of(from, until);
    entries().iter().for_each(|entry| tally.take(entry));
    assert_eq!(tally.finish().period.entries, Some(10));
}

#[test]
fn a_report_for_one_bank_holds_no_other_banks_figures() {
    let report = sample().finish().for_party("first-bank").unwrap();
    let text = serde_json::to_string(&report).unwrap();
    for other in ["second-bank", "third-bank"] {
        assert!(!text.contains(other), "{other}");
    }
    // Two other banks: each would know the other's volume from the sum.
    assert_eq!(report.questions.answered, None);
    assert_eq!(report.operators[0].answered, None);
    assert_eq!(report.banks[0].questions.answered, Some(180));
    // Quality is everybody's to know.
    assert!(report.operators[0].p95_us.is_some());
    assert!(sample().finish().for_party("nobody").is_none());
}

#[test]
fn a_report_for_one_operator_holds_neither_rivals_nor_banks() {
    let report = sample().finish().for_party("sud-mobile").unwrap();
    let text = serde_json::to_string(&report).unwrap();
    for other in ["north-mobile", "first-bank"] {
        assert!(!text.contains(other), "{other}");
    }
    assert_eq!(report.operators[0].operator, "sud-mobile");
}

#[test]
fn hostile_times_make_no_endless_report() {
    let mut tally = Tally::of(None, None);
    for (index, at) in (0..).zip([0, u64::MAX]) {
        let event = access("first-bank", "north-mobile", 1_000, v1::Reason::Unspecified);
        let mut entry = entry(index, event);
        entry.entry.time_unix_ms = at;
        tally.take(&entry);
    }
    assert!(tally.finish().activity.len() <= 402);
}
