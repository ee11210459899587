//! The answers of a screening: a file that can be taken up again.

use std::{
    fs::File,
    io::{self, BufWriter, Seek as _, SeekFrom, Write as _},
    path::Path,
    sync::Arc,
};

use accord_proto::signal::Signal;
use serde_json::json;

use super::{
    super::{
        exit::{Exit, Failure, refusal_json},
        json,
    },
    input::{Input, InputLine},
    own::{self, Done, Held, Problem, Signs},
    plan::Plan,
};
use crate::{
    LineError, Screened,
    random::hex,
    words::{Place, outcome_words},
};

/// The first columns of a CSV file; `request_id` is the first of all, also in JSON lines.
const FIRST_COLUMNS: [&str; 4] = ["request_id", "line", "number", "outcome"];

/// What can be done where a file is not ours.
const OTHER_OUTPUT: &str = "name another file with --output";

/// The form of the file, by its extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Csv,
    JsonLines,
}

/// The file of answers.
#[derive(Debug)]
pub(super) struct Output {
    to: BufWriter<File>,
    form: Form,
    done: Arc<Done>,
    run: String,
    signals: Vec<Signal>,
}

impl Output {
    /// Opens the file and learns which lines of `input` it holds. A last line that was cut off is
    /// taken away; a file that is not this screening's own is left as it is.
    pub(super) fn open(path: &Path, input: &Input, plan: &Plan) -> Result<Self, Failure> {
        let form = match path.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => Form::Csv,
            Some("jsonl" | "ndjson" | "json") => Form::JsonLines,
            Some(_) | None => {
                let message = "the output's name ends with .jsonl or .csv";
                return Err(Failure::new(Exit::Usage, message));
            }
        };
        let failed = |error: io::Error| {
            let message = format!("can't write `{}`", path.display());
            Failure::new(Exit::Failure, message).because(&error)
        };
        let mut file = own::open_private(path).map_err(failed)?;
        refuse_the_input(&file, path, &input.path)?;
        let signals = plan.signals();
        let heading = (form == Form::Csv)
            .then(|| line_of(&heading(&signals)))
            .transpose()?;
        let signs = Signs {
            heading: heading.as_deref(),
            before_id: form.before_id(),
            run: &plan.run,
            line_max: input.line_max,
        };
        let held = own::read(&file, &signs).map_err(|problem| not_ours(problem, path))?;
        let Held { done, whole } = held;
        file.set_len(whole).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        let mut output = Self {
            to: BufWriter::new(file),
            form,
            done: Arc::new(done),
            run: plan.run.clone(),
            signals,
        };
        if let Some(heading) = heading.filter(|_| whole == 0) {
            output.to.write_all(&heading)?;
        }
        Ok(output)
    }

    pub(super) fn done(&self) -> Arc<Done> {
        Arc::clone(&self.done)
    }

    pub(super) fn done_count(&self) -> u64 {
        self.done.count
    }

    /// Writes one result.
    pub(super) fn write(&mut self, screened: &Screened<InputLine>) -> Result<(), Failure> {
        match self.form {
            Form::Csv => self.write_csv(screened),
            Form::JsonLines => self.write_json(screened),
        }
    }

    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.to.flush()?)
    }

    fn request_id(&self, line: &InputLine) -> String {
        format!("{}-{}", self.run, line.number)
    }

    fn write_json(&mut self, screened: &Screened<InputLine>) -> Result<(), Failure> {
        let line = &screened.tag;
        let result = match &screened.outcome {
            Ok(answered) => json!({"answer": json::answered(answered)}),
            Err(LineError::Refused(refusal)) => refusal_json(refusal),
            Err(LineError::Mistrusted(mistrust)) => {
                json!({"not_believed": mistrust.to_string()})
            }
        };
        // The request id comes first, so that resuming reads the beginning of each line only.
        let id = json!(self.request_id(line));
        let rest = json!({"line": line.number, "number": line.msisdn, "result": result});
        let rest = rest.to_string();
        let fields = rest.strip_prefix('{').unwrap_or(&rest);
        writeln!(self.to, "{{\"request_id\":{id},{fields}")?;
        Ok(())
    }

    fn write_csv(&mut self, screened: &Screened<InputLine>) -> Result<(), Failure> {
        let line = &screened.tag;
        let outcome = match &screened.outcome {
            Ok(_) => "answered".to_owned(),
            Err(LineError::Refused(refusal)) => format!("refused: {refusal}"),
            Err(LineError::Mistrusted(mistrust)) => format!("not believed: {mistrust}"),
        };
        let mut record = vec![
            self.request_id(line),
            line.number.to_string(),
            line.msisdn.clone(),
            outcome,
        ];
        let answered = screened.outcome.as_ref().ok();
        for signal in &self.signals {
            let told = answered.and_then(|answered| {
                let mut signals = answered.signals().iter();
                signals.find(|outcome| outcome.signal() == *signal)
            });
            record.push(
                told.map(|told| outcome_words(told, Place::Line))
                    .unwrap_or_default(),
            );
            record.push(
                told.and_then(|told| told.clause.clone())
                    .unwrap_or_default(),
            );
        }
        let receipt = answered.map(|answered| &answered.receipt);
        record.push(
            receipt
                .map(|receipt| receipt.origin.clone())
                .unwrap_or_default(),
        );
        record.push(
            receipt
                .map(|receipt| receipt.index.to_string())
                .unwrap_or_default(),
        );
        record.push(
            receipt
                .map(|receipt| hex(&receipt.leaf_hash))
                .unwrap_or_default(),
        );
        self.write_record(&record)
    }

    fn write_record(&mut self, record: &[String]) -> Result<(), Failure> {
        self.to.write_all(&line_of(record)?)?;
        Ok(())
    }
}

