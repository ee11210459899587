//! Statements, and each mistake with its field.

use jiff::civil::date;

use super::*;
use crate::c2sp::{SignedNote, SigningKey};

const LEDGER: &str = "accord.test";
const TODAY: Date = date(2026, 11, 26);

pub(super) fn good() -> v1::ReadStatement {
    v1::ReadStatement {
        description: "all accesses by first-bank from 2026-11-01 to 2026-11-30".to_owned(),
        purpose: "oversight".to_owned(),
        sensitivity: v1::Sensitivity::Confidential as i32,
        recipients: vec!["Head of Supervision".to_owned(), "Legal".to_owned()],
        needed_by: "2026-12-31".to_owned(),
        case: "2026-0042".to_owned(),
        joint: String::new(),
    }
}

fn refused(change: impl FnOnce(&mut v1::ReadStatement)) -> String {
    let mut wire = good();
    change(&mut wire);
    Statement::parse(&wire, TODAY).unwrap_err().field
}

#[test]
fn a_statement_says_on_the_wire_what_was_parsed() {
    let statement = Statement::parse(&good(), TODAY).unwrap();
    assert_eq!(statement.to_wire(), good());
    assert_eq!(statement.sensitivity(), Sensitivity::Confidential);
}

/// A change of a text, for the worse.
type Worse = fn(&mut v1::ReadStatement);

#[test]
fn each_missing_overlong_or_odd_field_is_named() {
    fn long(len_max: usize) -> String {
        "x".repeat(len_max + 1)
    }
    let worse: [(&str, Worse); 16] = [
        ("", |wire| *wire = v1::ReadStatement::default()),
        (".description", |wire| wire.description.clear()),
        (".description", |wire| wire.description = "  ".to_owned()),
        (".description", |wire| {
            wire.description = long(DESCRIPTION_LEN_MAX)
        }),
        (".description", |wire| wire.description = "a\nb".to_owned()),
        (".description", |wire| {
            wire.description = "a\u{202e}b".to_owned()
        }),
        (".purpose", |wire| wire.purpose.clear()),
        (".purpose", |wire| wire.purpose = long(PURPOSE_LEN_MAX)),
        (".sensitivity", |wire| wire.sensitivity = 0),
        (".sensitivity", |wire| wire.sensitivity = 99),
        (".recipients", |wire| wire.recipients.clear()),
        (".recipients", |wire| {
            wire.recipients = vec!["x".to_owned(); RECIPIENTS_MAX + 1]
        }),
        (".recipients[1]", |wire| wire.recipients[1].clear()),
        (".recipients[0]", |wire| {
            wire.recipients[0] = long(RECIPIENT_LEN_MAX)
        }),
        (".case", |wire| wire.case = long(CASE_LEN_MAX)),
        (".joint", |wire| wire.joint = long(JOINT_LEN_MAX)),
    ];
    for (field, change) in worse {
        assert_eq!(refused(change), format!("statement{field}"));
    }
    for day in [
        "",
        "31.12.2026",
        "2026-13-01",
        "2026-12-31T00:00",
        "20261231",
        "2026-11-25",
        "2027-11-28",
    ] {
        let field = refused(|wire| wire.needed_by = day.to_owned());
        assert_eq!(field, "statement.needed_by", "{day}");
    }
}

#[test]
fn a_statement_holds_to_the_end_of_its_day_and_at_most_a_year() {
    for day in ["2026-11-26", "2027-11-27"] {
        let wire = v1::ReadStatement {
            needed_by: day.to_owned(),
            ..good()
        };
        assert!(Statement::parse(&wire, TODAY).is_ok(), "{day}");
    }
}

#[test]
fn what_could_be_a_phone_number_does_not_get_into_the_record() {
    for text in [
        "+447700900001",
        "complaint about 07700 900001",
        "07700-900-001",
        "(07700) 900.001",
        "7700900",
        "770 09 00",
        "0 7 7 0 0 9 0 0 0 0 1",
        "+44 (0) 7700 900001",
        "+20 2026-0042 11",
        "2026-0042-1234",
        "2026-0042 0900001",
        "2026-01-31-77009",
        "+2026-01-31",
        "2026-99-31 2026",
        "case 2026-7700900",
        "7700\u{2013}900001",
        "٠٧٧٠٠٩٠٠٠٠١",
        "77/00/90/00",
        "case 4477,009,00001 x",
        "clause 3.1.2, 250000 entries",
    ] {
        assert_eq!(
            refused(|wire| wire.description = text.to_owned()),
            "statement.description",
            "{text}"
        );
        assert_eq!(
            refused(|wire| wire.recipients[0] = text.to_owned()),
            "statement.recipients[0]"
        );
    }
}

#[test]
fn days_cases_and_small_numbers_may_stand() {
    for text in [
        "from 2026-11-01 to 2026-11-30",
        "2026-11-01 2026-11-30",
        "2026-11-01/2026-11-30",
        "the complaint (2026-0042) of 2026-11-01",
        "2026-11-01 - 2026-11-30, 14:00",
        "complaint 2026-0042",
        "2026/0042 and 2026-000043",
        "2026-0042, 2026-0043",
        "2026-0042 2026-0043",
        "clause 3.1.2 of 250,000 entries",
        "article 5(1)(c), 12 of 300",
        "10,000,000 entries",
        "case B-0042-26",
    ] {
        let wire = v1::ReadStatement {
            description: text.to_owned(),
            ..good()
        };
        assert!(Statement::parse(&wire, TODAY).is_ok(), "{text}");
    }
}

#[test]
fn a_joint_note_is_read_back_to_the_byte() {
    let statement = Statement::parse(&good(), TODAY).unwrap();
    let mut note = SignedNote::unsigned(statement.text(LEDGER)).unwrap();
    note.sign(&SigningKey::generate("central-bank").unwrap())
        .unwrap();
    let read = parse_joint(&note.to_string()).unwrap();
    assert_eq!(read.ledger, LEDGER);
    assert_eq!(read.statement.text(LEDGER), statement.text(LEDGER));
    assert_eq!(read.statement.joint(), Some(note.to_string().as_str()));
    let without_case = v1::ReadStatement {
        case: String::new(),
        ..good()
    };
    let statement = Statement::parse(&without_case, TODAY).unwrap();
    assert!(!statement.text(LEDGER).contains("case"));
}

#[test]
fn a_note_with_other_lines_is_refused_with_the_line() {
    let text = Statement::parse(&good(), TODAY).unwrap().text(LEDGER);
    let line = |text: String| {
        let mut note = SignedNote::unsigned(text).unwrap();
        note.sign(&SigningKey::generate("central-bank").unwrap())
            .unwrap();
        match parse_joint(&note.to_string()) {
            Err(StatementTextError::Line { line }) => line,
            Err(StatementTextError::Header) => 1,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(line(text.replace("v1", "v2")), 1);
    // What names no ledger could be used at any broker of these authorities.
    assert_eq!(line(text.replace("ledger: accord.test\n", "")), 2);
    assert_eq!(line(text.replace("ledger: accord.test\n", "ledger: \n")), 2);
    assert_eq!(line(text.replace("purpose: ", "purpose:  ")), 4);
    assert_eq!(line(text.replace("purpose: ", "why: ")), 4);
    assert_eq!(line(text.replace("confidential", "secret")), 5);
    assert_eq!(line(format!("{text}case: 2026-0043\n")), 10);
    assert_eq!(line(format!("{text}more\n")), 10);
    let moved = text.replace("case: 2026-0042\n", "");
    let moved = moved.replace("purpose", "case: 2026-0042\npurpose");
    assert_eq!(line(moved), 4);
}
