use std::{fmt::Write as _, io::Cursor};

use aws_lc_rs::digest::{SHA256, digest};

use super::*;

const AS_OF: &str = "2026-11-26T02:00:00Z";

fn now() -> Timestamp {
    "2026-11-26T12:00:00Z".parse().unwrap()
}

fn number(text: &str) -> Msisdn {
    Msisdn::parse(text).unwrap()
}

/// A file with these rows, its last line as it must be.
fn file(rows: &str) -> String {
    ended(&format!(
        "accord-portability,1\nas_of,{AS_OF}\nnumber,recipient,ported\n{rows}"
    ))
}

fn ended(text: &str) -> String {
    let rows = text.lines().filter(|line| line.starts_with('+')).count();
    let hash = digest(&SHA256, text.as_bytes());
    let mut ended = format!("{text}end,{rows},");
    for byte in hash.as_ref() {
        write!(ended, "{byte:02x}").unwrap();
    }
    ended + "\n"
}

fn read(text: &str) -> Result<PortabilityDatabase, ReadError> {
    let limits = ReadLimits {
        rows_max: 1_000_000,
        now: now(),
    };
    PortabilityDatabase::read(&mut Cursor::new(text), limits)
}

fn refused(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

fn recipient<'a>(database: &'a PortabilityDatabase, text: &str) -> Option<&'a str> {
    database
        .find(&number(text), now())
        .map(|port| port.recipient)
}

#[test]
fn a_number_and_a_range_are_found_and_their_neighbours_are_not() {
    let rows = "+447700900016,sud-mobile,2024-05-01\n\
                +447700900100-+447700900199,23415,2025-02-01T03:00:10Z\n";
    let database = read(&file(rows)).unwrap();
    assert_eq!(recipient(&database, "+447700900016"), Some("sud-mobile"));
    assert_eq!(recipient(&database, "+447700900015"), None);
    assert_eq!(recipient(&database, "+447700900017"), None);
    for (text, found) in [
        ("+447700900099", None),
        ("+447700900100", Some("23415")),
        ("+447700900150", Some("23415")),
        ("+447700900199", Some("23415")),
        ("+447700900200", None),
        // Another length is another number.
        ("+44770090015", None),
    ] {
        assert_eq!(recipient(&database, text), found, "{text}");
    }
    assert_eq!((database.rows(), database.recipients().count()), (2, 2));
}

#[test]
fn a_number_by_itself_comes_before_its_range() {
    let rows = "+447700900100-+447700900199,range-holder,2026-02-01\n\
                +447700900150,own,2024-02-01\n";
    let database = read(&file(rows)).unwrap();
    assert_eq!(recipient(&database, "+447700900150"), Some("own"));
    assert_eq!(recipient(&database, "+447700900151"), Some("range-holder"));
}

#[test]
fn the_last_port_that_has_come_counts() {
    let rows = "+447700900001,third,2026-11-28\n\
                +447700900001,first,2020-01-01\n\
                +447700900001,second,2022-01-01\n\
                +447700900100-+447700900199,later,2026-11-28\n\
                +447700900100-+447700900199,sooner,2021-01-01\n\
                +447700900002,planned,2026-11-28\n";
    let database = read(&file(rows)).unwrap();
    let at = |text: &str, now: &str| {
        let port = database.find(&number(text), now.parse().unwrap());
        port.map(|port| port.recipient)
    };
    for (text, when, found) in [
        ("+447700900001", "2019-01-01T00:00:00Z", None),
        ("+447700900001", "2021-01-01T00:00:00Z", Some("first")),
        ("+447700900001", "2026-11-26T12:00:00Z", Some("second")),
        ("+447700900001", "2026-11-29T12:00:00Z", Some("third")),
        ("+447700900150", "2026-11-26T12:00:00Z", Some("sooner")),
        ("+447700900150", "2026-11-29T12:00:00Z", Some("later")),
        ("+447700900002", "2026-11-26T12:00:00Z", None),
        ("+447700900002", "2026-11-29T12:00:00Z", Some("planned")),
    ] {
        assert_eq!(at(text, when), found, "{text} {when}");
    }
}

#[test]
fn the_next_port_that_is_planned_is_known_and_what_has_come_is_none() {
    let rows = "+447700900001,third,2026-11-28\n+447700900001,first,2020-01-01\n\
                +447700900002,planned,2026-11-27T10:30:20Z\n+447700900003,ported,\n\
                +447700900100-+447700900199,later,2026-11-29\n";
    let database = read(&file(rows)).unwrap();
    let next = |now: &str| database.next_after(now.parse().unwrap());
    let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
    // Local days may begin 14 hours earlier.
    for (now, planned) in [
        ("2026-11-26T12:00:00Z", at("2026-11-27T10:00:00Z")),
        ("2026-11-27T10:00:00Z", at("2026-11-27T10:30:00Z")),
        ("2026-11-27T10:30:00Z", at("2026-11-28T10:00:00Z")),
        ("2026-11-28T10:00:00Z", None),
    ] {
        assert_eq!(next(now), planned, "{now}");
        let come = |when: Timestamp| database.find(&number("+447700900002"), when).is_some();
        let minute = planned.filter(|at| *at == "2026-11-27T10:30:00Z".parse().unwrap());
        assert!(minute.is_none_or(|at| come(at) && !come(at - SignedDuration::from_secs(1))));
    }
}

