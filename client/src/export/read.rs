//! Reads an export again, and holds each entry against what the file says of it.
//!
//! Every line is written anew from the entry's exact bytes and must come out the same, so a field
//! that was changed by hand is found without any ledger. That the bytes are the ledger's is another
//! matter: it takes the ledger's record of the file's hash, a ledger's directory or a mirror.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read, Write as _},
    path::Path,
};

use accord_proto::c2sp::{Checkpoint, SignedNote};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value as Json;

use super::{
    Format, Hashed, Log,
    columns::{self, INDEX, KIND, LEAF, NAMES, ORIGIN, SUMMARY},
    ocsf, record, sheet,
};
use crate::{
    LedgerEntry,
    footer::{Footer, NAMES as NAMES_OF_FOOTER, NO_ONWARD_DISCLOSURE},
};

/// The longest line of an export: an entry of the greatest length, three times over.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// What an export turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// SHA-256 of the file, as it is on the record.
    pub sha256: [u8; 32],
    /// Entries in it.
    pub entries: u64,
    /// The footer, as names and values.
    pub footer: Vec<(String, String)>,
    /// The checkpoints (signed notes) that the entries are under, by origin; their signatures are
    /// not checked here.
    pub checkpoints: Vec<(String, String)>,
}

/// Why an export is not believed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It can't be read.
    #[error("the export can't be read")]
    Io(#[from] io::Error),
    /// A line is no line of this format.
    #[error("line {line} is no line of such an export: {what}")]
    Form {
        /// Which, from 1; of CSV the row.
        line: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A line says something else than the bytes of its entry.
    #[error("line {line} says something else than the entry in it")]
    Changed {
        /// Which, from 1.
        line: u64,
    },
    /// The end is missing.
    #[error("the export was cut off, or lines were left out: {0}")]
    Short(&'static str),
    /// An entry that no checkpoint of the file covers.
    #[error("entry {index} of {origin} is under no checkpoint of the export")]
    Uncovered {
        /// The log.
        origin: String,
        /// The entry.
        index: u64,
    },
    /// A format that is not read again.
    #[error("a Parquet file is not read again: export to jsonl, csv or ocsf as well")]
    Parquet,
}

/// Reads an export, and shows each entry.
///
/// # Errors
/// [`ReadError`] names the first line that is wrong.
pub fn read(
    path: &Path,
    format: Format,
    mut each: impl FnMut(LedgerEntry),
) -> Result<Checked, ReadError> {
    let mut file = Hashing(BufReader::new(File::open(path)?), Hashed::new(io::sink()));
    let mut found = Found::default();
    match format {
        Format::Jsonl => lines(&mut file, |at, line| found.jsonl(at, &line, &mut each))?,
        Format::Ocsf => lines(&mut file, |at, line| found.ocsf(at, &line, &mut each))?,
        Format::Csv => found.csv(&mut file, &mut each)?,
        Format::Parquet => return Err(ReadError::Parquet),
    }
    let (_, sha256, _) = file.1.finish()?;
    found.check(format)?;
    Ok(Checked {
        sha256,
        entries: found.entries,
        footer: found.footer,
        checkpoints: found.checkpoints,
    })
}

#[derive(Default)]
struct Found {
    entries: u64,
    stated: Option<u64>,
    footer: Vec<(String, String)>,
    checkpoints: Vec<(String, String)>,
    /// The highest index of each log.
    highest: Vec<(String, u64)>,
}

impl Found {
    fn jsonl(
        &mut self,
        line: u64,
        value: &Json,
        each: &mut impl FnMut(LedgerEntry),
    ) -> Result<(), ReadError> {
        if !self.footer.is_empty() {
            return Err(form(line, "something stands behind the footer"));
        }
        if let Some(footer) = value.get("footer") {
            self.footer(line, footer)?;
            self.stated = value.get("entries").and_then(Json::as_u64);
            let listed = value.get("checkpoints").and_then(Json::as_array);
            for one in listed.into_iter().flatten() {
                let note = one.get("checkpoint").and_then(Json::as_str);
                self.checkpoint(line, note.unwrap_or_default())?;
            }
            return Ok(());
        }
        let text = |name: &str| value.get(name).and_then(Json::as_str).unwrap_or_default();
        let index = value.get("index").and_then(Json::as_u64);
        let entry = entry(line, text("origin"), index, text("leaf"))?;
        if record(&entry) != *value {
            return Err(ReadError::Changed { line });
        }
        self.take(line, &entry)?;
        each(entry);
        Ok(())
    }

    fn ocsf(
        &mut self,
        line: u64,
        value: &Json,
        each: &mut impl FnMut(LedgerEntry),
    ) -> Result<(), ReadError> {
        let at = |pointer: &str| value.pointer(pointer);
        let text = |pointer: &str| at(pointer).and_then(Json::as_str).unwrap_or_default();
        let index = at("/metadata/sequence").and_then(Json::as_u64);
        let entry = entry(line, text("/metadata/log_name"), index, text("/raw_data"))?;
        let marked = at("/unmapped/confidentiality").cloned().unwrap_or_default();
        let footer: Footer = serde_json::from_value(marked.clone())
            .map_err(|_| form(line, "the event does not say to whom it may be shown"))?;
        let note = text("/attestation_list/0/signatures/0/value");
        let size = self.checkpoint(line, note)?;
        let log = Log {
            size,
            note: note.to_owned(),
        };
        if ocsf::event(&entry, &log, &footer) != *value {
            return Err(ReadError::Changed { line });
        }
        if self.footer.is_empty() {
            self.footer(line, &marked)?;
        }
        self.take(line, &entry)?;
        each(entry);
        Ok(())
    }

    fn csv(
        &mut self,
        file: &mut impl Read,
        each: &mut impl FnMut(LedgerEntry),
    ) -> Result<(), ReadError> {
        let mut rows = csv::ReaderBuilder::new().from_reader(file);
        let malformed = |line| move |_: csv::Error| form(line, "it is no row of as many cells");
        if rows.headers().map_err(malformed(1))? != NAMES[..] {
            return Err(form(1, "other columns"));
        }
        // A cell may hold line ends, so rows are counted, the heading as the first.
        for (line, row) in (2..).zip(rows.records()) {
            let row = row.map_err(malformed(line))?;
            let cell = |at: usize| sheet::as_it_was(row.get(at).unwrap_or_default());
            match cell(KIND) {
                sheet::CHECKPOINT => {
                    self.checkpoint(line, cell(SUMMARY))?;
                }
                sheet::FOOTER => {
                    let pair = cell(SUMMARY).split_once(": ");
                    let (name, value) = pair.ok_or_else(|| form(line, "no part of a footer"))?;
                    self.footer.push((name.to_owned(), value.to_owned()));
                }
                _ if !self.footer.is_empty() => {
                    return Err(form(line, "something stands behind the footer"));
                }
                _ => {
                    let entry = entry(line, cell(ORIGIN), cell(INDEX).parse().ok(), cell(LEAF))?;
                    let same = (0..)
                        .zip(&columns::row(&entry))
                        .all(|(at, own)| own == cell(at));
                    if !same {
                        return Err(ReadError::Changed { line });
                    }
                    self.take(line, &entry)?;
                    each(entry);
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, line: u64, entry: &LedgerEntry) -> Result<(), ReadError> {
        self.entries += 1;
        match self.highest.last_mut() {
            Some((origin, highest)) if *origin == entry.origin => {
                if entry.index <= *highest {
                    return Err(form(line, "it comes again, or after a later entry"));
                }
                *highest = entry.index;
            }
            Some(_) | None => self.highest.push((entry.origin.clone(), entry.index)),
        }
        Ok(())
    }

    fn footer(&mut self, line: u64, footer: &Json) -> Result<(), ReadError> {
        let footer: Footer = serde_json::from_value(footer.clone())
            .map_err(|_| form(line, "the footer lacks fields"))?;
        let pairs = footer.pairs().into_iter();
        self.footer = pairs
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        Ok(())
    }

    fn checkpoint(&mut self, line: u64, note: &str) -> Result<u64, ReadError> {
        let checkpoint = parse_checkpoint(note).ok_or_else(|| form(line, "no checkpoint"))?;
        let known = (checkpoint.origin, note.to_owned());
        if !self.checkpoints.contains(&known) {
            self.checkpoints.push(known);
        }
        Ok(checkpoint.size)
    }

    fn check(&self, format: Format) -> Result<(), ReadError> {
        if self.footer.is_empty() && (self.entries > 0 || format != Format::Ocsf) {
            return Err(ReadError::Short("the footer is missing"));
        }
        let terms = self.footer.iter().find(|(name, _)| name == "terms");
        let whole = self
            .footer
            .iter()
            .map(|(name, _)| name.as_str())
            .eq(NAMES_OF_FOOTER);
        if !self.footer.is_empty()
            && (!whole || terms.is_none_or(|(_, terms)| terms != NO_ONWARD_DISCLOSURE))
        {
            return Err(ReadError::Short("the footer is not whole"));
        }
        if format == Format::Jsonl && self.stated != Some(self.entries) {
            return Err(ReadError::Short(
                "the footer counts another number of entries",
            ));
        }
        for (origin, index) in &self.highest {
            let notes = self.checkpoints.iter().filter(|(log, _)| log == origin);
            let mut sizes = notes.filter_map(|(_, note)| Some(parse_checkpoint(note)?.size));
            if !sizes.any(|size| size > *index) {
                return Err(ReadError::Uncovered {
                    origin: origin.clone(),
                    index: *index,
                });
            }
        }
        Ok(())
    }
}

fn parse_checkpoint(note: &str) -> Option<Checkpoint> {
    Checkpoint::parse(SignedNote::parse(note).ok()?.text()).ok()
}

fn entry(
    line: u64,
    origin: &str,
    index: Option<u64>,
    leaf: &str,
) -> Result<LedgerEntry, ReadError> {
    let index = index.ok_or_else(|| form(line, "no index"))?;
    let bytes = STANDARD
        .decode(leaf)
        .map_err(|_| form(line, "the leaf is not base64"))?;
    LedgerEntry::parse(origin.to_owned(), index, bytes)
        .map_err(|_| form(line, "the leaf is no entry"))
}

const fn form(line: u64, what: &'static str) -> ReadError {
    ReadError::Form { line, what }
}

fn lines(
    file: &mut Hashing,
    mut each: impl FnMut(u64, Json) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let mut line = Vec::new();
    for at in 1.. {
        line.clear();
        let len = file
            .0
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line)?;
        if len == 0 {
            break;
        }
        file.1.write_all(&line)?;
        if line.last() != Some(&b'\n') {
            return Err(form(at, "it does not end"));
        }
        let value = serde_json::from_slice(&line).map_err(|_| form(at, "it is no JSON"))?;
        each(at, value)?;
    }
    Ok(())
}

/// Reads, and hashes what it reads.
struct Hashing(BufReader<File>, Hashed<io::Sink>);

impl Read for Hashing {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let len = self.0.read(to)?;
        self.1.write_all(to.get(..len).unwrap_or_default())?;
        Ok(len)
    }
}
