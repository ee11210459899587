//! The output of a screening: whose it is, what it says, and how it is taken up again.

use std::{collections::HashMap, path::Path, time::Duration};

use accord_proto::{band::AgeBand, purpose::Purpose, reason::Reason, signal::Question};
use jiff::SignedDuration;

use super::{
    super::{args::Ask, signals::Asking},
    input::{Input, InputLine},
    output::Output,
    plan::Plan,
    progress::{Ended, Standing},
};
use crate::{
    Answer, Answered, Assurance, LineError, Outcome, Receipt, Refusal, Screened, SignalOutcome,
    Value,
};

fn line(number: u64) -> InputLine {
    InputLine {
        number,
        msisdn: "+4477".to_owned(),
        since: None,
        customer_ref: None,
        consent_ref: None,
        attempt: 1,
    }
}

fn refused(number: u64) -> Screened<InputLine> {
    let refusal = Refusal {
        code: tonic::Code::InvalidArgument,
        reason: "MALFORMED_FIELD".to_owned(),
        message: "msisdn: a number has 8 to 15 digits, \"quoted\"".to_owned(),
        field: Some("msisdn".to_owned()),
        retry_after: None,
    };
    Screened {
        tag: line(number),
        outcome: Err(LineError::Refused(refusal)),
    }
}

fn outcome(question: Question, outcome: Outcome) -> SignalOutcome {
    SignalOutcome {
        question,
        outcome,
        clause: Some("3.1".to_owned()),
        observed_at: "2026-11-21T12:00:00Z".parse().ok(),
        source: None,
        customer_lock: true,
    }
}

fn value(value: Value) -> Outcome {
    Outcome::Value {
        value,
        swap_kind: None,
        attack_kind: None,
    }
}

fn missing(reason: Reason) -> Outcome {
    Outcome::Unanswered {
        reason,
        detail: String::new(),
    }
}

/// The answer to questions about SIM swap and roaming.
fn answered(number: u64, sim_swap: Outcome, roaming: Outcome) -> Screened<InputLine> {
    let threshold_hours = None;
    let signals = vec![
        outcome(Question::SimSwap { threshold_hours }, sim_swap),
        outcome(Question::Roaming, roaming),
    ];
    let answer = Answer {
        answered_at: "2026-11-21T12:00:01Z".parse().unwrap(),
        agreement: "TEST-2026-1".to_owned(),
        agreement_version: 7,
        routing_basis: None,
        routing_as_of: None,
        signals,
        request_id: String::new(),
    };
    let receipt = Receipt {
        origin: "log/2026-11".to_owned(),
        index: 12,
        leaf_hash: [0xab; 32],
        assurance: Assurance::Form,
        proof: None,
    };
    Screened {
        tag: line(number),
        outcome: Ok(Answered {
            answer,
            receipt,
            nonce: [0; 32],
            answer_bytes: b"answer".as_slice().into(),
        }),
    }
}

fn input(numbers: &Path, text: &str) -> Input {
    std::fs::write(numbers, text).unwrap();
    Input::open(numbers, "2026-11-21T12:00:00Z".parse().unwrap()).unwrap()
}

fn plan(input: &Input, party: &str) -> Plan {
    plan_of(input, party, &["roaming"])
}

fn plan_of(input: &Input, party: &str, signals: &[&str]) -> Plan {
    let ask = Ask {
        purpose: None,
        signals: signals.iter().map(|text| (*text).to_owned()).collect(),
        since: None,
        on_behalf_of: None,
        consent_ref: None,
    };
    let asking = Asking::named(&ask).unwrap().unwrap();
    Plan::new(party, &ask, asking, Purpose::Payment, input).unwrap()
}

fn write(output: &mut Output, screened: &Screened<InputLine>) {
    output.write(screened, Standing::of(screened)).unwrap();
}

