//! Files of numbers, good and bad.

use std::io::Write as _;

use super::*;

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn input(text: &str) -> (tempfile::NamedTempFile, Result<Input, Failure>) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let input = Input::open(file.path(), now());
    (file, input)
}

#[test]
fn a_plain_list_is_read_with_the_numbers_of_its_lines() {
    let (_file, input) = input("# ours\n+447700900001\n\n+447700900002\n");
    let input = input.unwrap();
    assert_eq!(input.count, 2);
    let lines: Vec<_> = input.lines().unwrap().map(Result::unwrap).collect();
    let seen: Vec<_> = lines
        .iter()
        .map(|line| (line.number, &*line.msisdn))
        .collect();
    assert_eq!(seen, [(2, "+447700900001"), (4, "+447700900002")]);
}

#[test]
fn a_heading_names_the_columns() {
    let (_file, input) = input("Customer_Ref,number,since\nc-1,+447700900001,2024-01-31\n");
    let input = input.unwrap();
    let lines: Vec<_> = input.lines().unwrap().map(Result::unwrap).collect();
    assert_eq!((input.count, lines.len()), (1, 1));
    assert_eq!(lines[0].customer_ref.as_deref(), Some("c-1"));
    assert_eq!(lines[0].since, parse_since("2024-01-31").ok());
    assert_eq!(lines[0].consent_ref, None);
}

#[test]
fn msisdn_is_the_number_and_a_byte_order_mark_is_nothing() {
    let (_file, input) = input("\u{feff}MSISDN,since\r\n+447700900001,2024-01-31\r\n");
    let input = input.unwrap();
    let line = input.lines().unwrap().next().unwrap().unwrap();
    assert_eq!((line.number, &*line.msisdn), (2, "+447700900001"));
    assert_eq!(line.since, parse_since("2024-01-31").ok());
}

#[test]
fn the_first_line_without_a_date_is_remembered() {
    let text = "number,since,consent_ref\n+447700900001,2024-01-31\n+447700900002,,c-1\n";
    let (_file, input) = input(text);
    let input = input.unwrap();
    let day = parse_since("2024-01-31").ok();
    assert_eq!(input.beginnings, [(2, day), (3, None)]);
    assert!(input.has_consents());
}

#[test]
fn a_mistake_is_named_with_file_and_line_and_never_repeated() {
    let long = format!("number,customer_ref\n+447700900001,{}\n", "c".repeat(129));
    let endless = format!("number\n+447700900001\n{}", "7".repeat(5_000));
    for (text, line, rule) in [
        ("number,imsi\n", 1, "unknown column `imsi`"),
        ("since,+447700900001\n", 1, "unknown column in place 2"),
        ("number,msisdn\n", 1, "twice"),
        (
            "since,customer_ref\n",
            1,
            "no column `number` (or `msisdn`)",
        ),
        (
            "\n# ours\ntelephone\n+447700900001\n",
            3,
            "such as number,since",
        ),
        ("number;since\n", 1, "such as number,since"),
        ("07700900001\n", 1, "such as +447700900001"),
        (
            "+447700900001,2024-01-31\n",
            1,
            "a heading names the columns",
        ),
        (
            "number\n+447700900001,1\n",
            2,
            "more cells than the heading",
        ),
        ("number,since\n+447700900001,soon\n", 2, "calendar date"),
        (
            "number,since\n+447700900001,2026-11-22\n",
            2,
            "in the future",
        ),
        (&long, 2, "at most 128 bytes"),
        (&endless, 3, "so long"),
    ] {
        let (file, input) = input(text);
        let error = format!("{:?}", input.unwrap_err());
        let place = format!("`{}` line {line}: ", file.path().display());
        assert!(error.contains(&place), "{text}: {error}");
        assert!(error.contains(rule), "{text}: {error}");
        let without_example = error.replace("+447700900001 stands", "");
        assert!(!without_example.contains("7700900001"), "{error}");
    }
}

#[test]
fn what_is_no_utf_8_is_named_with_its_line() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"+447700900001\n\xff\n").unwrap();
    let error = Input::open(file.path(), now()).unwrap_err();
    assert!(format!("{error:?}").contains("line 2: this is not UTF-8"));
}

#[test]
fn a_malformed_number_is_a_result_and_no_mistake_of_the_file() {
    let (_file, input) = input("+447700900001\n0770\n");
    assert_eq!(input.unwrap().count, 2);
}

#[test]
fn a_run_is_named_after_the_file_and_the_question() {
    let (file, one) = input("+447700900001\n");
    let (_file, other_file) = input("+447700900002\n");
    let one = one.unwrap().run_name("first-bank");
    let again = Input::open(file.path(), now()).unwrap();
    assert_eq!(one, again.run_name("first-bank"));
    assert_ne!(one, again.run_name("second-bank"));
    assert_ne!(one, other_file.unwrap().run_name("first-bank"));
    let line = InputLine {
        number: u64::MAX,
        attempt: u8::MAX,
        ..again.lines().unwrap().next().unwrap().unwrap()
    };
    assert!(line.request_id(&one).len() <= 64);
}