#[test]
fn the_many_ports_of_one_number_are_told_apart_over_the_blocks_of_the_search() {
    let mut rows = String::new();
    for number in 0..3 {
        for day in 1..=28 {
            writeln!(
                rows,
                "+44770090000{number},op-{number}-{day},2026-10-{day:02}"
            )
            .unwrap();
        }
    }
    let database = read(&file(&rows)).unwrap();
    for number_at in 0..3 {
        for day in 1..=28 {
            let now = format!("2026-10-{day:02}T12:30:00Z").parse().unwrap();
            let number = number(&format!("+44770090000{number_at}"));
            let port = database.find(&number, now).unwrap();
            // A day that is one anywhere has begun ten hours before that of UTC.
            assert_eq!(
                port.recipient,
                format!("op-{number_at}-{}", (day + 1).min(28))
            );
        }
        let before = "2026-09-01T00:00:00Z".parse().unwrap();
        let number = number(&format!("+44770090000{number_at}"));
        assert!(database.find(&number, before).is_none());
    }
}

#[test]
fn a_day_lasts_as_long_as_it_may_where_it_is_local() {
    let interval = |head: &str, cell: &str| {
        let text = ended(&format!(
            "accord-portability,1\nas_of,{AS_OF}\n{head}number,recipient,ported\n\
             +447700900016,sud,{cell}\n"
        ));
        let database = read(&text).unwrap();
        let port = database.find(&number("+447700900016"), now()).unwrap();
        port.ported_in
            .map(|at| format!("{} {}", at.after(), at.before()))
    };
    for (head, cell, expected) in [
        (
            "",
            "2024-05-01",
            "2024-04-30T10:00:00Z 2024-05-02T12:00:00Z",
        ),
        (
            "days,+00:00,+01:00\n",
            "2024-05-01",
            "2024-04-30T23:00:00Z 2024-05-02T00:00:00Z",
        ),
        (
            "days,-03:30,-02:30\n",
            "2024-05-01",
            "2024-05-01T02:30:00Z 2024-05-02T03:30:00Z",
        ),
        (
            "",
            "2024-05-01T12:30:45+02:00",
            "2024-05-01T10:30:00Z 2024-05-01T10:31:00Z",
        ),
    ] {
        assert_eq!(
            interval(head, cell).as_deref(),
            Some(expected),
            "{head}{cell}"
        );
    }
    assert_eq!(interval("", ""), None);
}

#[test]
fn many_rows_in_any_order_are_each_found_and_take_twelve_bytes() {
    // Beyond several fences, shuffled by a multiplication.
    let count: u64 = 10_000;
    let rows: String = (0..count)
        .map(|at| (at * 7_919) % count)
        .map(|at| format!("+4477009{at:05},op-{},2024-01-01\n", at % 7))
        .collect();
    let database = read(&file(&rows)).unwrap();
    for at in 0..count {
        let found = recipient(&database, &format!("+4477009{at:05}")).map(str::to_owned);
        assert_eq!(found, Some(format!("op-{}", at % 7)), "{at}");
    }
    let each = database.bytes() / usize::try_from(count).unwrap();
    assert!(each <= 13, "{each} bytes for each number");
    let ranges: String = (0..count)
        .map(|at| format!("+999{at:05}00-+999{at:05}99,op,\n"))
        .collect();
    let database = read(&file(&ranges)).unwrap();
    assert_eq!(recipient(&database, "+9990012345"), Some("op"));
    let each = database.bytes() / usize::try_from(count).unwrap();
    // 10 million rows of whichever kind must fit into 200 MiB.
    assert!(each <= 17, "{each} bytes for each range");
}

#[test]
fn rows_that_stand_twice_are_one() {
    let rows = "+447700900016,sud,2024-05-01\n+447700900016,sud,2024-05-01\n";
    let database = read(&file(rows)).unwrap();
    assert_eq!(recipient(&database, "+447700900016"), Some("sud"));
    assert_eq!(database.rows(), 2);
}

#[test]
fn contradictions_are_refused_with_both_lines() {
    for (rows, lines) in [
        (
            "+447700900016,one,2024-05-01\n+447700900017,x,\n+447700900016,other,2024-05-01\n",
            "lines 4 and 6",
        ),
        (
            "+447700900016,one,\n+447700900016,other,\n",
            "lines 4 and 5",
        ),
        (
            "+447700900100-+447700900199,one,2024-05-01\n\
             +447700900150-+447700900299,other,2025-05-01\n",
            "lines 4 and 5",
        ),
        (
            "+447700900100-+447700900199,one,2024-05-01\n\
             +447700900100-+447700900150,other,2025-05-01\n",
            "lines 4 and 5",
        ),
        (
            "+447700900100-+447700900199,one,2024-05-01\n\
             +447700900100-+447700900199,other,2024-05-01\n",
            "lines 4 and 5",
        ),
    ] {
        let said = refused(&file(rows));
        assert!(said.contains(lines), "{said}");
        assert!(!said.contains("7700900"), "{said}");
    }
}

