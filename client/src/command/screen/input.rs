//! The numbers to screen.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
};

use accord_proto::{msisdn::Msisdn, wire::REFERENCE_LEN_MAX};
use aws_lc_rs::digest;
use csv::{ReaderBuilder, StringRecord, Trim};
use jiff::civil::Date;

use super::{
    super::exit::{Exit, Failure},
    columns::Columns,
    own::RUN_LEN,
};
use crate::random::hex;

/// The most bytes of a line: four columns, none of which may be long.
const LINE_BYTES_MAX: u64 = 4_096;

/// A file of numbers.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) path: PathBuf,
    /// Numbers in it.
    pub(super) count: u64,
    /// The line of the last number.
    pub(super) line_max: u64,
    /// The first line without a date of its own.
    pub(super) dateless: Option<u64>,
    sha256: digest::Digest,
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
    /// For the how-many-eth time it is asked, from 1.
    pub(super) attempt: u8,
}

impl InputLine {
    /// The id of its question. The broker gives the same answer to the same id for ten minutes, so
    /// each further attempt has one of its own.
    pub(super) fn request_id(&self, run: &str) -> String {
        match self.attempt {
            ..=1 => format!("{run}-{}", self.number),
            attempt => format!("{run}-{}-{attempt}", self.number),
        }
    }
}

/// The number of a line, from 1, and its fields.
type Record = Result<(u64, StringRecord), Failure>;

impl Input {
    /// Reads a file once from its beginning to its end, so that every mistake in it is found
    /// before the first question is asked. A malformed number is none: it is the result of its
    /// line, and spoils no other.
    pub(super) fn open(path: &Path, today: Date) -> Result<Self, Failure> {
        let mut input = Self {
            path: path.to_owned(),
            count: 0,
            line_max: 0,
            dateless: None,
            sha256: digest(path).map_err(|error| unreadable(path, &error))?,
            columns: Columns::default(),
        };
        if let Some(first) = input.records()?.next() {
            let (number, record) = first?;
            input.columns = Columns::of(&record).map_err(|rule| mistake(path, number, &rule))?;
            let [msisdn, ..] = input.columns.cells(&record);
            if !input.columns.heading && Msisdn::parse(msisdn.unwrap_or_default()).is_err() {
                return Err(mistake(path, number, NO_NUMBER));
            }
        }
        for line in input.lines()? {
            let line = line?;
            check(&line, today).map_err(|rule| mistake(path, line.number, &rule))?;
            input.count += 1;
            input.line_max = line.number;
            if line.since.is_none() {
                input.dateless.get_or_insert(line.number);
            }
        }
        Ok(input)
    }

    /// The name of this screening: a digest of the file and of everything else that is asked. It
    /// begins each request id, so that a screening that is taken up again is the same to the
    /// broker.
    pub(super) fn run_name(&self, asked: &str) -> String {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(self.sha256.as_ref());
        context.update(asked.as_bytes());
        let mut name = hex(context.finish().as_ref());
        name.truncate(RUN_LEN);
        name
    }

    /// Whether numbers can have a consent of their own.
    pub(super) fn has_consents(&self) -> bool {
        self.columns.has_consents()
    }

    /// A mistake of one of its lines.
    pub(super) fn mistake(&self, line: u64, rule: &str) -> Failure {
        mistake(&self.path, line, rule)
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
            line(&columns, number, &record).map_err(|rule| mistake(&path, number, &rule))
        }))
    }

    /// The lines that are neither blank nor a comment, with their numbers. Each is parsed by
    /// itself, so no stray quote swallows the rest of the file.
    fn records(&self) -> Result<impl Iterator<Item = Record> + Send + 'static, Failure> {
        let path = self.path.clone();
        let file = File::open(&path).map_err(|error| unreadable(&path, &error))?;
        let mut reader = BufReader::new(file);
        let lines = (1..).map_while(move |number| {
            let line = next_line(&mut reader).map_err(|error| match error {
                Unread::Io(error) => unreadable(&path, &error),
                Unread::Rule(rule) => mistake(&path, number, rule),
            });
            Some((number, line.transpose()?))
        });
        let told = lines.filter(|(_, line)| match line {
            Ok(line) => !line.trim().is_empty() && !line.starts_with('#'),
            Err(_) => true,
        });
        Ok(told.map(|(number, line)| {
            let line = line?;
            let mut reader = ReaderBuilder::new()
                .has_headers(false)
                .trim(Trim::All)
                .buffer_capacity(line.len().max(1))
                .from_reader(line.as_bytes());
            let mut record = StringRecord::new();
            reader
                .read_record(&mut record)
                .map_err(|error| Failure::from(io::Error::other(error)))?;
            Ok((number, record))
        }))
    }
}

