//! One result as one line of the output, as JSON or as CSV. `accord screen --help` describes both;
//! programs read them, so a column is added and never changed.

use std::io;

use accord_proto::{
    observation::{AttackKind, SwapKind},
    signal::Signal,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{
    super::{
        exit::{Failure, refusal_json},
        json, plain,
    },
    input::InputLine,
    progress::Standing,
};
use crate::{Answered, LineError, Outcome, Refusal, Screened, SignalOutcome, random::hex};

/// The columns of each CSV file before those of the signals. The first four are what a screening
/// that is taken up again reads, in both forms.
const FIRST_COLUMNS: [&str; 11] = [
    "request_id",
    "line",
    "outcome",
    "retry",
    "number",
    "answered_at",
    "agreement",
    "agreement_version",
    "reason",
    "field",
    "message",
];
/// The columns behind those of the signals: the receipt, and what proves the answer.
const LAST_COLUMNS: [&str; 5] = ["origin", "index", "leaf_hash", "answer", "nonce"];

/// A line's result and its id.
pub(super) struct Record<'a> {
    pub(super) request_id: &'a str,
    pub(super) standing: Standing,
    pub(super) screened: &'a Screened<InputLine>,
}

impl Record<'_> {
    /// A line of JSON.
    pub(super) fn json(&self) -> Vec<u8> {
        let line = &self.screened.tag;
        let result = match &self.screened.outcome {
            Ok(answered) => json!({"answer": json::answered(answered)}),
            Err(LineError::Refused(refusal)) => refusal_json(refusal),
            Err(LineError::Mistrusted(mistrust)) => {
                json!({"not_believed": mistrust.to_string()})
            }
        };
        let Standing { ended, retry } = self.standing;
        // These come first and in this order, so that only the beginning of a line is read again.
        let first = format!(
            "{{\"request_id\":\"{}\",\"line\":{},\"outcome\":\"{}\",\"retry\":{retry},",
            self.request_id,
            line.number,
            ended.name()
        );
        let rest = json!({"number": line.msisdn, "result": result}).to_string();
        let fields = rest.strip_prefix('{').unwrap_or(&rest);
        format!("{first}{fields}\n").into_bytes()
    }

    /// A line of CSV.
    pub(super) fn csv(&self, signals: &[Signal]) -> Result<Vec<u8>, Failure> {
        let line = &self.screened.tag;
        let answered = self.screened.outcome.as_ref().ok();
        let mut cells = vec![
            self.request_id.to_owned(),
            line.number.to_string(),
            self.standing.ended.name().to_owned(),
            self.standing.retry.to_string(),
            line.msisdn.clone(),
        ];
        cells.extend(agreement_cells(answered));
        cells.extend(refusal_cells(self.screened.outcome.as_ref().err()));
        for signal in signals {
            let told = answered.and_then(|answered| answered.of(*signal));
            cells.extend(signal_cells(*signal, told));
        }
        cells.extend(receipt_cells(answered));
        line_of(&cells)
    }
}

/// The first line of a CSV file.
pub(super) fn heading(signals: &[Signal]) -> Result<Vec<u8>, Failure> {
    let mut columns: Vec<String> = FIRST_COLUMNS.map(str::to_owned).to_vec();
    for signal in signals {
        columns.push(signal.name().to_owned());
        let more = own_columns(*signal).iter().chain(&SIGNAL_COLUMNS);
        columns.extend(more.map(|column| format!("{signal}_{column}")));
    }
    columns.extend(LAST_COLUMNS.map(str::to_owned));
    line_of(&columns)
}

/// The columns that each signal has behind its value and its own columns.
const SIGNAL_COLUMNS: [&str; 4] = ["reason", "observed_at", "source", "clause"];

/// The columns that only signals of this kind have.
const fn own_columns(signal: Signal) -> &'static [&'static str] {
    match signal {
        Signal::SimSwap | Signal::DeviceSwap => &["hours", "kind", "lock"],
        Signal::NumberRecycling | Signal::Tenure => &["since"],
        Signal::SignallingAnomaly => &["since", "kind"],
        Signal::CallForwarding | Signal::Roaming => &[],
    }
}

fn signal_cells(signal: Signal, told: Option<&SignalOutcome>) -> Vec<String> {
    let Some(told) = told else {
        return vec![String::new(); 1 + own_columns(signal).len() + SIGNAL_COLUMNS.len()];
    };
    let (value, kind, reason) = match &told.outcome {
        Outcome::Value {
            value,
            swap_kind,
            attack_kind,
        } => {
            let attack = attack_kind.map(AttackKind::name);
            let kind = swap_kind.map(SwapKind::name).or(attack);
            (plain::value(value), kind, String::new())
        }
        Outcome::Unanswered { reason, .. } => (String::new(), None, reason.name().to_owned()),
    };
    let mut cells = vec![value];
    match signal {
        Signal::SimSwap | Signal::DeviceSwap => {
            cells.push(text(told.question.threshold_hours()));
            cells.push(text(kind));
            cells.push(told.customer_lock.to_string());
        }
        Signal::NumberRecycling | Signal::Tenure => cells.push(text(told.question.since())),
        Signal::SignallingAnomaly => {
            cells.push(text(told.question.since()));
            cells.push(text(kind));
        }
        Signal::CallForwarding | Signal::Roaming => {}
    }
    cells.push(reason);
    cells.push(text(told.observed_at));
    cells.push(text(told.source.map(|source| source.name())));
    cells.push(told.clause.clone().unwrap_or_default());
    cells
}

fn agreement_cells(answered: Option<&Answered>) -> [String; 3] {
    let answer = answered.map(|answered| &answered.answer);
    [
        text(answer.map(|answer| answer.answered_at)),
        text(answer.map(|answer| &answer.agreement)),
        text(answer.map(|answer| answer.agreement_version)),
    ]
}

fn refusal_cells(error: Option<&LineError>) -> [String; 3] {
    match error {
        None => [const { String::new() }; 3],
        Some(LineError::Refused(Refusal {
            reason,
            field,
            message,
            ..
        })) => [reason.clone(), text(field.as_ref()), message.clone()],
        Some(LineError::Mistrusted(mistrust)) => {
            [String::new(), String::new(), mistrust.to_string()]
        }
    }
}

fn receipt_cells(answered: Option<&Answered>) -> [String; 5] {
    let Some(answered) = answered else {
        return [const { String::new() }; 5];
    };
    let receipt = &answered.receipt;
    [
        receipt.origin.clone(),
        receipt.index.to_string(),
        hex(&receipt.leaf_hash),
        STANDARD.encode(&answered.answer_bytes),
        STANDARD.encode(answered.nonce),
    ]
}

fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// One line of CSV. What the broker says in words may hold a line break; our lines hold none.
fn line_of(cells: &[String]) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let mut writer = csv::Writer::from_writer(&mut bytes);
    writer
        .write_record(cells.iter().map(|cell| cell.replace(char::is_control, " ")))
        .map_err(|error| Failure::from(io::Error::other(error)))?;
    drop(writer);
    Ok(bytes)
}
