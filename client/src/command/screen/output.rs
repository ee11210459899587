//! The answers of a screening: a file that can be taken up again.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader, BufWriter, Seek as _, SeekFrom, Write as _},
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
};
use crate::{
    LineError, Screened,
    random::hex,
    words::{Place, outcome_words},
};

/// The first columns of a CSV file; `request_id` is the first of all, also in JSON lines.
const FIRST_COLUMNS: [&str; 4] = ["request_id", "line", "number", "outcome"];

/// The form of the file, by its extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Csv,
    JsonLines,
}

/// Which lines have a result: one bit each, so that ten million lines take a megabyte.
#[derive(Debug, Default)]
pub(super) struct Done {
    bits: Vec<u64>,
    count: u64,
}

impl Done {
    pub(super) fn holds(&self, line: u64) -> bool {
        let (word, bit) = place(line);
        self.bits.get(word).is_some_and(|bits| bits & bit != 0)
    }

    fn insert(&mut self, line: u64) {
        if self.holds(line) {
            return;
        }
        let (word, bit) = place(line);
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        if let Some(bits) = self.bits.get_mut(word) {
            *bits |= bit;
            self.count += 1;
        }
    }
}

fn place(line: u64) -> (usize, u64) {
    (
        usize::try_from(line / 64).unwrap_or(usize::MAX),
        1 << (line % 64),
    )
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
    /// taken away.
    pub(super) fn open(path: &Path, input: &Input, signals: Vec<Signal>) -> Result<Self, Failure> {
        let form = match path.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => Form::Csv,
            Some("jsonl" | "ndjson" | "json") => Form::JsonLines,
            Some(_) | None => {
                let message = "the output's name ends with .jsonl or .csv";
                return Err(Failure::new(Exit::Usage, message));
            }
        };
        let failed = |error: std::io::Error| {
            let message = format!("can't write `{}`", path.display());
            Failure::new(Exit::Failure, message).because(&error)
        };
        let mut file = open_private(path).map_err(failed)?;
        let (done, whole) =
            done_lines(&file, form, &input.run).map_err(|problem| match problem {
                Problem::Io(error) => failed(error),
                Problem::OtherRun => Failure::new(
                    Exit::Failure,
                    format!(
                        "`{}` holds the answers of another screening (another file, party or \
                     question)",
                        path.display()
                    ),
                )
                .hint("name another file with --output"),
            })?;
        file.set_len(whole).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        let mut output = Self {
            to: BufWriter::new(file),
            form,
            done: Arc::new(done),
            run: input.run.clone(),
            signals,
        };
        if whole == 0 && form == Form::Csv {
            output.write_heading()?;
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

    fn write_heading(&mut self) -> Result<(), Failure> {
        let mut heading: Vec<String> = FIRST_COLUMNS.map(str::to_owned).to_vec();
        for signal in &self.signals {
            heading.push(signal.name().to_owned());
            heading.push(format!("{signal}_clause"));
        }
        heading.extend(["origin", "index", "leaf_hash"].map(str::to_owned));
        self.write_record(&heading)
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
        // One line a record: nothing that we write holds a line break.
        let mut bytes = Vec::new();
        let mut writer = csv::Writer::from_writer(&mut bytes);
        writer
            .write_record(record)
            .map_err(|error| Failure::from(std::io::Error::other(error)))?;
        drop(writer);
        self.to.write_all(&bytes)?;
        Ok(())
    }
}

/// The answers are personal data: nobody else on the machine reads them.
fn open_private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

enum Problem {
    Io(std::io::Error),
    OtherRun,
}

/// The lines that a file holds, and how many of its bytes are whole lines.
fn done_lines(file: &File, form: Form, run: &str) -> Result<(Done, u64), Problem> {
    let mut reader = BufReader::new(file);
    let mut done = Done::default();
    let mut whole = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(Problem::Io)?;
        if line.last() != Some(&b'\n') {
            return Ok((done, whole));
        }
        let heading = form == Form::Csv && whole == 0;
        whole += u64::try_from(read).unwrap_or(0);
        if heading {
            continue;
        }
        let text = std::str::from_utf8(&line).map_err(|_| Problem::OtherRun)?;
        let id = match form {
            Form::Csv => text.split(',').next(),
            Form::JsonLines => text
                .strip_prefix("{\"request_id\":\"")
                .and_then(|rest| rest.split('"').next()),
        };
        let number = id
            .and_then(|id| id.strip_prefix(run)?.strip_prefix('-')?.parse().ok())
            .ok_or(Problem::OtherRun)?;
        done.insert(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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

    #[test]
    fn a_torn_output_is_taken_up_again_in_both_forms() {
        for name in ["out.jsonl", "out.csv"] {
            let dir = tempfile::tempdir().unwrap();
            let numbers = dir.path().join("numbers");
            std::fs::write(&numbers, "+447700900001\n+447700900002\n").unwrap();
            let input = Input::open(&numbers, "asked").unwrap();
            let path = dir.path().join(name);
            let signals = vec![Signal::Roaming];
            let mut output = Output::open(&path, &input, signals.clone()).unwrap();
            output.write(&refused(1)).unwrap();
            output.write(&refused(70)).unwrap();
            output.flush().unwrap();
            let whole = std::fs::read(&path).unwrap();
            std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();

            let mut output = Output::open(&path, &input, signals.clone()).unwrap();
            assert_eq!(output.done_count(), 1, "{name}");
            assert!(output.done().holds(1) && !output.done().holds(70));
            output.write(&refused(70)).unwrap();
            output.flush().unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), whole, "{name}");

            let other = Input::open(&numbers, "asked otherwise").unwrap();
            let error = Output::open(&path, &other, signals).unwrap_err();
            assert!(format!("{error:?}").contains("another screening"));
        }
    }
}