#[test]
fn a_row_that_breaks_a_rule_is_named_by_its_line_and_never_by_its_number() {
    for (row, rule) in [
        ("+447700900016,sud", "a row reads"),
        ("+447700900016,sud,2024-05-01,x", "a row reads"),
        ("447700900016,sud,", "begins with `+`"),
        ("+44 7700900016,sud,", "digits only"),
        ("+4477009000161234,sud,", "8 to 15 digits"),
        ("+047700900016,sud,", "does not begin with 0"),
        ("+447700900016-+447700900015,sud,", "a range has"),
        ("+44770090001-+447700900015,sud,", "a range has"),
        ("+447700900016,,", "a recipient has"),
        ("+447700900016,sud mobile,", "a recipient has"),
        ("+447700900016,sud,01-05-2024", "`ported` is a day"),
        ("+447700900016,sud,2024-05-01T10:00:00", "`ported` is a day"),
        ("+447700900016,sud,1901-01-01", "absurd"),
        ("+447700900016,sud,1900-01-01T00:00:00Z", "absurd"),
        ("+447700900016,sud,2099-01-01", "absurd"),
        ("+447700900016,süd,", "a recipient has"),
    ] {
        let good = "+447700900001,sud,\n";
        let said = refused(&file(&format!("{good}{row}\n{good}")));
        assert!(
            said.starts_with("line 5: ") && said.contains(rule),
            "{row}: {said}"
        );
        assert!(!said.contains("7700900"), "{said}");
    }
}

#[test]
fn a_file_that_is_cut_anywhere_is_not_taken() {
    let whole = file("+447700900016,sud,2024-05-01\n+447700900017,sud,2024-05-01\n");
    assert!(read(&whole).is_ok());
    for cut in 0..whole.len() {
        let cut_off = whole.get(..cut).unwrap();
        assert!(read(cut_off).is_err(), "cut at {cut}");
    }
}

#[test]
fn a_file_of_which_any_byte_is_changed_is_not_taken() {
    let whole = file("+447700900016,sud,2024-05-01\n");
    for at in 0..whole.len() {
        let mut bytes = whole.clone().into_bytes();
        bytes[at] ^= 1;
        let limits = ReadLimits {
            rows_max: 10,
            now: now(),
        };
        let read = PortabilityDatabase::read(&mut Cursor::new(bytes), limits);
        assert!(read.is_err(), "byte {at}");
    }
}

#[test]
fn what_is_no_database_says_what_it_lacks() {
    let good = file("+447700900016,sud,\n");
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let limits = ReadLimits {
        rows_max: 10,
        now: now(),
    };
    assert!(PortabilityDatabase::read(&mut Cursor::new(utf16), limits).is_err());
    for (text, said) in [
        (String::new(), "the first line is"),
        (good.replace("as_of,2026", "as_of,x"), "the second line is"),
        (
            good.replace(AS_OF, "2026-11-26T02:00:00"),
            "the second line is",
        ),
        (good.replace(AS_OF, "2026-11-27T02:00:00Z"), "in the future"),
        (
            good.replace("number,r", "number,x"),
            "before the rows stands",
        ),
        (
            good.replace("number,r", "days,+01:00,+00:00\nnumber,r"),
            "`days,` is followed",
        ),
        (
            good.replace("number,r", "days,+99:00,+99:00\nnumber,r"),
            "`days,` is followed",
        ),
        (
            good.replace("end,1,", "end,2,"),
            "it has 1 rows and says that it has 2",
        ),
        (good.replace("end,1,", "end,1,z"), "the last line is"),
        (format!("{good}\n"), "after its last line"),
        (format!("{good}+447700900016,sud,\n"), "after its last line"),
        (file(&"x".repeat(300)), "longer than 256 bytes"),
    ] {
        let error = refused(&text);
        assert!(error.contains(said), "{said}: {error}");
    }
}

#[test]
fn a_file_with_more_rows_than_the_limit_is_refused_before_it_is_all_read() {
    let rows: String = (0..50)
        .map(|at| format!("+4477009000{at:02},sud,\n"))
        .collect();
    let limits = ReadLimits {
        rows_max: 49,
        now: now(),
    };
    let read = PortabilityDatabase::read(&mut Cursor::new(file(&rows)), limits);
    assert!(matches!(read, Err(ReadError::TooMany(49))));
}

#[test]
fn windows_line_ends_are_read() {
    let text = format!(
        "accord-portability,1\nas_of,{AS_OF}\nnumber,recipient,ported\n+447700900016,sud,\n"
    );
    let database = read(&ended(&text.replace('\n', "\r\n"))).unwrap();
    assert_eq!(recipient(&database, "+447700900016"), Some("sud"));
}