impl Form {
    /// What stands before the request id, which is the first field of each line.
    const fn before_id(self) -> &'static str {
        match self {
            Self::Csv => "",
            Self::JsonLines => "{\"request_id\":\"",
        }
    }
}

fn heading(signals: &[Signal]) -> Vec<String> {
    let mut heading: Vec<String> = FIRST_COLUMNS.map(str::to_owned).to_vec();
    for signal in signals {
        heading.push(signal.name().to_owned());
        heading.push(format!("{signal}_clause"));
    }
    heading.extend(["origin", "index", "leaf_hash"].map(str::to_owned));
    heading
}

/// One line of CSV: nothing that we write holds a line break.
fn line_of(record: &[String]) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let mut writer = csv::Writer::from_writer(&mut bytes);
    writer
        .write_record(record)
        .map_err(|error| Failure::from(io::Error::other(error)))?;
    drop(writer);
    Ok(bytes)
}

/// Whoever names the file of numbers as the output as well would lose it.
fn refuse_the_input(file: &File, path: &Path, input: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        let message = format!("can't look at `{}`", path.display());
        Failure::new(Exit::Failure, message).because(&error)
    };
    let opened = file.metadata().map_err(failed)?;
    if !opened.is_file() {
        let message = format!("`{}` is no file that can be written to", path.display());
        return Err(Failure::new(Exit::Usage, message));
    }
    if own::is_same_file(&opened, path, input).map_err(failed)? {
        let message = format!(
            "`{}` is the file of numbers itself; it was left as it is",
            path.display()
        );
        return Err(Failure::new(Exit::Usage, message).hint(OTHER_OUTPUT));
    }
    Ok(())
}

fn not_ours(problem: Problem, path: &Path) -> Failure {
    let path = path.display();
    let message = match problem {
        Problem::Io(error) => {
            return Failure::new(Exit::Failure, format!("can't read `{path}`")).because(&error);
        }
        Problem::Foreign => {
            format!("`{path}` holds what `accord screen` did not write; it was left as it is")
        }
        Problem::OtherRun => format!(
            "`{path}` holds the answers of another screening (another file, party or question); \
             it was left as it is"
        ),
    };
    Failure::new(Exit::Failure, message).hint(OTHER_OUTPUT)
}

#[cfg(test)]
mod tests {
    use accord_proto::purpose::Purpose;

    use super::{
        super::super::{args::Ask, signals::Asking},
        *,
    };
    use crate::Refusal;

    fn refused(number: u64) -> Screened<InputLine> {
        let refusal = Refusal {
            code: tonic::Code::InvalidArgument,
            reason: "MALFORMED_FIELD".to_owned(),
            message: "msisdn: a number has 8 to 15 digits, \"quoted\"".to_owned(),
            field: Some("msisdn".to_owned()),
            retry_after: None,
        };
        Screened {
            tag: InputLine {
                number,
                msisdn: "+4477".to_owned(),
                since: None,
                customer_ref: None,
                consent_ref: None,
            },
            outcome: Err(LineError::Refused(refusal)),
        }
    }

    fn input(numbers: &Path, text: &str) -> Input {
        std::fs::write(numbers, text).unwrap();
        Input::open(numbers, "2026-11-21".parse().unwrap()).unwrap()
    }

    fn plan(input: &Input, party: &str) -> Plan {
        let ask = Ask {
            purpose: None,
            signals: vec!["roaming".to_owned()],
            since: None,
            on_behalf_of: None,
            consent_ref: None,
        };
        let asking = Asking::of(&ask).unwrap();
        Plan::new(party, &ask, asking, Purpose::Payment, input).unwrap()
    }

    #[test]
    fn a_torn_output_is_taken_up_again_in_both_forms() {
        for name in ["out.jsonl", "out.csv"] {
            let dir = tempfile::tempdir().unwrap();
            let numbers = dir.path().join("numbers");
            let input = input(&numbers, "+447700900001\n+447700900002\n");
            let path = dir.path().join(name);
            let mut output = Output::open(&path, &input, &plan(&input, "one")).unwrap();
            output.write(&refused(1)).unwrap();
            output.write(&refused(2)).unwrap();
            output.flush().unwrap();
            let whole = std::fs::read(&path).unwrap();
            std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();

            let mut output = Output::open(&path, &input, &plan(&input, "one")).unwrap();
            assert_eq!(output.done_count(), 1, "{name}");
            assert!(output.done().holds(1) && !output.done().holds(2));
            output.write(&refused(2)).unwrap();
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
            let text = format!("{{\"request_id\":\"{}-{line}\"}}\n", plan.run);
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
}
