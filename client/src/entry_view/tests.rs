//! Entries in fields and in a line.

use super::*;

fn entry(event: Event) -> LedgerEntry {
    LedgerEntry {
        origin: String::new(),
        index: 7,
        bytes: vec![1],
        entry: v1::Entry {
            time_unix_ms: 1_000,
            event: Some(event),
            ..v1::Entry::default()
        },
    }
}

#[test]
fn an_access_is_shown_in_fields_without_the_empty_ones() {
    let entry = entry(Event::Access(v1::Access {
        bank: "first-bank".to_owned(),
        purpose: v1::Purpose::Payment as i32,
        signals: vec![v1::SignalRecord {
            signal: v1::Signal::SimSwap as i32,
            reason: v1::Reason::Timeout as i32,
            since_unix_ms: 60_000,
            ..v1::SignalRecord::default()
        }],
        ..v1::Access::default()
    }));
    assert_eq!(
        summary(&entry),
        "first-bank asked no operator for payment: sim_swap timeout"
    );
    let mut found = Vec::new();
    lines(&json(&entry), "", &mut found);
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert!(found.contains(&pair("access.signals[0].status", "timeout")));
    assert!(found.contains(&pair("time", "1970-01-01T00:00:01Z")));
    assert!(found.contains(&pair("access.signals[0].since", "1970-01-01T00:01:00Z")));
    assert!(!found.iter().any(|(key, _)| key.contains("rests_on")));
    assert!(!found.iter().any(|(key, _)| key == "access.on_behalf_of"));
}

#[test]
fn an_answer_from_the_view_is_shown_with_what_it_rests_on() {
    let said = |digest| v1::ReplyDigest {
        instance: "a".to_owned(),
        journal_index: 70,
        digest: vec![digest; 2],
        elapsed_us: 9,
    };
    let entry = entry(Event::Access(v1::Access {
        signals: vec![v1::SignalRecord {
            from_view: true,
            rests_on: Some(said(0xcd)),
            ..v1::SignalRecord::default()
        }],
        replies: vec![said(0xab)],
        ..v1::Access::default()
    }));
    let access = &json(&entry)["access"];
    let rests_on = json!({"instance": "a", "journal_index": 70, "digest": "cdcd"});
    assert_eq!(access["signals"][0]["rests_on"], rests_on);
    let reply = json!({
        "instance": "a", "journal_index": 70, "digest": "abab", "elapsed_us": 9,
    });
    assert_eq!(access["replies"][0], reply);
}

#[test]
fn a_pushed_batch_is_shown_with_its_digest_and_what_was_withdrawn() {
    let subject = |withdrawn| v1::ChangedSubject {
        subject_tag: vec![1; 2],
        signal: v1::Signal::SimSwap as i32,
        withdrawn,
    };
    let entry = entry(Event::SourceChanges(v1::SourceChanges {
        operator: "north-mobile".to_owned(),
        instance: "a".to_owned(),
        sequence: 9,
        subjects: vec![subject(false), subject(true)],
        digest: vec![0xab; 2],
        journal_index: 70,
    }));
    assert_eq!(
        summary(&entry),
        "north-mobile a pushed 2 changes, 1 of them withdrawn"
    );
    let changes = &json(&entry)["source_changes"];
    assert_eq!(changes["digest"], "abab");
    assert_eq!(changes["journal_index"], 70);
    assert_eq!(changes["subjects"][0]["withdrawn"], false);
    assert_eq!(changes["subjects"][1]["withdrawn"], true);
}

#[test]
fn a_refusal_says_who_refused_whom() {
    let call = v1::RefusedCall {
        party: "first-bank".to_owned(),
        method: "SignalService.Lookup".to_owned(),
        reason: "MALFORMED_FIELD".to_owned(),
        field: "msisdn".to_owned(),
    };
    assert_eq!(
        summary(&entry(Event::RefusedCall(call))),
        "the broker refused first-bank: SignalService.Lookup MALFORMED_FIELD msisdn"
    );
    let count = v1::RefusalCount {
        party: "first-bank".to_owned(),
        refused: 7,
    };
    assert_eq!(
        summary(&entry(Event::RefusalCount(count))),
        "the broker refused first-bank: 7 calls in a second"
    );
}

#[test]
fn a_reason_of_a_newer_version_is_not_shown_as_answered() {
    for (reason, shown) in [
        (0, "answered"),
        (v1::Reason::Timeout as i32, "timeout"),
        (99, "unknown_reason_99"),
        (-1, "unknown_reason_-1"),
    ] {
        let access = v1::Access {
            bank: "first-bank".to_owned(),
            signals: vec![v1::SignalRecord {
                signal: v1::Signal::Roaming as i32,
                reason,
                ..v1::SignalRecord::default()
            }],
            ..v1::Access::default()
        };
        let entry = entry(Event::Access(access));
        let summary = summary(&entry);
        assert!(summary.ends_with(&format!("roaming {shown}")), "{summary}");
        let status = json(&entry)["access"]["signals"][0]["status"].clone();
        assert_eq!(status, shown);
    }
}
