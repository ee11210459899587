//! What a clause is said to suit, and what is answered under it: over every granularity, every kind
//! of windows and every operation.

use accord_proto::{
    agreement::Clause,
    granularity::Granularity,
    observation::{Observation, Observed, Roaming, SourceClass},
    signal::{Question, Signal},
    wire::timestamp,
};

use super::{
    super::{fields::Said, question},
    *,
};
use crate::path::derive::{derive, tests::clause_if_any};

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn days_ago(days: i64) -> Timestamp {
    now() - SignedDuration::from_hours(24 * days)
}

/// Every clause that an agreement can have about a signal.
fn clauses(signal: Signal) -> Vec<Clause> {
    let back = "look_back_days = 3650\n";
    let window = "threshold_window_hours = 24\n";
    let dated = format!("{back}{window}");
    let mut windows = vec![String::new(), back.to_owned(), dated.clone()];
    for hours in ["[24]", "[24, 72]", "[2400]", "[2401]", "\"any\""] {
        windows.push(format!("{dated}thresholds_hours = {hours}\n"));
    }
    let of = |granularity: &Granularity| {
        let one = |windows: &String| clause_if_any(signal, granularity.name(), windows);
        windows.iter().filter_map(one).collect::<Vec<_>>()
    };
    Granularity::ALL.iter().flat_map(of).collect()
}

/// What may be known of a subscriber: changes of any age or none, and states.
fn observations() -> Vec<Observation> {
    let change = |changed_in, monitored_since| {
        Observed::Change(Change {
            changed_in,
            monitored_since,
            kind: None,
        })
    };
    let changed = |days| change(ChangedIn::new(days_ago(days + 1), days_ago(days)), None);
    let roaming = |roaming| {
        Observed::Roaming(Roaming {
            roaming,
            visited_mcc: None,
        })
    };
    let all = vec![
        change(None, None),
        change(None, Some(days_ago(20))),
        changed(0),
        changed(5),
        changed(1_000),
        Observed::Forwarding(Vec::new()),
        roaming(true),
        roaming(false),
    ];
    let observed = |what| Observation {
        what,
        observed_at: now(),
        source: SourceClass::Network,
    };
    all.into_iter().map(observed).collect()
}

/// The questions that bodies of an operation can ask.
fn questions(operation: Operation) -> Vec<(Question, Said)> {
    let date = Some("2024-01-31".parse().unwrap());
    let said = |max_age| Said {
        max_age,
        date,
        ..Said::default()
    };
    let ages = [None, Some(24), Some(72), Some(2_400), Some(2_401)];
    let asked = ages.into_iter().filter_map(|max_age| {
        let today = "2026-11-21".parse().unwrap();
        let wire = question::signal(operation, &said(max_age), today).ok()?;
        let request = v1::LookupRequest {
            msisdn: "+447700900001".to_owned(),
            purpose: 1,
            signals: vec![wire],
            ..v1::LookupRequest::default()
        };
        let lookup = wire::Lookup::parse(request, now()).unwrap();
        Some((*lookup.questions.first().unwrap(), said(max_age)))
    });
    asked.collect()
}

/// Whether the operation answers a question under a clause of somebody of whom this is known.
fn answers(
    operation: Operation,
    clause: &Clause,
    (question, said): (Question, Said),
    known: &Observation,
) -> bool {
    let threshold_hours = match question {
        Question::SimSwap { threshold_hours } | Question::DeviceSwap { threshold_hours } => {
            match clause.threshold_hours(threshold_hours) {
                Ok(hours) => hours,
                Err(_) => return false,
            }
        }
        Question::CallForwarding
        | Question::Roaming
        | Question::NumberRecycling { .. }
        | Question::Tenure { .. }
        | Question::SignallingAnomaly { .. } => None,
    };
    let Ok(derived) = derive(&question, threshold_hours, clause, known, now()) else {
        return false;
    };
    let answer = v1::Answer {
        answered_at: Some(timestamp(now())),
        signals: vec![v1::SignalAnswer {
            outcome: Some(Outcome::Value(derived.to_wire())),
            clause: clause.id.to_string(),
            observed_at: Some(timestamp(known.observed_at)),
            ..v1::SignalAnswer::default()
        }],
        ..v1::Answer::default()
    };
    match body(&question::asked(operation, said), &answer) {
        Ok(_) => true,
        Err(problem) => {
            // An operation is never given a value that it can't read.
            assert_ne!(problem.code, Code::Internal, "{operation:?} {clause:?}");
            false
        }
    }
}

#[test]
fn a_clause_suits_the_operations_that_it_has_an_answer_for_and_no_others() {
    let (mut suited, mut too_coarse) = (0, 0);
    for operation in Operation::ALL {
        let clauses = clauses(operation.signal());
        assert!(!clauses.is_empty(), "{operation:?}");
        for clause in &clauses {
            let mut known = observations().into_iter();
            let answered = known.any(|known| {
                let mut asked = questions(operation).into_iter();
                asked.any(|asked| answers(operation, clause, asked, &known))
            });
            assert_eq!(
                clause.suits(operation),
                answered,
                "{operation:?} {clause:?}"
            );
            match answered {
                true => suited += 1,
                false => too_coarse += 1,
            }
        }
    }
    assert!(suited > 20 && too_coarse > 10, "{suited} {too_coarse}");
}

#[test]
fn a_clause_suits_no_operation_about_another_signal() {
    for signal in Signal::ALL {
        for clause in clauses(*signal) {
            for operation in Operation::ALL {
                assert!(
                    !clause.suits(operation) || operation.signal() == *signal,
                    "{operation:?} {clause:?}"
                );
            }
        }
    }
}
