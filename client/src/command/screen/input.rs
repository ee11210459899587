//! The numbers to screen.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
};

use aws_lc_rs::digest;
use csv::{ReaderBuilder, StringRecord, Trim};
use jiff::civil::Date;

use super::{
    super::exit::{Exit, Failure},
    own::RUN_LEN,
};
use crate::random::hex;

/// Columns that a heading may name.
const COLUMNS: [&str; 4] = ["number", "since", "customer_ref", "consent_ref"];

/// A file of numbers.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) path: PathBuf,
    /// Numbers in it.
    pub(super) count: u64,
    /// The line of the last number.
    pub(super) line_max: u64,
    /// The name of this screening: a digest of the file and of what is asked. It begins each
    /// request id, so that a screening that is taken up again is the same to the broker.
    pub(super) run: String,
    columns: Columns,
}

/// One number and what belongs to it. It has no `Debug`.
#[derive(Clone)]
pub(super) struct InputLine {
    /// Line of the file, from 1.
    pub(super) number: u64,
    pub(super) msisdn: String,
    pub(super) since: Option<Date>,
    pub(super) customer_ref: Option<String>,
    pub(super) consent_ref: Option<String>,
}

/// The number of a line, from 1, and its fields.
type Record = Result<(u64, StringRecord), Failure>;

/// Where each column stands; `None`: there is no heading and the number stands first.
#[derive(Clone, Debug, Default)]
struct Columns {
    heading: bool,
    at: [Option<usize>; COLUMNS.len()],
}

impl Input {
    /// Opens a file and counts its numbers. `asked` is everything else that is part of the
    /// screening's identity.
    pub(super) fn open(path: &Path, asked: &str) -> Result<Self, Failure> {
        let failed = |error: &dyn std::error::Error| {
            Failure::new(Exit::Failure, format!("can't read `{}`", path.display())).because(error)
        };
        let run = run_name(path, asked).map_err(|error| failed(&error))?;
        let mut input = Self {
            path: path.to_owned(),
            count: 0,
            line_max: 0,
            run,
            columns: Columns::default(),
        };
        if let Some(first) = input.records()?.next() {
            input.columns = Columns::of(&first?.1)?;
        }
        // A mistake of the file is found before the first question is asked.
        for line in input.lines()? {
            input.line_max = line?.number;
            input.count += 1;
        }
        Ok(input)
    }

    /// Whether each number can have a date of its own.
    pub(super) fn has_since(&self) -> bool {
        let [_, since, ..] = self.columns.at;
        since.is_some()
    }

    /// The numbers, read as they are needed.
    pub(super) fn lines(
        &self,
    ) -> Result<impl Iterator<Item = Result<InputLine, Failure>> + Send + 'static, Failure> {
        let columns = self.columns.clone();
        let path = self.path.clone();
        let records = self.records()?.skip(usize::from(columns.heading));
        Ok(records.map(move |record| {
            let (number, record) = record?;
            columns.line(number, &record, &path)
        }))
    }

    /// The lines that are neither blank nor a comment, with their numbers. Each is parsed by
    /// itself, so no stray quote swallows the rest of the file.
    fn records(&self) -> Result<impl Iterator<Item = Record> + Send + 'static, Failure> {
        let path = self.path.clone();
        let failed = move |error: &dyn std::error::Error| {
            Failure::new(Exit::Failure, format!("can't read `{}`", path.display())).because(error)
        };
        let file = File::open(&self.path).map_err(|error| failed(&error))?;
        let lines = (1..).zip(BufReader::new(file).lines());
        let told = lines.filter(|(_, line)| match line {
            Ok(line) => !line.trim().is_empty() && !line.starts_with('#'),
            Err(_) => true,
        });
        Ok(told.map(move |(number, line)| {
            let line = line.map_err(|error| failed(&error))?;
            let mut reader = ReaderBuilder::new()
                .has_headers(false)
                .trim(Trim::All)
                .buffer_capacity(line.len().max(1))
                .from_reader(line.as_bytes());
            let mut record = StringRecord::new();
            reader
                .read_record(&mut record)
                .map_err(|error| failed(&error))?;
            Ok((number, record))
        }))
    }
}

impl Columns {
    /// Reads the first line: a heading, or a number already.
    fn of(first: &StringRecord) -> Result<Self, Failure> {
        let names: Vec<_> = first.iter().map(str::to_ascii_lowercase).collect();
        if !names.iter().any(|name| name == "number") {
            let at = [Some(0), None, None, None];
            return Ok(Self { heading: false, at });
        }
        if let Some(unknown) = names.iter().find(|name| !COLUMNS.contains(&name.as_str())) {
            let known = COLUMNS.join(", ");
            return Err(Failure::new(
                Exit::Failure,
                format!("unknown column `{unknown}`; the columns are {known}"),
            ));
        }
        let at = COLUMNS.map(|column| names.iter().position(|name| name == column));
        Ok(Self { heading: true, at })
    }

    fn line(&self, number: u64, record: &StringRecord, path: &Path) -> Result<InputLine, Failure> {
        let [msisdn, since, customer_ref, consent_ref] = self.at.map(|at| {
            let text = record.get(at?)?;
            (!text.is_empty()).then(|| text.to_owned())
        });
        let since = since
            .map(|text| text.parse())
            .transpose()
            .map_err(|_: jiff::Error| {
                let place = format!("`{}` line {number}", path.display());
                let rule = "since is a calendar date such as 2024-01-31";
                Failure::new(Exit::Failure, format!("{place}: {rule}"))
            })?;
        Ok(InputLine {
            number,
            msisdn: msisdn.unwrap_or_default(),
            since,
            customer_ref,
            consent_ref,
        })
    }
}

fn run_name(path: &Path, asked: &str) -> io::Result<String> {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(asked.as_bytes());
    context.update(&[0]);
    let mut file = File::open(path)?;
    let mut buffer = [0; 16 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        context.update(bytes);
    }
    let mut name = hex(context.finish().as_ref());
    name.truncate(RUN_LEN);
    Ok(name)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn input(text: &str) -> (tempfile::NamedTempFile, Result<Input, Failure>) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let input = Input::open(file.path(), "first-bank");
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
        assert_eq!(lines[0].since, "2024-01-31".parse().ok());
        assert_eq!(lines[0].consent_ref, None);
    }

    #[test]
    fn an_unknown_column_and_a_bad_date_are_named() {
        let (_file, unknown) = input("number,imsi\n");
        assert!(format!("{:?}", unknown.unwrap_err()).contains("imsi"));
        let (_file, bad) = input("number,since\n+447700900001,soon\n");
        let error = format!("{:?}", bad.unwrap_err());
        assert!(error.contains("line 2") && !error.contains("7700900001"));
    }

    #[test]
    fn a_run_is_named_after_the_file_and_the_question() {
        let (file, one) = input("+447700900001\n");
        let again = Input::open(file.path(), "first-bank").unwrap().run;
        let other = Input::open(file.path(), "second-bank").unwrap().run;
        let one = one.unwrap().run;
        assert_eq!(one, again);
        assert_ne!(one, other);
        // With a line's number a request id stays within its 64 bytes.
        assert!(one.len() + 1 + 20 <= 64);
    }
}