const NO_NUMBER: &str = "a number such as +447700900001 stands here, or a heading that names the \
                         columns, such as number,since";

enum Unread {
    Io(io::Error),
    Rule(&'static str),
}

/// One line without its end; `None` after the last one.
fn next_line(reader: &mut BufReader<File>) -> Result<Option<String>, Unread> {
    let mut line = Vec::new();
    let mut bounded = reader.take(LINE_BYTES_MAX);
    let read = bounded.read_until(b'\n', &mut line).map_err(Unread::Io)?;
    if read == 0 {
        return Ok(None);
    }
    let ended = line.last() == Some(&b'\n');
    if !ended && u64::try_from(read) == Ok(LINE_BYTES_MAX) {
        return Err(Unread::Rule("no line is so long"));
    }
    let text = String::from_utf8(line).map_err(|_| Unread::Rule("this is not UTF-8"))?;
    // Spreadsheets begin a file with a byte order mark.
    let text = text.trim_start_matches('\u{feff}');
    let text = text.strip_suffix('\n').unwrap_or(text);
    Ok(Some(text.strip_suffix('\r').unwrap_or(text).to_owned()))
}

fn line(columns: &Columns, number: u64, record: &StringRecord) -> Result<InputLine, String> {
    columns.check_count(record)?;
    let [msisdn, since, customer_ref, consent_ref] = columns.cells(record);
    let since = since.map(str::parse).transpose();
    let since = since.map_err(|_: jiff::Error| "since is a calendar date such as 2024-01-31")?;
    Ok(InputLine {
        number,
        msisdn: msisdn.unwrap_or_default().to_owned(),
        since,
        customer_ref: customer_ref.map(str::to_owned),
        consent_ref: consent_ref.map(str::to_owned),
        attempt: 1,
    })
}

/// What a question's other fields must be, as the broker would say it of each line.
fn check(line: &InputLine, today: Date) -> Result<(), String> {
    if line.since.is_some_and(|since| since > today) {
        return Err("since is not in the future".to_owned());
    }
    for (name, reference) in [
        ("customer_ref", &line.customer_ref),
        ("consent_ref", &line.consent_ref),
    ] {
        let Some(reference) = reference else { continue };
        if reference.len() > REFERENCE_LEN_MAX || reference.chars().any(char::is_control) {
            return Err(format!(
                "{name} has at most {REFERENCE_LEN_MAX} bytes, and no control characters"
            ));
        }
    }
    Ok(())
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failure, format!("can't read `{}`", path.display())).because(error)
}

/// It never repeats what stands in the line.
fn mistake(path: &Path, line: u64, rule: &str) -> Failure {
    Failure::new(
        Exit::Failure,
        format!("`{}` line {line}: {rule}", path.display()),
    )
}

fn digest(path: &Path) -> io::Result<digest::Digest> {
    let mut file = File::open(path)?;
    if !file.metadata()?.is_file() {
        // A pipe would be empty when it is read again.
        return Err(io::Error::other("it is no file that can be read twice"));
    }
    let mut context = digest::Context::new(&digest::SHA256);
    let mut buffer = [0; 16 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok(context.finish());
        };
        context.update(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn today() -> Date {
        "2026-11-21".parse().unwrap()
    }

    fn input(text: &str) -> (tempfile::NamedTempFile, Result<Input, Failure>) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let input = Input::open(file.path(), today());
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
    fn msisdn_is_the_number_and_a_byte_order_mark_is_nothing() {
        let (_file, input) = input("\u{feff}MSISDN,since\r\n+447700900001,2024-01-31\r\n");
        let input = input.unwrap();
        let line = input.lines().unwrap().next().unwrap().unwrap();
        assert_eq!((line.number, &*line.msisdn), (2, "+447700900001"));
        assert_eq!(line.since, "2024-01-31".parse().ok());
    }

    #[test]
    fn the_first_line_without_a_date_is_remembered() {
        let text = "number,since,consent_ref\n+447700900001,2024-01-31\n+447700900002,,c-1\n";
        let (_file, input) = input(text);
        let input = input.unwrap();
        assert_eq!((input.dateless, input.has_consents()), (Some(3), true));
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
        let error = Input::open(file.path(), today()).unwrap_err();
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
        let again = Input::open(file.path(), today()).unwrap();
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
}