#[test]
fn a_torn_output_is_taken_up_again_in_both_forms() {
    for name in ["out.jsonl", "out.csv"] {
        let dir = tempfile::tempdir().unwrap();
        let numbers = dir.path().join("numbers");
        let input = input(&numbers, "+447700900001\n+447700900002\n");
        let path = dir.path().join(name);
        let mut output = Output::open(&path, &input, &plan(&input, "one")).unwrap();
        write(&mut output, &refused(1));
        write(&mut output, &refused(2));
        output.flush().unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();

        let mut output = Output::open(&path, &input, &plan(&input, "one")).unwrap();
        let progress = output.progress();
        assert_eq!(progress.tally().of(Ended::Refused), 1, "{name}");
        assert!(progress.of(1).is_some() && progress.of(2).is_none());
        write(&mut output, &refused(2));
        output.flush().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole, "{name}");

        let error = Output::open(&path, &input, &plan(&input, "other")).unwrap_err();
        assert!(format!("{error:?}").contains("another screening"));
        assert_eq!(std::fs::read(&path).unwrap(), whole, "{name}");
    }
}

#[test]
fn a_file_that_is_not_ours_is_left_as_it_is() {
    let id = "0123456789abcdef0123456789abcdef-1";
    for (name, text) in [
        ("one-line.jsonl", "a line without an end".to_owned()),
        ("one-line.csv", "a line without an end".to_owned()),
        ("lines.jsonl", "{\"name\":1}\n{\"name\":2}\n".to_owned()),
        ("heading.csv", "name,balance\n".to_owned()),
        ("rows.csv", "name,balance\nfirst,1\nsec".to_owned()),
        ("bytes.csv", "\u{0}\u{1}\n".to_owned()),
        ("other-run.jsonl", format!("{{\"request_id\":\"{id}\"}}\n")),
        ("other-torn.jsonl", format!("{{\"request_id\":\"{id}")),
        ("other-signals.csv", "request_id,line\n".to_owned()),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let numbers = dir.path().join("numbers");
        let input = input(&numbers, "+447700900001\n");
        let path = dir.path().join(name);
        std::fs::write(&path, &text).unwrap();
        let error = Output::open(&path, &input, &plan(&input, "one")).unwrap_err();
        let error = format!("{error:?}");
        assert!(error.contains("left as it is"), "{name}: {error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "{name}");
    }
}

#[test]
fn a_result_of_a_line_that_the_input_has_not_is_not_ours() {
    let dir = tempfile::tempdir().unwrap();
    let numbers = dir.path().join("numbers");
    let input = input(&numbers, "+447700900001\n");
    let plan = plan(&input, "one");
    let path = dir.path().join("out.jsonl");
    for line in ["0", "2", "18446744073709551615"] {
        let (run, rest) = (&plan.run, "\"outcome\":\"answered\",\"retry\":false,}");
        let text = format!("{{\"request_id\":\"{run}-{line}\",\"line\":{line},{rest}\n");
        std::fs::write(&path, &text).unwrap();
        Output::open(&path, &input, &plan).unwrap_err();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn the_file_of_numbers_is_never_the_output() {
    let dir = tempfile::tempdir().unwrap();
    let numbers = dir.path().join("numbers.csv");
    let text = "number\n+447700900001";
    let input = input(&numbers, text);
    let (hard, soft) = (dir.path().join("hard.csv"), dir.path().join("soft.jsonl"));
    std::fs::hard_link(&numbers, &hard).unwrap();
    std::os::unix::fs::symlink(&numbers, &soft).unwrap();
    let around = dir.path().join(".").join("numbers.csv");
    for path in [&numbers, &around, &hard, &soft] {
        let error = Output::open(path, &input, &plan(&input, "one")).unwrap_err();
        let error = format!("{error:?}");
        assert!(error.contains("the file of numbers itself"), "{error}");
        assert_eq!(std::fs::read_to_string(&numbers).unwrap(), text);
    }
}

/// The records of a CSV file, each cell under its column.
fn records(path: &Path) -> Vec<HashMap<String, String>> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    reader.deserialize().map(Result::unwrap).collect()
}

#[test]
fn csv_tells_each_signal_in_columns_that_a_program_reads() {
    let dir = tempfile::tempdir().unwrap();
    let input = input(&dir.path().join("numbers"), "+447700900001\n0\n0\n0\n");
    let path = dir.path().join("out.csv");
    let plan = plan_of(&input, "one", &["sim_swap", "roaming", "tenure=2024-01-31"]);
    let mut output = Output::open(&path, &input, &plan).unwrap();
    let band = AgeBand::of(SignedDuration::from_hours(5));
    let age = Value::Band {
        lowest: band,
        highest: band,
        at_least: false,
    };
    let no = || missing(Reason::NotAuthorised);
    write(
        &mut output,
        &answered(1, value(age), missing(Reason::Timeout)),
    );
    write(&mut output, &answered(2, no(), no()));
    write(&mut output, &refused(3));
    let yes_no = |yes| value(Value::YesNo(yes));
    write(&mut output, &answered(4, yes_no(true), yes_no(false)));
    output.flush().unwrap();
    let records = records(&path);
    let cells = |columns: &[&str]| {
        let of = |record: &HashMap<String, String>| {
            let cells = columns.iter().map(|column| record[*column].clone());
            cells.collect::<Vec<_>>().join(" ")
        };
        records.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(
        cells(&["line", "outcome", "retry"]),
        [
            "1 partly_answered true",
            "2 unanswered false",
            "3 refused false",
            "4 answered false"
        ]
    );
    assert_eq!(
        cells(&["sim_swap", "sim_swap_reason", "roaming", "roaming_reason"]),
        [
            "4h..12h   timeout",
            " not_authorised  not_authorised",
            "   ",
            "yes  no "
        ]
    );
    assert_eq!(cells(&["reason", "field"])[2], "MALFORMED_FIELD msisdn");
    for (column, cell) in [
        ("number", "+4477"),
        ("answered_at", "2026-11-21T12:00:01Z"),
        ("agreement_version", "7"),
        ("sim_swap_lock", "true"),
        ("sim_swap_observed_at", "2026-11-21T12:00:00Z"),
        ("roaming_clause", "3.1"),
        ("tenure", ""),
        ("tenure_since", ""),
        ("index", "12"),
        ("answer", "YW5zd2Vy"),
    ] {
        assert_eq!(records[0][column], cell, "{column}");
    }
}

#[test]
fn what_the_broker_says_in_words_breaks_no_line() {
    let dir = tempfile::tempdir().unwrap();
    let input = input(&dir.path().join("numbers"), "+447700900001\n");
    let path = dir.path().join("out.csv");
    let plan = plan(&input, "one");
    let mut output = Output::open(&path, &input, &plan).unwrap();
    let mut screened = refused(1);
    if let Err(LineError::Refused(refusal)) = &mut screened.outcome {
        refusal.message = "one\nanother\r\n".to_owned();
        refusal.retry_after = Some(Duration::from_secs(1));
    }
    write(&mut output, &screened);
    output.flush().unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
    let output = Output::open(&path, &input, &plan).unwrap();
    assert_eq!(output.progress().attempt(1, true), Some(2));
}

#[test]
fn the_last_record_of_a_line_stands_in_both_forms() {
    for name in ["out.jsonl", "out.csv"] {
        let dir = tempfile::tempdir().unwrap();
        let input = input(
            &dir.path().join("numbers"),
            "+447700900001\n+447700900002\n",
        );
        let path = dir.path().join(name);
        let plan = plan_of(&input, "one", &["sim_swap", "roaming"]);
        let mut output = Output::open(&path, &input, &plan).unwrap();
        let late = || missing(Reason::Timeout);
        let known = || value(Value::YesNo(false));
        write(&mut output, &answered(1, late(), late()));
        write(&mut output, &answered(2, known(), known()));
        output.flush().unwrap();

        let mut output = Output::open(&path, &input, &plan).unwrap();
        let progress = output.progress();
        assert_eq!(progress.attempt(1, false), None);
        assert_eq!(progress.attempt(1, true), Some(2));
        assert_eq!(progress.attempt(2, true), None);
        let mut again = answered(1, known(), known());
        again.tag.attempt = 2;
        write(&mut output, &again);
        output.flush().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(&format!("{}-1-2", plan.run)), "{text}");

        let output = Output::open(&path, &input, &plan).unwrap();
        let tally = output.progress().tally();
        assert_eq!((tally.of(Ended::Answered), tally.total()), (2, 2), "{name}");
        assert_eq!(tally.retry, 0);
    }
}
