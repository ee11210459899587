//! The numbers to screen.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _},
    mem,
    path::{Path, PathBuf},
};

use accord_proto::{msisdn::Msisdn, signal::Since, wire::REFERENCE_LEN_MAX};
use aws_lc_rs::digest;
use csv::{ReaderBuilder, StringRecord, Trim};
use jiff::{Timestamp, tz::TimeZone};

use super::{
    super::{
        exit::{Exit, Failure},
        signals::parse_since,
    },
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
    /// The first line with a date of its own, the first with a moment, and the first with neither.
    pub(super) beginnings: Vec<(u64, Option<Since>)>,
    sha256: digest::Digest,
    columns: Columns,
}

/// One number and what belongs to it. It has no `Debug`.
#[derive(Clone)]
pub(super) struct InputLine {
    /// Line of the file, from 1.
    pub(super) number: u64,
    pub(super) msisdn: String,
    pub(super) since: Option<Since>,
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
    pub(super) fn open(path: &Path, now: Timestamp) -> Result<Self, Failure> {
        let mut input = Self {
            path: path.to_owned(),
            count: 0,
            line_max: 0,
            beginnings: Vec::new(),
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
            check(&line, now).map_err(|rule| mistake(path, line.number, &rule))?;
            input.count += 1;
            input.line_max = line.number;
            let kind = |since: &Option<Since>| since.as_ref().map(mem::discriminant);
            let known = |(_, since): &(u64, Option<Since>)| kind(since) == kind(&line.since);
            if !input.beginnings.iter().any(known) {
                input.beginnings.push((line.number, line.since));
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
    let since = since.map(parse_since).transpose()?;
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
fn check(line: &InputLine, now: Timestamp) -> Result<(), String> {
    let ahead = match line.since {
        None => false,
        Some(Since::Day(day)) => day > now.to_zoned(TimeZone::UTC).date(),
        Some(Since::Moment(moment)) => moment > now,
    };
    if ahead {
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
mod tests;
